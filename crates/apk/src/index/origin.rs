//! What an index was made from, and who vouched for it.

use crate::digest::Sha256;
use crate::key::Keyring;
use crate::signature::SignedIndex;

/// What an index was made from, and who vouched for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The SHA-256 of the `APKINDEX.tar.gz`.
    pub sha256: Sha256,
    /// The fingerprint of the key whose signature was found to hold.
    pub fingerprint: Sha256,
    /// The file name of that key.
    pub key_name: String,
    /// The file names of the keys that signed it, in the order of the signatures.
    pub signers: Vec<String>,
    /// The repository's description of itself.
    pub description: Vec<u8>,
    /// When the index was made, in seconds since 1970: see [`SignedIndex::made`].
    pub made: Option<u64>,
}

impl Origin {
    /// Says where an index comes from that was opened just now, from a file of that hash.
    pub fn of(signed: &SignedIndex, sha256: Sha256) -> Self {
        Self {
            sha256,
            fingerprint: signed.fingerprint,
            key_name: signed.key_name.clone(),
            signers: signed.signers.clone(),
            description: signed.description.clone(),
            made: signed.made,
        }
    }

    /// Says whether opening the index with these keys would find the same signature to hold: the
    /// first one whose key's name is known has to be the one that was checked, and the key of that
    /// name the very key that it was checked with.
    ///
    /// That a key's signature over a file holds does not depend on what else is trusted, so it need
    /// not be computed again; whether the key is trusted is asked on every use.
    pub fn is_trusted(&self, keys: &Keyring) -> bool {
        let known = self
            .signers
            .iter()
            .find_map(|name| Some((name, keys.get(name)?)));
        known.is_some_and(|(name, key)| {
            *name == self.key_name && key.fingerprint() == self.fingerprint
        })
    }
}
