//! The backend of Linux namespaces: instances by this crate itself.
//!
//! An instance that runs has two processes of ours. The [`holder`] is outside of it, and cleans up
//! whatever becomes of the program that has the instance. The [`first`] process is inside, and
//! begins a [`supervisor`] for each program. Each request has a connection of its own ([`request`]).
//! Its files are in the [`store`]: a [`tree`] that all instances of an identity share, under an
//! overlay that is the instance's own ([`scene`]).

#[cfg(target_os = "linux")]
mod driver;
#[cfg(target_os = "linux")]
mod examine;
#[cfg(target_os = "linux")]
mod first;
#[cfg(target_os = "linux")]
mod groups;
#[cfg(target_os = "linux")]
mod holder;
#[cfg(target_os = "linux")]
mod instance;
#[cfg(not(target_os = "linux"))]
mod nowhere;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod request;
#[cfg(target_os = "linux")]
mod running;
#[cfg(target_os = "linux")]
mod scene;
#[cfg(target_os = "linux")]
mod share;
#[cfg(target_os = "linux")]
mod store;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(target_os = "linux")]
mod user;

#[cfg(target_os = "linux")]
pub(crate) use self::driver::driver;
#[cfg(target_os = "linux")]
pub(crate) use self::examine::examine;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::nowhere::{driver, examine};
