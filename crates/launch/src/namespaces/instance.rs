//! An instance, as the process sees it that has it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use prebake_apk::path::GuestPath;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::first::SERVE;
use super::groups::{Groups, Places};
use super::holder::{self, Holding};
use super::request::{self, DIRECTORY, PROGRAM, Refusal};
use super::spawn;
use super::store::{self, Lock, Store};
use crate::child::Child;
use crate::command::{Access, Call, Stdio};
use crate::driver::Driven;
use crate::finding::Backend;
use crate::launch_error::LaunchError;
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::process::{Ended, Process};
use crate::linux::{descriptors, guest_root, passing, wire};
use crate::name::Name;
use crate::sandbox::Machine;

#[derive(Debug)]
pub(super) struct Held {
    pub(super) store: Store,
    pub(super) name: Name,
    pub(super) tree: PathBuf,
    pub(super) state: Mutex<store::State>,
    // Before the lock, which is to be held until all has ended.
    pub(super) up: Mutex<Option<Up>>,
    pub(super) lock: Mutex<Option<Lock>>,
    pub(super) removed: AtomicBool,
    pub(super) programs: AtomicU64,
    pub(super) places: OnceLock<Places>,
    pub(super) machine: Machine,
    pub(super) emulator: Option<PathBuf>,
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

/// What was asked for: the connection, that to the first process, and the answer, which is what
/// descriptors came with it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) socket: OwnedFd,
    pub(super) orders: Arc<OwnedFd>,
    pub(super) answer: Result<Vec<OwnedFd>, Refusal>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    /// Begins its processes if they are not there, and returns them.
    pub(super) fn up(&self) -> Result<MutexGuard<'_, Option<Up>>, LaunchError> {
        let mut up = locked(&self.up);
        if up.as_ref().is_some_and(|up| has_ended(&up.orders)) {
            *up = None;
        }
        if up.is_none() {
            *up = Some(self.start()?);
        }
        Ok(up)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.store.instance(&self.name)
    }

    pub(super) fn failed(&self, doing: &str, source: io::Error) -> LaunchError {
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
        lock.sign().map_err(fail("write down who has it"))?;
        let above = |fd: io::Result<OwnedFd>| fd.and_then(descriptors::above_standard);
        let lock = above(lock.share()).map_err(fail("keep a lock"))?;
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
            machine: self.machine,
            emulator: self.emulator.clone(),
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
            Some((message, _)) if message.first() == Some(&holder::DONE) => {
                let copied = message.get(2) == Some(&1);
                if copied != state.copied {
                    let state = store::State { copied, ..state };
                    let path = self.path();
                    store::write_state(&path, &state, state.kept)
                        .map_err(|error| store::host("write down", &path, error))?;
                    *locked(&self.state) = state;
                }
                Ok(Up {
                    control,
                    orders: Arc::new(orders),
                    holder,
                })
            }
            Some((message, _)) => {
                let mut rest = message.get(1..).unwrap_or_default();
                let doing = wire::text(&mut rest).unwrap_or_default();
                let error = wire::io_error(&mut rest).unwrap_or_else(|error| error);
                Err(self.failed(&doing, error))
            }
            None => Err(self.lost("begin", io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Asks the instance for something, over a connection of its own; with the host's network if
    /// `visits`, and in these control groups.
    pub(super) fn ask(
        &self,
        doing: &str,
        kind: u8,
        fds: &[BorrowedFd<'_>],
        message: &[u8],
        visits: bool,
        groups: Option<&Groups>,
    ) -> Result<Asked, LaunchError> {
        let lost = |error| self.lost(doing, error);
        let (socket, theirs) = passing::stream().map_err(|error| self.failed(doing, error))?;
        if groups.is_some() {
            passing::sign(&socket).map_err(|error| self.failed(doing, error))?;
        }
        let orders = {
            let up = self.up()?;
            let Some(up) = up.as_ref() else {
                return Err(lost(io::ErrorKind::NotConnected.into()));
            };
            let (to, order) = if visits {
                (&up.control, holder::VISIT)
            } else {
                (&*up.orders, SERVE)
            };
            passing::send(to, &[order], &[theirs.as_fd()]).map_err(lost)?;
            Arc::clone(&up.orders)
        };
        drop(theirs);
        passing::send(&socket, &[kind], fds).map_err(lost)?;
        passing::send(&socket, message, &[]).map_err(lost)?;
        loop {
            let answer = passing::receive_signed(&socket).map_err(lost)?;
            let mut input = passing::Incoming(socket.as_fd());
            let answer = match answer {
                Some((request::DONE, fds, _)) => Ok(fds),
                Some((request::REFUSED, ..)) => Err(Refusal::read(&mut input).map_err(lost)?),
                Some((request::WAITS, _, process)) => {
                    let pid = process.map_or(0, |process| process.as_raw_pid().unsigned_abs());
                    let added = groups.map_or(Ok(()), |groups| groups.add(pid));
                    added.map_err(|error| self.failed("limit a program", error))?;
                    passing::send(&socket, &[request::GO], &[]).map_err(lost)?;
                    continue;
                }
                // A program that killed who watches over it before that could say so: how it ended
                // is told as it is of others.
                None if kind == PROGRAM && !has_ended(&orders) => Ok(Vec::new()),
                _ => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
            };
            return Ok(Asked {
                socket,
                orders,
                answer,
            });
        }
    }

    /// Returns what control groups there are to be had.
    pub(super) fn places(&self) -> &Places {
        self.places.get_or_init(Places::find)
    }

    /// Returns a number that no other program of this instance has.
    pub(super) fn next(&self) -> u64 {
        self.programs.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn refused(&self, program: &[u8], refusal: Refusal) -> LaunchError {
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
    pub(super) fn share(&self, path: &Path, access: Access) -> Result<OwnedFd, LaunchError> {
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

/// Says whether an instance's first process is gone, which has closed its end then.
fn has_ended(orders: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(orders, PollFlags::RDHUP)];
    let now = Timespec::default();
    !matches!(poll(&mut fds, Some(&now)), Ok(0))
}

impl Driven for Held {
    fn create_dir(&self, path: &GuestPath) -> Result<(), LaunchError> {
        let mut message = Vec::new();
        let doing = "make a directory";
        wire::put_bytes(&mut message, path.as_bytes()).map_err(|e| self.failed(doing, e))?;
        let asked = self.ask(doing, DIRECTORY, &[], &message, false, None)?;
        let answer = asked.answer.map(drop);
        answer.map_err(|refusal| self.refused(b"", refusal))
    }

    fn spawn(&self, call: &Call, streams: [Stdio; 3]) -> Result<Child, LaunchError> {
        spawn::spawn(self, call, streams)
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
