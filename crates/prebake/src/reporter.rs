//! What a run tells while it works.

use std::fmt;
use std::sync::Arc;

use prebake_apk::package::ScriptKind;
use prebake_fetch::{Progress, Silent};

use crate::arch::Arch;

/// Hears what is going on. The library itself never prints.
pub trait Reporter: Progress {
    /// Returns who hears of the work on one architecture, while others are worked on beside it:
    /// the numbers of items and the bytes of one must not be taken for those of another.
    fn beside(&self, arch: Arch) -> Arc<dyn Reporter>;

    /// Another stage of the work begins.
    fn stage(&self, stage: &Stage) {
        let _ = stage;
    }

    /// Of the `total` bytes of all the files that an image is made of, `bytes` went into it.
    fn written(&self, bytes: u64, total: u64) {
        let _ = (bytes, total);
    }

    /// Something that a person should know and that is no failure.
    fn notice(&self, text: &str) {
        let _ = text;
    }

    /// The work is over, well or not: nothing more will be shown.
    fn done(&self) {}
}

impl Reporter for Silent {
    fn beside(&self, _arch: Arch) -> Arc<dyn Reporter> {
        Arc::new(Self)
    }
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The base is fetched and read.
    Base(Arch),
    /// The indexes are fetched and checked.
    Indexes(Arch),
    /// The packages are chosen.
    Choosing(Arch),
    /// What was chosen is fetched.
    Packages(Arch),
    /// What the lock names is fetched.
    Fetching,
    /// What lies in a vendored folder is looked at.
    Checking,
    /// What the lock names is put into a vendored folder.
    Vendoring,
    /// The packages are checked and merged.
    Merging(Arch),
    /// A package's script is run to see what it does.
    Running {
        /// For which architecture.
        arch: Arch,
        /// The package, `name-version`.
        package: String,
        /// Which of its scripts.
        script: ScriptKind,
    },
    /// An image is written, or only hashed for the lock.
    Writing(Arch),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(arch) => write!(f, "fetching the base for {arch}"),
            Self::Indexes(arch) => write!(f, "fetching the indexes for {arch}"),
            Self::Choosing(arch) => write!(f, "choosing the packages for {arch}"),
            Self::Packages(arch) => write!(f, "fetching the packages for {arch}"),
            Self::Fetching => f.write_str("fetching"),
            Self::Checking => f.write_str("checking what is there"),
            Self::Vendoring => f.write_str("vendoring"),
            Self::Merging(arch) => write!(f, "merging {arch}"),
            Self::Running {
                arch,
                package,
                script,
            } => write!(f, "running {package}.{script} for {arch}"),
            Self::Writing(arch) => write!(f, "writing {arch}"),
        }
    }
}
