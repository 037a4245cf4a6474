//! Versions: their order is one, as far as apk's own is.

use std::cmp::Ordering;

use prebake_apk::version::{Dialect, compare, is_fuzzy_equal, is_valid};

use crate::index::DIALECTS;

/// Compares the first three lines.
pub(crate) fn version(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let three = [line(), line(), line()];
    for dialect in DIALECTS {
        for one in three {
            assert_eq!(compare(one, one, dialect), Ordering::Equal);
            assert!(is_fuzzy_equal(one, one, dialect));
            for other in three {
                pair(one, other, dialect);
            }
        }
        triple(three, dialect);
    }
}

fn pair(one: &str, other: &str, dialect: Dialect) {
    let order = compare(one, other, dialect);
    assert_eq!(order, compare(other, one, dialect).reverse());
    // What is the same as far as the other goes, and no shorter, is equal to it or goes on.
    if one.starts_with(other) && !other.is_empty() && one[other.len()..].starts_with("-r") {
        let valid = is_valid(one, dialect) && is_valid(other, dialect);
        assert!(!valid || order != Ordering::Less, "{one:?} {other:?}");
    }
}

fn triple([a, b, c]: [&str; 3], dialect: Dialect) {
    if ![a, b, c].iter().all(|one| is_valid(one, dialect)) {
        return;
    }
    let mut sorted = [a, b, c];
    sorted.sort_by(|one, other| compare(one, other, dialect));
    let order = compare(sorted[0], sorted[2], dialect);
    assert!(
        order != Ordering::Greater,
        "{sorted:?} go round in {dialect:?}"
    );
}
