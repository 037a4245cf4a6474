//! `cargo xtask bench`: prebake against the programs that do the same, in one run.
//!
//! Each measure is a process, started as a user would start it, ours and the other's in turn, so
//! that whatever else the machine does hits both. Medians and their ratio are printed.

mod launch;
mod solve;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each process is run.
const ROUNDS: usize = 15;

pub(crate) fn run() -> Result<(), String> {
    say(&format!(
        "medians of {ROUNDS} interleaved runs; {}; ours is built {}\n",
        machine(),
        if cfg!(debug_assertions) {
            "without optimisation, so that it says nothing"
        } else {
            "as a release is"
        }
    ));
    solve::bench()?;
    launch::bench()
}

/// What the hidden arguments of a measured process are.
pub(crate) fn child(arguments: &[String]) -> Result<(), String> {
    match arguments.split_first() {
        Some((first, rest)) if first == "launch" => launch::child(rest),
        _ => solve::child(arguments),
    }
}

/// Runs each command in turn, and returns the median of each.
fn interleave(commands: &[&dyn Fn() -> Command]) -> Result<Vec<Duration>, String> {
    let mut times = vec![Vec::new(); commands.len()];
    for _ in 0..ROUNDS {
        for (command, times) in commands.iter().zip(&mut times) {
            let mut command = command();
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let start = Instant::now();
            let status = command
                .status()
                .map_err(|error| format!("{command:?}: {error}"))?;
            times.push(start.elapsed());
            if !status.success() {
                return Err(format!("{command:?} failed: {status}"));
            }
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Returns how many instructions a command takes, on all its threads, as valgrind counts them;
/// `None` where there is no valgrind. They hardly depend on what else the machine does.
fn instructions(command: &Command) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn machine() -> String {
    let model = fs_err::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            line.split_once(':')
                .map(|(_, model)| model.trim().to_owned())
        });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    format!(
        "{cores} cores, {}",
        model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
    )
}

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
