//! How much the processes of a namespace use, by its `/proc`.
//!
//! The kernel's limits of a process and of a user bound each one alone, and control groups are
//! not every user's. The sum over a process namespace is everywhere to be had.

use std::io::Read as _;
use std::os::fd::BorrowedFd;

use rustix::fs::{Dir, Mode, OFlags, openat};

/// The most that is read of a process's status, in bytes. It has one or two kilobytes.
const MOST: u64 = 16 << 10;

/// What processes use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Threads, those of ended processes that nobody has asked after included.
    pub(crate) threads: u64,
    /// Memory that is theirs and not a file's, in bytes. What several share counts for each.
    pub(crate) memory: u64,
}

/// Adds up all processes that `proc` shows but the first, which is ours.
pub(crate) fn of_namespace(proc: BorrowedFd<'_>) -> Usage {
    let mut sum = Usage::default();
    let Ok(processes) = Dir::read_from(proc) else {
        return sum;
    };
    for process in processes.flatten() {
        let name = process.file_name().to_bytes();
        if name == b"1" || !name.iter().all(u8::is_ascii_digit) {
            continue;
        }
        let one = of_process(proc, name);
        sum.threads += one.threads;
        sum.memory += one.memory;
    }
    sum
}

/// Returns what the process of this number uses. One that has ended in the meantime uses nothing.
pub(crate) fn of_process(proc: BorrowedFd<'_>, name: &[u8]) -> Usage {
    let mut path = name.to_vec();
    path.extend_from_slice(b"/status");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(status) = openat(proc, path, flags, Mode::empty()) else {
        return Usage::default();
    };
    let mut text = String::new();
    let _ = std::fs::File::from(status)
        .take(MOST)
        .read_to_string(&mut text);
    of_status(&text)
}

fn of_status(text: &str) -> Usage {
    let mut usage = Usage {
        threads: 1,
        memory: 0,
    };
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next(), words.next());
        let Some(value) = value.and_then(|value| value.parse::<u64>().ok()) else {
            continue;
        };
        match name {
            Some("Threads:") => usage.threads = value.max(1),
            Some("RssAnon:" | "RssShmem:") => usage.memory += value << 10,
            _ => {}
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::{Usage, of_status};

    #[test]
    fn a_status_is_read_by_name() {
        let text = "Name:\tsh\nVmRSS:\t 900 kB\nRssAnon:\t 100 kB\nRssFile:\t 800 kB\n\
                    RssShmem:\t 4 kB\nThreads:\t3\n";
        let usage = Usage {
            threads: 3,
            memory: 104 << 10,
        };
        assert_eq!(of_status(text), usage);
        assert_eq!(of_status("Name:\tgone\n").threads, 1);
    }
}
