//! Has an instance run a program.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use prebake_apk::path::GuestPath;

use super::groups::{Bounds, Groups};
use super::instance::{Asked, Held};
use super::request::{PROGRAM, Program};
use super::running::Running;
use super::terminal::{self, Terminal};
use crate::child::{Child, Pipes};
use crate::command::{Access, Call, Command, Network, Stdio};
use crate::finding::Backend;
use crate::launch_error::LaunchError;

/// Who resolves names for the host.
const RESOLVER: &str = "/etc/resolv.conf";

/// What of the host's environment a program on its terminal is told.
const TERMINAL_KIND: &str = "TERM";

pub(super) fn spawn(held: &Held, call: &Call, streams: [Stdio; 3]) -> Result<Child, LaunchError> {
    if call.interactive {
        check_terminal(&streams)?;
    }
    let (shares, mut trees) = shares(held, call)?;
    let network = call.network == Network::Host;
    let resolver = network.then(|| held.share(Path::new(RESOLVER), Access::ReadOnly).ok());
    let resolver = resolver.flatten();
    let has_resolver = resolver.is_some();
    trees.extend(resolver);
    let (groups, watched) = limits(held, call)?;
    let program = Program {
        path: call.program.clone(),
        arguments: call.arguments.clone(),
        base: terminal_kind(call),
        environment: call.environment.clone(),
        bare: call.bare,
        folder: call.folder.clone(),
        user: call.user.clone(),
        shares,
        resolver: has_resolver,
        processes: watched.processes,
        memory: watched.memory,
        waits: groups.is_some(),
        terminal: call.interactive,
    };
    let mut message = Vec::new();
    let put = program.put(&mut message);
    put.map_err(|error| held.failed("ask for a program", error))?;
    let (theirs, pipes) = if call.interactive {
        (Vec::new(), Pipes::default())
    } else {
        let opened = open(streams).map_err(|error| held.failed("open a stream", error))?;
        (opened.0.into(), opened.1)
    };
    let fds: Vec<_> = theirs.iter().chain(&trees).map(|fd| fd.as_fd()).collect();
    let asked = held.ask(
        "run a program",
        PROGRAM,
        &fds,
        &message,
        network,
        groups.as_ref(),
    )?;
    let Asked {
        socket,
        orders,
        answer,
    } = asked;
    let given = answer.map_err(|refusal| held.refused(&call.program, refusal))?;
    let terminal = given.into_iter().next().map(Terminal::lend).transpose();
    let running = Running {
        socket,
        orders,
        ended: Mutex::new(None),
        terminal: Mutex::new(
            terminal.map_err(|error| held.failed("use this process's terminal", error))?,
        ),
        groups: Mutex::new(groups),
    };
    let program = String::from_utf8_lossy(&call.program).into_owned();
    Ok(Child::new(program, pipes, Arc::new(running), call.time))
}

fn unsupported(what: &str, why: String) -> LaunchError {
    LaunchError::Unsupported {
        backend: Backend::Namespaces,
        what: what.to_owned(),
        why,
    }
}

fn check_terminal(streams: &[Stdio; 3]) -> Result<(), LaunchError> {
    let own = streams.iter().all(|one| matches!(one, Stdio::Inherit));
    if own && terminal::is_there() {
        return Ok(());
    }
    let why = "the standard streams are not all this process's terminal; leave them as they are, \
               and run it in a terminal";
    Err(unsupported("a terminal", why.to_owned()))
}

fn terminal_kind(call: &Call) -> Vec<(Vec<u8>, Vec<u8>)> {
    let kind = std::env::var_os(TERMINAL_KIND).filter(|_| call.interactive);
    let kind = kind.map(|kind| (TERMINAL_KIND.as_bytes().to_vec(), kind.into_vec()));
    kind.into_iter().collect()
}

/// Where what is shared goes and whether each is a directory, and what it is.
type Shares = (Vec<(Vec<u8>, bool)>, Vec<OwnedFd>);

