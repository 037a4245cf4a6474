//! Decisions taken off a string of bytes, so that a fuzzer's small changes are small changes of
//! what is made of them.

/// The bytes that are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed<'a>(&'a [u8]);

impl<'a> Feed<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes a byte; 0 where none is left.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// Takes four bytes as a number.
    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Takes a bit's worth of decision off a whole byte.
    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Takes a slice whose length stands before it: 255 means that two bytes of length follow.
    pub(crate) fn slice(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => usize::from(u16::from_le_bytes([self.byte(), self.byte()])),
            length => usize::from(length),
        };
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes all that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a slice as [`Feed::slice`] takes it; for seeds.
pub(crate) fn put(bytes: &mut Vec<u8>, slice: &[u8]) {
    let length = u16::try_from(slice.len()).expect("seeds are small");
    let [low, high] = length.to_le_bytes();
    match length {
        0..=254 => bytes.push(low),
        _ => bytes.extend_from_slice(&[255, low, high]),
    }
    bytes.extend_from_slice(slice);
}
