//! Why the kernel would not run a program: it says the same of one that is missing and of one
//! whose interpreter is.

use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::sandbox::NotRun;

/// How much is read of a file to see what it is, in bytes: as much as the kernel does.
const HEAD: u64 = 256;

/// Finds out why `program` (an absolute path in the tree at `root`) was not run, which the kernel
/// gave `error` for.
pub(crate) fn why_not_run(root: BorrowedFd<'_>, program: &[u8], error: io::Error) -> NotRun {
    match error.raw_os_error() {
        Some(libc::ENOEXEC) => return NotRun::Format,
        Some(libc::ENOENT) => {}
        _ => return NotRun::Other(error),
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    // As the program's own world resolves it: links may lead anywhere in it.
    let Ok(file) = openat2(root, program, flags, Mode::empty(), ResolveFlags::IN_ROOT) else {
        return NotRun::Missing;
    };
    let mut head = Vec::new();
    let _ = std::fs::File::from(file).take(HEAD).read_to_end(&mut head);
    NotRun::NoInterpreter(named(&head))
}

/// Returns the interpreter that a script's first line names.
fn named(head: &[u8]) -> Option<String> {
    let line = head
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().next().map(str::to_owned)
}
