//! What a forked process has of the one that it was forked from: descriptors and keys.

#![expect(unsafe_code, reason = "closing descriptors by number, and keyctl")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::fcntl_dupfd_cloexec;

/// The highest number that is closed one by one, where the kernel has no `close_range` (before
/// Linux 5.9).
const HIGHEST: u32 = 1 << 16;

/// Returns `fd` by a number that is not one of the standard streams'.
pub(crate) fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(fd.as_fd(), 3)?)
}

/// Closes every descriptor of this process but the standard streams and `keep`.
///
/// To be called in a child that was just forked, in which nothing owns a descriptor but what is
/// in `keep`: whatever the parent had open is none of its business.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>]) {
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = from.max(fd + 1);
    }
    close_range(from, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: the caller's promise: nothing in this process owns any of these descriptors.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
    if closed != 0 {
        for fd in first..=last.min(HIGHEST) {
            // SAFETY: as above.
            unsafe { libc::close(fd as i32) };
        }
    }
}

/// Makes `/dev/null` the three standard streams.
pub(crate) fn silence() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    become_standard(null.as_fd(), null.as_fd())
}

/// Makes `input` standard input, and `output` both standard output and error.
pub(crate) fn become_standard(input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<()> {
    become_streams([input, output, output])
}

/// Makes these standard input, output and error. None has a standard stream's number itself, but
/// for one that is in its place already.
pub(crate) fn become_streams(streams: [BorrowedFd<'_>; 3]) -> io::Result<()> {
    for (number, fd) in (0..).zip(streams) {
        // SAFETY: `dup2` onto the standard streams, which nothing in this crate owns.
        if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Begins a session keyring of its own, so that the caller's keys are not this process's. A kernel
/// without keys has none to give away.
pub(crate) fn leave_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_ulong = 1;
    // SAFETY: a null name asks for a new, nameless keyring; no memory is involved.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            0 as libc::c_ulong,
        );
    }
}
