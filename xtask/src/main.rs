//! What developers run: `cargo xtask check`, `ci`, `cross` and `quickstart`.

mod bench;
mod check;
mod cross;
mod embed;
mod fuzz;
mod quickstart;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask check       format, clippy, tests, docs
cargo xtask ci          the same, with every outside judge required
cargo xtask bench       prebake against its peers, in one run; or those named of
                        `solve`, `bake`, `download`, `launch`
cargo xtask cross [DIR] Windows and macOS: what compiles, and what runs under wine
cargo xtask embed       what carrying a rootfs costs whoever compiles a program
cargo xtask fuzz [TARGET SECONDS]  every parser of foreign bytes under libFuzzer
cargo xtask quickstart  bake the example recipe and say what was done
";

#[expect(clippy::print_stderr, reason = "this is a program for people")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => check::check(check::Judges::Optional),
        ["ci"] => check::check(check::Judges::Required),
        ["bench", ..] => check::bench(&arguments[1..]),
        ["bench-run", ..] => bench::run(&arguments[1..]),
        ["bench-child", ..] => bench::child(&arguments[1..]),
        ["cross", ..] => cross::run(&arguments[1..]),
        ["fuzz", ..] => fuzz::run(&arguments[1..]),
        ["embed"] => embed::run(),
        ["quickstart"] => quickstart::run(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the folder that cargo builds in.
fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    )
}
