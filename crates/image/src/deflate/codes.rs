//! Huffman codes of deflate blocks, as tables to look the next bits up in.

/// The longest code, in bits (RFC 1951, 3.2.7).
const LONGEST: usize = 15;

/// How many symbols a code has at most: those for literals and lengths.
const SYMBOLS: usize = 288;

/// The symbol that ends a block.
const END_OF_BLOCK: usize = 256;

/// The first length and the first distance of each symbol for one (RFC 1951, 3.2.5).
const FIRST_LENGTHS: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const FIRST_DISTANCES: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];

/// What a code stands for, in one word: how many bits it takes with those that belong to it, how
/// many of them are the code, and a literal, the first of some lengths or distances, or the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step(u32);

impl Step {
    const CODE: u32 = 8;
    const END: u32 = 1 << 15;
    const VALUE: u32 = 16;
    const LITERAL: u32 = 1 << 31;

    fn new(length: usize, extra: usize, value: u32) -> Self {
        Self((length + extra) as u32 | (length as u32) << Self::CODE | value << Self::VALUE)
    }

    /// Returns what a symbol for a literal or a length stands for, after a code of `length` bits.
    pub(super) fn literal(symbol: usize, length: usize) -> Self {
        let of_length = |index: usize| {
            let extra = match index {
                0..8 | 28.. => 0,
                _ => index / 4 - 1,
            };
            let first = FIRST_LENGTHS.get(index)?;
            Some(Self::new(length, extra, u32::from(*first)))
        };
        match symbol.checked_sub(END_OF_BLOCK) {
            None => Self(Self::new(length, 0, symbol as u32).0 | Self::LITERAL),
            Some(0) => Self(Self::new(length, 0, 0).0 | Self::END),
            Some(above) => of_length(above - 1).unwrap_or_default(),
        }
    }

    /// Returns what a symbol for a distance stands for.
    pub(super) fn distance(symbol: usize, length: usize) -> Self {
        let first = FIRST_DISTANCES.get(symbol);
        let step = |first: &u16| {
            let extra = (symbol / 2).saturating_sub(1);
            Self::new(length, extra, u32::from(*first))
        };
        first.map(step).unwrap_or_default()
    }

    /// Returns the symbol itself.
    pub(super) fn symbol(symbol: usize, length: usize) -> Self {
        Self::new(length, 0, symbol as u32)
    }

    /// Says whether it is nobody's code, or one that is too long to be looked up.
    pub(super) fn is_none(self) -> bool {
        self.bits() == 0
    }

    pub(super) fn is_literal(self) -> bool {
        self.0 & Self::LITERAL != 0
    }

    pub(super) fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    /// How many bits it takes.
    pub(super) fn bits(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// The literal or symbol, or the length or distance of which the bits that belong to it are in
    /// `held`, behind the code.
    pub(super) fn value(self, held: u64) -> usize {
        let own = held & ((1 << self.bits()) - 1);
        let extra = own >> (self.0 >> Self::CODE & 0x3f);
        (self.0 >> Self::VALUE & 0x7fff) as usize + extra as usize
    }

    /// The byte that a literal is.
    pub(super) fn byte(self) -> u8 {
        (self.0 >> Self::VALUE) as u8
    }
}

/// A code, of which what has up to so many bits is looked up at once that there are 2^bits = `N`.
#[derive(Debug)]
pub(super) struct Code<const N: usize> {
    quick: [Step; N],
    /// How many codes of each length there are.
    counts: [u16; LONGEST + 1],
    /// What the symbols stand for, by the length of their codes and then by their numbers.
    sorted: [Step; SYMBOLS],
}

impl<const N: usize> Default for Code<N> {
    fn default() -> Self {
        Self {
            quick: [Step::default(); N],
            counts: [0; LONGEST + 1],
            sorted: [Step::default(); SYMBOLS],
        }
    }
}

impl<const N: usize> Code<N> {
    /// Becomes the code of symbols with codes of those lengths, 0 for those that have none; `None`
    /// if there are more than there can be.
    pub(super) fn set(&mut self, lengths: &[u8], step: fn(usize, usize) -> Step) -> Option<()> {
        self.counts = [0; LONGEST + 1];
        for length in lengths {
            *self.counts.get_mut(usize::from(*length))? += 1;
        }
        *self.counts.first_mut()? = 0;
        // Where the codes of each length begin, among all of them and as numbers.
        let mut next = [(0, 0); LONGEST + 1];
        let (mut place, mut code) = (0, 0);
        for (length, (next, count)) in next.iter_mut().zip(&self.counts).enumerate() {
            *next = (place, code);
            place += usize::from(*count);
            code += usize::from(*count);
            if code > 1 << length {
                return None;
            }
            code <<= 1;
        }
        self.quick.fill(Step::default());
        let coded = lengths.iter().enumerate();
        for (symbol, length) in coded.filter(|(_, length)| **length > 0) {
            let length = usize::from(*length);
            let step = step(symbol, length);
            let (place, code) = next.get_mut(length)?;
            *self.sorted.get_mut(*place)? = step;
            if 1 << length <= N {
                // A code's first bit is the lowest of those to come.
                let reversed = code.reverse_bits() >> (usize::BITS as usize - length);
                let slots = self.quick.iter_mut().skip(reversed);
                slots.step_by(1 << length).for_each(|slot| *slot = step);
            }
            *place += 1;
            *code += 1;
        }
        Some(())
    }

    /// Returns what the next bits stand for, if their code is not too long; see [`Code::find`].
    #[inline]
    pub(super) fn look(&self, held: u64) -> Step {
        self.quick
            .get(held as usize & (N - 1))
            .copied()
            .unwrap_or_default()
    }

    /// Returns what the next bits stand for, however long their code is.
    #[cold]
    #[inline(never)]
    pub(super) fn find(&self, held: u64) -> Option<Step> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for (at, count) in self.counts.iter().skip(1).enumerate() {
            code |= (held >> at & 1) as usize;
            let count = usize::from(*count);
            if code < first + count {
                let step = self.sorted.get(index + code - first).copied();
                return step.filter(|step| !step.is_none());
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}
