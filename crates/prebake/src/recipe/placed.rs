//! Links, directories and removals: changes to what the packages leave.

use prebake_apk::path::GuestPath;

use crate::document::At;

/// A link that the recipe adds.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where it goes.
    pub path: At<GuestPath>,
    /// What it leads to.
    pub target: LinkTarget,
}

/// What a [`Link`] leads to.
#[derive(Clone, Debug)]
pub enum LinkTarget {
    /// A symbolic link to any text.
    Symbolic(String),
    /// Another name of a file that is there.
    Hard(At<GuestPath>),
}

/// A directory that the recipe makes or changes.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Where it is.
    pub path: At<GuestPath>,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner: a name of the rootfs's own `passwd`, or a number.
    pub user: String,
    /// Its group: a name of the rootfs's own `group`, or a number.
    pub group: String,
}

/// Something that the recipe takes away.
#[derive(Clone, Debug)]
pub struct Remove {
    /// What.
    pub path: At<GuestPath>,
    /// Whether a directory goes with all that is in it.
    pub recursive: bool,
}
