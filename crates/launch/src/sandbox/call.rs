//! What is run, and how it went.

use prebake_apk::path::GuestPath;

use crate::status::Status;

/// A program to be run in a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Its path inside, absolute or from the root on. apk 2.14.4 calls its scripts by the latter
    /// (`lib/apk/exec/NAME-VERSION.post-install`), which is what they see as `$0`.
    pub program: Vec<u8>,
    /// Its arguments, with the name that it is called by (`argv[0]`) first.
    pub arguments: Vec<Vec<u8>>,
    /// All of its environment, in this order.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The host's name as it sees it; at most 64 bytes, `localhost` if empty.
    pub hostname: Vec<u8>,
    /// A file that is there during the run only.
    pub script: Option<Script>,
}

/// A file with mode 0755 that is there while a program runs: apk runs its scripts from
/// `lib/apk/exec`. Directories that it needs and that are not there come and go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Where it is. Nothing may be there yet.
    pub path: GuestPath,
    /// What is in it.
    pub content: Vec<u8>,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// How the program ended.
    pub status: Status,
    /// What it and its children wrote to standard output and error, together, in order.
    pub output: Vec<u8>,
    /// Whether there was more output than the limit, of which the rest is lost.
    pub truncated: bool,
    /// What it was not given, whether it minded or not; sorted, each once.
    pub refused: Vec<Refused>,
}

impl Finished {
    /// Says whether the program ended by itself and with 0.
    pub fn succeeded(&self) -> bool {
        self.status == Status::Exited(0)
    }
}

/// What a program tried and was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// The network: it sent to an address where nothing is. None but its own can be reached.
    Network,
    /// More file space or more files than the limits allow.
    Disk,
    /// To go on after the program that was run: it left processes behind, which were killed.
    Background,
}
