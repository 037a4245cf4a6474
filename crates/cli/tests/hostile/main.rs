//! Archives that were made to mislead or to exhaust, in every place where one comes from outside,
//! through the real program and over real HTTP: each is refused with its package, its entry and the
//! reason, and in little memory.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail as a test does"
)]

mod audited;
mod bases;
mod bounds;
#[path = "../kitchen/mod.rs"]
mod kitchen;
mod larder;
#[cfg(target_os = "linux")]
mod memory;
mod outputs;
mod packages;
mod printed;
mod twins;
