//! Nothing of a sandbox outlives the process that holds it, whenever and however that dies.
//!
//! The test begins itself again as that process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "support/alpine.rs"]
mod alpine;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use alpine::{Alpine, told};
use prebake_launch::sandbox::Limits;

/// Names the run of this test to all processes that come of it.
const MARK: &str = "PREBAKE_TEST_KILLED";

/// How often it is killed.
const TIMES: u32 = 40;

/// How long what was killed may take to be gone; only a failure takes so long.
const GONE: Duration = Duration::from_secs(30);

#[test]
fn a_killed_holder_leaves_nothing() {
    let test = "a_killed_holder_leaves_nothing";
    if let Ok(mark) = std::env::var(MARK) {
        return hold(test, &mark);
    }
    if alpine::sandbox(test, &Limits::default()).is_none()
        || alpine::base(test, alpine::V3_19).is_none()
    {
        return;
    }
    let mut killed_in_run = 0;
    for turn in 0..TIMES {
        let mark = format!("{}-{turn}", std::process::id());
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(MARK, &mark)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(holder.stdout.take().unwrap());
        // The moments are anywhere from its first instruction to deep in a run.
        if turn % 2 == 0 {
            std::thread::sleep(Duration::from_millis(u64::from(turn) * 5));
        } else {
            let mut lines = output.lines().map(Result::unwrap);
            assert!(lines.any(|line| line.ends_with("runs")), "it gets there");
            killed_in_run += 1;
            std::thread::sleep(Duration::from_millis(u64::from(turn)));
        }
        holder.kill().unwrap();
        holder.wait().unwrap();
        let begun = Instant::now();
        loop {
            let left = marked(&format!("{MARK}={mark}"));
            if left.is_empty() {
                break;
            }
            assert!(begun.elapsed() < GONE, "turn {turn} leaves {left:?}");
            std::thread::yield_now();
        }
    }
    assert_eq!(killed_in_run, TIMES / 2);
}

/// What is killed: it unpacks and runs until then.
fn hold(test: &str, mark: &str) {
    let mut alpine = Alpine::with(test, &Limits::default()).unwrap();
    loop {
        let mut call = Alpine::call("echo x >> /srv/x; sleep 1000 & setsid sleep 1000 & wait");
        call.environment.push((MARK.into(), mark.into()));
        let mut out = std::io::stdout();
        writeln!(out, "runs").unwrap();
        out.flush().unwrap();
        drop(alpine.0.run(&call));
        told(&alpine.changes());
        alpine.shell("true");
        assert!(alpine.shell_ok("true").is_empty());
    }
}

/// Returns the processes that have this among their environment.
fn marked(variable: &str) -> Vec<String> {
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    processes
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| {
            let text = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            text.split(|byte| *byte == 0)
                .any(|one| one == variable.as_bytes())
        })
        .collect()
}
