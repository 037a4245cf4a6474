//! Runs programs inside a root filesystem that is not the host's, with nothing of the host.
//!
//! Where to begin: [`Host::detect`] picks what this host has, [`Host::import`] makes an
//! [`Instance`] of a [`Rootfs`], and [`Instance::command`] runs a program in it, in the way of
//! [`std::process`]. Beside that, [`sandbox::Sandbox`] holds a root filesystem in memory and runs
//! in it what a package brings, and says what that changed.
//!
//! This is the only crate of prebake with `unsafe` in it: namespaces begin with `fork` and
//! `clone`, and a forked child is in a state that the compiler cannot judge. Each such block says
//! what makes it sound. It knows paths, archives and processes, and no packages; it stands below
//! the facade, which calls it while it locks.
//!
//! On what is not Linux everything compiles, and the first call says that there are no
//! namespaces.

mod child;
mod command;
mod driver;
mod finding;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod instance;
mod launch_error;
#[cfg(target_os = "linux")]
mod linux;
mod name;
mod namespaces;
mod rootfs;
pub mod sandbox;
mod status;
mod wsl;

pub use self::child::{Child, Killer, Output};
pub use self::command::{Access, Command, Network, Stdio};
pub use self::finding::{Backend, Check, Finding, State};
pub use self::host::{Host, Listed, Settings, examine};
pub use self::instance::Instance;
pub use self::launch_error::LaunchError;
pub use self::name::{Name, NameError};
pub use self::rootfs::{About, Image, Package, Rootfs};
pub use self::status::Status;
