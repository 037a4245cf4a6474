//! Bases and packages of any shape: no panic, and always a tree that can be written.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by ending")]

mod shapes;

use std::sync::Arc;

use prebake_apk::package::ScriptKind;
use prebake_rootfs::merge::NewPackage;
use prebake_rootfs::{Attributes, Change, Difference, Made, Merge, Node, NodeKind, Tree};
use proptest::prelude::*;
use shapes::{Step, change, step};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_calls_leave_a_tree(steps in prop::collection::vec(step(), 0..60)) {
        let mut merge = Merge::new(1);
        let mut begun = false;
        let mut based = false;
        for step in steps {
            // Errors are as good as success; only what is left afterwards counts.
            match step {
                Step::Entry(entry, file) if !based => drop(merge.base_entry(entry, file)),
                Step::Entry(entry, file) => drop(merge.package_entry(entry, file)),
                Step::Begin(stanza, replaces) => {
                    based = merge.base_done().is_ok();
                    let mut package = NewPackage {
                        stanza: *stanza,
                        scripts: Vec::new(),
                        triggers: vec![b"/*".to_vec()],
                    };
                    package.stanza.installed_size = 1;
                    package.stanza.replaces = replaces;
                    if begun {
                        begun = merge.end_package().is_err();
                    }
                    begun |= merge.begin_package(package).is_ok();
                }
                Step::Remove(name) => {
                    if begun {
                        begun = merge.end_package().is_err();
                    }
                    drop(merge.remove_package(&name));
                }
            }
        }
        drop(merge.end_package());
        if let Ok((tree, _)) = merge.finish(&[], "x86_64") {
            shapes::assert_order(&tree);
            prop_assert_eq!(tree.dump().lines().count(), tree.len());
        }
    }

    #[test]
    fn any_changes_leave_a_tree_or_are_refused(
        changes in prop::collection::vec(change(), 0..40),
        more in prop::collection::vec(change(), 0..20),
    ) {
        let before = changed(nothing().tree(), &changes);
        let after = changed(&before, &more);
        shapes::assert_order(&after);
        // What is said to be between two trees leads from one to the other.
        let steps: Vec<Change> = before.changes_to(&after).into_iter().map(step_of).collect();
        let mut merge = with_script(&before);
        merge.apply(&steps).unwrap();
        prop_assert_eq!(merge.tree().dump(), after.dump());
        prop_assert_eq!(merge.tree().digest(), after.digest());
        prop_assert!(merge.tree().changes_to(&after).is_empty());
        // Another dump is another digest.
        prop_assert_eq!(before.dump() == after.dump(), before.digest() == after.digest());
    }
}

/// Returns a merge in which a script is due, and nothing is there but where scripts are run from.
fn nothing() -> Merge {
    let mut merge = Merge::new(1);
    merge
        .base_entry(shapes::directory("lib/apk/exec"), None)
        .unwrap();
    let mut package = shapes::package("p");
    package.scripts = [ScriptKind::PreInstall, ScriptKind::PostInstall]
        .map(|kind| (kind, Arc::from(&b""[..])))
        .to_vec();
    merge.begin_package(package).unwrap();
    merge
}

/// Returns a merge with that tree, in which a script is due.
fn with_script(tree: &Tree) -> Merge {
    let mut merge = nothing();
    let steps = merge.tree().clone();
    let steps: Vec<_> = steps.changes_to(tree).into_iter().map(step_of).collect();
    merge.apply(&steps).unwrap();
    merge.end_package().unwrap();
    merge
}

/// Returns the tree with those of the changes that fit, one after another.
fn changed(tree: &Tree, changes: &[Change]) -> Tree {
    let mut tree = tree.clone();
    for change in changes {
        let mut merge = with_script(&tree);
        if merge.apply(std::slice::from_ref(change)).is_ok() {
            tree = merge.tree().clone();
        }
    }
    tree
}

fn step_of(step: Difference<'_>) -> Change {
    let attributes = |node: &Node| Attributes {
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        mtime: node.mtime,
        xattrs: node.xattrs.clone(),
    };
    match step {
        Difference::Remove(path) => Change::Remove { path: path.clone() },
        Difference::Link(path, to) => Change::Link {
            path: path.clone(),
            to: to.clone(),
        },
        Difference::Attributes(path, node) => Change::Attributes {
            path: path.clone(),
            attributes: attributes(node),
        },
        Difference::Make(path, node) => Change::Make {
            path: path.clone(),
            kind: match &node.kind {
                NodeKind::File(file) => Made::File(file.clone()),
                NodeKind::Directory => Made::Directory,
                NodeKind::Symlink(target) => Made::Symlink(target.clone()),
                NodeKind::CharDevice(device) => Made::CharDevice(*device),
                NodeKind::BlockDevice(device) => Made::BlockDevice(*device),
                NodeKind::Fifo => Made::Fifo,
            },
            attributes: attributes(node),
        },
    }
}
