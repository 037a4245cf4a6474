//! A program at work in an instance, as the process sees it that has the instance.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::first::END_ALL;
use super::groups::Groups;
use super::request::{self, ENDED, KILL};
use super::terminal::Terminal;
use crate::child;
use crate::launch_error::LaunchError;
use crate::linux::passing;
use crate::status::Status;

/// How long the killed may take to be gone before the whole instance is ended for it: a program
/// that is root of its instance can hinder who watches over it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The signal of those who were killed with the whole instance.
const KILLED: Status = Status::Signalled(9);

#[derive(Debug)]
pub(super) struct Running {
    /// The connection to who watches over the program.
    pub(super) socket: OwnedFd,
    /// The connection to the instance's first process.
    pub(super) orders: Arc<OwnedFd>,
    pub(super) ended: Mutex<Option<Status>>,
    /// This process's terminal, while the program has it.
    pub(super) terminal: Mutex<Option<Terminal>>,
    pub(super) groups: Mutex<Option<Groups>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(source: io::Error) -> LaunchError {
    LaunchError::Host {
        doing: "wait for a program".to_owned(),
        source,
    }
}

impl child::Running for Running {
    fn wait(&self, time: Option<Duration>) -> Result<Option<Status>, LaunchError> {
        let until = time.and_then(|time| Instant::now().checked_add(time));
        loop {
            // Others that wait at the same time may have been told.
            if let Some(status) = *locked(&self.ended) {
                return Ok(Some(status));
            }
            if !self.has_news(until)? {
                return Ok(None);
            }
            let mut ended = locked(&self.ended);
            if ended.is_none() && self.is_ready(PollFlags::IN, Some(Instant::now()))? {
                *ended = Some(self.read_end());
            }
        }
    }

    fn kill(&self) -> Result<(), LaunchError> {
        // Nobody there: it has ended, and all that it began with it.
        if passing::send(&self.socket, &[KILL], &[]).is_err() {
            return Ok(());
        }
        let until = Instant::now().checked_add(PATIENCE);
        if !self.is_ready(PollFlags::RDHUP, until)? {
            let _ = passing::send(&*self.orders, &[END_ALL], &[]);
        }
        Ok(())
    }
}

impl Running {
    /// Waits for the end, and lends the terminal meanwhile. Says whether it came in time.
    fn has_news(&self, until: Option<Instant>) -> Result<bool, LaunchError> {
        match locked(&self.terminal).as_ref() {
            Some(terminal) => terminal.copy_until(&self.socket, until).map_err(failed),
            None => self.is_ready(PollFlags::IN, until),
        }
    }

    /// Waits for something of the connection, and says whether it came in time.
    fn is_ready(&self, what: PollFlags, until: Option<Instant>) -> Result<bool, LaunchError> {
        loop {
            let mut fds = [PollFd::new(&self.socket, what)];
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map(|left| Timespec {
                tv_sec: left.as_secs() as _,
                tv_nsec: left.subsec_nanos().into(),
            });
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) if left == Some(Duration::ZERO) => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// Reads how it ended. Who should say so ends without a word only if it was killed.
    fn read_end(&self) -> Status {
        drop(locked(&self.terminal).take());
        drop(locked(&self.groups).take());
        if let Ok(Some((ENDED, _))) = passing::receive_byte(&self.socket) {
            let mut input = passing::Incoming(self.socket.as_fd());
            return request::status(&mut input).unwrap_or(KILLED);
        }
        // What it began is to end with it, and before anything else that is asked for begins.
        let _ = passing::send(&*self.orders, &[END_ALL], &[]);
        KILLED
    }
}
