//! `prebake ps` and `prebake rm`: the instances on this host.

use prebake_launch::{Host, LaunchError, Listed, Name, Settings, examine};
use serde_json::json;

use crate::arguments::{Global, RmArguments};
use crate::failure::Failure;
use crate::{exit_code, output};

/// How many digits of an identity people are shown.
const DIGITS: usize = 12;

pub(crate) fn list(global: &Global) -> Result<u8, Failure> {
    let mut all = Vec::new();
    for host in hosts()? {
        all.extend(host.instances()?);
    }
    if global.json {
        let instances: Vec<_> = all.iter().map(to_json).collect();
        output::json(&json!({ "instances": instances }));
        return Ok(exit_code::SUCCESS);
    }
    let width = all.iter().map(|one| one.name.as_str().len()).max();
    let width = width.unwrap_or_default().max("NAME".len());
    if !all.is_empty() {
        output::line(&format!(
            "{:<width$}  {:<10}  {:<DIGITS$}  STATE",
            "NAME", "BACKEND", "IDENTITY"
        ));
    }
    for one in &all {
        let identity = one.identity.map(|identity| identity.to_string());
        let identity = identity.unwrap_or_else(|| "?".to_owned());
        output::line(&format!(
            "{:<width$}  {:<10}  {identity:<DIGITS$.DIGITS$}  {}",
            one.name.as_str(),
            one.backend.name(),
            state(one),
        ));
    }
    Ok(exit_code::SUCCESS)
}

pub(crate) fn remove(arguments: &RmArguments, global: &Global) -> Result<u8, Failure> {
    let hosts = hosts()?;
    let names = arguments.names.iter().map(|name| name.parse::<Name>());
    let mut names = names
        .collect::<Result<Vec<_>, _>>()
        .map_err(LaunchError::from)?;
    if arguments.all {
        for host in &hosts {
            let free = host.instances()?.into_iter();
            names.extend(free.filter(|one| one.holder.is_none()).map(|one| one.name));
        }
    }
    for name in &names {
        let mut found = None;
        for host in &hosts {
            match host.open(name) {
                Ok(instance) => found = Some(instance),
                Err(LaunchError::NotThere { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let instance = found.ok_or_else(|| LaunchError::NotThere { name: name.clone() })?;
        instance.remove()?;
        if !global.json {
            output::line(name.as_str());
        }
    }
    if global.json {
        let names: Vec<_> = names.iter().map(Name::as_str).collect();
        output::json(&json!({ "removed": names }));
    }
    Ok(exit_code::SUCCESS)
}

/// Returns every backend that this host has.
fn hosts() -> Result<Vec<Host>, LaunchError> {
    let settings = Settings::default();
    let findings = examine(&settings);
    let usable: Vec<_> = findings.iter().filter(|one| one.is_usable()).collect();
    if usable.is_empty() {
        return Err(LaunchError::NoBackend(findings));
    }
    let hosts = usable.iter().map(|one| Host::with(one.backend, &settings));
    hosts.collect()
}

fn state(one: &Listed) -> String {
    match (one.holder, one.kept) {
        (Some(pid), _) => format!("in use by process {pid}"),
        (None, true) => "kept".to_owned(),
        (None, false) => "left over".to_owned(),
    }
}

fn to_json(one: &Listed) -> serde_json::Value {
    json!({
        "name": one.name.as_str(),
        "backend": one.backend.name(),
        "identity": one.identity.map(|identity| identity.to_string()),
        "kept": one.kept,
        "holder": one.holder,
    })
}
