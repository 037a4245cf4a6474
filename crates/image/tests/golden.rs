//! Fixed trees and the digests that they must always have.
//!
//! An identity that changes breaks every lock that anybody has. A compressed digest that changes
//! is promised to be announced. Neither may happen by accident.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

#[path = "described/tree.rs"]
mod tree;

use prebake_apk::digest::Sha256;
use prebake_apk::entry::{Device, Entry, EntryKind};
use prebake_image::encoding::{COMPRESSORS, Encoding, Format, Level};
use prebake_image::{archive, tar};
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

/// Returns the identity, and the digest of the digests of the archives in all formats at all levels.
fn digests(description: &Description) -> (String, String) {
    let tree = description.tree();
    let mut compressed = Vec::new();
    let mut identity = None;
    for format in [Format::TarGz, Format::TarZst] {
        for level in Level::ALL {
            let encoding = Encoding { format, level };
            let out = &mut Vec::new();
            let written = archive::write(&tree, &mut NoSources, out, encoding, 1).unwrap();
            compressed.extend_from_slice(written.compressed.as_bytes());
            identity = Some(written.identity);
        }
    }
    let identity = identity.unwrap();
    let alone = tar::identity(&tree, &mut NoSources).unwrap();
    assert_eq!(alone.identity, identity);
    (identity.to_string(), Sha256::of(&compressed).to_string())
}

#[test]
fn fixed_trees_keep_their_digests() {
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (name, description, identity, compressed) in [
        (
            "empty",
            empty(),
            "afe5c1fb31752ba60b4e2a717a24d04f73897e3be98748b1de151cb2c5900b82",
            "12855f5f537fa19f60e38f6536f710b23e0378e7cd2fd258e6ac64bf86a33fb2",
        ),
        (
            "small",
            small_but(|_| {}),
            "f8a193e7a54ff2be95f9c3212cc97b8905a818cb3ab58bc1890f3f909f105063",
            "25be4fa1c6fc95ce3043100e7d246c125432342a1528efdf4f98be86249e7752",
        ),
        (
            "extended",
            extended(),
            "d432df2b0341bb6f04625d46102f1d6aba685ee45ee5a01f9795e0ac0fe6f997",
            "75bd64adcb6b5903e54a80356d8b6a9cc18b086a3a6ee7d66823bdfedad69b83",
        ),
    ] {
        let digests = digests(&description);
        found.push((name, digests.0, digests.1));
        expected.push((name, identity.to_owned(), compressed.to_owned()));
    }
    assert_eq!(
        found, expected,
        "an identity that moved means that every lock in the world is wrong now; compressed bytes \
         were made by {COMPRESSORS:?}: if one was upgraded, say so in the changelog"
    );
}

/// The compressors that segments are known by are the ones that are built in.
#[test]
fn the_compressors_are_the_ones_that_are_named() {
    let lock = include_str!("../../../Cargo.lock");
    for compressor in COMPRESSORS {
        let (name, version) = compressor.split_once(' ').unwrap();
        let package = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&package), "Cargo.lock has no {compressor}");
    }
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
