//! The named cases: each a small universe that once told us something, with what the real apk
//! makes of it. `UPDATE=1` writes apk's answers into the files.

use std::path::Path;

use crate::case::Case;
use crate::stage::{Stage, difference, shared};

#[test]
fn named_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = fs_err::read_dir(folder)
        .expect("the cases")
        .map(|entry| entry.expect("a case").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let shared = shared();
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.file_stem().expect("a name").display().to_string();
        if std::env::var("PREBAKE_CASE").is_ok_and(|only| only != name) {
            continue;
        }
        let mut case = Case::parse(&fs_err::read_to_string(&path).expect("a case"));
        // Without the oracle at hand its recorded answer still judges us.
        let (ours, theirs) = match &shared {
            Some(shared) => {
                let stage = Stage::of_case(shared, &case);
                (stage.ours(&case.add), stage.theirs(&case.add))
            }
            None => (
                Stage::of_case(Path::new("/nowhere"), &case).ours(&case.add),
                case.outcome.clone(),
            ),
        };
        if std::env::var_os("UPDATE").is_some() && case.outcome != theirs {
            case.outcome.clone_from(&theirs);
            fs_err::write(&path, case.to_string()).expect("written");
        }
        if theirs != case.outcome {
            wrong.push(format!("{name}: apk says now {theirs:?}"));
        }
        if ours != theirs {
            wrong.push(format!("{name}\n{}", difference(&theirs, &ours)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
