//! The program `wsl.exe`: found, called, and given up where it does not answer.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::text;
use crate::host::Settings;
use crate::launch_error::LaunchError;

/// How long a question may take: the first one after a start of Windows starts a service.
pub(super) const QUESTION: Duration = Duration::from_mins(1);

/// How long the start or the end of an instance may take: the first one starts the virtual
/// machine that all share, and that is a cold start of a kernel.
pub(super) const START: Duration = Duration::from_mins(3);

/// How long an import may take: it makes a disk and unpacks the rootfs to it.
pub(super) const IMPORT: Duration = Duration::from_mins(20);

/// How much of what `wsl.exe` says is kept, in bytes. A list of all distributions is far less.
const MOST: u64 = 1 << 20;

/// The program `wsl.exe`.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    patience: Option<Duration>,
}

/// What a call gave.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The exit code, if it ended by itself.
    pub(super) code: Option<i32>,
    /// What it said, on either stream: its errors are on standard output.
    pub(super) said: String,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl Program {
    /// Finds it. The error says where it was looked for.
    pub(super) fn find(settings: &Settings) -> Result<Self, String> {
        let found = |path: PathBuf| Self {
            path,
            patience: settings.wsl_patience,
        };
        if let Some(path) = &settings.wsl {
            if path.is_file() {
                return Ok(found(path.clone()));
            }
            return Err(format!("there is no {}", path.display()));
        }
        if !cfg!(windows) {
            return Err("this is not Windows".to_owned());
        }
        let root = std::env::var_os("SystemRoot").map(PathBuf::from);
        // A program of 32 bits sees another System32, which has no wsl.exe ("Troubleshooting
        // Windows Subsystem for Linux"); the true one is Sysnative to it.
        let folders = ["System32", "Sysnative"].into_iter();
        let system = folders.filter_map(|folder| Some(root.as_ref()?.join(folder)));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = system.chain(std::env::split_paths(&path));
        let mut places = places.map(|place| place.join("wsl.exe"));
        match places.find(|place| place.is_file()) {
            Some(path) => Ok(found(path)),
            None => Err("there is no wsl.exe in System32 or the PATH".to_owned()),
        }
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how long a call may take that is given so long.
    pub(super) fn limit(&self, limit: Duration) -> Duration {
        self.patience.unwrap_or(limit)
    }

    /// Begins a call.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env("WSL_UTF8", "1");
        // Names variables that the guest would get.
        command.env_remove("WSLENV");
        // It starts in the guest's path for the working folder, and complains where that has
        // none: a share of another machine, say. Its own folder is on a drive.
        if let Some(folder) = self.path.parent().filter(|folder| folder.is_absolute()) {
            command.current_dir(folder);
        }
        command
    }

    /// Calls it and waits for its end. What it is to do stands in the errors.
    pub(super) fn call(
        &self,
        doing: &str,
        arguments: &[&OsStr],
        limit: Duration,
    ) -> Result<Answer, LaunchError> {
        let failed = |source| LaunchError::Host {
            doing: doing.to_owned(),
            source,
        };
        let limit = self.limit(limit);
        let mut command = self.command();
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let until = Instant::now() + limit;
        let mut child = command.spawn().map_err(|error| failed(self.named(error)))?;
        let (said, complained) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let Some(status) = wait(&mut child, until).map_err(failed)? else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(self.timed_out(limit)));
        };
        // What it started may hold the pipes on.
        let rest = |stream: Receiver<Vec<u8>>| {
            let left = until.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_secs(1));
            text::decode(&stream.recv_timeout(left).unwrap_or_default())
        };
        let said = [rest(said), rest(complained)].concat();
        let code = status.code();
        Ok(Answer { code, said })
    }

    /// Puts the program's name into an error of its start.
    pub(super) fn named(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }

    fn timed_out(&self, limit: Duration) -> io::Error {
        let text = format!(
            "{} did not answer within {} s and was killed (to mend it: `wsl --shutdown`, which \
             ends every distribution)",
            self.path.display(),
            limit.as_secs_f32()
        );
        io::Error::new(io::ErrorKind::TimedOut, text)
    }
}

/// Reads a stream to its end on a thread of its own, so that neither fills up.
fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = (&mut stream).take(MOST).read_to_end(&mut bytes);
            let _ = io::copy(&mut stream, &mut io::sink());
        }
        let _ = send.send(bytes);
    });
    receive
}

/// Waits for a process until then; `None` if it still runs.
///
/// The standard library waits without a time limit only, and what waits so could not be killed by
/// another thread. So this asks again and again, at first at once and then rarely: a call of
/// `wsl.exe` takes tens of milliseconds at best.
pub(super) fn wait(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::sleep(pause.min(left));
        pause = next_pause(pause);
    }
}

/// The first pause between two looks at a process.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Returns the pause after this one.
pub(super) fn next_pause(pause: Duration) -> Duration {
    (pause * 2).min(Duration::from_millis(20))
}

/// Returns arguments as the operating system has them.
pub(super) fn arguments<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().copied().map(OsStr::new).collect()
}

/// Returns bytes for an argument, which on Windows are text: `None` if they are not.
pub(super) fn argument(bytes: &[u8]) -> Option<OsString> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then(|| text.into())
}
