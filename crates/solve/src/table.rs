//! The order in which apk's table of names holds them.
//!
//! apk keeps names in a hash table, and the order of its slots shows in results: several packages
//! that one arrival triggers are installed in it. So it is part of the behaviour to be equal to.
//! That it is MurmurHash3 (32 bits, seed 5381) in a table of 20,000 was a guess that came from
//! knowledge of apk; it was then confirmed by experiment, namely by the order in which
//! `apk add docs` installs several hundred `-doc` packages.

/// The number of slots of apk's table.
const SLOTS: u32 = 20_000;
/// The seed that apk hashes with.
const SEED: u32 = 5381;

/// Returns the slot of a name.
pub(crate) fn slot(name: &[u8]) -> u32 {
    murmur3(name, SEED) % SLOTS
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

    #[test]
    fn order_of_real_names() {
        let slots = ["busybox-doc", "apk-tools-doc", "zlib-doc"].map(|name| slot(name.as_bytes()));
        assert_eq!(slots, [1081, 5201, 16473]);
    }
}
