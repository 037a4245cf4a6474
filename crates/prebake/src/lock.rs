//! The lock: `prebake.lock`, every input of a bake and what it is known by.
//!
//! A build with a lock asks no index: each input stands in it with URL, size and digests, and the
//! identity of the rootfs that comes of them. The lock's text is made for reading in a diff: a
//! fixed order, one fact a line. Each version of the format has a module of its own under
//! `lock/`; the types here are the domain's and know no format.

mod v1;

use std::path::Path;

use prebake_apk::digest::{Sha1, Sha256};
use prebake_rootfs::merge::Script as PackageScript;

use crate::arch::Arch;
use crate::document::DocumentError;
use crate::timestamp::Timestamp;

/// The longest lock read, in bytes; a package takes about 400.
pub const MAX_LOCK_BYTES: u64 = 64 << 20;

/// Every input of a recipe's bakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The digest of what the recipe said when the lock was written: see
    /// [`Recipe::digest`](crate::recipe::Recipe::digest).
    pub recipe: Sha256,
    /// One rootfs for each architecture, in the recipe's order.
    pub rootfs: Vec<LockedRootfs>,
}

/// The inputs of one rootfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedRootfs {
    /// What it runs on.
    pub arch: Arch,
    /// The base's release, where it is known.
    pub release: Option<String>,
    /// The SHA-256 of the rootfs's uncompressed tar stream.
    pub identity: Sha256,
    /// The digest of what its scripts did, as the record has it; `None` if that is nothing.
    pub scripts: Option<Sha256>,
    /// The scripts and triggers that apk would have run and whose effect the recipe does without,
    /// in apk's order.
    pub scripts_not_run: Vec<PackageScript>,
    /// The packages with triggers in the order in which apk runs those.
    pub triggers: Vec<String>,
    /// What it starts from; `None` where it starts from nothing.
    pub base: Option<LockedBase>,
    /// The indexes that the packages were chosen from, in the repositories' order.
    pub indexes: Vec<LockedIndex>,
    /// What is done to the base, in apk's order.
    pub steps: Vec<Step>,
}

/// A base tarball.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedBase {
    /// Where it was found.
    pub url: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of the file as it was fetched.
    pub sha256: Sha256,
}

/// A repository's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedIndex {
    /// Where it was found.
    pub url: String,
    /// What the repository calls it, as in `v3.21.3-18-g9f6d7a7`; empty where it does not.
    pub description: String,
    /// When it was made, by what its signature covers; `None` where it does not say, or the lock
    /// was written before prebake asked. An older one is refused: see
    /// [`Error::OlderIndex`](crate::Error::OlderIndex).
    pub made: Option<Timestamp>,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of the file as it was fetched.
    pub sha256: Sha256,
    /// The fingerprint of the key that signed it.
    pub key: Sha256,
}

/// One change to the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A package is installed, instead of an older or newer one where the base has it.
    Install(LockedPackage),
    /// A package of the base goes.
    Remove {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A package of the base stays, and is pinned to another repository's tag.
    Retag {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// The tag; `None` to be pinned no longer.
        tag: Option<String>,
    },
}

/// A package and all it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it was found: a URL, or for a local one its path relative to the recipe.
    pub url: String,
    /// Whether it lies beside the recipe.
    pub local: bool,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of the file as it was fetched.
    pub sha256: Sha256,
    /// The SHA-1 of its compressed control member: what apk and the index know it by.
    pub identity: Sha1,
    /// The fingerprint of the key that signed the index which vouches for the identity, or for a
    /// local package the key that signed it. `None` for one that the recipe names the SHA-256 of.
    pub key: Option<Sha256>,
    /// The tag of the repository it is pinned to, without the `@`.
    pub tag: Option<String>,
    /// The index's paragraph about it, where that is not just what the package says of itself:
    /// the apk database gets the index's words.
    pub index_stanza: Option<String>,
}

impl Lock {
    /// Reads a lock from its text. `path` names it in messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, DocumentError> {
        v1::parse(path, text)
    }

    /// Returns the lock's text, in the newest format.
    pub fn to_text(&self) -> String {
        v1::write(self)
    }

    /// Returns the rootfs for `arch`.
    pub fn rootfs(&self, arch: Arch) -> Option<&LockedRootfs> {
        self.rootfs.iter().find(|rootfs| rootfs.arch == arch)
    }
}

impl LockedRootfs {
    /// Returns the packages that are installed, in order.
    pub fn packages(&self) -> impl Iterator<Item = &LockedPackage> {
        self.steps.iter().filter_map(|step| match step {
            Step::Install(package) => Some(package),
            Step::Remove { .. } | Step::Retag { .. } => None,
        })
    }
}
