//! A program that runs in an instance, behind a `wsl.exe` that passes its streams on.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::call::{KILL, unsupported};
use super::program::{self, FIRST_PAUSE, Program, QUESTION};
use super::{distribution, trouble};
use crate::child::Running;
use crate::launch_error::LaunchError;
use crate::name::Name;
use crate::sandbox::NotRun;
use crate::status::Status;

/// The code by which `run.sh` says that the program never began. A program's own 125 is told from
/// it by the file that the script leaves.
const GAVE_UP: i32 = 125;

/// How long a `wsl.exe` may pass on what is left after its program was killed.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// A program that runs in an instance.
pub(super) struct WslRunning {
    pub(super) wsl: Program,
    pub(super) name: Name,
    /// The program's number in this process and this process's among all.
    pub(super) id: String,
    pub(super) asked: Asked,
    pub(super) relay: Mutex<Relay>,
    pub(super) was_killed: AtomicBool,
    /// How often the instance was stopped, now and when the program began.
    pub(super) stops: Arc<AtomicU64>,
    pub(super) stops_before: u64,
}

/// What was asked for, to name it in errors.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) program: String,
    pub(super) user: String,
    pub(super) folder: Vec<u8>,
}

/// The `wsl.exe` of a program.
#[derive(Debug)]
pub(super) enum Relay {
    Runs(Child),
    Ended {
        code: Option<i32>,
        /// Why the program never began.
        why: Option<String>,
    },
}

impl fmt::Debug for WslRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WslRunning")
            .field("name", &self.name)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl WslRunning {
    fn relay(&self) -> MutexGuard<'_, Relay> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether the program has ended.
    fn look(&self) -> Result<Option<Status>, LaunchError> {
        let mut relay = self.relay();
        if let Relay::Runs(child) = &mut *relay {
            let status = child.try_wait().map_err(|source| LaunchError::Host {
                doing: format!("wait for {}", self.asked.program),
                source,
            })?;
            let Some(status) = status else {
                return Ok(None);
            };
            let code = status.code();
            let why = match code {
                Some(GAVE_UP) if !self.is_ended_by_us() => self.ask_why()?,
                _ => None,
            };
            *relay = Relay::Ended { code, why };
        }
        match &*relay {
            Relay::Runs(_) => Ok(None),
            Relay::Ended { code, why } => self.end(*code, why.as_deref()).map(Some),
        }
    }

    fn is_ended_by_us(&self) -> bool {
        self.was_killed.load(Ordering::SeqCst)
            || self.stops.load(Ordering::SeqCst) != self.stops_before
    }

    /// Says how it ended. A program that a signal ended has the code that a shell tells of it.
    fn end(&self, code: Option<i32>, why: Option<&str>) -> Result<Status, LaunchError> {
        if let Some(why) = why {
            return Err(self.never_began(why));
        }
        match code {
            Some(0) => Ok(Status::Exited(0)),
            _ if self.is_ended_by_us() => Ok(Status::Signalled(9)),
            Some(code) if (0..=255).contains(&code) => Ok(Status::Exited(code)),
            // Linux has no such code: it is -1, by which `wsl.exe` says that it failed itself.
            _ => Err(LaunchError::Lost {
                name: self.name.clone(),
                doing: format!("run {}", self.asked.program),
                source: io::Error::other(
                    "wsl.exe failed by itself; what it said stands in the program's output, and \
                     `prebake doctor` looks at WSL",
                ),
            }),
        }
    }

    /// Asks the guest why the program never began; `None` if it did.
    fn ask_why(&self) -> Result<Option<String>, LaunchError> {
        let script = "cat \"$1\" 2>/dev/null && rm -f \"$1\"";
        let file = format!("/run/prebake/{}.why", self.id);
        let answer = self.in_guest(script, &file)?;
        Ok(answer.is_success().then_some(answer.said))
    }

    fn in_guest(&self, script: &str, word: &str) -> Result<program::Answer, LaunchError> {
        let doing = format!("look after {} in {}", self.asked.program, self.name);
        let distribution = distribution(&self.name);
        let words = ["-d", &distribution, "-u", "root", "--exec", "/bin/sh", "-c"];
        let words = [&words[..], &[script, "prebake", word]].concat();
        self.wsl.call(&doing, &program::arguments(&words), QUESTION)
    }

    /// Reads what `run.sh` left.
    fn never_began(&self, why: &str) -> LaunchError {
        let mut lines = why.lines();
        let kind = lines.next().unwrap_or_default();
        let detail = lines.next().unwrap_or_default();
        let in_guest = |doing: &str, path: &[u8], source: io::Error| LaunchError::InGuest {
            name: self.name.clone(),
            doing: doing.to_owned(),
            path: path.to_vec(),
            source,
        };
        let not_run = |why| LaunchError::NotRun {
            name: self.name.clone(),
            program: self.asked.program.clone(),
            why,
        };
        let refused = || io::Error::other("the guest's system refused it");
        match kind {
            "missing" => not_run(NotRun::Missing),
            "denied" => not_run(NotRun::Other(io::ErrorKind::PermissionDenied.into())),
            "folder" => in_guest(
                "change to the folder",
                &self.asked.folder,
                io::Error::new(io::ErrorKind::NotFound, "it is not there"),
            ),
            "user" => unsupported(
                format!("the user `{}`", self.asked.user),
                format!(
                    "there is none of this name or these numbers in {}'s /etc/passwd",
                    self.name
                ),
            ),
            "share" => in_guest(
                "share what should be at",
                detail.as_bytes(),
                io::Error::new(
                    io::ErrorKind::NotFound,
                    "it is not there on Windows, or `[automount]` is off in the rootfs' \
                     /etc/wsl.conf",
                ),
            ),
            "target" => in_guest("make the place of a share", detail.as_bytes(), refused()),
            "bind" => in_guest("mount a share at", detail.as_bytes(), refused()),
            "hide" => in_guest("hide Windows' own", detail.as_bytes(), refused()),
            "network" => in_guest(
                "make a network without a way out, as",
                b"/run/prebake/net",
                refused(),
            ),
            "tool" => unsupported(
                format!("running {}", self.asked.program),
                format!(
                    "the instance {} has no `{detail}`; with WSL a rootfs needs BusyBox's tools \
                     or those of util-linux",
                    self.name
                ),
            ),
            _ => LaunchError::Lost {
                name: self.name.clone(),
                doing: format!("run {}", self.asked.program),
                source: io::Error::other(trouble::explain(why)),
            },
        }
    }
}

