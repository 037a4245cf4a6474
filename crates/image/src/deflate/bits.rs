//! A stream, bit by bit.

/// How many bits a code for a length takes at most, with those that belong to it, and one for a
/// distance (RFC 1951, 3.2.5).
pub(super) const LONGEST_STEPS: usize = 20 + 28;

/// A stream of which some bits are held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'s> {
    stream: &'s [u8],
    /// The next byte that is not held.
    next: usize,
    held: u64,
    /// How many bits are held; fewer than are in `held` after [`Bits::fill`] took too much.
    count: usize,
}

impl<'s> Bits<'s> {
    /// Begins at bit `at`.
    pub(super) fn new(stream: &'s [u8], at: usize) -> Self {
        let mut bits = Self {
            stream,
            next: at / 8,
            held: 0,
            count: 0,
        };
        bits.fill();
        // Behind the end there is nothing to drop, and nothing to take either.
        let _ = bits.drop(at % 8);
        bits
    }

    /// Returns how many bits were taken.
    pub(super) fn position(&self) -> usize {
        self.next * 8 - self.count
    }

    /// Returns the bits to come; those that are not held are anything.
    #[inline]
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Holds at least 56 bits, or all that there are.
    #[inline]
    pub(super) fn fill(&mut self) {
        if let Some(bytes) = self.stream.get(self.next..).and_then(<[u8]>::first_chunk) {
            self.held |= u64::from_le_bytes(*bytes) << self.count;
            let taken = (63 - self.count) / 8;
            self.next += taken;
            self.count += taken * 8;
            return;
        }
        while self.count <= 56
            && let Some(byte) = self.stream.get(self.next)
        {
            self.held |= u64::from(*byte) << self.count;
            self.next += 1;
            self.count += 8;
        }
    }

    /// Holds enough for a length and its distance, or all that there are.
    #[inline]
    pub(super) fn ensure(&mut self) {
        if self.count < LONGEST_STEPS {
            self.fill();
        }
    }

    /// Drops bits that are held; `None` if there are not so many.
    #[inline]
    pub(super) fn drop(&mut self, bits: usize) -> Option<()> {
        self.count = self.count.checked_sub(bits)?;
        self.held >>= bits;
        Some(())
    }

    /// Takes up to 16 bits as a number.
    pub(super) fn take(&mut self, bits: usize) -> Option<usize> {
        self.fill();
        let number = self.held & ((1 << bits) - 1);
        self.drop(bits)?;
        Some(number as usize)
    }

    /// Takes what a stored block has in it.
    pub(super) fn stored(&mut self) -> Option<&'s [u8]> {
        // Drops what is left of the byte, and what is held beyond it.
        let byte = self.position().div_ceil(8);
        let length: [u8; 2] = *self.stream.get(byte..)?.first_chunk()?;
        let length = usize::from(u16::from_le_bytes(length));
        let stored = self.stream.get(byte + 4..)?.get(..length)?;
        self.next = byte + 4 + length;
        (self.held, self.count) = (0, 0);
        Some(stored)
    }
}
