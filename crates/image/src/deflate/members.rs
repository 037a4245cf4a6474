//! The deflate blocks of a gzip file, found as far as they are asked for.

use std::sync::{Arc, Mutex, PoisonError};

use zlib_rs::crc32::crc32_combine;

use super::blocks::{Block, Blocks};

/// How many blocks of a file are looked at. Alpine's files have one for each 30 to 60 KB of what
/// they inflate to; a file that is all tiny blocks is not worth the memory.
const MAX_BLOCKS: usize = 1 << 15;

/// What stands behind the blocks of a member: a CRC and a length (RFC 1952, 2.3.1).
const TRAILER: usize = 8;

/// How much is walked before somebody else may look at what was found, in bytes that the blocks
/// inflate to.
const STEP: u64 = 1 << 20;

/// A gzip file in memory, whose blocks are found when they are asked for. Which blocks it has
/// depends on the file alone, and not on who asked for what before.
#[derive(Debug)]
pub(crate) struct Members {
    file: Arc<Vec<u8>>,
    walk: Mutex<Walk>,
}

#[derive(Debug)]
struct Walk {
    /// The blocks that were found, in their order.
    blocks: Vec<Block>,
    /// Where the next one begins, in bits; `None` where there are no more.
    next: Option<usize>,
    /// What those before it inflate to, in bytes.
    length: u64,
    /// What finds it, from the first that is asked for to the last.
    finder: Option<Box<Blocks>>,
}

/// Blocks that follow each other bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where they begin and end, in bits from the start of the file.
    pub(crate) bits: (usize, usize),
    /// What they inflate to, in bytes from the start of the archive.
    pub(crate) bytes: (u64, u64),
    /// The CRC-32 of what they inflate to.
    pub(crate) crc: u32,
    /// The bit that says that the last of them is the last, if it says so.
    pub(crate) last: Option<usize>,
}

