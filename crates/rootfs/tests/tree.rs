//! The tree itself, by its dump: bases of any kind, the recipe's files, the order of writing.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by ending")]

use std::collections::BTreeMap;
use std::sync::Arc;

use prebake_apk::digest::Sha1;
use prebake_apk::entry::{Device, Entry, EntryKind};
use prebake_apk::installed::Stanza;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;
use prebake_rootfs::merge::{NewPackage, Owner, Script};
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Change, Merge, MergeError, Tree};

fn path(name: &str) -> GuestPath {
    GuestPath::from_relative(name.as_bytes()).unwrap()
}

fn entry(name: &str, kind: EntryKind, mode: u32) -> Entry {
    Entry {
        path: path(name),
        kind,
        mode,
        uid: 0,
        gid: 0,
        user: Vec::new(),
        group: Vec::new(),
        mtime: 7,
        xattrs: BTreeMap::new(),
        checksum: Some(Sha1::new([0; 20])),
        size: 0,
        offset: 0,
    }
}

/// Adds a base's entry; a file's content is its name.
fn base(merge: &mut Merge, name: &str, kind: EntryKind) -> Result<(), MergeError> {
    let file = (kind == EntryKind::File).then(|| FileContent::inline(name.as_bytes()));
    merge.base_entry(entry(name, kind, 0o644), file)
}

fn symlink(target: &str) -> EntryKind {
    EntryKind::Symlink(target.as_bytes().to_vec())
}

/// Returns the dump without the files that every tree gets.
fn dump(tree: &Tree) -> Vec<String> {
    let own = |line: &&str| !line.contains("/apk");
    tree.dump().lines().filter(own).map(str::to_owned).collect()
}

fn finish(merge: Merge) -> Tree {
    merge.finish(&[], "x86_64").unwrap().0
}

const ROOT: Owner = Owner::Id(0);

#[test]
fn a_base_without_apk() {
    let mut merge = Merge::new(99);
    base(&mut merge, "a/b/file", EntryKind::File).unwrap();
    base(&mut merge, "a/link", symlink("b")).unwrap();
    base(&mut merge, "a/link/through", EntryKind::File).unwrap();
    base(&mut merge, "hard", EntryKind::Hardlink(path("a/b/file"))).unwrap();
    let device = EntryKind::CharDevice(Device { major: 1, minor: 3 });
    base(&mut merge, "null", device).unwrap();
    base(&mut merge, "a", EntryKind::Directory).unwrap();
    base(&mut merge, "twice", EntryKind::File).unwrap();
    base(&mut merge, "twice", EntryKind::Fifo).unwrap();
    assert!(merge.base_done().unwrap().installed.is_empty());
    assert_eq!(
        dump(&finish(merge)),
        [
            "/ d 0755 0:0 99",
            "/a d 0644 0:0 7",
            "/a/b d 0755 0:0 7",
            "/a/b/file f 0644 0:0 7 8 5282cdc2374082e819edef309f1819db13ca6f0f =/a/b/file",
            "/a/b/through f 0644 0:0 7 14 beaa8aa1fcb1c825b3a9135c7e19c0e93dde5f2f",
            "/a/link l 0644 0:0 7 -> b",
            "/etc d 0755 0:0 99",
            "/hard f 0644 0:0 7 8 5282cdc2374082e819edef309f1819db13ca6f0f =/a/b/file",
            "/lib d 0755 0:0 99",
            "/null c 0644 0:0 7 1,3",
            "/twice p 0644 0:0 7",
        ]
    );
}

#[test]
fn a_base_that_fits_itself_badly() {
    let mut merge = Merge::new(0);
    base(&mut merge, "file", EntryKind::File).unwrap();
    base(&mut merge, "loop", symlink("loop")).unwrap();
    base(&mut merge, "d/x", EntryKind::File).unwrap();
    for (name, kind, problem) in [
        ("file/x", EntryKind::File, "/file is not a directory"),
        ("loop/x", EntryKind::File, "symbolic links"),
        ("d", EntryKind::File, "a directory is in its place"),
        ("", EntryKind::File, "a directory is in its place"),
        ("h", EntryKind::Hardlink(path("none")), "no file before it"),
        ("h", EntryKind::Hardlink(path("d")), "no file before it"),
        ("d", EntryKind::Hardlink(path("file")), "a directory is in"),
    ] {
        let error = base(&mut merge, name, kind).unwrap_err().to_string();
        assert!(error.contains(problem), "{name}: {error}");
    }
    let file = entry("f", EntryKind::File, 0o644);
    let error = merge.base_entry(file, None).unwrap_err();
    assert!(matches!(error, MergeError::NoContent { .. }));
}

