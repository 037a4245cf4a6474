//! What a run left in the tree.

use std::collections::BTreeMap;

use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;

/// A difference in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A name is no longer there, nor anything below it; what was below it is told as well.
    Gone(GuestPath),
    /// A name is new or another thing than before.
    There(GuestPath, Node),
}

impl Found {
    /// Returns the name.
    pub fn path(&self) -> &GuestPath {
        match self {
            Self::Gone(path) | Self::There(path, _) => path,
        }
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The permission bits, set-id and sticky bits included: at most `0o7777`.
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// The time of the last change.
    pub mtime: Stamp,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file and its content.
    File(Vec<u8>),
    /// Another name of a file that comes earlier, by its first name.
    Hardlink(GuestPath),
    /// A directory.
    Directory,
    /// A symbolic link to any text.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device. No script can make one, but it can move a directory with one.
    CharDevice(Device),
    /// A block device. No script can make one, but it can move a directory with one.
    BlockDevice(Device),
    /// A socket that something listened on; no archive can hold it.
    Socket,
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds, less than a billion.
    pub nanoseconds: u32,
}
