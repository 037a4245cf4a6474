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

mod call;
mod error;
mod found;
mod limits;
mod machine;

use std::io::{self, Write};

use prebake_apk::path::GuestPath;

pub use self::call::{Call, Finished, Refused, Script, Status};
pub use self::error::{NotRun, SandboxError, Unavailable};
pub use self::found::{Found, Kind, Node, Stamp};
pub use self::limits::Limits;
pub use self::machine::Machine;

/// A root filesystem on a `tmpfs` of its own, and the process that holds it.
///
/// It begins empty. Dropping it kills and reaps every process in it and frees its memory.
#[derive(Debug)]
pub struct Sandbox {}

/// Whose files a [`Sandbox`] can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owners {
    /// Those of all users: the caller is root, or `newuidmap` and `/etc/subuid` gave it ids.
    All,
    /// Root's only: what belongs to others is held as if it were root's and reported as theirs
    /// for as long as no script touches it ([`SandboxError::OwnerUnknown`]), and a script's own
    /// `chown` fails. The package `uidmap` (or `shadow-uidmap`, `shadow-utils`) mends it.
    Root,
}

impl Sandbox {
    /// Starts an empty root filesystem for programs of `machine`, bounded by `limits`.
    ///
    /// Takes the machine whose programs will be run; where that is not the host's, an emulator
    /// (`qemu-user`) must be registered with the kernel or found in `PATH`.
    pub fn start(_limits: &Limits, _machine: Machine) -> Result<Self, SandboxError> {
        Err(Unavailable::NotLinux.into())
    }

    /// Says whose files it can hold.
    pub fn owners(&self) -> Owners {
        Owners::All
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
        _gone: &[GuestPath],
        _archive: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), SandboxError> {
        Err(Unavailable::NotLinux.into())
    }

    /// Runs a program inside, as its root, in `/`, and returns how it ended and what it wrote.
    ///
    /// `/proc` (read-only), `/dev` (of its own, gone afterwards) and `/dev/shm` are there if the
    /// tree has directories for them; the network is a loopback device that is down. A program
    /// that ends by an error or a signal is no error of this call. Processes that it leaves are
    /// given [`GRACE`](Limits::GRACE) and then killed.
    ///
    /// After an error that is about the program ([`SandboxError::TimedOut`],
    /// [`TooManyProcesses`](SandboxError::TooManyProcesses),
    /// [`OutOfMemory`](SandboxError::OutOfMemory), [`NotRun`](SandboxError::NotRun)) the sandbox
    /// can be used further, with whatever the program did until then.
    pub fn run(&mut self, _call: &Call) -> Result<Finished, SandboxError> {
        Err(Unavailable::NotLinux.into())
    }

    /// Returns what is different from what [`update`](Self::update) put there, or from the last
    /// call of this: sorted by path, a directory before what is in it.
    ///
    /// A file whose inode was touched is told even if its content is the same again, and so are
    /// all its names: the caller compares. A directory is told if its mode, owner, time or
    /// attributes differ, and not for being another one with the same.
    pub fn changes(&mut self) -> Result<Vec<Found>, SandboxError> {
        Err(Unavailable::NotLinux.into())
    }
}
