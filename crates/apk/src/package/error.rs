//! Why a package is not taken.

use std::io;

use crate::digest::{Sha1, Sha256};
use crate::pkginfo::PkgInfoError;
use crate::signature::MemberError;
use crate::tar::TarError;

/// Why a package is not taken. Whoever has the package's name puts it before this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The signature or the control member cannot be read.
    #[error("the package's signatures or its control data cannot be read")]
    Control(#[source] MemberError),
    /// The control member holds the same file twice.
    #[error("the package's control data holds `{name}` twice")]
    ControlTwice {
        /// The file's name.
        name: String,
    },
    /// The control member's description or a script is no regular file.
    #[error("`{name}` in the package's control data is not a file")]
    ControlNoFile {
        /// The file's name.
        name: String,
    },
    /// The control member has no description.
    #[error("the package's control data holds no .PKGINFO")]
    NoInfo,
    /// The description cannot be used.
    #[error("the package's description cannot be used")]
    Info(#[source] PkgInfoError),
    /// The description does not vouch for the data.
    #[error("the package's description has no `datahash`, so that nothing vouches for its files")]
    NoDataHash,
    /// The data's archive cannot be read.
    #[error("the package's data cannot be read")]
    Data(#[source] TarError),
    /// The file fails or is damaged behind the archive's last entry.
    #[error("the package's data cannot be read to its end")]
    DataEnd(#[source] io::Error),
    /// A regular file comes without its checksum.
    #[error("{path} in the package has no checksum")]
    NoChecksum {
        /// The file.
        path: String,
    },
    /// A file's content, or a symbolic link's target, is not what its checksum says.
    #[error("{path} in the package has the SHA-1 {found} and not {expected}")]
    Checksum {
        /// The file.
        path: String,
        /// What its header says.
        expected: Sha1,
        /// What it is.
        found: Sha1,
    },
    /// The compressed data is not what the description says.
    #[error("the package's data has the SHA-256 {found} and not {expected}")]
    DataHash {
        /// What the description says.
        expected: Sha256,
        /// What it is.
        found: Sha256,
    },
    /// Something follows the data member.
    #[error("there are bytes behind the package's data")]
    TrailingBytes,
    /// The package was read on after one of the other errors.
    #[error("the package was found damaged before")]
    Failed,
}
