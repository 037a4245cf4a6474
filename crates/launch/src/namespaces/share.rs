//! What a program sees of the host's files.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use super::request::{Program, Refusal};
use super::scene::attach;
use super::supervisor::make_way;

/// Where programs look for who resolves names.
const RESOLVER: &[u8] = b"etc/resolv.conf";

/// Mounts what goes with the request of `program`, in a mount namespace of this process's own.
#[expect(unsafe_code, reason = "unshare")]
pub(super) fn show(
    program: &Program,
    mut trees: impl Iterator<Item = OwnedFd>,
) -> Result<(), Refusal> {
    if program.shares.is_empty() && !program.resolver {
        return Ok(());
    }
    let fail = |error: Errno| Refusal::Failed("make a mount namespace".to_owned(), error.into());
    // SAFETY: this process has one thread, and shares its view of the file system with none.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.map_err(fail)?;
    for (path, directory) in &program.shares {
        let shown = trees.next().ok_or(Errno::INVAL);
        let shown = shown.and_then(|tree| attach(&tree, place(path, *directory)?.as_fd()));
        shown.map_err(|error| {
            let path = [b"/", &path[..]].concat();
            Refusal::InGuest("show a shared folder at".to_owned(), path, error.into())
        })?;
    }
    if program.resolver
        && let Some(tree) = trees.next()
    {
        let shown = place(RESOLVER, false).and_then(|there| attach(&tree, there.as_fd()));
        shown.map_err(|error| {
            let path = [b"/", RESOLVER].concat();
            Refusal::InGuest("show the host's".to_owned(), path, io::Error::from(error))
        })?;
    }
    Ok(())
}

/// Opens what something is mounted on, and makes it if it is not there.
fn place(path: &[u8], directory: bool) -> rustix::io::Result<OwnedFd> {
    if directory {
        return make_way(path);
    }
    let cut = path.iter().rposition(|byte| *byte == b'/');
    let (folder, name) = match cut {
        Some(at) => (
            path.get(..at).unwrap_or_default(),
            path.get(at + 1..).unwrap_or_default(),
        ),
        None => (&b""[..], path),
    };
    let folder = make_way(folder)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&folder, name, flags, Mode::from(0o644)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let whole = [b"/", path].concat();
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, whole, flags, Mode::empty(), ResolveFlags::empty())
}
