//! What a build script tells cargo, and through it people.
//!
//! A warning is shown again by every later build until the script runs again (cargo 1.95, tried
//! out), so that downloads are told on standard error only, which `cargo build -vv` shows as it
//! comes and a failed build shows afterwards.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;

use prebake::arch::Arch;
use prebake::{Origin, Progress, Reporter, Stage};

use super::error::BakeError;

/// Tells cargo to run the build script again when one of these files changes.
pub(crate) fn depends_on<'p>(files: impl IntoIterator<Item = &'p Path>) {
    for file in files {
        // Cargo takes a missing file for a changed one. Only the record of scripts may be missing
        // here, and when it comes, the lock changes with it.
        if file.exists() {
            directive("rerun-if-changed", &file.display().to_string());
        }
    }
}

/// Tells people something that is no failure.
pub(crate) fn warn(text: &str) {
    directive("warning", text);
}

/// Tells cargo and people why there is no rootfs, and ends the process.
///
/// Its exit code is 0: cargo fails the build for the error it was told (since 1.84), and says
/// nothing more. For another code it would repeat all that was printed here, and add how the
/// process ended and how to have backtraces (cargo 1.95, tried out).
#[expect(clippy::exit, reason = "a build script has no caller but cargo")]
pub(crate) fn fail(error: &BakeError) -> ! {
    for line in lines(error) {
        directive("error", &line);
    }
    std::process::exit(0)
}

/// Returns what failed, its causes and what to do, in lines.
fn lines(error: &BakeError) -> Vec<String> {
    let mut lines = vec!["there is no root filesystem to build this package with".to_owned()];
    let mut add = |before: &str, text: &str| {
        for (number, line) in text.lines().enumerate() {
            let before = match number {
                0 => before.to_owned(),
                _ => " ".repeat(before.len()),
            };
            lines.push(format!("{before}{line}"));
        }
    };
    add("  ", &error.to_string());
    let mut cause = error.source();
    while let Some(source) = cause {
        add("  caused by: ", &source.to_string());
        cause = source.source();
    }
    for hint in error.hints() {
        add("  hint: ", &hint);
    }
    lines
}

#[expect(
    clippy::print_stdout,
    reason = "that is how a build script speaks to cargo"
)]
fn directive(key: &str, value: &str) {
    println!("cargo::{key}={value}");
}

/// Tells on standard error what takes long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told;

impl Progress for Told {
    fn start(&self, _item: usize, label: &str, size: Option<u64>) {
        match size {
            Some(size) => progress(&format!("  {label}, {size} bytes")),
            None => progress(&format!("  {label}")),
        }
    }

    fn warning(&self, text: &str) {
        warn(text);
    }

    fn finish(&self, _item: usize, origin: Origin) {
        if origin == Origin::Downloaded {
            progress("  downloaded");
        }
    }
}

impl Reporter for Told {
    fn beside(&self, _arch: Arch) -> Arc<dyn Reporter> {
        // Its lines name what they are about.
        Arc::new(*self)
    }

    fn stage(&self, stage: &Stage) {
        progress(&stage.to_string());
    }

    fn notice(&self, text: &str) {
        warn(text);
    }
}

#[expect(
    clippy::print_stderr,
    reason = "that is how a build script speaks to people"
)]
fn progress(text: &str) {
    eprintln!("prebake: {text}");
}
