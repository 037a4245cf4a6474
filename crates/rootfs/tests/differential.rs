//! Our tree against what the real apk leaves in the same base.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what is wrong by ending, and why it did nothing"
)]

mod oracle;

use std::path::{Path, PathBuf};

use oracle::ours::{self, EPOCH, Lines, Repository};
use oracle::root::{Root, unpack};
use prebake_apk::path::GuestPath;
use prebake_apk::world;

/// The files that apk stamps with the present time and we with the epoch.
const STAMPED: [&str; 5] = [
    "etc/apk/arch",
    "etc/apk/world",
    "lib/apk/db/installed",
    "lib/apk/db/scripts.tar",
    "lib/apk/db/triggers",
];

struct Case<'a> {
    base: PathBuf,
    arch: &'a str,
    /// Holds `<arch>/APKINDEX.tar.gz`.
    repository: PathBuf,
    extra_keys: Option<PathBuf>,
    /// More arguments for apk.
    options: &'a [&'a str],
}

/// Takes the time away from what has none to compare.
fn untimed(lines: &mut Lines) {
    for path in STAMPED {
        if let Some(line) = lines.get_mut(path) {
            let mut fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
            "-".clone_into(&mut fields[3]);
            *line = fields.join("\t");
        }
    }
}

/// Installs with both and compares; returns how many names were compared.
fn check(case: &Case, oracle: &Path, packages: &[&str]) -> usize {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    unpack(&case.base, &root);
    let keys = temp.path().join("keys");
    fs_err::create_dir(&keys).unwrap();
    let folders = [Some(root.join("etc/apk/keys")), case.extra_keys.clone()];
    for folder in folders.into_iter().flatten() {
        for key in fs_err::read_dir(folder).unwrap() {
            let key = key.unwrap();
            fs_err::copy(key.path(), keys.join(key.file_name())).unwrap();
        }
    }
    let repositories = temp.path().join("repositories");
    fs_err::write(&repositories, format!("{}\n", case.repository.display())).unwrap();
    let root = Root {
        path: root,
        arch: case.arch.to_owned(),
        keys,
        repositories,
        oracle: oracle.to_owned(),
    };
    let mut arguments = case.options.to_vec();
    arguments.extend(["add", "--no-scripts"]);
    arguments.extend(packages);
    let mut wanted = world::parse(&root.read("etc/apk/world"));
    wanted.extend(packages.iter().map(|name| name.as_bytes().to_vec()));
    let outcome = root.apk(&arguments);
    assert!(outcome.success, "{packages:?}: {}", outcome.output);

    let mut merge = ours::base(&case.base);
    let repository = Repository::open(&case.repository.join(case.arch));
    ours::apply(&mut merge, &repository, &outcome.changes).unwrap();
    let (tree, report) = merge.finish(&wanted, case.arch).unwrap();
    assert_eq!(report.new_files, [], "{packages:?}");

    for path in STAMPED {
        let guest = GuestPath::from_relative(path.as_bytes()).unwrap();
        let ours = String::from_utf8_lossy(tree.inline(&guest).unwrap_or_default()).into_owned();
        let theirs = String::from_utf8_lossy(&root.read(path)).into_owned();
        assert_same_text(&format!("{packages:?}: {path}"), &ours, &theirs);
        assert_eq!(tree.follow(&guest).unwrap().mtime, EPOCH);
    }
    let (mut ours, mut theirs) = (ours::lines(&tree), root.lines());
    untimed(&mut ours);
    untimed(&mut theirs);
    assert_same(&format!("{packages:?}"), &ours, &theirs);
    theirs.len()
}

/// Says where two texts part.
fn assert_same_text(what: &str, ours: &str, theirs: &str) {
    let mut lines = ours.lines().zip(theirs.lines()).enumerate();
    if let Some((at, (one, other))) = lines.find(|(_, (one, other))| one != other) {
        panic!("{what}, line {}:\nours   {one}\ntheirs {other}", at + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{what}: one goes on");
}

/// Says all that differs.
fn assert_same(what: &str, ours: &Lines, theirs: &Lines) {
    let mut problems = Vec::new();
    for (path, line) in theirs {
        match ours.get(path) {
            Some(own) if own == line => {}
            Some(own) => problems.push(format!("{path}\n  ours   {own}\n  theirs {line}")),
            None => problems.push(format!("{path} is missing\n  theirs {line}")),
        }
    }
    for path in ours.keys().filter(|path| !theirs.contains_key(*path)) {
        problems.push(format!("{path} is too much"));
    }
    assert!(problems.is_empty(), "{what}:\n{}", problems.join("\n"));
}

#[test]
fn the_recipe_on_3_20() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let case = Case {
        base: alpine.join("v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz"),
        arch: "x86_64",
        repository: alpine.join("v3.20/main"),
        extra_keys: Some(alpine.join("keys")),
        options: &[],
    };
    let count = check(&case, &shared.join("oracle/apk"), &["gcompat", "iptables"]);
    assert!(count > 500, "{count}");
}

#[test]
fn five_packages_on_3_19() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let case = Case {
        base: alpine.join("v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz"),
        arch: "x86_64",
        repository: alpine.join("v3.19/main"),
        extra_keys: None,
        options: &[],
    };
    let world = ["openssh", "git", "jq", "e2fsprogs", "sfdisk"];
    let count = check(&case, &shared.join("oracle/apk"), &world);
    assert!(count > 1000, "{count}");
}

#[test]
fn openssh_on_3_13_for_arm() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let case = Case {
        base: alpine.join("v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz"),
        arch: "aarch64",
        repository: alpine.join("v3.13/main"),
        extra_keys: None,
        options: &[],
    };
    let count = check(&case, &shared.join("oracle/apk"), &["openssh"]);
    assert!(count > 500, "{count}");
}
