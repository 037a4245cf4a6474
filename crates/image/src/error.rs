//! Why an image could not be written.

use std::io;

use prebake_apk::digest::Sha1;
use prebake_apk::path::GuestPath;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A file's content cannot be read where the tree says that it is.
    #[error("the content of {path} cannot be read")]
    Content {
        /// The file.
        path: GuestPath,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// A file's content is not what it was when the tree was made.
    #[error("the content of {path} has the SHA-1 {found} and not {expected}")]
    Checksum {
        /// The file.
        path: GuestPath,
        /// What the tree says.
        expected: Sha1,
        /// What it is.
        found: Sha1,
    },
    /// The format has no way to say it.
    #[error("{path} cannot be written: {what}")]
    Unrepresentable {
        /// The name.
        path: GuestPath,
        /// What the format cannot hold.
        what: &'static str,
    },
    /// A compressor failed: there is no memory, or it is broken.
    #[error("the image cannot be compressed: there is too little memory")]
    Encoding,
    /// The output cannot be written.
    #[error("the image cannot be written")]
    Output(#[source] io::Error),
}
