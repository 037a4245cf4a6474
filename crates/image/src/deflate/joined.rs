//! A deflate stream that is put together from parts of others, bit by bit.

/// What follows the header of an empty stored block: its length and the complement of it.
const EMPTY_STORED: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How many bits a stored block's header has before its padding.
const STORED_HEADER: usize = 3;

/// A stream of whole blocks, none of which says that it is the last.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// The bits behind the end are zero.
    bytes: Vec<u8>,
    /// Where it ends.
    bits: usize,
}

impl Joined {
    /// Returns an empty one with room for that many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            bits: 0,
        }
    }

    /// Adds the bits of `stream` from `from` to `to`, except that the bit `last` becomes zero.
    /// `None` if the stream has not so many.
    pub(super) fn add(
        &mut self,
        stream: &[u8],
        (from, to): (usize, usize),
        last: Option<usize>,
    ) -> Option<()> {
        let begin = self.bits;
        if from > to || to > stream.len() * 8 {
            return None;
        }
        let mut at = from;
        // Up to the next whole byte here.
        let count = (self.bits.next_multiple_of(8) - self.bits).min(to - from);
        if count > 0 {
            let bits = some(stream, at, count) << (self.bits % 8);
            *self.bytes.last_mut()? |= bits;
            at += count;
        }
        // Whole words, each of 64 bits of 72.
        let shift = at % 8;
        if shift == 0 {
            let whole = stream.get(at / 8..to / 8).unwrap_or_default();
            self.bytes.extend_from_slice(whole);
            at += whole.len() * 8;
        } else {
            let mut rest = stream.get(at / 8..).unwrap_or_default();
            while to - at >= 64
                && let Some(word) = rest.first_chunk()
                && let Some(next) = rest.get(8)
            {
                let word = u64::from_le_bytes(*word) >> shift | u64::from(*next) << (64 - shift);
                self.bytes.extend_from_slice(&word.to_le_bytes());
                at += 64;
                rest = rest.get(8..).unwrap_or_default();
            }
        }
        while at < to {
            let count = (to - at).min(8);
            self.bytes.push(some(stream, at, count));
            at += count;
        }
        self.bits += to - from;
        if let Some(last) = last {
            let place = begin + last.checked_sub(from)?;
            *self.bytes.get_mut(place / 8)? &= !(1 << (place % 8));
        }
        Some(())
    }

    /// Goes on at the next byte, by an empty stored block.
    pub(super) fn synchronise(&mut self) {
        // What follows the end in its byte is zero: so is the header of a stored block.
        if self.bytes.len() * 8 - self.bits < STORED_HEADER {
            self.bytes.push(0);
        }
        self.bytes.extend_from_slice(&EMPTY_STORED);
        self.bits = self.bytes.len() * 8;
    }

    /// Says whether it ends at the end of a byte.
    pub(super) fn is_whole(&self) -> bool {
        self.bits.is_multiple_of(8)
    }

    /// Returns the bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Returns up to 8 bits of `stream`, the first of them as the lowest.
fn some(stream: &[u8], at: usize, count: usize) -> u8 {
    let byte = |index| stream.get(index).copied().unwrap_or_default();
    let two = u16::from_le_bytes([byte(at / 8), byte(at / 8 + 1)]);
    ((two >> (at % 8)) & ((1 << count) - 1)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the bits of `stream` one by one.
    fn bits(stream: &[u8]) -> Vec<bool> {
        let bits = stream
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        bits.collect()
    }

    #[test]
    fn bits_are_added_wherever_they_begin_and_end() {
        let stream: Vec<u8> = (1..=40_u8).map(|byte| byte.wrapping_mul(151)).collect();
        let all = bits(&stream);
        for before in 0..=8 {
            for from in 0..=16 {
                for to in (from..=from + 80).chain(300..=320) {
                    let mut joined = Joined::default();
                    joined.add(&stream, (0, before), None).unwrap();
                    let last = (to > from).then(|| to - 1);
                    joined.add(&stream, (from, to), last).unwrap();
                    joined.add(&stream, (5, 9), Some(5)).unwrap();
                    assert_eq!(
                        joined.is_whole(),
                        (before + to - from + 4).is_multiple_of(8)
                    );
                    let mut expected = [&all[..before], &all[from..to]].concat();
                    if to > from {
                        *expected.last_mut().unwrap() = false;
                    }
                    expected.push(false);
                    expected.extend(&all[6..9]);
                    expected.resize(expected.len().next_multiple_of(8), false);
                    assert_eq!(bits(&joined.into_bytes()), expected, "{before} {from} {to}");
                }
            }
        }
        let mut joined = Joined::default();
        assert_eq!(joined.add(&stream, (0, 321), None), None);
        assert_eq!(joined.add(&stream, (2, 1), None), None);
        assert_eq!(joined.add(&stream, (2, 4), Some(1)), None);
    }
}
