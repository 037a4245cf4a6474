//! What packages and bases hardly ever bring and mean well: refused, but where the recipe allows it.
//!
//! Devices give whoever may open them the machine's disks; no package of Alpine's brings one. Names
//! that are no UTF-8 cannot be unpacked on macOS. Names that are one name there and on Windows
//! overwrite each other, or lead a file through a link to wherever that points. Some of Alpine's
//! packages have names that differ in case only, two plain files each, as iptables and the Linux
//! headers do: that is told and not refused.

use std::collections::BTreeMap;

use prebake_apk::entry::{Entry, EntryKind};
use prebake_rootfs::Merge;
use prebake_rootfs::merge::{Bringer, Call, Twins};

use crate::error::Error;
use crate::recipe::Recipe;
use crate::scripts::record::{Made, Recorded, What};

/// Refuses a name that is no UTF-8, of the package `name` or of `base`.
pub(crate) fn check_name(
    recipe: &Recipe,
    name: &str,
    input: &str,
    entry: &Entry,
) -> Result<(), Error> {
    if std::str::from_utf8(entry.path.as_bytes()).is_ok() || recipe.is_unusual(name) {
        return Ok(());
    }
    let reason = format!(
        "its name `{}` is not UTF-8, so that macOS and Windows cannot have it",
        entry.path.as_bytes().escape_ascii()
    );
    Err(refused(name, input, entry, reason))
}

/// Refuses a device of the package `name`.
pub(crate) fn check_device(
    recipe: &Recipe,
    name: &str,
    input: &str,
    entry: &Entry,
) -> Result<(), Error> {
    let (kind, device) = match &entry.kind {
        EntryKind::CharDevice(device) => ("character", device),
        EntryKind::BlockDevice(device) => ("block", device),
        _ => return Ok(()),
    };
    if recipe.is_unusual(name) {
        return Ok(());
    }
    let reason = format!(
        "it is the {kind} device {}:{}, which no package needs: the kernel makes devices",
        device.major, device.minor
    );
    Err(refused(name, input, entry, reason))
}

/// Refuses a device that a script made, as of its package. In the sandbox no script can: who wrote
/// it into the record, and the record's digest into the lock, did so by hand. A name that is no
/// UTF-8 no record can have.
pub(crate) fn check_made(recipe: &Recipe, call: &Call, recorded: &[Recorded]) -> Result<(), Error> {
    let name = String::from_utf8_lossy(&call.name);
    if recipe.is_unusual(&name) {
        return Ok(());
    }
    for Recorded { path, what } in recorded {
        let (kind, device) = match what {
            What::Made(Made::CharDevice(device), _) => ("character", device),
            What::Made(Made::BlockDevice(device), _) => ("block", device),
            _ => continue,
        };
        return Err(Error::Unusual {
            input: call.package.clone(),
            name: name.into_owned(),
            path: path.clone(),
            reason: format!(
                "its {} script is said to make the {kind} device {}:{}, which no package needs: \
                 the kernel makes devices",
                call.kind, device.major, device.minor
            ),
        });
    }
    Ok(())
}

fn refused(name: &str, input: &str, entry: &Entry, reason: String) -> Error {
    Error::Unusual {
        input: input.to_owned(),
        name: name.to_owned(),
        path: entry.path.clone(),
        reason,
    }
}

/// Refuses names that are one name elsewhere and dangerous there, and returns what is to be said of
/// the others, in one sentence a package.
pub(crate) fn check_twins(recipe: &Recipe, merge: &Merge) -> Result<Vec<String>, Error> {
    let mut harmless: BTreeMap<Bringer, Vec<Twins>> = BTreeMap::new();
    for twins in merge.twins() {
        // The base was there first, and of packages the second name's comes after.
        let mut both = [&twins.one.1, &twins.other.1];
        both.sort_by_key(|bringer| bringer.name.as_deref() != Some("base"));
        // What the recipe itself brings is allowed by it.
        let not_allowed = |bringer: &&&Bringer| {
            let name = bringer.name.as_deref();
            name.is_some_and(|name| !recipe.is_unusual(name))
        };
        let Some(named) = both.iter().rev().find(not_allowed) else {
            continue;
        };
        let Some(danger) = twins.danger else {
            harmless.entry((*named).clone()).or_default().push(twins);
            continue;
        };
        let (path, other) = if twins.other.1 == **named {
            (&twins.other.0, &twins.one)
        } else {
            (&twins.one.0, &twins.other)
        };
        return Err(Error::Unusual {
            input: named.label.clone(),
            name: named.name.clone().unwrap_or_default(),
            path: path.clone(),
            reason: format!(
                "macOS and Windows take it for {} of {}, from which it differs in case or Unicode \
                 form alone; {danger}",
                other.0, other.1.label
            ),
        });
    }
    let told = harmless.into_iter().filter_map(|(bringer, twins)| {
        let first = twins.first()?;
        let name = bringer.name.unwrap_or_default();
        Some(format!(
            "{} of the names that {} brings differ in case or Unicode form alone, as {} and {}: on \
             macOS and Windows one is unpacked over the other; `unusual = [\"{name}\"]` in the \
             recipe says that this is known",
            2 * twins.len(),
            bringer.label,
            first.one.0,
            first.other.0,
        ))
    });
    Ok(told.collect())
}
