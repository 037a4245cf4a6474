//! Why a sandbox could not be had, or did not do what it was asked to.

use std::io;
use std::time::Duration;

use prebake_apk::path::GuestPath;

/// Why a [`Sandbox`](super::Sandbox) did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// This machine has none for us.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The program did not end in time and was killed with all its children.
    #[error("still running after {} seconds", limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// What it had written, within the limit of output.
        output: Vec<u8>,
    },
    /// The program had more processes at once than the limit and was killed with all of them.
    #[error("more than {limit} processes at once")]
    TooManyProcesses {
        /// The limit.
        limit: u32,
        /// What it had written, within the limit of output.
        output: Vec<u8>,
    },
    /// The program and its children used more memory than the limit and were killed.
    #[error("more than {limit} bytes of memory")]
    OutOfMemory {
        /// The limit, in bytes.
        limit: u64,
        /// What it had written, within the limit of output.
        output: Vec<u8>,
    },
    /// The program never began.
    #[error("{program} cannot be run")]
    NotRun {
        /// Its path inside.
        program: String,
        /// Why.
        #[source]
        why: NotRun,
    },
    /// The name that the script should have is taken, or not in a directory.
    #[error("cannot put the script at {path}")]
    Script {
        /// Where it should be.
        path: GuestPath,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The archive to unpack could not be written.
    #[error("cannot hand over the tree")]
    Archive(#[source] io::Error),
    /// The archive to unpack is not one.
    #[error("cannot unpack the tree: {0}")]
    NotAnArchive(String),
    /// One name could not be unpacked or taken away.
    #[error("cannot {doing} {path}")]
    Unpack {
        /// What was to be done.
        doing: String,
        /// With which name.
        path: GuestPath,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The tree does not fit.
    #[error("the tree needs more than {bytes} bytes or {files} files, the sandbox's limits")]
    TreeTooLarge {
        /// The limit of bytes.
        bytes: u64,
        /// The limit of files.
        files: u64,
    },
    /// A script changed a file, or put another in its place, of which only the sandbox's own
    /// record says who owns it (see [`Owners::Root`](super::Owners::Root)), that it is a device,
    /// or that it has an attribute that is not for a user namespace to set.
    #[error(
        "cannot tell what {path} would be after this change: its owner is not among this user's \
         ids (install `uidmap` with ranges in /etc/subuid and /etc/subgid, or run as root), or it \
         is a device"
    )]
    OwnerUnknown {
        /// The file.
        path: GuestPath,
    },
    /// A name was found that no archive of Alpine's can hold: a control character, or too long.
    #[error("a file has the name \"{}\", which cannot be kept: {why}", name.escape_ascii())]
    Name {
        /// The name, from the root on.
        name: Vec<u8>,
        /// Why not.
        why: String,
    },
    /// What changed is more than can be held.
    #[error("more than {limit} bytes were changed")]
    TooMuchChanged {
        /// [`Limits::CHANGES`](super::Limits::CHANGES).
        limit: u64,
    },
    /// The kernel did not do what it does elsewhere.
    #[error("the sandbox cannot {doing}")]
    Kernel {
        /// What was to be done.
        doing: String,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The agent ended or does not answer; it is killed, and the sandbox of no further use.
    #[error("the sandbox was lost while it should {doing}")]
    Lost {
        /// What it was to do.
        doing: String,
        /// What happened to the connection.
        #[source]
        source: io::Error,
    },
}

/// Why a program never began.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRun {
    /// There is no such file.
    #[error("it is not there")]
    Missing,
    /// It is there, but what its first line names, or its dynamic loader, is not.
    #[error("its interpreter{} is not there", named(.0.as_ref()))]
    NoInterpreter(Option<String>),
    /// The kernel knows no way to run it: a script with no `#!`, or a program of another machine.
    #[error("it is no program for this machine, nor a script that names its interpreter")]
    Format,
    /// The kernel says something else.
    #[error("the kernel refuses")]
    Other(#[source] io::Error),
}

fn named(interpreter: Option<&String>) -> String {
    interpreter.map_or_else(String::new, |name| format!(" {name}"))
}

/// Why this machine has no sandbox for us.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// Only Linux has namespaces.
    #[error("scripts can only be run on Linux")]
    NotLinux,
    /// The kernel, or what confines this process, does not let it have a user namespace.
    #[error(
        "this machine does not let {} make namespaces (cannot {doing}); see \
         user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns, or the \
         container's seccomp profile",
        if *root { "root" } else { "an ordinary user" }
    )]
    Namespaces {
        /// What was to be done.
        doing: String,
        /// Whether this process is root's.
        root: bool,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The programs are another machine's, and there is nothing to run them by.
    #[error(
        "no emulator for {arch} programs: install `qemu-user-static` (or `qemu-user`), so that \
         qemu-{arch} is in PATH or registered with binfmt_misc"
    )]
    NoEmulator {
        /// The machine, as qemu calls it.
        arch: &'static str,
    },
    /// There is an emulator, and no way to have the kernel use it.
    #[error(
        "{emulator} cannot be used without Linux 6.7 or a registration with binfmt_misc (flag F), \
         which root gives"
    )]
    NoRegistration {
        /// Its path.
        emulator: String,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}
