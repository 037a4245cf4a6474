//! A package's data member, checked as it streams by.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use sha1::Digest as _;

use super::PackageError;
use crate::digest::{Sha1, Sha256};
use crate::entry::{Entry, EntryKind};
use crate::gzip::{Member, Tap};
use crate::tar;

/// How much is inflated at once.
const BUFFER: usize = 64 << 10;

/// Hashes the compressed data.
struct Hash(sha2::Sha256);

impl Tap for Hash {
    fn take(&mut self, compressed: &[u8]) -> io::Result<()> {
        self.0.update(compressed);
        Ok(())
    }
}

/// The entries of a package's data member, in the order of the file.
///
/// [`Data::next`] gives an entry, after which reading gives that file's content. Every file's
/// content is hashed, whether it is read or skipped, and compared when its last byte passes; the
/// whole member is compared when the last entry passed. Until `next` gave `None`, nothing that
/// came out of here is known to be true.
pub struct Data<R> {
    archive: tar::Reader<BufReader<Member<R, Hash>>>,
    expected: Option<Sha256>,
    /// The file whose content is passing.
    current: Option<Current>,
    buffer: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// All was checked.
    Finished,
    /// Something was wrong, and stays so.
    Failed,
}

struct Current {
    path: String,
    expected: Sha1,
    hash: sha1::Sha1,
}

impl<R> fmt::Debug for Data<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data")
            .field("expected", &self.expected)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead> Data<R> {
    pub(super) fn new(reader: R, expected: Option<Sha256>) -> Self {
        let member = Member::new(reader, Hash(sha2::Sha256::new()));
        Self {
            archive: tar::Reader::new(BufReader::with_capacity(BUFFER, member)),
            expected,
            current: None,
            buffer: Vec::new(),
            state: State::Reading,
        }
    }

    /// Returns the next entry, or `None` after the last, when all of the package was checked.
    ///
    /// What is spelled with a `.` at its very beginning is left out, as apk 2.14 leaves it out
    /// (measured): `.dummy`, which packages without a file have, and also `./` and `./usr/bin`. An
    /// entry's `offset` is where its content
    /// begins in the uncompressed data member.
    #[expect(clippy::should_implement_trait, reason = "the items borrow the reader")]
    pub fn next(&mut self) -> Result<Option<Entry>, PackageError> {
        match self.state {
            State::Reading => {}
            State::Finished => return Ok(None),
            State::Failed => return Err(PackageError::Failed),
        }
        let entry = self.advance();
        match entry {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Finished,
            Err(_) => self.state = State::Failed,
        }
        entry
    }

    fn advance(&mut self) -> Result<Option<Entry>, PackageError> {
        loop {
            self.skip()?;
            let Some(entry) = self.archive.next().map_err(PackageError::Data)? else {
                self.end()?;
                return Ok(None);
            };
            let skipped = entry.path.is_root() || self.archive.raw_name().first() == Some(&b'.');
            match (&entry.kind, entry.checksum) {
                (EntryKind::File, Some(expected)) => {
                    self.current = Some(Current {
                        path: entry.path.to_string(),
                        expected,
                        hash: sha1::Sha1::new(),
                    });
                    if entry.size == 0 {
                        self.compare()?;
                    }
                }
                (EntryKind::File, None) if !skipped => {
                    return Err(PackageError::NoChecksum {
                        path: entry.path.to_string(),
                    });
                }
                (EntryKind::Symlink(target), Some(expected)) => {
                    let found = Sha1::of(target);
                    if found != expected {
                        return Err(PackageError::Checksum {
                            path: entry.path.to_string(),
                            expected,
                            found,
                        });
                    }
                }
                _ => {}
            }
            if !skipped {
                return Ok(Some(entry));
            }
        }
    }

    /// Reads what is left of the current file, for its checksum.
    fn skip(&mut self) -> Result<(), PackageError> {
        if self.current.is_none() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(BUFFER, 0);
        let result = loop {
            match self.pass(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        self.buffer = buffer;
        result
    }

    /// Lets content of the current file pass, hashed.
    fn pass(&mut self, buffer: &mut [u8]) -> Result<usize, PackageError> {
        let count = loop {
            match self.archive.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PackageError::DataEnd(error)),
            }
        };
        if let Some(current) = &mut self.current {
            current.hash.update(buffer.get(..count).unwrap_or_default());
            if self.archive.content_left() == 0 {
                self.compare()?;
            }
        }
        Ok(count)
    }

    /// Compares the current file, all of which has passed.
    fn compare(&mut self) -> Result<(), PackageError> {
        let Some(current) = self.current.take() else {
            return Ok(());
        };
        let found = Sha1::new(current.hash.finalize().into());
        if found == current.expected {
            Ok(())
        } else {
            Err(PackageError::Checksum {
                path: current.path,
                expected: current.expected,
                found,
            })
        }
    }

    /// Checks the member as a whole and that nothing follows it. The archive's reader has read
    /// the member to its end.
    fn end(&mut self) -> Result<(), PackageError> {
        let (reader, tap) = self.archive.get_mut().get_mut().parts_mut();
        let found = Sha256::new(std::mem::take(&mut tap.0).finalize().into());
        match self.expected {
            None => return Err(PackageError::NoDataHash),
            Some(expected) if expected != found => {
                return Err(PackageError::DataHash { expected, found });
            }
            Some(_) => {}
        }
        if reader.fill_buf().map_err(PackageError::DataEnd)?.is_empty() {
            Ok(())
        } else {
            Err(PackageError::TrailingBytes)
        }
    }
}

/// The current file's content. An error may be a [`PackageError`] inside, and ends the package.
impl<R: BufRead> Read for Data<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.state == State::Failed {
            return Err(io::Error::other(PackageError::Failed));
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        self.pass(buffer).map_err(|error| {
            self.state = State::Failed;
            match error {
                PackageError::DataEnd(error) => error,
                other => io::Error::new(io::ErrorKind::InvalidData, other),
            }
        })
    }
}
