//! Bakes an Alpine root filesystem at build time.

pub mod arch;
pub mod document;
mod host_file;
pub mod lock;
pub mod output_file;
pub mod recipe;
pub mod template;
mod world;

/// Why a recipe did not become a rootfs.
#[derive(Debug)]
pub enum Error {
    /// The recipe is wrong.
    Document(document::DocumentError),
    /// The recipe cannot be read.
    Read(std::io::Error),
}

impl Error {
    fn recipe_file(_: &std::path::Path, error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<document::DocumentError> for Error {
    fn from(error: document::DocumentError) -> Self {
        Self::Document(error)
    }
}
