//! What users of the crate meet, built by the real cargo.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod builds;
#[cfg(target_os = "linux")]
mod ci_daemon;
mod kitchen;
mod package;
mod published;
mod readme;
