//! Users and groups.
//!
//! An id is never made up: one that is assigned by counting would become another when a user, a
//! package or the base comes or goes, and with it the owner of every file on a volume that
//! outlives the rootfs. A recipe names the number once; where it does not, the error names one
//! that is free.

use prebake_apk::path::GuestPath;

use crate::document::At;

/// The lowest id of an ordinary user or group. Packages take theirs from below, 100 to 999.
pub const FIRST_ORDINARY_ID: u32 = 1000;

/// The permission bits that BusyBox `adduser` gives a home directory.
pub const HOME_MODE: u32 = 0o2755;

/// A user that the recipe asks for.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: At<String>,
    /// Its number; may be left out for a user that the base or a package brings.
    pub uid: Option<At<u32>>,
    /// The group that it is in first.
    pub group: PrimaryGroup,
    /// Who it is, in words.
    pub gecos: Option<At<String>>,
    /// Its home directory.
    pub home: Option<At<GuestPath>>,
    /// The permission bits of a home directory that is to be made; `None` to make none.
    pub home_mode: Option<u32>,
    /// Its login shell.
    pub shell: Option<At<GuestPath>>,
    /// Groups that it is in as well.
    pub groups: Vec<At<String>>,
    /// Whether it is a program's and not a person's.
    pub system: bool,
}

/// The group that a [`User`] is in first.
#[derive(Clone, Debug)]
pub enum PrimaryGroup {
    /// One of the user's own name, with that number, or with the user's where there is none.
    Own(Option<At<u32>>),
    /// This one.
    Named(At<String>),
}

/// A group that the recipe asks for.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: At<String>,
    /// Its number; may be left out for a group that the base or a package brings.
    pub gid: Option<At<u32>>,
}
