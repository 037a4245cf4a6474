//! Test support for all of prebake: signed Alpine mirrors made on the spot, a misbehaving HTTP
//! server, and the judges from outside.

pub mod archive;
pub mod base;
pub mod database;
pub mod elf;
pub mod http;
pub mod judge;
pub mod key;
pub mod member;
pub mod mirror;
pub mod oracle;
pub mod package;
mod pkginfo;
pub mod sandbox;
pub mod shared;
pub mod stanza;
pub mod tls;
pub mod tree;
