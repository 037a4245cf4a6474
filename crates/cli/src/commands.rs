//! The commands, a file each.

pub(crate) mod build;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod verify;
