//! A process that goes into an instance from outside, and takes the host's network along: nobody
//! inside could have that back.

#![expect(unsafe_code, reason = "setns")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, kill_process, set_dumpable_behavior,
    set_parent_process_death_signal, waitpid,
};

use super::supervisor::{self, Inside};
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::process::Process;
use crate::linux::{descriptors, guest_root};

/// The namespaces of an instance that one goes into, by their names in `/proc/PID/ns`.
const NAMESPACES: [&str; 6] = ["user", "cgroup", "ipc", "uts", "pid", "mnt"];

/// Opens the namespaces of an instance's first process, which has not hidden itself yet. That of
/// users is among them if this process is not in it.
pub(super) fn namespaces(init: Pid, users: bool) -> io::Result<Vec<OwnedFd>> {
    let names = NAMESPACES.into_iter().skip(usize::from(!users));
    let open = |name| {
        let path = format!("/proc/{}/ns/{name}", init.as_raw_pid());
        let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        opened.map_err(io::Error::from)
    };
    names.map(open).collect()
}

/// What a visitor begins with.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    /// The connection of the request.
    pub(super) socket: OwnedFd,
    /// The instance's namespaces, that of users first if this process is not in it.
    pub(super) namespaces: &'a [OwnedFd],
    pub(super) all: bool,
    #[cfg(target_pointer_width = "64")]
    pub(super) filter: Option<Filter>,
}

pub(super) fn main(visit: Visit<'_>) -> i32 {
    let mut keep = vec![visit.socket.as_fd()];
    keep.extend(visit.namespaces.iter().map(|namespace| namespace.as_fd()));
    descriptors::close_all_but(&keep);
    let Ok(inside) = enter(&visit) else {
        return 1;
    };
    let socket = visit.socket;
    // The new process is in the instance's process namespace, and this one is not.
    let child = Process::clone_into(0, || supervisor::main(socket, &inside));
    let Ok(mut child) = child else {
        return 1;
    };
    child.was_reaped();
    loop {
        match waitpid(Some(child.pid()), WaitOptions::UNTRACED) {
            // Root of the instance can stop it, and is not to.
            Ok(Some((pid, status))) if status.stopped() => {
                let _ = kill_process(pid, Signal::CONT);
            }
            Ok(Some((_, status))) => return status.exit_status().unwrap_or(1),
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => return 1,
        }
    }
}

fn enter(visit: &Visit<'_>) -> io::Result<Inside> {
    descriptors::leave_keyring();
    for namespace in visit.namespaces {
        // SAFETY: this process has one thread, and shares its view of the file system with none.
        if unsafe { libc::setns(namespace.as_raw_fd(), 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    guest_root::take_ids()?;
    // A change of ids has the kernel forget it.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Inside {
        proc: rustix::fs::open("/proc", flags, Mode::empty())?,
        all: visit.all,
        #[cfg(target_pointer_width = "64")]
        filter: visit.filter.clone(),
    })
}
