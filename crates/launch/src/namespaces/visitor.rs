//! A process that goes into an instance from outside, and takes the host's network along: nobody
//! inside could have that back.

#![expect(unsafe_code, reason = "setns")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};

use super::supervisor::{self, Inside};
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::process::{Ended, Process};
use crate::linux::{descriptors, guest_root};

/// The namespaces of an instance that it goes into, beside that of users.
const NAMESPACES: i32 = libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// What a visitor begins with.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    /// The connection of the request.
    pub(super) socket: OwnedFd,
    /// The instance's first process.
    pub(super) init: BorrowedFd<'a>,
    pub(super) full_root: bool,
    pub(super) all: bool,
    #[cfg(target_pointer_width = "64")]
    pub(super) filter: Option<Filter>,
}

pub(super) fn main(visit: Visit<'_>) -> i32 {
    descriptors::close_all_but(&[visit.socket.as_fd(), visit.init]);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let Ok(inside) = enter(&visit) else {
        return 1;
    };
    let socket = visit.socket;
    // The new process is in the instance's process namespace, and this one is not.
    let child = Process::clone_into(0, || supervisor::main(socket, &inside));
    match child.map(|mut child| child.wait()) {
        Ok(Some(Ended::Exited(code))) => code,
        _ => 1,
    }
}

fn enter(visit: &Visit<'_>) -> io::Result<Inside> {
    descriptors::leave_keyring();
    let users = if visit.full_root {
        libc::CLONE_NEWUSER
    } else {
        0
    };
    // SAFETY: this process has one thread, and shares its view of the file system with none.
    if unsafe { libc::setns(visit.init.as_raw_fd(), NAMESPACES | users) } != 0 {
        return Err(io::Error::last_os_error());
    }
    guest_root::take_ids()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Inside {
        proc: rustix::fs::open("/proc", flags, Mode::empty())?,
        all: visit.all,
        #[cfg(target_pointer_width = "64")]
        filter: visit.filter.clone(),
    })
}
