//! Entries and packages of few names, so that they get into each other's way.

use std::collections::{BTreeMap, HashSet};

use prebake_apk::digest::Sha1;
use prebake_apk::entry::{Device, Entry, EntryKind};
use prebake_apk::installed::Stanza;
use prebake_apk::path::GuestPath;
use prebake_rootfs::merge::NewPackage;
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Attributes, Change, Made, Tree};
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

/// A change that a script is said to have made.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    let made = prop_oneof![
        3 => prop::sample::select(vec!["", "x", "y"]).prop_map(|text| Made::File(prebake_rootfs::tree::FileContent::inline(text.as_bytes()))),
        4 => Just(Made::Directory),
        2 => prop::sample::select(vec!["", "a", "..", "\0"])
            .prop_map(|target| Made::Symlink(target.as_bytes().to_vec())),
        1 => Just(Made::Fifo),
        1 => Just(Made::CharDevice(Device { major: 1, minor: 2 })),
    ];
    let attributes = || {
        let mode = prop::sample::select(vec![0o644, 0o755, 0o777, 0o777, 0o10000]);
        let name = prop::sample::select(vec!["", "user.a", "user.a=b"]);
        (mode, 0..2_u32, prop::option::weighted(0.2, name)).prop_map(|(mode, uid, name)| {
            let xattrs = name.map(|name| (name.into(), b"1".to_vec()));
            Attributes {
                mode,
                uid,
                gid: 0,
                mtime: 5,
                xattrs: xattrs.into_iter().collect(),
            }
        })
    };
    prop_oneof![
        2 => path().prop_map(|path| Change::Remove { path }),
        2 => (path(), attributes())
            .prop_map(|(path, attributes)| Change::Attributes { path, attributes }),
        6 => (path(), made, attributes()).prop_map(|(path, kind, attributes)| Change::Make {
            path,
            kind,
            attributes,
        }),
        2 => (path(), path()).prop_map(|(path, to)| Change::Link { path, to }),
    ]
}

/// A package of that name that has something.
pub(crate) fn package(name: &str) -> NewPackage {
    let mut stanza = Stanza::new(Sha1::of(name.as_bytes()), name.into(), "1".into());
    stanza.installed_size = 1;
    NewPackage {
        stanza,
        scripts: Vec::new(),
        triggers: Vec::new(),
    }
}

/// A directory's entry.
pub(crate) fn directory(name: &str) -> Entry {
    Entry {
        path: GuestPath::from_relative(name.as_bytes()).unwrap(),
        kind: EntryKind::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
        user: Vec::new(),
        group: Vec::new(),
        mtime: 0,
        xattrs: BTreeMap::new(),
        checksum: None,
        size: 0,
        offset: 0,
    }
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
