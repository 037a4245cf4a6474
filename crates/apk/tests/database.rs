//! apk's databases: what the real apk wrote is read and written back, byte for byte, and what an
//! index says of a package follows from the package.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::collections::HashMap;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha1;
use prebake_apk::gzip;
use prebake_apk::installed::{Installed, Stanza};
use prebake_apk::package::Package;
use prebake_apk::version::Dialect;
use prebake_apk::{scripts, tar, triggers, world};
use prebake_testkit::shared::real_mirror;

/// Returns members of a compressed archive by name.
fn members(archive: &Path, wanted: &[&str]) -> HashMap<String, Vec<u8>> {
    let file = BufReader::new(fs_err::File::open(archive).unwrap());
    let mut reader = tar::Reader::new(gzip::Reader::new(file));
    let mut found = HashMap::new();
    while let Some(entry) = reader.next().unwrap() {
        let name = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        if wanted.contains(&name.as_str()) {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            found.insert(name, bytes);
        }
    }
    assert_eq!(found.len(), wanted.len(), "{}", archive.display());
    found
}

const BASES: [&str; 4] = [
    "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz",
    "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz",
    "v3.20/releases/aarch64/alpine-minirootfs-3.20.3-aarch64.tar.gz",
    "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz",
];

#[test]
fn the_databases_of_official_bases_round_trip() {
    let Some(alpine) = real_mirror("the_databases_of_official_bases_round_trip") else {
        return;
    };
    for base in BASES {
        let files = members(
            &alpine.join(base),
            &[
                "lib/apk/db/installed",
                "lib/apk/db/scripts.tar",
                "lib/apk/db/triggers",
                "etc/apk/world",
            ],
        );
        let text = &files["lib/apk/db/installed"];
        let installed = Installed::parse(text).unwrap();
        assert_eq!(
            installed.packages.len(),
            if base.starts_with("v3.19") { 15 } else { 14 }
        );
        let again = String::from_utf8(installed.to_text(Dialect::V2)).unwrap();
        let text = String::from_utf8(text.clone()).unwrap();
        if base.starts_with("v3.13") {
            // apk 2.12 wrote this one, and did not sort the packages yet.
            assert_eq!(blocks(&again), blocks(&text), "{base}");
        } else {
            assert_eq!(again, text, "{base}");
        }
        let archive = &files["lib/apk/db/scripts.tar"];
        let kept = scripts::parse(archive).unwrap();
        let again = scripts::to_archive(&kept, Sha1::to_apk);
        // apk 2.12 gave the scripts of one package several times, 2.14 the one of its build.
        let same = again == *archive || base.starts_with("v3.13");
        assert!(same, "{base}: scripts.tar");
        assert_eq!(scripts::parse(&again).unwrap(), kept, "{base}");
        let text = &files["lib/apk/db/triggers"];
        assert_eq!(triggers::to_text(&triggers::parse(text).unwrap()), *text);
        let text = &files["etc/apk/world"];
        assert_eq!(world::to_text(&world::parse(text)), *text);
    }
}

/// Returns the packages' texts, sorted.
fn blocks(text: &str) -> Vec<&str> {
    let mut blocks: Vec<_> = text.split("\n\n").collect();
    blocks.sort_unstable();
    blocks
}

#[test]
fn an_index_follows_from_its_packages() {
    let Some(alpine) = real_mirror("an_index_follows_from_its_packages") else {
        return;
    };
    let mut compared = 0;
    for folder in [
        "v3.13/main/aarch64",
        "v3.19/main/x86_64",
        "v3.20/main/x86_64",
    ] {
        let folder = alpine.join(folder);
        let index = members(&folder.join("APKINDEX.tar.gz"), &["APKINDEX"]);
        let index = String::from_utf8(index["APKINDEX"].clone()).unwrap();
        let stanzas: HashMap<String, Stanza> = index
            .split("\n\n")
            .filter(|block| !block.trim().is_empty())
            .map(|block| Stanza::parse(block.as_bytes()).unwrap())
            .map(|stanza| (stanza.label(), stanza))
            .collect();
        for path in packages(&folder) {
            let size = fs_err::metadata(&path).unwrap().len();
            let package =
                Package::open(BufReader::new(fs_err::File::open(&path).unwrap())).unwrap();
            let mut own = Stanza::from_package(package.info(), package.identity(), size);
            let theirs = &stanzas[&own.label()];
            // Alpine's index names the folder's architecture for `noarch`, and tells nothing of
            // what only an installed package has.
            own.arch.clone_from(&theirs.arch);
            own.replaces.clear();
            own.replaces_priority = 0;
            assert_eq!(own, *theirs);
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}

fn packages(folder: &Path) -> Vec<PathBuf> {
    let files = fs_err::read_dir(folder).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "apk"))
        .collect()
}

#[test]
fn damage_is_told_with_its_line() {
    let whole = b"C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1\n";
    Installed::parse(whole).unwrap();
    for (more, problem) in [
        (
            "x",
            "line 4 of the database of installed packages has no `letter:`",
        ),
        ("R:f", "has `R:` where nothing came before"),
        ("F:a/../b", "has a `..` part"),
        ("F:a\nR:b/c", "line 5"),
        ("F:a\nR:..", "has a `..` part"),
        ("F:a\na:0:0:644", "has `a:` where nothing came before"),
        ("F:a\nM:0:0:99", "not right for `M:`"),
        ("F:a\nM:0:0:10000", "not right for `M:`"),
        ("F:a\nR:b\nZ:nothing", "not right for `Z:`"),
        ("S:-1", "not right for `S:`"),
        ("X:1", "unknown field `X:`"),
        ("\nP:b\n", "has no name, version or identity"),
    ] {
        let text = [&whole[..], more.as_bytes()].concat();
        let error = Installed::parse(&text).unwrap_err().to_string();
        assert!(error.contains(problem), "{more:?}: {error}");
    }
    triggers::parse(b"nothing /d\n").unwrap_err();
    let header = scripts::to_archive(&[], Sha1::to_apk);
    assert_eq!(header, [0; 1024]);
    scripts::parse(&[b'x'; 512]).unwrap_err();
    scripts::parse(&[b'x'; 100]).unwrap();
}
