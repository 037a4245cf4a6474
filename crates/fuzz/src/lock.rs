//! Locks: what is written of one is read as it.

use std::path::Path;

use prebake::lock::Lock;

use crate::recipe::refused;

/// Reads a lock.
pub(crate) fn lock(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let path = Path::new("prebake.lock");
    match Lock::parse(path, text) {
        Ok(lock) => {
            let written = lock.to_text();
            let again = Lock::parse(path, &written).expect("what was written is read");
            assert_eq!(again, lock);
            assert_eq!(again.to_text(), written);
        }
        Err(error) => refused(&error, text),
    }
}
