//! Everything that must hold before a commit, in the order that fails soonest.

use std::process::Command;
use std::time::Instant;

/// Whether tests may skip what the machine has no judge for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judges {
    /// A missing program or mirror is said and skipped.
    Optional,
    /// A missing program or mirror fails the test that needs it.
    Required,
}

pub(crate) fn check(judges: Judges) -> Result<(), String> {
    step("format", cargo(&["fmt", "--all", "--check"]))?;
    step(
        "clippy",
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-Dwarnings",
        ]),
    )?;
    let mut doc = cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--quiet",
        "--document-private-items",
    ]);
    doc.env("RUSTDOCFLAGS", "-Dwarnings");
    step("docs", doc)?;
    let mut test = cargo(&["test", "--workspace"]);
    if judges == Judges::Required {
        test.env("CI", "true");
        // How many random worlds the solver and the real apk are both given.
        test.env("PREBAKE_DIFFERENTIAL", "1000");
    }
    step("tests", test)
}

/// Runs the benchmarks in a release build of this very program.
pub(crate) fn bench() -> Result<(), String> {
    let arguments = [
        "run",
        "--release",
        "--quiet",
        "--package",
        "xtask",
        "--",
        "bench-run",
    ];
    step("bench", cargo(&arguments))
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

#[expect(clippy::print_stderr, reason = "this is a program for people")]
fn step(name: &str, mut command: Command) -> Result<(), String> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|error| format!("failed to start {name}: {error}"))?;
    if !status.success() {
        return Err(format!("{name} failed: {command:?}"));
    }
    eprintln!("    {name} took {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
