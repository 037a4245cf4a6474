//! Descriptors across `fork`.

#![expect(unsafe_code, reason = "closing descriptors by number")]

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
    for (fd, number) in [(input, 0), (output, 1), (output, 2)] {
        // SAFETY: `dup2` onto the standard streams, which nothing in this crate owns.
        if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
