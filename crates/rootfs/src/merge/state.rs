//! Who owns what, while packages come and go.

use std::collections::{BTreeMap, HashMap};

use prebake_apk::digest::Sha1;
use prebake_apk::installed::{Acl, InstalledPackage, Stanza};
use prebake_apk::path::GuestPath;
use prebake_apk::scripts::PackageScripts;
use prebake_apk::triggers::Trigger;

/// Tells one installed package from another; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PackageId(u32);

/// The apk database and what follows from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    /// Installed packages in apk's order. The one that is being installed is not among them.
    pub(super) packages: BTreeMap<PackageId, Installed>,
    /// In apk's order: as they were read, then as they came.
    pub(super) triggers: Vec<Trigger>,
    by_name: HashMap<Vec<u8>, PackageId>,
    files: HashMap<GuestPath, Owned>,
    directories: BTreeMap<GuestPath, BTreeMap<PackageId, Acl>>,
    /// How many directories of packages are this or below it.
    references: HashMap<GuestPath, usize>,
    next: u32,
}

/// An installed package.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    pub(super) package: InstalledPackage,
    pub(super) scripts: Option<PackageScripts>,
    /// Whether it came in this merge.
    pub(super) new: bool,
}

/// Who owns a file and what the database says of its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned {
    pub(super) package: PackageId,
    pub(super) checksum: Option<Sha1>,
}

impl Database {
    /// Returns the number of the next package.
    pub(super) fn next_id(&mut self) -> PackageId {
        self.next += 1;
        PackageId(self.next)
    }

    /// Returns the installed package of that name.
    pub(super) fn find(&self, name: &[u8]) -> Option<PackageId> {
        self.by_name.get(name).copied()
    }

    /// Adds a package whose files and directories are known already.
    pub(super) fn insert(&mut self, id: PackageId, installed: Installed) {
        let name = installed.package.stanza.name.clone();
        self.by_name.insert(name, id);
        self.packages.insert(id, installed);
    }

    /// Adds a package with all that it owns: one of the base's.
    pub(super) fn load(&mut self, package: InstalledPackage, scripts: Option<PackageScripts>) {
        let id = self.next_id();
        for directory in &package.directories {
            self.add_directory(&directory.path, id, directory.acl);
            for file in &directory.files {
                if let Ok(path) = directory.path.join(&file.name) {
                    let checksum = file.checksum;
                    self.files.insert(
                        path,
                        Owned {
                            package: id,
                            checksum,
                        },
                    );
                }
            }
        }
        self.insert(
            id,
            Installed {
                package,
                scripts,
                new: false,
            },
        );
    }

    /// Takes a package out; what it owned is left to the caller.
    pub(super) fn take(&mut self, id: PackageId) -> Option<Installed> {
        let installed = self.packages.remove(&id)?;
        let stanza = &installed.package.stanza;
        if self.by_name.get(&stanza.name) == Some(&id) {
            self.by_name.remove(&stanza.name);
        }
        self.triggers
            .retain(|trigger| trigger.identity != stanza.identity);
        Some(installed)
    }

    /// Returns an installed package's fields.
    pub(super) fn stanza(&self, id: PackageId) -> Option<&Stanza> {
        Some(&self.packages.get(&id)?.package.stanza)
    }

    /// Returns who owns a file.
    pub(super) fn owner(&self, path: &GuestPath) -> Option<Owned> {
        self.files.get(path).copied()
    }

    /// Gives a file to a package and returns who had it.
    pub(super) fn own(&mut self, path: GuestPath, owned: Owned) -> Option<Owned> {
        self.files.insert(path, owned)
    }

    /// Leaves a file to nobody.
    pub(super) fn disown(&mut self, path: &GuestPath) {
        self.files.remove(path);
    }

    /// Takes a file out of a package's own list, as its line goes when another takes the file.
    pub(super) fn forget_file(&mut self, id: PackageId, path: &GuestPath) {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return;
        };
        if let Some(installed) = self.packages.get_mut(&id) {
            for directory in &mut installed.package.directories {
                if directory.path == parent {
                    directory.files.retain(|file| file.name != name);
                }
            }
        }
    }

    /// Notes that a package has a directory, with that owner and mode.
    pub(super) fn add_directory(&mut self, path: &GuestPath, id: PackageId, acl: Acl) {
        let owners = self.directories.entry(path.clone()).or_default();
        if owners.insert(id, acl).is_none() {
            for path in up(path) {
                *self.references.entry(path).or_default() += 1;
            }
        }
    }

    /// Notes that a package has a directory no longer.
    pub(super) fn remove_directory(&mut self, path: &GuestPath, id: PackageId) {
        let Some(owners) = self.directories.get_mut(path) else {
            return;
        };
        if owners.remove(&id).is_some() {
            if owners.is_empty() {
                self.directories.remove(path);
            }
            for path in up(path) {
                if let Some(count) = self.references.get_mut(&path) {
                    *count -= 1;
                }
            }
        }
    }

    /// Returns who has a directory, with the owner and mode each wants.
    pub(super) fn directory(&self, path: &GuestPath) -> Option<&BTreeMap<PackageId, Acl>> {
        self.directories.get(path)
    }

    /// Returns all directories that packages have.
    pub(super) fn directories(&self) -> impl Iterator<Item = &GuestPath> {
        self.directories.keys()
    }

    /// Says whether any package has this directory or one below it.
    pub(super) fn is_referenced(&self, path: &GuestPath) -> bool {
        self.references.get(path).is_some_and(|count| *count > 0)
    }
}

/// Returns a path and those above it, the root too.
pub(super) fn up(path: &GuestPath) -> impl Iterator<Item = GuestPath> {
    std::iter::successors(Some(path.clone()), GuestPath::parent)
}