fn shares(held: &Held, call: &Call) -> Result<Shares, LaunchError> {
    let (mut places, mut trees) = (Vec::new(), Vec::new());
    for share in &call.shares {
        let path = GuestPath::from_absolute(&share.guest);
        let path = path.map_err(|source| LaunchError::GuestPath {
            path: share.guest.clone(),
            source,
        })?;
        if path.is_root() {
            let why = "the instance's root is its own; share it at a path below".to_owned();
            return Err(unsupported("a share at /", why));
        }
        places.push((path.as_bytes().to_vec(), share.host.is_dir()));
        trees.push(held.share(&share.host, share.access)?);
    }
    Ok((places, trees))
}

/// The limits that are kept by looking.
struct Watched {
    processes: (u64, bool),
    memory: Option<u64>,
}

/// Has the kernel keep what limits it keeps here.
fn limits(held: &Held, call: &Call) -> Result<(Option<Groups>, Watched), LaunchError> {
    let most = u64::from(call.processes.unwrap_or(Command::PROCESSES));
    if (call.memory, call.cpus, call.processes) == (None, None, None) {
        let watched = Watched {
            processes: (most, true),
            memory: None,
        };
        return Ok((None, watched));
    }
    let places = held.places();
    if call
        .cpus
        .is_some_and(|cpus| !(cpus > 0.0 && cpus.is_finite()))
    {
        let why = "it must be a number above 0".to_owned();
        return Err(unsupported("this limit of processors", why));
    }
    let no_cpu = |seen: String| {
        let why = format!(
            "{seen}; run it as root, or have systemd delegate the controller `cpu` to this user \
             (`Delegate=yes`), or leave the limit out"
        );
        unsupported("a limit of processors", why)
    };
    if call.cpus.is_some() && !places.has_cpu() {
        return Err(no_cpu("no control group for it is this user's".to_owned()));
    }
    let bounds = Bounds {
        memory: call.memory.filter(|_| places.has_memory()),
        cpus: call.cpus,
        processes: call.processes.filter(|_| places.has_pids()),
    };
    let mut groups = None;
    if bounds != Bounds::default() {
        match places.make(&held.path(), &held.name, held.next(), bounds) {
            Ok(made) => groups = Some(made),
            Err(error) if call.cpus.is_some() => return Err(no_cpu(error.to_string())),
            // The rest is kept by looking.
            Err(_) => {}
        }
    }
    let by_groups = groups.is_some();
    let watched = Watched {
        processes: (most, !(by_groups && bounds.processes.is_some())),
        memory: call
            .memory
            .filter(|_| !(by_groups && bounds.memory.is_some())),
    };
    Ok((groups, watched))
}

/// Opens what a program has for its streams, and this process's ends of the pipes among them.
fn open(streams: [Stdio; 3]) -> io::Result<([OwnedFd; 3], Pipes)> {
    let mut pipes = Pipes::default();
    let [input, output, errors] = streams;
    let input = match input {
        Stdio::Piped => {
            let (reader, writer) = io::pipe()?;
            pipes.stdin = Some(writer);
            reader.into()
        }
        Stdio::Inherit => io::stdin().as_fd().try_clone_to_owned()?,
        Stdio::Null => null()?,
        Stdio::File(file) => file.into(),
    };
    let mut output_to = |stream, ours: fn(&mut Pipes) -> &mut Option<PipeReader>, own: OwnedFd| {
        Ok::<OwnedFd, io::Error>(match stream {
            Stdio::Piped => {
                let (reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
                *ours(&mut pipes) = Some(reader);
                writer.into()
            }
            Stdio::Inherit => own,
            Stdio::Null => null()?,
            Stdio::File(file) => file.into(),
        })
    };
    let own = io::stdout().as_fd().try_clone_to_owned()?;
    let output = output_to(output, |pipes| &mut pipes.stdout, own)?;
    let own = io::stderr().as_fd().try_clone_to_owned()?;
    let errors = output_to(errors, |pipes| &mut pipes.stderr, own)?;
    Ok(([input, output, errors], pipes))
}

fn null() -> io::Result<OwnedFd> {
    let mut options = fs_err::OpenOptions::new();
    let null = options.read(true).write(true).open("/dev/null")?;
    Ok(null.into_parts().0.into())
}
