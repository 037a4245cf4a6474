//! What goes wrong, through the real program and over real HTTP: each failure is a clear error
//! with its exit code, leaves an older output as it was, no left-over and no damaged cache, and
//! the next good run works.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail as a test does"
)]

mod failures;
mod help;
#[cfg(unix)]
mod host;
#[cfg(unix)]
mod interrupted;
#[cfg(target_os = "linux")]
mod killed;
#[path = "../kitchen/mod.rs"]
mod kitchen;
mod many;
mod mistakes;
mod servers;
mod shared_cache;
mod stove;
#[cfg(target_os = "linux")]
mod table;
mod tampered;
#[cfg(target_os = "linux")]
mod traced;
#[cfg(unix)]
mod untrusted;
