//! From nothing: what `apk --initdb add` makes before the first package.
//!
//! Measured on apk 2.14.4. The order is that in which it is made; packages come into directories
//! that are there before them, so that none of them settles their owners and modes. `world` and
//! the database are written last, as ever; until then `world` and `installed` are empty.
//!
//! apk 3 makes no devices and no more directories than it writes to (from the format notes). Its
//! new roots have `scripts.tar.gz`; here they have `scripts.tar`, which it goes on with where it
//! finds it.

use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;

use super::base::{NamedFile, guest};
use super::{Merge, MergeError};
use crate::tree::{FileContent, Node, NodeKind};

/// The directories of apk 2.14, with their modes.
const DIRECTORIES: [(&str, u32); 8] = [
    ("tmp", 0o1777),
    ("dev", 0o755),
    ("etc/apk", 0o755),
    ("lib/apk/db", 0o755),
    ("var/cache/apk", 0o755),
    ("var/cache/misc", 0o755),
    ("proc", 0o555),
    ("etc/apk/keys", 0o755),
];

/// Its devices below `dev`: name, mode, major and minor number.
const DEVICES: [(&str, u32, u32, u32); 5] = [
    ("null", 0o666, 1, 3),
    ("zero", 0o666, 1, 5),
    ("random", 0o666, 1, 8),
    ("urandom", 0o666, 1, 9),
    ("console", 0o600, 5, 1),
];

impl Merge {
    /// Begins with what apk makes of an empty folder, and with `keys` in `etc/apk/keys`, as if
    /// somebody had put them there before. There is no base to tell of then: packages come next.
    ///
    /// All of it gets the time that the merge has in the end: see [`Merge::set_epoch`].
    ///
    /// # Errors
    ///
    /// If a key's name is none that a file can have.
    pub fn scratch(
        epoch: i64,
        dialect: Dialect,
        arch: &str,
        keys: &[NamedFile],
    ) -> Result<Self, MergeError> {
        let mut merge = Self::new(epoch);
        merge.dialect = dialect;
        merge.made.extend(merge.tree.id(&GuestPath::root()));
        for (path, mode) in DIRECTORIES {
            let needed = match path {
                "etc/apk" | "lib/apk/db" => true,
                "etc/apk/keys" => !keys.is_empty(),
                _ => dialect == Dialect::V2,
            };
            if needed {
                merge.make_directory(path, mode)?;
            }
        }
        if dialect == Dialect::V2 {
            for (name, mode, major, minor) in DEVICES {
                let device = NodeKind::CharDevice(Device { major, minor });
                merge.make_node(guest(format!("dev/{name}").as_bytes()), device, mode)?;
            }
        }
        if dialect == Dialect::V2 {
            // What scripts see of the database before it is written.
            let arch = format!("{arch}\n");
            for (path, text, mode) in [
                ("lib/apk/db/installed", "", 0o644),
                ("lib/apk/db/lock", "", 0o600),
                ("etc/apk/arch", arch.as_str(), 0o644),
                ("etc/apk/world", "", 0o644),
            ] {
                let file = NodeKind::File(FileContent::inline(text.as_bytes()));
                merge.make_node(guest(path.as_bytes()), file, mode)?;
            }
        }
        for (name, bytes) in keys {
            let path = Some(name).filter(|name| !name.is_empty() && !name.contains(&b'/'));
            let path = path.and_then(|name| guest(b"etc/apk/keys").join(name).ok());
            let path = path.ok_or_else(|| MergeError::KeyName {
                name: String::from_utf8_lossy(name).into_owned(),
            })?;
            let file = NodeKind::File(FileContent::inline(bytes.as_slice()));
            merge.make_node(path, file, 0o644)?;
        }
        Ok(merge)
    }

    fn make_directory(&mut self, path: &str, mode: u32) -> Result<(), MergeError> {
        let mut at = String::new();
        for part in path.split('/') {
            if !at.is_empty() {
                at.push('/');
            }
            at.push_str(part);
            let directory = guest(at.as_bytes());
            if self.tree.get(&directory).is_none() {
                let mode = if at == path { mode } else { 0o755 };
                self.make_node(directory, NodeKind::Directory, mode)?;
            }
        }
        Ok(())
    }

    /// Makes something whose directory is there, that gets its time in the end.
    pub(super) fn make_node(
        &mut self,
        path: GuestPath,
        kind: NodeKind,
        mode: u32,
    ) -> Result<(), MergeError> {
        let place = self.next_place();
        let path = self.with_parents(&path, self.epoch, place)?;
        let id = self.put(path, Node::new(kind, mode, self.epoch, place), place);
        self.made.push(id);
        Ok(())
    }

    /// Gives what apk makes the time that the merge has in the end.
    pub(super) fn date_made(&mut self) {
        for id in std::mem::take(&mut self.made) {
            if let Some(node) = self.tree.node_mut(id) {
                node.mtime = self.epoch;
            }
        }
    }
}
