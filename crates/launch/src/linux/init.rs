//! The first process of a run: it sets the scene, begins the program, reaps what is orphaned,
//! watches what all use, and with its end the kernel ends all.

#![expect(unsafe_code, reason = "execve")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Signal, WaitOptions, set_dumpable_behavior, set_parent_process_death_signal,
    setsid, wait,
};

use super::confine::{self, Ceilings};
#[cfg(target_pointer_width = "64")]
use super::filter;
use super::process::{Ended, Process};
use super::stage::{self, Failure};
use super::usage::{self, Usage};
use super::{descriptors, network, wire};

/// How often it is looked what the processes use.
const LOOK: Duration = Duration::from_millis(20);

/// How often it is looked whether what was left behind has ended.
const LOOK_BEHIND: Duration = Duration::from_millis(2);

/// How many more processes than the limit the kernel lets a user have: what is over the limit is
/// to be seen and told, and not only to fail. No machine begins as many between two looks.
const MORE_PROCESSES: u64 = 4096;

/// How many times the limit of all memory the kernel lets one process have, for the same reason.
const MORE_MEMORY: u64 = 2;

/// The file creation mask of a program: what apk 2.14.4 gives its scripts, whatever it has itself
/// (seen with 022 and 077).
const MASK: u32 = 0o022;

/// What to run, and within which limits.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: CString,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) hostname: Vec<u8>,
    pub(crate) processes: u64,
    pub(crate) memory: u64,
    pub(crate) file: u64,
    pub(crate) grace: Duration,
    /// Whether system calls are filtered. The filter ends what calls the kernel as another
    /// machine's program would, 32-bit ones of the same family among them.
    pub(crate) filtered: bool,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran and ended.
    Ended(Ended),
    /// The kernel would not run it.
    NotRun(io::Error),
    /// The scene could not be set.
    Failed(String, io::Error),
    /// Too many processes were there at once.
    TooManyProcesses,
    /// Too much memory was used.
    OutOfMemory,
}

/// What became of it, and what it was not given.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    pub(crate) network: bool,
    pub(crate) disk: bool,
    pub(crate) background: bool,
}

/// The descriptors that the first process has of the one that began it.
#[derive(Debug)]
pub(crate) struct Ends {
    /// Where the program's output goes.
    pub(crate) output: OwnedFd,
    /// Where the report goes.
    pub(crate) report: OwnedFd,
    /// Readable when all may begin, and at its end when the other side has died.
    pub(crate) go: OwnedFd,
}

/// Runs a program, as the first process of its namespaces, and sends a [`Report`].
pub(crate) fn run(program: &Program, ends: Ends) -> i32 {
    descriptors::close_all_but(&[ends.output.as_fd(), ends.report.as_fd(), ends.go.as_fd()]);
    // Whoever began this may have died before it was asked to be told.
    let mut byte = [0];
    let told = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    if !told || !matches!(rustix::io::read(&ends.go, &mut byte), Ok(1)) || hung_up(&ends.go) {
        return 1;
    }
    let report = perform(program, ends.output).unwrap_or_else(|(doing, error)| Report {
        outcome: Outcome::Failed(doing.to_owned(), error),
        network: false,
        disk: false,
        background: false,
    });
    let mut file = std::fs::File::from(ends.report);
    i32::from(report.send(&mut file).is_err())
}

fn hung_up(go: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(go, PollFlags::IN)];
    let _ = poll(&mut fds, Some(&Timespec::default()));
    fds.iter().any(|fd| fd.revents().contains(PollFlags::HUP))
}

fn perform(program: &Program, output: OwnedFd) -> Result<Report, Failure> {
    let fail = |doing| move |error: rustix::io::Errno| (doing, error.into());
    // What it is must not be read by those it watches.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(fail("hide"))?;
    rustix::system::sethostname(&program.hostname).map_err(fail("set the host's name"))?;
    network::start_loopback().map_err(|error| ("start the loopback", error))?;
    let tree = stage::open_tree_root()?;
    let proc = stage::enter_tree()?;
    let before = network::attempts(proc.as_fd());
    let (mut child, status) = begin(program, output)?;
    let mut watch = Watch {
        program,
        proc: proc.as_fd(),
        tree: tree.as_fd(),
        disk: false,
    };
    let outcome = watch.until_end(&mut child, status);
    let background = matches!(outcome, Outcome::Ended(_)) && !all_gone(program.grace);
    Ok(Report {
        disk: watch.disk || stage::is_full(&tree),
        network: network::attempts(proc.as_fd()) != before,
        outcome,
        background,
    })
}

/// Begins the program. Returns its process, and where it says why it was not begun.
fn begin(program: &Program, output: OwnedFd) -> Result<(Process, OwnedFd), Failure> {
    let (status, say) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| ("make a pipe", io::Error::from(error)))?;
    let child = Process::clone_into(0, || {
        let error = become_program(program, output.as_fd());
        let number = error.raw_os_error().unwrap_or(libc::EIO);
        let _ = rustix::io::write(&say, &number.to_ne_bytes());
        127
    });
    let child = child.map_err(|error| ("begin a process", error))?;
    Ok((child, status))
}

