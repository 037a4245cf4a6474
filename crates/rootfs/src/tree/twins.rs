//! Names that are one name on hosts that do not tell them apart.
//!
//! macOS and Windows take `A` and `a` for one name, and macOS takes the two ways in which Unicode
//! writes `é` for one. Whoever unpacks an image there has one of the two, or writes the second
//! through the first where that is a link.

use unicode_normalization::UnicodeNormalization as _;

use prebake_apk::path::GuestPath;

use super::Tree;

impl Tree {
    /// Returns the names that are one name to such hosts, those that fall together in each group.
    /// What is below a directory falls together with what is below its twin.
    pub(crate) fn twins(&self) -> Vec<Vec<&GuestPath>> {
        let folded = self.names.keys().map(|path| (fold(path.as_bytes()), path));
        let mut folded: Vec<_> = folded.collect();
        folded.sort_unstable();
        let groups = folded.chunk_by(|(one, _), (other, _)| one == other);
        let groups = groups.filter(|group| group.len() > 1);
        let groups = groups.map(|group| group.iter().map(|(_, path)| *path).collect());
        groups.collect()
    }
}

/// Returns what a name is to a host that tells apart neither case nor Unicode forms. What is no
/// UTF-8 is folded as ASCII.
fn fold(name: &[u8]) -> Vec<u8> {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return name.to_ascii_lowercase();
    };
    // By the upper case first: `ſ` and `ß` have none of their own below.
    let upper = name.nfd().flat_map(char::to_uppercase);
    let lower = upper.flat_map(char::to_lowercase);
    lower.nfd().collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_as_macos_and_windows_fold_them() {
        for (one, other) in [
            ("README", "readme"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("CAFE\u{301}", "caf\u{e9}"),
            ("\u{1e9b}\u{323}", "\u{17f}\u{323}\u{307}"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{212a}", "k"),
            ("\u{3a3}\u{3c2}", "\u{3c3}\u{3c3}"),
        ] {
            assert_eq!(
                fold(one.as_bytes()),
                fold(other.as_bytes()),
                "{one} {other}"
            );
        }
        for (one, other) in [("a", "b"), ("e", "\u{e9}"), ("a_b", "a-b")] {
            assert_ne!(
                fold(one.as_bytes()),
                fold(other.as_bytes()),
                "{one} {other}"
            );
        }
        assert_eq!(fold(b"\xffA"), b"\xffa");
    }
}
