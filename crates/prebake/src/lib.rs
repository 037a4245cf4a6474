//! Bakes an Alpine root filesystem at build time, so that nothing is installed when it boots.
//!
//! Data flows one way: a [recipe] is what a person writes; [`update_lock`] chooses packages as
//! apk would and writes the [lock], every input with its digests; [`build()`] fetches what the lock
//! names, checks it, merges it by apk's rules and writes the outputs, whole or not at all.
//!
//! Nothing here prints or reads the environment: a [`Context`] is what a run may use of the host.

mod ahead;
pub mod arch;
pub mod audit;
mod bake;
mod blobs;
mod build;
mod changes;
mod choose;
mod contents;
mod context;
mod customise;
pub mod document;
pub mod edit;
mod error;
mod fields;
mod finished;
pub mod graph;
mod host_file;
pub mod inspect;
mod keep;
mod keys;
mod listing;
mod local;
pub mod lock;
mod outdated;
pub mod output_file;
mod package_file;
mod places;
pub mod recipe;
mod reporter;
mod repositories;
mod rootfs_file;
mod scan;
pub mod scripts;
mod seal;
pub mod template;
mod timestamp;
mod unusual;
mod update;
pub mod vendor;
pub mod verify;
mod world;

use std::io::Write as _;
use std::path::Path;

pub use prebake_fetch::{Cancel, Origin, Progress, Silent};

pub use prebake_rootfs::merge::Script as PackageScript;

pub use self::build::{BuildOptions, Built, BuiltOutput, bake_to, build, select_arches};
pub use self::changes::{Build, Change, ChangeKind};
pub use self::choose::MAX_BASE_BYTES;
pub use self::context::{Context, HostOptions, NETWORK_TIMEOUT, VENDOR_VARIABLE};
pub use self::error::{Error, ErrorKind};
pub use self::keys::is_alpine;
pub use self::local::MAX_LOCAL_BYTES;
pub use self::outdated::{Outdated, outdated};
use self::output_file::OutputFile;
pub use self::reporter::{Reporter, Stage};
pub use self::repositories::MAX_INDEX_BYTES;
pub use self::rootfs_file::RootfsFile;
pub use self::timestamp::{NotATimestamp, Timestamp};
pub use self::update::{
    LockOptions, LockState, Locked, Upgrade, check_lock, read_lock, read_lock_file, update_lock,
    update_lock_with,
};

/// Writes a whole file, which appears under its name when all of it is on the disk.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = OutputFile::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.commit()
    });
    written.map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
