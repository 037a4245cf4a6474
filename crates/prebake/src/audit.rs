//! What a reviewer wants to see in a rootfs: who may do what, what starts by itself, and where it
//! all comes from.
//!
//! Everything here is read from the rootfs itself and from its lock, and is as exact as those are:
//! what cannot be known is said to be unknown, never left out silently.

mod accounts;
mod capabilities;
mod difference;
mod guest;
mod kind;
mod modes;
mod packages;
mod policy;
mod services;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::installed::Installed;
use prebake_image::Sources;
use prebake_rootfs::merge::Script as PackageScript;
use prebake_rootfs::{SourceId, Tree};

use crate::arch::Arch;
use crate::build;
use crate::context::Context;
use crate::error::Error;
use crate::inspect;
use crate::lock::{Lock, LockedRootfs};
use crate::recipe::Recipe;
use crate::rootfs_file::RootfsFile;
use crate::scripts::Record;
use crate::update;

pub use self::difference::{AuditDifference, PackageDifference, difference};
pub use self::kind::{Kind, UnknownKind};
pub use self::policy::{Allowance, AllowanceError, Policy};

use self::guest::Guest;

/// Returns the text of a `security.capability`.
pub(crate) fn capabilities_for_fuzzing(bytes: &[u8]) -> Option<String> {
    capabilities::text(bytes)
}

/// What was found in a rootfs.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The architecture, where the rootfs says it.
    pub arch: Option<Arch>,
    /// The SHA-256 of the uncompressed tar stream.
    pub identity: Sha256,
    /// Its packages, by name.
    pub packages: Vec<AuditedPackage>,
    /// What was found, by kind and subject.
    pub findings: Vec<Finding>,
    /// What could not be looked for, and why.
    pub unknown: Vec<Unknown>,
}

/// A package that is in a rootfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What apk knows it by.
    pub identity: Sha1,
}

/// One thing that a reviewer wants to see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where: a path, an account, a service, a package. With the kind, what an allowance names.
    pub subject: String,
    /// More of it, in words; may be empty.
    pub detail: String,
    /// The package that brought it, `name-version`, where one did.
    pub package: Option<String>,
}

/// A kind that could not be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The kind.
    pub kind: Kind,
    /// Why not.
    pub why: &'static str,
}

/// What is known of how a rootfs was made, beside what is in it.
#[derive(Debug, Default)]
struct Known<'l> {
    locked: Option<&'l LockedRootfs>,
    ran: Option<&'l [PackageScript]>,
    not_run: Option<&'l [PackageScript]>,
}

/// Bakes one rootfs of the recipe's lock in memory, writes nothing, and says what is in it.
///
/// # Errors
///
/// As a build's; what comes out must be what the lock says.
pub fn audit_locked(
    recipe: &Recipe,
    locked: &LockedRootfs,
    context: &Context,
) -> Result<Audit, Error> {
    let record = update::read_record(recipe)?.unwrap_or_default();
    update::check_record(recipe, locked, &record)?;
    let audit = audit_baked(recipe, locked, &record, context)?;
    if audit.identity == locked.identity {
        return Ok(audit);
    }
    Err(Error::Identity {
        arch: locked.arch,
        found: audit.identity,
        expected: locked.identity,
    })
}

/// Bakes one rootfs of an older lock, the file `path`, in memory and says what is in it.
///
/// `recipe` is the one it is baked by, and the record of what scripts did is the one beside that lock
/// (`old.scripts` for `old.lock`), else the recipe's. Where one of them is another than it was then,
/// the [`Audit::identity`] is not the lock's.
pub fn audit_older(
    recipe: &Recipe,
    path: &Path,
    locked: &LockedRootfs,
    context: &Context,
) -> Result<Audit, Error> {
    let record = match update::read_record_beside(path)? {
        Some(record) => record,
        None => update::read_record(recipe)?.unwrap_or_default(),
    };
    audit_baked(recipe, locked, &record, context)
}

