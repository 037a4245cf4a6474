//! Reads tar archives: POSIX ustar, pax and the GNU dialect.
//!
//! Alpine's packages are ustar with pax records, its minirootfs tarballs are the GNU dialect
//! (magic `ustar` and two spaces). The reader takes just what such archives need and refuses all
//! that two programs could read differently: sparse files, sizes on what is no file, sizes that
//! contradict each other, the same record twice with different values, a long name given twice,
//! numbers with anything around them, and anything after the end of the archive. Published attacks on tar readers live in exactly
//! those places.
//!
//! The format is that of POSIX.1-2017's `pax`, and GNU tar's manual for its dialect. The tests
//! are judged by GNU tar, libarchive's and Python's `tarfile`, on good archives and on damaged ones.

mod error;
mod header;
mod number;
mod pending;
mod records;

use std::io::{self, Read};

use crate::entry::{Entry, EntryKind};
use crate::limits::{MAX_CONTENTS, MAX_TAR_ENTRIES, MAX_TAR_HELD, MAX_TAR_METADATA};

pub use self::error::{TarError, TarErrorKind};
use self::header::{Header, Kind};
use self::pending::Pending;
use self::records::Records;

/// The size of a tar block: headers are one block and contents are padded to whole ones.
pub const BLOCK: usize = 512;

/// A block of zeros ends an archive.
const ZERO_BLOCK: [u8; BLOCK] = [0; BLOCK];

/// How much is read at once where bytes are only skipped.
const SKIP_BUFFER: usize = 64 << 10;

