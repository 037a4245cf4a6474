//! Why a folder cannot be filled or used.

use std::path::PathBuf;

/// Why a vendored folder cannot be filled or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VendorError {
    /// Neither the caller nor the recipe says which folder.
    #[error("no folder is named to put the inputs into")]
    NoFolder,
    /// A folder that was named has no list of files.
    #[error("`{}` is no vendored folder: there is no `{}` in it", .0.display(), super::MANIFEST)]
    NotVendored(PathBuf),
    /// The list of a folder's files is not as it was written.
    #[error("line {line} of `{}` is {what}", path.display())]
    Manifest {
        /// The list.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Something that was not put there by prebake is where a file is to go.
    #[error("`{}` is there already, was not put there by `prebake vendor`, and is {what}", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Two files of the lock have one place.
    #[error("both `{one}` and `{other}` would be `{path}`")]
    SamePlace {
        /// Where one of them is.
        one: String,
        /// Where the other one is.
        other: String,
        /// The place, relative to the folder.
        path: String,
    },
    /// A file changed while it was copied.
    #[error("`{}` changed while it was read", .0.display())]
    Changed(PathBuf),
}

impl VendorError {
    /// Returns what a person can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoFolder => {
                "`prebake vendor DIR`, or `vendor = \"DIR\"` in the recipe for this and every build"
            }
            Self::NotVendored(_) => "`prebake vendor DIR` fills one",
            Self::Manifest { .. } => {
                "take it back from version control, or remove it: `prebake vendor` then writes it \
                 anew, and keeps the files that are as the lock wants them"
            }
            Self::InTheWay { .. } => "move it away, or name another folder; nothing was changed",
            Self::SamePlace { .. } => "give one of the repositories another URL",
            Self::Changed(_) => return None,
        })
    }
}
