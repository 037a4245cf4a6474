//! Finds where the blocks of a deflate stream begin and end, what they refer back to, and what they
//! inflate to.
//!
//! Blocks say nowhere how long they are, so that all of them are inflated (RFC 1951, 3.2); of the
//! bytes no more is kept than a CRC-32 of each block, by which it is known again. It costs hardly
//! more than reading the codes and making nothing of them: either waits for where the next code
//! begins.

use zlib_rs::crc32::crc32_combine;

use super::bits::Bits;
use super::codes::{Code, Step};
use super::window::Window;

/// The order in which the lengths of the code for lengths stand (RFC 1951, 3.2.7).
const LENGTH_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// How many codes for literals and lengths a block can have, and for distances.
const LITERALS: usize = 288;
const DISTANCES: usize = 32;

/// A block that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its first bit, which says whether it is the last, and the end of it, in bits from the start
    /// of the bytes that it stands in.
    pub(crate) bits: (usize, usize),
    /// Where what it inflates to begins and ends, in bytes from the first that was inflated.
    pub(crate) bytes: (u64, u64),
    /// The CRC-32 of what it inflates to.
    pub(crate) crc: u32,
    /// The first byte that it copies from; not before `bytes` where it copies none.
    pub(crate) reaches: u64,
    /// Whether it says that it is the last.
    pub(crate) is_last: bool,
    /// Whether it is a stored block, which has to begin where it did in its byte.
    pub(crate) is_stored: bool,
}

/// A whole stream that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// The bit that says that the last block is the last.
    pub(super) last: usize,
    /// The end of that block, in bits.
    pub(super) end: usize,
    /// The CRC-32 of what the stream inflates to.
    pub(super) crc: u32,
}

/// Inflates blocks one by one.
#[derive(Debug)]
pub(crate) struct Blocks {
    literals: Code<2048>,
    distances: Code<512>,
    lengths: Code<128>,
    window: Window,
}

impl Blocks {
    pub(crate) fn new() -> Self {
        Self {
            literals: Code::default(),
            distances: Code::default(),
            lengths: Code::default(),
            window: Window::new(),
        }
    }

    /// Begins a stream, whose blocks do not refer to what was before it.
    pub(crate) fn begin(&mut self) {
        self.window.begin();
    }

    /// Measures the block that begins at bit `at` of `stream`, and follows the one before; `None`
    /// if there is none.
    pub(crate) fn next(&mut self, stream: &[u8], at: usize) -> Option<Block> {
        let mut bits = Bits::new(stream, at);
        let is_last = bits.take(1)? == 1;
        let kind = bits.take(2)?;
        let before = self.window.length();
        self.window.sum();
        let mut reaches = before;
        match kind {
            0 => self.window.add_all(bits.stored()?)?,
            1 => {
                let mut lengths = [8_u8; LITERALS];
                lengths.get_mut(144..256)?.fill(9);
                lengths.get_mut(256..280)?.fill(7);
                self.literals.set(&lengths, Step::literal)?;
                self.distances.set(&[5; DISTANCES], Step::distance)?;
                self.inflate(&mut bits, &mut reaches)?;
            }
            2 => {
                self.codes(&mut bits)?;
                self.inflate(&mut bits, &mut reaches)?;
            }
            _ => return None,
        }
        Some(Block {
            bits: (at, bits.position()),
            bytes: (before, self.window.length()),
            crc: self.window.sum(),
            reaches,
            is_last,
            is_stored: kind == 0,
        })
    }

    /// Measures a whole stream; `None` if it is none.
    pub(super) fn walk(&mut self, stream: &[u8]) -> Option<Walked> {
        self.begin();
        let (mut at, mut crc) = (0, 0);
        loop {
            let block = self.next(stream, at)?;
            crc = crc32_combine(crc, block.crc, block.bytes.1 - block.bytes.0);
            at = block.bits.1;
            if block.is_last {
                return Some(Walked {
                    last: block.bits.0,
                    end: at,
                    crc,
                });
            }
        }
    }

