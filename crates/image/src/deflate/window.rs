//! What blocks inflate to: the last of it, as far as they may refer back.

use zlib_rs::crc32::crc32;

/// How far a block refers back at most (RFC 1951, 3.2.5).
const FURTHEST: usize = 32 << 10;

/// How many bytes are held.
const SIZE: usize = FURTHEST + (96 << 10);

/// The longest copy (RFC 1951, 3.2.5).
const LONGEST: usize = 258;

/// How much is copied at once.
const CHUNK: usize = 16;

/// How much room there is after [`Window::make_room`]: for two literals and a copy, of whole chunks.
const ROOM: usize = LONGEST + CHUNK + 8;

/// The bytes that were inflated last.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    /// Where the next byte goes.
    next: usize,
    /// How many bytes there were before those that are held.
    before: u64,
    /// Where a stream began whose blocks may not refer back beyond it.
    start: u64,
    /// From where on is not in `crc` yet.
    unsummed: usize,
    crc: u32,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; SIZE],
            next: 0,
            before: 0,
            start: 0,
            unsummed: 0,
            crc: 0,
        }
    }

    /// Returns how many bytes there were, ever.
    pub(super) fn length(&self) -> u64 {
        self.before + self.next as u64
    }

    /// Begins a stream: nothing in it refers to what was before.
    pub(super) fn begin(&mut self) {
        self.start = self.length();
    }

    /// Returns the CRC-32 of what there was since this was called last.
    pub(super) fn sum(&mut self) -> u32 {
        self.add_up();
        std::mem::take(&mut self.crc)
    }

    fn add_up(&mut self) {
        let new = self.bytes.get(self.unsummed..self.next);
        self.crc = crc32(self.crc, new.unwrap_or_default());
        self.unsummed = self.next;
    }

    /// Makes room for two literals and a copy, if there is none.
    #[inline]
    pub(super) fn make_room(&mut self) {
        if self.next + ROOM > SIZE {
            self.forget();
        }
    }

    /// Forgets what is too far back.
    #[inline(never)]
    fn forget(&mut self) {
        self.add_up();
        let kept = FURTHEST.min(self.next);
        self.bytes.copy_within(self.next - kept..self.next, 0);
        self.before += (self.next - kept) as u64;
        (self.next, self.unsummed) = (kept, kept);
    }

    /// Adds a byte.
    #[inline]
    pub(super) fn add(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.next)? = byte;
        self.next += 1;
        Some(())
    }

    /// Adds bytes of any number.
    pub(super) fn add_all(&mut self, bytes: &[u8]) -> Option<()> {
        for piece in bytes.chunks(ROOM) {
            self.make_room();
            let end = self.next + piece.len();
            self.bytes.get_mut(self.next..end)?.copy_from_slice(piece);
            self.next = end;
        }
        Some(())
    }

    /// Copies `length` bytes, up to [`LONGEST`], from `distance` back, and says where the first of
    /// them was; `None` if that is not there. There must be room.
    #[inline]
    pub(super) fn copy(&mut self, length: usize, distance: usize) -> Option<u64> {
        let from = self.next.checked_sub(distance)?;
        let first = self.before + from as u64;
        if first < self.start {
            return None;
        }
        let end = self.next + length;
        if distance >= CHUNK {
            self.copy_chunks::<CHUNK>(from, length)?;
        } else if distance >= CHUNK / 2 {
            self.copy_chunks::<{ CHUNK / 2 }>(from, length)?;
        } else if distance == 1 {
            let byte = *self.bytes.get(from)?;
            self.bytes.get_mut(self.next..end)?.fill(byte);
        } else {
            let (old, new) = self.bytes.split_at_mut_checked(self.next)?;
            let (new, old) = (new.get_mut(..length)?, old.get(from..)?);
            for (new, old) in new.iter_mut().zip(old.iter().cycle()) {
                *new = *old;
            }
        }
        self.next = end;
        Some(first)
    }

    /// Copies bytes from at least `N` back, so many at once. What is copied beyond the end is
    /// overwritten.
    #[inline]
    fn copy_chunks<const N: usize>(&mut self, from: usize, length: usize) -> Option<()> {
        for at in (0..length).step_by(N) {
            let chunk: [u8; N] = *self.bytes.get(from + at..)?.first_chunk()?;
            *self.bytes.get_mut(self.next + at..)?.first_chunk_mut()? = chunk;
        }
        Some(())
    }
}
