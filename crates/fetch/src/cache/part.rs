//! A file that is being written and has no name yet.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use prebake_apk::digest::Sha256;
use sha2::Digest as _;
use tempfile::NamedTempFile;

use super::{Blob, Cache, CacheError, Found, Key};

/// A growing temporary file and the hash of what is in it. It is removed when dropped.
#[derive(Debug)]
pub(crate) struct Part {
    file: NamedTempFile,
    hasher: sha2::Sha256,
    length: u64,
}

impl Part {
    pub(super) fn new(folder: &Path, key: &Key) -> Result<Self, CacheError> {
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{}.", key.as_str());
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // What the umask leaves of it, as for any other file, so that a cache can be shared.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .tempfile_in(folder)
            .map_err(|error| CacheError::write(folder, error))?;
        Ok(Self {
            file,
            hasher: sha2::Sha256::new(),
            length: 0,
        })
    }

    /// Returns how many bytes are in it.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the SHA-256 of what is in it.
    pub(crate) fn sha256(&self) -> Sha256 {
        Sha256::new(self.hasher.clone().finalize().into())
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file
            .write_all(bytes)
            .map_err(|error| CacheError::write(self.file.path(), error))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Empties it.
    pub(crate) fn restart(&mut self) -> Result<(), CacheError> {
        let file = self.file.as_file_mut();
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .map_err(|error| CacheError::write(self.file.path(), error))?;
        self.hasher = sha2::Sha256::new();
        self.length = 0;
        Ok(())
    }

    /// Makes it the blob of its content.
    pub(crate) fn persist(self, cache: &Cache) -> Result<Blob, CacheError> {
        let sha256 = self.sha256();
        let path = cache.blob_path(&sha256);
        let write = |error| CacheError::write(&path, error);
        let blob = Blob::new(sha256, self.length, path.clone());
        let folder = path.parent().unwrap_or(&path);
        fs_err::create_dir_all(folder).map_err(write)?;
        self.file.as_file().sync_all().map_err(write)?;
        match self.file.persist_noclobber(&path) {
            Ok(_) => {}
            Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists => {
                if !matches!(cache.find(&sha256)?, Found::Good(_)) {
                    there
                        .file
                        .persist(&path)
                        .map_err(|failed| write(failed.error))?;
                }
            }
            // Some file systems know no rename that spares what is there.
            Err(other) => {
                other
                    .file
                    .persist(&path)
                    .map_err(|failed| write(failed.error))?;
            }
        }
        sync_folder(folder).map_err(write)?;
        Ok(blob)
    }

    /// Makes it the file at `path`, in place of what may be there.
    pub(super) fn replace(self, path: &Path) -> Result<(), CacheError> {
        let write = |error| CacheError::write(path, error);
        self.file.as_file().sync_all().map_err(write)?;
        self.file
            .persist(path)
            .map_err(|failed| write(failed.error))?;
        Ok(())
    }
}

/// Makes a rename in `folder` last through a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match fs_err::File::open(folder)?.sync_all() {
        // Some file systems cannot sync a folder.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// Windows writes folders through by itself and does not open them as files.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it is as on Unix to who calls it")]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
