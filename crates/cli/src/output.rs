//! Results on standard output, and what people are told beside them.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use prebake::Error;
use serde_json::{Value, json};

use crate::diagnostic;
use crate::failure::Failure;

/// The first failure to print, kept until the command is done: what it did counts all the same.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints `value` as the command's result.
pub(crate) fn json(value: &Value) {
    text(&format!("{value:#}\n"));
}

/// Prints a line of the command's result.
pub(crate) fn line(text: &str) {
    self::text(&format!("{text}\n"));
}

/// Prints lines of the command's result.
pub(crate) fn text(text: &str) {
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
    complain(&format!("{text}\n"));
}

/// Writes to standard error. Where nobody listens any more there is nobody to tell that either.
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
