//! The commands, a file each.

pub(crate) mod audit;
pub(crate) mod build;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod instances;
pub(crate) mod lock;
pub(crate) mod outdated;
pub(crate) mod run;
pub(crate) mod vendor;
pub(crate) mod verify;
