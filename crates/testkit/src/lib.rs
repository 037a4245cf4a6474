//! Test support for all of prebake: signed Alpine mirrors made on the spot, a misbehaving HTTP
//! server, and the judges from outside.
//!
//! Where to begin: [`mirror::MirrorBuilder`] makes a mirror of [`base::BaseBuilder`] and
//! [`package::PackageBuilder`]; [`oracle::Oracle`] lets the real apk work on it;
//! [`tree::Dump`] is what two root filesystems are compared by; [`sandbox::Sandbox`] runs one.
//!
//! ```
//! use prebake_testkit::{base::BaseBuilder, mirror::MirrorBuilder, package::PackageBuilder};
//!
//! let tool = PackageBuilder::new("tool", "1.0-r0").program("usr/bin/tool", "#!/bin/sh\n");
//! let mirror = MirrorBuilder::new("v3.99")
//!     .base(BaseBuilder::new("x86_64", "3.99.0"))
//!     .package("main", tool)
//!     .build();
//! assert!(mirror.index("main", "x86_64").is_file());
//! assert!(mirror.url().starts_with("file:///"));
//! ```
//!
//! Nothing of the product writes or reads here: what prebake reads was made by code of its own,
//! and what prebake writes is read by other people's programs. The exceptions are digests
//! (`prebake_apk::digest`) and [`tree::Dump::of_tree`], which shows a tree that prebake holds.
//!
//! Set-up that fails stops the test by a panic that says what could not be done. A judge or data
//! that a machine has not is said on stderr, and the test passes; with `CI` set, it fails.

pub mod archive;
pub mod base;
pub mod database;
pub mod elf;
pub mod emulator;
mod first_recipe;
pub mod http;
pub mod judge;
pub mod key;
pub mod member;
pub mod mirror;
pub mod oracle;
pub mod package;
pub mod sandbox;
pub mod shared;
pub mod stanza;
pub mod tls;
pub mod tree;
