//! The files that `wsl.exe` imports from, each written once.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use prebake_apk::digest::Sha256;
use sha2::Digest as _;

use super::store::Store;
use crate::driver::Progress;
use crate::launch_error::LaunchError;
use crate::name::Name;
use crate::rootfs::Rootfs;

/// Returns the file with a rootfs' `tar.gz`. It is written, and its identity checked, where it is
/// not there yet; it never has its name before that.
pub(super) fn file(
    store: &Store,
    rootfs: &Rootfs,
    progress: Progress<'_>,
) -> Result<PathBuf, LaunchError> {
    let folder = store.images();
    let path = folder.join(format!("{}.tar.gz", rootfs.identity()));
    if path.is_file() {
        return Ok(path);
    }
    fs_err::create_dir_all(&folder).map_err(|source| LaunchError::HostPath {
        doing: "make the folder".to_owned(),
        path: folder.clone(),
        source,
    })?;
    // Several processes may write it at once; each has a file of its own, and the last rename
    // wins, over the same bytes.
    let path_of_part = folder.join(format!("{}.part", Name::unique("image")));
    let part = begin(store, &path_of_part)?;
    let written = write(&part, &path_of_part, rootfs, progress).and_then(|()| {
        match fs_err::rename(&path_of_part, &path) {
            // Windows does not rename onto a file that `wsl.exe` is reading.
            Err(_) if path.is_file() => Ok(()),
            other => other.map_err(|source| LaunchError::HostPath {
                doing: "write".to_owned(),
                path: path.clone(),
                source,
            }),
        }
    });
    drop(part);
    let _ = fs_err::remove_file(&path_of_part);
    written.map(|()| path)
}

/// Makes the file that becomes the image, locked as long as it is written.
fn begin(store: &Store, part: &Path) -> Result<File, LaunchError> {
    let _moment = store.lock()?;
    let mut options = fs_err::OpenOptions::new();
    let file = options.write(true).create_new(true).open(part);
    let file = file.map(fs_err::File::into_file).and_then(|file| {
        file.lock()?;
        Ok(file)
    });
    file.map_err(|source| cannot_write(part, source))
}

fn cannot_write(part: &Path, source: io::Error) -> LaunchError {
    LaunchError::HostPath {
        doing: "write".to_owned(),
        path: part.to_owned(),
        source,
    }
}

/// Removes what dead processes were writing. What is being written is locked.
pub(super) fn sweep(store: &Store) -> Result<(), LaunchError> {
    let Ok(entries) = fs_err::read_dir(store.images()) else {
        return Ok(());
    };
    let _moment = store.lock()?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_part = path.extension().is_some_and(|ending| ending == "part");
        if is_part && !is_locked(&path) {
            let _ = fs_err::remove_file(&path);
        }
    }
    Ok(())
}

fn is_locked(path: &Path) -> bool {
    let file = fs_err::OpenOptions::new().write(true).open(path);
    file.is_ok_and(|file| file.into_file().try_lock().is_err())
}

fn write(
    file: &File,
    path: &Path,
    rootfs: &Rootfs,
    progress: Progress<'_>,
) -> Result<(), LaunchError> {
    let unpack = |source| LaunchError::Unpack {
        name: rootfs.name().to_owned(),
        source,
    };
    let mut tee = Tee {
        from: rootfs.open().map_err(unpack)?,
        to: file,
        failed: None,
    };
    let found = identity(&mut tee, rootfs.about().unpacked, progress);
    if let Some(source) = tee.failed {
        return Err(cannot_write(path, source));
    }
    let found = found.map_err(unpack)?;
    if found != *rootfs.identity() {
        return Err(LaunchError::WrongIdentity {
            name: rootfs.name().to_owned(),
            expected: *rootfs.identity(),
            found,
        });
    }
    file.sync_all().map_err(|source| cannot_write(path, source))
}

/// Returns the SHA-256 of the uncompressed stream.
fn identity(from: impl Read, length: u64, progress: Progress<'_>) -> io::Result<Sha256> {
    let mut stream = MultiGzDecoder::new(from);
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0_u64;
    loop {
        let count = stream.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(Sha256::new(hash.finalize().into()));
        };
        hash.update(bytes);
        done += count as u64;
        if done > length {
            let text = format!("it is longer than the {length} bytes that it is said to have");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        progress(done, length);
    }
}

/// Writes what is read to a file.
struct Tee<'a, R> {
    from: R,
    to: &'a File,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if let Err(error) = self.to.write_all(buffer.get(..count).unwrap_or_default()) {
            self.failed = Some(error);
            return Err(io::ErrorKind::Other.into());
        }
        Ok(count)
    }
}
