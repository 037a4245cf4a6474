//! `prebake lock`: choose the packages and write the lock.

use prebake::lock::Lock;
use prebake::{Change, Error, LockOptions, LockState, Upgrade};
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
    let options = LockOptions {
        upgrade,
        allow_older_index: arguments.allow_older_index,
    };
    let context = session::open(&arguments.recipe.host, global)?;
    let locked = prebake::update_lock_with(&recipe, &options, &context)?;
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
                "indexes": rootfs.indexes.iter().map(|index| json!({
                    "url": index.url,
                    "description": index.description,
                    "made": index.made.map(|made| made.to_string()),
                    "sha256": index.sha256.to_string(),
                })).collect::<Vec<_>>(),
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
        if arguments.upgrade.is_some() {
            tell_indexes(&locked.lock);
        }
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

/// Tells people how old the indexes are: one that somebody froze is not older than itself.
fn tell_indexes(lock: &Lock) {
    for rootfs in &lock.rootfs {
        for index in &rootfs.indexes {
            let made = index.made.map_or_else(
                || "does not say when it was made".to_owned(),
                |made| format!("made {made}"),
            );
            output::notice(&format!("{:>10}  {} {made}", rootfs.arch, index.url));
        }
    }
}

/// Returns how a lock changed, for scripts.
pub(crate) fn changes_json(changes: &[Change]) -> Value {
    let change = |change: &Change| {
        json!({
            "arch": change.arch.name(),
            "package": change.package,
            "kind": change.kind().name(),
            "from": change.from.as_ref().map(|build| &build.version),
            "to": change.to.as_ref().map(|build| &build.version),
            "from_identity": change.from.as_ref().map(|build| build.identity.to_apk()),
            "to_identity": change.to.as_ref().map(|build| build.identity.to_apk()),
            "local": change.local,
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