#[test]
fn links_never_leave_the_root() {
    let mut merge = Merge::new(0);
    base(&mut merge, "d/up", symlink("../../../../e")).unwrap();
    base(&mut merge, "abs", symlink("/e/./..//e/")).unwrap();
    base(&mut merge, "e", EntryKind::Directory).unwrap();
    base(&mut merge, "d/up/one", EntryKind::File).unwrap();
    base(&mut merge, "abs/two", EntryKind::File).unwrap();
    assert!(merge.tree().get(&path("e/one")).is_some());
    assert!(merge.tree().get(&path("e/two")).is_some());
}

/// As apk 2.14.4 does it, and as apk 3 is said to.
#[test]
fn a_file_that_moves_through_a_link() {
    let database = b"C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1\nF:q\nR:x\n\n";
    for (dialect, left) in [(Dialect::V2, false), (Dialect::V3, true)] {
        let mut merge = Merge::new(0);
        base(&mut merge, "usr/lib/x", EntryKind::File).unwrap();
        base(&mut merge, "q", symlink("usr/lib")).unwrap();
        let file = entry("lib/apk/db/installed", EntryKind::File, 0o644);
        let content = FileContent::inline(&database[..]);
        merge.base_entry(file, Some(content)).unwrap();
        merge.base_done().unwrap();
        merge.set_dialect(dialect);
        let mut stanza = Stanza::new(Sha1::new([2; 20]), b"a".to_vec(), b"2".to_vec());
        stanza.installed_size = 1;
        let package = NewPackage {
            stanza,
            scripts: Vec::new(),
            triggers: Vec::new(),
        };
        merge.begin_package(package).unwrap();
        for (name, kind) in [
            ("usr", EntryKind::Directory),
            ("usr/lib", EntryKind::Directory),
            ("usr/lib/x", EntryKind::File),
        ] {
            let file = (kind == EntryKind::File).then(|| FileContent::inline(&b"new"[..]));
            merge.package_entry(entry(name, kind, 0o755), file).unwrap();
        }
        merge.end_package().unwrap();
        let (tree, report) = merge.finish(&[], "x86_64").unwrap();
        assert_eq!(tree.get(&path("usr/lib/x")).is_some(), left, "{dialect:?}");
        assert_eq!(report.warnings.is_empty(), left, "{dialect:?}");
    }
}

#[test]
fn files_of_the_recipe() {
    let mut merge = Merge::new(99);
    let passwd = FileContent::inline(&b"user:x:1000:1000::/:/bin/sh\n"[..]);
    merge
        .base_entry(entry("etc/passwd", EntryKind::File, 0o644), Some(passwd))
        .unwrap();
    base(&mut merge, "conf", symlink("etc")).unwrap();
    base(&mut merge, "etc/link", symlink("/nowhere")).unwrap();
    merge.base_done().unwrap();
    let user = Owner::Name("user".to_owned());
    let add = |merge: &mut Merge, name: &str, user: &Owner| {
        merge.add_file(&path(name), &b"x"[..], 0o640, user, &ROOT)
    };
    add(&mut merge, "opt/new/f", &user).unwrap();
    add(&mut merge, "conf/f", &Owner::Id(5)).unwrap();
    add(&mut merge, "etc/link", &ROOT).unwrap();
    for (name, owner, problem) in [
        ("etc", &ROOT, "/etc is a directory"),
        ("", &ROOT, "/ is a directory"),
        ("f", &Owner::Name("nobody".to_owned()), "no user `nobody`"),
        ("etc/passwd/f", &ROOT, "/etc/passwd is not a directory"),
    ] {
        let error = add(&mut merge, name, owner).unwrap_err().to_string();
        assert!(error.contains(problem), "{name}: {error}");
    }
    let tree = finish(merge);
    assert_eq!(
        dump(&tree),
        [
            "/ d 0755 0:0 99",
            "/conf l 0644 0:0 7 -> etc",
            "/etc d 0755 0:0 7",
            "/etc/f f 0640 5:0 99 1 11f6ad8ec52a2984abaafd7c3b516503785c2072",
            "/etc/link f 0640 0:0 99 1 11f6ad8ec52a2984abaafd7c3b516503785c2072",
            "/etc/passwd f 0644 0:0 7 28 170b350d5c109f1a437ef19e8269a797878a5f32",
            "/lib d 0755 0:0 99",
            "/opt d 0755 0:0 99",
            "/opt/new d 0755 0:0 99",
            "/opt/new/f f 0640 1000:0 99 1 11f6ad8ec52a2984abaafd7c3b516503785c2072",
        ]
    );
    let order: Vec<_> = tree.in_order().map(|(path, ..)| path.to_string()).collect();
    let after = |name: &str| order.iter().position(|other| other == name).unwrap();
    assert_eq!(after("/"), 0);
    assert!(after("/opt") < after("/opt/new") && after("/opt/new") < after("/opt/new/f"));
    assert!(after("/etc/passwd") < after("/opt/new/f"));
    assert_eq!(order.last().unwrap(), "/lib/apk/db/lock");
}

