//! `prebake vendor`: put everything that the lock names into a folder.

use prebake::Error;
use prebake::vendor::{VendorError, Vendored, vendor};
use serde_json::{Value, json};

use crate::arguments::{Global, VendorArguments};
use crate::output::size;
use crate::{exit_code, output, session};

/// How many paths are named before the rest is only counted.
const PATHS_SHOWN: usize = 20;

pub(crate) fn run(arguments: &VendorArguments, global: &Global) -> Result<u8, Error> {
    let recipe = session::recipe(&arguments.recipe.recipe, &arguments.recipe.host)?;
    let folder = arguments.folder.as_ref().or(recipe.vendor.as_ref());
    let folder = folder.ok_or(VendorError::NoFolder)?;
    let context = session::open(&arguments.recipe.host, global)?;
    let vendored = vendor(&recipe, folder, arguments.prune, &context)?;
    drop(context);
    if global.json {
        output::json(&to_json(&vendored));
        return Ok(exit_code::SUCCESS);
    }
    output::line(&vendored.folder.display().to_string());
    if !global.quiet {
        tell(&vendored, global);
    }
    Ok(exit_code::SUCCESS)
}

fn tell(vendored: &Vendored, global: &Global) {
    for (what, paths) in [
        ("replaced", &vendored.replaced),
        ("was damaged, and is right now", &vendored.mended),
        ("removed", &vendored.removed),
        (
            "no lock names it any longer; `--prune` removes it",
            &vendored.unnamed,
        ),
    ] {
        for path in paths.iter().take(PATHS_SHOWN) {
            output::notice(&format!("{path}: {what}"));
        }
        if let Some(more @ 1..) = paths.len().checked_sub(PATHS_SHOWN) {
            output::notice(&format!("and {more} more; `--json` lists them all"));
        }
    }
    for index in &vendored.missing_indexes {
        output::notice(&format!(
            "warning: the index `{}` of the lock is not to be had any more, and so not in the \
             folder\n  {}\n  `build` needs no index, apk does: take the folder from where it was \
             vendored before, or `prebake lock --upgrade` and vendor again",
            index.path,
            index.why.replace('\n', "\n  "),
        ));
    }
    for package in &vendored.not_in_index {
        output::notice(&format!(
            "warning: `{}` is not in `{}`: the lock holds it at an older version; `build` takes it, \
             apk does not find it",
            package.package, package.index
        ));
    }
    for warning in &vendored.warnings {
        output::notice(&format!("warning: {warning}"));
    }
    if global.is_watched() {
        output::notice(&format!(
            "{} files, {}; {} new",
            vendored.files,
            size(vendored.size),
            vendored.added.len()
        ));
    }
}

fn to_json(vendored: &Vendored) -> Value {
    json!({
        "vendor": vendored.folder.display().to_string(),
        "files": vendored.files,
        "size": vendored.size,
        "added": vendored.added,
        "replaced": vendored.replaced,
        "mended": vendored.mended,
        "removed": vendored.removed,
        "unnamed": vendored.unnamed,
        "missing_indexes": vendored.missing_indexes.iter().map(|index| json!({
            "url": index.url,
            "path": index.path,
            "sha256": index.sha256.to_string(),
            "why": index.why,
        })).collect::<Vec<_>>(),
        "not_in_index": vendored.not_in_index.iter().map(|package| json!({
            "package": package.package,
            "index": package.index,
        })).collect::<Vec<_>>(),
        "repositories": vendored.repositories.iter().map(|(arch, lines)| {
            (arch.name().to_owned(), json!(lines))
        }).collect::<serde_json::Map<_, _>>(),
        "warnings": vendored.warnings,
    })
}
