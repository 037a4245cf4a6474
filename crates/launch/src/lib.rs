//! Runs programs inside a root filesystem that is not the host's, with nothing of the host.
//!
//! Where to begin: [`sandbox::Sandbox`] holds a root filesystem in memory and runs in it what a
//! package brings, and says what that changed.
//!
//! This is the only crate of prebake with `unsafe` in it: namespaces begin with `fork` and
//! `clone`, and a forked child is in a state that the compiler cannot judge. Each such block says
//! what makes it sound. It knows paths, archives and processes, and no packages; it stands below
//! the facade, which calls it while it locks.
//!
//! On what is not Linux everything compiles, and the first call says that there are no
//! namespaces.

#[cfg(target_os = "linux")]
mod linux;
pub mod sandbox;
