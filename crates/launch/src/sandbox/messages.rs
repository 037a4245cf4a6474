//! What the two ends of a sandbox say to each other.

use std::io::{self, Read, Write};
use std::time::Duration;

use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;

use super::call::{Call, Finished, Refused, Script};
use super::found::{Found, Kind, Node, Stamp};
use super::limits::Limits;
use crate::linux::wire::{bytes, number, put_bytes, put_number};
use crate::status::Status;

/// What can be asked for.
pub(super) const UPDATE: u64 = 1;
pub(super) const RUN: u64 = 2;
pub(super) const CHANGES: u64 = 3;

/// The longest program, argument, variable or script, in bytes. The kernel takes 128 KiB for one
/// argument; a script is a file.
pub(super) const MOST_STRING: u64 = 64 << 20;

/// The most names, arguments or variables.
pub(super) const MOST_STRINGS: u64 = 1 << 22;

/// What ends the pieces of an archive: one of no bytes, or the word that there will be no more.
const ABANDONED: u64 = u64::MAX;

pub(super) fn put_path(out: &mut dyn Write, path: &GuestPath) -> io::Result<()> {
    put_bytes(out, path.as_bytes())
}

pub(super) fn path(input: &mut dyn Read) -> io::Result<GuestPath> {
    let bytes = bytes(input, GuestPath::MAX_LENGTH as u64)?;
    GuestPath::from_relative(&bytes).map_err(io::Error::other)
}

fn put_strings(out: &mut dyn Write, strings: &[Vec<u8>]) -> io::Result<()> {
    put_number(out, strings.len() as u64)?;
    strings.iter().try_for_each(|one| put_bytes(out, one))
}

fn strings(input: &mut dyn Read) -> io::Result<Vec<Vec<u8>>> {
    (0..count(input)?)
        .map(|_| bytes(input, MOST_STRING))
        .collect()
}

pub(super) fn count(input: &mut dyn Read) -> io::Result<u64> {
    let count = number(input)?;
    if count > MOST_STRINGS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many"));
    }
    Ok(count)
}

pub(super) fn put_call(out: &mut dyn Write, call: &Call) -> io::Result<()> {
    put_bytes(out, &call.program)?;
    put_strings(out, &call.arguments)?;
    put_number(out, call.environment.len() as u64)?;
    for (name, value) in &call.environment {
        put_bytes(out, name)?;
        put_bytes(out, value)?;
    }
    put_bytes(out, &call.hostname)?;
    put_number(out, u64::from(call.script.is_some()))?;
    if let Some(script) = &call.script {
        put_path(out, &script.path)?;
        put_bytes(out, &script.content)?;
    }
    Ok(())
}

pub(super) fn call(input: &mut dyn Read) -> io::Result<Call> {
    Ok(Call {
        program: bytes(input, MOST_STRING)?,
        arguments: strings(input)?,
        environment: (0..count(input)?)
            .map(|_| Ok((bytes(input, MOST_STRING)?, bytes(input, MOST_STRING)?)))
            .collect::<io::Result<_>>()?,
        hostname: bytes(input, MOST_STRING)?,
        script: match number(input)? {
            0 => None,
            _ => Some(Script {
                path: path(input)?,
                content: bytes(input, MOST_STRING)?,
            }),
        },
    })
}

/// Writes an archive in pieces, for its length is not known before.
#[derive(Debug)]
pub(super) struct Pieces<W: Write>(pub(super) W);

impl<W: Write> Pieces<W> {
    /// Says that this was all.
    pub(super) fn end(mut self) -> io::Result<()> {
        put_number(&mut self.0, 0)
    }

    /// Says that the rest will not come.
    pub(super) fn abandon(mut self) -> io::Result<()> {
        put_number(&mut self.0, ABANDONED)
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if !piece.is_empty() {
            put_bytes(&mut self.0, piece)?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads what [`Pieces`] wrote.
#[derive(Debug)]
pub(super) struct Joined<R: Read> {
    inner: R,
    left: u64,
    ended: Option<bool>,
}

impl<R: Read> Joined<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            left: 0,
            ended: None,
        }
    }