#[test]
fn calls_out_of_order() {
    let package = |name: &str| NewPackage {
        stanza: Stanza::new(Sha1::new([1; 20]), name.into(), "1".into()),
        scripts: Vec::new(),
        triggers: Vec::new(),
    };
    let order = |result: Result<(), MergeError>| {
        assert!(matches!(result, Err(MergeError::Order(_))), "{result:?}");
    };
    let mut merge = Merge::new(0);
    order(merge.end_package());
    order(merge.package_entry(entry("d", EntryKind::Directory, 0o755), None));
    assert_eq!(merge.begin_package(package("a")).unwrap().0, 1);
    order(merge.begin_package(package("b")).map(drop));
    order(merge.remove_package(b"a"));
    order(merge.clone().finish(&[], "x86_64").map(drop));
    merge.end_package().unwrap();
    assert_eq!(merge.begin_package(package("b")).unwrap().0, 2);
    merge.end_package().unwrap();
    let missing = merge.remove_package(b"c").unwrap_err();
    assert!(matches!(missing, MergeError::NotInstalled { .. }));
    merge
        .add_file(&path("f"), &b""[..], 0o644, &ROOT, &ROOT)
        .unwrap();
    order(merge.begin_package(package("c")).map(drop));
}

#[test]
fn scripts_out_of_order_and_passed_over() {
    let scripts = [
        ScriptKind::PreInstall,
        ScriptKind::PostInstall,
        ScriptKind::PreDeinstall,
        ScriptKind::Trigger,
    ];
    let package = NewPackage {
        stanza: Stanza::new(Sha1::new([1; 20]), "a".into(), "1".into()),
        scripts: scripts.map(|kind| (kind, Arc::from(&b"#!"[..]))).to_vec(),
        triggers: vec![b"/".to_vec()],
    };
    let order = |result: Result<(), MergeError>| {
        assert!(matches!(result, Err(MergeError::Order(_))), "{result:?}");
    };
    let mut merge = Merge::new(0);
    order(merge.apply(&[]));
    order(merge.skip_script());
    order(merge.end_removal());
    merge.begin_package(package).unwrap();
    order(merge.begin_triggers(&[]));
    let call = merge.script().unwrap();
    assert_eq!(call.path.to_string(), "/lib/apk/exec/a-1.pre-install");
    assert_eq!(call.arguments, [b"1"]);
    merge.apply(&[]).unwrap();
    assert_eq!(merge.script(), None);
    merge.end_package().unwrap();
    assert_eq!(merge.script().unwrap().kind, ScriptKind::PostInstall);
    // Going on passes over what is due.
    merge.begin_removal(b"a").unwrap();
    order(merge.begin_triggers(&[]));
    order(merge.clone().finish(&[], "x86_64").map(drop));
    let mut stays = merge.clone();
    merge.end_removal().unwrap();
    let (_, report) = merge.finish(&[], "x86_64").unwrap();
    let kinds = |scripts: &[Script]| scripts.iter().map(|one| one.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&report.ran), [ScriptKind::PreInstall]);
    assert_eq!(
        kinds(&report.scripts),
        [ScriptKind::PostInstall, ScriptKind::PreDeinstall]
    );
    assert_eq!(report.triggers, []);
    // What a script cannot have done is refused, and says which script.
    let gone = Change::Remove { path: path("gone") };
    let refused = stays.apply(&[gone]).unwrap_err().to_string();
    assert!(refused.contains("a-1.pre-deinstall"), "{refused}");
    assert!(refused.contains("/gone"), "{refused}");
}

#[test]
fn triggers_come_last() {
    let trigger = |name: &str, byte| NewPackage {
        stanza: Stanza {
            installed_size: 1,
            ..Stanza::new(Sha1::new([byte; 20]), name.into(), "1".into())
        },
        scripts: vec![(ScriptKind::Trigger, Arc::from(&b"#!"[..]))],
        triggers: vec![b"/*".to_vec()],
    };
    let mut merge = Merge::new(0);
    for (name, byte) in [("a", 1), ("b", 2), ("c", 3)] {
        merge.begin_package(trigger(name, byte)).unwrap();
        merge
            .package_entry(entry(name, EntryKind::Directory, 0o755), None)
            .unwrap();
        merge.end_package().unwrap();
    }
    merge
        .begin_triggers(&[b"c".to_vec(), b"a".to_vec()])
        .unwrap();
    let mut ran = Vec::new();
    while let Some(call) = merge.script() {
        assert_eq!(call.arguments, [&b"/"[..], b"/a", b"/b", b"/c"]);
        ran.push(call.package.clone());
        merge.apply(&[]).unwrap();
    }
    assert_eq!(ran, ["c-1", "a-1", "b-1"]);
    assert!(merge.begin_triggers(&[]).is_err());
    assert!(merge.begin_package(trigger("d", 4)).is_err());
}
