//! What is in the tree, name by name, so that two points in time can be compared.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use prebake_apk::path::GuestPath;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, lgetxattr, llistxattr, openat2, statat,
};
use rustix::io::Errno;
use rustix::process::fchdir;

use super::error::SandboxError;
use super::found::Stamp;

/// Everything in a tree by its path, the root (the empty path) included.
pub(super) type Census = BTreeMap<Vec<u8>, Fact>;

/// The longest all names of a tree may be together, in bytes: they are held in memory. Those of
/// a large distribution have 30 MB.
const MOST_NAMES: usize = 256 << 20;

/// The largest value of an extended attribute and the longest list of their names, in bytes: the
/// kernel's own bounds.
const MOST_XATTR: usize = 64 << 10;

/// What is known of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) inode: u64,
    /// Type and permissions, as `stat` has them.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) links: u64,
    pub(super) ctime: Stamp,
    pub(super) mtime: Stamp,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Fact {
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.file_type().is_dir()
    }

    /// Says whether this is what `before` was, as far as can be told without reading it. What is
    /// in a directory is told by its own names.
    pub(super) fn is_unchanged(&self, before: &Self) -> bool {
        let visible = |fact: &Self| (fact.mode, fact.uid, fact.gid, fact.mtime);
        if visible(self) != visible(before) || self.xattrs != before.xattrs {
            return false;
        }
        self.is_directory()
            || (self.inode == before.inode
                && self.ctime == before.ctime
                && self.size == before.size
                && self.links == before.links)
    }
}

/// Opens something in the tree by its path, through real directories only.
pub(super) fn open(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    openat2(
        root,
        path,
        flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
}

/// Opens a directory of the tree.
pub(super) fn open_directory(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    open(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Looks at everything in the tree at `root`. No process may be at work in it. Changes the
/// working directory, for attributes are read by names that need no way there.
pub(super) fn take(root: BorrowedFd<'_>) -> Result<Census, SandboxError> {
    let fail = |error: Errno| SandboxError::Kernel {
        doing: "look at the tree".to_owned(),
        source: error.into(),
    };
    let mut census = Census::new();
    let mut names = 0;
    fchdir(root).map_err(fail)?;
    census.insert(Vec::new(), fact(root, b".").map_err(fail)?);
    let mut pending = vec![Vec::new()];
    while let Some(folder) = pending.pop() {
        let opened = open_directory(root, &folder).map_err(fail)?;
        fchdir(&opened).map_err(fail)?;
        for entry in Dir::read_from(&opened).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut path = folder.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            names += path.len();
            if path.len() > GuestPath::MAX_LENGTH {
                return Err(SandboxError::Name {
                    name: path,
                    why: format!("it is longer than {} bytes", GuestPath::MAX_LENGTH),
                });
            }
            if names > MOST_NAMES {
                return Err(SandboxError::TooMuchChanged {
                    limit: MOST_NAMES as u64,
                });
            }
            let fact = fact(opened.as_fd(), name).map_err(fail)?;
            if fact.is_directory() {
                pending.push(path.clone());
            }
            census.insert(path, fact);
        }
    }
    Ok(census)
}

/// Looks at one name of the directory that is the working one and opened as `folder`.
fn fact(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<Fact> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Fact {
        inode: stat.st_ino,
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size as u64,
        links: stat.st_nlink as u64,
        ctime: Stamp {
            seconds: stat.st_ctime as i64,
            nanoseconds: stat.st_ctime_nsec as u32,
        },
        mtime: Stamp {
            seconds: stat.st_mtime as i64,
            nanoseconds: stat.st_mtime_nsec as u32,
        },
        xattrs: xattrs(name)?,
    })
}

/// Reads the extended attributes of a name in the working directory.
fn xattrs(name: &[u8]) -> rustix::io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut list = [0; 1024];
    let list = match llistxattr(name, &mut list[..]) {
        Ok(length) => list.get(..length).unwrap_or_default().to_vec(),
        Err(Errno::RANGE) => {
            let mut list = vec![0; MOST_XATTR];
            let length = llistxattr(name, &mut list[..])?;
            list.truncate(length);
            list
        }
        // A file system without them.
        Err(Errno::OPNOTSUPP) => return Ok(found),
        Err(error) => return Err(error),
    };
    for attribute in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; MOST_XATTR];
        let length = lgetxattr(name, attribute, &mut value[..])?;
        value.truncate(length);
        found.insert(attribute.to_vec(), value);
    }
    Ok(found)
}

/// Reads all of a file of the tree, if it has at most `most` bytes.
pub(super) fn read(root: BorrowedFd<'_>, path: &[u8], most: u64) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let file = std::fs::File::from(open(root, path, OFlags::RDONLY)?);
    let size = file.metadata()?.len();
    if size > most {
        return Ok(None);
    }
    let mut content = Vec::with_capacity(size as usize);
    file.take(most).read_to_end(&mut content)?;
    Ok(Some(content))
}
