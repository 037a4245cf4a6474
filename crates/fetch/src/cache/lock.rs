//! A lock between processes, by a file of its own.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err::{File, OpenOptions};

use super::CacheError;
use crate::{Cancel, Options};

/// How often a lock that somebody else holds is tried again. The standard library has no wait
/// with a bound, and one without could not be cancelled.
const POLL: Duration = Duration::from_millis(20);

/// A held lock. The operating system lets go of it even if the process is killed.
#[derive(Debug)]
pub(crate) struct Lock {
    /// `None` where locks do not work (some network file systems) or were waited for too long.
    /// Nothing breaks then, since files appear by a rename and are checked by hash: at worst
    /// two processes download the same one.
    held: Option<(File, PathBuf)>,
}

enum Attempt {
    Taken(File),
    Busy,
    Unsupported,
}

impl Lock {
    /// Takes the lock of `path`; `None` if cancelled while waiting for it.
    pub(super) fn take(
        path: PathBuf,
        options: &Options,
        cancel: &Cancel,
    ) -> Result<Option<Self>, CacheError> {
        let began = Instant::now();
        loop {
            match attempt(&path).map_err(|error| CacheError::write(&path, error))? {
                Attempt::Taken(file) => {
                    return Ok(Some(Self {
                        held: Some((file, path)),
                    }));
                }
                Attempt::Unsupported => return Ok(Some(Self { held: None })),
                Attempt::Busy if began.elapsed() >= options.lock_timeout => {
                    return Ok(Some(Self { held: None }));
                }
                Attempt::Busy if cancel.wait(POLL) => return Ok(None),
                Attempt::Busy => {}
            }
        }
    }

    /// Takes the lock of `path` if nobody holds it.
    pub(super) fn try_take(path: PathBuf) -> Option<Self> {
        match attempt(&path) {
            Ok(Attempt::Taken(file)) => Some(Self {
                held: Some((file, path)),
            }),
            _ => None,
        }
    }
}

fn attempt(path: &Path) -> io::Result<Attempt> {
    loop {
        // Opening a pipe to write waits for somebody who reads it, for ever; and a link could have a
        // file made anywhere.
        if fs_err::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            fs_err::remove_file(path)?;
        }
        let file = match OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
        {
            Ok(file) => file,
            // On Windows a file that is being removed cannot be opened for a moment.
            Err(error) if cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(Attempt::Busy);
            }
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            // Whoever held it before may have removed the file; a lock on a file without a name
            // keeps nobody out.
            Ok(()) if is_at(&file, path) => return Ok(Attempt::Taken(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
            Err(TryLockError::Error(_)) => return Ok(Attempt::Unsupported),
        }
    }
}

/// Returns whether `path` still leads to `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs_err::metadata(path)) {
        (Ok(held), Ok(named)) => held.dev() == named.dev() && held.ino() == named.ino(),
        _ => false,
    }
}

/// Lock files are not removed here, so the path always leads to the file.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((_file, path)) = self.held.take()
            && cfg!(unix)
        {
            // While it is still locked, so that nobody can hold the one that is removed.
            drop(fs_err::remove_file(path));
        }
    }
}
