//! A rootfs as a file on the host, read back.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_apk::installed::Installed;
use prebake_apk::tar;
use prebake_rootfs::merge::Base;
use prebake_rootfs::{Merge, MergeError, Tree};
use sha2::Digest as _;

use crate::error::Error;
use crate::inspect;
use crate::scan;

/// A rootfs that was read from a `tar.gz` or `tar.zst`.
#[derive(Debug)]
pub struct RootfsFile {
    /// The file.
    pub path: PathBuf,
    /// The SHA-256 of the uncompressed stream.
    pub identity: Sha256,
    /// The uncompressed stream's length in bytes.
    pub uncompressed_size: u64,
    /// What is in it.
    pub tree: Tree,
    /// What it says of itself.
    pub base: Base,
    /// Its apk database; no packages if it has none.
    pub installed: Installed,
}

impl RootfsFile {
    /// Reads all of a rootfs; its contents are hashed and not kept.
    pub fn read(path: &Path) -> Result<Self, Error> {
        inspect::expect_rootfs(path)?;
        let url = || path.display().to_string();
        let stream = Hashing {
            inner: inspect::decoded(path)?,
            hash: sha2::Sha256::new(),
            length: 0,
        };
        let mut archive = tar::Reader::new(io::BufReader::with_capacity(64 << 10, stream));
        let mut merge = Merge::new(0);
        while let Some(entry) = archive
            .next()
            .map_err(|source| Error::Base { url: url(), source })?
        {
            let file =
                scan::content_alone(&entry, &mut archive).map_err(|source| Error::BaseContent {
                    url: url(),
                    path: entry.path.clone(),
                    source,
                })?;
            merge
                .base_entry(entry, file)
                .map_err(|source| unreadable(path, source))?;
        }
        let base = merge
            .base_done()
            .map_err(|source| unreadable(path, source))?;
        let installed = Installed::parse(&base.installed)
            .map_err(|source| unreadable(path, MergeError::Installed(source)))?;
        let stream = archive.into_inner().into_inner();
        Ok(Self {
            path: path.to_owned(),
            identity: Sha256::new(stream.hash.finalize().into()),
            uncompressed_size: stream.length,
            tree: merge.into_tree(),
            base,
            installed,
        })
    }
}

fn unreadable(path: &Path, source: MergeError) -> Error {
    Error::Rootfs {
        path: path.to_owned(),
        source,
    }
}

/// Hashes and counts what is read.
struct Hashing<R> {
    inner: R,
    hash: sha2::Sha256,
    length: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.length += count as u64;
        Ok(count)
    }
}
