//! The first process of an instance: it sets the scene, begins what is asked for, and reaps. With
//! its end the kernel ends all that runs in the instance.

#![expect(unsafe_code, reason = "signalfd, and kill of all")]

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, kill_process, set_dumpable_behavior,
    set_parent_process_death_signal, wait,
};

use super::scene::{self, Layers};
use super::supervisor::{self, Inside};
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::guest_root::{self, ALL_IDS};
use crate::linux::process::Process;
use crate::linux::stage::Failure;
use crate::linux::{descriptors, network, passing, wire};
use crate::sandbox::Machine;

/// Where a user namespace's own limit of namespaces within it is.
const NAMESPACES_WITHIN: &str = "/proc/sys/user/max_user_namespaces";

/// What an instance's first process begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) layers: Layers,
    pub(super) hostname: String,
    /// Where it is asked for things, by those who have the instance.
    pub(super) orders: OwnedFd,
    pub(super) machine: Machine,
    /// What programs of that machine are run by, where the host does not run them.
    pub(super) emulator: Option<PathBuf>,
    /// Where the one that began it says that it has its ids, and reads that all is ready.
    pub(super) holder: OwnedFd,
    #[cfg(target_pointer_width = "64")]
    pub(super) filter: Option<Filter>,
}

/// What is said to the first process: to serve a request, and to end all programs.
pub(super) const SERVE: u8 = 1;
pub(super) const END_ALL: u8 = 2;

pub(super) fn main(beginning: Beginning) -> i32 {
    let Beginning { layers, .. } = &beginning;
    let mut keep = vec![
        beginning.orders.as_fd(),
        beginning.holder.as_fd(),
        layers.own.as_fd(),
    ];
    keep.extend(layers.lower.as_ref().map(|lower| lower.as_fd()));
    descriptors::close_all_but(&keep);
    // The holder may have died before it was asked to be told: then this is the end.
    let told = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let Ok(Some((all, _))) = passing::receive_byte(&beginning.holder) else {
        return 1;
    };
    if !told {
        return 1;
    }
    let inside = match begin(&beginning, all == ALL_IDS) {
        Ok(inside) => inside,
        Err((doing, error)) => {
            let mut message = vec![1];
            let put = wire::put_bytes(&mut message, doing.as_bytes())
                .and_then(|()| wire::put_io_error(&mut message, &error))
                .and_then(|()| passing::send(&beginning.holder, &message, &[]));
            return 1 + i32::from(put.is_err());
        }
    };
    let Beginning {
        orders,
        holder,
        layers,
        ..
    } = beginning;
    drop(layers);
    if passing::send(&holder, &[0], &[]).is_err() {
        return 1;
    }
    drop(holder);
    i32::from(serve(&orders, &inside).is_err())
}

fn begin(beginning: &Beginning, all: bool) -> Result<Inside, Failure> {
    let fail = |doing| move |error: Errno| (doing, io::Error::from(error));
    let _ = rustix::thread::set_name(c"prebake-init");
    guest_root::take_ids().map_err(|error| ("become root", error))?;
    // A change of ids has the kernel forget it. If the holder has died in between, it does not
    // hear that this process is ready.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(fail("be told of a death"))?;
    // What it is must not be read by those it watches.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(fail("hide"))?;
    descriptors::leave_keyring();
    // Whoever could make a user namespace in this one would be its root, with every right that
    // is taken away here. Where `/proc/sys` is not to be written to, the rights are still few.
    if let Ok(mut file) = OpenOptions::new().write(true).open(NAMESPACES_WITHIN) {
        let _ = file.write_all(b"0");
    }
    let hostname = beginning.hostname.as_bytes();
    rustix::system::sethostname(hostname).map_err(fail("set the host's name"))?;
    network::start_loopback().map_err(|error| ("start the loopback", error))?;
    if let Some(emulator) = &beginning.emulator {
        scene::emulate(beginning.machine, emulator)?;
    }
    let proc = scene::enter(&beginning.layers, all)?;
    Ok(Inside {
        proc,
        all,
        #[cfg(target_pointer_width = "64")]
        filter: beginning.filter.clone(),
    })
}

/// Begins what is asked for until nobody asks any more.
fn serve(orders: &OwnedFd, inside: &Inside) -> io::Result<()> {
    let ended = children_that_end()?;
    let mut supervisors = HashSet::new();
    loop {
        let mut fds = [
            PollFd::new(orders, PollFlags::IN),
            PollFd::new(&ended, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [asked, ended_some] = fds.map(|fd| !fd.revents().is_empty());
        if ended_some {
            take_signals(&ended);
            reap(&mut supervisors);
        }
        if !asked {
            continue;
        }
        match passing::receive_byte(orders)? {
            None => return Ok(()),
            Some((SERVE, fds)) => {
                let Some(socket) = fds.into_iter().next() else {
                    continue;
                };
                // Without a process for it the connection ends, and the other end sees it.
                if let Ok(mut process) = Process::clone_into(0, || supervisor::main(socket, inside))
                {
                    supervisors.insert(process.pid());
                    process.was_reaped();
                }
            }
            Some(_) => {
                end_all();
                supervisors.clear();
            }
        }
    }
}

/// Reaps what has ended. One that should watch over a program and was killed, which root of the
/// instance can do, leaves nobody who could say what that program began: all end then, as they do
/// where one kills every process of a machine. One that was stopped goes on.
fn reap(supervisors: &mut HashSet<Pid>) {
    loop {
        match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) if status.stopped() => {
                if supervisors.contains(&pid) {
                    let _ = kill_process(pid, Signal::CONT);
                }
            }
            Ok(Some((pid, status))) => {
                if supervisors.remove(&pid) && status.exit_status() != Some(0) {
                    end_all();
                    // The others are dead by that, which is no reason to end those who come after.
                    supervisors.clear();
                }
            }
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// Kills every process of the instance but this one.
fn end_all() {
    // SAFETY: a signal to all others of this process namespace, of which this is the first.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Returns what is readable when a child of this process has ended.
pub(super) fn children_that_end() -> io::Result<OwnedFd> {
    // SAFETY: the set is plain data that the calls fill and read, and the descriptor is new.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Reads what [`children_that_end`] has to say.
pub(super) fn take_signals(ended: &OwnedFd) {
    let mut buffer = [0; size_of::<libc::signalfd_siginfo>()];
    while matches!(rustix::io::read(ended, &mut buffer), Ok(count) if count > 0) {}
}
