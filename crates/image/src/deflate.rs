//! Deflates runs of a stream that are put together again, in any mixture of old and new ones.
//!
//! A run is deflated with a fresh state and ends at a byte boundary, after a sync marker and not
//! as the end of its stream (RFC 1951, 3.2.3 and 3.2.4). So runs that follow each other, however
//! and whenever each of them was made, are one deflate stream, and with a header, [`END`] and a
//! trailer one gzip member: readers that stop after the first member take all of it.
//!
//! libdeflate compresses better than zlib at a third of the time, and always ends a stream. The
//! bit that says so is taken back, which is why the blocks have to be walked: see [`blocks`].

mod blocks;

use libdeflater::Compressor;

/// Ends a stream of runs: a last block that is empty.
pub(crate) const END: [u8; 2] = [0x03, 0x00];

/// What follows the header of an empty stored block: its length and the complement of it.
const EMPTY_STORED: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How many bits a stored block's header has before its padding.
const STORED_HEADER: usize = 3;

/// Deflates `run`. The bytes depend on nothing else but the compressor's level: `None` only if
/// libdeflate breaks its own promises.
pub(crate) fn deflate(compressor: &mut Compressor, run: &[u8]) -> Option<Vec<u8>> {
    let mut stream = vec![0; compressor.deflate_compress_bound(run.len())];
    let length = compressor.deflate_compress(run, &mut stream).ok()?;
    stream.truncate(length);
    go_on(&mut stream)?;
    Some(stream)
}

/// Makes a whole deflate stream one that goes on at the next byte.
fn go_on(stream: &mut Vec<u8>) -> Option<()> {
    let blocks::Walked { last, end } = blocks::walk(stream)?;
    *stream.get_mut(last / 8)? &= !(1 << (last % 8));
    // What follows the end in its byte is zero: so is the header of a stored block.
    let padding = stream.len() * 8 - end;
    if padding < STORED_HEADER {
        stream.push(0);
    }
    stream.extend_from_slice(&EMPTY_STORED);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use libdeflater::CompressionLvl;

    use super::*;

    fn compressor(level: i32) -> Compressor {
        Compressor::new(CompressionLvl::new(level).unwrap())
    }

    fn back(stream: &[u8]) -> Vec<u8> {
        let mut back = Vec::new();
        let mut reader = flate2::bufread::DeflateDecoder::new(stream);
        reader.read_to_end(&mut back).unwrap();
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
                stream.extend_from_slice(&deflate(&mut compressor(level), run).unwrap());
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
            let alone = deflate(&mut compressor(level), text).unwrap();
            let mut used = compressor(level);
            for length in [0, 1, 1000, 2000] {
                deflate(&mut used, &text[length..2 * length]).unwrap();
                assert_eq!(deflate(&mut used, text).unwrap(), alone);
            }
        }
    }
}
