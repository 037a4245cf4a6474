//! Entries and packages of few names, so that they get into each other's way.

use std::collections::{BTreeMap, HashSet};

use prebake_apk::digest::Sha1;
use prebake_apk::entry::{Device, Entry, EntryKind};
use prebake_apk::installed::Stanza;
use prebake_apk::path::GuestPath;
use prebake_rootfs::Tree;
use prebake_rootfs::tree::FileContent;
use proptest::prelude::*;

/// A call of the merge.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An entry, of the base or of the package that has begun.
    Entry(Entry, Option<FileContent>),
    /// A package begins, which may replace the files of these.
    Begin(Box<Stanza>, Vec<u8>),
    /// A package goes.
    Remove(Vec<u8>),
}

fn path() -> impl Strategy<Value = GuestPath> {
    let part = prop::sample::select(vec!["a", "b", "etc", "lib", ".keep_", "a.apk-new"]);
    prop::collection::vec(part, 0..4).prop_filter_map("no path", |parts| {
        GuestPath::from_relative(parts.join("/").as_bytes()).ok()
    })
}

fn kind() -> impl Strategy<Value = EntryKind> {
    let target = prop::sample::select(vec!["", "/", "a", "../b", "/lib/a", "lib", "..", "\0"]);
    prop_oneof![
        4 => Just(EntryKind::File),
        4 => Just(EntryKind::Directory),
        2 => target.prop_map(|target| EntryKind::Symlink(target.as_bytes().to_vec())),
        2 => path().prop_map(EntryKind::Hardlink),
        1 => Just(EntryKind::Fifo),
        1 => Just(EntryKind::BlockDevice(Device { major: 1, minor: 2 })),
    ]
}

fn entry() -> impl Strategy<Value = Step> {
    (path(), kind(), 0..0o10000_u32, any::<bool>()).prop_map(|(path, kind, mode, whole)| {
        let content = FileContent::inline(path.as_bytes());
        let file = (kind == EntryKind::File && whole).then_some(content);
        let entry = Entry {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            user: b"root".to_vec(),
            group: b"root".to_vec(),
            mtime: 0,
            xattrs: BTreeMap::new(),
            checksum: Some(Sha1::new([0; 20])),
            size: 0,
            offset: 0,
        };
        Step::Entry(entry, file)
    })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(vec!["p", "q", "r"]);
    let begin = (name(), name(), any::<bool>()).prop_map(|(name, other, replaces)| {
        let stanza = Stanza::new(Sha1::of(name.as_bytes()), name.into(), "1".into());
        let replaces = if replaces { other } else { "" };
        Step::Begin(Box::new(stanza), replaces.into())
    });
    prop_oneof![
        12 => entry(),
        2 => begin,
        1 => name().prop_map(|name| Step::Remove(name.into())),
    ]
}

/// Checks that each directory is there and is one, and comes before what is in it.
pub(crate) fn assert_order(tree: &Tree) {
    let mut directories = HashSet::new();
    for (path, node, _) in tree.in_order() {
        if let Some(parent) = path.parent() {
            assert!(directories.contains(&parent), "{path}");
        }
        if node.is_directory() {
            directories.insert(path.clone());
        }
    }
    assert_eq!(tree.in_order().count(), tree.len());
}
