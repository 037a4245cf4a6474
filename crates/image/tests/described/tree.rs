//! Trees that tests describe entry by entry, with contents in memory.

use std::collections::BTreeMap;
use std::io::{self, Read};

use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::path::GuestPath;
use prebake_image::Sources;
use prebake_rootfs::merge::Merge;
use prebake_rootfs::tree::{FileContent, SourceId, Tree};

/// Contents are all in memory here.
pub(crate) struct NoSources;

impl Sources for NoSources {
    fn open(&mut self, source: SourceId) -> io::Result<Box<dyn Read>> {
        panic!("{source:?} was opened");
    }
}

/// A tree that is being described.
pub(crate) struct Description(pub(crate) Merge);

impl Description {
    pub(crate) fn new() -> Self {
        let mut tree = Self(Merge::new(0));
        tree.add(b".", EntryKind::Directory, |_| {});
        tree
    }

    pub(crate) fn add(&mut self, name: &[u8], kind: EntryKind, change: impl FnOnce(&mut Entry)) {
        let mode = match kind {
            EntryKind::Directory => 0o755,
            EntryKind::Symlink(_) => 0o777,
            _ => 0o644,
        };
        let mut entry = Entry {
            path: GuestPath::from_archive(name).unwrap(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            user: Vec::new(),
            group: Vec::new(),
            mtime: 1_700_000_000,
            xattrs: BTreeMap::new(),
            checksum: None,
            size: 0,
            offset: 0,
        };
        change(&mut entry);
        let file = (entry.kind == EntryKind::File)
            .then(|| FileContent::inline(&*content(entry.path.as_bytes(), entry.size)));
        self.0.base_entry(entry, file).unwrap();
    }

    pub(crate) fn tree(&self) -> Tree {
        self.0.tree().clone()
    }
}

/// Some content for a file of that name and size.
fn content(name: &[u8], size: u64) -> Vec<u8> {
    name.iter().copied().cycle().take(size as usize).collect()
}
