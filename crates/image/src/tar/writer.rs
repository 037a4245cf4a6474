//! Writes entries one by one.

use std::io::{self, Read, Write};

use prebake_apk::tar::BLOCK;

/// How much content is copied at once.
const BUFFER: usize = 128 << 10;

/// A streaming writer of a tar archive.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
}

/// Why an entry could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The archive cannot be written.
    #[error("the archive cannot be written")]
    Output(#[source] io::Error),
    /// The content cannot be read, or is shorter than the header says.
    #[error("the content cannot be read")]
    Content(#[source] io::Error),
}

impl<W: Write> Writer<W> {
    /// Writes an archive to `out`, in large pieces where contents are large.
    pub fn new(out: W) -> Self {
        Self {
            out,
            buffer: vec![0; BUFFER],
        }
    }

    /// Writes an entry: its header's blocks, and the `size` bytes of `content` that it says.
    pub fn entry(
        &mut self,
        header: &[u8],
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), WriteError> {
        self.out.write_all(header).map_err(WriteError::Output)?;
        let mut left = size;
        while left > 0 {
            let want = left.min(BUFFER as u64) as usize;
            let piece = self.buffer.get_mut(..want).unwrap_or_default();
            match content.read(piece) {
                Ok(0) => {
                    return Err(WriteError::Content(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(count) => {
                    self.out
                        .write_all(piece.get(..count).unwrap_or_default())
                        .map_err(WriteError::Output)?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(WriteError::Content(error)),
            }
        }
        let padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
        self.out
            .write_all([0; BLOCK].get(..padding).unwrap_or_default())
            .map_err(WriteError::Output)
    }

    /// Ends the archive and returns what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }
}
