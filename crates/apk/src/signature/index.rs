//! The opening of a signed index.

use std::io::{self, Read};

use super::{
    MemberError, PREFIX, Signature, SignatureAlgorithm, SignatureError, SmallMember, first_known,
    verify,
};
use crate::digest::Sha256;
use crate::entry::EntryKind;
use crate::gzip::{self, Member};
use crate::key::Keyring;
use crate::limits::{MAX_INDEX, MAX_SIGNATURE_MEMBERS};
use crate::tar::{self, TarError};

/// An index whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIndex {
    /// The repository's description of itself, such as `v3.20.3-12-gabcdef`.
    pub description: Vec<u8>,
    /// The `APKINDEX` file.
    pub index_text: Vec<u8>,
    /// When it was made, in seconds since 1970, as far as what the signature covers says it: the
    /// time of the `APKINDEX` file in the archive, or where that has none (a tool that writes 0)
    /// the newest build time (`t:`) among the packages. `None` if there is neither.
    ///
    /// Seen on Alpine's own indexes of 3.13 and 3.19: the time is that of the index's making, some
    /// minutes after the newest build time. Time alone orders two indexes: a description such as
    /// `v3.19.1-643-gec825d20535` stays the same where only packages are rebuilt or go, and the
    /// newest build time goes back when the package that has it is withdrawn.
    pub made: Option<u64>,
    /// The file name of the key that signed it.
    pub key_name: String,
    /// That key's fingerprint.
    pub fingerprint: Sha256,
    /// The file names of all keys that signed it, in the order of the signatures, whether their
    /// signatures hold or not.
    pub signers: Vec<String>,
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
    /// A file inside is larger than [`MAX_INDEX`].
    #[error("the file `{entry}` of the index has {size} bytes, more than {MAX_INDEX}")]
    TooLarge {
        /// Which.
        entry: &'static str,
        /// Its size in bytes.
        size: u64,
    },
    /// A file stands there twice.
    #[error("the index's archive holds two files `{0}`")]
    Twice(&'static str),
    /// There is no `APKINDEX` inside.
    #[error("the index's archive holds no file `APKINDEX`")]
    NoIndex,
}

/// Opens an `APKINDEX.tar.gz` with the keys that are trusted.
///
/// The content is read while the signature is checked, on a thread beside it, and nothing of it is
/// given out before the signature was found to hold; what is wrong with the signature is told
/// first.
pub fn open_signed_index(bytes: &[u8], keys: &Keyring) -> Result<SignedIndex, IndexFileError> {
    let (signatures, signed) =
        leading_signatures(bytes).map_err(IndexFileError::SignatureMember)?;
    let (vouched, content) = std::thread::scope(|scope| {
        // What nobody known signed is not even looked at.
        first_known(&signatures, keys)?;
        let content = scope.spawn(|| read_index(signed));
        let vouched = verify(&signatures, keys, signed)?;
        Ok((vouched, content.join()))
    })
    .map_err(IndexFileError::Signature)?;
    let failed = |_| Err(IndexFileError::Content(io::Error::other("a thread failed")));
    let content = content.unwrap_or_else(failed)?;
    Ok(SignedIndex {
        made: content.made(),
        description: content.description,
        index_text: content.text,
        key_name: vouched.signature.key_name.clone(),
        fingerprint: vouched.key.fingerprint(),
        signers: signatures.iter().map(|one| one.key_name.clone()).collect(),
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
    let content = read_index(signed)?;
    Ok(UncheckedIndex {
        description: content.description,
        index_text: content.text,
        signatures,
    })
}

/// What a signature covers.
struct Content {
    description: Vec<u8>,
    text: Vec<u8>,
    /// The time of the file that the text is.
    mtime: i64,
}

impl Content {
    /// Says when the index was made: see [`SignedIndex::made`].
    fn made(&self) -> Option<u64> {
        let written = u64::try_from(self.mtime).ok().filter(|time| *time > 0);
        written.or_else(|| {
            let lines = self.text.split(|byte| *byte == b'\n');
            let built = lines.filter_map(|line| line.strip_prefix(b"t:"));
            let built = built.filter_map(|time| std::str::from_utf8(time).ok()?.parse().ok());
            built.max().filter(|time| *time > 0)
        })
    }
}

/// Returns the description and the index in what a signature covers.
fn read_index(signed: &[u8]) -> Result<Content, IndexFileError> {
    let content = Bounded {
        inner: gzip::Reader::new(signed),
        left: MAX_INDEX,
    };
    let mut archive = tar::Reader::new(io::BufReader::with_capacity(64 << 10, content));
    let mut description = None;
    let mut index = None;
    let mut mtime = 0;
    while let Some(entry) = archive.next().map_err(IndexFileError::Tar)? {
        let (slot, name) = match entry.path.as_bytes() {
            b"DESCRIPTION" => (&mut description, "DESCRIPTION"),
            b"APKINDEX" => (&mut index, "APKINDEX"),
            _ => continue,
        };
        if entry.kind != EntryKind::File {
            continue;
        }
        if entry.size > MAX_INDEX {
            return Err(IndexFileError::TooLarge {
                entry: name,
                size: entry.size,
            });
        }
        // Read in one piece into zeroed memory, of which the system has plenty; growing a vector
        // would copy and zero most of it again.
        let mut text = vec![0; entry.size as usize];
        archive
            .read_exact(&mut text)
            .map_err(IndexFileError::Content)?;
        if slot.replace(text).is_some() {
            return Err(IndexFileError::Twice(name));
        }
        if name == "APKINDEX" {
            mtime = entry.mtime;
        }
    }
    Ok(Content {
        description: description.unwrap_or_default(),
        text: index.ok_or(IndexFileError::NoIndex)?,
        mtime,
    })
}

/// Reads no more than [`MAX_INDEX`] bytes, and fails where there are more.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            let message = format!("it inflates to more than {MAX_INDEX} bytes");
            return Err(io::Error::other(message));
        };
        self.left = left;
        Ok(count)
    }
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
