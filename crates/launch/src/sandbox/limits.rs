//! What a sandbox may use.

use std::time::Duration;

/// What a sandbox, and each program run in it, may use. [`Limits::default`] is far above what any
/// script of Alpine's packages needs and far below what would hurt a small machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one run may take.
    pub time: Duration,
    /// The memory of all processes of a run together, in bytes, files not counted.
    pub memory: u64,
    /// How many processes and threads a run may have at once.
    pub processes: u32,
    /// The size of all files, in bytes; they are held in memory.
    pub disk: u64,
    /// How many files, directories and links there may be.
    pub files: u64,
    /// How much of a program's output is kept, in bytes; the rest is thrown away.
    pub output: usize,
}

impl Limits {
    /// How long processes that a program leaves behind are given to end by themselves.
    pub const GRACE: Duration = Duration::from_millis(200);

    /// The most that [`changes`](super::Sandbox::changes) returns, in bytes: files are held in
    /// memory. Alpine's largest package with scripts changes a hundredth of it.
    pub const CHANGES: u64 = 1 << 30;
}

impl Default for Limits {
    /// 60 seconds, 1 GiB of memory, 256 processes, 4 GiB and a million of files, 256 KiB of
    /// output.
    fn default() -> Self {
        Self {
            time: Duration::from_mins(1),
            memory: 1 << 30,
            processes: 256,
            disk: 4 << 30,
            files: 1 << 20,
            output: 256 << 10,
        }
    }
}
