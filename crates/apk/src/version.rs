//! Versions: how apk reads and orders them.
//!
//! A version is `N(.N)*[a-z]?(_suffix[N])*(-rN)?`, with `~hash` before the `-r` in apk 3. The two
//! generations of apk disagree on a few texts, so each question takes a [`Dialect`]. Judged by
//! `apk version -t` and `apk version -c` of the real apk 2.14.4, over every version of a release
//! and over generated pairs.

use std::cmp::Ordering;

mod token;

use token::{Kind, Tokens};

/// Whose rules apply: those of apk 2.14 or those of apk 3.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// apk-tools 2.14, of Alpine up to 3.22.
    V2,
    /// apk-tools 3.0, of Alpine from 3.23 on.
    V3,
}

/// How two versions relate, where `~` may also call them equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// The plain order.
    pub(crate) ordering: Ordering,
    /// Whether the right one is a whole-part prefix of the left one, so that `left ~ right`.
    pub(crate) fuzzy: bool,
}

/// Says whether `version` is one that apk takes from a user or a package.
///
/// In apk 2.14 that includes some odd ones: the empty text, `1.` and `1.a`.
pub fn is_valid(version: &str, dialect: Dialect) -> bool {
    let mut tokens = Tokens::new(version.as_bytes(), dialect);
    loop {
        match tokens.kind() {
            Kind::End => return true,
            Kind::Invalid => return false,
            _ => {
                tokens.take();
            }
        }
    }
}

/// Orders two versions as apk does.
///
/// Every text has a place, valid or not, but only valid ones have one that means something.
///
/// ```
/// use std::cmp::Ordering;
/// use prebake_apk::version::{Dialect, compare};
///
/// assert_eq!(compare("1.2_rc1-r3", "1.2-r0", Dialect::V2), Ordering::Less);
/// assert_eq!(compare("1.10", "1.9", Dialect::V2), Ordering::Greater);
/// ```
pub fn compare(left: &str, right: &str, dialect: Dialect) -> Ordering {
    relate(left, right, dialect).ordering
}

/// Says whether `left ~ right`: whether they agree as far as `right` goes.
pub fn is_fuzzy_equal(left: &str, right: &str, dialect: Dialect) -> bool {
    relate(left, right, dialect).fuzzy
}

/// Compares two versions both ways at once.
pub(crate) fn relate(left: &str, right: &str, dialect: Dialect) -> Comparison {
    if left == right {
        // A shortcut, and what apk says of two equal invalid texts too.
        return Comparison {
            ordering: Ordering::Equal,
            fuzzy: true,
        };
    }
    let mut a = Tokens::new(left.as_bytes(), dialect);
    let mut b = Tokens::new(right.as_bytes(), dialect);
    while a.kind() == b.kind() && !matches!(a.kind(), Kind::End | Kind::Invalid) {
        let (x, y) = (a.take(), b.take());
        match x.order(&y) {
            Ordering::Equal => {}
            ordering => {
                return Comparison {
                    ordering,
                    fuzzy: false,
                };
            }
        }
    }
    let fuzzy = match dialect {
        // apk 2.14 takes either for the prefix of the other.
        Dialect::V2 => a.kind() == Kind::End || b.kind() == Kind::End,
        Dialect::V3 => b.kind() == Kind::End && a.kind() != Kind::Invalid,
    };
    if a.kind() == b.kind() {
        return Comparison {
            ordering: Ordering::Equal,
            fuzzy,
        };
    }
    // They agree up to here and one goes on differently. A pre-release suffix makes its version
    // the older one; otherwise the more significant kind of part makes it the newer one.
    let ordering = if a.is_prerelease() {
        Ordering::Less
    } else if b.is_prerelease() {
        Ordering::Greater
    } else {
        b.kind().cmp(&a.kind())
    };
    Comparison { ordering, fuzzy }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `left op right` as apk 2.14.4 prints it for `version -t left right`.
    const V2: &[&str] = &[
        "1.0 > 1.00",
        "1.01 < 1.1",
        "1.01 > 1.0",
        "1.001 < 1.01",
        "1.011 > 1.02",
        "1.010 > 1.01",
        "1.00.1 < 1.0.1",
        "1.01 > 1.0.1",
        "0 = 00",
        "01 = 1",
        "1-r0 > 1",
        "1-r0 = 1-r",
        "1_alpha < 1_beta",
        "1_rc < 1.0",
        "1_rc < 1-r0",
        "1_p > 1_hg",
        "1_p < 1a",
        "1a < 1.0",
        "1_p1_rc2 < 1_p1",
        "1_foo < 1",
        "1_foo = 1_bar",
        "3.6.9_post1 > 3.6.9",
        "1bc > 1b",
        "1~abc = 1~abd",
        "8.2.0 > 8.2.001",
        "18446744073709551617 < 0",
        "99999999999999999999.1 = 99999999999999999998.2",
    ];

    /// Where apk 3.0 is known to say something else.
    const V3: &[&str] = &[
        "8.2.0 < 8.2.001",
        "8.2.0015 < 8.2.002",
        "1.2~0a1 < 1.2~0a2",
        "1.2~0a1 > 1.2",
        "1.01 < 1.1",
    ];

    fn check(lines: &[&str], dialect: Dialect) {
        for line in lines {
            let [left, sign, right] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let expected = match sign {
                "<" => Ordering::Less,
                ">" => Ordering::Greater,
                _ => Ordering::Equal,
            };
            assert_eq!(compare(left, right, dialect), expected, "{line}");
            assert_eq!(
                compare(right, left, dialect),
                expected.reverse(),
                "{line}, turned round"
            );
        }
    }

    #[test]
    fn order_of_2_14() {
        check(V2, Dialect::V2);
    }

    #[test]
    fn order_of_3_0() {
        check(V3, Dialect::V3);
    }

    #[test]
    fn validity() {
        for version in [
            "1", "1.", "", "1-r", "1_p", "01", "1.x", "1-r1-r2", "a", "1a1",
        ] {
            assert!(is_valid(version, Dialect::V2), "{version}");
        }
        for version in [
            "1.0bc",
            "23_foo",
            "1_post",
            "1ab",
            "1~a",
            "1_p-",
            "1A",
            "1a.2",
            "1_p.1",
            "1-r1.1",
            "99999999999999999999",
        ] {
            assert!(!is_valid(version, Dialect::V2), "{version}");
        }
        for version in ["1~a", "1.2_p3~0123-r4"] {
            assert!(is_valid(version, Dialect::V3), "{version}");
        }
        for version in ["1.", "", "1.x", "1~", "1~x", "1-r"] {
            assert!(!is_valid(version, Dialect::V3), "{version}");
        }
    }

    #[test]
    fn fuzzy() {
        for (left, right, expected) in [
            ("1.7.1-r0", "1", true),
            ("1.7.1-r0", "1.7", true),
            ("1.7.1-r0", "1.7.1-r0", true),
            ("1.70", "1.7", false),
            ("2", "1", false),
        ] {
            for dialect in [Dialect::V2, Dialect::V3] {
                assert_eq!(
                    is_fuzzy_equal(left, right, dialect),
                    expected,
                    "{left} ~ {right}"
                );
            }
        }
        assert!(is_fuzzy_equal("1.7", "1.7.1", Dialect::V2));
        assert!(!is_fuzzy_equal("1.7", "1.7.1", Dialect::V3));
    }
}
