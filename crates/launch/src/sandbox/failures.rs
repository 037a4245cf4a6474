//! What goes wrong at one end of a sandbox, told to the other.

use std::io::{self, Read, Write};

use super::error::{NotRun, SandboxError, Unavailable};
use super::limits::Limits;
use super::messages::{MOST_STRING, path, put_path};
use crate::linux::wire::{bytes, io_error, number, put_bytes, put_io_error, put_number, text};

/// Sends what went wrong. What only the asking end can know is no part of this.
pub(super) fn put_error(out: &mut dyn Write, error: &SandboxError) -> io::Result<()> {
    match error {
        SandboxError::TimedOut { output, .. } => {
            put_number(out, 1)?;
            put_bytes(out, output)
        }
        SandboxError::TooManyProcesses { output, .. } => {
            put_number(out, 2)?;
            put_bytes(out, output)
        }
        SandboxError::OutOfMemory { output, .. } => {
            put_number(out, 3)?;
            put_bytes(out, output)
        }
        SandboxError::NotRun { program, why } => {
            put_number(out, 4)?;
            put_bytes(out, program.as_bytes())?;
            put_not_run(out, why)
        }
        SandboxError::Script { path, source } => {
            put_number(out, 5)?;
            put_path(out, path)?;
            put_io_error(out, source)
        }
        SandboxError::NotAnArchive(why) => {
            put_number(out, 6)?;
            put_bytes(out, why.as_bytes())
        }
        SandboxError::Unpack {
            doing,
            path,
            source,
        } => {
            put_number(out, 7)?;
            put_bytes(out, doing.as_bytes())?;
            put_path(out, path)?;
            put_io_error(out, source)
        }
        SandboxError::TreeTooLarge { .. } => put_number(out, 8),
        SandboxError::OwnerUnknown { path } => {
            put_number(out, 9)?;
            put_path(out, path)
        }
        SandboxError::Name { name, why } => {
            put_number(out, 10)?;
            put_bytes(out, name)?;
            put_bytes(out, why.as_bytes())
        }
        SandboxError::TooMuchChanged { limit } => {
            put_number(out, 11)?;
            put_number(out, *limit)
        }
        SandboxError::Kernel { doing, source } => {
            put_number(out, 12)?;
            put_bytes(out, doing.as_bytes())?;
            put_io_error(out, source)
        }
        SandboxError::Unavailable(Unavailable::Namespaces { doing, source, .. }) => {
            put_number(out, 13)?;
            put_bytes(out, doing.as_bytes())?;
            put_io_error(out, source)
        }
        // The asking end's own.
        SandboxError::Unavailable(_) | SandboxError::Archive(_) | SandboxError::Lost { .. } => {
            put_number(out, 12)?;
            put_bytes(out, b"tell")?;
            put_io_error(out, &io::Error::other(error.to_string()))
        }
    }
}

pub(super) fn error(input: &mut dyn Read, limits: &Limits) -> io::Result<SandboxError> {
    let most = limits.output as u64;
    Ok(match number(input)? {
        1 => SandboxError::TimedOut {
            limit: limits.time,
            output: bytes(input, most)?,
        },
        2 => SandboxError::TooManyProcesses {
            limit: limits.processes,
            output: bytes(input, most)?,
        },
        3 => SandboxError::OutOfMemory {
            limit: limits.memory,
            output: bytes(input, most)?,
        },
        4 => SandboxError::NotRun {
            program: text(input)?,
            why: not_run(input)?,
        },
        5 => SandboxError::Script {
            path: path(input)?,
            source: io_error(input)?,
        },
        6 => SandboxError::NotAnArchive(text(input)?),
        7 => SandboxError::Unpack {
            doing: text(input)?,
            path: path(input)?,
            source: io_error(input)?,
        },
        8 => SandboxError::TreeTooLarge {
            bytes: limits.disk,
            files: limits.files,
        },
        9 => SandboxError::OwnerUnknown { path: path(input)? },
        10 => SandboxError::Name {
            name: bytes(input, MOST_STRING)?,
            why: text(input)?,
        },
        11 => SandboxError::TooMuchChanged {
            limit: number(input)?,
        },
        12 => SandboxError::Kernel {
            doing: text(input)?,
            source: io_error(input)?,
        },
        13 => Unavailable::Namespaces {
            doing: text(input)?,
            root: rustix::process::geteuid().is_root(),
            source: io_error(input)?,
        }
        .into(),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    })
}

/// Sends why a program never began.
pub(crate) fn put_not_run(out: &mut dyn Write, why: &NotRun) -> io::Result<()> {
    match why {
        NotRun::Missing => put_number(out, 0),
        NotRun::NoInterpreter(name) => {
            put_number(out, 1)?;
            put_bytes(out, name.as_deref().unwrap_or_default().as_bytes())
        }
        NotRun::Format => put_number(out, 2),
        NotRun::Other(source) => {
            put_number(out, 3)?;
            put_io_error(out, source)
        }
    }
}

/// Reads what [`put_not_run`] sent.
pub(crate) fn not_run(input: &mut dyn Read) -> io::Result<NotRun> {
    Ok(match number(input)? {
        0 => NotRun::Missing,
        1 => NotRun::NoInterpreter(Some(text(input)?).filter(|name| !name.is_empty())),
        2 => NotRun::Format,
        _ => NotRun::Other(io_error(input)?),
    })
}
