//! What a command can fail with: baking, or launching.

use prebake::{Error, ErrorKind};
use prebake_launch::LaunchError;

use crate::exit_code;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The recipe, the lock, an input or an output.
    #[error(transparent)]
    Bake(Box<Error>),
    /// An instance.
    #[error(transparent)]
    Launch(Box<LaunchError>),
    /// An option has a value that it does not take.
    #[error("{option} cannot be `{value}`: {why}")]
    Usage {
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What it takes.
        why: String,
    },
}

impl Failure {
    /// Returns the exit code that stands for it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Bake(error) => exit_code::of(error.kind()),
            Self::Launch(error) => exit_code::of_launch(error),
            Self::Usage { .. } => exit_code::USAGE,
        }
    }

    /// Says whether somebody asked for it, by Ctrl-C.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, Self::Bake(error) if error.kind() == ErrorKind::Interrupted)
    }

    /// Returns the recipe's or the lock's error, which is drawn with the lines around it.
    pub(crate) fn document(&self) -> Option<&prebake::document::DocumentError> {
        match self {
            Self::Bake(error) => error.document(),
            Self::Launch(_) | Self::Usage { .. } => None,
        }
    }

    /// Returns what a person can do about it, in order of promise.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::Bake(error) => error.hints(),
            Self::Launch(error) => match **error {
                LaunchError::NoBackend(_) | LaunchError::Unsupported { .. } => {
                    vec!["`prebake doctor` says what this host can do".to_owned()]
                }
                _ => Vec::new(),
            },
            Self::Usage { .. } => Vec::new(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Bake(Box::new(error))
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        Self::Launch(Box::new(error))
    }
}
