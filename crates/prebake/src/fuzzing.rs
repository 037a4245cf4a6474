//! Doors to what `prebake-fuzz` gives any bytes to. Nobody else's, and not kept stable.

use std::collections::BTreeMap;
use std::path::Path;

use prebake_apk::digest::Sha256;

use crate::finished::Finished;
use crate::listing::Listing;
use crate::vendor::VendorError;
use crate::{audit, seal, vendor};

/// Returns what a kept listing is as it is written again, and how many entries it has.
pub fn listing(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let listing = Listing::parse(bytes)?;
    Some((listing.to_bytes(), listing.0.len()))
}

/// Returns what a kept assembly is as it is written again.
pub fn assembly(bytes: &[u8]) -> Option<Vec<u8>> {
    Finished::parse(bytes).map(|finished| finished.to_bytes())
}

/// Returns the content of an entry of that name which `key` sealed, if it did; and `bytes` with
/// its seal.
pub fn seal(key: &[u8], name: &str, bytes: &[u8]) -> (Option<Vec<u8>>, Vec<u8>) {
    seal::for_fuzzing(key, name, bytes)
}

/// Reads the list of a vendored folder; returns the files and the list as it is written again.
pub fn manifest(text: &str) -> Result<(BTreeMap<String, Sha256>, String), VendorError> {
    vendor::manifest_for_fuzzing(Path::new("shelf"), text)
}

/// Returns the text of a `security.capability`.
pub fn capabilities(bytes: &[u8]) -> Option<String> {
    audit::capabilities_for_fuzzing(bytes)
}
