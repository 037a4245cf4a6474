//! One run at a time fills a folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::error::Error;

/// A folder that no other run fills meanwhile.
#[derive(Debug)]
pub(super) struct Hold {
    _made: Option<Made>,
    /// What holds the lock; `None` where the system or the file system has none for folders: then
    /// each file is whole all the same, and the list may lack what the other run wrote.
    _lock: Option<fs_err::File>,
}

/// A folder that was made for this. It goes again if it stays empty.
#[derive(Debug)]
struct Made(PathBuf);

impl Hold {
    /// Makes sure that the folder exists, and waits until no other run fills it.
    pub(super) fn take(folder: &Path, context: &Context) -> Result<Self, Error> {
        let write = |source| Error::Write {
            path: folder.to_owned(),
            source,
        };
        let made = (!folder.exists()).then(|| Made(folder.to_owned()));
        fs_err::create_dir_all(folder).map_err(write)?;
        let lock = lock(folder, context).map_err(write)?;
        context.alive()?;
        Ok(Self {
            _made: made,
            _lock: lock,
        })
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Only an empty folder can be removed so.
        drop(fs_err::remove_dir(&self.0));
    }
}

#[cfg(unix)]
fn lock(folder: &Path, context: &Context) -> io::Result<Option<fs_err::File>> {
    use std::fs::TryLockError;
    use std::time::Duration;

    let file = fs_err::File::open(folder)?;
    let mut told = false;
    loop {
        match file.file().try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
        }
        if !told {
            told = true;
            let folder = folder.display();
            let text = format!("waiting for another run that fills `{folder}`");
            context.reporter.notice(&text);
        }
        if context.cancel.wait(Duration::from_millis(100)) {
            return Ok(None);
        }
    }
}

/// Windows opens no folder as a file.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it is as on Unix to who calls it")]
fn lock(_folder: &Path, _context: &Context) -> io::Result<Option<fs_err::File>> {
    Ok(None)
}
