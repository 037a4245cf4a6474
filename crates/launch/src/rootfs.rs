//! A baked root filesystem, as a program carries it.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;

/// A root filesystem to import: a `tar.gz` as prebake writes it, and what it says of itself.
///
/// `include_rootfs!` of `prebake-embed` makes one at compile time.
#[derive(Clone, Debug)]
pub struct Rootfs {
    about: About,
    image: Image,
}

/// What a [`Rootfs`] says of itself. All of it can stand in a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The recipe's name.
    pub name: Cow<'static, str>,
    /// Alpine's release (`3.21.3`); empty for one that began from nothing.
    pub release: Cow<'static, str>,
    /// The architecture, by Alpine's name for it.
    pub arch: Cow<'static, str>,
    /// The SHA-256 of the uncompressed tar stream, which an import checks.
    pub identity: Sha256,
    /// The length of the uncompressed tar stream, in bytes.
    pub unpacked: u64,
    /// The packages in it, by name.
    pub packages: Cow<'static, [Package]>,
}

/// A package in a [`Rootfs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its version.
    pub version: Cow<'static, str>,
}

/// Where the bytes of a [`Rootfs`] are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Image {
    /// In the program itself.
    Embedded(&'static [u8]),
    /// In a file.
    File(PathBuf),
    /// In a part of a file: from an offset on, so many bytes.
    Part {
        /// The file.
        path: PathBuf,
        /// Where the part begins, in bytes.
        offset: u64,
        /// How long it is, in bytes.
        length: u64,
    },
}

impl Rootfs {
    /// Puts together a rootfs from what it says of itself and where its bytes are. Nothing is
    /// looked at: an import does.
    pub const fn new(about: About, image: Image) -> Self {
        Self { about, image }
    }

    /// Returns what it says of itself.
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// Returns the recipe's name.
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// Returns Alpine's release, empty for one that began from nothing.
    pub fn release(&self) -> &str {
        &self.about.release
    }

    /// Returns the architecture, by Alpine's name for it.
    pub fn arch(&self) -> &str {
        &self.about.arch
    }

    /// Returns the SHA-256 of the uncompressed tar stream.
    pub const fn identity(&self) -> &Sha256 {
        &self.about.identity
    }

    /// Returns the packages in it, by name.
    pub fn packages(&self) -> &[Package] {
        &self.about.packages
    }

    /// Returns where its bytes are.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// Returns the bytes of one that is in the program itself.
    pub const fn bytes(&self) -> Option<&'static [u8]> {
        match self.image {
            Image::Embedded(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the file that its bytes are in, if they are in one by themselves.
    pub fn file(&self) -> Option<&Path> {
        match &self.image {
            Image::File(path) => Some(path),
            _ => None,
        }
    }

    /// Opens the `tar.gz`. The errors are those of the file that it is in, and name it.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.image {
            Image::Embedded(bytes) => Box::new(*bytes),
            Image::File(path) => Box::new(fs_err::File::open(path)?),
            Image::Part {
                path,
                offset,
                length,
            } => {
                let mut file = fs_err::File::open(path)?;
                io::Seek::seek(&mut file, io::SeekFrom::Start(*offset))?;
                Box::new(file.take(*length))
            }
        })
    }
}
