//! A file of the cache, and the proof that it is the right one.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err::File;
use prebake_apk::digest::Sha256;
use sha2::Digest as _;

use super::{CacheError, open_regular, read_whole};

/// How many bytes are hashed at once.
const CHUNK: usize = 64 * 1024;

/// A file of the cache, named by its content. It holds no file open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    sha256: Sha256,
    size: u64,
    path: PathBuf,
}

/// A blob's content after all of it was hashed and found right: from byte 0, readable and
/// seekable, through the very handle that was hashed.
#[derive(Debug)]
pub struct VerifiedBlob {
    file: File,
    sha256: Sha256,
    size: u64,
}

impl Blob {
    /// Returns the SHA-256 that the content must have.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns where the file is, for messages. What is read from there without
    /// [`Blob::open_verified`] is not to be trusted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, hashes all of it and hands it out from the start.
    ///
    /// # Errors
    ///
    /// [`CacheError::Damaged`] if the content is not the right one, [`CacheError::Missing`] if
    /// somebody cleared the cache; in both cases fetching it again helps.
    pub fn open_verified(&self) -> Result<VerifiedBlob, CacheError> {
        open(&self.path, &self.sha256)
    }

    /// Reads all of the content into memory and hashes what was read, so that not even a change
    /// of the file in the meantime goes unnoticed.
    ///
    /// # Errors
    ///
    /// As [`Blob::open_verified`], and [`CacheError::TooLarge`] for more than `limit` bytes.
    pub fn read_verified(&self, limit: u64) -> Result<Vec<u8>, CacheError> {
        let read = |error| CacheError::read(&self.path, error);
        let too_large = |size| CacheError::TooLarge {
            path: self.path.clone(),
            size,
            limit,
        };
        if self.size > limit {
            return Err(too_large(self.size));
        }
        let file = open_regular(&self.path).map_err(read)?;
        let content = read_whole(&file, self.size, limit.saturating_add(1)).map_err(read)?;
        let size = content.len() as u64;
        if size > limit {
            return Err(too_large(size));
        }
        let found = Sha256::of(&content);
        if found != self.sha256 {
            return Err(CacheError::Damaged {
                path: self.path.clone(),
                found,
            });
        }
        Ok(content)
    }

    /// Returns the file at `path`, wherever it lies, after checking that all of it has that hash:
    /// it is then as good as one of the cache's, and checked as often.
    ///
    /// # Errors
    ///
    /// [`CacheError::Damaged`] if the content is another one, [`CacheError::Missing`] if there is
    /// no such file, [`CacheError::Read`] if it cannot be read, or is a pipe, a device or a folder.
    pub fn at(path: PathBuf, sha256: &Sha256) -> Result<Self, CacheError> {
        let kind = fs_err::metadata(&path).map_err(|error| CacheError::read(&path, error))?;
        if !kind.is_file() {
            // A pipe or a device could block for ever or never end.
            let error = io::Error::other("it is not a regular file");
            return Err(CacheError::read(&path, error));
        }
        Self::check(path, sha256)
    }

    /// Names a file that was just written and hashed.
    pub(super) fn new(sha256: Sha256, size: u64, path: PathBuf) -> Self {
        Self { sha256, size, path }
    }

    /// Returns the blob at `path` after checking all of it.
    pub(super) fn check(path: PathBuf, sha256: &Sha256) -> Result<Self, CacheError> {
        let verified = open(&path, sha256)?;
        Ok(Self {
            sha256: *sha256,
            size: verified.size,
            path,
        })
    }
}

fn open(path: &Path, sha256: &Sha256) -> Result<VerifiedBlob, CacheError> {
    let read = |error| CacheError::read(path, error);
    let mut file = open_regular(path).map_err(read)?;
    let (size, found) = hash(&mut file).map_err(read)?;
    if found != *sha256 {
        let path = path.to_owned();
        return Err(CacheError::Damaged { path, found });
    }
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    Ok(VerifiedBlob {
        file,
        sha256: *sha256,
        size,
    })
}

/// Returns how many bytes `file` has and their hash.
fn hash(file: &mut impl Read) -> io::Result<(u64, Sha256)> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => return Ok((size, Sha256::new(hasher.finalize().into()))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(buffer.get(..read).unwrap_or_default());
        size += read as u64;
    }
}

impl VerifiedBlob {
    /// Returns the SHA-256 that the content was found to have.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for VerifiedBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for VerifiedBlob {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_elsewhere_is_checked_as_one_of_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let sha256 = Sha256::of(b"right");
        let at = || Blob::at(path.clone(), &sha256);
        assert!(matches!(at(), Err(CacheError::Missing { .. })));
        fs_err::write(&path, "wrong").unwrap();
        assert!(matches!(at(), Err(CacheError::Damaged { .. })));
        fs_err::write(&path, "right").unwrap();
        let blob = at().unwrap();
        assert_eq!(blob.read_verified(5).unwrap(), b"right");
        fs_err::write(&path, "later").unwrap();
        assert!(matches!(
            blob.open_verified(),
            Err(CacheError::Damaged { .. })
        ));
        let no_file = Blob::at(folder.path().to_owned(), &sha256);
        assert!(matches!(no_file, Err(CacheError::Read { .. })));
    }
}
