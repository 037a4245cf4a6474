//! One member of a tar archive, as a base or a package holds it.

use std::collections::BTreeMap;

use crate::digest::Sha1;
use crate::path::GuestPath;

/// A member of a tar archive without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it goes.
    pub path: GuestPath,
    /// What it is.
    pub kind: EntryKind,
    /// The permission bits, set-id and sticky bits included: at most `0o7777`.
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// The owner's name; empty where the archive has none.
    pub user: Vec<u8>,
    /// The group's name; empty where the archive has none.
    pub group: Vec<u8>,
    /// The time of the last change, in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by name, from `SCHILY.xattr.` records. A value may be empty.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The checksum that a package carries of a file's content or a symbolic link's target, from
    /// the `APK-TOOLS.checksum.SHA1` record.
    pub checksum: Option<Sha1>,
    /// The content's length in bytes; 0 for what is not a regular file.
    pub size: u64,
    /// Where the content begins, in bytes from the start of the uncompressed archive.
    pub offset: u64,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to any text.
    Symlink(Vec<u8>),
    /// Another name of a file that came before it in the same archive.
    Hardlink(GuestPath),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// A device's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The device among the driver's.
    pub minor: u32,
}
