//! Writes a root filesystem tree as an image.
//!
//! A [`prebake_rootfs::Tree`] knows names and where contents are; the writers here stream it into
//! the bytes of an image and know nothing of packages. They read no file, clock or environment:
//! contents come through [`Sources`], and the same tree gives the same bytes on every host.
//!
//! | module | writes |
//! |---|---|
//! | [`tar`] | the uncompressed stream, whose SHA-256 is the identity of a root filesystem |
//! | [`tar_gz`] | that stream, compressed by any number of threads into the same bytes |

mod error;
pub mod gzip;
mod sources;
pub mod tar;
pub mod tar_gz;

pub use error::ImageError;
pub use sources::Sources;
