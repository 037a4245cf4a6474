//! Files that were made from others, to save making them again.
//!
//! Unlike a blob, such a file is not named by its content, so that nothing here can say whether it
//! is right: whoever reads it has to be able to tell, and to do without it.

use std::path::PathBuf;

use prebake_apk::digest::Sha256;

use super::{Cache, CacheError, Key, open_regular};
use crate::{Cancel, Memory, Options};

impl Cache {
    /// Returns what is kept under `name`; `None` if there is nothing that can be read, or more than
    /// `limit` bytes. It may be damaged, or be anything: the caller checks it.
    pub fn derived(&self, name: &str, limit: u64) -> Option<Memory> {
        let file = open_regular(&self.derived_path(name)).ok()?;
        let size = file.metadata().ok()?.len();
        if size > limit {
            return None;
        }
        // What it grows by meanwhile is not read.
        Memory::read(file, size.try_into().ok()?).ok()
    }

    /// Keeps `content` under `name`, in place of what may be there.
    ///
    /// # Errors
    ///
    /// What writing to the cache gives. Nothing is lost by passing over it.
    pub fn put_derived(&self, name: &str, content: &[u8]) -> Result<(), CacheError> {
        let path = self.derived_path(name);
        let key = Key(format!("derived-{}", Sha256::of(name.as_bytes())));
        // Without the lock, somebody's start could take the file for a left-over.
        let _lock = self.lock(&key, &Options::default(), &Cancel::default())?;
        let mut part = self.part(&key)?;
        part.append(content)?;
        self.folder("derived")?;
        part.replace(&path)
    }

    /// Drops what is kept under `name`. Failing is no harm to anybody who checks what he reads.
    pub fn drop_derived(&self, name: &str) {
        drop(fs_err::remove_file(self.derived_path(name)));
    }

    fn derived_path(&self, name: &str) -> PathBuf {
        // Names are prebake's own; hashing them keeps every one of them a file name.
        let name = Sha256::of(name.as_bytes()).to_string();
        self.layout.join("derived").join(name)
    }
}