    /// Reads to the end, so that the next message can be read, and says whether all came.
    pub(super) fn drain(mut self) -> io::Result<bool> {
        while self.ended.is_none() {
            match io::copy(&mut self, &mut io::sink()) {
                Ok(_) => {}
                Err(_) if self.ended == Some(false) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.ended == Some(true))
    }
}

impl<R: Read> Read for Joined<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.ended.is_none() {
            match number(&mut self.inner)? {
                0 => self.ended = Some(true),
                ABANDONED => self.ended = Some(false),
                length => self.left = length,
            }
        }
        match self.ended {
            Some(true) => return Ok(0),
            Some(false) => return Err(io::Error::other("the archive ends early")),
            None => {}
        }
        let want = self.left.min(buffer.len() as u64) as usize;
        let count = self
            .inner
            .read(buffer.get_mut(..want).unwrap_or_default())?;
        if count == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

pub(super) fn put_finished(out: &mut dyn Write, finished: &Finished) -> io::Result<()> {
    let (kind, code) = match finished.status {
        Status::Exited(code) => (0, code),
        Status::Signalled(signal) => (1, signal),
    };
    put_number(out, kind)?;
    put_number(out, code as u64)?;
    put_bytes(out, &finished.output)?;
    put_number(out, u64::from(finished.truncated))?;
    for refused in [Refused::Network, Refused::Disk, Refused::Background] {
        put_number(out, u64::from(finished.refused.contains(&refused)))?;
    }
    Ok(())
}

pub(super) fn finished(input: &mut dyn Read, limits: &Limits) -> io::Result<Finished> {
    let (kind, code) = (number(input)?, number(input)? as i32);
    let output = bytes(input, limits.output as u64)?;
    let truncated = number(input)? != 0;
    let mut refused = Vec::new();
    for one in [Refused::Network, Refused::Disk, Refused::Background] {
        if number(input)? != 0 {
            refused.push(one);
        }
    }
    Ok(Finished {
        status: match kind {
            0 => Status::Exited(code),
            _ => Status::Signalled(code),
        },
        output,
        truncated,
        refused,
    })
}

/// Before each difference stands a 1; a 0 ends them, and a 2 says that an error follows.
pub(super) fn put_found(out: &mut dyn Write, found: &Found) -> io::Result<()> {
    put_number(out, 1)?;
    put_path(out, found.path())?;
    let Found::There(_, node) = found else {
        return put_number(out, 0);
    };
    let device = |out: &mut dyn Write, kind, device: &Device| {
        put_number(out, kind)?;
        put_number(out, u64::from(device.major))?;
        put_number(out, u64::from(device.minor))
    };
    match &node.kind {
        Kind::File(content) => {
            put_number(out, 1)?;
            put_bytes(out, content)?;
        }
        Kind::Hardlink(first) => {
            put_number(out, 2)?;
            put_path(out, first)?;
        }
        Kind::Directory => put_number(out, 3)?,
        Kind::Symlink(target) => {
            put_number(out, 4)?;
            put_bytes(out, target)?;
        }
        Kind::Fifo => put_number(out, 5)?,
        Kind::CharDevice(numbers) => device(out, 6, numbers)?,
        Kind::BlockDevice(numbers) => device(out, 7, numbers)?,
        Kind::Socket => put_number(out, 8)?,
    }
    for value in [node.mode, node.uid, node.gid, node.mtime.nanoseconds] {
        put_number(out, u64::from(value))?;
    }
    put_number(out, node.mtime.seconds as u64)?;
    put_number(out, node.xattrs.len() as u64)?;
    for (name, value) in &node.xattrs {
        put_bytes(out, name)?;
        put_bytes(out, value)?;
    }
    Ok(())
}

pub(super) fn found(input: &mut dyn Read) -> io::Result<Found> {
    let name = path(input)?;
    let kind = match number(input)? {
        0 => return Ok(Found::Gone(name)),
        1 => Kind::File(bytes(input, Limits::CHANGES)?),
        2 => Kind::Hardlink(path(input)?),
        3 => Kind::Directory,
        4 => Kind::Symlink(bytes(input, MOST_STRING)?),
        5 => Kind::Fifo,
        6 => Kind::CharDevice(device(input)?),
        7 => Kind::BlockDevice(device(input)?),
        8 => Kind::Socket,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut small = || Ok::<_, io::Error>(number(input)? as u32);
    let (mode, uid, gid, nanoseconds) = (small()?, small()?, small()?, small()?);
    let seconds = number(input)? as i64;
    let xattrs = (0..count(input)?)
        .map(|_| Ok((bytes(input, MOST_STRING)?, bytes(input, MOST_STRING)?)))
        .collect::<io::Result<_>>()?;
    let node = Node {
        kind,
        mode,
        uid,
        gid,
        mtime: Stamp {
            seconds,
            nanoseconds,
        },
        xattrs,
    };
    Ok(Found::There(name, node))
}

fn device(input: &mut dyn Read) -> io::Result<Device> {
    Ok(Device {
        major: number(input)? as u32,
        minor: number(input)? as u32,
    })
}

/// How long the asking end waits for any sign of life, on top of what was asked for.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
