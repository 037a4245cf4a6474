//! A reader that gives its bytes in odd pieces and is interrupted now and then, as a pipe is.

use std::io::{self, BufRead, Read};

/// Reads a slice in pieces of 1 to 16 bytes, or up to 600.
#[derive(Debug)]
pub(crate) struct Odd<'a> {
    rest: &'a [u8],
    state: u32,
    /// How long the current piece of [`BufRead`] is.
    piece: usize,
}

impl<'a> Odd<'a> {
    /// The pieces depend on `seed` alone.
    pub(crate) fn new(bytes: &'a [u8], seed: u8) -> Self {
        Self {
            rest: bytes,
            state: u32::from(seed) | 1,
            piece: 0,
        }
    }

    fn next(&mut self) -> usize {
        // Numerical Recipes' generator; nothing depends on its quality.
        self.state = self
            .state
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        (self.state >> 8) as usize
    }

    fn length(&mut self) -> usize {
        match self.next() {
            number if number.is_multiple_of(5) => 1 + number / 5 % 600,
            number => 1 + number / 5 % 16,
        }
    }
}

impl Read for Odd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.next().is_multiple_of(7) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = self.length().min(self.rest.len()).min(buffer.len());
        let (taken, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(taken);
        self.rest = rest;
        self.piece = 0;
        Ok(length)
    }
}

impl BufRead for Odd<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece == 0 {
            self.piece = self.length().min(self.rest.len());
        }
        Ok(&self.rest[..self.piece])
    }

    fn consume(&mut self, amount: usize) {
        self.rest = &self.rest[amount..];
        self.piece -= amount;
    }
}
