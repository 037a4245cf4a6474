//! Why a script's effect is not known.

use prebake_apk::path::GuestPath;
use prebake_image::ImageError;
use prebake_launch::sandbox::{NotRun, Refused, Sandbox, SandboxError};

/// Why a script's effect is not known, or cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The record has no run of it.
    #[error("there is no record of what it changes here")]
    NotRecorded,
    /// It has to be run, and cannot be here.
    #[error("it has to be run once to be recorded, and that is not possible here")]
    Sandbox(#[source] SandboxError),
    /// It has to be run, and this user has not the ids that files belong to.
    #[error(
        "it has to be run once to be recorded, and this user has no ids for the owners of files{}",
        named(path.as_ref())
    )]
    NoOwners {
        /// A file of somebody else's in the tree that it would be run in.
        path: Option<GuestPath>,
    },
    /// It has to be run, and the tree has a file of somebody whom no sandbox has.
    #[error(
        "it has to be run once to be recorded, and {path} belongs to {uid}:{gid}: scripts are \
         run where ids are less than {}",
        Sandbox::IDS
    )]
    Stranger {
        /// The file.
        path: GuestPath,
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// Nothing is known of programs for the architecture.
    #[error("nothing here runs programs for this architecture")]
    UnknownMachine,
    /// It never began, was stopped, or took the sandbox with it.
    #[error("{}", how(.0))]
    Stopped(#[source] SandboxError),
    /// What it left cannot be told.
    #[error("what it left cannot be recorded")]
    Untold(#[source] SandboxError),
    /// The tree cannot be brought into the sandbox.
    #[error("failed to bring the tree into the sandbox")]
    Tree(#[source] ImageError),
    /// It failed.
    #[error("it failed with {status}{}{}", tried(refused), said(output))]
    Failed {
        /// How it ended, in words.
        status: String,
        /// What it tried and was not given.
        refused: Vec<Refused>,
        /// What it wrote, as far as that was kept.
        output: String,
    },
    /// It ended well, but tried what no script may.
    #[error("it is not let do what it did{}{}", tried(refused), said(output))]
    Refused {
        /// What it tried and was not given.
        refused: Vec<Refused>,
        /// What it wrote, as far as that was kept.
        output: String,
    },
    /// It did what a record must not hold.
    #[error("what it did cannot be recorded")]
    Unrecordable(#[from] Unrecordable),
    /// It did something else when it was run again.
    #[error("it does not do the same twice: {path} differs")]
    Differs {
        /// The first name that differs.
        path: GuestPath,
    },
}

/// What a record must not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unrecordable {
    /// A secret or an id that must be different on every machine.
    #[error("{path} is {what}: everybody who gets the rootfs would have the same")]
    Own {
        /// The file.
        path: GuestPath,
        /// What it is.
        what: &'static str,
    },
    /// It left more than a record is for.
    #[error(
        "it made more than {} bytes of files, {path} among them",
        super::observe::MAX_MADE_BYTES
    )]
    TooMuch {
        /// The file that was too much.
        path: GuestPath,
    },
    /// A socket, which no archive can hold.
    #[error("{path} is a socket, which no archive can hold")]
    Socket {
        /// Where.
        path: GuestPath,
    },
    /// A text that a record has no words for.
    #[error("{path}: {what} is not UTF-8, which a record cannot hold")]
    NotUtf8 {
        /// The name that changed.
        path: GuestPath,
        /// What of it.
        what: &'static str,
    },
}

impl ScriptError {
    /// Returns what a person can do about it, in order of promise.
    pub(crate) fn hints(&self) -> Vec<String> {
        const SKIP: &str = "without its effect: `[[script]]` in the recipe with `package` and \
                            `skip = true`, or `scripts = \"skip\"` for all";
        let first = match self {
            Self::NotRecorded => "run `prebake lock` on Linux, and commit what it writes",
            Self::Sandbox(SandboxError::Unavailable(_)) => {
                "run `prebake lock` on Linux once and commit what it writes: every other host \
                 takes the record"
            }
            Self::NoOwners { .. } => {
                "install `uidmap` (`shadow-uidmap`, `shadow-utils`), with a range of 65535 ids or \
                 more for this user in /etc/subuid and in /etc/subgid; or run `prebake lock` as root"
            }
            Self::Stranger { .. } => "give it another owner where it comes from",
            Self::Unrecordable(Unrecordable::Own { .. }) | Self::Differs { .. } => {
                "let it be made when the rootfs first starts, and not before"
            }
            Self::Failed { refused, .. } | Self::Refused { refused, .. }
                if refused.contains(&Refused::Network) =>
            {
                "what a script fetches is something else tomorrow: bring it by a package or a \
                 `[[file]]` of the recipe"
            }
            Self::Stopped(SandboxError::NotRun {
                why: NotRun::NoInterpreter(_),
                ..
            }) => {
                "the package should depend on the one that brings it: tell whoever keeps it; what \
                 was done so far was thrown away"
            }
            _ => "tell whoever keeps the package; what it did was thrown away",
        };
        vec![first.to_owned(), SKIP.to_owned()]
    }
}

/// Returns how far a script came, and what it wrote until then.
fn how(error: &SandboxError) -> String {
    match error {
        SandboxError::NotRun { .. } | SandboxError::Script { .. } => "it did not begin".to_owned(),
        SandboxError::TimedOut { output, .. }
        | SandboxError::TooManyProcesses { output, .. }
        | SandboxError::OutOfMemory { output, .. } => {
            let output = String::from_utf8_lossy(output);
            format!("it did not run to its end{}", said(&output))
        }
        _ => "it did not run to its end".to_owned(),
    }
}

/// Returns a file whose owner is at stake, where one is known, to stand behind a message.
fn named(path: Option<&GuestPath>) -> String {
    path.map_or_else(String::new, |path| format!(", such as that of {path}"))
}

/// Returns what a script tried and was not given, to stand behind a message.
fn tried(refused: &[Refused]) -> String {
    let mut text = String::new();
    for refused in refused {
        text.push_str(match refused {
            Refused::Network => ": it tried to use the network, and there is none",
            Refused::Disk => ": it filled all the room that the sandbox has",
            Refused::Background => ": it left programs running, which were killed",
            _ => ": it tried more than the sandbox gives",
        });
    }
    text
}

/// Returns the last of what a script wrote, to stand behind a message.
fn said(output: &str) -> String {
    const LINES: usize = 12;
    const WIDTH: usize = 300;
    let lines: Vec<_> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.len().saturating_sub(LINES);
    let last = lines.get(first..).unwrap_or_default();
    if last.is_empty() {
        return "; it wrote nothing".to_owned();
    }
    let mut text = String::from("; it wrote:");
    if first > 0 {
        text.push_str("\n  ...");
    }
    for line in last {
        text.push_str("\n  ");
        // What it wrote is shown on somebody's terminal, and is not to steer that.
        let tame = |char: char| if char.is_control() { '\u{fffd}' } else { char };
        text.extend(line.trim_end().chars().take(WIDTH).map(tame));
    }
    text
}
