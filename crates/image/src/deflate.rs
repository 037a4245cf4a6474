//! Deflates runs of a stream that are put together again, in any mixture of old and new ones.
//!
//! A run is deflated with a fresh state and ends at a byte boundary, after a sync marker and not
//! as the end of its stream (RFC 1951, 3.2.3 and 3.2.4). So runs that follow each other, however
//! and whenever each of them was made, are one deflate stream, and with a header, [`END`] and a
//! trailer one gzip member: readers that stop after the first member take all of it.
//!
//! libdeflate compresses better than zlib at a third of the time, and always ends a stream. The
//! bit that says so is taken back, which is why the blocks have to be walked: see [`blocks`].

mod bits;
mod blocks;
mod codes;
mod joined;
mod members;
mod window;

use std::sync::Arc;

use libdeflater::Compressor;
use zlib_rs::crc32::crc32;

use self::blocks::{Blocks, Walked};
use self::joined::Joined;
pub(crate) use self::members::Members;

/// Ends a stream of runs: a last block that is empty.
pub(crate) const END: [u8; 2] = [0x03, 0x00];

/// How much the blocks of a graft inflate to at least, in bytes. What is around it is compressed by
/// itself, with nothing to refer back to.
pub(crate) const LEAST_GRAFT: u64 = 16 << 10;

/// Bytes of a run that are in a gzip file as well.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Where they begin and end in the run.
    pub(crate) place: (usize, usize),
    /// Where they begin in what the file inflates to.
    pub(crate) offset: u64,
    pub(crate) members: Arc<Members>,
}

/// Blocks that stand for a part of a run.
struct Graft<'o> {
    place: (usize, usize),
    file: &'o [u8],
    bits: (usize, usize),
    /// The CRC-32 of what they inflate to.
    crc: u32,
    last: Option<usize>,
}

/// Deflates runs.
pub(crate) struct Deflater {
    compressor: Compressor,
    /// What a piece is deflated into.
    buffer: Vec<u8>,
    /// Inflates that again.
    blocks: Box<Blocks>,
}

impl Deflater {
    pub(crate) fn new(compressor: Compressor) -> Self {
        Self {
            compressor,
            buffer: Vec::new(),
            blocks: Box::new(Blocks::new()),
        }
    }

    /// Deflates `run`, or takes the blocks of those files that parts of it come from. The bytes
    /// depend on nothing else but the compressor's level: `None` only if libdeflate breaks its own
    /// promises.
    pub(crate) fn deflate(&mut self, run: &[u8], origins: &[Origin]) -> Option<Vec<u8>> {
        let mut grafts: Vec<_> = origins.iter().flat_map(grafts).collect();
        if !grafts.iter().all(|graft| graft.is(run)) {
            grafts.clear();
        }
        self.join(run, &grafts)
    }

    /// Deflates what is between grafts, and puts all of it together.
    fn join(&mut self, run: &[u8], grafts: &[Graft<'_>]) -> Option<Vec<u8>> {
        let mut joined = Joined::with_capacity(run.len() / 2);
        let mut done = 0;
        for graft in grafts {
            let (start, end) = graft.place;
            let piece = run.get(done..start)?;
            if !piece.is_empty() {
                self.piece(piece, &mut joined)?;
            }
            joined.add(graft.file, graft.bits, graft.last)?;
            done = end;
        }
        let piece = run.get(done..)?;
        if !piece.is_empty() || grafts.is_empty() {
            self.piece(piece, &mut joined)?;
        }
        joined.synchronise();
        Some(joined.into_bytes())
    }

    /// Adds a piece of a run, deflated.
    fn piece(&mut self, piece: &[u8], joined: &mut Joined) -> Option<()> {
        let bound = self.compressor.deflate_compress_bound(piece.len());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let length = self.compressor.deflate_compress(piece, &mut self.buffer);
        let stream = self.buffer.get(..length.ok()?)?;
        let Walked { last, end, crc } = self.blocks.walk(stream)?;
        if crc != crc32(0, piece) {
            return None;
        }
        // It may have stored blocks, which begin at a byte as they did there.
        if !joined.is_whole() {
            joined.synchronise();
        }
        joined.add(stream, (0, end), Some(last))
    }
}

impl Graft<'_> {
    /// Says whether that part of `run` is what the blocks were seen to inflate to.
    fn is(&self, run: &[u8]) -> bool {
        let (start, end) = self.place;
        run.get(start..end).map(|part| crc32(0, part)) == Some(self.crc)
    }
}

