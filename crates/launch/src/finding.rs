//! What a host can do, found out by looking: what `prebake doctor` shows.

use std::fmt;

/// A way to run an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Linux namespaces, by this crate itself.
    Namespaces,
    /// The Windows Subsystem for Linux, by `wsl.exe`.
    Wsl,
    /// A virtual machine under QEMU: not written yet.
    Qemu,
    /// A virtual machine under macOS's Virtualization.framework: not written yet.
    Virtualization,
}

impl Backend {
    /// Every backend, the one that is taken first first.
    pub const ALL: [Self; 4] = [
        Self::Namespaces,
        Self::Wsl,
        Self::Virtualization,
        Self::Qemu,
    ];

    /// Returns the name that it has on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Wsl => "wsl",
            Self::Qemu => "qemu",
            Self::Virtualization => "virtualization",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found out about one backend on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The backend.
    pub backend: Backend,
    /// What it takes, and whether that is here, in the order in which it was looked at. A backend
    /// is usable if none is [`State::Missing`].
    pub checks: Vec<Check>,
}

impl Finding {
    /// Says whether the backend can be used.
    pub fn is_usable(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.state != State::Missing)
    }
}

/// One thing that a backend takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is, in two or three words: `user namespaces`.
    pub what: &'static str,
    /// Whether it is here.
    pub state: State,
    /// What was seen, for people.
    pub seen: String,
    /// What to do about it: a command, where there is one.
    pub mend: Option<String>,
}

/// Whether a thing is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is.
    Good,
    /// It is not, and something else is done in its place, which is worse.
    Lacking,
    /// It is not, and nothing goes without it.
    Missing,
}
