//! `prebake doctor`: what this host can do, what is missing, and what would mend it.

use prebake_launch::{Check, Finding, Settings, State, examine};
use serde_json::json;

use crate::arguments::Global;
use crate::{exit_code, output};

pub(crate) fn run(global: &Global) -> u8 {
    let findings = examine(&Settings::default());
    let usable = findings.iter().find(|finding| finding.is_usable());
    if global.json {
        output::json(&json!({
            "backend": usable.map(|finding| finding.backend.name()),
            "backends": findings.iter().map(to_json).collect::<Vec<_>>(),
        }));
    } else {
        output::line(&match usable {
            Some(finding) => format!("instances are run by {}", finding.backend),
            None => "this host has no way to run an instance".to_owned(),
        });
        for finding in &findings {
            tell(finding);
        }
    }
    if usable.is_some() {
        exit_code::SUCCESS
    } else {
        exit_code::LAUNCH
    }
}

fn tell(finding: &Finding) {
    output::line("");
    output::line(finding.backend.name());
    let width = finding.checks.iter().map(|check| check.what.len()).max();
    for check in &finding.checks {
        let Check {
            what, state, seen, ..
        } = check;
        let width = width.unwrap_or_default();
        output::line(&format!("  {:<7}  {what:<width$}  {seen}", word(*state)));
        if let Some(mend) = &check.mend {
            output::line(&format!("  {:<7}  {:<width$}  -> {mend}", "", ""));
        }
    }
}

/// Returns how a state is called, for people and programs.
fn word(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Lacking => "lacking",
        State::Missing => "missing",
    }
}

fn to_json(finding: &Finding) -> serde_json::Value {
    let check = |check: &Check| {
        json!({
            "what": check.what,
            "state": word(check.state),
            "seen": check.seen,
            "mend": check.mend,
        })
    };
    json!({
        "backend": finding.backend.name(),
        "usable": finding.is_usable(),
        "checks": finding.checks.iter().map(check).collect::<Vec<_>>(),
    })
}
