//! The end: directories get their modes, and the apk database its files.

use prebake_apk::digest::Sha1;
use prebake_apk::installed::Installed;
use prebake_apk::version::Dialect;
use prebake_apk::{scripts, triggers, world};

use super::base::guest;
use super::report::Report;
use super::{Merge, MergeError};
use crate::tree::{FileContent, Node, NodeKind, Tree};

impl Merge {
    /// Ends the merge: writes the apk database with `world`, the dependencies that were asked
    /// for in any order, and `arch`, and returns the tree and what else there is to say.
    pub fn finish(mut self, world: &[Vec<u8>], arch: &str) -> Result<(Tree, Report), MergeError> {
        if self.current.is_some() || self.leaving.is_some() {
            return Err(MergeError::Order("the merge ends within a package"));
        }
        if !self.triggered {
            self.begin_triggers(&[])?;
        }
        self.pass_over();
        self.date_made();
        let database = std::mem::take(&mut self.database);
        let mut packages = Vec::new();
        let mut kept_scripts = Vec::new();
        for installed in database.packages.into_values() {
            let mut package = installed.package;
            if self.dialect == Dialect::V3 {
                // apk 3 sorts the files of a directory, apk 2.14 keeps the archive's order.
                for directory in &mut package.directories {
                    directory
                        .files
                        .sort_by(|one, other| one.name.cmp(&other.name));
                }
            }
            packages.push(package);
            kept_scripts.extend(installed.scripts);
        }
        let identity: fn(Sha1) -> String = match self.dialect {
            Dialect::V2 => Sha1::to_apk,
            Dialect::V3 => |identity| format!("X1{identity}"),
        };
        let mut arch = arch.as_bytes().to_vec();
        arch.push(b'\n');
        let installed = Installed { packages }.to_text(self.dialect);
        self.generate(b"etc/apk/arch", arch)?;
        self.generate(b"etc/apk/world", world::to_text(world))?;
        self.generate(b"lib/apk/db/installed", installed)?;
        self.generate(
            b"lib/apk/db/scripts.tar",
            scripts::to_archive(&kept_scripts, identity),
        )?;
        self.generate(
            b"lib/apk/db/triggers",
            triggers::to_text(&database.triggers),
        )?;
        let lock = guest(b"lib/apk/db/lock");
        if self.dialect == Dialect::V2 && self.tree.follow(&lock).is_none() {
            self.generate(lock.as_bytes(), Vec::new())?;
            let id = self.tree.resolve(&lock).ok();
            let id = id.and_then(|name| self.tree.id(&name));
            if let Some(node) = id.and_then(|id| self.tree.node_mut(id)) {
                node.mode = 0o600;
            }
        }
        Ok((self.tree, self.report))
    }

    /// Writes a file of apk's own: a new one in the old one's place, root's and 0644.
    fn generate(&mut self, path: &[u8], content: Vec<u8>) -> Result<(), MergeError> {
        let path = guest(path);
        let place = self.generated_place();
        let name = self.with_parents(&path, self.epoch, place)?;
        if self.tree.get(&name).is_some_and(Node::is_directory) {
            return Err(MergeError::FileOverDirectory {
                path,
                package: "apk".to_owned(),
            });
        }
        let node = Node::new(
            NodeKind::File(FileContent::inline(content)),
            0o644,
            self.epoch,
            place,
        );
        self.put(name, node, place);
        Ok(())
    }
}