fn audit_baked(
    recipe: &Recipe,
    locked: &LockedRootfs,
    record: &Record,
    context: &Context,
) -> Result<Audit, Error> {
    let mut baked = build::locked::bake_again(recipe, locked, record, context)?;
    let written = prebake_image::tar::identity(&baked.tree, &mut baked.blobs);
    let identity = written.map_err(|source| Error::Image {
        path: PathBuf::from("the rootfs"),
        source,
    })?;
    context.alive()?;
    let installed = Installed::parse(baked.installed()).map_err(|source| Error::Merge {
        arch: locked.arch,
        source: prebake_rootfs::MergeError::Installed(source),
    })?;
    let not_run = build::not_run(&baked.report);
    let known = Known {
        locked: Some(locked),
        ran: Some(&baked.report.ran),
        not_run: Some(&not_run),
    };
    let audit = audit(
        &baked.tree,
        &installed,
        &mut baked.blobs,
        &known,
        identity.identity,
    );
    let mut audit = audit.map_err(|(path, source)| Error::PackageContent {
        package: "the rootfs".to_owned(),
        url: recipe.path.display().to_string(),
        path,
        source,
    })?;
    audit.arch = Some(locked.arch);
    Ok(audit)
}

/// Says what is in a rootfs on this host. `lock` tells more of it if it is the lock that it was
/// baked from.
pub fn audit_file(path: &Path, lock: Option<&Lock>) -> Result<Audit, Error> {
    let rootfs = RootfsFile::read(path)?;
    let arch = rootfs.base.arch.as_deref().and_then(Arch::from_name);
    let locked = lock.and_then(|lock| lock.rootfs(arch?));
    let locked = locked.filter(|locked| locked.identity == rootfs.identity);
    let known = Known {
        locked,
        ran: None,
        not_run: locked.map(|locked| locked.scripts_not_run.as_slice()),
    };
    let mut again = Again(path);
    let audit = audit(
        &rootfs.tree,
        &rootfs.installed,
        &mut again,
        &known,
        rootfs.identity,
    );
    let mut audit = audit.map_err(|(guest, source)| Error::BaseContent {
        url: path.display().to_string(),
        path: guest,
        source,
    })?;
    audit.arch = arch;
    Ok(audit)
}

/// Reads the one source of a rootfs that is a file: the file.
struct Again<'p>(&'p Path);

impl Sources for Again<'_> {
    fn open(&mut self, _: SourceId) -> io::Result<Box<dyn Read>> {
        inspect::decoded(self.0).map_err(io::Error::other)
    }
}

fn audit(
    tree: &Tree,
    installed: &Installed,
    sources: &mut dyn Sources,
    known: &Known<'_>,
    identity: Sha256,
) -> Result<Audit, (prebake_apk::path::GuestPath, io::Error)> {
    const NO_LOCK: &str = "only the lock that it was baked from tells";
    let guest = Guest::read(tree, installed, sources)?;
    let (mut findings, mut unknown) = (Vec::new(), Vec::new());
    modes::find(&guest, &mut findings);
    accounts::find(&guest, &mut findings);
    services::find(&guest, &mut findings);
    packages::find(&guest, &mut findings);
    let mut lacks = |kind, why| unknown.push(Unknown { kind, why });
    match known.locked {
        Some(locked) => packages::find_unsigned(&guest, locked, &mut findings),
        None => lacks(Kind::Unsigned, NO_LOCK),
    }
    match known.ran {
        Some(ran) => packages::add_scripts(&guest, Kind::ScriptsRun, ran, &mut findings),
        None => lacks(Kind::ScriptsRun, "only an audit of the recipe tells"),
    }
    match known.not_run {
        Some(not) => packages::add_scripts(&guest, Kind::ScriptsSkipped, not, &mut findings),
        None => lacks(Kind::ScriptsSkipped, NO_LOCK),
    }
    findings.sort();
    findings.dedup();
    let mut packages = BTreeMap::new();
    for package in &installed.packages {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let package = AuditedPackage {
            name: text(&package.stanza.name),
            version: text(&package.stanza.version),
            identity: package.stanza.identity,
        };
        packages.insert(package.name.clone(), package);
    }
    Ok(Audit {
        arch: None,
        identity,
        packages: packages.into_values().collect(),
        findings,
        unknown,
    })
}
