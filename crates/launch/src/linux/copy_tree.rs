//! Copies a tree, exactly: owners, modes, times, links and attributes. Blocks are shared where the
//! file system can share them (`FICLONE`).

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, XattrFlags, chownat,
    copy_file_range, fchmod, fgetxattr, flistxattr, fsetxattr, fstat, futimens, ioctl_ficlone,
    linkat, mkdirat, mknodat, openat, readlinkat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

/// How much is copied by one call, in bytes.
const PIECE: usize = 1 << 30;

/// The longest list of attributes and the largest value, in bytes: the kernel's own bounds.
const MOST_XATTR: usize = 64 << 10;

/// Copies what is in the directory `from`, and its own attributes, to the directory `to`, which is
/// empty. Nobody may change either meanwhile. What is in the tree was unpacked, and so no path in
/// it is longer than the kernel takes.
pub(crate) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut links: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut pending: Vec<Vec<u8>> = vec![b".".to_vec()];
    let mut directories = Vec::new();
    while let Some(path) = pending.pop() {
        let source = open(from, &path)?;
        let target = open(to, &path)?;
        for entry in Dir::read_from(&source)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let stat = statat(&source, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let whole = [&path[..], b"/", name].concat();
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind.is_dir() {
                mkdirat(&target, name, Mode::RWXU)?;
                pending.push(whole);
                continue;
            }
            if stat.st_nlink > 1 {
                if let Some(first) = links.get(&stat.st_ino) {
                    linkat(to, first.as_slice(), &target, name, AtFlags::empty())?;
                    continue;
                }
                links.insert(stat.st_ino, whole);
            }
            one(&source, &target, name, kind, &stat)?;
        }
        directories.push(path);
    }
    // Nothing more happens in them.
    for path in directories {
        let (source, target) = (open(from, &path)?, open(to, &path)?);
        attributes(&source, &target, &fstat(&source)?)?;
    }
    Ok(())
}

fn open(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(root, path, flags, Mode::empty())
}

/// Copies one name that is no directory.
fn one(
    source: &OwnedFd,
    target: &OwnedFd,
    name: &[u8],
    kind: FileType,
    stat: &Stat,
) -> io::Result<()> {
    match kind {
        FileType::RegularFile => {
            let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let from = openat(source, name, flags | OFlags::RDONLY, Mode::empty())?;
            let new = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let to = openat(target, name, new, Mode::RUSR | Mode::WUSR)?;
            content(&from, &to)?;
            return attributes(&from, &to, stat);
        }
        FileType::Symlink => {
            let link = readlinkat(source, name, Vec::new())?;
            symlinkat(link, target, name)?;
        }
        kind => mknodat(
            target,
            name,
            kind,
            Mode::from_raw_mode(stat.st_mode),
            stat.st_rdev,
        )?,
    }
    let (uid, gid) = owner(stat);
    chownat(
        target,
        name,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    Ok(utimensat(
        target,
        name,
        &times(stat),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn content(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    if ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    loop {
        match copy_file_range(from, None, to, None, PIECE) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let mut from = std::fs::File::from(from.try_clone()?);
    let mut to = std::fs::File::from(to.try_clone()?);
    io::copy(&mut from, &mut to).map(drop)
}

/// Gives a file or directory the attributes of another, in the order in which none undoes another.
fn attributes(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    rustix::fs::fchown(to, Some(uid), Some(gid))?;
    fchmod(to.as_fd(), Mode::from_raw_mode(stat.st_mode))?;
    let mut list = vec![0; MOST_XATTR];
    let length = flistxattr(from, &mut list[..]).unwrap_or(0);
    list.truncate(length);
    for name in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; MOST_XATTR];
        let length = fgetxattr(from, name, &mut value[..])?;
        value.truncate(length);
        match fsetxattr(to, name, &value, XattrFlags::empty()) {
            // A file system without them, or one that is not ours to set.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(futimens(to, &times(stat))?)
}

fn owner(stat: &Stat) -> (rustix::fs::Uid, rustix::fs::Gid) {
    let uid = rustix::fs::Uid::from_raw(stat.st_uid);
    (uid, rustix::fs::Gid::from_raw(stat.st_gid))
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    Timestamps {
        last_access: time(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as _),
    }
}
