//! What one rootfs has that another had not.

use std::collections::BTreeMap;
use std::fmt;

use super::{Audit, AuditedPackage, Finding, Kind};

/// What one rootfs has that another had not, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditDifference {
    /// Findings that are new.
    pub added: Vec<Finding>,
    /// Findings that are gone.
    pub removed: Vec<Finding>,
    /// Packages that came, went or changed, by name.
    pub packages: Vec<PackageDifference>,
}

/// A package that came, went or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageDifference {
    /// Its name.
    pub name: String,
    /// Its version before; `None` if it came.
    pub from: Option<String>,
    /// Its version now; `None` if it went. The same version is another build of it.
    pub to: Option<String>,
}

impl PackageDifference {
    /// Returns what happened to it: `added`, `removed`, `rebuilt` (the same version, made anew) or
    /// `changed` (another version).
    pub fn what(&self) -> &'static str {
        match (&self.from, &self.to) {
            (None, _) => "added",
            (_, None) => "removed",
            (from, to) if from == to => "rebuilt",
            _ => "changed",
        }
    }
}

impl fmt::Display for PackageDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (&self.from, &self.to) {
            (None, None) => f.write_str(name),
            (None, Some(to)) => write!(f, "+ {name} {to}"),
            (Some(from), None) => write!(f, "- {name} {from}"),
            (Some(from), Some(to)) if from == to => {
                write!(
                    f,
                    "~ {name} {to} was rebuilt: the same version, another content"
                )
            }
            (Some(from), Some(to)) => write!(f, "~ {name} {from} -> {to}"),
        }
    }
}

/// Returns what `now` has that `before` had not, and the other way round. Kinds that one of the two
/// could not look for are left out.
pub fn difference(before: &Audit, now: &Audit) -> AuditDifference {
    let known = |kind: Kind| {
        let mut unknown = before.unknown.iter().chain(&now.unknown);
        !unknown.any(|unknown| unknown.kind == kind)
    };
    // That a package's version moved on is said of the package, not of each of its files.
    let same = |one: &Finding, other: &Finding| {
        (one.kind, &one.subject, &one.detail) == (other.kind, &other.subject, &other.detail)
    };
    let without = |these: &[Finding], those: &[Finding]| -> Vec<Finding> {
        let new = these.iter().filter(|finding| known(finding.kind));
        let new = new.filter(|finding| !those.iter().any(|other| same(finding, other)));
        new.cloned().collect()
    };
    AuditDifference {
        added: without(&now.findings, &before.findings),
        removed: without(&before.findings, &now.findings),
        packages: packages(&before.packages, &now.packages),
    }
}

fn packages(before: &[AuditedPackage], now: &[AuditedPackage]) -> Vec<PackageDifference> {
    type Pair<'p> = (Option<&'p AuditedPackage>, Option<&'p AuditedPackage>);
    let mut pairs: BTreeMap<&str, Pair<'_>> = BTreeMap::new();
    for package in before {
        pairs.entry(&package.name).or_default().0 = Some(package);
    }
    for package in now {
        pairs.entry(&package.name).or_default().1 = Some(package);
    }
    let changed = pairs.into_iter().filter(|(_, (from, to))| {
        from.map(|package| (&package.version, package.identity))
            != to.map(|package| (&package.version, package.identity))
    });
    let version = |package: Option<&AuditedPackage>| package.map(|one| one.version.clone());
    changed
        .map(|(name, (from, to))| PackageDifference {
            name: name.to_owned(),
            from: version(from),
            to: version(to),
        })
        .collect()
}
