//! The process that serves one request inside an instance. Where that is to run a program, it
//! watches over all that the program begins, until that is over or nobody cares any more.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use prebake_apk::path::GuestPath;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, getpid, set_child_subreaper, wait};

use super::first::{children_that_end, take_signals};
use super::program;
use super::request::{self, DIRECTORY, DONE, ENDED, KILL, PROGRAM, Program, REFUSED, Refusal};
use crate::linux::descendants;
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::process::Process;
use crate::linux::usage::Usage;
use crate::linux::{descriptors, passing};
use crate::status::Status;

/// How often it is looked how much memory the processes use, where that is all that keeps a limit.
const LOOK: Duration = Duration::from_millis(25);

/// How often it is looked how many they are. Until then the kernel's own limit holds.
const LOOK_FOR_MANY: Duration = Duration::from_millis(250);

/// What serves a request knows of the instance.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) proc: OwnedFd,
    /// Whether all ids are there, or root's alone.
    pub(super) all: bool,
    #[cfg(target_pointer_width = "64")]
    pub(super) filter: Option<Filter>,
}

pub(super) fn main(socket: OwnedFd, inside: &Inside) -> i32 {
    descriptors::close_all_but(&[socket.as_fd(), inside.proc.as_fd()]);
    let Ok(Some((kind, fds))) = passing::receive_byte(&socket) else {
        return 0;
    };
    let mut input = passing::Incoming(socket.as_fd());
    let result = match kind {
        PROGRAM => match Program::read(&mut input) {
            Ok(program) => Supervisor::begin(&socket, inside, program, fds),
            Err(_) => return 0,
        },
        DIRECTORY => match request::string(&mut input) {
            Ok(path) => create_directory(&path).map(|()| None),
            Err(_) => return 0,
        },
        _ => return 0,
    };
    // Whoever asked may be gone: then there is nobody to tell.
    match result {
        Ok(Some(mut supervisor)) => supervisor.watch(),
        Ok(None) => {
            let _ = request::answer(&socket, DONE, |_| Ok(()));
        }
        Err(refusal) => {
            let _ = request::answer(&socket, REFUSED, |out| refusal.put(out));
        }
    }
    0
}

/// Makes a directory of the instance, and those above it. Links on the way stay within.
fn create_directory(path: &[u8]) -> Result<(), Refusal> {
    let fail = |error: Errno| {
        Refusal::InGuest(
            "make the directory".to_owned(),
            absolute(path),
            error.into(),
        )
    };
    make_way(path).map(drop).map_err(fail)
}

fn absolute(path: &[u8]) -> Vec<u8> {
    [b"/", path].concat()
}

/// Opens a directory by its path from the root, and makes what of it is not there.
pub(super) fn make_way(path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |path: &[u8]| openat2(CWD, path, flags, Mode::empty(), ResolveFlags::empty());
    let whole = absolute(path);
    if let Ok(directory) = open(&whole) {
        return Ok(directory);
    }
    let mut way = Vec::new();
    let path = GuestPath::from_relative(path).map_err(|_| Errno::INVAL)?;
    for part in path.parts() {
        way.push(b'/');
        way.extend_from_slice(part);
        match rustix::fs::mkdir(&*way, Mode::from(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    open(&whole)
}

/// A program at work, and what it has begun.
#[derive(Debug)]
struct Supervisor<'a> {
    socket: &'a OwnedFd,
    inside: &'a Inside,
    ended: OwnedFd,
    main: Pid,
    status: Option<Status>,
    told: bool,
    processes: Option<u64>,
    memory: Option<u64>,
}

impl<'a> Supervisor<'a> {
    fn begin(
        socket: &'a OwnedFd,
        inside: &'a Inside,
        program: Program,
        fds: Vec<OwnedFd>,
    ) -> Result<Option<Self>, Refusal> {
        let fail = |doing: &str| {
            let doing = doing.to_owned();
            move |error: io::Error| Refusal::Failed(doing, error)
        };
        set_child_subreaper(Some(getpid()))
            .map_err(|error| fail("watch over a program")(error.into()))?;
        let ended = children_that_end().map_err(fail("watch over a program"))?;
        let watched = program.processes.1.then_some(program.processes.0);
        let memory = program.memory;
        let main: Process = program::begin(socket, inside, program, fds)?;
        Ok(Some(Self {
            socket,
            inside,
            ended,
            main: main.pid(),
            status: None,
            told: false,
            processes: watched,
            memory,
        })
        .inspect(|_| {
            let mut main = main;
            main.was_reaped();
        }))
    }

    /// Watches until nothing is left to watch, or nobody wants to know.
    fn watch(&mut self) {
        let looks = self.processes.is_some() || self.memory.is_some();
        let every = if self.memory.is_some() {
            LOOK
        } else {
            LOOK_FOR_MANY
        };
        let mut next = Instant::now() + every;
        loop {
            let some_left = self.reap();
            if let Some(status) = self.status
                && !self.told
            {
                self.told = true;
                let told =
                    request::answer(self.socket, ENDED, |out| request::put_status(out, status));
                if told.is_err() {
                    return;
                }
            }
            if self.told && !some_left {
                return;
            }
            let mut fds = [
                PollFd::new(self.socket, PollFlags::IN),
                PollFd::new(&self.ended, PollFlags::IN),
            ];
            let left = next.saturating_duration_since(Instant::now());
            let look = Timespec {
                tv_sec: 0,
                tv_nsec: left.subsec_nanos().into(),
            };
            let _ = poll(&mut fds, looks.then_some(&look));
            let [asked, ended] = fds.map(|fd| !fd.revents().is_empty());
            if ended {
                take_signals(&self.ended);
            }
            if looks && Instant::now() >= next {
                next = Instant::now() + every;
                if self.is_too_much() {
                    self.end_all();
                }
            }
            if asked {
                match passing::receive_byte(self.socket) {
                    Ok(Some((KILL, _))) => self.end_all(),
                    Ok(Some(_)) => {}
                    // Whoever began it cares no more. What it left behind may live on.
                    Ok(None) | Err(_) if self.told => return,
                    Ok(None) | Err(_) => {
                        self.end_all();
                        return;
                    }
                }
            }
        }
    }

    fn is_too_much(&self) -> bool {
        let Usage { threads, memory } = descendants::usage(self.inside.proc.as_fd(), getpid());
        self.processes.is_some_and(|most| threads > most)
            || self.memory.is_some_and(|most| memory > most)
    }

    fn end_all(&mut self) {
        let (main, status) = (self.main, &mut self.status);
        descendants::end_all(self.inside.proc.as_fd(), |pid, how| {
            if pid == main {
                *status = Some(status_of(how));
            }
        });
    }

    /// Reaps what has ended. Says whether anything is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid == self.main {
                        self.status = Some(status_of(status));
                    }
                }
                Ok(None) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

fn status_of(status: WaitStatus) -> Status {
    match status.terminating_signal() {
        Some(signal) => Status::Signalled(signal),
        None => Status::Exited(status.exit_status().unwrap_or_default()),
    }
}
