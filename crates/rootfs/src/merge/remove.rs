//! Packages that go.

use std::collections::BTreeSet;

use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;

use super::commit::digest;
use super::report::Script;
use super::state::{PackageId, up};
use super::{Merge, MergeError};
use crate::tree::Node;

impl Merge {
    /// Removes an installed package: its files but for changed protected ones, and the
    /// directories that are empty then and of no other package.
    pub fn remove_package(&mut self, name: &[u8]) -> Result<(), MergeError> {
        self.next_source()?;
        let id = self.database.find(name);
        let id = id.ok_or_else(|| MergeError::NotInstalled {
            name: String::from_utf8_lossy(name).into_owned(),
        })?;
        if let Some(installed) = self.database.packages.get(&id) {
            let package = installed.package.stanza.label();
            for kind in [ScriptKind::PreDeinstall, ScriptKind::PostDeinstall] {
                let scripts = installed.scripts.iter().flat_map(|own| &own.scripts);
                if scripts.into_iter().any(|(own, _)| *own == kind) {
                    let package = package.clone();
                    self.report.scripts.push(Script { package, kind });
                }
            }
        }
        self.purge(id);
        Ok(())
    }

    /// Takes a package out of the database, and out of the tree what is still its own.
    pub(super) fn purge(&mut self, id: PackageId) {
        let Some(installed) = self.database.take(id) else {
            return;
        };
        let directories = installed.package.directories;
        for directory in &directories {
            self.touch(&directory.path, None);
            let protected = self.protected.covers(&directory.path);
            for file in &directory.files {
                let Ok(path) = directory.path.join(&file.name) else {
                    continue;
                };
                let owner = self.database.owner(&path);
                if owner.is_none_or(|owned| owned.package != id) {
                    continue;
                }
                self.database.disown(&path);
                let Ok(name) = self.tree.real_name(&path) else {
                    continue;
                };
                let Some(node) = self.tree.get(&name) else {
                    continue;
                };
                let kept = protected && digest(node) != file.checksum;
                if kept || node.is_directory() {
                    continue;
                }
                // Through a link the file may be another package's by another name. apk 2.14
                // does not notice, apk 3 does.
                let other = Some(&name).filter(|name| **name != path);
                let other = other.and_then(|name| self.database.owner(name)).is_some();
                if other && self.dialect == Dialect::V3 {
                    continue;
                }
                if other {
                    self.report.warnings.push(format!(
                        "{path} is gone, and with it {name}, which is the same file to apk 2.14"
                    ));
                }
                self.tree.unlink(&name);
            }
        }
        let mut left = BTreeSet::new();
        for directory in &directories {
            self.database.remove_directory(&directory.path, id);
            left.extend(up(&directory.path));
        }
        // The deepest first: what is below a path sorts after it.
        for path in left.into_iter().rev() {
            self.leave(&path);
        }
    }

    /// Removes a directory that no package has any more, if it is one and empty.
    fn leave(&mut self, path: &GuestPath) {
        if path.is_root() || self.database.is_referenced(path) {
            return;
        }
        self.touched.remove(path);
        let Ok(name) = self.tree.real_name(path) else {
            return;
        };
        let directory = self.tree.get(&name).is_some_and(Node::is_directory);
        if directory && !self.tree.has_children(&name) {
            self.tree.unlink(&name);
        }
    }
}
