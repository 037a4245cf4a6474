//! `prebake outdated`: the lock held against what the mirrors have now.

use prebake::{Error, Outdated, check_lock, outdated};
use serde_json::json;

use crate::arguments::{Global, OutdatedArguments};
use crate::{exit_code, output, session};

pub(crate) fn run(arguments: &OutdatedArguments, global: &Global) -> Result<u8, Error> {
    let recipe = session::recipe(&arguments.recipe.recipe, &arguments.recipe.host)?;
    let lock = check_lock(&recipe)?;
    let context = session::open(&arguments.recipe.host, global)?;
    let mut found = Vec::new();
    for rootfs in &lock.rootfs {
        found.extend(outdated(&recipe, rootfs, &context)?);
    }
    drop(context);
    if global.json {
        output::json(
            &found
                .iter()
                .map(|one| {
                    json!({
                        "arch": one.arch.name(),
                        "package": one.package,
                        "locked": one.locked,
                        "newest": one.newest,
                        "in_base": one.in_base,
                        "available": one.available,
                    })
                })
                .collect(),
        );
        return Ok(exit_code::SUCCESS);
    }
    for one in &found {
        output::line(&describe(one));
    }
    if global.is_watched() {
        output::notice(if found.is_empty() {
            "everything is the newest that the mirrors have"
        } else {
            "`prebake lock --upgrade [PKG…]` moves on"
        });
    }
    Ok(exit_code::SUCCESS)
}

fn describe(one: &Outdated) -> String {
    let newest = match &one.newest {
        Some(newest) if *newest == one.locked => format!("{newest} (another build)"),
        Some(newest) => newest.clone(),
        None => "gone".to_owned(),
    };
    let base = if one.in_base { " [base]" } else { "" };
    let gone = if one.available || one.in_base {
        ""
    } else {
        "; the mirrors dropped the locked one"
    };
    format!(
        "{:<8} {}{base} {} -> {newest}{gone}",
        one.arch, one.package, one.locked
    )
}
