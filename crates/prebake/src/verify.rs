//! Holds a rootfs against its own apk database and against the lock it was baked from.

use std::collections::BTreeMap;
use std::fmt;

use prebake_apk::digest::Sha1;
use prebake_apk::installed::{Acl, InstalledPackage};
use prebake_apk::path::GuestPath;
use prebake_rootfs::merge::Script as PackageScript;
use prebake_rootfs::tree::NodeKind;
use prebake_rootfs::{Node, Tree};

use crate::arch::Arch;
use crate::lock::{Lock, LockedRootfs};
use crate::rootfs_file::RootfsFile;

/// What holding a rootfs against what is known of it came to.
#[derive(Debug)]
pub struct Verification {
    /// What does not fit. Empty for a rootfs in which everything does.
    pub findings: Vec<Finding>,
    /// What differs and may: files of `/etc` that a recipe or a script changed, and in a rootfs with
    /// the lock's identity whatever the recipe takes away or replaces.
    pub notes: Vec<Finding>,
    /// How many files of packages were held against the database.
    pub files: usize,
    /// How many packages the database has.
    pub packages: usize,
    /// The architecture, where the rootfs says it.
    pub arch: Option<Arch>,
    /// The scripts and triggers whose effect is not in it, as the lock of the same identity says.
    pub scripts_not_run: Vec<PackageScript>,
    /// Whether a lock was there to hold it against.
    pub locked: bool,
}

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The identity is not the lock's.
    Identity {
        /// What the lock says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The lock has no rootfs for the architecture.
    NotLocked {
        /// The architecture the rootfs says it is for.
        arch: String,
    },
    /// A package of the lock is not in the database, or not at that version.
    Package {
        /// Its name.
        name: String,
        /// The lock's version and identity.
        expected: String,
        /// The database's; `None` if it has none.
        found: Option<String>,
    },
    /// A package that the lock takes out is still there.
    NotRemoved {
        /// Its name.
        name: String,
    },
    /// A file of a package is not what the database says of it.
    File {
        /// The file.
        path: GuestPath,
        /// The package, `name-version`.
        package: String,
        /// What is wrong with it.
        problem: FileProblem,
    },
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileProblem {
    /// It is not there.
    Missing,
    /// Its content, or its target, is another.
    Content,
    /// It is something else: a directory, say.
    Kind,
    /// Its owner or mode is another.
    Owner {
        /// What the database says: `uid:gid:mode`.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity { expected, found } => {
                write!(f, "the identity is {found}, but the lock says {expected}")
            }
            Self::NotLocked { arch } => write!(f, "the lock has no rootfs for {arch}"),
            Self::Package {
                name,
                expected,
                found: None,
            } => {
                write!(
                    f,
                    "{name}: the lock installs {expected}, the database does not have it"
                )
            }
            Self::Package {
                name,
                expected,
                found: Some(found),
            } => {
                write!(
                    f,
                    "{name}: the lock installs {expected}, the database has {found}"
                )
            }
            Self::NotRemoved { name } => {
                write!(f, "{name}: the lock takes it out, the database has it")
            }
            Self::File {
                path,
                package,
                problem,
            } => {
                write!(f, "{path} of {package} ")?;
                match problem {
                    FileProblem::Missing => f.write_str("is missing"),
                    FileProblem::Content => f.write_str("has another content"),
                    FileProblem::Kind => f.write_str("is something else"),
                    FileProblem::Owner { expected, found } => {
                        write!(f, "has {found} and should have {expected}")
                    }
                }
            }
        }
    }
}

/// Holds `rootfs` against its own apk database, and against `lock` where there is one.
pub fn verify(rootfs: &RootfsFile, lock: Option<&Lock>) -> Verification {
    let arch = rootfs.base.arch.as_deref().and_then(Arch::from_name);
    let mut verification = Verification {
        findings: Vec::new(),
        notes: Vec::new(),
        files: 0,
        packages: rootfs.installed.packages.len(),
        arch,
        scripts_not_run: Vec::new(),
        locked: lock.is_some(),
    };
    if let Some(lock) = lock {
        match arch.and_then(|arch| lock.rootfs(arch)) {
            Some(locked) => against_lock(rootfs, locked, &mut verification.findings),
            None => verification.findings.push(Finding::NotLocked {
                arch: rootfs
                    .base
                    .arch
                    .clone()
                    .unwrap_or_else(|| "no architecture".to_owned()),
            }),
        }
    }
    let locked = lock.and_then(|lock| lock.rootfs(arch?));
    let as_locked = locked.filter(|locked| locked.identity == rootfs.identity);
    if let Some(locked) = as_locked {
        verification
            .scripts_not_run
            .clone_from(&locked.scripts_not_run);
    }
    against_database(rootfs, as_locked.is_some(), &mut verification);
    verification
}

