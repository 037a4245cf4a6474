//! What can go wrong with the cache's own files.

use std::io;
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;

/// A failure of the cache, as opposed to one of the network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// No folder for the cache is known.
    #[error("no home folder is known to keep the cache in, and `PREBAKE_CACHE` is not set")]
    NoHome,
    /// A file of the cache cannot be read.
    #[error("cannot read from the cache at `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of the cache cannot be written.
    #[error("cannot write to the cache at `{path}`")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The cache may be read and not written, and something had to be written.
    #[error("the cache at `{path}` is read-only")]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk or the quota is full.
    #[error("no space left for the cache at `{path}`")]
    Full {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of the cache has other content than its name says. The next fetch replaces it.
    #[error("the cached file `{path}` is damaged: its SHA-256 is {found}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The hash that its content has.
        found: Sha256,
    },
    /// A file of the cache is gone.
    #[error("the cached file `{path}` is gone")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is larger than the caller can take.
    #[error("the cached file `{path}` has {size} bytes, over the limit of {limit}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl CacheError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else {
            Self::Read { path, source }
        }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{
            FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
        };
        let path = path.to_owned();
        match source.kind() {
            PermissionDenied | ReadOnlyFilesystem => Self::ReadOnly { path, source },
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full { path, source },
            _ => Self::Write { path, source },
        }
    }
}
