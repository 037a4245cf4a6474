//! One run, as the process that holds the sandbox sees it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::agent::Agent;
use super::call::{Call, Finished, Refused};
use super::error::{NotRun, SandboxError, Unavailable};

use super::limits::Limits;
use super::placed::Placed;
use crate::linux::init::{self, Ends, Outcome, Program, Report};
use crate::linux::interpreter;
use crate::linux::process::{Ended, Process};
use crate::status::Status;

/// The namespaces that a run has of its own, beside those of the sandbox.
const NAMESPACES: i32 = libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// How much of the output is read at once, in bytes: what a pipe holds.
const PIECE: usize = 64 << 10;

/// Runs `call` and waits until all that it began is gone.
pub(super) fn perform(agent: &Agent, call: &Call) -> Result<Finished, SandboxError> {
    let program = program(call, agent)?;
    let placed = match &call.script {
        Some(script) => Some(Placed::place(agent, script)?),
        None => None,
    };
    let result = watched(agent, program);
    let result = match result {
        // What is missing can be told only while the script is there.
        Ok((Outcome::NotRun(error), ..)) => Err(SandboxError::NotRun {
            program: String::from_utf8_lossy(&call.program).into_owned(),
            why: interpreter::why_not_run(agent.root.as_fd(), &call.program, error),
        }),
        Ok((outcome, finished)) => judge(agent, outcome, finished),
        Err(error) => Err(error),
    };
    if let Some(placed) = placed {
        placed.remove(agent)?;
    }
    result
}

/// Turns what became of a program into what the caller is told.
fn judge(agent: &Agent, outcome: Outcome, mut seen: Finished) -> Result<Finished, SandboxError> {
    let limits = &agent.limits;
    seen.status = match outcome {
        Outcome::Ended(Ended::Exited(code)) => Status::Exited(code),
        Outcome::Ended(Ended::Signalled(signal)) => Status::Signalled(signal),
        Outcome::TooManyProcesses => {
            return Err(SandboxError::TooManyProcesses {
                limit: limits.processes,
                output: seen.output,
            });
        }
        Outcome::OutOfMemory => {
            return Err(SandboxError::OutOfMemory {
                limit: limits.memory,
                output: seen.output,
            });
        }
        Outcome::Failed(doing, source) => {
            return Err(namespaces(doing, source));
        }
        Outcome::NotRun(source) => {
            return Err(SandboxError::Kernel {
                doing: "run a program".to_owned(),
                source,
            });
        }
    };
    Ok(seen)
}

/// What hinders the first process of a run is the machine's: the caller can do no better.
fn namespaces(doing: String, source: io::Error) -> SandboxError {
    Unavailable::Namespaces {
        doing,
        root: false,
        source,
    }
    .into()
}

fn program(call: &Call, agent: &Agent) -> Result<Program, SandboxError> {
    let limits = &agent.limits;
    let text = |bytes: &[u8]| {
        CString::new(bytes).map_err(|error| SandboxError::NotRun {
            program: String::from_utf8_lossy(&call.program).into_owned(),
            why: NotRun::Other(error.into()),
        })
    };
    let variable = |(name, value): &(Vec<u8>, Vec<u8>)| {
        let mut both = name.clone();
        both.push(b'=');
        both.extend_from_slice(value);
        text(&both)
    };
    let hostname = match &call.hostname[..] {
        b"" => b"localhost".to_vec(),
        name => name.to_vec(),
    };
    Ok(Program {
        path: text(&call.program)?,
        arguments: call
            .arguments
            .iter()
            .map(|one| text(one))
            .collect::<Result<_, _>>()?,
        environment: call
            .environment
            .iter()
            .map(variable)
            .collect::<Result<_, _>>()?,
        hostname,
        processes: u64::from(limits.processes),
        memory: limits.memory,
        file: limits.disk,
        grace: Limits::GRACE,
        filtered: agent.machine.calls_as_host(),
    })
}

