//! A program to be run in an instance.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::child::{Child, Output};
use crate::driver::Driven;
use crate::launch_error::LaunchError;
use crate::status::Status;

/// A program to be run in an instance, in the way of [`std::process::Command`].
///
/// It sees nothing of the host's environment. Unless told otherwise it runs as root of the
/// instance, in `/`, with `PATH`, `HOME`, `USER`, `LOGNAME` and `SHELL` of that user, without a
/// network, and with this process's standard streams ([`Command::output`]: pipes).
#[derive(Debug)]
pub struct Command {
    instance: Arc<dyn Driven>,
    call: Call,
}

/// What is asked of a backend, all at once.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) program: Vec<u8>,
    pub(crate) arguments: Vec<Vec<u8>>,
    /// Set (`Some`) and taken away (`None`), in this order, on top of the user's own.
    pub(crate) environment: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether not even the user's own variables are there.
    pub(crate) bare: bool,
    pub(crate) folder: Option<Vec<u8>>,
    pub(crate) user: Option<String>,
    pub(crate) input: Option<Stdio>,
    pub(crate) output: Option<Stdio>,
    pub(crate) errors: Option<Stdio>,
    pub(crate) shares: Vec<Share>,
    pub(crate) memory: Option<u64>,
    pub(crate) cpus: Option<f64>,
    pub(crate) processes: Option<u32>,
    pub(crate) network: Network,
    pub(crate) time: Option<Duration>,
    pub(crate) interactive: bool,
}

/// Where a standard stream of a program goes to or comes from.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stdio {
    /// This process's own.
    Inherit,
    /// Nothing: empty to read, and swallowed.
    Null,
    /// A pipe, whose other end is in the [`Child`].
    Piped,
    /// A file of the host.
    File(File),
}

/// What a program sees of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// A loopback device that is shared within the instance, and nothing else: no packet leaves.
    #[default]
    None,
    /// The host's.
    Host,
}

/// A folder or file of the host that a program sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) host: PathBuf,
    pub(crate) guest: Vec<u8>,
    pub(crate) access: Access,
}

/// What a program may do with a shared folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read it.
    ReadOnly,
    /// Read it and write to it.
    ReadWrite,
}

impl Command {
    pub(crate) fn new(instance: Arc<dyn Driven>, program: &[u8]) -> Self {
        Self {
            instance,
            call: Call {
                program: program.to_vec(),
                ..Call::default()
            },
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<[u8]>) -> &mut Self {
        self.call.arguments.push(argument.as_ref().to_vec());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<[u8]>>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        let value = Some(value.as_ref().to_vec());
        self.call.environment.push((name.as_ref().to_vec(), value));
        self
    }

    /// Takes an environment variable away.
    pub fn env_remove(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        self.call.environment.push((name.as_ref().to_vec(), None));
        self
    }

    /// Takes all environment variables away, those of the user too.
    pub fn env_clear(&mut self) -> &mut Self {
        self.call.environment.clear();
        self.call.bare = true;
        self
    }

    /// Sets the working folder, by its absolute path in the instance.
    pub fn current_dir(&mut self, folder: impl AsRef<[u8]>) -> &mut Self {
        self.call.folder = Some(folder.as_ref().to_vec());
        self
    }

    /// Sets the user: a name of the instance's `/etc/passwd`, or `UID` or `UID:GID` in numbers.
    pub fn user(&mut self, user: impl Into<String>) -> &mut Self {
        self.call.user = Some(user.into());
        self
    }

    /// Sets where standard input comes from.
    pub fn stdin(&mut self, stdio: Stdio) -> &mut Self {
        self.call.input = Some(stdio);
        self
    }

    /// Sets where standard output goes to.
    pub fn stdout(&mut self, stdio: Stdio) -> &mut Self {
        self.call.output = Some(stdio);
        self
    }

    /// Sets where standard error goes to.
    pub fn stderr(&mut self, stdio: Stdio) -> &mut Self {
        self.call.errors = Some(stdio);
        self
    }

    /// Gives the program this process's terminal as its own, with its size and its changes of
    /// size, as `ssh -t` does. Takes the three standard streams, which must be the terminal.
    pub fn interactive(&mut self) -> &mut Self {
        self.call.interactive = true;
        self
    }

    /// Shows the program a folder or file of the host at a path of the instance, which is made if
    /// it is not there.
    pub fn share(
        &mut self,
        host: impl Into<PathBuf>,
        guest: impl AsRef<[u8]>,
        access: Access,
    ) -> &mut Self {
        self.call.shares.push(Share {
            host: host.into(),
            guest: guest.as_ref().to_vec(),
            access,
        });
        self
    }

    /// Bounds the memory of the program and all that it starts, in bytes.
    pub fn memory(&mut self, bytes: u64) -> &mut Self {
        self.call.memory = Some(bytes);
        self
    }

    /// Bounds the time of processors that the program and all that it starts get, in processors:
    /// `1.5` is one and a half.
    pub fn cpus(&mut self, processors: f64) -> &mut Self {
        self.call.cpus = Some(processors);
        self
    }

    /// Bounds how many processes and threads there are at once. Unless told otherwise it is
    /// [`Command::PROCESSES`].
    pub fn processes(&mut self, most: u32) -> &mut Self {
        self.call.processes = Some(most);
        self
    }

    /// How many processes and threads a program may have at once, unless told otherwise: enough
    /// for any build, and a fork bomb's end.
    pub const PROCESSES: u32 = 4096;

    /// Sets what the program sees of the network.
    pub fn network(&mut self, network: Network) -> &mut Self {
        self.call.network = network;
        self
    }

    /// Kills the program and what it started after this time: [`LaunchError::TimedOut`].
    pub fn time_limit(&mut self, limit: Duration) -> &mut Self {
        self.call.time = Some(limit);
        self
    }

    /// Starts the program. Its standard streams are this process's unless set.
    pub fn spawn(&mut self) -> Result<Child, LaunchError> {
        self.spawn_with(|| Stdio::Inherit, || Stdio::Inherit)
    }

    /// Runs the program to its end. Its standard streams are this process's unless set.
    pub fn status(&mut self) -> Result<Status, LaunchError> {
        self.spawn()?.wait()
    }

    /// Runs the program to its end and collects what it wrote. Its standard input is empty unless
    /// set. No more than [`Output::MOST`] bytes are kept of each stream.
    pub fn output(&mut self) -> Result<Output, LaunchError> {
        self.spawn_with(|| Stdio::Null, || Stdio::Piped)?
            .wait_with_output()
    }

    /// Starts the program with these streams where none are set. A stream that was set serves
    /// once: a second start has the default again.
    fn spawn_with(
        &mut self,
        input: impl Fn() -> Stdio,
        outputs: impl Fn() -> Stdio,
    ) -> Result<Child, LaunchError> {
        let input = self.call.input.take().unwrap_or_else(input);
        let output = self.call.output.take().unwrap_or_else(&outputs);
        let errors = self.call.errors.take().unwrap_or_else(outputs);
        self.instance.spawn(&self.call, [input, output, errors])
    }
}
