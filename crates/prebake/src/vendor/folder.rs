//! The folder that is being filled: what lies where, what is written, what goes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_fetch::Blob;
use sha2::Digest as _;

use super::VendorError;
use super::manifest::{MANIFEST, Manifest, join};
use super::shelf::{OnShelf, at};
use crate::context::Context;
use crate::error::Error;
use crate::output_file::{self, OutputFile};
use crate::write_file;

/// How much is copied at once.
const CHUNK: usize = 128 << 10;

/// A folder, and what its list says of it.
#[derive(Debug)]
pub(super) struct Folder<'c> {
    pub(super) root: PathBuf,
    /// What the list in the folder says now.
    pub(super) manifest: Manifest,
    context: &'c Context,
}

/// What is where a file is to be.
#[derive(Debug)]
pub(super) enum There {
    /// The file.
    Good(Blob),
    /// Nothing.
    Missing,
    /// Another file that prebake put there.
    Old,
    /// A file that prebake put there, and that somebody or something changed.
    Damaged,
}

/// A file that is to be in the folder.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Blob(Blob),
    Bytes(Vec<u8>),
}

impl Source {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Blob(blob) => blob.size(),
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    pub(super) fn sha256(&self) -> Sha256 {
        match self {
            Self::Blob(blob) => blob.sha256(),
            Self::Bytes(bytes) => Sha256::of(bytes),
        }
    }
}

impl<'c> Folder<'c> {
    /// Reads the list of the folder.
    pub(super) fn open(root: &Path, context: &'c Context) -> Result<Self, Error> {
        Ok(Self {
            root: root.to_owned(),
            manifest: Manifest::read(root)?.unwrap_or_default(),
            context,
        })
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        join(&self.root, path)
    }

    /// Looks at what is where a file with that hash is to be. What prebake did not put there, and is
    /// not that file, is an error: it is never replaced.
    pub(super) fn there(&self, path: &str, sha256: &Sha256) -> Result<There, Error> {
        self.context.alive()?;
        self.refuse_links(path)?;
        let host = self.path(path);
        if !host.exists() {
            return Ok(There::Missing);
        }
        if let OnShelf::Good(blob) = at(&host, sha256) {
            return Ok(There::Good(blob));
        }
        match self.manifest.0.get(path) {
            Some(before) if matches!(at(&host, before), OnShelf::Good(_)) => Ok(There::Old),
            Some(_) => Ok(There::Damaged),
            None => Err(in_the_way(host, "another file").into()),
        }
    }

    /// Refuses a path that a link lies on: it could lead out of the folder.
    pub(super) fn refuse_links(&self, path: &str) -> Result<(), VendorError> {
        let mut host = self.root.clone();
        let parts: Vec<_> = path.split('/').collect();
        for (number, part) in parts.iter().enumerate() {
            host.push(part);
            let Ok(found) = fs_err::symlink_metadata(&host) else {
                return Ok(());
            };
            let is_last = number + 1 == parts.len();
            let what = if found.is_symlink() {
                "a link"
            } else if is_last && found.is_dir() {
                "a folder"
            } else if is_last && !found.is_file() {
                "no regular file"
            } else if !is_last && !found.is_dir() {
                "no folder"
            } else {
                continue;
            };
            return Err(in_the_way(host, what));
        }
        Ok(())
    }

    /// Removes what killed runs left in the folders of these files.
    pub(super) fn sweep<'p>(&self, paths: impl Iterator<Item = &'p str>) {
        let folders = paths.filter_map(|path| Some(path.rsplit_once('/')?.0));
        let folders: std::collections::BTreeSet<_> = folders.collect();
        output_file::sweep(&self.root);
        for folder in folders {
            if self.refuse_links(&format!("{folder}/{MANIFEST}")).is_ok() {
                output_file::sweep(&self.path(folder));
            }
        }
    }

    /// Writes the list, if it is another one.
    pub(super) fn set_manifest(&mut self, files: BTreeMap<String, Sha256>) -> Result<(), Error> {
        let manifest = Manifest(files);
        if manifest != self.manifest {
            let path = self.root.join(MANIFEST);
            write_file(&path, manifest.to_text().as_bytes())?;
            self.manifest = manifest;
        }
        Ok(())
    }

    /// Puts a file into the folder, whole or not at all; `wrote` hears how many bytes were added.
    pub(super) fn put(
        &self,
        path: &str,
        source: &Source,
        wrote: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let path = self.path(path);
        let write = |source| Error::Write {
            path: path.clone(),
            source,
        };
        match source {
            Source::Bytes(bytes) => {
                write_file(&path, bytes)?;
                wrote(bytes.len() as u64);
            }
            Source::Blob(blob) => {
                let mut from = blob.open_verified().map_err(Error::Cache)?;
                let mut to = OutputFile::create(&path).map_err(write)?;
                let mut hasher = sha2::Sha256::new();
                let mut buffer = vec![0; CHUNK];
                loop {
                    self.context.alive()?;
                    let read = from.read(&mut buffer).map_err(|source| Error::ReadFile {
                        what: "the cached file",
                        path: blob.path().to_owned(),
                        source,
                    })?;
                    let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                        break;
                    };
                    hasher.update(bytes);
                    to.write_all(bytes).map_err(write)?;
                    wrote(read as u64);
                }
                // It was right a moment ago; what was read since is what counts.
                if Sha256::new(hasher.finalize().into()) != blob.sha256() {
                    return Err(VendorError::Changed(blob.path().to_owned()).into());
                }
                to.commit().map_err(write)?;
            }
        }
        Ok(())
    }

    /// Removes a file that is just as prebake put it there, and the folders that are empty then.
    /// Returns whether it went.
    pub(super) fn remove(&self, path: &str, sha256: &Sha256) -> Result<bool, Error> {
        let host = self.path(path);
        let is_ours = self.refuse_links(path).is_ok();
        if !is_ours || !matches!(at(&host, sha256), OnShelf::Good(_)) {
            return Ok(false);
        }
        fs_err::remove_file(&host).map_err(|source| Error::Write {
            path: host.clone(),
            source,
        })?;
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            // Only an empty folder can be removed so.
            if fs_err::remove_dir(self.path(above)).is_err() {
                break;
            }
            folder = above;
        }
        Ok(true)
    }
}

fn in_the_way(path: PathBuf, what: &'static str) -> VendorError {
    VendorError::InTheWay { path, what }
}
