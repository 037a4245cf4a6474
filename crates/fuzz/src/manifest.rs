//! Lists of vendored folders: what is written of one is read as it, and every file in one is below
//! the folder, on every host.

use prebake::fuzzing;
use prebake::vendor::{MANIFEST, VendorError};

use crate::tame::{assert_tame, tame};

/// Reads a list.
pub(crate) fn manifest(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match fuzzing::manifest(text) {
        Ok((files, written)) => {
            for path in files.keys() {
                assert_tame(path);
                assert_ne!(path, MANIFEST);
                for part in path.split('/') {
                    assert!(!matches!(part, "" | "." | ".."), "{path:?}");
                    // A drive, a stream or a folder where Windows has them.
                    assert!(!part.contains(['\\', ':']), "{path:?}");
                }
            }
            assert!(files.len() <= text.lines().count());
            let again = fuzzing::manifest(&written).expect("what was written is read");
            assert_eq!(again, (files, written));
        }
        Err(error) => {
            tame(&error);
            if let VendorError::Manifest { line, .. } = error {
                assert!((1..=text.lines().count()).contains(&line));
            }
        }
    }
}
