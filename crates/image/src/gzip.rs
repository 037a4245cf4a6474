//! Compresses a stream with several threads into bytes that do not depend on their number.
//!
//! The stream is cut into blocks of a fixed size. Each is deflated on its own, with the last
//! 32 KiB of the one before as its dictionary, and ends at a byte boundary by a sync flush; the
//! last one ends the deflate stream. Put together they are one ordinary gzip member (RFC 1952,
//! RFC 1951), and which thread deflated which block leaves no trace. The header has no name, no
//! time and no operating system. The tests are judged by `gzip` and Python's `zlib`.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// The compressor. The workspace pins both crates exactly, because another version may give
/// other bytes; changing the pin is announced in the changelog.
pub const COMPRESSOR: &str = "zlib-rs 0.6.8";

/// How much of the stream is one block, in bytes.
///
/// Measured on the recipe's 10 MB with level 9, sizes from 128 KiB to the whole stream differ by
/// 0.06 % in all, so this is small for memory's sake: two blocks for each thread are in flight.
/// Changing it changes compressed bytes.
pub const BLOCK: usize = 256 << 10;

/// How far deflate looks back, in bytes, and so how large a dictionary can be.
const WINDOW: usize = 32 << 10;

/// The gzip header: deflate, no flags, no time, no hint about the level, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The most threads that are started, whatever is asked for.
const MAX_THREADS: usize = 256;

/// Writes a gzip member.
///
/// What is written becomes visible in `W` a block at a time. [`Encoder::finish`] must be called;
/// an encoder that is dropped leaves a truncated member behind.
pub struct Encoder<W> {
    out: W,
    level: Compression,
    /// The dictionary and then the block that is being filled.
    buffer: Vec<u8>,
    dictionary: usize,
    crc: Crc,
    length: u64,
    pool: Pool,
    /// The blocks that are being deflated, in the order of the stream.
    flight: VecDeque<Receiver<Deflated>>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
}

impl<W> fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("level", &self.level)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A block to deflate.
struct Job {
    buffer: Vec<u8>,
    dictionary: usize,
    last: bool,
    level: Compression,
    reply: SyncSender<Deflated>,
}

/// A block that was deflated, and the buffer that it was in.
struct Deflated {
    result: io::Result<Vec<u8>>,
    buffer: Vec<u8>,
}

/// Who deflates.
#[derive(Default)]
struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl<W: Write> Encoder<W> {
    /// Begins a gzip member at `level` 0 to 9, deflated by `threads` threads beside the caller's;
    /// with none or one the caller's own does it. Neither changes memory by the stream's length.
    pub fn new(mut out: W, level: u32, threads: usize) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self {
            out,
            level: Compression::new(level.min(9)),
            buffer: Vec::new(),
            dictionary: 0,
            crc: Crc::new(),
            length: 0,
            pool: Pool::start(threads.min(MAX_THREADS)),
            flight: VecDeque::new(),
            spare: Vec::new(),
        })
    }

    /// Ends the member and returns what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.dispatch(true)?;
        while !self.flight.is_empty() {
            self.land()?;
        }
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        // The length is kept modulo 2^32.
        self.out.write_all(&(self.length as u32).to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Gives the buffer away to be deflated and begins the next one with its end.
    fn dispatch(&mut self, last: bool) -> io::Result<()> {
        // Two blocks a thread keep all of them busy while one block is being written.
        while self.flight.len() > 2 * self.pool.threads.len() {
            self.land()?;
        }
        let mut next = self.spare.pop().unwrap_or_default();
        next.clear();
        let tail = self.buffer.len().saturating_sub(WINDOW);
        next.extend_from_slice(self.buffer.get(tail..).unwrap_or_default());
        let dictionary = std::mem::replace(&mut self.dictionary, next.len());
        let buffer = std::mem::replace(&mut self.buffer, next);
        let (reply, deflated) = sync_channel(1);
        self.flight.push_back(deflated);
        self.pool.give(Job {
            buffer,
            dictionary,
            last,
            level: self.level,
            reply,
        });
        Ok(())
    }

    /// Waits for the oldest block and writes it.
    fn land(&mut self) -> io::Result<()> {
        let Some(deflated) = self.flight.pop_front() else {
            return Ok(());
        };
        // Without a reply the thread has panicked.
        let deflated = deflated
            .recv()
            .map_err(|_| io::Error::other("a compressing thread stopped"))?;
        self.spare.push(deflated.buffer);
        self.out.write_all(&deflated.result?)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - (self.buffer.len() - self.dictionary);
        if room == 0 {
            self.dispatch(false)?;
            return self.write(bytes);
        }
        let piece = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(piece);
        self.crc.update(piece);
        self.length += piece.len() as u64;
        Ok(piece.len())
    }

    /// Does nothing: what is not a whole block stays here until the end, or else flushing would
    /// change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pool {
    fn start(threads: usize) -> Self {
        if threads < 2 {
            return Self::default();
        }
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let threads: Vec<_> = (0..threads)
            .map_while(|_| {
                let queue = Arc::clone(&queue);
                // A system that gives no more threads gets the work done by fewer.
                Builder::new()
                    .name("deflate".to_owned())
                    .spawn(move || work(&queue))
                    .ok()
            })
            .collect();
        Self {
            jobs: (!threads.is_empty()).then_some(jobs),
            threads,
        }
    }

    fn give(&self, job: Job) {
        let job = match &self.jobs {
            Some(jobs) => match jobs.send(job) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
            None => job,
        };
        deflate(job);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The threads end when the channel of jobs does.
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => deflate(job),
            Err(_) => return,
        }
    }
}

/// Deflates a block and sends it back.
fn deflate(job: Job) {
    let (dictionary, block) = job.buffer.split_at(job.dictionary.min(job.buffer.len()));
    let result = deflate_block(job.level, dictionary, block, job.last);
    // The receiver is gone if the encoder was dropped in the middle.
    let _ = job.reply.send(Deflated {
        result,
        buffer: job.buffer,
    });
}

fn deflate_block(
    level: Compression,
    dictionary: &[u8],
    block: &[u8],
    last: bool,
) -> io::Result<Vec<u8>> {
    // Each block has a state of its own. One that was used and reset would save some zeroing, but
    // zlib-rs hashes a few bytes behind its input, where the block before has left its own: which
    // thread took which block would then show in the output (seen with 0.6.8).
    let mut state = Compress::new(level, false);
    if !dictionary.is_empty() {
        state.set_dictionary(dictionary)?;
    }
    let flush = if last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    // Enough for a block that does not shrink at all, so that one call does it.
    let mut output = Vec::with_capacity(block.len() + block.len() / 64 + 1024);
    loop {
        let taken = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
        let status =
            state.compress_vec(block.get(taken..).unwrap_or_default(), &mut output, flush)?;
        let done = if last {
            status == Status::StreamEnd
        } else {
            state.total_in() == block.len() as u64 && output.len() < output.capacity()
        };
        if done {
            return Ok(output);
        }
        output.reserve(1024.max(block.len() / 8));
    }
}
