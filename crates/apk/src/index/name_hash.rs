//! The hash of a name.
//!
//! apk keeps names in a hash table, and the order of that table shows in what it does. With apk's own
//! hash a directory serves two ends: names are found by it, and who asks for their order in apk's
//! table need not read them again. It need not be strong: names of one bucket are kept in order, so
//! that many of them cost a few comparisons more and no more.
//!
//! That it is MurmurHash3 (32 bits, seed 5381) was a guess that came from knowledge of apk; it was
//! then confirmed by experiment, namely by the order in which `apk add docs` installs several
//! hundred `-doc` packages.

/// The seed that apk hashes with.
const SEED: u32 = 5381;

/// Returns the hash by which apk's table of names holds a name.
pub fn name_hash(name: &str) -> u32 {
    murmur3(name.as_bytes(), SEED)
}

/// MurmurHash3 in its form for x86 and 32 bits, which is in the public domain.
fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let scramble = |word: u32| {
        word.wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let mut hash = seed;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        hash ^= scramble(u32::from_le_bytes(*word));
        hash = hash
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    hash ^= scramble(u32::from_le_bytes(last));
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // From the reference implementation's own verification.
        assert_eq!(murmur3(b"", 1), 0x514e_28b7);
        assert_eq!(murmur3(b"test", 0x9747_b28c), 0x704b_81dc);
        assert_eq!(murmur3(b"Hello, world!", 0x9747_b28c), 0x2488_4cba);
    }
}
