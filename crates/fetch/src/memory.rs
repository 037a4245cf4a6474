//! Memory for a large file, got from the system in large pieces.
//!
//! A system gives memory in pages of some 4 KiB, each when it is first written to. For a file of
//! megabytes that takes longer than reading it does. Linux gives pages of 2 MiB to who asks for
//! them: 4 MB are read in 0.6 ms then, instead of 2.2 (on a virtual machine).

use std::io::{self, Read};

use memmap2::{MmapMut, MmapOptions};

/// The size of a large page, in bytes, on most processors.
const LARGE: usize = 2 << 20;
/// How much of a large page has to be wanted, in bytes, for it to be quicker than small ones.
#[cfg(any(test, target_os = "linux"))]
const WORTH: usize = 256 << 10;

/// A file's bytes.
#[derive(Debug)]
pub struct Memory {
    bytes: MmapMut,
    length: usize,
}

impl Memory {
    /// Reads the first `length` bytes.
    ///
    /// # Errors
    ///
    /// What reading gives, also where there are fewer, and [`io::ErrorKind::OutOfMemory`] or
    /// another where the system has no memory.
    pub fn read(mut from: impl Read, length: usize) -> io::Result<Self> {
        // In whole large pages, for only such memory begins where a large page may.
        let mut bytes = MmapOptions::new()
            .len(length.next_multiple_of(LARGE))
            .map_anon()?;
        #[cfg(target_os = "linux")]
        {
            let large = length.saturating_add(LARGE - WORTH) / LARGE * LARGE;
            // A system that has none gives small ones.
            let _ = bytes.advise_range(memmap2::Advice::HugePage, 0, large);
        }
        from.read_exact(bytes.get_mut(..length).unwrap_or_default())?;
        Ok(Self { bytes, length })
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_there() {
        let bytes: Vec<u8> = (0..=250_u8).cycle().take(3 * LARGE + 7).collect();
        for length in [0, 1, WORTH - 1, WORTH, LARGE, LARGE + WORTH, bytes.len()] {
            let memory = Memory::read(bytes.as_slice(), length).unwrap();
            assert_eq!(memory.as_ref(), bytes.get(..length).unwrap());
        }
        assert!(Memory::read(bytes.as_slice(), bytes.len() + 1).is_err());
    }
}
