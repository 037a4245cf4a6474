//! What is asked of an instance's processes, and what they answer, as it travels.
//!
//! A request goes over a connection of its own: what it is and its descriptors first, then this.

use std::io::{self, Read, Write};

use crate::linux::wire::{bytes, io_error, number, put_bytes, put_io_error, put_number, text};
use crate::sandbox::NotRun;
use crate::sandbox::failures::{not_run, put_not_run};

/// The longest string of a request, in bytes, and the most of them: what the kernel takes of
/// arguments and environment together is less.
const MOST: u64 = 8 << 20;

/// What is asked for.
pub(super) const PROGRAM: u8 = 1;
pub(super) const DIRECTORY: u8 = 2;

/// What is answered: it was done, or it was not.
pub(super) const DONE: u8 = 0;
pub(super) const REFUSED: u8 = 1;
/// The program waits to be let go: the number of its process goes with it.
pub(super) const WAITS: u8 = 2;
/// The program has ended.
pub(super) const ENDED: u8 = 3;

/// What may be said to whoever runs a program.
pub(super) const KILL: u8 = 1;
pub(super) const GO: u8 = 2;

/// A program to be run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) program: Vec<u8>,
    pub(super) arguments: Vec<Vec<u8>>,
    /// Variables that are there unless [`Program::bare`], beside the user's own.
    pub(super) base: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) environment: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) bare: bool,
    pub(super) folder: Option<Vec<u8>>,
    pub(super) user: Option<String>,
    /// Where what is shared goes, and whether each is a directory.
    pub(super) shares: Vec<(Vec<u8>, bool)>,
    /// Whether a file to resolve names by goes with it, after what is shared.
    pub(super) resolver: bool,
    /// The limit of processes and threads, and whether it is to be kept by looking.
    pub(super) processes: (u64, bool),
    /// The limit of memory that is to be kept by looking, in bytes.
    pub(super) memory: Option<u64>,
    /// Whether the program waits until it was put into its control groups.
    pub(super) waits: bool,
    pub(super) terminal: bool,
}

impl Program {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> io::Result<()> {
        put_bytes(out, &self.program)?;
        put_list(out, &self.arguments, |out, one| put_bytes(out, one))?;
        put_list(out, &self.base, |out, (name, value)| {
            put_bytes(out, name)?;
            put_bytes(out, value)
        })?;
        put_list(out, &self.environment, |out, (name, value)| {
            put_bytes(out, name)?;
            put_option(out, value.as_deref())
        })?;
        put_flag(out, self.bare)?;
        put_option(out, self.folder.as_deref())?;
        put_option(out, self.user.as_deref().map(str::as_bytes))?;
        put_list(out, &self.shares, |out, (path, directory)| {
            put_bytes(out, path)?;
            put_flag(out, *directory)
        })?;
        put_flag(out, self.resolver)?;
        put_number(out, self.processes.0)?;
        put_flag(out, self.processes.1)?;
        put_flag(out, self.memory.is_some())?;
        put_number(out, self.memory.unwrap_or_default())?;
        put_flag(out, self.waits)?;
        put_flag(out, self.terminal)
    }

    pub(super) fn read(input: &mut dyn Read) -> io::Result<Self> {
        Ok(Self {
            program: string(input)?,
            arguments: list(input, string)?,
            base: list(input, |input| Ok((string(input)?, string(input)?)))?,
            environment: list(input, |input| Ok((string(input)?, option(input)?)))?,
            bare: flag(input)?,
            folder: option(input)?,
            user: option(input)?.map(|user| String::from_utf8_lossy(&user).into_owned()),
            shares: list(input, |input| Ok((string(input)?, flag(input)?)))?,
            resolver: flag(input)?,
            processes: (number(input)?, flag(input)?),
            memory: {
                let is_there = flag(input)?;
                let most = number(input)?;
                is_there.then_some(most)
            },
            waits: flag(input)?,
            terminal: flag(input)?,
        })
    }
}

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The program is not to be run.
    NotRun(NotRun),
    /// What was to be done in the guest, with what, and what the system says.
    InGuest(String, Vec<u8>, io::Error),
    /// What cannot be had, and why.
    Unsupported(String, String),
    /// What could not be done.
    Failed(String, io::Error),
}

impl Refusal {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::NotRun(why) => {
                put_number(out, 0)?;
                put_not_run(out, why)
            }
            Self::InGuest(doing, path, error) => {
                put_number(out, 1)?;
                put_bytes(out, doing.as_bytes())?;
                put_bytes(out, path)?;
                put_io_error(out, error)
            }
            Self::Unsupported(what, why) => {
                put_number(out, 2)?;
                put_bytes(out, what.as_bytes())?;
                put_bytes(out, why.as_bytes())
            }
            Self::Failed(doing, error) => {
                put_number(out, 3)?;
                put_bytes(out, doing.as_bytes())?;
                put_io_error(out, error)
            }
        }
    }

    pub(super) fn read(input: &mut dyn Read) -> io::Result<Self> {
        Ok(match number(input)? {
            0 => Self::NotRun(not_run(input)?),
            1 => Self::InGuest(text(input)?, string(input)?, io_error(input)?),
            2 => Self::Unsupported(text(input)?, text(input)?),
            _ => Self::Failed(text(input)?, io_error(input)?),
        })
    }
}

pub(super) fn string(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    bytes(input, MOST)
}

fn put_flag(out: &mut Vec<u8>, flag: bool) -> io::Result<()> {
    put_number(out, u64::from(flag))
}

fn flag(input: &mut dyn Read) -> io::Result<bool> {
    Ok(number(input)? != 0)
}

fn put_option(out: &mut Vec<u8>, string: Option<&[u8]>) -> io::Result<()> {
    put_flag(out, string.is_some())?;
    put_bytes(out, string.unwrap_or_default())
}

fn option(input: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let is_there = flag(input)?;
    let value = string(input)?;
    Ok(is_there.then_some(value))
}

fn put_list<T>(
    out: &mut Vec<u8>,
    list: &[T],
    mut put: impl FnMut(&mut Vec<u8>, &T) -> io::Result<()>,
) -> io::Result<()> {
    put_number(out, list.len() as u64)?;
    list.iter().try_for_each(|one| put(out, one))
}

fn list<T>(
    input: &mut dyn Read,
    mut read: impl FnMut(&mut dyn Read) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let count = number(input)?;
    if count > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    (0..count).map(|_| read(input)).collect()
}

/// Sends an answer that has no descriptors.
pub(super) fn answer(
    to: impl std::os::fd::AsFd,
    kind: u8,
    put: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut message = vec![kind];
    put(&mut message)?;
    crate::linux::passing::send(to, &message, &[])
}

/// Writes how a program ended.
pub(super) fn put_status(out: &mut dyn Write, status: crate::Status) -> io::Result<()> {
    let (signalled, value) = match status {
        crate::Status::Exited(code) => (0, code),
        crate::Status::Signalled(signal) => (1, signal),
    };
    put_number(out, signalled)?;
    put_number(out, value as u64)
}

pub(super) fn status(input: &mut dyn Read) -> io::Result<crate::Status> {
    let signalled = number(input)? != 0;
    let value = number(input)? as i32;
    Ok(if signalled {
        crate::Status::Signalled(value)
    } else {
        crate::Status::Exited(value)
    })
}
