//! A root filesystem to run package scripts in: nothing of the host, and nothing left behind.
//!
//! [`Sandbox::start`] forks an agent into user and mount namespaces of its own, where a `tmpfs`
//! holds the root filesystem. [`Sandbox::update`] puts files there, [`Sandbox::run`] runs a
//! program in process, mount, network, IPC and host name namespaces that end with it, and
//! [`Sandbox::changes`] tells what that left. When the [`Sandbox`] is dropped, or the process that
//! holds it dies of whatever cause, the agent ends, and with its namespaces all that was in them.
//!
//! No right is needed that every user has not: see [`Owners`] for the one thing that goes better
//! with one.

#[cfg(target_os = "linux")]
mod agent;
mod call;
#[cfg(target_os = "linux")]
mod census;
#[cfg(target_os = "linux")]
mod compare;
mod error;
#[cfg(target_os = "linux")]
pub(crate) mod failures;
mod found;
#[cfg(target_os = "linux")]
pub(crate) mod intended;
mod limits;
mod machine;
#[cfg(target_os = "linux")]
mod messages;
#[cfg(not(target_os = "linux"))]
mod nowhere;
#[cfg(target_os = "linux")]
mod perform;
#[cfg(target_os = "linux")]
mod placed;
#[cfg(target_os = "linux")]
mod session;
mod stopper;
#[cfg(target_os = "linux")]
pub(crate) mod unpack;

use std::io::{self, Write};

use prebake_apk::path::GuestPath;

pub use self::call::{Call, Finished, Refused, Script};
pub use self::error::{NotRun, SandboxError, Unavailable};
pub use self::found::{Found, Kind, Node, Stamp};
pub use self::limits::Limits;
pub use self::machine::Machine;
#[cfg(not(target_os = "linux"))]
use self::nowhere::Session;
#[cfg(target_os = "linux")]
use self::session::Session;
pub use self::stopper::Stopper;
pub use crate::status::Status;

/// A root filesystem on a `tmpfs` of its own, and the process that holds it.
///
/// It begins empty. Dropping it kills and reaps every process in it and frees its memory.
#[derive(Debug)]
pub struct Sandbox(Session);

/// Whose files a [`Sandbox`] can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owners {
    /// Those of all users below [`Sandbox::IDS`]: the caller is root, or `newuidmap` and
    /// `/etc/subuid` gave it ids.
    All,
    /// Root's only: what belongs to others is held as if it were root's and reported as theirs
    /// for as long as no script touches it ([`SandboxError::OwnerUnknown`]), and a script's own
    /// `chown` fails. The package `uidmap` (or `shadow-uidmap`, `shadow-utils`) mends it.
    Root,
}

impl Sandbox {
    /// The ids of users and groups that are there inside are those below this, where
    /// [`Owners::All`] are. Alpine's `nobody` is 65534, and `/etc/subuid` gives 65536 by custom.
    pub const IDS: u32 = 1 << 16;

    /// Starts an empty root filesystem for programs of `machine`, bounded by `limits`.
    ///
    /// Takes the machine whose programs will be run; where that is not the host's, an emulator
    /// (`qemu-user`) must be registered with the kernel or found in `PATH`.
    pub fn start(limits: &Limits, machine: Machine) -> Result<Self, SandboxError> {
        Session::start(limits, machine).map(Self)
    }

    /// Says whose files it can hold.
    pub fn owners(&self) -> Owners {
        self.0.owners()
    }

    /// Returns what ends it from another thread.
    pub fn stopper(&self) -> Stopper {
        self.0.stopper()
    }

    /// Takes the names of `gone` away, directories with all that is in them, and then unpacks the
    /// tar archive that `archive` writes over what is there: owners, modes, times, links and
    /// extended attributes exactly. A name of `gone` that is not there is no error.
    ///
    /// What the archive names replaces what is there by that name, and a file is always a new
    /// one, so that no other name of the old one changes; a directory that is there stays, with
    /// new attributes. Each entry's directory must be there or come before it. The time of a
    /// directory that is not in the archive stays as it was, whatever happens in it.
    ///
    /// After an error the tree is in between, and the sandbox of no further use.
    pub fn update(
        &mut self,
        gone: &[GuestPath],
        archive: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), SandboxError> {
        self.0.update(gone, archive)
    }

    /// Runs a program inside, as its root, in `/`, and returns how it ended and what it wrote.
    ///
    /// `/proc` (read-only), `/dev` (of its own, gone afterwards) and `/dev/shm` are there if the
    /// tree has directories for them; the network is a loopback device
    /// of its own, with nobody else on it. A program
    /// that ends by an error or a signal is no error of this call. Processes that it leaves are
    /// given [`GRACE`](Limits::GRACE) and then killed.
    ///
    /// After an error that is about the program ([`SandboxError::TimedOut`],
    /// [`TooManyProcesses`](SandboxError::TooManyProcesses),
    /// [`OutOfMemory`](SandboxError::OutOfMemory), [`NotRun`](SandboxError::NotRun)) the sandbox
    /// can be used further, with whatever the program did until then.
    pub fn run(&mut self, call: &Call) -> Result<Finished, SandboxError> {
        self.0.run(call)
    }

    /// Returns what is different from what [`update`](Self::update) put there, or from the last
    /// call of this: sorted by path, a directory before what is in it.
    ///
    /// A file whose inode was touched is told even if its content is the same again, and so are
    /// all its names: the caller compares. A directory is told if its mode, owner, time or
    /// attributes differ, and not for being another one with the same.
    pub fn changes(&mut self) -> Result<Vec<Found>, SandboxError> {
        self.0.changes()
    }
}
