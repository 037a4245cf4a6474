//! The parsed form of an index, which packages are chosen by before the index itself is read.

use std::path::PathBuf;

use prebake_apk::digest::Sha256;
use prebake_apk::index::{Index, Origin};
use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::signature::open_signed_index;
use prebake_apk::version::Dialect;

use crate::least;
use crate::mutation::{Chance, Mutation, bytes, structures};
use crate::table::{INDEX, TOOL, Table};

/// Returns the one parsed form that is in the cache.
fn derived(table: &Table) -> PathBuf {
    let folder = fs_err::read_dir(table.path("cache/v1/derived")).unwrap();
    let files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else {
        panic!("{files:?}");
    };
    file.clone()
}

/// Returns a parsed form whose checksum is right again after it was changed.
fn summed(mut changed: Vec<u8>) -> Vec<u8> {
    let body = changed.len() - 4;
    let mut crc = flate2::Crc::new();
    crc.update(&changed[..body]);
    changed.truncate(body);
    changed.extend(crc.sum().to_le_bytes());
    changed
}

/// Returns parsed forms of indexes that say something else, each under the true one's hash.
fn lies(table: &Table) -> Vec<Mutation> {
    let file = table.file(INDEX);
    let key = table.mirror.key();
    let mut keys = Keyring::new();
    let public = PublicKey::from_pem(key.public_pem().as_bytes()).unwrap();
    keys.insert(key.file_name(), public);
    let signed = open_signed_index(&file, &keys).unwrap();
    let origin = Origin::of(&signed, Sha256::of(&file));
    let text = String::from_utf8(signed.index_text).unwrap();
    let identity = |name: &str| {
        let packages = table.mirror.packages("main", "x86_64");
        let package = packages.iter().find(|package| package.name() == name);
        package.unwrap().identity().to_apk()
    };
    let told = [
        ("nothing at all", String::new()),
        ("no dependency", text.replace("D:data\n", "")),
        ("another dependency", text.replace("D:data\n", "D:rival\n")),
        (
            "no such dependency",
            text.replace("D:data\n", "D:nothing\n"),
        ),
        ("a newer version", text.replace("V:1.0-r0", "V:9.0-r0")),
        (
            "an identity of another",
            text.replace(&identity("data"), &identity("rival")),
        ),
        ("a name of another", text.replace("P:data\n", "P:tool\n")),
        (
            "the rival as the tool",
            text.replace("P:rival\n", "P:rival\np:tool=9\nk:9\n"),
        ),
        (
            "a version that leads elsewhere",
            text.replace("V:2.0-r0", "V:2.0-r0/../tool-1.0-r0"),
        ),
        ("another size", text.replace("\nS:", "\nS:1")),
    ];
    let lies = told.into_iter().filter_map(|(what, lie)| {
        let index = Index::parse(lie.into_bytes()).ok()?;
        Some(Mutation {
            what: what.to_owned(),
            bytes: index.to_parsed(&origin, Dialect::V2)?,
        })
    });
    lies.collect()
}

#[test]
fn the_parsed_form_of_an_index() {
    let test = "the_parsed_form_of_an_index";
    let mut chance = Chance::new(test);
    let mut table = Table::new(&chance);
    let file = derived(&table);
    let content = fs_err::read(&file).unwrap();
    let lock = table.read("prebake.lock");
    let mut changes = bytes(&content, 150, &mut chance);
    // The same with a checksum that fits, as only somebody makes who means it.
    let turned = bytes(&content, 200, &mut chance).into_iter();
    changes.extend(turned.map(|mutation| Mutation {
        what: format!("{} and a right checksum", mutation.what),
        bytes: summed(mutation.bytes),
    }));
    let other = table.file(TOOL);
    changes.extend(structures(&content, &[("a package", &other)], &mut chance));
    let lies = lies(&table);
    assert!(lies.len() >= 9, "{}", lies.len());
    changes.extend(lies);
    for mutation in changes {
        fs_err::write(&file, &mutation.bytes).unwrap();
        fs_err::remove_file(table.path("prebake.lock")).unwrap();
        let refused = table.judge("the parsed index", &mutation, false, &[]);
        assert!(!refused, "{}", mutation.what);
        // Nothing of it came into the lock, and it was made anew.
        assert!(table.read("prebake.lock") == lock, "{}", mutation.what);
        let now = fs_err::read(&file).unwrap_or_default();
        let is_gone = now != mutation.bytes || now == content;
        assert!(is_gone, "{} stays", mutation.what);
        fs_err::write(&file, &content).unwrap();
    }
    table.finish(test, least::PARSED);
}
