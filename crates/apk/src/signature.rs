//! Signatures of packages and indexes, and the opening of a signed index.
//!
//! A signed file begins with a gzip member that holds a tar archive with one file or more called
//! `.SIGN.<algorithm>.<key file>`: the RSA signature (PKCS#1 v1.5) over the compressed bytes that
//! follow, of the control member in a package and of all the rest in an index. As in apk, the
//! first signature whose key is known counts and the others are not looked at; those of an
//! unknown algorithm are skipped. The tests are judged by `openssl` and by Alpine's own files.

use std::io::{self, Read};

use crate::digest::Sha256;
use crate::entry::EntryKind;
use crate::gzip::{self, Member, Tap};
use crate::key::{Keyring, PublicKey};
use crate::limits::{MAX_CONTROL, MAX_INDEX, MAX_SIGNATURE, MAX_SIGNATURE_MEMBERS, MAX_SIGNATURES};
use crate::tar::{self, TarError};

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
    #[error("it is signed by a key that is not trusted: {}", .wanted.join(", "))]
    UnknownKey {
        /// The file names of the keys that signed it.
        wanted: Vec<String>,
    },
    /// The signature does not belong to these bytes and this key.
    #[error("its {} signature by `{key_name}` does not hold", .algorithm.name())]
    Bad {
        /// The file name of the key.
        key_name: String,
        /// How the signature claims to be made.
        algorithm: SignatureAlgorithm,
    },
}

/// Checks `message` against the first of the signatures whose key is known.
pub fn verify<'a>(
    signatures: &'a [Signature],
    keys: &'a Keyring,
    message: &[u8],
) -> Result<Vouched<'a>, SignatureError> {
    let known = signatures
        .iter()
        .find_map(|signature| Some((signature, keys.get(&signature.key_name)?)));
    let Some((signature, key)) = known else {
        let mut wanted: Vec<_> = signatures.iter().map(|one| one.key_name.clone()).collect();
        wanted.dedup();
        return Err(if wanted.is_empty() {
            SignatureError::Unsigned
        } else {
            SignatureError::UnknownKey { wanted }
        });
    };
    if key.verify(signature.algorithm, message, &signature.bytes) {
        Ok(Vouched { signature, key })
    } else {
        Err(SignatureError::Bad {
            key_name: signature.key_name.clone(),
            algorithm: signature.algorithm,
        })
    }
}

/// An index whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIndex {
    /// The repository's description of itself, such as `v3.20.3-12-gabcdef`.
    pub description: Vec<u8>,
    /// The `APKINDEX` file.
    pub index_text: Vec<u8>,
    /// The file name of the key that signed it.
    pub key_name: String,
    /// That key's fingerprint.
    pub fingerprint: Sha256,
    /// How it was signed.
    pub algorithm: SignatureAlgorithm,
}

