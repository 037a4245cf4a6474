//! The public keys that vouch for indexes and packages.
//!
//! apk keeps them as PEM files in `etc/apk/keys`, as OpenSSL's `openssl rsa -pubout` writes them:
//! an X.509 SubjectPublicKeyInfo (RFC 5280) that holds a PKCS#1 RSAPublicKey (RFC 8017). A
//! signature names its key by the key's file name, so that names matter and a [`Keyring`] keeps
//! them. The tests are judged by `openssl`.

use std::collections::BTreeMap;

use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
};

use crate::digest::Sha256;
use crate::limits::MAX_KEY;
use crate::shown::shown;
use crate::signature::SignatureAlgorithm;

/// The AlgorithmIdentifier of RSA keys: the object identifier 1.2.840.113549.1.1.1
/// (`rsaEncryption`) and the NULL that RFC 3279 asks for behind it.
const RSA_ENCRYPTION: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// DER's tags.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// The smallest modulus that is trusted, in bits. Every key of Alpine has at least as many, and
/// the verifier takes no fewer.
const MIN_BITS: usize = 2048;
/// The largest modulus that the verifier takes, in bits.
const MAX_BITS: usize = 8192;

/// An RSA public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The RSAPublicKey alone, which is what the verifier takes.
    pkcs1: Vec<u8>,
    fingerprint: Sha256,
}

/// Why a file is not a public key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is larger than [`MAX_KEY`].
    #[error("the key file has more than {MAX_KEY} bytes")]
    TooLarge,
    /// The file is not PEM.
    #[error("the key is not a PEM file ({0})")]
    Pem(pem_rfc7468::Error),
    /// The PEM file holds something else.
    #[error("the PEM file holds a `{0}` and not a `PUBLIC KEY`")]
    Label(String),
    /// The content is not a SubjectPublicKeyInfo in DER, or has bytes behind it.
    #[error("the key's DER encoding is malformed")]
    Der,
    /// The key is not an RSA key.
    #[error("the key is not an RSA key")]
    NotRsa,
    /// The modulus is too short or too long.
    #[error("the key has {0} bits and not {MIN_BITS} to {MAX_BITS}")]
    Size(usize),
}

impl PublicKey {
    /// Reads a key file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        if pem.len() > MAX_KEY {
            return Err(KeyError::TooLarge);
        }
        let (label, der) = pem_rfc7468::decode_vec(pem).map_err(KeyError::Pem)?;
        if label != "PUBLIC KEY" {
            return Err(KeyError::Label(shown(label)));
        }
        Self::from_der(&der)
    }

    /// Reads a SubjectPublicKeyInfo.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = whole(der, SEQUENCE)?;
        let (algorithm, rest) = element(info, SEQUENCE)?;
        if algorithm != RSA_ENCRYPTION {
            return Err(KeyError::NotRsa);
        }
        // The first byte of a bit string says how many bits of the last are not used.
        let Some((0, pkcs1)) = whole(rest, BIT_STRING)?
            .split_first()
            .map(|(unused, key)| (*unused, key))
        else {
            return Err(KeyError::Der);
        };
        let (modulus, exponent) = element(whole(pkcs1, SEQUENCE)?, INTEGER)?;
        positive(whole(exponent, INTEGER)?)?;
        let modulus = positive(modulus)?;
        let bits = modulus.len() * 8
            - modulus
                .first()
                .map_or(0, |first| first.leading_zeros() as usize);
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(KeyError::Size(bits));
        }
        Ok(Self {
            pkcs1: pkcs1.to_vec(),
            fingerprint: Sha256::of(der),
        })
    }

    /// Returns the SHA-256 of the key's DER form (SubjectPublicKeyInfo): what
    /// `openssl pkey -pubin -outform DER | sha256sum` prints. It names a key whatever its file is
    /// called.
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }

    /// Says whether `signature` is one of this key's over `message`.
    #[must_use]
    pub fn verify(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let parameters = match algorithm {
            SignatureAlgorithm::RsaSha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            SignatureAlgorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
            SignatureAlgorithm::RsaSha512 => &RSA_PKCS1_2048_8192_SHA512,
        };
        UnparsedPublicKey::new(parameters, &self.pkcs1)
            .verify(message, signature)
            .is_ok()
    }
}

/// Public keys by the names of their files, such as
/// `alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: BTreeMap<String, PublicKey>,
}

impl Keyring {
    /// Returns a keyring without a key, which trusts nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key under the name of its file and returns the one that had the name before.
    pub fn insert(&mut self, name: impl Into<String>, key: PublicKey) -> Option<PublicKey> {
        self.keys.insert(name.into(), key)
    }

    /// Returns the key of that file name.
    pub fn get(&self, name: &str) -> Option<&PublicKey> {
        self.keys.get(name)
    }

    /// Returns the keys and their files' names, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key))
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Says whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Returns the content of the one DER element that `der` is.
fn whole(der: &[u8], tag: u8) -> Result<&[u8], KeyError> {
    match element(der, tag)? {
        (content, []) => Ok(content),
        _ => Err(KeyError::Der),
    }
}

/// Splits the first DER element off: its content and what follows it.
fn element(der: &[u8], tag: u8) -> Result<(&[u8], &[u8]), KeyError> {
    let (length, rest) = match der {
        [found, ..] if *found != tag => return Err(KeyError::Der),
        // DER asks for the shortest form of a length.
        [_, length @ 0..=0x7f, rest @ ..] | [_, 0x81, length @ 0x80..=0xff, rest @ ..] => {
            (usize::from(*length), rest)
        }
        [_, 0x82, high @ 1..=0xff, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return Err(KeyError::Der),
    };
    rest.split_at_checked(length).ok_or(KeyError::Der)
}

/// Returns the bytes of a positive INTEGER without the zero that keeps it positive.
fn positive(integer: &[u8]) -> Result<&[u8], KeyError> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|first| first & 0x80 != 0) => Ok(rest),
        [1..=0x7f, ..] => Ok(integer),
        _ => Err(KeyError::Der),
    }
}
