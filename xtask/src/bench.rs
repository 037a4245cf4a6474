//! `cargo xtask bench`: prebake against the programs that do the same, in one run.
//!
//! Each measure is a process, started as a user would start it, ours and the other's in turn, so
//! that whatever else the machine does hits both. Medians and their ratio are printed.

mod apko;
mod bake;
mod download;
mod goals;
mod launch;
mod sizes;
mod solve;
mod wire;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use goals::Goals;

/// How often each process is run.
const ROUNDS: usize = 15;

/// One part of the benchmark: it prints a table, and says how far its goals are met.
type Part = fn(&mut Goals) -> Result<(), String>;

/// Runs the parts that are named; all of them where none is.
pub(crate) fn run(parts: &[String]) -> Result<(), String> {
    say(&format!(
        "medians of {ROUNDS} interleaved runs; {}; ours is built {}\n",
        machine(),
        if cfg!(debug_assertions) {
            "without optimisation, so that it says nothing"
        } else {
            "as a release is"
        }
    ));
    let all: [(&str, Part); 5] = [
        ("solve", solve::bench),
        ("bake", bake::bench),
        ("apko", |_| apko::bench()),
        ("download", download::bench),
        ("launch", |_| launch::bench()),
    ];
    if let Some(part) = parts
        .iter()
        .find(|part| all.iter().all(|(name, _)| name != part))
    {
        return Err(format!("no part of the benchmark is called `{part}`"));
    }
    let mut goals = Goals::default();
    for (name, bench) in all {
        if parts.is_empty() || parts.iter().any(|part| part == name) {
            bench(&mut goals)?;
        }
    }
    goals.print();
    Ok(())
}

/// What the hidden arguments of a measured process are.
pub(crate) fn child(arguments: &[String]) -> Result<(), String> {
    match arguments.split_first() {
        Some((first, rest)) if first == "launch" => launch::child(rest),
        Some((first, rest)) if first == "download" => download::child(rest),
        _ => solve::child(arguments),
    }
}

/// Runs each command in turn, [`ROUNDS`] times, and returns the median of each.
fn interleave(commands: &[&dyn Fn() -> Command]) -> Result<Vec<Duration>, String> {
    interleave_rounds(commands, ROUNDS)
}

/// Runs each command in turn, and returns the median of each. A command is asked for anew each
/// time, before its time begins, so that what asks for it can make ready what it needs.
fn interleave_rounds(
    commands: &[&dyn Fn() -> Command],
    rounds: usize,
) -> Result<Vec<Duration>, String> {
    let mut times = vec![Vec::new(); commands.len()];
    for _ in 0..rounds {
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
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let output = under(valgrind, command).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Returns `starter`, with `command` as its last arguments, where and as that would have run.
fn under(mut starter: Command, command: &Command) -> Command {
    starter.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            starter.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        starter.current_dir(folder);
    }
    starter
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

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
