//! What holds of every error's words: they are shown on somebody's terminal.

use std::error::Error;

/// The most characters that an error and its causes may have. What comes from outside is quoted
/// in it, and only as much of it as one reads.
const LONGEST: usize = 20_000;

/// Holds an error and its causes to being plain text of a bounded length, and returns it.
pub(crate) fn tame(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    assert_tame(&text);
    assert!(text.len() <= LONGEST, "{} bytes of error", text.len());
    text
}

/// Holds a text to having no character that a terminal would obey.
pub(crate) fn assert_tame(text: &str) {
    let wild = text.chars().find(|char| char.is_control() && *char != '\n');
    assert!(wild.is_none(), "a terminal would obey {text:?}");
}
