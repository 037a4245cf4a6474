//! Thousands of changes to everything that a bake rests on, one at a time: each is refused with an
//! error that names the file, or the output is byte for byte what it is without the change. None
//! builds something else.
//!
//! The changes are drawn from a seed that each failure names; `PREBAKE_SEED` sets another one.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![expect(
    clippy::print_stdout,
    reason = "a test says its seed, and how many changes it tried"
)]

mod cache;
mod lock;
mod mutation;
mod parsed;
mod real;
mod record;
mod sealed;
mod sources;
mod table;

/// The fewest changes that each part tries.
mod least {
    pub(crate) const SOURCES: usize = 600;
    pub(crate) const LOCKED_SOURCES: usize = 250;
    pub(crate) const KEY: usize = 40;
    pub(crate) const BLOBS: usize = 250;
    pub(crate) const URLS: usize = 180;
    pub(crate) const PARSED: usize = 350;
    pub(crate) const LOCK: usize = 650;
    pub(crate) const RECORD: usize = 200;
    pub(crate) const KEPT: usize = 400;
    pub(crate) const STAMP: usize = 60;
    pub(crate) const REAL: usize = 20;

    // What is asked of all of them together.
    const _: () = assert!(
        SOURCES + LOCKED_SOURCES + KEY + BLOBS + URLS + PARSED + LOCK + RECORD + REAL >= 2000
            && KEPT + STAMP >= 300
    );
}
