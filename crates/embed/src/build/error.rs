//! Why a build script has no rootfs.

use std::io;
use std::path::PathBuf;

use prebake::{Error, ErrorKind};

/// Why a build script has no rootfs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BakeError {
    /// What cargo sets for build scripts is not set.
    #[error("`{variable}` is not set, so this is not a build script that cargo runs")]
    NotABuildScript {
        /// Which variable.
        variable: &'static str,
    },
    /// Alpine is not built for what the program is built for.
    #[error("there is no Alpine for the target architecture `{target}`")]
    NoPort {
        /// The architecture, by rustc's name for it.
        target: String,
    },
    /// The lock is not the recipe's, and must not be written.
    #[error("the lock cannot be used, and must stay as it is: {why}")]
    NotLocked {
        /// Why it must stay as it is.
        why: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Something is missing, and nothing may be fetched.
    #[error("something is not in the cache, and nothing may be fetched: {why}")]
    Offline {
        /// Why nothing may be fetched.
        why: String,
        /// What is missing.
        source: Box<Error>,
    },
    /// The recipe does not become a rootfs.
    #[error(transparent)]
    Bake(#[from] Error),
    /// A file could not be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BakeError {
    /// Returns the error of a bake, which nothing could be fetched for if there is a reason.
    pub(crate) fn new(source: Error, offline: Option<String>) -> Self {
        match offline {
            Some(why) if source.kind() == ErrorKind::Network => Self::Offline {
                why,
                source: Box::new(source),
            },
            _ => Self::Bake(source),
        }
    }

    /// Returns what a person can do about it, in order of promise.
    pub fn hints(&self) -> Vec<String> {
        let hint = |text: &str| vec![text.to_owned()];
        match self {
            Self::NotABuildScript { .. } => {
                hint("call it from `build.rs`, which cargo runs before it compiles the package")
            }
            Self::NoPort { .. } => {
                hint("build for another target, or leave `build.rs` out for this one")
            }
            Self::NotLocked { .. } => hint(
                "run `prebake lock` where the network may be used, or build there once, and \
                 commit `prebake.lock` (and `prebake.scripts`, if there is one)",
            ),
            Self::Offline { .. } => hint(
                "build once where the network may be used, or fill a folder by `prebake build \
                 --locked --cache FOLDER` and name it by `Bake::vendor` or `PREBAKE_CACHE`",
            ),
            Self::Bake(error) => match error {
                Error::NotInRecipe { arch, .. } => vec![format!(
                    "add \"{arch}\" to `arch` in the recipe, and run `prebake lock`: the program \
                     is built for it"
                )],
                error => error.hints(),
            },
            Self::Write { .. } => hint("make room there, or allow writing to it"),
        }
    }
}