/// Why an `APKINDEX.tar.gz` is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexFileError {
    /// The signature member cannot be read.
    #[error("the index's signature cannot be read")]
    SignatureMember(#[source] MemberError),
    /// The index is not vouched for.
    #[error("the index cannot be trusted")]
    Signature(#[source] SignatureError),
    /// The index's own archive cannot be read.
    #[error("the index's archive cannot be read")]
    Tar(#[source] TarError),
    /// A file inside cannot be read, or the archive is over [`MAX_INDEX`].
    #[error("the index's content cannot be read")]
    Content(#[source] io::Error),
    /// A file stands there twice.
    #[error("the index's archive holds two files `{0}`")]
    Twice(&'static str),
    /// There is no `APKINDEX` inside.
    #[error("the index's archive holds no file `APKINDEX`")]
    NoIndex,
}

/// Opens an `APKINDEX.tar.gz` with the keys that are trusted.
///
/// Nothing behind the signature is so much as inflated before it was checked.
pub fn open_signed_index(bytes: &[u8], keys: &Keyring) -> Result<SignedIndex, IndexFileError> {
    let (signatures, signed) =
        leading_signatures(bytes).map_err(IndexFileError::SignatureMember)?;
    let vouched = verify(&signatures, keys, signed).map_err(IndexFileError::Signature)?;

    let (description, index_text) = read_index(signed)?;
    Ok(SignedIndex {
        description,
        index_text,
        key_name: vouched.signature.key_name.clone(),
        fingerprint: vouched.key.fingerprint(),
        algorithm: vouched.signature.algorithm,
    })
}

/// An index that nobody vouches for: to look at, and for nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncheckedIndex {
    /// The repository's description of itself.
    pub description: Vec<u8>,
    /// The `APKINDEX` file.
    pub index_text: Vec<u8>,
    /// The signatures it has, of which none was checked.
    pub signatures: Vec<Signature>,
}

/// Opens an `APKINDEX.tar.gz` to show what is in it. What a bake uses goes through
/// [`open_signed_index`].
pub fn open_unchecked_index(bytes: &[u8]) -> Result<UncheckedIndex, IndexFileError> {
    let (signatures, signed) =
        leading_signatures(bytes).map_err(IndexFileError::SignatureMember)?;
    let (description, index_text) = read_index(signed)?;
    Ok(UncheckedIndex {
        description,
        index_text,
        signatures,
    })
}

/// Returns the description and the index in what a signature covers.
fn read_index(signed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), IndexFileError> {
    let content = gzip::Reader::new(signed).take(MAX_INDEX);
    let mut archive = tar::Reader::new(io::BufReader::with_capacity(64 << 10, content));
    let mut description = None;
    let mut index = None;
    while let Some(entry) = archive.next().map_err(IndexFileError::Tar)? {
        let (slot, name) = match entry.path.as_bytes() {
            b"DESCRIPTION" => (&mut description, "DESCRIPTION"),
            b"APKINDEX" => (&mut index, "APKINDEX"),
            _ => continue,
        };
        if entry.kind != EntryKind::File {
            continue;
        }
        let mut text = Vec::new();
        archive
            .read_to_end(&mut text)
            .map_err(IndexFileError::Content)?;
        if slot.replace(text).is_some() {
            return Err(IndexFileError::Twice(name));
        }
    }
    let index = index.ok_or(IndexFileError::NoIndex)?;
    Ok((description.unwrap_or_default(), index))
}

/// Why a signature or control member cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The gzip member is damaged, truncated or over [`MAX_CONTROL`].
    #[error("its gzip member cannot be read")]
    Gzip(#[source] io::Error),
    /// The tar archive inside is not one.
    #[error("its tar archive cannot be read")]
    Tar(#[source] TarError),
    /// A signature member holds something else too.
    #[error("it holds `{name}` beside signatures")]
    Mixed {
        /// The other file's name.
        name: String,
    },
    /// A signature is larger than [`MAX_SIGNATURE`].
    #[error("its signature has {size} bytes, more than {MAX_SIGNATURE}")]
    SignatureTooLarge {
        /// The size in bytes.
        size: u64,
    },
    /// There are more than [`MAX_SIGNATURES`] signatures.
    #[error("it holds more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// There are more than [`MAX_SIGNATURE_MEMBERS`] signature members.
    #[error("more than {MAX_SIGNATURE_MEMBERS} signature members stand before it")]
    TooManyMembers,
}

/// A small member, held in memory both ways.
#[derive(Debug)]
pub(crate) struct SmallMember {
    /// As it stands in the file.
    pub(crate) compressed: Vec<u8>,
    /// Its tar archive.
    pub(crate) archive: Vec<u8>,
}

/// Keeps the compressed bytes of a small member.
#[derive(Default)]
struct Keep(Vec<u8>);

impl Tap for Keep {
    fn take(&mut self, compressed: &[u8]) -> io::Result<()> {
        if self.0.len() + compressed.len() > MAX_CONTROL {
            return Err(too_large());
        }
        self.0.extend_from_slice(compressed);
        Ok(())
    }
}

fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the member has more than {MAX_CONTROL} bytes"),
    )
}

impl SmallMember {
    /// Reads one member of at most [`MAX_CONTROL`] bytes.
    pub(crate) fn read(reader: &mut impl io::BufRead) -> Result<Self, MemberError> {
        let mut member = Member::new(reader, Keep::default());
        let mut archive = Vec::new();
        (&mut member)
            .take(MAX_CONTROL as u64)
            .read_to_end(&mut archive)
            .map_err(MemberError::Gzip)?;
        // At the limit there may be more, and even without more the trailer is still unread.
        if member.read(&mut [0]).map_err(MemberError::Gzip)? != 0 {
            return Err(MemberError::Gzip(too_large()));
        }
        Ok(Self {
            compressed: member.into_parts().1.0,
            archive,
        })
    }

    /// Reads the signatures if this is a signature member; `None` if its first file is none.
    pub(crate) fn signatures(&self) -> Result<Option<Vec<Signature>>, MemberError> {
        let mut archive = tar::Reader::new(&self.archive[..]);
        let mut signatures = Vec::new();
        let mut first = true;
        while let Some(entry) = archive.next().map_err(MemberError::Tar)? {
            let Some(name) = entry.path.as_bytes().strip_prefix(PREFIX) else {
                if first {
                    return Ok(None);
                }
                return Err(MemberError::Mixed {
                    name: entry.path.to_string(),
                });
            };
            first = false;
            let Some((algorithm, key_name)) = parse_name(name) else {
                continue;
            };
            if entry.size > MAX_SIGNATURE as u64 {
                return Err(MemberError::SignatureTooLarge { size: entry.size });
            }
            if signatures.len() == MAX_SIGNATURES {
                return Err(MemberError::TooManySignatures);
            }
            let mut bytes = Vec::new();
            archive.read_to_end(&mut bytes).map_err(MemberError::Gzip)?;
            signatures.push(Signature {
                algorithm,
                key_name,
                bytes,
            });
        }
        // An empty archive is no signature member; what follows shall say what is missing.
        Ok((!first).then_some(signatures))
    }
}

/// Reads `RSA256.somebody.rsa.pub`.
fn parse_name(name: &[u8]) -> Option<(SignatureAlgorithm, String)> {
    let dot = memchr::memchr(b'.', name)?;
    let (algorithm, key_name) = name.split_at_checked(dot)?;
    let algorithm = match algorithm {
        b"RSA" => SignatureAlgorithm::RsaSha1,
        b"RSA256" => SignatureAlgorithm::RsaSha256,
        b"RSA512" => SignatureAlgorithm::RsaSha512,
        _ => return None,
    };
    let key_name = str::from_utf8(key_name.get(1..)?).ok()?;
    (!key_name.is_empty() && !key_name.contains('/')).then(|| (algorithm, key_name.to_owned()))
}

/// Reads the signature members at the front of `bytes` and returns what stands behind them.
fn leading_signatures(bytes: &[u8]) -> Result<(Vec<Signature>, &[u8]), MemberError> {
    let mut signatures = Vec::new();
    let mut rest = bytes;
    for _ in 0..MAX_SIGNATURE_MEMBERS {
        if !begins_with_signature(rest)? {
            return Ok((signatures, rest));
        }
        let mut behind = rest;
        match SmallMember::read(&mut behind)?.signatures()? {
            Some(more) => signatures.extend(more),
            None => return Ok((signatures, rest)),
        }
        rest = behind;
    }
    Err(MemberError::TooManyMembers)
}

/// Says whether the first file of the first member is a signature, from its first header alone:
/// an index without one may be of any size, and is not to be called too large but unsigned.
fn begins_with_signature(bytes: &[u8]) -> Result<bool, MemberError> {
    let first = tar::Reader::new(Member::new(bytes, ()))
        .next()
        .map_err(MemberError::Tar)?;
    Ok(first.is_some_and(|entry| entry.path.as_bytes().starts_with(PREFIX)))
}
