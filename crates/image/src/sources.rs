//! Where the contents of a tree come from.

use std::io::{self, Read};
use std::sync::Arc;

use prebake_rootfs::tree::SourceId;

use crate::deflate::Members;

/// How much is read at once where bytes are only skipped.
const SKIP_BUFFER: usize = 64 << 10;

/// How large a file is at most that [`Sources::compressed`] gives out, in bytes: it is held in
/// memory while parts of it are written.
pub const MAX_COMPRESSED: u64 = 16 << 20;

/// A gzip file in memory that a source's archive is in, and what is known of its blocks.
#[derive(Clone, Debug)]
pub struct Compressed(pub(crate) Arc<Members>);

impl Compressed {
    /// Takes a file in which the archive's first member begins at byte `start`. The other members
    /// are all behind it.
    pub fn new(file: Arc<Vec<u8>>, start: usize) -> Self {
        Self(Arc::new(Members::new(file, start)))
    }

    /// Returns all of the file.
    pub fn file(&self) -> &Arc<Vec<u8>> {
        self.0.file()
    }

    /// Finds its blocks for as long as `wanted` says so, which it is asked every few milliseconds. It
    /// takes about as long as inflating the file. Blocks that were not found are found when they are
    /// needed, so that it changes nothing but when the time is taken.
    pub fn find_blocks(&self, wanted: impl Fn() -> bool) {
        self.0.find(wanted);
    }
}

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

    /// Returns the gzip file that a source's archive is in, so that what it compressed well need
    /// not be compressed again; `None` if there is none, or it is larger than [`MAX_COMPRESSED`].
    ///
    /// What is written depends on the answer, so that it must depend on nothing but the file; and
    /// what a plan calls the source's digest has to be the digest of this file.
    fn compressed(&mut self, source: SourceId) -> io::Result<Option<Compressed>> {
        let _ = source;
        Ok(None)
    }
}

/// A reader of sources that keeps the one open that it reads from.
pub(crate) struct Forward<'a> {
    sources: &'a mut dyn Sources,
    open: Option<Open>,
    buffer: Vec<u8>,
    /// The file of the source that was asked for last.
    members: Option<(SourceId, Option<Arc<Members>>)>,
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
            members: None,
        }
    }

    /// Returns the gzip file that a source's archive is in.
    pub(crate) fn members(&mut self, source: SourceId) -> io::Result<Option<Arc<Members>>> {
        let members = match self.members.take() {
            Some((known, members)) if known == source => members,
            _ => {
                let compressed = self.sources.compressed(source)?;
                compressed
                    .filter(|compressed| compressed.file().len() as u64 <= MAX_COMPRESSED)
                    .map(|compressed| compressed.0)
            }
        };
        self.members = Some((source, members.clone()));
        Ok(members)
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