fn against_lock(rootfs: &RootfsFile, locked: &LockedRootfs, findings: &mut Vec<Finding>) {
    if rootfs.identity != locked.identity {
        findings.push(Finding::Identity {
            expected: locked.identity.to_string(),
            found: rootfs.identity.to_string(),
        });
    }
    let find = |name: &str| {
        let mut packages = rootfs.installed.packages.iter();
        packages.find(|package| package.stanza.name == name.as_bytes())
    };
    for package in locked.packages() {
        let say = |version: &str, identity: Sha1| format!("{version} ({})", identity.to_apk());
        let found = find(&package.name);
        if found.is_none_or(|found| found.stanza.identity != package.identity) {
            findings.push(Finding::Package {
                name: package.name.clone(),
                expected: say(&package.version, package.identity),
                found: found.map(|found| {
                    let version = String::from_utf8_lossy(&found.stanza.version);
                    say(&version, found.stanza.identity)
                }),
            });
        }
    }
    for step in &locked.steps {
        if let crate::lock::Step::Remove { name, .. } = step
            && find(name).is_some()
        {
            findings.push(Finding::NotRemoved { name: name.clone() });
        }
    }
}

fn against_database(rootfs: &RootfsFile, as_locked: bool, verification: &mut Verification) {
    for package in &rootfs.installed.packages {
        for (path, acl, checksum) in files(package) {
            verification.files += 1;
            let problem = file_problem(&rootfs.tree, &path, acl, checksum);
            if let Some(problem) = problem {
                // apk itself leaves changed files of /etc alone: they are the administrator's. And
                // what is to the last byte as it was baked is as the recipe wants it.
                let may = as_locked || path.as_bytes().starts_with(b"etc/");
                let package = package.stanza.label();
                let finding = Finding::File {
                    path,
                    package,
                    problem,
                };
                let list = if may {
                    &mut verification.notes
                } else {
                    &mut verification.findings
                };
                list.push(finding);
            }
        }
    }
}

/// A file, and what the database says of its rights and its content.
pub(crate) type Checked = (GuestPath, Acl, Option<Sha1>);

/// Returns the files of a package, by path.
pub(crate) fn files(package: &InstalledPackage) -> Vec<Checked> {
    let mut files = BTreeMap::new();
    for directory in &package.directories {
        for file in &directory.files {
            if let Ok(path) = directory.path.join(&file.name) {
                files.insert(path, (file.acl, file.checksum));
            }
        }
    }
    files
        .into_iter()
        .map(|(path, (acl, checksum))| (path, acl, checksum))
        .collect()
}

/// Says what is wrong with a file; `None` if nothing is.
pub(crate) fn file_problem(
    tree: &Tree,
    path: &GuestPath,
    acl: Acl,
    checksum: Option<Sha1>,
) -> Option<FileProblem> {
    let Some(node) = lookup(tree, path) else {
        return Some(FileProblem::Missing);
    };
    let found = match &node.kind {
        NodeKind::File(file) => Some(file.sha1),
        NodeKind::Symlink(target) => Some(Sha1::of(target)),
        NodeKind::Directory => return Some(FileProblem::Kind),
        _ => None,
    };
    if checksum.is_some() && checksum != found {
        return Some(FileProblem::Content);
    }
    // A link's own mode means nothing, and archives differ in what they say of it.
    let is_link = matches!(node.kind, NodeKind::Symlink(_));
    let same_mode = is_link || node.mode == acl.mode;
    if (node.uid, node.gid) != (acl.uid, acl.gid) || !same_mode {
        let say = |uid, gid, mode| format!("{uid}:{gid}:{mode:o}");
        return Some(FileProblem::Owner {
            expected: say(acl.uid, acl.gid, acl.mode),
            found: say(node.uid, node.gid, node.mode),
        });
    }
    None
}

/// Returns what is at `path`, through directories that are links, and not through a last link.
fn lookup<'t>(tree: &'t Tree, path: &GuestPath) -> Option<&'t Node> {
    tree.get(&tree.real_name(path).ok()?)
}
