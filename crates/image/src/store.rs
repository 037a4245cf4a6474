//! Where encoded segments are kept from one image to the next.

use prebake_apk::digest::Sha256;

use crate::encoding::{Encoded, Encoding};

/// Keeps encoded segments. It may lose any of them; it must not give out a wrong one.
pub trait Store: Sync {
    /// Returns what was kept under `name`; `None` if that is not there, or was changed.
    fn get(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps `bytes` under `name`, if it can.
    fn put(&self, name: &str, bytes: &[u8]);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoStore;

impl Store for NoStore {
    fn get(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    fn put(&self, _name: &str, _bytes: &[u8]) {}
}

/// Returns what an encoded segment is kept under: what it is made of, and how.
pub(crate) fn name(encoding: Encoding, key: &Sha256) -> String {
    format!("segment {} {key}", encoding.name())
}

impl Encoded {
    /// Returns what was put under `name`.
    pub(crate) fn get(store: &dyn Store, name: &str) -> Option<Self> {
        let mut bytes = store.get(name)?;
        let at = bytes.len().checked_sub(4)?;
        let crc = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        bytes.truncate(at);
        Some(Self { bytes, crc })
    }

    /// Keeps it under `name`.
    pub(crate) fn put(&mut self, store: &dyn Store, name: &str) {
        let length = self.bytes.len();
        self.bytes.extend_from_slice(&self.crc.to_le_bytes());
        store.put(name, &self.bytes);
        self.bytes.truncate(length);
    }
}
