//! Alpine's package formats: bytes to types and back.
//!
//! Nothing here reads a file, a clock, the environment or the network; callers hand in bytes or
//! a [`std::io::Read`] and get types. The formats are described in the project's design notes as
//! they were measured against the real `apk` 2.14.4, and every module names the program that its
//! tests are judged by.

pub mod dependency;
pub mod digest;
pub mod entry;
pub mod gzip;
pub mod index;
pub mod installed;
pub mod key;
pub mod limits;
pub mod package;
pub mod path;
pub mod pkginfo;
pub mod scripts;
pub mod shown;
pub mod signature;
pub mod tar;
pub mod triggers;
pub mod version;
pub mod world;
