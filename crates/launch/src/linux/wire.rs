//! How the processes of a sandbox talk: numbers of eight bytes and counted byte strings.
//!
//! All ends are of one build on one machine, so there is no version and no byte order to agree
//! on; what is read is bounded all the same.

use std::io::{self, Read, Write};

pub(crate) fn put_number(out: &mut dyn Write, number: u64) -> io::Result<()> {
    out.write_all(&number.to_ne_bytes())
}

pub(crate) fn put_bytes(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    put_number(out, bytes.len() as u64)?;
    out.write_all(bytes)
}

pub(crate) fn number(input: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Reads a byte string of at most `most` bytes.
pub(crate) fn bytes(input: &mut dyn Read, most: u64) -> io::Result<Vec<u8>> {
    let length = number(input)?;
    if length > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{length} bytes where at most {most} are taken"),
        ));
    }
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Sends what the kernel said: its number, or 0 and a text for what is none of the kernel's.
pub(crate) fn put_io_error(out: &mut dyn Write, error: &io::Error) -> io::Result<()> {
    if let Some(number) = error.raw_os_error() {
        return put_number(out, number as u64);
    }
    put_number(out, 0)?;
    put_bytes(out, error.to_string().as_bytes())
}

/// The longest text that travels with an error, in bytes.
const MOST_TEXT: u64 = 64 << 10;

pub(crate) fn io_error(input: &mut dyn Read) -> io::Result<io::Error> {
    Ok(match number(input)? {
        0 => io::Error::other(text(input)?),
        number => io::Error::from_raw_os_error(number as i32),
    })
}

pub(crate) fn text(input: &mut dyn Read) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&bytes(input, MOST_TEXT)?).into_owned())
}
