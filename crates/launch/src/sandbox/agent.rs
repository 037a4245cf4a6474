//! The process that holds a sandbox: a copy of the caller's, alone in namespaces of its own.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::process::{setsid, umask};
use rustix::thread::{Gid, Uid, UnshareFlags, set_thread_res_gid, set_thread_res_uid};

use super::census::{self, Census};
use super::compare::compare;
use super::error::SandboxError;
use super::failures;
use super::found::{Found, Stamp};
use super::intended::Intentions;
use super::messages::{self, Joined};
use super::perform;
use super::unpack::Unpack;
use super::{Limits, Machine};
use crate::linux::stage::{self, Failure};
use crate::linux::{descriptors, emulator, wire};

/// Where a user namespace's own limit of namespaces within it is.
const NAMESPACES_WITHIN: &str = "/proc/sys/user/max_user_namespaces";

/// What the holder of a sandbox works with.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) limits: Limits,
    pub(super) machine: Machine,
    pub(super) root: OwnedFd,
    pub(super) socket: OwnedFd,
    intentions: Intentions,
    /// What was in the tree when nothing had been run since.
    before: Option<Census>,
}

/// Begins: becomes the first process of new namespaces, and serves until the other end closes.
///
/// `emulator` is what programs of `machine` are run by, where the host does not.
pub(super) fn main(
    socket: UnixStream,
    limits: &Limits,
    machine: Machine,
    emulator: Option<PathBuf>,
) -> i32 {
    descriptors::close_all_but(&[socket.as_fd()]);
    match begin(&socket, limits, machine, emulator) {
        Ok(agent) => i32::from(agent.serve(socket).is_err()),
        Err(Begin::Failed(doing, error)) => {
            let mut out = BufWriter::new(&socket);
            let _ = wire::put_number(&mut out, 1)
                .and_then(|()| wire::put_bytes(&mut out, doing.as_bytes()))
                .and_then(|()| wire::put_io_error(&mut out, &error))
                .and_then(|()| out.flush());
            1
        }
        Err(Begin::Alone) => 1,
    }
}

