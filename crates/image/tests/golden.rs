//! Fixed trees and the digests that they must always have.
//!
//! An identity that changes breaks every lock that anybody has. A compressed digest that changes
//! is promised to be announced. Neither may happen by accident.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

#[path = "described/tree.rs"]
mod tree;

use prebake_apk::entry::{Device, Entry, EntryKind};
use prebake_image::gzip::COMPRESSOR;
use prebake_image::{tar, tar_gz};
use tree::{Description, NoSources};

/// Only a root.
fn empty() -> Description {
    Description::new()
}

/// A little of everything that ustar holds; one file is changed by `change`.
fn small_but(change: impl FnOnce(&mut Entry)) -> Description {
    let mut tree = Description::new();
    tree.add(b"bin", EntryKind::Directory, |_| {});
    tree.add(b"bin/busybox", EntryKind::File, |entry| {
        entry.mode = 0o4755;
        entry.size = 300_000;
        change(entry);
    });
    tree.add(
        b"bin/sh",
        EntryKind::Symlink(b"/bin/busybox".to_vec()),
        |_| {},
    );
    tree.add(
        b"bin/ash",
        EntryKind::Hardlink(prebake_apk::path::GuestPath::from_archive(b"bin/busybox").unwrap()),
        |_| {},
    );
    let null = EntryKind::CharDevice(Device { major: 1, minor: 3 });
    tree.add(b"dev/null", null, |entry| entry.mode = 0o666);
    tree.add(b"run/pipe", EntryKind::Fifo, |_| {});
    tree
}

/// What needs pax records.
fn extended() -> Description {
    let mut tree = Description::new();
    tree.add(&[b'n'; 150], EntryKind::File, |entry| entry.size = 3);
    tree.add(&[0xff; 150], EntryKind::File, |entry| {
        entry.mtime = -1;
        (entry.uid, entry.gid) = (3_000_000_000, 3_000_000_001);
        for name in [&b"user.b"[..], b"user.a", b"security.capability"] {
            entry.xattrs.insert(name.to_vec(), b"\0\n=".to_vec());
        }
    });
    tree
}

fn digests(description: &Description) -> (String, String) {
    let tree = description.tree();
    let options = tar_gz::Options::default();
    let written = tar_gz::write(&tree, &mut NoSources, &mut Vec::new(), &options).unwrap();
    let alone = tar::identity(&tree, &mut NoSources).unwrap();
    assert_eq!(alone.identity, written.identity);
    (written.identity.to_string(), written.compressed.to_string())
}

#[test]
fn fixed_trees_keep_their_digests() {
    for (name, description, identity, compressed) in [
        (
            "empty",
            empty(),
            "afe5c1fb31752ba60b4e2a717a24d04f73897e3be98748b1de151cb2c5900b82",
            "38585422789d714d852fb180d6d1ed6ccc6f813ebc8f9ceccf63a0e9e40ca405",
        ),
        (
            "small",
            small_but(|_| {}),
            "f8a193e7a54ff2be95f9c3212cc97b8905a818cb3ab58bc1890f3f909f105063",
            "7567a1594c2686ffc3ce5394ce38d3b77e0c5dedfca4727b526a7b8e1cf58ae5",
        ),
        (
            "extended",
            extended(),
            "d432df2b0341bb6f04625d46102f1d6aba685ee45ee5a01f9795e0ac0fe6f997",
            "6221123fcdb205168e036e3b25a9799d54294ee8138a292a512db68e53fc61f0",
        ),
    ] {
        let found = digests(&description);
        assert_eq!(
            found.0, identity,
            "the identity of `{name}` moved: every lock in the world is wrong now"
        );
        assert_eq!(
            found.1, compressed,
            "the compressed bytes of `{name}` moved; they were made by {COMPRESSOR}: if it was \
             upgraded, say so in the changelog"
        );
    }
}

/// The compressor that is named in locks is the one that is built in.
#[test]
fn the_compressor_is_the_one_that_is_named() {
    let lock = include_str!("../../../Cargo.lock");
    let (name, version) = COMPRESSOR.split_once(' ').unwrap();
    let package = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    assert!(lock.contains(&package), "Cargo.lock has no {COMPRESSOR}");
}

#[test]
fn anything_that_changes_changes_the_identity() {
    let (identity, _) = digests(&small_but(|_| {}));
    let changes: [fn(&mut Entry); 8] = [
        |entry| entry.mode = 0o755,
        |entry| entry.uid = 1,
        |entry| entry.gid = 1,
        |entry| entry.mtime += 1,
        |entry| entry.size += 1,
        |entry| entry.kind = EntryKind::Fifo,
        |entry| {
            entry.xattrs.insert(b"user.a".to_vec(), Vec::new());
        },
        |entry| entry.size -= 1,
    ];
    let mut seen = vec![identity];
    for (number, change) in changes.into_iter().enumerate() {
        let (identity, _) = digests(&small_but(change));
        assert!(!seen.contains(&identity), "change {number}");
        seen.push(identity);
    }
    // What is no part of a root filesystem changes nothing: an archive's names of owners.
    let (identity, _) = digests(&small_but(|entry| entry.user = b"somebody".to_vec()));
    assert_eq!(identity, seen[0]);
}