impl Members {
    /// Takes a file in which an archive's first member begins at byte `start`.
    pub(crate) fn new(file: Arc<Vec<u8>>, start: usize) -> Self {
        let next = deflated(&file, start).map(|byte| byte * 8);
        Self {
            file,
            walk: Mutex::new(Walk {
                blocks: Vec::new(),
                next,
                length: 0,
                finder: None,
            }),
        }
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &Arc<Vec<u8>> {
        &self.file
    }

    /// Finds all blocks, or those for which there is time while they are `wanted`.
    pub(crate) fn find(&self, wanted: impl Fn() -> bool) {
        while wanted() {
            let mut walk = self.walk.lock().unwrap_or_else(PoisonError::into_inner);
            let before = walk.length;
            walk.go(&self.file, before.saturating_add(STEP));
            if walk.length == before {
                return;
            }
        }
    }

    /// Returns the runs of at least `least` bytes that inflate to nothing but what is between two
    /// places of the archive, and refer to nothing before the first of them.
    pub(crate) fn runs(&self, from: u64, to: u64, least: u64) -> Vec<Run> {
        let mut walk = self.walk.lock().unwrap_or_else(PoisonError::into_inner);
        walk.go(&self.file, to);
        let first = walk.blocks.partition_point(|block| block.bytes.0 < from);
        let mut runs: Vec<Run> = Vec::new();
        for block in walk.blocks.iter().skip(first) {
            if block.bytes.1 > to {
                break;
            }
            if block.is_stored || block.reaches < from {
                continue;
            }
            let last = block.is_last.then_some(block.bits.0);
            match runs.last_mut() {
                Some(run) if run.bits.1 == block.bits.0 => {
                    run.bits.1 = block.bits.1;
                    run.bytes.1 = block.bytes.1;
                    run.crc = crc32_combine(run.crc, block.crc, block.bytes.1 - block.bytes.0);
                    run.last = last;
                }
                _ => runs.push(Run {
                    bits: block.bits,
                    bytes: block.bytes,
                    crc: block.crc,
                    last,
                }),
            }
        }
        runs.retain(|run| run.bytes.1 - run.bytes.0 >= least);
        runs
    }
}

impl Walk {
    /// Finds the blocks that inflate to what is before `to`. What cannot be walked is taken for
    /// the end.
    fn go(&mut self, file: &[u8], to: u64) {
        while self.length < to
            && self.blocks.len() < MAX_BLOCKS
            && let Some(next) = self.next.take()
        {
            let new = || Box::new(Blocks::new());
            let finder = self.finder.get_or_insert_with(new);
            let Some(block) = finder.next(file, next) else {
                break;
            };
            self.blocks.push(block);
            self.length = block.bytes.1;
            self.next = Some(block.bits.1);
            if block.is_last {
                let member = block.bits.1.div_ceil(8) + TRAILER;
                self.next = deflated(file, member).map(|byte| byte * 8);
                finder.begin();
            }
        }
        if self.next.is_none() || self.blocks.len() >= MAX_BLOCKS {
            self.finder = None;
        }
    }
}

/// Returns where the blocks begin of the member that begins at byte `start` (RFC 1952, 2.3).
fn deflated(file: &[u8], start: usize) -> Option<usize> {
    let member = file.get(start..)?;
    let (header, mut rest) = member.split_first_chunk::<10>()?;
    let [0x1f, 0x8b, 8, flags, ..] = header else {
        return None;
    };
    if flags & 4 != 0 {
        let (length, extra) = rest.split_first_chunk()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    // A name and a comment, each of which a zero ends.
    for flag in [8, 16] {
        if flags & flag != 0 {
            let length = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(length + 1..)?;
        }
    }
    if flags & 2 != 0 {
        rest = rest.get(2..)?;
    }
    Some(file.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use zlib_rs::crc32::crc32;

    use super::super::tests::gzip;
    use super::*;

    /// Text of words that come again, near and far, with noise in between.
    pub(crate) fn text(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut text = Vec::new();
        while text.len() < length {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let word = (state >> 40) % 3000;
            if word < 20 {
                text.extend_from_slice(&state.to_le_bytes());
            }
            text.extend_from_slice(format!("{} ", word * word).as_bytes());
        }
        text.truncate(length);
        text
    }

    /// Returns all blocks of a file, found in steps of `step` bytes.
    fn blocks(file: &[u8], step: u64) -> Vec<Block> {
        let members = Members::new(Arc::new(file.to_vec()), 0);
        for to in 1..200 {
            members.runs(0, to * step, 0);
        }
        let found = Members::new(Arc::new(file.to_vec()), 0);
        let steps = std::cell::Cell::new(0);
        found.find(|| steps.replace(1) == 0);
        assert!(!found.walk.lock().unwrap().blocks.is_empty());
        found.find(|| true);
        let found = found.walk.into_inner().unwrap().blocks;
        let blocks = members.walk.into_inner().unwrap().blocks;
        assert!(found.starts_with(&blocks), "all, or those that were wanted");
        blocks
    }

    #[test]
    fn every_block_is_found_however_it_was_made() {
        let text = text(300_000);
        let mut files = Vec::new();
        // Copies from every distance, of every length, into what was to be forgotten.
        let near = (1..300_usize).flat_map(|period| {
            let start = text.get(period * 50..period * 51).unwrap();
            let rest = start
                .iter()
                .copied()
                .cycle()
                .take(period + period % 290 + 3);
            rest.chain([period as u8; 40])
        });
        let text: Vec<u8> = near.chain(text.iter().copied()).collect();
        for level in 0..=9 {
            files.push(gzip(&text, level));
        }
        let mut flushed = GzEncoder::new(Vec::new(), Compression::new(6));
        for part in text.chunks(50_000) {
            flushed.write_all(part).unwrap();
            flushed.flush().unwrap();
        }
        files.push(flushed.finish().unwrap());
        let named = GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(*b"extra");
        let mut named = named.write(Vec::new(), Compression::new(9));
        named.write_all(&text[..70_000]).unwrap();
        files.push(
            [
                named.finish().unwrap(),
                gzip(b"", 9),
                gzip(&text[70_000..], 1),
            ]
            .concat(),
        );
        for (number, file) in files.iter().enumerate() {
            let all = blocks(file, 10_000_000);
            assert_eq!(all, blocks(file, 7_777), "{number}");
            let mut at = 0;
            for block in &all {
                assert_eq!(block.bytes.0, at);
                assert!(block.reaches <= at && block.reaches + (32 << 10) >= at);
                let content = &text[at as usize..block.bytes.1 as usize];
                assert_eq!(block.crc, crc32(0, content), "{number}");
                at = block.bytes.1;
            }
            assert_eq!(at, text.len() as u64, "{number}");
            assert_eq!(all.iter().all(|block| block.is_stored), number == 0);
        }
    }

    /// Blocks are taken from where they refer to on, and from no byte later.
    #[test]
    fn blocks_reach_as_far_as_they_do() {
        let text = text(300_000);
        let file = gzip(&text, 9);
        let all = blocks(&file, 1 << 20);
        let second = all.iter().find(|block| block.bytes.0 > 0).unwrap();
        assert!(second.reaches < second.bytes.0);
        let members = Members::new(Arc::new(file), 0);
        let first = |from| members.runs(from, 300_000, 0).first().map(|run| run.bits.0);
        assert_eq!(first(second.reaches), Some(second.bits.0));
        assert!(first(second.reaches + 1).is_some_and(|bit| bit > second.bits.0));
    }

    #[test]
    fn a_file_has_so_many_blocks() {
        let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        // Blocks of a zero each, of fixed codes: 2, 0x30 and 0, which are 3, 8 and 7 bits.
        let block = 0b010_u32 | 0b0000_1100 << 3;
        let mut bits = 0_u64;
        let mut count = 0;
        for _ in 0..2 * MAX_BLOCKS {
            bits |= u64::from(block) << count;
            count += 18;
            while count >= 8 {
                file.push(bits as u8);
                bits >>= 8;
                count -= 8;
            }
        }
        let members = Members::new(Arc::new(file), 0);
        let runs = members.runs(0, u64::MAX, 0);
        let bytes: Vec<_> = runs.iter().map(|run| run.bytes).collect();
        assert_eq!(bytes, [(0, MAX_BLOCKS as u64)]);
    }

    #[test]
    fn what_is_no_gzip_file_has_no_blocks() {
        let whole = gzip(&text(100_000), 9);
        for length in 0..whole.len().min(400) {
            let members = Members::new(Arc::new(whole[..length].to_vec()), 0);
            assert_eq!(members.runs(0, u64::MAX, 0), []);
        }
        for start in [1, whole.len(), usize::MAX] {
            let members = Members::new(Arc::new(whole.clone()), start);
            assert_eq!(members.runs(0, u64::MAX, 0), []);
        }
        for at in (0..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            for run in Members::new(Arc::new(damaged), 0).runs(0, u64::MAX, 0) {
                assert!(run.bits.0 < run.bits.1 && run.bits.1 <= 8 * whole.len());
            }
        }
    }
}
