//! Why an instance was not imported, or its program not run.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use prebake_apk::digest::Sha256;
use prebake_apk::path::PathError;

use crate::finding::{Backend, Finding, State};
use crate::name::{Name, NameError};
use crate::sandbox::NotRun;

/// Why an instance was not imported, or its program not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// This host has no way to run an instance.
    #[error("this host has no way to run an instance: {}", reasons(.0))]
    NoBackend(Vec<Finding>),
    /// What was asked for is not this backend's, or not this host's.
    #[error("{what} cannot be had with {backend} here: {why}")]
    Unsupported {
        /// The backend.
        backend: Backend,
        /// What was asked for.
        what: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is an instance of that name.
    #[error(
        "there is an instance {name} already; remove it (`prebake rm {name}`) or take another name"
    )]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// There is no instance of that name.
    #[error("there is no instance {name}; `prebake ps` lists those that are there")]
    NotThere {
        /// The name.
        name: Name,
    },
    /// Another process has the instance.
    #[error("the instance {name} is in use by {}", holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")))]
    InUse {
        /// The name.
        name: Name,
        /// The process that has it, where it says so.
        holder: Option<u32>,
    },
    /// The bytes are not those of the rootfs that they are said to be.
    #[error(
        "the rootfs {name} is damaged: its identity is {found}, and not {expected}; bake it again"
    )]
    WrongIdentity {
        /// The rootfs' name.
        name: String,
        /// What it should be.
        expected: Sha256,
        /// What it is.
        found: Sha256,
    },
    /// The programs of the rootfs are another machine's.
    #[error("the rootfs {name} is for {arch}, and this host is not: {why}")]
    WrongMachine {
        /// The rootfs' name.
        name: String,
        /// Its architecture.
        arch: String,
        /// What would help.
        why: String,
    },
    /// The rootfs could not be read or unpacked.
    #[error("cannot unpack the rootfs {name}")]
    Unpack {
        /// The rootfs' name.
        name: String,
        /// What happened, naming the file or the entry.
        #[source]
        source: io::Error,
    },
    /// A path in the guest cannot be one.
    #[error("{} cannot be a path in an instance", .path.escape_ascii())]
    GuestPath {
        /// What was given.
        path: Vec<u8>,
        /// Why not.
        #[source]
        source: PathError,
    },
    /// Something in the guest could not be made or changed.
    #[error("cannot {doing} {} in {name}", .path.escape_ascii())]
    InGuest {
        /// The instance.
        name: Name,
        /// What was to be done: `make the directory`.
        doing: String,
        /// With what, by its path in the guest.
        path: Vec<u8>,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The program never began.
    #[error("{program} cannot be run in {name}")]
    NotRun {
        /// The instance.
        name: Name,
        /// The program, as it was asked for.
        program: String,
        /// Why.
        #[source]
        why: NotRun,
    },
    /// The program did not end in its time, and was killed.
    #[error("{program} was still running after {} s and was killed", limit.as_secs_f32())]
    TimedOut {
        /// The program, as it was asked for.
        program: String,
        /// Its time.
        limit: Duration,
    },
    /// Something on the host could not be done.
    #[error("cannot {doing}")]
    Host {
        /// What was to be done, and with what.
        doing: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file or folder on the host could not be had.
    #[error("cannot {doing} {}", path.display())]
    HostPath {
        /// What was to be done.
        doing: String,
        /// With what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The processes of an instance ended while something was to be done in it.
    #[error("the instance {name} ended while it should {doing}")]
    Lost {
        /// The instance.
        name: Name,
        /// What it was to do.
        doing: String,
        /// What happened to the connection.
        #[source]
        source: io::Error,
    },
}

/// Says for each backend what it lacks.
fn reasons(findings: &[Finding]) -> String {
    let of = |finding: &Finding| {
        let missing = finding
            .checks
            .iter()
            .filter(|check| check.state == State::Missing);
        let missing: Vec<_> = missing
            .map(|check| match &check.mend {
                Some(mend) => format!("{} ({mend})", check.seen),
                None => check.seen.clone(),
            })
            .collect();
        format!("{}: {}", finding.backend, missing.join(", "))
    };
    findings.iter().map(of).collect::<Vec<_>>().join("; ")
}
