//! What packages' scripts may do and what becomes of it, through the real program: run once in a
//! sandbox, recorded beside the lock, replayed anywhere.
#![cfg(target_os = "linux")]

mod faults;
#[path = "../kitchen/mod.rs"]
mod kitchen;
mod pantry;
mod policy;
mod records;
