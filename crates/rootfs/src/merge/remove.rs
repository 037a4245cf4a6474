//! Packages that go.

use std::collections::BTreeSet;

use prebake_apk::installed::Stanza;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;

use super::commit::digest;
use super::state::{PackageId, up};
use super::{Merge, MergeError};
use crate::tree::Node;

impl Merge {
    /// Removes an installed package: its files but for changed protected ones, and the
    /// directories that are empty then and of no other package. None of its scripts is run.
    pub fn remove_package(&mut self, name: &[u8]) -> Result<(), MergeError> {
        self.begin_removal(name)?;
        self.end_removal()
    }

    /// Begins to remove an installed package: nothing has gone yet, and its `pre-deinstall` is
    /// due.
    pub fn begin_removal(&mut self, name: &[u8]) -> Result<(), MergeError> {
        let id = self.database.find(name);
        let stanza = id.and_then(|id| self.database.stanza(id));
        let label = stanza.map(Stanza::label).unwrap_or_default();
        self.next_source(name, label)?;
        let id = id.ok_or_else(|| MergeError::NotInstalled {
            name: String::from_utf8_lossy(name).into_owned(),
        })?;
        self.leaving = Some(id);
        self.deinstall_due(id, ScriptKind::PreDeinstall);
        Ok(())
    }

    /// Removes the package whose removal has begun; its `post-deinstall` is due.
    pub fn end_removal(&mut self) -> Result<(), MergeError> {
        let id = self.leaving.take();
        let id = id.ok_or(MergeError::Order("no removal has begun"))?;
        self.pass_over();
        self.deinstall_due(id, ScriptKind::PostDeinstall);
        self.purge(id);
        Ok(())
    }

    fn deinstall_due(&mut self, id: PackageId, kind: ScriptKind) {
        let Some(installed) = self.database.packages.get(&id) else {
            return;
        };
        if let Some(own) = installed.scripts.clone() {
            let stanza = installed.package.stanza.clone();
            self.make_due(&stanza, None, &own.scripts, kind);
        }
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
