//! Puts the names of an archive into the tree, and takes names away.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::path::GuestPath;
use prebake_apk::tar;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    linkat, lsetxattr, mkdirat, mknodat, openat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use rustix::process::fchdir;

use super::census::{open, open_directory};
use super::error::SandboxError;
use super::intended::{Intended, Intentions};

/// How much of a file is copied at once, in bytes.
const BUFFER: usize = 128 << 10;

/// The tree, at work.
#[derive(Debug)]
pub(crate) struct Unpack<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) intentions: &'a mut Intentions,
    /// The limits of the file system, to be told where they are met.
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// The times that directories are to have in the end.
    times: BTreeMap<GuestPath, Timestamps>,
    /// The directory that was used last, which is mostly the next one too.
    folder: Option<(GuestPath, OwnedFd)>,
}

impl<'a> Unpack<'a> {
    pub(crate) fn new(
        root: BorrowedFd<'a>,
        intentions: &'a mut Intentions,
        bytes: u64,
        files: u64,
    ) -> Self {
        Self {
            root,
            intentions,
            bytes,
            files,
            times: BTreeMap::new(),
            folder: None,
        }
    }

    /// Takes `path` away, with all that is below it.
    pub(super) fn remove(&mut self, path: &GuestPath) -> Result<(), SandboxError> {
        let fail = |error: Errno| self.fail("remove", path, error);
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Err(fail(Errno::BUSY));
        };
        match self.enter(&parent) {
            Ok(folder) => {
                let folder = folder.try_clone();
                let folder = folder.map_err(|error| self.fail_io("remove", path, error))?;
                remove_below(folder.as_fd(), name)
            }
            .map_err(|error| self.fail("remove", path, error)),
            // Taken away with what was above it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(error) => Err(self.fail("remove", path, error)),
        }
        .inspect(|()| self.folder = None)
    }

    /// Unpacks what `archive` holds.
    pub(crate) fn archive(&mut self, archive: &mut dyn Read) -> Result<(), SandboxError> {
        let mut reader = tar::Reader::new(archive);
        let fail = |error: tar::TarError| SandboxError::NotAnArchive(chain(&error));
        while let Some(entry) = reader.next().map_err(fail)? {
            let result = self.entry(&entry, &mut reader);
            result.map_err(|error| self.fail_io("unpack", &entry.path, error))?;
        }
        Ok(())
    }

    /// Gives directories their times, after nothing more happens in them.
    pub(crate) fn finish(mut self) -> Result<(), SandboxError> {
        for (path, times) in std::mem::take(&mut self.times) {
            let folder = match open_directory(self.root, path.as_bytes()) {
                Ok(folder) => folder,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(self.fail("unpack", &path, error)),
            };
            rustix::fs::futimens(&folder, &times)
                .map_err(|error| self.fail("unpack", &path, error))?;
        }
        Ok(())
    }

    fn fail(&self, doing: &str, path: &GuestPath, error: Errno) -> SandboxError {
        self.fail_io(doing, path, error.into())
    }

    fn fail_io(&self, doing: &str, path: &GuestPath, source: io::Error) -> SandboxError {
        if source.kind() == io::ErrorKind::StorageFull {
            return SandboxError::TreeTooLarge {
                bytes: self.bytes,
                files: self.files,
            };
        }
        SandboxError::Unpack {
            doing: doing.to_owned(),
            path: path.clone(),
            source,
        }
    }

    /// Opens a directory in which something will change, and writes down the time it has now.
    fn enter(&mut self, path: &GuestPath) -> rustix::io::Result<&OwnedFd> {
        if self.folder.as_ref().is_none_or(|(last, _)| last != path) {
            let folder = open_directory(self.root, path.as_bytes())?;
            if !self.times.contains_key(path) {
                let stat = rustix::fs::fstat(&folder)?;
                let times = stamps(stat.st_mtime as i64, stat.st_mtime_nsec as i64);
                self.times.insert(path.clone(), times);
            }
            self.folder = Some((path.clone(), folder));
        }
        let folder = self.folder.as_ref().map(|(_, folder)| folder);
        folder.ok_or(Errno::NOENT)
    }

    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let (Some(parent), Some(name)) = (entry.path.parent(), entry.path.name()) else {
            return self.root_directory(entry);
        };
        let folder = self.enter(&parent)?.try_clone()?;
        let folder = folder.as_fd();
        let mut intended = Intended::default();
        if !make_way(folder, name, entry)? {
            // What was below it is gone, or is no more where it was.
            self.folder = None;
        }
        match &entry.kind {
            EntryKind::Hardlink(target) => return self.link(target, folder, name),
            EntryKind::Directory => match mkdirat(folder, name, Mode::from(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            },
            EntryKind::Symlink(target) => symlinkat(target.as_slice(), folder, name)?,
            EntryKind::Fifo => mknodat(folder, name, FileType::Fifo, Mode::from(0o600), 0)?,
            EntryKind::File => copy(folder, name, content)?,
            EntryKind::CharDevice(device) => {
                copy(folder, name, &mut io::empty())?;
                intended.device = Some((*device, false));
            }
            EntryKind::BlockDevice(device) => {
                copy(folder, name, &mut io::empty())?;
                intended.device = Some((*device, true));
            }
        }
        self.attributes(entry, folder, name, intended)
    }

    /// Gives a name its owner, mode, attributes and time, in the order in which none undoes
    /// another: a change of owner takes set-id bits and capabilities away.
    fn attributes(
        &mut self,
        entry: &Entry,
        folder: BorrowedFd<'_>,
        name: &[u8],
        mut intended: Intended,
    ) -> io::Result<()> {
        let is_link = matches!(entry.kind, EntryKind::Symlink(_));
        let owner = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        match chownat(
            folder,
            name,
            Some(owner.0),
            Some(owner.1),
            AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(()) => {}
            // It has no id in this namespace.
            Err(Errno::INVAL) => intended.owner = Some((entry.uid, entry.gid)),
            Err(error) => return Err(error.into()),
        }
        if !is_link {
            // It was made just now, and nobody else is at work: it is no link.
            chmodat(
                folder,
                name,
                Mode::from_raw_mode(entry.mode),
                AtFlags::empty(),
            )?;
        }
        for (attribute, value) in &entry.xattrs {
            fchdir(folder)?;
            match lsetxattr(name, attribute.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(Errno::PERM | Errno::OPNOTSUPP) => {
                    intended.xattrs.insert(attribute.clone(), value.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        let times = stamps(entry.mtime, 0);
        if entry.kind == EntryKind::Directory {
            self.times.insert(entry.path.clone(), times);
        } else {
            utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        self.intentions.set(stat.st_ino, intended);
        Ok(())
    }

    fn root_directory(&mut self, entry: &Entry) -> io::Result<()> {
        if entry.kind != EntryKind::Directory {
            return Err(Errno::ISDIR.into());
        }
        let root = self.root;
        self.attributes(entry, root, b".", Intended::default())
    }

    /// Gives the file `target` one more name.
    fn link(&self, target: &GuestPath, folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        let (Some(parent), Some(old)) = (target.parent(), target.name()) else {
            return Err(Errno::ISDIR.into());
        };
        let from = open(
            self.root,
            parent.as_bytes(),
            OFlags::PATH | OFlags::DIRECTORY,
        )?;
        Ok(linkat(from, old, folder, name, AtFlags::empty())?)
    }
}

/// Takes away what has the name of `entry`, unless both are directories. Returns whether nothing
/// was there.
fn make_way(folder: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> io::Result<bool> {
    let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode).is_dir() && entry.kind == EntryKind::Directory {
        // Attributes that it should not have are not for the archive to name.
        fchdir(folder)?;
        let mut list = vec![0; BUFFER];
        let length = rustix::fs::llistxattr(name, &mut list[..]).unwrap_or(0);
        list.truncate(length);
        for attribute in list
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
        {
            rustix::fs::lremovexattr(name, attribute)?;
        }
        return Ok(true);
    }
    remove_below(folder, name)?;
    Ok(false)
}

/// Removes a name of `folder`, and if it is a directory all that is below it.
pub(super) fn remove_below(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(error) => return Err(error),
    }
    // Depth is no bound on this: paths are, and so the list never holds more than a way down and
    // the names beside it.
    let mut pending = vec![(name.to_vec(), false)];
    while let Some((path, emptied)) = pending.pop() {
        if emptied {
            unlinkat(folder, path.as_slice(), AtFlags::REMOVEDIR)?;
            continue;
        }
        let opened = open_directory(folder, &path)?;
        pending.push((path.clone(), true));
        for entry in rustix::fs::Dir::read_from(&opened)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            match unlinkat(&opened, name, AtFlags::empty()) {
                Ok(()) => {}
                Err(Errno::ISDIR) => {
                    let mut path = path.clone();
                    path.push(b'/');
                    path.extend_from_slice(name);
                    pending.push((path, false));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Writes a new file.
fn copy(folder: BorrowedFd<'_>, name: &[u8], content: &mut dyn Read) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(folder, name, flags, Mode::from(0o600))?;
    let mut file = std::fs::File::from(file);
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = content.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        io::Write::write_all(&mut file, buffer.get(..count).unwrap_or_default())?;
    }
}

pub(super) fn stamps(seconds: i64, nanoseconds: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as _,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Returns an error's text with those of its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