/// A streaming reader of an uncompressed tar archive.
///
/// It reads forward only and holds no content. [`Reader::next`] gives an entry, after which the
/// reader itself is that entry's content; what is not read of it is skipped.
///
/// ```
/// use prebake_apk::tar;
///
/// let mut reader = tar::Reader::new(&[0_u8; 1024][..]);
/// assert!(reader.next()?.is_none());
/// # Ok::<(), prebake_apk::tar::TarError>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Bytes read so far.
    position: u64,
    /// Content of the current entry that is not read yet.
    content_left: u64,
    /// Zeros between that content and the next header.
    padding_left: u64,
    entries: u64,
    /// What the entries so far made their receiver hold, in bytes.
    held: u64,
    /// How long the contents so far are, in bytes.
    contents: u64,
    name: Vec<u8>,
    finished: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the archive that `inner` holds, from its current position on.
    ///
    /// Headers are read one block at a time, so `inner` should be buffered.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            position: 0,
            content_left: 0,
            padding_left: 0,
            entries: 0,
            held: 0,
            contents: 0,
            name: Vec::new(),
            finished: false,
        }
    }

    /// Returns the next entry, or `None` after the last.
    ///
    /// The end is two blocks of zeros, or one, or none, as apk's signature and control archives
    /// have it. `inner` is then read to its own end, where only zeros may stand.
    // `Iterator` does not fit: the reader itself is the entry's content.
    #[expect(clippy::should_implement_trait, reason = "the items borrow the reader")]
    pub fn next(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip_content()?;
        if self.finished {
            return Ok(None);
        }
        let mut pending = Pending::default();
        loop {
            let at = self.position;
            let fail = |kind| TarError::new(at, kind);
            let Some(block) = self.block()? else {
                self.finished = true;
                if pending.is_some() {
                    return Err(fail(TarErrorKind::NothingDescribed));
                }
                return Ok(None);
            };
            if block == ZERO_BLOCK {
                if pending.is_some() {
                    return Err(fail(TarErrorKind::NothingDescribed));
                }
                self.expect_only_zeros()?;
                self.finished = true;
                return Ok(None);
            }
            self.entries += 1;
            if self.entries > MAX_TAR_ENTRIES {
                return Err(fail(TarErrorKind::TooManyEntries));
            }
            let header =
                Header::parse(&block).map_err(|kind| fail(kind).of(header::name(&block)))?;
            match header.kind {
                Kind::LongName => {
                    let text = self.metadata(at, header.size)?;
                    if pending.records.is_some() {
                        return Err(fail(TarErrorKind::MixedDialects));
                    }
                    let text = long_text(text).ok_or(TarErrorKind::LongText("long name"));
                    if pending.long_name.replace(text.map_err(fail)?).is_some() {
                        return Err(fail(TarErrorKind::Twice("long name")));
                    }
                }
                Kind::LongLink => {
                    let text = self.metadata(at, header.size)?;
                    if pending.records.is_some() {
                        return Err(fail(TarErrorKind::MixedDialects));
                    }
                    let text = long_text(text).ok_or(TarErrorKind::LongText("long link"));
                    if pending.long_link.replace(text.map_err(fail)?).is_some() {
                        return Err(fail(TarErrorKind::Twice("long link")));
                    }
                }
                Kind::Pax => {
                    let text = self.metadata(at, header.size)?;
                    if pending.long_name.is_some() || pending.long_link.is_some() {
                        return Err(fail(TarErrorKind::MixedDialects));
                    }
                    let records = Records::parse(&text).map_err(fail)?;
                    if pending.records.replace(records).is_some() {
                        return Err(fail(TarErrorKind::Twice("pax header")));
                    }
                }
                Kind::GlobalPax => {
                    let text = self.metadata(at, header.size)?;
                    let records = Records::parse(&text).map_err(fail)?;
                    if pending.is_some() {
                        return Err(fail(TarErrorKind::NothingDescribed));
                    }
                    if !records.is_empty() {
                        return Err(fail(TarErrorKind::GlobalRecords));
                    }
                }
                _ => return self.entry(at, header, pending).map(Some),
            }
        }
    }

    /// Returns the current entry's name as the archive spells it.
    pub fn raw_name(&self) -> &[u8] {
        &self.name
    }

    /// Returns how much of the current entry's content is not read yet, in bytes.
    pub fn content_left(&self) -> u64 {
        self.content_left
    }

    /// Returns what the archive was read from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Returns what the archive is read from. Reading from it loses the reader its place.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Puts an entry together and makes its content the current one.
    fn entry(&mut self, at: u64, header: Header, pending: Pending) -> Result<Entry, TarError> {
        let (entry, name) = pending.describe(header, self.position);
        let fail = |kind| TarError::new(at, kind).of(&name);
        let entry = entry.map_err(fail)?;
        self.held += held(&entry, &name);
        if self.held > MAX_TAR_HELD {
            return Err(fail(TarErrorKind::TooMuchHeld));
        }
        self.contents += entry.size;
        if self.contents > MAX_CONTENTS {
            return Err(fail(TarErrorKind::ContentsTooLarge));
        }
        self.content_left = entry.size;
        self.padding_left = entry.size.next_multiple_of(BLOCK as u64) - entry.size;
        self.name = name;
        Ok(entry)
    }

    /// Reads one block; `None` at the very end of the input.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = ZERO_BLOCK;
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(TarError::new(self.position, TarErrorKind::Truncated)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TarError::new(self.position, TarErrorKind::Io(error))),
            }
        }
        self.position += BLOCK as u64;
        Ok(Some(block))
    }

    /// Reads the content of a header that describes the next entry.
    fn metadata(&mut self, at: u64, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_TAR_METADATA {
            return Err(TarError::new(at, TarErrorKind::MetadataTooLarge { size }));
        }
        // The size is bounded, and still nothing is set aside before the bytes are there.
        let mut text = Vec::new();
        let whole = size.next_multiple_of(BLOCK as u64);
        while (text.len() as u64) < whole {
            let block = self
                .block()?
                .ok_or_else(|| TarError::new(self.position, TarErrorKind::Truncated))?;
            text.extend_from_slice(&block);
        }
        text.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(text)
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        let mut left = self.content_left + self.padding_left;
        self.content_left = 0;
        self.padding_left = 0;
        if left == 0 {
            return Ok(());
        }
        let mut buffer = vec![0; left.min(SKIP_BUFFER as u64) as usize];
        while left > 0 {
            let want = left.min(buffer.len() as u64) as usize;
            let fail = |kind| TarError::new(self.position, kind).of(&self.name);
            match self.inner.read(buffer.get_mut(..want).unwrap_or_default()) {
                Ok(0) => return Err(fail(TarErrorKind::Truncated)),
                Ok(count) => {
                    left -= count as u64;
                    self.position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(TarErrorKind::Io(error))),
            }
        }
        Ok(())
    }

    /// Reads to the end of the input, which may hold zeros only.
    fn expect_only_zeros(&mut self) -> Result<(), TarError> {
        let mut buffer = vec![0; SKIP_BUFFER];
        loop {
            let fail = |kind| TarError::new(self.position, kind);
            match self.inner.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    let read = buffer.get(..count).unwrap_or_default();
                    if let Some(at) = read.iter().position(|byte| *byte != 0) {
                        return Err(TarError::new(
                            self.position + at as u64,
                            TarErrorKind::AfterEnd,
                        ));
                    }
                    self.position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(TarErrorKind::Io(error))),
            }
        }
    }
}

/// The current entry's content.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = self.content_left.min(buffer.len() as u64) as usize;
        if want == 0 {
            return Ok(0);
        }
        let count = self
            .inner
            .read(buffer.get_mut(..want).unwrap_or_default())?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                TarError::new(self.position, TarErrorKind::Truncated).of(&self.name),
            ));
        }
        self.content_left -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

/// Cuts a GNU long name at its NUL, which every tar writes behind it. What is empty, has no NUL or
/// goes on behind it is none: programs differ about how long it is.
fn long_text(mut text: Vec<u8>) -> Option<Vec<u8>> {
    let end = memchr::memchr(0, &text)?;
    let rest = text.get(end..)?;
    if end == 0 || rest.iter().any(|byte| *byte != 0) {
        return None;
    }
    text.truncate(end);
    Some(text)
}

/// Returns how many bytes an entry takes of whoever keeps it, beside what all entries take.
fn held(entry: &Entry, name: &[u8]) -> u64 {
    let link = match &entry.kind {
        EntryKind::Symlink(target) => target.len(),
        EntryKind::Hardlink(target) => target.as_bytes().len(),
        _ => 0,
    };
    let xattrs = entry.xattrs.iter();
    let xattrs = xattrs.map(|(name, value)| name.len() + value.len());
    (name.len() + link + xattrs.sum::<usize>()) as u64
}