/// Why an agent did not begin.
enum Begin {
    Failed(&'static str, io::Error),
    /// There is nobody to tell.
    Alone,
}

impl From<Failure> for Begin {
    fn from((doing, error): Failure) -> Self {
        Self::Failed(doing, error)
    }
}

impl From<io::Error> for Begin {
    fn from(_: io::Error) -> Self {
        Self::Alone
    }
}

#[expect(unsafe_code, reason = "unshare")]
fn begin(
    mut socket: &UnixStream,
    limits: &Limits,
    machine: Machine,
    emulator: Option<PathBuf>,
) -> Result<Agent, Begin> {
    let fail = |doing| move |error: rustix::io::Errno| Begin::Failed(doing, error.into());
    descriptors::silence().map_err(|error| Begin::Failed("open /dev/null", error))?;
    let _ = rustix::thread::set_name(c"prebake-sandbox");
    // A terminal's signals are for the caller, whose end is this one's.
    setsid().map_err(fail("begin a session"))?;
    umask(Mode::empty());
    // SAFETY: none of these flags takes from this process what it shares with another: it shares
    // nothing but descriptors' positions with the one that it was forked from.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .map_err(fail("unshare"))?;
    wire::put_number(&mut socket, 0)?;
    // The other end gives the ids now.
    wire::number(&mut socket)?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(fail("become the group root"))?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(fail("become root"))?;
    // Refused where the user has one id only; the groups are without force here then.
    let _ = rustix::thread::set_thread_groups(&[]);
    descriptors::leave_keyring();
    // Whoever could make a user namespace in this one would be its root, with every right that
    // is taken away here. Where `/proc/sys` is not to be written to, the rights are still few.
    if let Ok(mut file) = std::fs::OpenOptions::new()
        .write(true)
        .open(NAMESPACES_WITHIN)
    {
        let _ = file.write_all(b"0");
    }
    stage::enter(limits.disk, limits.files, |at| match &emulator {
        Some(path) => emulator::register(machine, path, at),
        None => Ok(()),
    })?;
    let agent = Agent {
        limits: limits.clone(),
        machine,
        root: stage::open_tree_root()?,
        socket: OwnedFd::from(socket.try_clone()?),
        intentions: Intentions::default(),
        before: None,
    };
    wire::put_number(&mut socket, 0)?;
    Ok(agent)
}

impl Agent {
    /// Does what is asked for until nobody asks any more.
    fn serve(mut self, socket: UnixStream) -> io::Result<()> {
        let mut input = BufReader::new(socket.try_clone()?);
        let mut output = BufWriter::new(socket);
        loop {
            match wire::number(&mut input)? {
                messages::UPDATE => {
                    let result = self.update(&mut input)?;
                    answer(&mut output, result, |_, ()| Ok(()))?;
                }
                messages::RUN => {
                    let call = messages::call(&mut input)?;
                    let result = self.look().and_then(|()| perform::perform(&self, &call));
                    answer(&mut output, result, |out, finished| {
                        messages::put_finished(out, &finished)
                    })?;
                }
                messages::CHANGES => {
                    match self.changes(&mut output) {
                        Ok(()) => wire::put_number(&mut output, 0)?,
                        Err(error) => {
                            wire::put_number(&mut output, 2)?;
                            failures::put_error(&mut output, &error)?;
                        }
                    }
                    output.flush()?;
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Reads the rest of the message, and does what it says. The outer error is the connection's.
    fn update(&mut self, input: &mut impl Read) -> io::Result<Result<(), SandboxError>> {
        let gone = (0..messages::count(input)?)
            .map(|_| messages::path(input))
            .collect::<io::Result<Vec<_>>>()?;
        let mut archive = Joined::new(input);
        let mut unpack = Unpack::new(
            self.root.as_fd(),
            &mut self.intentions,
            self.limits.disk,
            self.limits.files,
        );
        self.before = None;
        let removed = gone.iter().try_for_each(|path| unpack.remove(path));
        let mut result = removed.and_then(|()| unpack.archive(&mut archive));
        if result.is_ok() {
            result = unpack.finish();
        }
        archive.drain()?;
        Ok(result)
    }

    /// Looks at the tree, if that was not done since it was last changed, and waits until the
    /// file system's clock has gone on, so that whatever happens now has a later time.
    fn look(&mut self) -> Result<(), SandboxError> {
        if self.before.is_none() {
            let census = census::take(self.root.as_fd())?;
            self.intentions.keep_only(&census);
            self.before = Some(census);
        }
        let facts = self.before.iter().flat_map(Census::values);
        let Some(last) = facts.map(|fact| fact.ctime).max() else {
            return Ok(());
        };
        loop {
            let (seconds, nanoseconds) = stage::clock().map_err(|source| SandboxError::Kernel {
                doing: "read the file system's clock".to_owned(),
                source,
            })?;
            let now = Stamp {
                seconds,
                nanoseconds: nanoseconds as u32,
            };
            if now > last {
                return Ok(());
            }
            std::thread::sleep(TICK);
        }
    }

    fn changes(&mut self, out: &mut impl Write) -> Result<(), SandboxError> {
        let Some(before) = &self.before else {
            // Nothing was run since the last update.
            return Ok(());
        };
        let now = census::take(self.root.as_fd())?;
        self.intentions.check(before, &now)?;
        let mut tell = |found: Found| {
            messages::put_found(out, &found).map_err(|source| SandboxError::Lost {
                doing: "tell what was changed".to_owned(),
                source,
            })
        };
        compare(self.root.as_fd(), before, &now, &self.intentions, &mut tell)?;
        self.before = Some(now);
        Ok(())
    }
}

/// How long to wait between two looks at the clock: it may go on every 10 ms only.
const TICK: std::time::Duration = std::time::Duration::from_millis(1);

/// Sends a result: 0 and what it is, or 2 and the error.
fn answer<T>(
    out: &mut impl Write,
    result: Result<T, SandboxError>,
    put: impl FnOnce(&mut dyn Write, T) -> io::Result<()>,
) -> io::Result<()> {
    match result {
        Ok(value) => {
            wire::put_number(out, 0)?;
            put(out, value)?;
        }
        Err(error) => {
            wire::put_number(out, 2)?;
            failures::put_error(out, &error)?;
        }
    }
    out.flush()
}
