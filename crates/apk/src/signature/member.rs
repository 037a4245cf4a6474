//! The small members that a file begins with.

use std::io::{self, Read};

use super::{PREFIX, Signature, SignatureAlgorithm};
use crate::gzip::{Member, Tap};
use crate::limits::{MAX_CONTROL, MAX_SIGNATURE, MAX_SIGNATURE_MEMBERS, MAX_SIGNATURES};
use crate::tar::{self, TarError};

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
