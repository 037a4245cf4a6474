//! Texts from outside, as they are shown to people.
//!
//! A name in an archive or a value in an index may hold what a terminal obeys: escape sequences,
//! and the marks that turn the direction of writing round. Whoever shows one in a message shows it
//! so that it steers nothing and fills no screen.

use std::fmt::Write as _;

/// How much of a text is shown, in characters.
const MOST: usize = 200;

/// Returns `bytes` as a message quotes them: what is not UTF-8 becomes U+FFFD, what would steer a
/// terminal becomes `\u{1b}`, and after 200 characters comes `…`.
///
/// ```
/// use prebake_apk::shown::shown;
///
/// assert_eq!(shown(b"a\x1b[2Jb"), "a\\u{1b}[2Jb");
/// ```
pub fn shown(bytes: impl AsRef<[u8]>) -> String {
    // A character has four bytes at most, so that more than this need not be looked at.
    let bytes = bytes.as_ref();
    let looked_at = bytes.get(..4 * (MOST + 1)).unwrap_or(bytes);
    plain(&String::from_utf8_lossy(looked_at), MOST)
}

/// Returns `text` with what would steer a terminal made visible, cut after `most` characters.
pub fn plain(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for (count, char) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        if steers(char) {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{}", char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

/// Says whether a terminal obeys a character: the controls of ASCII and of Latin 1, and Unicode's
/// marks and overrides of direction.
pub fn steers(char: char) -> bool {
    let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{061c}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_steers() {
        assert_eq!(shown("usr/bin/größe 大"), "usr/bin/größe 大");
        assert_eq!(shown(b"a\nb\0\x7f\xff"), "a\\nb\\u{0}\\u{7f}\u{fffd}");
        assert_eq!(shown("\u{9b}2J \u{202e}cod"), "\\u{9b}2J \\u{202e}cod");
        let long = shown("ä".repeat(5000));
        assert_eq!(long.chars().count(), MOST + 1);
        assert!(long.ends_with('…'));
        assert_eq!(shown("ä".repeat(MOST)).chars().count(), MOST);
    }
}
