//! Results on standard output, and what people are told beside them.
//!
//! Names, versions and descriptions come from mirrors and from whoever wrote the recipe. Nothing that
//! is printed here steers a terminal, whatever it quotes.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use prebake::Error;
use prebake_apk::shown;
use serde_json::{Value, json};

use crate::diagnostic;
use crate::failure::Failure;

/// The first failure to print, kept until the command is done: what it did counts all the same.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints `value` as the command's result.
pub(crate) fn json(value: &Value) {
    print(&format!("{}\n", escaped(&format!("{value:#}"))));
}

/// Prints a line of the command's result; one it stays, whatever it quotes.
pub(crate) fn line(text: &str) {
    print(&format!("{}\n", shown::plain(text, usize::MAX)));
}

/// Prints lines of the command's result.
pub(crate) fn text(text: &str) {
    print(&plain(text));
}

/// Returns lines with what would steer a terminal made visible.
pub(crate) fn plain(text: &str) -> String {
    let lines = text.split('\n');
    let lines: Vec<_> = lines.map(|line| shown::plain(line, usize::MAX)).collect();
    lines.join("\n")
}

/// Returns JSON that says the same, with what would steer a terminal in JSON's own escapes: its
/// writers leave all but ASCII's controls as they are.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char != '\n' && shown::steers(char) {
            // Writing to a `String` cannot fail. All of these have four digits.
            let _ = write!(out, "\\u{:04x}", u32::from(char));
        } else {
            out.push(char);
        }
    }
    out
}

fn print(text: &str) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        *failed = io::stdout().lock().write_all(text.as_bytes()).err();
    }
}

/// Returns the failure to print the result, if there was one that matters. A reader that has seen
/// enough, as `head` has, is none.
pub(crate) fn take_failure() -> Option<Error> {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    let flushed = io::stdout().lock().flush().err();
    let error = failed.take().or(flushed)?;
    let matters = error.kind() != io::ErrorKind::BrokenPipe;
    let path = PathBuf::from("standard output");
    matters.then_some(Error::Write {
        path,
        source: error,
    })
}

/// Tells people something that is no data.
pub(crate) fn notice(text: &str) {
    complain(&format!("{}\n", plain(text)));
}

/// Writes to standard error what is harmless already. Where nobody listens any more there is nobody to tell that either.
pub(crate) fn complain(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// Prints a failure as the command's result, for scripts that asked for JSON.
pub(crate) fn error(error: &Failure, code: u8) {
    let problems: Vec<_> = error
        .document()
        .map(|document| {
            document
                .problems
                .iter()
                .map(|problem| {
                    let (line, column) = document.position(problem);
                    json!({
                        "file": document.path.display().to_string(),
                        "line": line,
                        "column": column,
                        "message": problem.message,
                        "hint": problem.hint,
                    })
                })
                .collect()
        })
        .unwrap_or_default();
    json(&json!({
        "error": {
            "code": code,
            "message": diagnostic::text(error).trim_end(),
            "hints": error.hints(),
            "problems": problems,
        }
    }));
}

/// Returns `bytes` as people read sizes.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_in_its_own_escapes() {
        let value = json!({ "a": "\u{1b}[2J \u{9b}2J \u{7f} \u{202e} \u{85} größe 大 \\u009b\n" });
        let text = escaped(&format!("{value:#}"));
        assert!(
            !text.chars().any(|char| char != '\n' && shown::steers(char)),
            "{text:?}"
        );
        assert!(text.contains("größe 大"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(plain("one\n\ttwo\u{9b}\n"), "one\n\\ttwo\\u{9b}\n");
    }
}
