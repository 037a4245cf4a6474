//! An instance: a distribution of WSL's that is ours.

use std::ffi::OsString;
use std::io;
use std::process::Stdio as HostStdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prebake_apk::path::GuestPath;

use super::call;
use super::program::{self, Program, START};
use super::running::{Asked, Relay, WslRunning, exec};
use super::store::{Claim, Record, Store};
use super::{distribution, registered, trouble, unregister};
use crate::child::{Child, Pipes};
use crate::command::{Call, Stdio};
use crate::driver::Driven;
use crate::launch_error::LaunchError;
use crate::name::Name;

/// An instance.
#[derive(Debug)]
pub(super) struct WslInstance {
    wsl: Program,
    store: Store,
    name: Name,
    /// `None` once it is removed.
    claim: Mutex<Option<Claim>>,
    stops: Arc<AtomicU64>,
}

impl WslInstance {
    pub(super) fn new(wsl: Program, store: Store, name: Name, claim: Claim) -> Self {
        Self {
            wsl,
            store,
            name,
            claim: Mutex::new(Some(claim)),
            stops: Arc::default(),
        }
    }

    fn stopping(&self) {
        self.stops.fetch_add(1, Ordering::SeqCst);
    }
}

impl Driven for WslInstance {
    fn create_dir(&self, path: &GuestPath) -> Result<(), LaunchError> {
        let absolute = [b"/", path.as_bytes()].concat();
        let failed = |source| LaunchError::InGuest {
            name: self.name.clone(),
            doing: "make the directory".to_owned(),
            path: absolute.clone(),
            source,
        };
        let word = program::argument(&absolute).ok_or_else(|| {
            failed(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a command line of Windows is Unicode",
            ))
        })?;
        let mut words = exec(&distribution(&self.name)).to_vec();
        let script = "umask 022; exec mkdir -p -- \"$1\"";
        words.extend(["/bin/sh", "-c", script, "prebake"].map(Into::into));
        words.push(word);
        let words: Vec<_> = words.iter().map(OsString::as_os_str).collect();
        let doing = format!("make a directory in {}", self.name);
        let answer = self.wsl.call(&doing, &words, START)?;
        match answer.code {
            Some(0) => Ok(()),
            _ => Err(failed(io::Error::other(trouble::explain(&answer.said)))),
        }
    }

    fn spawn(&self, call: &Call, streams: [Stdio; 3]) -> Result<Child, LaunchError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", std::process::id());
        let stops_before = self.stops.load(Ordering::SeqCst);
        let asked = Asked {
            program: String::from_utf8_lossy(&call.program).into_owned(),
            user: call.user.clone().unwrap_or_else(|| "root".to_owned()),
            folder: call.folder.clone().unwrap_or_else(|| b"/".to_vec()),
        };
        let failed = |source| LaunchError::Host {
            doing: format!("start {} in {}", asked.program, self.name),
            source,
        };
        let mut command = self.wsl.command();
        command.args(exec(&distribution(&self.name)));
        command.args(call::arguments(call, &id)?);
        let mut pipes = Pipes::default();
        let [input, output, errors] = streams;
        command.stdin(match input {
            Stdio::Piped => {
                let (reader, writer) = io::pipe().map_err(failed)?;
                pipes.stdin = Some(writer);
                reader.into()
            }
            other => plain(other),
        });
        command.stdout(match output {
            Stdio::Piped => {
                let (reader, writer) = io::pipe().map_err(failed)?;
                pipes.stdout = Some(reader);
                writer.into()
            }
            other => plain(other),
        });
        command.stderr(match errors {
            Stdio::Piped => {
                let (reader, writer) = io::pipe().map_err(failed)?;
                pipes.stderr = Some(reader);
                writer.into()
            }
            other => plain(other),
        });
        let child = command.spawn();
        let child = child.map_err(|error| failed(self.wsl.named(error)))?;
        let program = asked.program.clone();
        let running = WslRunning {
            wsl: self.wsl.clone(),
            name: self.name.clone(),
            id,
            asked,
            relay: Mutex::new(Relay::Runs(child)),
            was_killed: AtomicBool::new(false),
            stops: Arc::clone(&self.stops),
            stops_before,
        };
        Ok(Child::new(program, pipes, Arc::new(running), call.time))
    }

    fn keep(&self) -> Result<(), LaunchError> {
        let record = self.store.read(&self.name);
        let record = record.ok_or_else(|| LaunchError::NotThere {
            name: self.name.clone(),
        })?;
        let kept = Record {
            kept: true,
            ..record
        };
        self.store.write(&self.name, &kept)
    }

    fn stop(&self) -> Result<(), LaunchError> {
        self.stopping();
        let doing = format!("end {}", self.name);
        let name = distribution(&self.name);
        let words = program::arguments(&["--terminate", &name]);
        let answer = self.wsl.call(&doing, &words, START)?;
        if answer.is_success() || !registered(&self.wsl)?.contains(&name) {
            return Ok(());
        }
        Err(LaunchError::Host {
            doing,
            source: io::Error::other(trouble::explain(&answer.said)),
        })
    }

    fn remove(&self) -> Result<(), LaunchError> {
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if claim.is_none() {
            return Ok(());
        }
        self.stopping();
        unregister(&self.wsl, &self.name)?;
        match claim.take() {
            Some(claim) => self.store.forget(&self.name, claim),
            None => Ok(()),
        }
    }
}

/// Returns a stream that is no pipe.
fn plain(stream: Stdio) -> HostStdio {
    match stream {
        Stdio::Inherit => HostStdio::inherit(),
        Stdio::File(file) => file.into(),
        Stdio::Null | Stdio::Piped => HostStdio::null(),
    }
}
