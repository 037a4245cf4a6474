//! A process that is root of a user namespace with the ids of instances, for work on their files.

#![expect(unsafe_code, reason = "unshare")]

use std::io;
use std::os::fd::OwnedFd;

use rustix::thread::{Gid, Uid, UnshareFlags, set_thread_res_gid, set_thread_res_uid};

use super::process::Process;
use super::{id_map, passing};

/// What a process is told of its ids: all that a root filesystem needs, or root's alone.
pub(crate) const ALL_IDS: u8 = 1;
pub(crate) const ROOT_ALONE: u8 = 2;

/// Makes user and mount namespaces for this process, a child that was just forked, has the other
/// end of `parent` give ids, and becomes root of them. Returns [`ALL_IDS`] or [`ROOT_ALONE`].
pub(crate) fn become_root(parent: &OwnedFd) -> io::Result<u8> {
    // SAFETY: none of these flags takes from this process what it shares with another: it shares
    // nothing but descriptors' positions with the one that it was forked from.
    let made =
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) };
    if let Err(error) = made {
        let mut message = vec![1];
        message.extend(error.raw_os_error().to_ne_bytes());
        passing::send(parent, &message, &[])?;
        return Err(error.into());
    }
    passing::send(parent, &[0], &[])?;
    let given = passing::receive_byte(parent)?;
    let (given, _) = given.ok_or(io::ErrorKind::UnexpectedEof)?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    // Refused where the user has one id only; the groups are without force here then.
    let _ = rustix::thread::set_thread_groups(&[]);
    Ok(given)
}

/// Runs `body` in a child that is such a root, with a connection to this process; `None` for its
/// namespaces if it could not have them, and what hindered it. The child knows no other
/// descriptors than it uses: it lives for that work only.
pub(crate) fn run(body: impl FnOnce(&OwnedFd) -> i32) -> io::Result<(Process, OwnedFd, bool)> {
    let (connection, theirs) = passing::messages()?;
    let child = Process::fork(|| {
        let _ = rustix::thread::set_name(c"prebake-files");
        // A terminal's signals are for the caller.
        let _ = rustix::process::setsid();
        rustix::process::umask(rustix::fs::Mode::empty());
        if become_root(&theirs).is_err() {
            return 1;
        }
        body(&theirs)
    })?;
    drop(theirs);
    let all = give(&child, &connection)?;
    Ok((child, connection, all))
}

/// Gives a child that waits in [`become_root`] its ids, over the other end of its connection.
/// Returns whether they are all, or root's alone.
pub(crate) fn give(child: &Process, connection: &OwnedFd) -> io::Result<bool> {
    match passing::receive(connection)? {
        Some((message, _)) if message.first() == Some(&0) => {}
        Some((message, _)) => {
            let number = message.get(1..5).and_then(|bytes| bytes.try_into().ok());
            let number = i32::from_ne_bytes(number.unwrap_or_default());
            return Err(io::Error::from_raw_os_error(number));
        }
        None => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    let all = id_map::give(child.pid())?;
    let given = if all { ALL_IDS } else { ROOT_ALONE };
    passing::send(connection, &[given], &[])?;
    Ok(all)
}
