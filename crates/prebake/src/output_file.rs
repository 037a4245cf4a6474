//! Files that appear whole or not at all.

use std::fs::{File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use fs_err::OpenOptions;
use tempfile::NamedTempFile;

/// How the name of a file that is being written begins …
const PART_PREFIX: &str = ".prebake-";

/// … and how it ends.
const PART_SUFFIX: &str = ".part";

/// How much is written before the disk is asked to begin. The steps after it grow with the file, so
/// that one of any length is synced some tens of times and not once for each piece.
const FIRST_SYNC: u64 = 1 << 18;

/// How often a new name is tried while other runs take the files for left-overs. Each try loses
/// only to a run that looks at the folder in the instant between a file's making and its locking.
const TRIES: usize = 16;

/// A file being written beside its final name. Dropped before [`OutputFile::commit`], it leaves
/// nothing behind and whatever stood under that name stays as it was.
#[derive(Debug)]
pub struct OutputFile {
    part: BufWriter<NamedTempFile>,
    path: PathBuf,
    /// How much was written, and how much will be when the disk is asked next.
    written: u64,
    next: u64,
    ahead: Option<Ahead>,
}

/// A thread that syncs a file while it is being written, so that less is left to wait for in the
/// end. What it fails at is tried again there.
#[derive(Debug)]
struct Ahead {
    ask: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Ahead {
    fn start(file: &File) -> Option<Self> {
        let file = file.try_clone().ok()?;
        // One that waits is enough: it takes all that was written by then.
        let (ask, asked) = sync_channel(1);
        let sync = move || {
            while asked.recv().is_ok() {
                let _ = file.sync_data();
            }
        };
        let thread = Builder::new().name("sync".to_owned()).spawn(sync).ok()?;
        Some(Self { ask, thread })
    }
}

impl OutputFile {
    /// Begins a file that is to be `path`; its folder is made where there is none. What a run that
    /// was killed left there is removed.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs_err::create_dir_all(folder)?;
        if path.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "there is a folder of that name",
            ));
        }
        sweep(folder);
        let part = begin(folder)?;
        Ok(Self {
            part: BufWriter::with_capacity(1 << 18, part),
            path: path.to_owned(),
            written: 0,
            next: FIRST_SYNC,
            ahead: None,
        })
    }

    /// Puts the file under its name, with everything written to it on the disk first.
    pub fn commit(self) -> io::Result<()> {
        let part = self
            .part
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        if let Some(Ahead { ask, thread }) = self.ahead {
            drop(ask);
            // It cannot have panicked, and what it did not do is done now.
            let _ = thread.join();
        }
        part.as_file().sync_all()?;
        part.persist(&self.path).map_err(|error| error.error)?;
        sync_folder(&self.path)
    }

    /// Has what was written by now synced, while more is being written.
    fn begin_sync(&mut self) {
        if self.ahead.is_none() {
            self.ahead = Ahead::start(self.part.get_ref().as_file());
        }
        if let Some(ahead) = &self.ahead {
            // It is busy with what was written before.
            let _ = ahead.ask.try_send(());
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.part.write(bytes)?;
        self.written += count as u64;
        if self.written >= self.next {
            self.next += (self.next / 2).max(FIRST_SYNC);
            self.begin_sync();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.flush()
    }
}

/// Makes a temporary file in `folder` and locks it, so that a [`sweep`] of another run leaves it
/// alone. Where locks do not work nobody else gets one either, so that it is as safe.
fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PART_PREFIX).suffix(PART_SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A temporary file is its owner's alone; an output is for everyone the umask allows.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut part = builder.tempfile_in(folder)?;
    for _ in 0..TRIES {
        let is_swept = match part.as_file().try_lock() {
            Ok(()) => !part.path().exists(),
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        };
        if !is_swept {
            break;
        }
        part = builder.tempfile_in(folder)?;
    }
    Ok(part)
}

/// Removes the temporary files of runs that were killed: the ones that nobody has locked. Failing
/// is no harm, they stay for the next run.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_part = name
            .to_str()
            .is_some_and(|name| name.starts_with(PART_PREFIX) && name.ends_with(PART_SUFFIX));
        if !is_part || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // Removed while it is locked, so that a run which just made it notices.
        if let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            drop(fs_err::remove_file(entry.path()));
        }
    }
}

/// Makes a rename last through a power cut, where the system has a way to ask for it.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs_err::File::open(folder)?.sync_all(),
        _ => fs_err::File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "its Unix twin can fail")]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_only_when_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/out.tar.gz");
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"whole");
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn left_overs_go_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join(".prebake-dead.part");
        fs_err::write(&dead, b"left by a kill").unwrap();
        let other = folder.path().join(".prebake-notes");
        fs_err::write(&other, b"somebody else's").unwrap();
        let mut one = OutputFile::create(&folder.path().join("one")).unwrap();
        let mut two = OutputFile::create(&folder.path().join("two")).unwrap();
        assert!(!dead.exists());
        one.write_all(b"1").unwrap();
        two.write_all(b"2").unwrap();
        one.commit().unwrap();
        two.commit().unwrap();
        let mut names: Vec<_> = fs_err::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [".prebake-notes", "one", "two"]);
    }

    #[test]
    fn a_folder_in_the_way_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        OutputFile::create(folder.path()).unwrap_err();
    }
}