/// Returns the blocks that stand for parts of `origin`.
fn grafts(origin: &Origin) -> impl Iterator<Item = Graft<'_>> {
    let (start, end) = origin.place;
    let after = origin.offset + (end - start) as u64;
    let runs = origin.members.runs(origin.offset, after, LEAST_GRAFT);
    runs.into_iter().map(move |run| {
        let place = |at: u64| start + (at - origin.offset) as usize;
        Graft {
            place: (place(run.bytes.0), place(run.bytes.1)),
            file: origin.members.file(),
            bits: run.bits,
            crc: run.crc,
            last: run.last,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use libdeflater::{CompressionLvl, Decompressor};
    use proptest::prelude::*;

    use super::*;

    fn deflater(level: i32) -> Deflater {
        Deflater::new(Compressor::new(CompressionLvl::new(level).unwrap()))
    }

    fn back(stream: &[u8]) -> Vec<u8> {
        let mut back = Vec::new();
        let mut reader = flate2::bufread::DeflateDecoder::new(stream);
        reader.read_to_end(&mut back).unwrap();
        back
    }

    fn libdeflate(stream: &[u8], length: usize) -> Vec<u8> {
        let mut back = vec![0; length];
        let inflated = Decompressor::new().deflate_decompress(stream, &mut back);
        assert_eq!(inflated, Ok(length));
        back
    }

    /// Runs of every sort, at every level, one after another: zlib-rs gets back all of them.
    #[test]
    fn runs_follow_each_other() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(150_000)
        .collect();
        let text = include_bytes!("deflate.rs").repeat(30);
        let skewed: Vec<u8> = noise
            .iter()
            .map(|byte| 1_u8 << byte.trailing_zeros().min(7))
            .collect();
        let zeros = vec![0; 100_000];
        let runs = [&b""[..], b"a", &noise, &text, &skewed, &zeros, b"end"];
        for level in 0..=12 {
            let mut stream = Vec::new();
            for run in runs {
                stream.extend_from_slice(&deflater(level).deflate(run, &[]).unwrap());
            }
            stream.extend_from_slice(&END);
            assert!(back(&stream) == runs.concat(), "level {level}");
        }
    }

    /// What a compressor did before leaves no trace, so that any thread can deflate any run.
    #[test]
    fn nothing_but_the_run_decides() {
        let text = include_bytes!("deflate.rs");
        for level in 0..=12 {
            let alone = deflater(level).deflate(text, &[]).unwrap();
            let mut used = deflater(level);
            for length in [0, 1, 1000, 2000] {
                used.deflate(&text[length..2 * length], &[]).unwrap();
                assert_eq!(used.deflate(text, &[]).unwrap(), alone);
            }
        }
    }

    pub(super) fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::new(level));
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn origin(place: (usize, usize), offset: u64, file: Vec<u8>) -> Origin {
        Origin {
            place,
            offset,
            members: Arc::new(Members::new(Arc::new(file), 0)),
        }
    }

    /// Blocks are put behind whatever comes before them, at every bit of a byte.
    #[test]
    fn blocks_go_on_at_any_bit() {
        let text = include_bytes!("deflate.rs").repeat(20);
        let members = [gzip(&text[..100_000], 9), gzip(&text[100_000..], 4)].concat();
        // zlib makes fixed codes of what is hardly anything.
        let zeros = vec![0; 200_000];
        let fixed = gzip(&zeros, 1);
        assert_eq!(fixed[10] >> 1 & 3, 1);
        for (content, file) in [(text.clone(), members), (zeros, fixed)] {
            let mut shifts = [false; 8];
            for before in (0..400).step_by(7) {
                let run = [&text[..before], &content, b"behind"].concat();
                let place = (before, before + content.len());
                let origins = [origin(place, 0, file.clone())];
                let grafts: Vec<_> = origins.iter().flat_map(grafts).collect();
                assert!(!grafts.is_empty());
                let mut deflater = deflater(5);
                assert!(grafts.iter().all(|graft| graft.is(&run)));
                let stream = deflater.join(&run, &grafts).unwrap();
                assert!(back(&[&stream[..], &END].concat()) == run);
                assert!(libdeflate(&[&stream[..], &END].concat(), run.len()) == run);
                assert_eq!(deflater.deflate(&run, &origins).unwrap(), stream);
                let mut piece = vec![0; 600];
                let length = deflater
                    .compressor
                    .deflate_compress(&run[..before], &mut piece);
                let walked = Blocks::new().walk(&piece[..length.unwrap()]);
                let end = walked.unwrap().end;
                shifts[(if before == 0 { 0 } else { end } + 16 - grafts[0].bits.0 % 8) % 8] = true;
            }
            assert_eq!(shifts, [true; 8]);
        }
    }

    /// A file that is not what it is said to be costs its blocks and nothing else.
    #[test]
    fn what_inflates_to_other_bytes_is_not_taken() {
        let text = include_bytes!("deflate.rs").repeat(20);
        let place = (0, text.len());
        let right = deflater(5).deflate(&text, &[origin(place, 0, gzip(&text, 9))]);
        let alone = deflater(5).deflate(&text, &[]);
        assert_ne!(right, alone);
        for at in [0, 1, 100_000, text.len() - 1] {
            let mut other = text.clone();
            other[at] ^= 1;
            let wrong = deflater(5).deflate(&text, &[origin(place, 0, gzip(&other, 9))]);
            assert_eq!(wrong, alone, "{at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            cases: 24,
            ..ProptestConfig::default()
        })]

        /// Whatever parts of whatever file a run has, blocks that are found inflate to them, and
        /// libdeflate is not needed to notice what does not.
        #[test]
        fn blocks_inflate_to_what_they_stand_for(
            words in proptest::collection::vec(any::<u16>(), 30_000..60_000),
            mask in any::<u16>(),
            level in 1..=9_u32,
            parts in proptest::collection::vec((0..100_000_usize, 0..120_000_usize), 1..4),
        ) {
            let words = words.iter().flat_map(|word| (word & mask).to_le_bytes());
            let content: Vec<u8> = words.chain(include_bytes!("deflate.rs").repeat(3)).collect();
            let file = gzip(&content, level);
            let mut run = Vec::new();
            let mut origins = Vec::new();
            for (from, length) in parts {
                run.extend_from_slice(b"a header");
                let from = from.min(content.len());
                let part = &content[from..content.len().min(from + length)];
                let place = (run.len(), run.len() + part.len());
                origins.push(origin(place, from as u64, file.clone()));
                run.extend_from_slice(part);
            }
            let grafts: Vec<_> = origins.iter().flat_map(grafts).collect();
            let stream = deflater(2).join(&run, &grafts).unwrap();
            prop_assert!(back(&[&stream[..], &END].concat()) == run);
        }

        /// Nothing that a file has in it matters to anything but the size.
        #[test]
        fn damaged_files_do_no_harm(
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let text = include_bytes!("deflate.rs").repeat(10);
            let mut file = gzip(&text, 9);
            for (index, byte) in damage {
                *index.get_mut(&mut file) = byte;
            }
            let origins = [origin((0, text.len()), 0, file)];
            let stream = deflater(2).deflate(&text, &origins).unwrap();
            prop_assert!(back(&[&stream[..], &END].concat()) == text);
        }
    }
}
