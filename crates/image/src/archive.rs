//! Writes a plan as a compressed archive, from kept segments and new ones.
//!
//! The bytes are those that encoding every segment anew gives, whatever was kept and however many
//! threads there are: a [`Store`] gives out what was put under a name that holds everything a
//! segment's bytes depend on, or nothing.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use prebake_apk::digest::Sha256;
use prebake_rootfs::Tree;
use sha2::Digest as _;

use crate::encoding::{Encoded, Encoding};
use crate::error::ImageError;
use crate::plan::{Plan, Segment};
use crate::sources::Sources;
use crate::store::{NoStore, Store, name};
use crate::stream::{Piece, Stream};
use crate::tar::Hashing;
use crate::workers::Workers;

/// How to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many threads encode. It changes nothing but the time, and the memory: three segments
    /// for each.
    pub threads: usize,
    /// The format and its level.
    pub encoding: Encoding,
    /// The identity of a stream with the plan's key, where it is known: then only those parts of
    /// the stream are read that have to be encoded. Else all of it is, and hashed.
    pub identity: Option<Sha256>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The SHA-256 of the uncompressed stream: the identity of the root filesystem.
    pub identity: Sha256,
    /// The length of the uncompressed stream in bytes.
    pub uncompressed_length: u64,
    /// The SHA-256 of the file.
    pub compressed: Sha256,
    /// The length of the file in bytes.
    pub compressed_length: u64,
    /// How many segments there are, and how many of them were kept from before.
    pub segments: (usize, usize),
}

/// An archive as the names of its segments in a [`Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    /// The format and its level.
    pub encoding: Encoding,
    /// Each segment's key, and its length before compression in bytes.
    pub segments: Vec<(Sha256, u64)>,
}

impl Assembly {
    /// Returns the assembly of a plan; `None` if some of its segments are not kept.
    pub fn of(plan: &Plan<'_>, encoding: Encoding) -> Option<Self> {
        let segments = plan.segments().iter();
        let segments = segments.map(|one| Some((one.key?, one.end - one.start)));
        Some(Self {
            encoding,
            segments: segments.collect::<Option<_>>()?,
        })
    }
}

/// Writes `tree` anew.
///
/// An error of `out` ends the writing and comes back as [`ImageError::Output`], which is how a
/// caller cancels: give out an error of any kind but [`Interrupted`](std::io::ErrorKind::Interrupted).
pub fn write(
    tree: &Tree,
    sources: &mut dyn Sources,
    out: &mut dyn Write,
    encoding: Encoding,
    threads: usize,
) -> Result<Written, ImageError> {
    let plan = Plan::new(tree, encoding.borders(), &|_| None)?;
    let options = Options {
        threads,
        encoding,
        identity: None,
    };
    write_plan(&plan, sources, &NoStore, out, &options)
}

/// Writes a plan, with what `store` has of it; what it has not is put there.
///
/// Errors are those of [`write()`].
pub fn write_plan(
    plan: &Plan<'_>,
    sources: &mut dyn Sources,
    store: &dyn Store,
    out: &mut dyn Write,
    options: &Options,
) -> Result<Written, ImageError> {
    std::thread::scope(|scope| {
        let workers = Workers::start(scope, store, options.encoding, options.threads);
        let mut output = Output::begin(Hashing::new(out), options.encoding, workers)?;
        let mut stream = Stream::new(plan, sources);
        let mut hash = options.identity.is_none().then(sha2::Sha256::new);
        let mut kept = 0;
        // What is kept is asked for some segments ahead, so that the threads look for it.
        let mut asked = VecDeque::new();
        let mut ahead = plan.segments().iter();
        for segment in plan.segments() {
            while asked.len() <= output.workers.flight()
                && let Some(next) = ahead.next()
            {
                let key = next.key.as_ref();
                let name = key.map(|key| name(options.encoding, key));
                asked.push_back(name.map(|name| output.workers.bring(name)));
            }
            let found = asked.pop_front().flatten();
            let found = found.and_then(|found| found.recv().ok().flatten());
            let Segment { key, start, end } = *segment;
            let piece = if hash.is_some() || found.is_none() {
                let origins = found.is_none() && options.encoding.grafts();
                stream.read(start, end, origins)?
            } else {
                Piece::default()
            };
            let piece = Arc::new(piece);
            let flying = if let Some(found) = found {
                kept += 1;
                Flying::Here(found)
            } else {
                let name = key.map(|key| name(options.encoding, &key));
                Flying::Coming(output.workers.encode(Arc::clone(&piece), name))
            };
            // While it is being encoded.
            if let Some(hash) = &mut hash {
                hash.update(&piece.bytes);
            }
            drop(piece);
            output.take(flying, end - start)?;
        }
        let identity = hash.map(|hash| Sha256::new(hash.finalize().into()));
        let file = output.finish()?;
        Ok(Written {
            identity: identity
                .or(options.identity)
                .unwrap_or(Sha256::new([0; 32])),
            uncompressed_length: plan.length(),
            compressed: Sha256::new(file.hash.finalize().into()),
            compressed_length: file.length,
            segments: (plan.segments().len(), kept),
        })
    })
}

