//! Results on standard output, and what people are told beside them.

use prebake::Error;
use serde_json::{Value, json};

use crate::diagnostic;

/// Prints `value` as the command's result.
#[expect(clippy::print_stdout, reason = "standard output is for data")]
pub(crate) fn json(value: &Value) {
    println!("{value:#}");
}

/// Prints a line of the command's result.
#[expect(clippy::print_stdout, reason = "standard output is for data")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints lines of the command's result.
#[expect(clippy::print_stdout, reason = "standard output is for data")]
pub(crate) fn text(text: &str) {
    print!("{text}");
}

/// Tells people something that is no data.
#[expect(clippy::print_stderr, reason = "notices are for people")]
pub(crate) fn notice(text: &str) {
    eprintln!("{text}");
}

/// Prints a failure as the command's result, for scripts that asked for JSON.
pub(crate) fn error(error: &Error, code: u8) {
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
