//! The order in which apk's table of names holds them.
//!
//! apk keeps names in a hash table, and the order of its slots shows in results: several packages
//! that one arrival triggers are installed in it. So it is part of the behaviour to be equal to.
//! Like the hash itself, the number of slots was a guess that came from knowledge of apk, confirmed
//! by the order in which `apk add docs` installs several hundred `-doc` packages.

/// The number of slots of apk's table.
const SLOTS: u32 = 20_000;

/// Returns the slot of a name that has this hash.
pub(crate) fn slot(hash: u32) -> u32 {
    hash % SLOTS
}

#[cfg(test)]
mod tests {
    use prebake_apk::index::name_hash;

    use super::*;

    #[test]
    fn order_of_real_names() {
        let slots = ["busybox-doc", "apk-tools-doc", "zlib-doc"].map(|name| slot(name_hash(name)));
        assert_eq!(slots, [1081, 5201, 16473]);
    }
}
