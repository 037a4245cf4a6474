//! Takes a tree away that a program has made as it liked.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;

/// Removes `name` of `folder`, with all that is in it. That it is not there is no error.
///
/// It takes no more descriptors and no more memory for a tree that is deep, and no path is ever
/// too long: a directory that is not empty comes up to the top before it is emptied. Nobody may
/// change the tree meanwhile.
pub(crate) fn remove(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(error) => return Err(error),
    }
    if unlinkat(folder, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    let top = open(folder, name)?;
    let mut pulled = 0_u64;
    loop {
        let below = directories_of(top.as_fd())?;
        if below.is_empty() {
            break;
        }
        for name in below {
            let directory = open(top.as_fd(), &name)?;
            for inner in directories_of(directory.as_fd())? {
                pull_up(directory.as_fd(), &inner, top.as_fd(), &mut pulled)?;
            }
            drop(directory);
            unlinkat(&top, name.as_slice(), AtFlags::REMOVEDIR)?;
        }
    }
    drop(top);
    unlinkat(folder, name, AtFlags::REMOVEDIR)
}

/// Removes all of a directory but the directories in it that are not empty, and returns those.
fn directories_of(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut left = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => {
                if unlinkat(directory, name, AtFlags::REMOVEDIR).is_err() {
                    left.push(name.to_vec());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

/// Moves a directory into `top`, by a name that nothing there has.
fn pull_up(
    from: BorrowedFd<'_>,
    name: &[u8],
    top: BorrowedFd<'_>,
    pulled: &mut u64,
) -> rustix::io::Result<()> {
    loop {
        *pulled += 1;
        let there = format!("{pulled}");
        match renameat_with(from, name, top, there, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
}

fn open(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        // Its own owner may not read it: `work` of an overlay is such a one.
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
            openat(folder, name, flags, Mode::empty())
        }
        other => other,
    }
}
