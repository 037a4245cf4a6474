//! What a recipe may change in a tree, and what it may not: through links, and around apk's own.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeMap;

use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::path::GuestPath;
use prebake_rootfs::Merge;
use prebake_rootfs::merge::{ChangeError, Owner};
use prebake_rootfs::tree::FileContent;

const ROOT: Owner = Owner::Id(0);

fn path(path: &str) -> GuestPath {
    GuestPath::from_absolute(path.as_bytes()).unwrap()
}

/// Returns a merge whose base has these entries.
fn base(entries: &[(&str, EntryKind)]) -> Merge {
    let mut merge = Merge::new(99);
    for (name, kind) in entries {
        let file = (*kind == EntryKind::File).then(|| FileContent::inline(name.as_bytes()));
        let entry = Entry {
            path: path(name),
            kind: kind.clone(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            user: Vec::new(),
            group: Vec::new(),
            mtime: 7,
            xattrs: BTreeMap::new(),
            checksum: None,
            size: 0,
            offset: 0,
        };
        merge.base_entry(entry, file).unwrap();
    }
    merge.base_done().unwrap();
    merge
}

fn usr_merged() -> Merge {
    let link = |target: &str| EntryKind::Symlink(target.as_bytes().to_vec());
    base(&[
        ("/usr/lib/apk/db/lock", EntryKind::File),
        ("/lib", link("usr/lib")),
        ("/usr/lib/a", EntryKind::File),
        ("/usr/lib/b", EntryKind::Hardlink(path("/usr/lib/a"))),
        ("/up", link("../../..")),
        ("/etc/a", EntryKind::File),
        ("/opt/a", EntryKind::File),
    ])
}

fn names(merge: &Merge) -> Vec<String> {
    let mut names: Vec<_> = merge
        .tree()
        .in_order()
        .map(|(path, ..)| path.to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn apks_own_is_refused_by_any_name() {
    let mut merge = usr_merged();
    let before = names(&merge);
    for name in [
        "/lib/apk/db",
        "/usr/lib/apk/db/lock",
        "/up/lib/apk/db/installed",
        "/usr/lib/apk",
        "/usr",
        "/lib",
        "/up/etc",
    ] {
        let error = merge.remove(&path(name), true).unwrap_err();
        let refused = matches!(error, ChangeError::ApksOwn(_) | ChangeError::Missing(_));
        assert!(refused, "{name}: {error}");
    }
    for name in [
        "/usr/lib/apk/db/x",
        "/etc/apk/world",
        "/up/etc/apk/arch",
        "/lib",
    ] {
        let error = merge.add_symlink(&path(name), b"x").unwrap_err();
        assert!(matches!(error, ChangeError::ApksOwn(_)), "{name}: {error}");
    }
    // Only the directory of what was refused came.
    let mut after = before;
    after.push("/etc/apk".to_owned());
    after.sort();
    assert_eq!(names(&merge), after);
}

#[test]
fn links_are_followed_on_the_way_and_never_out() {
    let mut merge = usr_merged();
    merge
        .add_directory(&path("/up/up/new"), 0o700, &ROOT, &Owner::Id(3))
        .unwrap();
    let new = merge.tree().get(&path("/new")).unwrap();
    assert_eq!((new.mode, new.gid, new.mtime), (0o700, 3, 99));
    merge
        .add_hard_link(&path("/lib/c"), &path("/lib/b"))
        .unwrap();
    merge.remove(&path("/lib/a"), false).unwrap();
    let file = merge.tree().get(&path("/usr/lib/c")).unwrap();
    assert_eq!(file, merge.tree().get(&path("/usr/lib/b")).unwrap());
    assert_eq!(
        merge.tree().inline(&path("/lib/c")),
        Some(&b"/usr/lib/a"[..])
    );
    merge.remove(&path("/up"), true).unwrap();
    assert!(merge.tree().get(&path("/etc/a")).is_some());
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut merge = usr_merged();
    let error = merge.remove(&path("/"), true).unwrap_err();
    assert!(matches!(error, ChangeError::IsDirectory(_)), "{error}");
    let error = merge.remove(&path("/opt"), false).unwrap_err();
    assert!(matches!(error, ChangeError::NotEmpty(_)), "{error}");
    let error = merge.remove(&path("/nothing"), true).unwrap_err();
    assert!(matches!(error, ChangeError::Missing(_)), "{error}");
    let error = merge.add_symlink(&path("/etc"), b"x").unwrap_err();
    assert!(matches!(error, ChangeError::IsDirectory(_)), "{error}");
    let error = merge.add_hard_link(&path("/x"), &path("/etc")).unwrap_err();
    assert!(matches!(error, ChangeError::IsDirectory(_)), "{error}");
    let error = merge
        .add_directory(&path("/etc/a"), 0o755, &ROOT, &ROOT)
        .unwrap_err();
    assert!(matches!(error, ChangeError::NotDirectory(_)), "{error}");
}

#[test]
fn a_rewritten_file_keeps_what_it_is() {
    let mut merge = usr_merged();
    let before = merge.tree().get(&path("/etc/a")).unwrap().clone();
    merge
        .rewrite_file(&path("/etc/a"), b"new".to_vec(), 0o600)
        .unwrap();
    merge
        .rewrite_file(&path("/etc/b"), b"new".to_vec(), 0o600)
        .unwrap();
    let (old, new) = (
        merge.tree().get(&path("/etc/a")).unwrap(),
        merge.tree().get(&path("/etc/b")).unwrap(),
    );
    assert_eq!((old.mode, old.uid, old.mtime), (before.mode, 0, 99));
    assert_eq!((new.mode, new.mtime), (0o600, 99));
    assert_eq!(merge.tree().inline(&path("/etc/a")), Some(&b"new"[..]));
}
