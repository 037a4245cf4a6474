//! Bases and packages of any shape: no panic, and always a tree that can be written.

mod shapes;

use prebake_rootfs::Merge;
use prebake_rootfs::merge::NewPackage;
use proptest::prelude::*;
use shapes::{Step, step};

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
}
