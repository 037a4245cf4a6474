//! What users of the crate meet, built by the real cargo.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod builds;
mod kitchen;
mod package;
mod published;
mod readme;
