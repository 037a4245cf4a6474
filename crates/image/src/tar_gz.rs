//! Writes a tree as `tar.gz`.

use std::io::Write;

use prebake_apk::digest::Sha256;
use prebake_rootfs::tree::Tree;
use sha2::Digest as _;

use crate::error::ImageError;
use crate::gzip::Encoder;
use crate::sources::Sources;
use crate::tar::{self, Hashing};

/// The level that is compressed at unless asked otherwise: zlib's best.
pub const LEVEL: u32 = 9;

/// How to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many threads compress. It changes nothing but the time.
    pub threads: usize,
    /// The level of compression, 0 to 9.
    pub level: u32,
}

impl Default for Options {
    /// One thread, [`LEVEL`].
    fn default() -> Self {
        Self {
            threads: 1,
            level: LEVEL,
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The SHA-256 of the uncompressed stream: the identity of the root filesystem.
    pub identity: Sha256,
    /// The length of the uncompressed stream in bytes.
    pub uncompressed_length: u64,
    /// The SHA-256 of the file.
    pub compressed: Sha256,
    /// The length of the file in bytes.
    pub compressed_length: u64,
}

/// Writes `tree` as a compressed archive.
///
/// An error of `out` ends the writing and comes back as [`ImageError::Output`], which is how a
/// caller cancels: give out an error of any kind but [`Interrupted`](std::io::ErrorKind::Interrupted).
pub fn write(
    tree: &Tree,
    sources: &mut dyn Sources,
    out: &mut dyn Write,
    options: &Options,
) -> Result<Written, ImageError> {
    let mut encoder = Encoder::new(Hashing::new(out), options.level, options.threads)
        .map_err(ImageError::Output)?;
    let tar = tar::write(tree, sources, &mut encoder)?;
    let file = encoder.finish().map_err(ImageError::Output)?;
    Ok(Written {
        identity: tar.identity,
        uncompressed_length: tar.length,
        compressed: Sha256::new(file.hash.finalize().into()),
        compressed_length: file.length,
    })
}
