//! A root filesystem of Alpine inside a program: baked by its `build.rs`, there when it starts.
//!
//! Two halves. In `build.rs`, with the feature `build`, `bake` makes of a recipe a `tar.gz` in
//! cargo's `OUT_DIR`, for the architecture that is being built for. In the program,
//! [`include_rootfs!`] is that as a `&'static` [`Rootfs`], which `prebake-launch` imports.
//!
//! ```toml
//! [dependencies]
//! prebake-embed = "0.1"
//! prebake-launch = "0.1"
//! [build-dependencies]
//! prebake-embed = { version = "0.1", features = ["build"] }
//! ```
//!
//! ```text
//! // build.rs
//! fn main() {
//!     prebake_embed::bake("prebake.toml");
//! }
//! ```
//!
//! ```text
//! // main.rs
//! let rootfs = prebake_embed::include_rootfs!("ci-rootfs"); // the recipe's `name`
//! let host = prebake_launch::Host::detect()?;
//! let instance = host.import(&prebake_launch::Name::unique("job"), rootfs)?;
//! let output = instance.command("cat").arg("/etc/alpine-release").output()?;
//! ```
//!
//! # What it costs
//!
//! The bytes of an embedded rootfs are in the program as they are, and are read from its file
//! when they are needed. What compiling takes is in `docs/embed.md` of the repository; where that
//! is too much, `Placement::SideCar` leaves the bytes in a file beside the program and changes
//! nothing else.
//!
//! # What can go wrong, and where it is told
//!
//! A rootfs that is empty, cut off, or another machine's does not compile: the generated code
//! holds the architecture, the length and the first bytes against what was baked. What changes
//! after that is found by the import, which hashes all of it and compares the
//! [identity](Rootfs::identity).

#[cfg(feature = "build")]
mod build;
#[doc(hidden)]
pub mod generated;

pub use prebake_launch::{About, Image, Package, Rootfs};

#[cfg(feature = "build")]
pub use self::build::{Bake, BakeError, Baked, Placement, bake};

/// Takes the name of a recipe that this package's `build.rs` has baked, and is that rootfs:
/// a `&'static` [`Rootfs`].
///
/// The name is the recipe's `name`, not its file's. That the file cannot be read (`couldn't read
/// …/prebake/NAME.rs`) means that `build.rs` bakes no recipe of that name.
#[macro_export]
macro_rules! include_rootfs {
    ($name:literal) => {{
        use $crate as prebake_embed_crate;
        ::core::include!(::core::concat!(
            ::core::env!("OUT_DIR"),
            "/prebake/",
            $name,
            ".rs"
        ))
    }};
}