/// Becomes the program. Returns only if that is not to be.
fn become_program(program: &Program, output: BorrowedFd<'_>) -> io::Error {
    if let Err(error) = prepare(program, output) {
        return error;
    }
    let arguments = pointers(&program.arguments);
    let environment = pointers(&program.environment);
    // SAFETY: both arrays end with a null pointer, and all strings outlive the call.
    unsafe {
        libc::execve(
            program.path.as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
        );
    }
    io::Error::last_os_error()
}

fn prepare(program: &Program, output: BorrowedFd<'_>) -> io::Result<()> {
    setsid()?;
    // Standard input is this process's own: `/dev/null`.
    let input = rustix::stdio::stdin();
    descriptors::become_standard(input, output)?;
    rustix::process::umask(Mode::from_raw_mode(MASK));
    confine::limit(&Ceilings {
        processes: program.processes.saturating_add(MORE_PROCESSES),
        memory: program.memory.saturating_mul(MORE_MEMORY),
        file: program.file,
    })?;
    confine::drop_rights(confine::SCRIPT)?;
    #[cfg(target_pointer_width = "64")]
    if program.filtered {
        filter::Filter::for_scripts()?.install()?;
    }
    Ok(())
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = strings.iter().map(|text| CStr::as_ptr(text));
    pointers.chain([std::ptr::null()]).collect()
}

struct Watch<'a> {
    program: &'a Program,
    proc: BorrowedFd<'a>,
    tree: BorrowedFd<'a>,
    disk: bool,
}

impl Watch<'_> {
    /// Watches until the program ends or goes over a limit.
    fn until_end(&mut self, child: &mut Process, status: OwnedFd) -> Outcome {
        let mut number = [0; 4];
        // At its end as soon as the program has begun.
        if matches!(rustix::io::read(&status, &mut number), Ok(4)) {
            return Outcome::NotRun(io::Error::from_raw_os_error(i32::from_ne_bytes(number)));
        }
        let pid = child.pid();
        loop {
            self.disk |= stage::is_full(self.tree);
            let Usage { threads, memory } = usage::of_namespace(self.proc);
            if threads > self.program.processes {
                return Outcome::TooManyProcesses;
            }
            if memory > self.program.memory {
                return Outcome::OutOfMemory;
            }
            let mut fds = [PollFd::new(child, PollFlags::IN)];
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: LOOK.as_nanos() as _,
            };
            let _ = poll(&mut fds, Some(&timeout));
            // Orphans become this process's children, and the program is one of them.
            while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
                if ended == pid {
                    child.was_reaped();
                    // A shell tells its last child's signal by its own exit status.
                    self.disk |= status.terminating_signal() == Some(libc::SIGXFSZ)
                        || status.exit_status() == Some(128 + libc::SIGXFSZ);
                    return Outcome::Ended(match status.terminating_signal() {
                        Some(signal) => Ended::Signalled(signal),
                        None => Ended::Exited(status.exit_status().unwrap_or_default()),
                    });
                }
            }
        }
    }
}

/// Waits a little for what is left to end by itself. Says whether it has.
fn all_gone(grace: Duration) -> bool {
    let until = Instant::now() + grace;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK_BEHIND),
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

impl Report {
    fn send(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for flag in [self.network, self.disk, self.background] {
            wire::put_number(out, u64::from(flag))?;
        }
        let (kind, number) = match &self.outcome {
            Outcome::Ended(Ended::Exited(code)) => (0, *code),
            Outcome::Ended(Ended::Signalled(signal)) => (1, *signal),
            Outcome::TooManyProcesses => (2, 0),
            Outcome::OutOfMemory => (3, 0),
            Outcome::NotRun(error) => (4, error.raw_os_error().unwrap_or(libc::EIO)),
            Outcome::Failed(_, error) => (5, error.raw_os_error().unwrap_or(libc::EIO)),
        };
        wire::put_number(out, kind)?;
        wire::put_number(out, number as u64)?;
        if let Outcome::Failed(doing, _) = &self.outcome {
            wire::put_bytes(out, doing.as_bytes())?;
        }
        out.flush()
    }

    /// Reads what [`run`] sent.
    pub(crate) fn read(input: &mut dyn io::Read) -> io::Result<Self> {
        let mut flag = || Ok::<_, io::Error>(wire::number(input)? != 0);
        let (network, disk, background) = (flag()?, flag()?, flag()?);
        let kind = wire::number(input)?;
        let number = wire::number(input)? as i32;
        let outcome = match kind {
            0 => Outcome::Ended(Ended::Exited(number)),
            1 => Outcome::Ended(Ended::Signalled(number)),
            2 => Outcome::TooManyProcesses,
            3 => Outcome::OutOfMemory,
            4 => Outcome::NotRun(io::Error::from_raw_os_error(number)),
            _ => Outcome::Failed(wire::text(input)?, io::Error::from_raw_os_error(number)),
        };
        Ok(Self {
            outcome,
            network,
            disk,
            background,
        })
    }
}
