//! Putting a package's files in place, and taking those of its old version away.

use prebake_apk::digest::Sha1;
use prebake_apk::installed::{InstalledDirectory, InstalledFile, InstalledPackage};
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_apk::scripts::PackageScripts;
use prebake_apk::triggers::Trigger;

use super::package::{NOT_BEGUN, PendingFile};
use super::state::Installed;
use super::{Merge, MergeError};
use crate::tree::{Node, NodeKind, ResolveError};

/// What apk adds to the name of a file that it may not put in place.
const NEW_SUFFIX: &[u8] = b".apk-new";

impl Merge {
    /// Ends the package that has begun: its files get their names, what only its old version
    /// had goes away, and the database has it.
    pub fn end_package(&mut self) -> Result<(), MergeError> {
        let pending = self.current.take().ok_or(NOT_BEGUN)?;
        self.pass_over();
        let old_version = self.version(pending.old);
        let label = pending.stanza.label();
        let mut directories = Vec::with_capacity(pending.directories.len());
        for directory in pending.directories {
            let protected = self.protected.covers(&directory.path);
            let mut installed = InstalledDirectory::new(directory.path, directory.acl);
            for file in directory.files {
                self.rename(&label, &installed.path, &file, protected)?;
                installed.files.push(InstalledFile {
                    name: file.name,
                    acl: file.acl,
                    checksum: file.checksum,
                });
            }
            directories.push(installed);
        }
        if let Some(old) = pending.old {
            self.purge(old);
        }
        let stanza = pending.stanza;
        let kind = match pending.old {
            None => ScriptKind::PostInstall,
            Some(_) => ScriptKind::PostUpgrade,
        };
        self.make_due(&stanza, old_version, &pending.scripts, kind);
        if !pending.triggers.is_empty() {
            self.database.triggers.push(Trigger {
                identity: stanza.identity,
                patterns: pending.triggers.join(&b' '),
            });
        }
        let scripts = (!pending.scripts.is_empty()).then(|| PackageScripts {
            identity: stanza.identity,
            label: label.into_bytes(),
            mtime: self.build_time(&stanza),
            scripts: pending.scripts,
        });
        let package = InstalledPackage {
            stanza,
            directories,
        };
        self.database.insert(
            pending.id,
            Installed {
                package,
                scripts,
                new: true,
            },
        );
        Ok(())
    }

    /// Gives a staged file its name, as rename(2) would, unless what is there is protected.
    fn rename(
        &mut self,
        package: &str,
        directory: &GuestPath,
        file: &PendingFile,
        protected: bool,
    ) -> Result<(), MergeError> {
        let path = directory
            .join(&file.name)
            .map_err(|_| MergeError::Order("a file has a name that is none"))?;
        let unreachable = |source: ResolveError| MergeError::Unreachable {
            path: path.clone(),
            package: package.to_owned(),
            source,
        };
        let mut name = self.tree.real_name(&path).map_err(unreachable)?;
        let there = self.tree.get(&name);
        if there.is_some_and(Node::is_directory) {
            return Err(MergeError::FileOverDirectory {
                path,
                package: package.to_owned(),
            });
        }
        if let (true, Some(node)) = (protected, there) {
            let now = digest(node);
            if now.is_none() || now != file.previous {
                // Somebody changed it, or it was there before any package had it.
                if now.is_some() && now == file.checksum {
                    return Ok(());
                }
                let mut aside = name.as_bytes().to_vec();
                aside.extend_from_slice(NEW_SUFFIX);
                name = GuestPath::from_relative(&aside)
                    .map_err(|_| unreachable(ResolveError::Target(path.clone())))?;
                if self.tree.get(&name).is_some_and(Node::is_directory) {
                    return Err(MergeError::FileOverDirectory {
                        path: name,
                        package: package.to_owned(),
                    });
                }
                self.report.new_files.retain(|earlier| *earlier != name);
                self.report.new_files.push(name.clone());
            }
        }
        if name != path && self.database.owner(&name).is_some() && self.tree.get(&name).is_some() {
            self.report.warnings.push(format!(
                "{package} brings {path}, which is {name} of another package by a link"
            ));
        }
        self.tree.link(name, file.node, file.place);
        Ok(())
    }
}

/// Returns the digest that the database would have of what a node holds.
pub(super) fn digest(node: &Node) -> Option<Sha1> {
    match &node.kind {
        NodeKind::File(file) => Some(file.sha1),
        NodeKind::Symlink(target) => Some(Sha1::of(target)),
        _ => None,
    }
}
