//! An instance, as the process sees it that has it.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs_err::File;
use prebake_apk::path::GuestPath;
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::first::SERVE;
use super::holder::{self, Holding};
use super::request::{self, DIRECTORY, PROGRAM, Program, Refusal};
use super::running::Running;
use super::store::{self, Store};
use crate::child::{Child, Pipes};
use crate::command::{Access, Call, Command, Network, Stdio};
use crate::driver::Driven;
use crate::finding::Backend;
use crate::launch_error::LaunchError;
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::process::{Ended, Process};
use crate::linux::{descriptors, guest_root, passing, wire};
use crate::name::Name;

#[derive(Debug)]
pub(super) struct Held {
    pub(super) store: Store,
    pub(super) name: Name,
    pub(super) tree: PathBuf,
    pub(super) state: Mutex<store::State>,
    pub(super) lock: Mutex<Option<File>>,
    pub(super) up: Mutex<Option<Up>>,
    pub(super) removed: AtomicBool,
    #[cfg(target_pointer_width = "64")]
    pub(super) filter: Option<Filter>,
}

/// The processes of an instance that runs.
#[derive(Debug)]
pub(super) struct Up {
    control: OwnedFd,
    orders: Arc<OwnedFd>,
    // Dropped last: it kills and reaps what still runs.
    holder: Process,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    /// Begins its processes if they are not there, and returns them.
    pub(super) fn up(&self) -> Result<MutexGuard<'_, Option<Up>>, LaunchError> {
        let mut up = locked(&self.up);
        if up.as_ref().is_some_and(|up| up.has_ended()) {
            *up = None;
        }
        if up.is_none() {
            *up = Some(self.start()?);
        }
        Ok(up)
    }

    fn path(&self) -> PathBuf {
        self.store.instance(&self.name)
    }

    fn failed(&self, doing: &str, source: io::Error) -> LaunchError {
        LaunchError::Host {
            doing: format!("{doing} for the instance {}", self.name),
            source,
        }
    }

    fn lost(&self, doing: &str, source: io::Error) -> LaunchError {
        LaunchError::Lost {
            name: self.name.clone(),
            doing: doing.to_owned(),
            source,
        }
    }

    fn start(&self) -> Result<Up, LaunchError> {
        let fail = |doing: &'static str| move |error| self.failed(doing, error);
        let lock = locked(&self.lock);
        let Some(lock) = lock.as_ref() else {
            return Err(LaunchError::NotThere {
                name: self.name.clone(),
            });
        };
        store::sign(lock).map_err(fail("write down who has it"))?;
        let above = |fd: io::Result<OwnedFd>| fd.and_then(descriptors::above_standard);
        let lock = above(lock.file().as_fd().try_clone_to_owned()).map_err(fail("keep a lock"))?;
        let owner = pidfd_open(getpid(), PidfdFlags::empty()).map_err(io::Error::from);
        let owner = above(owner).map_err(fail("find this process"))?;
        let (control, theirs) = passing::messages().map_err(fail("make a socket"))?;
        let (orders, for_init) = passing::messages().map_err(fail("make a socket"))?;
        let state = locked(&self.state).clone();
        let holding = Holding {
            control: theirs,
            orders: for_init,
            owner,
            lock,
            folder: self.path(),
            tree: (!state.copied).then(|| self.tree.clone()),
            hostname: self.name.as_str().to_owned(),
            full_root: self.store.full_root,
            kept: state.kept,
            #[cfg(target_pointer_width = "64")]
            filter: self.filter.clone(),
        };
        // What it begins with is dropped here when the closure is: only the child holds it then.
        let holder = Process::fork(move || holder::main(holding)).map_err(fail("fork"))?;
        if !self.store.full_root {
            guest_root::give(&holder, &control).map_err(fail("make a user namespace"))?;
        }
        let message = passing::receive(&control).map_err(fail("begin"))?;
        match message {
            Some((message, _)) if message.first() == Some(&holder::DONE) => Ok(Up {
                control,
                orders: Arc::new(orders),
                holder,
            }),
            Some((message, _)) => {
                let mut rest = message.get(1..).unwrap_or_default();
                let doing = wire::text(&mut rest).unwrap_or_default();
                let error = wire::io_error(&mut rest).unwrap_or_else(|error| error);
                Err(self.failed(&doing, error))
            }
            None => Err(self.lost("begin", io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Asks the instance for something, over a connection of its own, and returns that and the
    /// descriptors of the answer.
    fn ask(
        &self,
        doing: &str,
        kind: u8,
        fds: &[BorrowedFd<'_>],
        message: &[u8],
    ) -> Result<(OwnedFd, Arc<OwnedFd>, Result<Vec<OwnedFd>, Refusal>), LaunchError> {
        let lost = |error| self.lost(doing, error);
        let (socket, theirs) = passing::stream().map_err(|error| self.failed(doing, error))?;
        let orders = {
            let up = self.up()?;
            let Some(up) = up.as_ref() else {
                return Err(lost(io::ErrorKind::NotConnected.into()));
            };
            passing::send(&*up.orders, &[SERVE], &[theirs.as_fd()]).map_err(lost)?;
            Arc::clone(&up.orders)
        };
        drop(theirs);
        passing::send(&socket, &[kind], fds).map_err(lost)?;
        passing::send(&socket, message, &[]).map_err(lost)?;
        loop {
            let answer = passing::receive_byte(&socket).map_err(lost)?;
            let mut input = passing::Incoming(socket.as_fd());
            let answer = match answer {
                Some((request::DONE, fds)) => Ok(fds),
                Some((request::REFUSED, _)) => Err(Refusal::read(&mut input).map_err(lost)?),
                Some((request::WAITS, _)) => {
                    passing::send(&socket, &[request::GO], &[]).map_err(lost)?;
                    continue;
                }
                _ => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
            };
            return Ok((socket, orders, answer));
        }
    }

    fn refused(&self, program: &[u8], refusal: Refusal) -> LaunchError {
        let name = self.name.clone();
        match refusal {
            Refusal::NotRun(why) => LaunchError::NotRun {
                name,
                program: String::from_utf8_lossy(program).into_owned(),
                why,
            },
            Refusal::InGuest(doing, path, source) => LaunchError::InGuest {
                name,
                doing,
                path,
                source,
            },
            Refusal::Unsupported(what, why) => LaunchError::Unsupported {
                backend: Backend::Namespaces,
                what,
                why,
            },
            Refusal::Failed(doing, source) => self.failed(&doing, source),
        }
    }

    /// Has the holder give out a piece of the host's file system.
    fn share(&self, path: &Path, access: Access) -> Result<OwnedFd, LaunchError> {
        use std::os::unix::ffi::OsStrExt as _;
        let fail = |error| store::host("share", path, error);
        let path = fs_err::canonicalize(path).map_err(fail)?;
        let kind = match access {
            Access::ReadOnly => holder::SHARE_READ_ONLY,
            Access::ReadWrite => holder::SHARE,
        };
        let mut message = vec![kind];
        message.extend_from_slice(path.as_os_str().as_bytes());
        let up = self.up()?;
        let Some(up) = up.as_ref() else {
            return Err(fail(io::ErrorKind::NotConnected.into()));
        };
        passing::send(&up.control, &message, &[]).map_err(fail)?;
        match passing::receive(&up.control).map_err(fail)? {
            Some((message, fds)) if message == [holder::DONE] => {
                let tree = fds.into_iter().next();
                tree.ok_or_else(|| fail(io::ErrorKind::InvalidData.into()))
            }
            Some((message, _)) => {
                let mut rest = message.get(1..).unwrap_or_default();
                Err(fail(
                    wire::io_error(&mut rest).unwrap_or_else(|error| error),
                ))
            }
            None => Err(fail(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Ends its processes, by `how`. Says whether the holder was there to do so and did.
    fn end(&self, how: u8) -> bool {
        let Some(mut up) = locked(&self.up).take() else {
            return false;
        };
        let asked = passing::send(&up.control, &[how], &[]).is_ok();
        asked && up.holder.wait() == Some(Ended::Exited(0))
    }
}

impl Up {
    /// Says whether its first process is gone, which has closed its end then.
    fn has_ended(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&*self.orders, PollFlags::RDHUP)];
        let now = Timespec::default();
        !matches!(poll(&mut fds, Some(&now)), Ok(0))
    }
}

impl Driven for Held {
    fn create_dir(&self, path: &GuestPath) -> Result<(), LaunchError> {
        let mut message = Vec::new();
        let doing = "make a directory";
        wire::put_bytes(&mut message, path.as_bytes()).map_err(|e| self.failed(doing, e))?;
        let (.., answer) = self.ask(doing, DIRECTORY, &[], &message)?;
        answer
            .map(drop)
            .map_err(|refusal| self.refused(b"", refusal))
    }

    fn spawn(&self, call: &Call, streams: [Stdio; 3]) -> Result<Child, LaunchError> {
        let doing = "run a program";
        let mut trees = Vec::new();
        let mut shares = Vec::new();
        for share in &call.shares {
            let path = GuestPath::from_absolute(&share.guest);
            let path = path.map_err(|source| LaunchError::GuestPath {
                path: share.guest.clone(),
                source,
            })?;
            trees.push(self.share(&share.host, share.access)?);
            shares.push((path.as_bytes().to_vec(), share.host.is_dir()));
        }
        if call.network == Network::Host || call.interactive || call.cpus.is_some() {
            return Err(LaunchError::Unsupported {
                backend: Backend::Namespaces,
                what: "this".to_owned(),
                why: "it is not written yet".to_owned(),
            });
        }
        let program = Program {
            program: call.program.clone(),
            arguments: call.arguments.clone(),
            base: Vec::new(),
            environment: call.environment.clone(),
            bare: call.bare,
            folder: call.folder.clone(),
            user: call.user.clone(),
            shares,
            resolver: false,
            processes: (
                u64::from(call.processes.unwrap_or(Command::PROCESSES)),
                true,
            ),
            memory: call.memory,
            waits: false,
            terminal: false,
        };
        let mut message = Vec::new();
        let put = program.put(&mut message);
        put.map_err(|error| self.failed(doing, error))?;
        let (theirs, pipes) = open(streams).map_err(|error| self.failed("open a stream", error))?;
        let fds: Vec<_> = theirs.iter().chain(&trees).map(|fd| fd.as_fd()).collect();
        let (socket, orders, answer) = self.ask(doing, PROGRAM, &fds, &message)?;
        answer.map_err(|refusal| self.refused(&call.program, refusal))?;
        let running = Running {
            socket,
            orders,
            ended: Mutex::new(None),
        };
        let program = String::from_utf8_lossy(&call.program).into_owned();
        Ok(Child::new(program, pipes, Arc::new(running), call.time))
    }

    fn keep(&self) -> Result<(), LaunchError> {
        let mut state = locked(&self.state);
        let kept = store::State {
            kept: true,
            ..state.clone()
        };
        let path = self.path();
        store::write_state(&path, &kept, true)
            .map_err(|error| store::host("write down", &path, error))?;
        *state = kept;
        if let Some(up) = locked(&self.up).as_ref() {
            passing::send(&up.control, &[holder::KEEP], &[])
                .map_err(|error| self.lost("be kept", error))?;
        }
        Ok(())
    }

    fn stop(&self) -> Result<(), LaunchError> {
        self.end(holder::STOP);
        Ok(())
    }

    fn remove(&self) -> Result<(), LaunchError> {
        if self.removed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        if !self.end(holder::REMOVE) {
            self.store.remove(&self.name)?;
        }
        drop(locked(&self.lock).take());
        Ok(())
    }
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
        other => given(other)?,
    };
    let piped = |ours: &mut Option<PipeReader>| -> io::Result<OwnedFd> {
        let (reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
        *ours = Some(reader);
        Ok(writer.into())
    };
    let output = match output {
        Stdio::Piped => piped(&mut pipes.stdout)?,
        Stdio::Inherit => io::stdout().as_fd().try_clone_to_owned()?,
        other => given(other)?,
    };
    let errors = match errors {
        Stdio::Piped => piped(&mut pipes.stderr)?,
        Stdio::Inherit => io::stderr().as_fd().try_clone_to_owned()?,
        other => given(other)?,
    };
    Ok(([input, output, errors], pipes))
}

/// Opens what is the same in both directions.
fn given(stream: Stdio) -> io::Result<OwnedFd> {
    match stream {
        Stdio::File(file) => Ok(file.into()),
        _ => {
            let mut options = fs_err::OpenOptions::new();
            let null = options.read(true).write(true).open("/dev/null")?;
            Ok(null.into_parts().0.into())
        }
    }
}
