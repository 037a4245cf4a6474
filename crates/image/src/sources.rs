//! Where the contents of a tree come from.

use std::io::{self, Read};

use prebake_rootfs::tree::SourceId;

/// How much is read at once where bytes are only skipped.
const SKIP_BUFFER: usize = 64 << 10;

/// Opens the archives that a tree's contents are in.
pub trait Sources {
    /// Opens a source's uncompressed archive at its start. It is read forwards, once for each
    /// image, as a rule; a tree whose order is not that of its sources only makes it slower.
    fn open(&mut self, source: SourceId) -> io::Result<Box<dyn Read>>;

    /// Returns the content that begins `offset` bytes into a source's uncompressed archive, if it
    /// is in memory: the very bytes of which the tree has the length and the SHA-1.
    fn held(&self, source: SourceId, offset: u64) -> Option<&[u8]> {
        let _ = (source, offset);
        None
    }
}

/// A reader of sources that keeps the one open that it reads from.
pub(crate) struct Forward<'a> {
    sources: &'a mut dyn Sources,
    open: Option<Open>,
    buffer: Vec<u8>,
}

struct Open {
    source: SourceId,
    position: u64,
    reader: Box<dyn Read>,
}

impl<'a> Forward<'a> {
    pub(crate) fn new(sources: &'a mut dyn Sources) -> Self {
        Self {
            sources,
            open: None,
            buffer: Vec::new(),
        }
    }

    /// Returns a content that is in memory.
    pub(crate) fn held(&self, source: SourceId, offset: u64) -> Option<&[u8]> {
        self.sources.held(source, offset)
    }

    /// Returns a reader of what begins `offset` bytes into a source.
    pub(crate) fn at(&mut self, source: SourceId, offset: u64) -> io::Result<impl Read + '_> {
        let mut open = match self.open.take() {
            Some(open) if open.source == source && open.position <= offset => open,
            _ => Open {
                source,
                position: 0,
                reader: self.sources.open(source)?,
            },
        };
        self.buffer.resize(SKIP_BUFFER, 0);
        while open.position < offset {
            let want = (offset - open.position).min(SKIP_BUFFER as u64) as usize;
            match open
                .reader
                .read(self.buffer.get_mut(..want).unwrap_or_default())
            {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => open.position += count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Counted(self.open.insert(open)))
    }
}

/// Counts what is read.
struct Counted<'a>(&'a mut Open);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.reader.read(buffer)?;
        self.0.position += count as u64;
        Ok(count)
    }
}
