//! `prebake build`: bake what the lock names and write the outputs.

use prebake::{BuildOptions, Built, BuiltOutput, Error, LockState, PackageScript};
use serde_json::{Value, json};

use crate::arguments::{BuildArguments, Global};
use crate::output::size;
use crate::{exit_code, output, session};

/// How many scripts are named before the rest is only counted.
const SCRIPTS_SHOWN: usize = 20;

pub(crate) fn run(arguments: &BuildArguments, global: &Global) -> Result<u8, Error> {
    let recipe = session::recipe(&arguments.recipe.recipe, &arguments.recipe.host)?;
    let arches = prebake::select_arches(&recipe, &arguments.arch)?;
    let context = session::open(&arguments.recipe.host, global)?;
    let options = BuildOptions {
        locked: arguments.locked,
        arches,
    };
    let built = prebake::build(&recipe, &options, &context)?;
    drop(context);
    if global.json {
        output::json(&to_json(&built));
        return Ok(exit_code::SUCCESS);
    }
    for one in &built.outputs {
        output::line(&one.path.display().to_string());
    }
    if !global.quiet {
        tell(&built, global);
    }
    Ok(exit_code::SUCCESS)
}

fn tell(built: &Built, global: &Global) {
    match built.lock {
        LockState::Written if global.is_watched() => {
            output::notice("the lock was written; commit it");
        }
        LockState::Updated => output::notice("the lock was updated"),
        LockState::Current | LockState::Written => {}
    }
    for one in &built.outputs {
        output::notice(&format!(
            "{}: {}, {} before compression, {} packages\n  identity {}",
            one.path.display(),
            size(one.size),
            size(one.uncompressed_size),
            one.packages,
            one.identity,
        ));
        tell_report(one);
    }
}

fn tell_report(one: &BuiltOutput) {
    let missing = &one.scripts_not_run;
    if !missing.is_empty() {
        output::notice(&format!(
            "  scripts whose effect is missing ({}):",
            one.arch
        ));
        for script in missing.iter().take(SCRIPTS_SHOWN) {
            output::notice(&format!("    {} {}", script.package, script.kind));
        }
        if let Some(more @ 1..) = missing.len().checked_sub(SCRIPTS_SHOWN) {
            output::notice(&format!("    and {more} more; `--json` lists them all"));
        }
    }
    for path in &one.new_files {
        output::notice(&format!(
            "  put aside because the file there is protected: {path}"
        ));
    }
    for warning in &one.warnings {
        output::notice(&format!("  warning: {warning}"));
    }
}

/// Returns scripts by their package, for programs.
pub(crate) fn scripts_json(scripts: &[PackageScript]) -> Value {
    let script = |script: &PackageScript| {
        json!({
            "package": script.package,
            "script": script.kind.name(),
        })
    };
    scripts.iter().map(script).collect()
}

fn to_json(built: &Built) -> Value {
    json!({
        "lock": match built.lock {
            LockState::Current => "current",
            LockState::Updated => "updated",
            LockState::Written => "written",
        },
        "outputs": built.outputs.iter().map(|one| json!({
            "path": one.path.display().to_string(),
            "arch": one.arch.name(),
            "identity": one.identity.to_string(),
            "sha256": one.sha256.to_string(),
            "written": one.written,
            "size": one.size,
            "uncompressed_size": one.uncompressed_size,
            "packages": one.packages,
            "scripts_run": scripts_json(&one.scripts_run),
            "scripts_not_run": scripts_json(&one.scripts_not_run),
            "apk_new": one.new_files.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "warnings": one.warnings,
        })).collect::<Vec<_>>(),
    })
}