/// Writes an archive from kept segments alone; says whether all of them were there. Nothing is
/// hashed but what the store does.
pub fn assemble(
    assembly: &Assembly,
    store: &dyn Store,
    out: &mut dyn Write,
    threads: usize,
) -> Result<bool, ImageError> {
    std::thread::scope(|scope| {
        let workers = Workers::start(scope, store, assembly.encoding, threads);
        let mut output = Output::begin(out, assembly.encoding, workers)?;
        for (key, length) in &assembly.segments {
            let brought = output.workers.bring(name(assembly.encoding, key));
            match output.take(Flying::Coming(brought), *length) {
                Err(ImageError::Encoding) => return Ok(false),
                result => result?,
            }
        }
        match output.finish() {
            Err(ImageError::Encoding) => Ok(false),
            result => result.map(|_| true),
        }
    })
}

/// A segment that is to be written.
enum Flying {
    Here(Encoded),
    Coming(Receiver<Option<Encoded>>),
}

/// The file that is being written.
struct Output<'e, W> {
    out: W,
    encoding: Encoding,
    workers: Workers<'e>,
    flight: VecDeque<(Flying, u64)>,
    crc: u32,
    /// How many bytes of the stream were written.
    length: u64,
}

impl<'e, W: Write> Output<'e, W> {
    fn begin(mut out: W, encoding: Encoding, workers: Workers<'e>) -> Result<Self, ImageError> {
        out.write_all(encoding.head()).map_err(ImageError::Output)?;
        Ok(Self {
            out,
            encoding,
            workers,
            flight: VecDeque::new(),
            crc: 0,
            length: 0,
        })
    }

    /// Takes the next segment, of `length` bytes before it was encoded.
    fn take(&mut self, segment: Flying, length: u64) -> Result<(), ImageError> {
        self.flight.push_back((segment, length));
        while self.flight.len() > self.workers.flight() {
            self.land()?;
        }
        Ok(())
    }

    /// Writes the oldest segment.
    fn land(&mut self) -> Result<(), ImageError> {
        let Some((segment, length)) = self.flight.pop_front() else {
            return Ok(());
        };
        let encoded = match segment {
            Flying::Here(encoded) => Some(encoded),
            // Without a reply the thread has panicked.
            Flying::Coming(coming) => coming.recv().ok().flatten(),
        };
        let encoded = encoded.ok_or(ImageError::Encoding)?;
        self.out
            .write_all(&encoded.bytes)
            .map_err(ImageError::Output)?;
        self.crc = zlib_rs::crc32::crc32_combine(self.crc, encoded.crc, length);
        self.length += length;
        Ok(())
    }

    fn finish(mut self) -> Result<W, ImageError> {
        while !self.flight.is_empty() {
            self.land()?;
        }
        let tail = self.encoding.tail(self.crc, self.length);
        self.out
            .write_all(&tail)
            .and_then(|()| self.out.flush())
            .map_err(ImageError::Output)?;
        Ok(self.out)
    }
}