impl Running for WslRunning {
    fn wait(&self, time: Option<Duration>) -> Result<Option<Status>, LaunchError> {
        let until = time.and_then(|time| Instant::now().checked_add(time));
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(status) = self.look()? {
                return Ok(Some(status));
            }
            if let Some(until) = until {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(None);
                }
                pause = pause.min(left);
            }
            std::thread::sleep(pause);
            pause = program::next_pause(pause);
        }
    }

    fn kill(&self) -> Result<(), LaunchError> {
        // That it never began is an end too, which is `wait`'s to tell.
        let _ = self.look();
        if matches!(*self.relay(), Relay::Ended { .. }) {
            return Ok(());
        }
        self.was_killed.store(true, Ordering::SeqCst);
        // The end of `wsl.exe` is not the program's: first the one, then the other.
        let killed = self.in_guest(KILL, &self.id);
        let until = Instant::now() + self.wsl.limit(AFTER_KILL);
        if let Relay::Runs(child) = &mut *self.relay() {
            let ended = program::wait(child, until);
            if !matches!(ended, Ok(Some(_))) {
                let _ = child.kill();
            }
        }
        let answer = killed?;
        if !answer.is_success() && !self.is_gone() {
            return Err(LaunchError::Host {
                doing: format!("kill {} in {}", self.asked.program, self.name),
                source: io::Error::other(trouble::explain(&answer.said)),
            });
        }
        Ok(())
    }
}

impl WslRunning {
    /// Says whether the instance itself is gone, and with it what ran there.
    fn is_gone(&self) -> bool {
        let distribution = distribution(&self.name);
        super::registered(&self.wsl).is_ok_and(|names| !names.contains(&distribution))
    }
}

/// Returns the words of a `wsl.exe` that runs something in a distribution as root.
pub(super) fn exec(distribution: &str) -> [OsString; 5] {
    ["-d", distribution, "-u", "root", "--exec"].map(OsString::from)
}