/// Begins the run, keeps its time and collects its output until nothing of it is left.
fn watched(agent: &Agent, program: Program) -> Result<(Outcome, Finished), SandboxError> {
    let fail = |doing: &str, source: io::Error| SandboxError::Kernel {
        doing: doing.to_owned(),
        source,
    };
    let pipe = || {
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| fail("make a pipe", error.into()))
    };
    let ((output, write_output), (report, write_report), (read_go, go)) =
        (pipe()?, pipe()?, pipe()?);
    let ends = Ends {
        output: write_output,
        report: write_report,
        go: read_go,
    };
    let until = Instant::now() + agent.limits.time;
    // The ends are moved into the child's copy, and dropped here, in this process, when the
    // closure is: only the child holds them then.
    let first = Process::clone_into(NAMESPACES, move || init::run(&program, ends));
    let mut first = first.map_err(|error| namespaces("clone".to_owned(), error))?;
    rustix::io::write(&go, b"!").map_err(|error| fail("begin a run", error.into()))?;
    let mut collected = Collected::new(agent.limits.output);
    let in_time = collect(agent, &first, &output, until, &mut collected)?;
    if !in_time {
        first.kill();
    }
    first.wait();
    // Nothing is left that could write: what is in the pipe now is all.
    while collected.read(&output)? {}
    if !in_time {
        return Err(SandboxError::TimedOut {
            limit: agent.limits.time,
            output: collected.bytes,
        });
    }
    let report = Report::read(&mut std::fs::File::from(report))
        .map_err(|error| fail("learn how a run ended", error))?;
    let refused = [
        (report.network, Refused::Network),
        (report.disk, Refused::Disk),
        (report.background, Refused::Background),
    ];
    let refused = refused
        .iter()
        .filter(|(was, _)| *was)
        .map(|(_, what)| *what);
    let finished = Finished {
        status: Status::Exited(0),
        output: collected.bytes,
        truncated: collected.truncated,
        refused: refused.collect(),
    };
    Ok((report.outcome, finished))
}

/// Reads output until the first process has ended. Returns whether it did in time.
fn collect(
    agent: &Agent,
    first: &Process,
    output: &OwnedFd,
    until: Instant,
    collected: &mut Collected,
) -> Result<bool, SandboxError> {
    let mut open = true;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Ok(false);
        }
        let mut fds = vec![
            PollFd::new(first, PollFlags::IN),
            // Nobody asks while a run is on: there is something to read only at the end.
            PollFd::new(&agent.socket, PollFlags::IN | PollFlags::RDHUP),
        ];
        if open {
            fds.push(PollFd::new(output, PollFlags::IN));
        }
        let timeout = Timespec {
            tv_sec: left.as_secs() as _,
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                return Err(SandboxError::Kernel {
                    doing: "wait for a run".to_owned(),
                    source: error.into(),
                });
            }
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready.get(1) == Some(&true) {
            first.kill();
            return Ok(true);
        }
        if ready.get(2) == Some(&true) {
            open = collected.read(output)?;
        } else if ready.first() == Some(&true) {
            return Ok(true);
        }
    }
}

/// Output, as far as it is kept.
#[derive(Debug)]
struct Collected {
    bytes: Vec<u8>,
    most: usize,
    truncated: bool,
}

impl Collected {
    fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
            truncated: false,
        }
    }

    /// Reads a piece. Says whether there may be more.
    fn read(&mut self, output: &OwnedFd) -> Result<bool, SandboxError> {
        let mut piece = vec![0; PIECE];
        let count = match rustix::io::read(output, &mut piece) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(true),
            Err(error) => {
                return Err(SandboxError::Kernel {
                    doing: "read a program's output".to_owned(),
                    source: error.into(),
                });
            }
        };
        let room = self.most - self.bytes.len();
        self.truncated |= count > room;
        self.bytes
            .extend_from_slice(piece.get(..count.min(room)).unwrap_or_default());
        Ok(count > 0)
    }
}
