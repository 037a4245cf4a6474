//! How the packages of one lock differ from those of another.

use std::fmt;

use prebake_apk::digest::Sha1;
use prebake_apk::version::{self, Dialect};

use crate::arch::Arch;
use crate::lock::{Lock, LockedPackage};

/// A package that came, went or changed from one lock to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For which architecture.
    pub arch: Arch,
    /// Its name.
    pub package: String,
    /// What it was before; `None` if it came.
    pub from: Option<Build>,
    /// What it is now; `None` if it went.
    pub to: Option<Build>,
    /// Whether it lies beside the recipe, where a new build under one version is an everyday thing.
    pub local: bool,
}

/// A build of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its version.
    pub version: String,
    /// What apk and the index know it by.
    pub identity: Sha1,
}

/// What became of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is there no longer.
    Removed,
    /// Its version is a newer one.
    Upgraded,
    /// Its version is an older one.
    Downgraded,
    /// Its version is the same, and it is another file: somebody built it, or signed it, anew.
    Rebuilt,
}

impl ChangeKind {
    /// Returns its name, as in `rebuilt`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Upgraded => "upgraded",
            Self::Downgraded => "downgraded",
            Self::Rebuilt => "rebuilt",
        }
    }
}

impl Change {
    /// Says what became of the package. Versions are ordered by apk 2.14's rules.
    pub fn kind(&self) -> ChangeKind {
        let (Some(from), Some(to)) = (&self.from, &self.to) else {
            return match self.to {
                Some(_) => ChangeKind::Added,
                None => ChangeKind::Removed,
            };
        };
        if from.version == to.version {
            return ChangeKind::Rebuilt;
        }
        if version::compare(&from.version, &to.version, Dialect::V2).is_gt() {
            ChangeKind::Downgraded
        } else {
            ChangeKind::Upgraded
        }
    }

    /// Returns what a person should be told of even where nobody watches: a version that went back,
    /// and one that stayed while what is in it did not. `None` for an everyday change.
    pub fn warning(&self) -> Option<String> {
        let (from, to) = (self.from.as_ref()?, self.to.as_ref()?);
        let (package, arch) = (&self.package, self.arch);
        match self.kind() {
            ChangeKind::Rebuilt if self.local => None,
            ChangeKind::Rebuilt if from.identity == to.identity => Some(format!(
                "`{package}` {} for {arch} was signed anew under the same version: the file is \
                 another one, what it installs is the same",
                to.version
            )),
            ChangeKind::Rebuilt => Some(format!(
                "`{package}` {} for {arch} was REBUILT under the same version: {} is {} now",
                to.version,
                from.identity.to_apk(),
                to.identity.to_apk()
            )),
            ChangeKind::Downgraded => Some(format!(
                "`{package}` for {arch} went back from {} to {}",
                from.version, to.version
            )),
            _ => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |build: &Option<Build>| {
            let build = build.as_ref();
            build.map_or_else(String::new, |build| build.version.clone())
        };
        let (package, from, to) = (&self.package, version(&self.from), version(&self.to));
        match self.kind() {
            ChangeKind::Added => write!(f, "+ {package} {to}"),
            ChangeKind::Removed => write!(f, "- {package} {from}"),
            ChangeKind::Upgraded => write!(f, "~ {package} {from} -> {to}"),
            ChangeKind::Downgraded => write!(f, "! {package} {from} -> {to} (downgraded)"),
            ChangeKind::Rebuilt => {
                write!(f, "! {package} {to} (another build of the same version)")
            }
        }
    }
}

/// Returns how the packages of `lock` differ from those of `previous`, in the order of `lock`, and
/// what went after what came.
pub(crate) fn between(previous: Option<&Lock>, lock: &Lock) -> Vec<Change> {
    let build = |package: &LockedPackage| Build {
        version: package.version.clone(),
        identity: package.identity,
    };
    let mut changes = Vec::new();
    for rootfs in &lock.rootfs {
        let arch = rootfs.arch;
        let before = previous.and_then(|previous| previous.rootfs(arch));
        let old: Vec<_> = before.iter().flat_map(|before| before.packages()).collect();
        for package in rootfs.packages() {
            let from = old.iter().find(|old| old.name == package.name);
            let same = |from: &&LockedPackage| {
                (from.identity, from.sha256) == (package.identity, package.sha256)
            };
            if !from.is_some_and(same) {
                changes.push(Change {
                    arch,
                    package: package.name.clone(),
                    from: from.map(|from| build(from)),
                    to: Some(build(package)),
                    local: package.local,
                });
            }
        }
        for gone in old {
            if !rootfs.packages().any(|package| package.name == gone.name) {
                changes.push(Change {
                    arch,
                    package: gone.name.clone(),
                    from: Some(build(gone)),
                    to: None,
                    local: gone.local,
                });
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_what_the_versions_and_identities_say() {
        let build = |version: &str, content: &str| {
            Some(Build {
                version: version.to_owned(),
                identity: Sha1::of(content.as_bytes()),
            })
        };
        let change = |from, to, local| Change {
            arch: Arch::X86_64,
            package: "a".to_owned(),
            from,
            to,
            local,
        };
        for (from, to, kind, text, warns) in [
            (None, build("1", ""), ChangeKind::Added, "+ a 1", false),
            (build("1", ""), None, ChangeKind::Removed, "- a 1", false),
            (
                build("1.9-r0", ""),
                build("1.10-r0", ""),
                ChangeKind::Upgraded,
                "~ a 1.9-r0 -> 1.10-r0",
                false,
            ),
            (
                build("1.0", ""),
                build("1.0_rc1", ""),
                ChangeKind::Downgraded,
                "! a 1.0 -> 1.0_rc1 (downgraded)",
                true,
            ),
            (
                build("1", "one"),
                build("1", "other"),
                ChangeKind::Rebuilt,
                "! a 1 (another build of the same version)",
                true,
            ),
        ] {
            let local = change(from.clone(), to.clone(), true);
            let change = change(from, to, false);
            assert_eq!(change.kind(), kind);
            assert_eq!(change.to_string(), text);
            assert_eq!(change.warning().is_some(), warns, "{text}");
            let told = local.warning().is_some();
            assert_eq!(told, kind == ChangeKind::Downgraded, "{text}");
        }
    }
}
