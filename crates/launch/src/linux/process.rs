//! Processes that are begun by `fork` or `clone` and go on in this program.

#![expect(unsafe_code, reason = "fork and clone")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

/// The exit code of a child that panicked. Nothing here should, and nobody asks for it.
const PANICKED: i32 = 113;

/// A child process, which is killed and reaped when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    handle: OwnedFd,
    reaped: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(i32),
    Signalled(i32),
}

impl Process {
    /// Begins a child that is a copy of this process, runs `body` and ends with its code.
    ///
    /// The other threads of this process do not exist in the child. `body` must therefore wait
    /// for nothing that they may hold: not the locks of the standard streams or the environment,
    /// and it must start no thread. Memory it may allocate: `fork` of glibc and musl leaves the
    /// child a sound allocator, and allocators for Rust programs see to it in the same way.
    pub(crate) fn fork(body: impl FnOnce() -> i32) -> io::Result<Self> {
        let before = block_signals();
        // SAFETY: the child runs only `body`, which by the contract above takes no lock that
        // another thread may have held, and then `_exit`s.
        let pid = unsafe { libc::fork() };
        let error = io::Error::last_os_error();
        if pid == 0 {
            // What the host's program does on a signal is not for its copy to do.
            default_signals();
            end_with(body);
        }
        set_signal_mask(&before);
        let pid = Pid::from_raw(pid).filter(|_| pid > 0).ok_or(error)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self {
            pid,
            handle,
            reaped: false,
        })
    }

    /// As [`Process::fork`], with the namespaces of `flags` (`CLONE_NEW…`) made for the child.
    /// This process must have one thread only.
    pub(crate) fn clone_into(flags: i32, body: impl FnOnce() -> i32) -> io::Result<Self> {
        let mut handle: RawFd = -1;
        // The first version of `struct clone_args`, which every kernel with the call takes:
        // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
        let arguments: [u64; 8] = [
            u64::from(flags as u32) | libc::CLONE_PIDFD as u64,
            &raw mut handle as u64,
            0,
            0,
            libc::SIGCHLD as u64,
            0,
            0,
            0,
        ];
        // SAFETY: without CLONE_VM and with no stack given this is a `fork`: the child has a
        // copy of all memory. This process has one thread, so that no lock is held by another,
        // and what the C library does around its own `fork` is for the other threads only. The
        // arguments live until the call returns, and the kernel writes only `handle`.
        let pid = unsafe {
            libc::syscall(
                libc::SYS_clone3,
                &raw const arguments,
                size_of_val(&arguments),
            )
        };
        if pid == 0 {
            end_with(body);
        }
        let error = io::Error::last_os_error();
        let pid = Pid::from_raw(pid as i32).filter(|_| pid > 0).ok_or(error)?;
        // SAFETY: the kernel made this descriptor for us, and nothing else has it.
        let handle = unsafe { OwnedFd::from_raw_fd(handle) };
        Ok(Self {
            pid,
            handle,
            reaped: false,
        })
    }

    /// Returns its number in the process namespace of this process.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Kills it. That it is dead already is no error.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(self.handle.as_fd(), Signal::KILL);
    }

    /// Takes note that it has ended and was waited for by other means.
    pub(crate) fn was_reaped(&mut self) {
        self.reaped = true;
    }

    /// Waits for its end, and returns how it was; `None` if somebody else took the answer.
    pub(crate) fn wait(&mut self) -> Option<Ended> {
        if self.reaped {
            return None;
        }
        let status = loop {
            match waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other,
            }
        };
        self.reaped = true;
        let status = status.ok().flatten()?;
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Ended::Exited(code)),
            (None, Some(signal)) => Some(Ended::Signalled(signal)),
            (None, None) => None,
        }
    }
}

/// Its handle, which is readable as soon as it has ended.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            self.wait();
        }
    }
}

/// Runs what a child is for, and ends it: nothing of the parent's is unwound, flushed or dropped.
fn end_with(body: impl FnOnce() -> i32) -> ! {
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED);
    // SAFETY: it does not return, and runs nothing of this program's.
    unsafe { libc::_exit(code) }
}

/// Blocks all signals of this thread, and returns what was blocked before.
fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are plain data that the calls fill.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

pub(crate) fn set_signal_mask(mask: &libc::sigset_t) {
    // SAFETY: the mask is a valid set, and the old one is not asked for.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const *mask, std::ptr::null_mut());
    }
}

/// Gives every signal its default action, and blocks none.
pub(crate) fn default_signals() {
    // SAFETY: the default action runs nothing of this program's, and the structures are plain
    // data. Signals that have no other action refuse, which changes nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=libc::SIGRTMAX() {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        set_signal_mask(&none);
    }
}
