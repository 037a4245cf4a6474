//! Changes to a tree that come from outside of any package: what a script did.

use std::collections::BTreeMap;

use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;

use crate::tree::FileContent;

/// What an inode has beside its kind and content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The permission bits, at most `0o7777`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last change, in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A regular file with that content: new bytes, or those of a file that is there.
    File(FileContent),
    /// A directory.
    Directory,
    /// A symbolic link to any text.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
}

/// One change. Paths are real names: no part but the last may be a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A name goes. A directory must be empty by then.
    Remove {
        /// The name.
        path: GuestPath,
    },
    /// An inode stays and gets other attributes, under all of its names.
    Attributes {
        /// One of its names.
        path: GuestPath,
        /// All of its attributes from now on.
        attributes: Attributes,
    },
    /// A new inode gets the name, also from another file, but never from or for a directory
    /// that is there.
    Make {
        /// The name.
        path: GuestPath,
        /// What it is.
        kind: Made,
        /// Its attributes.
        attributes: Attributes,
    },
    /// An inode that is no directory gets one more name, also from another file.
    Link {
        /// The new name.
        path: GuestPath,
        /// A name that it has.
        to: GuestPath,
    },
}

impl Change {
    /// Returns the name that changes.
    pub fn path(&self) -> &GuestPath {
        match self {
            Self::Remove { path }
            | Self::Attributes { path, .. }
            | Self::Make { path, .. }
            | Self::Link { path, .. } => path,
        }
    }
}
