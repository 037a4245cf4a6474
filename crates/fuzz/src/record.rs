//! Records of scripts: what is written of one is read as it, and has the same digests.

use std::path::Path;

use prebake::arch::Arch;
use prebake::scripts::Record;

use crate::recipe::refused;

/// Reads a record.
pub(crate) fn record(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let path = Path::new("prebake.scripts");
    match Record::parse(path, text) {
        Ok(record) => {
            let written = record.to_text();
            let again = Record::parse(path, &written).expect("what was written is read");
            assert_eq!(again, record);
            assert_eq!(again.to_text(), written);
            for arch in Arch::ALL {
                assert_eq!(again.digest(arch), record.digest(arch));
            }
        }
        Err(error) => refused(&error, text),
    }
}
