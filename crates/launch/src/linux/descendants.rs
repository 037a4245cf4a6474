//! All that a process has begun, however far down and whoever calls himself its parent now.
//!
//! To a process that has made itself a subreaper (`PR_SET_CHILD_SUBREAPER`) the kernel gives the
//! orphans among its descendants for children. So it has no descendants when it has no children.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, kill_process, prlimit, wait,
};

use super::usage::{self, Usage};

/// The most that is read of a process's line of facts, in bytes. It has some hundreds.
const MOST: u64 = 4096;

/// How long to wait for the killed before looking again for those that were begun meanwhile.
const AGAIN: Duration = Duration::from_millis(1);

/// Returns the descendants of `ancestor`, by what `proc` shows.
pub(crate) fn of(proc: BorrowedFd<'_>, ancestor: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let Ok(processes) = Dir::read_from(proc) else {
        return Vec::new();
    };
    for process in processes.flatten() {
        let name = process.file_name().to_string_lossy();
        if let Ok(pid) = name.parse::<i32>()
            && let Some(parent) = parent(proc, &name)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut pending = vec![ancestor.as_raw_pid()];
    while let Some(pid) = pending.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            pending.push(child);
            found.extend(Pid::from_raw(child));
        }
    }
    found
}

/// Adds up what the descendants of `ancestor` use.
pub(crate) fn usage(proc: BorrowedFd<'_>, ancestor: Pid) -> Usage {
    let mut sum = Usage::default();
    for pid in of(proc, ancestor) {
        let one = usage::of_process(proc, pid.as_raw_pid().to_string().as_bytes());
        sum.threads += one.threads;
        sum.memory += one.memory;
    }
    sum
}

/// Reads a process's parent: the second field after its name, which is in parentheses and may
/// hold some itself.
fn parent(proc: BorrowedFd<'_>, name: &str) -> Option<i32> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(proc, format!("{name}/stat"), flags, Mode::empty()).ok()?;
    let mut line = Vec::new();
    let read = std::fs::File::from(file).take(MOST).read_to_end(&mut line);
    read.ok()?;
    let line = String::from_utf8_lossy(&line);
    let (_, rest) = line.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Kills and reaps all descendants of this process, a subreaper with one thread. Whoever ended is
/// told to `ended`.
pub(crate) fn end_all(proc: BorrowedFd<'_>, mut ended: impl FnMut(Pid, WaitStatus)) {
    let own = rustix::process::getpid();
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    loop {
        for pid in of(proc, own) {
            // Whoever is not dead yet begins no more: so those that are begun come to an end.
            let _ = prlimit(Some(pid), Resource::Nproc, none.clone());
            let _ = kill_process(pid, Signal::KILL);
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => ended(pid, status),
                Ok(None) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
        std::thread::sleep(AGAIN);
    }
}
