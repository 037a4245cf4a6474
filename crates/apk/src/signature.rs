//! Signatures of packages and indexes, and the opening of a signed index.
//!
//! A signed file begins with a gzip member that holds a tar archive with one file or more called
//! `.SIGN.<algorithm>.<key file>`: the RSA signature (PKCS#1 v1.5) over the compressed bytes that
//! follow, of the control member in a package and of all the rest in an index. As in apk, the
//! first signature whose key is known counts and the others are not looked at; those of an
//! unknown algorithm are skipped. The tests are judged by `openssl` and by Alpine's own files.

mod index;
mod member;

pub use self::index::{
    IndexFileError, SignedIndex, UncheckedIndex, open_signed_index, open_unchecked_index,
};
pub use self::member::MemberError;
pub(crate) use self::member::SmallMember;
use crate::key::{Keyring, PublicKey};
use crate::shown::shown;

/// What a signature's file name begins with.
const PREFIX: &[u8] = b".SIGN.";

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignatureAlgorithm {
    /// RSA over SHA-1, which is what Alpine signs with: `.SIGN.RSA.`
    RsaSha1,
    /// RSA over SHA-256: `.SIGN.RSA256.`
    RsaSha256,
    /// RSA over SHA-512: `.SIGN.RSA512.`
    RsaSha512,
}

impl SignatureAlgorithm {
    /// Returns the name that signature files carry: `RSA`, `RSA256` or `RSA512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaSha1 => "RSA",
            Self::RsaSha256 => "RSA256",
            Self::RsaSha512 => "RSA512",
        }
    }
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// How it was made.
    pub algorithm: SignatureAlgorithm,
    /// The file name of the key that made it.
    pub key_name: String,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// The key that vouched for something.
#[derive(Clone, Copy, Debug)]
pub struct Vouched<'a> {
    /// The signature that holds.
    pub signature: &'a Signature,
    /// The key that it was checked with.
    pub key: &'a PublicKey,
}

/// Why something is not vouched for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is no signature of a known algorithm.
    #[error("it is not signed")]
    Unsigned,
    /// None of the signatures' keys is known.
    #[error("it is signed by a key that is not trusted: {}", listed(.wanted))]
    UnknownKey {
        /// The file names of the keys that signed it.
        wanted: Vec<String>,
    },
    /// The signature does not belong to these bytes and this key.
    #[error("its {} signature by `{}` does not hold", .algorithm.name(), shown(.key_name))]
    Bad {
        /// The file name of the key.
        key_name: String,
        /// How the signature claims to be made.
        algorithm: SignatureAlgorithm,
    },
}

/// How many names of keys a message has.
const LISTED: usize = 8;

fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(LISTED).map(shown).collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    shown.join(", ") + more
}

/// Checks `message` against the first of the signatures whose key is known.
pub fn verify<'a>(
    signatures: &'a [Signature],
    keys: &'a Keyring,
    message: &[u8],
) -> Result<Vouched<'a>, SignatureError> {
    let (signature, key) = first_known(signatures, keys)?;
    if key.verify(signature.algorithm, message, &signature.bytes) {
        Ok(Vouched { signature, key })
    } else {
        Err(SignatureError::Bad {
            key_name: signature.key_name.clone(),
            algorithm: signature.algorithm,
        })
    }
}

/// Returns the first of the signatures whose key is known, unchecked, and that key.
fn first_known<'a>(
    signatures: &'a [Signature],
    keys: &'a Keyring,
) -> Result<(&'a Signature, &'a PublicKey), SignatureError> {
    let mut known = signatures.iter();
    let known = known.find_map(|signature| Some((signature, keys.get(&signature.key_name)?)));
    known.ok_or_else(|| {
        let mut wanted: Vec<_> = signatures.iter().map(|one| one.key_name.clone()).collect();
        wanted.dedup();
        if wanted.is_empty() {
            SignatureError::Unsigned
        } else {
            SignatureError::UnknownKey { wanted }
        }
    })
}
