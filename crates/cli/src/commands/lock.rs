//! `prebake lock`: choose the packages and write the lock.

use prebake::{Change, Error, LockState, Upgrade};
use serde_json::{Value, json};

use crate::arguments::{Global, LockArguments};
use crate::{exit_code, output, session};

pub(crate) fn run(arguments: &LockArguments, global: &Global) -> Result<u8, Error> {
    let recipe = session::recipe(&arguments.recipe.recipe, &arguments.recipe.host)?;
    if arguments.check {
        prebake::check_lock(&recipe)?;
        if global.json {
            output::json(
                &json!({ "lock": recipe.lock_path().display().to_string(), "current": true }),
            );
        }
        return Ok(exit_code::SUCCESS);
    }
    let upgrade = match &arguments.upgrade {
        None => Upgrade::Keep,
        Some(packages) if packages.is_empty() => Upgrade::All,
        Some(packages) => Upgrade::Only(packages.clone()),
    };
    let context = session::open(&arguments.recipe.host, global)?;
    let locked = prebake::update_lock(&recipe, &upgrade, &context)?;
    drop(context);
    let path = recipe.lock_path();
    if global.json {
        output::json(&json!({
            "lock": path.display().to_string(),
            "changed": locked.state != LockState::Current,
            "changes": changes_json(&locked.changes),
            "rootfs": locked.lock.rootfs.iter().map(|rootfs| json!({
                "arch": rootfs.arch.name(),
                "identity": rootfs.identity.to_string(),
                "packages": rootfs.packages().map(|package| json!({
                    "name": package.name, "version": package.version,
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        }));
        return Ok(exit_code::SUCCESS);
    }
    output::line(&path.display().to_string());
    if global.is_watched() {
        tell_changes(&locked.changes);
        output::notice(match locked.state {
            LockState::Current => {
                "the lock is current; `--upgrade` moves on to what the mirrors have now"
            }
            LockState::Updated => "the lock was updated",
            LockState::Written => "the lock was written; commit it",
        });
    }
    Ok(exit_code::SUCCESS)
}

/// Returns how a lock changed, for scripts.
pub(crate) fn changes_json(changes: &[Change]) -> Value {
    let change = |change: &Change| {
        json!({
            "arch": change.arch.name(),
            "package": change.package,
            "from": change.from,
            "to": change.to,
        })
    };
    changes.iter().map(change).collect()
}

/// Tells people how a lock changed.
pub(crate) fn tell_changes(changes: &[Change]) {
    for change in changes {
        output::notice(&format!("{:>10}  {change}", change.arch));
    }
}
