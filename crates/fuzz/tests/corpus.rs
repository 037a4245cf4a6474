//! Every target, over its seeds, its corpus and some thousand changes of them. The same on every
//! run; what looks for more is `cargo xtask fuzz`.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use prebake_fuzz::{TARGETS, Target, seeds};

/// How often what a target has is changed, and how often with `CI` set.
const CHANGES: usize = 2000;
const CHANGES_IN_CI: usize = 20_000;
/// How long what is given to a target may become, in bytes.
const LONGEST: usize = 8192;

fn folder(target: &str) -> PathBuf {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    corpus.join(target)
}

/// Returns the files of a target's corpus, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let entries = fs_err::read_dir(folder(target)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| fs_err::read(file).unwrap())
        .collect()
}

/// Gives bytes to a target, and says which they were if they break a promise.
fn give(target: Target, bytes: &[u8]) {
    let given = catch_unwind(|| (target.run)(bytes));
    assert!(
        given.is_ok(),
        "{} breaks its promise on \"{}\"",
        target.name,
        bytes.escape_ascii()
    );
}

/// A stream of numbers: xorshift, which is as good as this needs.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }
}

/// Changes bytes at one to four places, some with what stands elsewhere.
fn change(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let end = (at + chance.below(24)).min(bytes.len());
        match chance.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 if at < bytes.len() => bytes[at] = chance.below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let from = chance.below(other.len() + 1);
                let piece = &other[from..(from + chance.below(40)).min(other.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
            _ => bytes.insert(at, b"\0\n /=.:0\x1b\xff"[chance.below(10)]),
        }
    }
    bytes.truncate(LONGEST);
}

fn hold(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = *target.unwrap();
    let mut all = seeds::seeds(name);
    assert!(!all.is_empty(), "{name} has no seeds");
    all.extend(corpus(name));
    give(target, b"");
    for bytes in &all {
        give(target, bytes);
    }
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let changes = match std::env::var_os("CI") {
        Some(_) => CHANGES_IN_CI,
        None => CHANGES,
    };
    for _ in 0..changes {
        let mut bytes = all[chance.below(all.len())].clone();
        let other = chance.below(all.len());
        change(&mut bytes, &all[other], &mut chance);
        give(target, &bytes);
    }
}

macro_rules! held {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { hold(stringify!($name)); })*

        #[test]
        fn every_target_is_held_and_has_a_program() {
            let held = [$(stringify!($name)),*];
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, held);
            for name in names {
                let program = format!("../../fuzz/targets/{name}.rs");
                let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
                let text = fs_err::read_to_string(program).unwrap();
                assert!(text.contains(&format!("prebake_fuzz::run(\"{name}\", data)")), "{name}");
            }
        }
    };
}

held!(
    gzip,
    tar,
    pkginfo,
    package,
    index,
    parsed_index,
    index_file,
    key,
    version,
    dependency,
    installed,
    database,
    recipe,
    lock,
    record,
    range,
    url,
    wsl,
    manifest,
    kept,
    timestamp,
    capabilities,
    audit,
);

#[test]
fn seeds_reach_what_they_are_for() {
    use prebake::lock::Lock;
    use prebake::recipe::Recipe;
    use prebake::scripts::Record;
    let text = |name: &str| String::from_utf8(seeds::seeds(name)[0].clone()).unwrap();
    let path = Path::new("x");
    Recipe::parse(path, text("recipe")).unwrap();
    Lock::parse(path, &text("lock")).unwrap();
    Record::parse(path, &text("record")).unwrap();
    prebake_apk::pkginfo::PkgInfo::parse(&seeds::seeds("pkginfo")[0]).unwrap();
    assert!(prebake::fuzzing::manifest(&text("manifest")).is_ok());
    let kept = seeds::seeds("kept");
    assert!(prebake::fuzzing::listing(&kept[0][1..]).is_some());
    assert!(prebake::fuzzing::assembly(&kept[1][1..]).is_some());
    for bytes in seeds::seeds("capabilities") {
        assert!(prebake::fuzzing::capabilities(&bytes).is_some());
    }
    for database in seeds::seeds("installed") {
        prebake_apk::installed::Installed::parse(&database).unwrap();
    }
    for text in seeds::seeds("index") {
        prebake_apk::index::Index::parse(text[2..].to_vec()).unwrap();
    }
}

#[test]
fn corpora_are_small() {
    for target in TARGETS {
        let files = corpus(target.name);
        let bytes: usize = files.iter().map(Vec::len).sum();
        assert!(bytes <= 20_000, "{} has {bytes} bytes", target.name);
    }
}
