//! `cargo xtask fuzz`: every target of `fuzz/` under libFuzzer for some seconds, with the compiler
//! that there is.
//!
//! libFuzzer needs to see where a program goes, and the stable compiler can tell it. What only a
//! nightly one has is the address sanitizer, which `cargo +nightly fuzz run TARGET` turns on.

use std::path::{Path, PathBuf};
use std::process::Command;

use prebake_fuzz::{TARGETS, seeds};

use crate::check::{cargo, step};

/// What makes the compiler tell libFuzzer of every branch and comparison, as `cargo fuzz` has it.
const SEEN: &str = "--cfg fuzzing -Cpasses=sancov-module -Cdebug-assertions \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// How many executions a target gets where no time is said, and for how many seconds at most.
const EXECUTIONS: u32 = 20_000;
const SECONDS: u32 = 4;

/// Runs all targets shortly or, with `arguments`, one for so many seconds.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let names = TARGETS.map(|target| target.name);
    let (chosen, bound) = match arguments {
        [] => (
            names.to_vec(),
            [format!("-runs={EXECUTIONS}"), time(SECONDS)],
        ),
        [name, seconds] if names.contains(&name.as_str()) => {
            let seconds = seconds.parse().map_err(|_| "say how many seconds")?;
            (
                vec![name.as_str()],
                ["-print_final_stats=1".to_owned(), time(seconds)],
            )
        }
        _ => return Err(format!("the targets are {}", names.join(", "))),
    };
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let folder = crate::target_folder().join("fuzz");
    let programs = build(&fuzz, &folder)?;
    for name in chosen {
        let work = folder.join("work").join(name);
        let found = folder.join("found").join(name);
        for folder in [&work, &found] {
            fs_err::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        for (number, seed) in seeds::seeds(name).iter().enumerate() {
            let seed_file = work.join(format!("seed-{number}"));
            fs_err::write(seed_file, seed).map_err(|error| error.to_string())?;
        }
        let mut program = Command::new(programs.join(name));
        // Where it learns, then what it begins with. The first is not kept between runs in CI.
        program.arg(&work).arg(fuzz.join("corpus").join(name));
        program
            .args(&bound)
            .args(["-timeout=10", "-rss_limit_mb=2048", "-verbosity=0"]);
        program.arg(format!("-artifact_prefix={}/", found.display()));
        step(&format!("fuzz {name}"), &mut program)?;
    }
    Ok(())
}

fn time(seconds: u32) -> String {
    format!("-max_total_time={seconds}")
}

/// Builds the programs and returns the folder that they are in.
fn build(fuzz: &Path, folder: &Path) -> Result<PathBuf, String> {
    // The same versions as everywhere else.
    let lock = fuzz.join("../Cargo.lock");
    fs_err::copy(lock, fuzz.join("Cargo.lock")).map_err(|error| error.to_string())?;
    let host = host()?;
    // With a target named, what runs at build time is not instrumented.
    let mut build = cargo(&["build", "--quiet", "--release", "--bins", "--target", &host]);
    build.arg("--manifest-path").arg(fuzz.join("Cargo.toml"));
    build.arg("--target-dir").arg(folder);
    build.env("RUSTFLAGS", SEEN);
    step("fuzz: build", &mut build)?;
    Ok(folder.join(host).join("release"))
}

/// Returns the name of the machine that this runs on, as the compiler calls it.
fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output();
    let output = output.map_err(|error| format!("failed to start rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say its host".to_owned())
}
