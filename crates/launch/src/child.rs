//! A program that runs in an instance.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::launch_error::LaunchError;
use crate::status::Status;

/// A program that runs in an instance. It is killed if this is dropped before its end was seen.
#[derive(Debug)]
pub struct Child {
    /// Its standard input, if that is a pipe.
    pub stdin: Option<PipeWriter>,
    /// Its standard output, if that is a pipe.
    pub stdout: Option<PipeReader>,
    /// Its standard error, if that is a pipe.
    pub stderr: Option<PipeReader>,
    program: String,
    running: Arc<dyn Running>,
    until: Option<(Instant, Duration)>,
    ended: Option<Status>,
}

/// What a backend does with a program that runs.
pub(crate) trait Running: fmt::Debug + Send + Sync {
    /// Waits for its end, for a time if one is given, and returns how it was; `None` if the time
    /// is over. Asked again after the end, it answers the same.
    fn wait(&self, time: Option<Duration>) -> Result<Option<Status>, LaunchError>;

    /// Kills it and all that it started. That it has ended is no error.
    fn kill(&self) -> Result<(), LaunchError>;
}

/// This process's ends of the pipes to a program.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<PipeWriter>,
    pub(crate) stdout: Option<PipeReader>,
    pub(crate) stderr: Option<PipeReader>,
}

/// What a program left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: Status,
    /// What it wrote to standard output, at most [`Output::MOST`] bytes.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, at most [`Output::MOST`] bytes.
    pub stderr: Vec<u8>,
    /// Whether there was more, which is lost.
    pub truncated: bool,
}

impl Output {
    /// How much is kept of each stream, in bytes. Whoever expects more reads it from a pipe.
    pub const MOST: u64 = 64 << 20;
}

impl Child {
    pub(crate) fn new(
        program: String,
        pipes: Pipes,
        running: Arc<dyn Running>,
        time: Option<Duration>,
    ) -> Self {
        Self {
            stdin: pipes.stdin,
            stdout: pipes.stdout,
            stderr: pipes.stderr,
            program,
            running,
            until: time.and_then(|time| Some((Instant::now().checked_add(time)?, time))),
            ended: None,
        }
    }

    /// Closes its standard input and waits for its end. After its time
    /// ([`Command::time_limit`](crate::Command::time_limit)) it is killed, and the error says so.
    pub fn wait(&mut self) -> Result<Status, LaunchError> {
        drop(self.stdin.take());
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let Some((until, limit)) = self.until else {
            let status = self.running.wait(None)?;
            let status = status.ok_or_else(|| self.no_answer())?;
            self.ended = Some(status);
            return Ok(status);
        };
        let left = until.saturating_duration_since(Instant::now());
        if let Some(status) = self.running.wait(Some(left))? {
            self.ended = Some(status);
            return Ok(status);
        }
        self.kill()?;
        self.ended = self.running.wait(None)?;
        Err(self.timed_out(limit))
    }

    fn timed_out(&self, limit: Duration) -> LaunchError {
        LaunchError::TimedOut {
            program: self.program.clone(),
            limit,
        }
    }

    fn no_answer(&self) -> LaunchError {
        LaunchError::Host {
            doing: format!("wait for {}", self.program),
            source: io::ErrorKind::UnexpectedEof.into(),
        }
    }

    /// Returns how it ended, or `None` if it still runs.
    pub fn try_wait(&mut self) -> Result<Option<Status>, LaunchError> {
        if self.ended.is_none() {
            self.ended = self.running.wait(Some(Duration::ZERO))?;
        }
        Ok(self.ended)
    }

    /// Waits for its end and collects what it writes to the pipes, until nobody holds them any
    /// more: what it started may write on after its end, and within its time may do so.
    pub fn wait_with_output(mut self) -> Result<Output, LaunchError> {
        drop(self.stdin.take());
        let collect = |stream: Option<PipeReader>| {
            let (send, receive) = mpsc::channel();
            std::thread::spawn(move || {
                let _ = send.send(stream.map_or_else(|| Ok((Vec::new(), false)), read));
            });
            receive
        };
        let (stdout, stderr) = (collect(self.stdout.take()), collect(self.stderr.take()));
        let status = self.wait()?;
        let (stdout, more) = self.collected(&stdout)?;
        let (stderr, still_more) = self.collected(&stderr)?;
        Ok(Output {
            status,
            stdout,
            stderr,
            truncated: more || still_more,
        })
    }

    /// Waits for what was read, within the time.
    fn collected(&mut self, stream: &Receiver<io::Result<Kept>>) -> Result<Kept, LaunchError> {
        let read = match self.until {
            None => stream.recv().ok(),
            Some((until, limit)) => {
                let left = until.saturating_duration_since(Instant::now());
                match stream.recv_timeout(left) {
                    Err(RecvTimeoutError::Timeout) => {
                        self.kill()?;
                        return Err(self.timed_out(limit));
                    }
                    read => read.ok(),
                }
            }
        };
        let read = read.unwrap_or_else(|| Err(io::Error::other("the reader ended")));
        read.map_err(|source| LaunchError::Host {
            doing: format!("read what {} writes", self.program),
            source,
        })
    }

    /// Kills it and all that it started. That it has ended is no error.
    pub fn kill(&mut self) -> Result<(), LaunchError> {
        self.running.kill()
    }

    /// Returns what kills it from another thread.
    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.running))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.running.kill();
        }
    }
}

/// Kills a program from another thread, while one waits for it.
#[derive(Clone, Debug)]
pub struct Killer(Arc<dyn Running>);

impl Killer {
    /// Kills the program and all that it started. That it has ended is no error.
    pub fn kill(&self) -> Result<(), LaunchError> {
        self.0.kill()
    }
}

/// What was kept of a stream, and whether there was more.
type Kept = (Vec<u8>, bool);

/// Reads all, and keeps what is not too much.
fn read(mut stream: PipeReader) -> io::Result<Kept> {
    let mut kept = Vec::new();
    (&mut stream).take(Output::MOST).read_to_end(&mut kept)?;
    let lost = io::copy(&mut stream, &mut io::sink())?;
    Ok((kept, lost > 0))
}
