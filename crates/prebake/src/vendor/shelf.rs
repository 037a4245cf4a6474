//! Folders where files with a known hash may lie already, and from which they are only read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_fetch::{Blob, Cache, CacheError};

use super::VendorError;
use super::manifest::{Manifest, join};
use crate::error::Error;

/// A folder to look into.
#[derive(Clone, Debug)]
pub(crate) enum Shelf {
    /// One that `prebake vendor` filled.
    Vendored(PathBuf),
    /// A cache that somebody else fills.
    Cache(Cache),
}

/// What a look for a hash finds.
#[derive(Debug)]
pub(crate) enum OnShelf {
    /// A file with the right content.
    Good(Blob),
    /// A file that is said to have it, and has another one, or cannot be read.
    Damaged(PathBuf),
    /// Nothing.
    Missing,
}

/// A shelf with its list read.
#[derive(Debug)]
pub(crate) enum OpenShelf<'s> {
    Vendored(&'s Path, BTreeMap<Sha256, Vec<String>>),
    Cache(&'s Cache),
}

impl Shelf {
    /// Reads the list of a folder's files.
    pub(crate) fn open(&self) -> Result<OpenShelf<'_>, Error> {
        match self {
            Self::Vendored(folder) => OpenShelf::vendored(folder)?
                .ok_or_else(|| VendorError::NotVendored(folder.clone()).into()),
            Self::Cache(cache) => Ok(OpenShelf::Cache(cache)),
        }
    }
}

impl<'s> OpenShelf<'s> {
    /// Reads the list of a folder that `prebake vendor` filled; `None` where there is none.
    pub(crate) fn vendored(folder: &'s Path) -> Result<Option<Self>, Error> {
        let Some(manifest) = Manifest::read(folder)? else {
            return Ok(None);
        };
        let mut by_hash: BTreeMap<Sha256, Vec<String>> = BTreeMap::new();
        for (path, sha256) in manifest.0 {
            by_hash.entry(sha256).or_default().push(path);
        }
        Ok(Some(Self::Vendored(folder, by_hash)))
    }

    /// Looks for a file. All of it is hashed.
    pub(crate) fn find(&self, sha256: &Sha256) -> Result<OnShelf, Error> {
        match self {
            Self::Cache(cache) => {
                let found = cache.get(sha256).map_err(Error::Cache)?;
                Ok(found.map_or(OnShelf::Missing, OnShelf::Good))
            }
            Self::Vendored(folder, by_hash) => {
                let mut found = OnShelf::Missing;
                for path in by_hash.get(sha256).into_iter().flatten() {
                    match at(&join(folder, path), sha256) {
                        OnShelf::Good(blob) => return Ok(OnShelf::Good(blob)),
                        OnShelf::Missing => {}
                        damaged @ OnShelf::Damaged(_) => found = damaged,
                    }
                }
                Ok(found)
            }
        }
    }
}

/// Looks whether the file at `path` has that hash.
pub(super) fn at(path: &Path, sha256: &Sha256) -> OnShelf {
    match Blob::at(path.to_owned(), sha256) {
        Ok(blob) => OnShelf::Good(blob),
        Err(CacheError::Missing { .. }) => OnShelf::Missing,
        Err(_) => OnShelf::Damaged(path.to_owned()),
    }
}