    /// Takes the codes that a block brings.
    fn codes(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let literals = bits.take(5)? + 257;
        let distances = bits.take(5)? + 1;
        let listed = bits.take(4)? + 4;
        let mut lengths = [0; LENGTH_ORDER.len()];
        for symbol in LENGTH_ORDER.iter().take(listed) {
            *lengths.get_mut(*symbol)? = bits.take(3)? as u8;
        }
        self.lengths.set(&lengths, Step::symbol)?;
        let mut lengths: Vec<u8> = Vec::with_capacity(LITERALS + DISTANCES);
        while lengths.len() < literals + distances {
            bits.fill();
            let step = self.lengths.look(bits.held());
            if step.is_none() {
                return None;
            }
            bits.drop(step.bits())?;
            let (value, times) = match step.byte() {
                16 => (*lengths.last()?, 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(value, times));
        }
        let (literals, distances) = lengths
            .get(..literals + distances)?
            .split_at_checked(literals)?;
        self.literals.set(literals, Step::literal)?;
        self.distances.set(distances, Step::distance)
    }

    /// Inflates everything to the end of a block, and lowers `reaches` to the first byte that is
    /// copied from.
    fn inflate(&mut self, stream: &mut Bits<'_>, reaches: &mut u64) -> Option<()> {
        let (literals, distances, window) = (&self.literals, &self.distances, &mut self.window);
        let mut bits = *stream;
        loop {
            window.make_room();
            bits.fill();
            let mut step = literals.look(bits.held());
            if step.is_literal() {
                window.add(step.byte())?;
                bits.drop(step.bits())?;
                step = literals.look(bits.held());
                if step.is_literal() {
                    window.add(step.byte())?;
                    bits.drop(step.bits())?;
                    continue;
                }
                bits.ensure();
            }
            if step.is_none() {
                step = literals.find(bits.held())?;
                if step.is_literal() {
                    window.add(step.byte())?;
                    bits.drop(step.bits())?;
                    continue;
                }
            }
            let length = step.value(bits.held());
            bits.drop(step.bits())?;
            if step.is_end() {
                *stream = bits;
                return Some(());
            }
            let mut step = distances.look(bits.held());
            if step.is_none() {
                step = distances.find(bits.held())?;
            }
            let distance = step.value(bits.held());
            bits.drop(step.bits())?;
            *reaches = window.copy(length, distance)?.min(*reaches);
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
    use proptest::prelude::*;
    use zlib_rs::crc32::crc32;

    use super::*;

    /// The most that a stream of these tests inflates to, in bytes.
    const MOST: usize = 1 << 20;

    /// What zlib-rs makes of a stream: how many bytes it takes, and the CRC-32 of what it inflates
    /// to; `None` if it refuses it.
    fn theirs(stream: &[u8]) -> Option<(usize, u32)> {
        let mut inflate = Decompress::new(false);
        let mut content = Vec::with_capacity(MOST);
        let status = inflate.decompress_vec(stream, &mut content, FlushDecompress::Finish);
        let is_whole = status.is_ok_and(|status| status == Status::StreamEnd);
        is_whole.then(|| (inflate.total_in() as usize, crc32(0, &content)))
    }

    fn ours(stream: &[u8]) -> Option<(usize, u32)> {
        let walked = Blocks::new().walk(stream)?;
        Some((walked.end.div_ceil(8), walked.crc))
    }

    fn deflated(content: &[u8], level: u32) -> Vec<u8> {
        let mut deflate = Compress::new(Compression::new(level), false);
        let mut stream = Vec::with_capacity(content.len() + 1024);
        let status = deflate.compress_vec(content, &mut stream, FlushCompress::Finish);
        assert_eq!(status.unwrap(), Status::StreamEnd);
        stream
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        let noise = proptest::collection::vec(any::<u8>(), 0..200);
        let words = (proptest::collection::vec(any::<u8>(), 1..40), 1..60_usize);
        let words = words.prop_map(|(word, times)| word.repeat(times));
        proptest::collection::vec(prop_oneof![noise, words], 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Grafts rest on it: what zlib-rs inflates, this inflates to the same bytes, and it ends
        /// where zlib-rs ends, be the stream as its maker left it or damaged.
        #[test]
        fn it_inflates_as_zlib_does(
            content in content(),
            level in 0..=9_u32,
            damage in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 0..4),
            cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
        ) {
            let mut stream = deflated(&content, level);
            let good = theirs(&stream);
            prop_assert_eq!(good, Some((stream.len(), crc32(0, &content))));
            prop_assert_eq!(ours(&stream), good);
            for (at, bit) in damage {
                let at = at.index(stream.len());
                stream[at] ^= 1 << bit;
                if let Some(theirs) = theirs(&stream) {
                    prop_assert_eq!(ours(&stream), Some(theirs));
                } else {
                    // It may say anything of what nobody else takes, and ends.
                    let _ = ours(&stream);
                }
            }
            if let Some(cut) = cut {
                stream.truncate(cut.index(stream.len()));
                prop_assert!(theirs(&stream).is_none_or(|theirs| ours(&stream) == Some(theirs)));
            }
        }

        /// Blocks that nobody would write: any bits at all, as codes or after a header of fixed ones.
        #[test]
        fn it_inflates_noise_as_zlib_does(
            mut stream in proptest::collection::vec(any::<u8>(), 1..300),
            kind in 0..4_u8,
        ) {
            stream[0] = stream[0] & !0b110 | kind << 1;
            if let Some(theirs) = theirs(&stream) {
                prop_assert_eq!(ours(&stream), Some(theirs));
            }
        }
    }
}
