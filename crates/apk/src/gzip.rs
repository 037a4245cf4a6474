//! Splits files into their gzip members and inflates them.
//!
//! An apk package is three gzip members in a row, and what identifies and authenticates it are
//! digests of *compressed* members. [`Member`] therefore inflates exactly one member, says where
//! it ends, and shows the compressed bytes to a [`Tap`] as they pass. [`Reader`] is for files
//! where only the whole content counts, such as a base tarball.
//!
//! The format is RFC 1952; the tests are judged by Python's `zlib`.

use std::fmt;
use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::{FREE_OF_RATIO, MAX_GZIP_MEMBERS, MAX_RATIO};

/// Sees the compressed bytes of a [`Member`].
pub trait Tap {
    /// Takes the next compressed bytes. An error ends the reading.
    fn take(&mut self, compressed: &[u8]) -> io::Result<()>;
}

/// Looks at nothing.
impl Tap for () {
    fn take(&mut self, _compressed: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// What is wrong with a gzip member. It is the inside of the [`io::Error`]s that reading gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GzipError {
    /// There is no gzip header.
    #[error("this is not gzip data")]
    Magic,
    /// There is a package or index of apk 3's own format.
    #[error(
        "this is apk 3's own format, which is not supported; Alpine's repositories do not use it"
    )]
    Adb,
    /// The input ends inside a member.
    #[error("the gzip data is truncated")]
    Truncated,
    /// The deflate stream, the CRC or the length is wrong.
    #[error("the gzip data is damaged near byte {offset} of its member ({reason})")]
    Damaged {
        /// How many compressed bytes of the member were read before.
        offset: u64,
        /// What the inflater says.
        reason: String,
    },
    /// It inflates to more than [`MAX_RATIO`] times its size: a bomb.
    #[error(
        "the gzip data inflates to more than {MAX_RATIO} times its size: {compressed} bytes became \
         {inflated}"
    )]
    Ratio {
        /// How many compressed bytes were read.
        compressed: u64,
        /// How many bytes they became.
        inflated: u64,
    },
    /// There are more than [`MAX_GZIP_MEMBERS`] members.
    #[error("the gzip file has more than {MAX_GZIP_MEMBERS} members")]
    TooManyMembers,
}

impl From<GzipError> for io::Error {
    fn from(error: GzipError) -> Self {
        let kind = match error {
            GzipError::Truncated => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Inflates one gzip member.
///
/// Reading gives the uncompressed bytes, and ends where the member ends, after its CRC and its
/// length were checked. Nothing behind it is taken from `inner`. Reads should be large: the
/// inflater is at its best with some kilobytes of room.
pub struct Member<R, T> {
    inner: R,
    tap: T,
    inflate: Decompress,
    compressed: u64,
    /// The compressed and the inflated bytes of the members before it in its file.
    before: (u64, u64),
    finished: bool,
}

impl<R, T> fmt::Debug for Member<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("compressed", &self.compressed)
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}

impl<R: BufRead, T: Tap> Member<R, T> {
    /// Reads the member that begins at the current position of `inner`.
    pub fn new(inner: R, tap: T) -> Self {
        Self {
            inner,
            tap,
            inflate: Decompress::new_gzip(15),
            compressed: 0,
            before: (0, 0),
            finished: false,
        }
    }

    /// Fails if what was inflated is too much for what it was inflated from.
    fn check_ratio(&self) -> Result<(), GzipError> {
        let compressed = self.before.0 + self.compressed;
        let inflated = self.before.1 + self.inflate.total_out();
        if inflated <= FREE_OF_RATIO || inflated / MAX_RATIO <= compressed {
            return Ok(());
        }
        Err(GzipError::Ratio {
            compressed,
            inflated,
        })
    }

    /// Returns how many compressed bytes were read so far.
    pub fn compressed_length(&self) -> u64 {
        self.compressed
    }

    /// Says whether the member was read to its end, and was whole.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns what the member was read from, and what saw its compressed bytes.
    pub fn into_parts(self) -> (R, T) {
        (self.inner, self.tap)
    }

    /// Returns what the member is read from, and what sees its compressed bytes.
    pub fn parts_mut(&mut self) -> (&mut R, &mut T) {
        (&mut self.inner, &mut self.tap)
    }
}

impl<R: BufRead, T: Tap> Read for Member<R, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.finished && !buffer.is_empty() {
            let input = self.inner.fill_buf()?;
            if input.is_empty() {
                return Err(GzipError::Truncated.into());
            }
            if self.compressed == 0 {
                match input {
                    [0x1f, ..] => {}
                    [b'A', b'D', b'B', ..] => return Err(GzipError::Adb.into()),
                    _ => return Err(GzipError::Magic.into()),
                }
            }
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(input, buffer, FlushDecompress::None)
                .map_err(|error| GzipError::Damaged {
                    offset: self.compressed,
                    reason: error.message().unwrap_or("no reason given").to_owned(),
                })?;
            let taken = (self.inflate.total_in() - taken) as usize;
            let given = (self.inflate.total_out() - given) as usize;
            self.tap.take(input.get(..taken).unwrap_or_default())?;
            self.inner.consume(taken);
            self.compressed += taken as u64;
            self.finished = status == Status::StreamEnd;
            if given > 0 {
                self.check_ratio()?;
                return Ok(given);
            }
            if taken == 0 && !self.finished {
                // There was input and there was room, so that standing still is an error.
                return Err(GzipError::Damaged {
                    offset: self.compressed,
                    reason: "no progress".to_owned(),
                }
                .into());
            }
        }
        Ok(0)
    }
}

