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
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    step(
        "clippy",
        &mut cargo(&[
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
    step("docs", &mut doc)?;
    let mut test = cargo(&["test", "--workspace"]);
    if judges == Judges::Required {
        test.env("CI", "true");
        // How many random worlds the solver and the real apk are both given.
        test.env("PREBAKE_DIFFERENTIAL", "1000");
    }
    step("tests", &mut test)?;
    if judges == Judges::Required {
        crate::fuzz::run(&[])?;
    }
    Ok(())
}

/// Runs the benchmarks in a release build of this very program.
pub(crate) fn bench(parts: &[String]) -> Result<(), String> {
    let program = ["build", "--release", "--quiet", "--package", "prebake-cli"];
    step("build", &mut cargo(&program))?;
    let arguments = [
        "run",
        "--release",
        "--quiet",
        "--package",
        "xtask",
        "--",
        "bench-run",
    ];
    step("bench", cargo(&arguments).args(parts))
}

/// Returns the cargo that runs this, with arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Runs what must succeed, and says how long it took.
#[expect(clippy::print_stderr, reason = "this is a program for people")]
pub(crate) fn step(name: &str, command: &mut Command) -> Result<(), String> {
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
