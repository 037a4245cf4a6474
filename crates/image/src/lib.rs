//! Writes a root filesystem tree as an image.
//!
//! A [`prebake_rootfs::Tree`] knows names and where contents are; the writers here stream it into
//! the bytes of an image and know nothing of packages. They read no file, clock or environment:
//! contents come through [`Sources`], and the same tree gives the same bytes on every host.
//!
//! | module | what |
//! |---|---|
//! | [`tar`] | the uncompressed stream, whose SHA-256 is the identity of a root filesystem |
//! | [`plan`] | where that stream is cut into segments, and what each depends on |
//! | [`archive`] | the stream compressed: segments that a [`Store`] has are copied |
//! | [`encoding`] | formats and levels |

pub mod archive;
mod decode;
mod deflate;
pub mod encoding;
mod error;
pub mod plan;
mod sources;
mod store;
mod stream;
pub mod tar;
mod workers;

pub use decode::{ZSTD_MAGIC, decode};
pub use error::ImageError;
pub use sources::{Compressed, MAX_COMPRESSED, Sources};
pub use store::{NoStore, Store};