/// Inflates a whole gzip file: one member or several in a row, and nothing else behind them.
///
/// ```
/// use std::io::Read as _;
///
/// let mut text = Vec::new();
/// let error = prebake_apk::gzip::Reader::new(&b"plain"[..]).read_to_end(&mut text);
/// assert_eq!(error.unwrap_err().to_string(), "this is not gzip data");
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    member: Option<Member<R, ()>>,
    members: u32,
}

impl<R: BufRead> Reader<R> {
    /// Reads the file that `inner` holds, from its current position on.
    pub fn new(inner: R) -> Self {
        Self {
            member: Some(Member::new(inner, ())),
            members: 1,
        }
    }
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if member.parts_mut().0.fill_buf()?.is_empty() {
                break;
            }
            self.members += 1;
            if self.members > MAX_GZIP_MEMBERS {
                return Err(GzipError::TooManyMembers.into());
            }
            self.member = self.member.take().map(|member| {
                let compressed = member.before.0 + member.compressed;
                let inflated = member.before.1 + member.inflate.total_out();
                Member {
                    before: (compressed, inflated),
                    ..Member::new(member.into_parts().0, ())
                }
            });
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::Write as _;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut writer = GzBuilder::new().write(Vec::new(), Compression::default());
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    #[derive(Default)]
    struct Kept(Vec<u8>);

    impl Tap for Kept {
        fn take(&mut self, compressed: &[u8]) -> io::Result<()> {
            self.0.extend_from_slice(compressed);
            Ok(())
        }
    }

    fn inflate(mut reader: impl Read) -> Result<Vec<u8>, GzipError> {
        let mut content = Vec::new();
        match reader.read_to_end(&mut content) {
            Ok(_) => Ok(content),
            Err(error) => Err(error.downcast().unwrap()),
        }
    }

    #[test]
    fn members_end_where_they_end() {
        let first = gzip(b"first");
        let file = [&first[..], &gzip(b"second"), b"rest"].concat();
        let mut one = Member::new(&file[..], Kept::default());
        assert_eq!(inflate(&mut one).unwrap(), b"first");
        assert!(one.is_finished());
        assert_eq!(one.compressed_length(), first.len() as u64);
        let (left, kept) = one.into_parts();
        assert_eq!(kept.0, first);
        let mut two = Member::new(left, ());
        assert_eq!(inflate(&mut two).unwrap(), b"second");
        assert_eq!(two.into_parts().0, b"rest");
    }

    #[test]
    fn a_file_of_several_members_is_one_text() {
        let file = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(inflate(Reader::new(&file[..])).unwrap(), b"one two");
        let with_garbage = [&file[..], b"\0"].concat();
        assert_eq!(
            inflate(Reader::new(&with_garbage[..])),
            Err(GzipError::Magic)
        );
    }

    #[test]
    fn damage_is_refused() {
        let file = gzip(&[7; 1000]);
        for length in 0..file.len() {
            assert_eq!(
                inflate(Reader::new(&file[..length])),
                Err(GzipError::Truncated),
                "{length}"
            );
        }
        // Of the header, only time, level and system may say anything.
        for at in (0..file.len()).filter(|at| !(4..10).contains(at)) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x40;
            // Behind the last code of the deflate stream a byte may have bits that mean nothing.
            match inflate(Reader::new(&damaged[..])) {
                Ok(content) => assert_eq!((at, content), (file.len() - 9, vec![7; 1000])),
                Err(error) => assert_ne!(error, GzipError::Adb),
            }
        }
        assert_eq!(inflate(Reader::new(&b"ADBd"[..])), Err(GzipError::Adb));
    }
}
