//! `prebake audit`: list what a reviewer wants to see in a rootfs.

mod report;

use std::path::{Path, PathBuf};

use prebake::arch::Arch;
use prebake::audit::{
    Audit, AuditDifference, Policy, audit_file, audit_locked, audit_older, difference,
};
use prebake::recipe::Recipe;
use prebake::{Context, Error};

use crate::arguments::{AuditArguments, Global};
use crate::commands::run::is_rootfs;
use crate::failure::Failure;
use crate::{exit_code, output, session};

/// The lock that is used for a rootfs where none is named, if it is there.
const DEFAULT_LOCK: &str = "prebake.lock";

/// What the command says of one rootfs.
struct Audited {
    /// What people call it: the recipe's name, or the file's.
    name: String,
    audit: Audit,
    /// What it has that the older one had not, and the other way round.
    difference: Option<AuditDifference>,
}

pub(crate) fn run(arguments: &AuditArguments, global: &Global) -> Result<u8, Failure> {
    let mut policy = Policy::default();
    let audited = if is_rootfs(&arguments.source) {
        vec![of_file(arguments)?]
    } else {
        let recipe = session::recipe(&arguments.source, &arguments.host)?;
        policy.clone_from(&recipe.audit);
        of_recipe(&recipe, arguments, global)?
    };
    policy.deny.extend(&arguments.deny);
    policy.allow.extend(arguments.allow.iter().cloned());
    if global.json {
        output::json(&report::json(&audited, &policy));
    } else {
        output::text(&report::text(&audited, &policy, global.quiet));
        let audits: Vec<_> = audited.iter().map(|one| one.audit.clone()).collect();
        let unused = policy.unused(&audits).into_iter();
        for unused in unused.filter(|_| !global.quiet) {
            output::notice(&format!("note: there is nothing to allow `{unused}` for"));
        }
    }
    let refused = audited.iter().any(|one| {
        let undecided = !policy.undecided(&one.audit).is_empty();
        undecided
            || one
                .audit
                .findings
                .iter()
                .any(|finding| policy.denies(finding))
    });
    Ok(if refused {
        exit_code::DENIED
    } else {
        exit_code::SUCCESS
    })
}

fn of_file(arguments: &AuditArguments) -> Result<Audited, Error> {
    let path = arguments.lock.clone().or_else(|| {
        let path = PathBuf::from(DEFAULT_LOCK);
        path.exists().then_some(path)
    });
    let untrusted = arguments.host.untrusted;
    let lock = path.as_deref().map(|path| session::lock(path, untrusted));
    let lock = lock.transpose()?;
    let audit = audit_file(&arguments.source, lock.as_ref())?;
    let older = match &arguments.against {
        None => None,
        Some(path) => Some(audit_file(path, None)?),
    };
    Ok(Audited {
        name: arguments.source.display().to_string(),
        difference: older.map(|older| difference(&older, &audit)),
        audit,
    })
}

fn of_recipe(
    recipe: &Recipe,
    arguments: &AuditArguments,
    global: &Global,
) -> Result<Vec<Audited>, Error> {
    let arches = prebake::select_arches(recipe, &arguments.arch)?;
    let context = session::open(&arguments.host, global)?;
    let lock = prebake::check_lock(recipe)?;
    let mut audited = Vec::new();
    for arch in arches {
        let Some(locked) = lock.rootfs(arch) else {
            continue;
        };
        let audit = audit_locked(recipe, locked, &context)?;
        let older = match &arguments.against {
            None => None,
            Some(path) => older(recipe, path, arch, arguments, &context)?,
        };
        audited.push(Audited {
            name: recipe.name.clone(),
            difference: older.map(|older| difference(&older, &audit)),
            audit,
        });
    }
    Ok(audited)
}

/// Audits what an older lock or rootfs has for the architecture; `None` if it has nothing.
fn older(
    recipe: &Recipe,
    path: &Path,
    arch: Arch,
    arguments: &AuditArguments,
    context: &Context,
) -> Result<Option<Audit>, Error> {
    if is_rootfs(path) {
        return audit_file(path, None).map(Some);
    }
    let lock = session::lock(path, arguments.host.untrusted)?;
    let Some(locked) = lock.rootfs(arch) else {
        return Ok(None);
    };
    // A recipe beside that lock is the one that it was made by.
    let beside = path.with_extension("toml");
    let own = beside
        .exists()
        .then(|| session::recipe(&beside, &arguments.host));
    let own = own.transpose()?;
    let audit = audit_older(own.as_ref().unwrap_or(recipe), path, locked, context)?;
    if audit.identity != locked.identity {
        output::notice(&format!(
            "note: {} names another recipe or record than are there now: what was before is baked \
             by those of now. For what was really before, check the older commit out somewhere and \
             name the lock there",
            path.display()
        ));
    }
    Ok(Some(audit))
}
