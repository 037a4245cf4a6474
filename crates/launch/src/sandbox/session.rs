//! The caller's end of a sandbox.

use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use prebake_apk::path::GuestPath;

use super::agent;
use super::call::{Call, Finished};
use super::error::{SandboxError, Unavailable};
use super::failures;
use super::found::Found;
use super::messages::{self, PATIENCE, Pieces};
use super::stopper::Stopper;
use super::{Limits, Machine, Owners};
use crate::linux::process::Process;
use crate::linux::{descriptors, emulator, id_map, wire};

/// How much is written or read at once, in bytes.
const BUFFER: usize = 128 << 10;

/// A sandbox that was started.
#[derive(Debug)]
pub(super) struct Session {
    limits: Limits,
    owners: Owners,
    input: BufReader<UnixStream>,
    output: BufWriter<UnixStream>,
    /// The same connection, for whoever stops it from another thread.
    connection: Arc<UnixStream>,
    /// Whether the two ends no longer know what the other is at.
    lost: bool,
    // Dropped last: it kills and reaps what still runs.
    agent: Process,
}

impl Session {
    pub(super) fn start(limits: &Limits, machine: Machine) -> Result<Self, SandboxError> {
        let emulator = emulator::needed(machine)?;
        let root = rustix::process::geteuid().is_root();
        let fail = |doing: &str, source: io::Error| Unavailable::Namespaces {
            doing: doing.to_owned(),
            root,
            source,
        };
        let (socket, theirs) = sockets().map_err(|error| fail("make a socket", error))?;
        let with_emulator = emulator.as_ref().map(|path| path.display().to_string());
        let agent = Process::fork(move || agent::main(theirs, limits, machine, emulator))
            .map_err(|error| fail("fork", error))?;
        let lost = |source| SandboxError::Lost {
            doing: "start".to_owned(),
            source,
        };
        let setting = socket
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| socket.set_write_timeout(Some(PATIENCE)));
        setting.map_err(lost)?;
        let input = socket.try_clone().map_err(lost)?;
        let connection = Arc::new(socket.try_clone().map_err(lost)?);
        let mut session = Self {
            limits: limits.clone(),
            owners: Owners::All,
            input: BufReader::with_capacity(BUFFER, input),
            output: BufWriter::with_capacity(BUFFER, socket),
            connection,
            lost: false,
            agent,
        };
        let begun = |session: &mut Self| -> Result<(), SandboxError> {
            if wire::number(&mut session.input).map_err(lost)? == 0 {
                return Ok(());
            }
            let doing = wire::text(&mut session.input).map_err(lost)?;
            let source = wire::io_error(&mut session.input).map_err(lost)?;
            Err(match &with_emulator {
                Some(emulator) if doing == "register an emulator" => Unavailable::NoRegistration {
                    emulator: emulator.clone(),
                    source,
                },
                _ => fail(&doing, source),
            }
            .into())
        };
        begun(&mut session)?;
        let all = id_map::give(session.agent.pid()).map_err(|error| fail("map ids", error))?;
        if !all {
            session.owners = Owners::Root;
        }
        wire::put_number(&mut session.output, 0).map_err(lost)?;
        session.output.flush().map_err(lost)?;
        begun(&mut session)?;
        Ok(session)
    }

    pub(super) fn owners(&self) -> Owners {
        self.owners
    }

    pub(super) fn stopper(&self) -> Stopper {
        Stopper {
            connection: Arc::downgrade(&self.connection),
        }
    }

    pub(super) fn update(
        &mut self,
        gone: &[GuestPath],
        archive: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), SandboxError> {
        let mut written = Ok(());
        self.ask("unpack", PATIENCE, |output| {
            wire::put_number(output, messages::UPDATE)?;
            wire::put_number(output, gone.len() as u64)?;
            for path in gone {
                messages::put_path(output, path)?;
            }
            let mut pieces = Pieces(output);
            written = archive(&mut pieces);
            match &written {
                Ok(()) => pieces.end(),
                Err(_) => pieces.abandon(),
            }
        })?;
        let answer = self.answer("unpack", |_| Ok(()));
        written.map_err(SandboxError::Archive)?;
        answer
    }

    pub(super) fn run(&mut self, call: &Call) -> Result<Finished, SandboxError> {
        let doing = "run a program";
        self.ask(doing, self.limits.time.saturating_add(PATIENCE), |output| {
            wire::put_number(output, messages::RUN)?;
            messages::put_call(output, call)
        })?;
        let limits = self.limits.clone();
        self.answer(doing, |input| messages::finished(input, &limits))
    }

    pub(super) fn changes(&mut self) -> Result<Vec<Found>, SandboxError> {
        let doing = "tell what was changed";
        self.ask(doing, PATIENCE, |output| {
            wire::put_number(output, messages::CHANGES)
        })?;
        let mut all = Vec::new();
        loop {
            match self.read(doing, |input| wire::number(input))? {
                0 => return Ok(all),
                1 => all.push(self.read(doing, |input| messages::found(input))?),
                _ => return Err(self.read_error(doing)?),
            }
        }
    }

    /// Sends a message, whose answer may take `patience` to begin.
    fn ask(
        &mut self,
        doing: &str,
        patience: Duration,
        put: impl FnOnce(&mut BufWriter<UnixStream>) -> io::Result<()>,
    ) -> Result<(), SandboxError> {
        if self.lost {
            return Err(self.lose(doing, io::ErrorKind::NotConnected.into()));
        }
        let sent = self.input.get_ref().set_read_timeout(Some(patience));
        let sent = sent.and_then(|()| put(&mut self.output));
        let sent = sent.and_then(|()| self.output.flush());
        sent.map_err(|error| self.lose(doing, error))
    }

    fn answer<T>(
        &mut self,
        doing: &str,
        read: impl FnOnce(&mut BufReader<UnixStream>) -> io::Result<T>,
    ) -> Result<T, SandboxError> {
        match self.read(doing, |input| wire::number(input))? {
            0 => self.read(doing, read),
            _ => Err(self.read_error(doing)?),
        }
    }

    fn read_error(&mut self, doing: &str) -> Result<SandboxError, SandboxError> {
        let limits = self.limits.clone();
        self.read(doing, |input| failures::error(input, &limits))
    }

    fn read<T>(
        &mut self,
        doing: &str,
        read: impl FnOnce(&mut BufReader<UnixStream>) -> io::Result<T>,
    ) -> Result<T, SandboxError> {
        read(&mut self.input).map_err(|error| self.lose(doing, error))
    }

    /// Gives up: nothing that comes now could be understood.
    fn lose(&mut self, doing: &str, source: io::Error) -> SandboxError {
        self.lost = true;
        self.agent.kill();
        SandboxError::Lost {
            doing: doing.to_owned(),
            source,
        }
    }
}

/// Returns two ends of a connection, neither by the number of a standard stream.
fn sockets() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = descriptors::above_standard(theirs.into())?;
    Ok((ours, theirs.into()))
}
