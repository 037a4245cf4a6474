//! A program that has an instance and is killed, at whatever moment, leaves nothing behind, and the
//! next one works.
//!
//! The test begins itself again as that program.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "support/instance.rs"]
mod instance;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use instance::Home;
use prebake_launch::{LaunchError, Name};

/// Names the run of this test to all processes that come of it, and says where its files are.
const MARK: &str = "PREBAKE_TEST_LEFT_OVERS";

/// How often it is killed.
const TIMES: u64 = 100;

/// How often there is another rootfs, which is to be unpacked.
const UNPACKED_EVERY: u64 = 6;

/// How long what was killed may take to be gone; only a failure takes so long.
const GONE: Duration = Duration::from_mins(1);

#[test]
fn the_killed_leave_nothing() {
    let test = "the_killed_leave_nothing";
    if let Ok(mark) = std::env::var(MARK) {
        return hold(test, Path::new(mark.split_once(' ').unwrap().1));
    }
    let Some(home) = Home::new(test) else {
        return;
    };
    let mounts = mounts(home.folder.path());
    let tar = instance::read(home.rootfs.file().unwrap());
    let (mut swept, mut runs) = (0, 0);
    for turn in 0..TIMES {
        if turn % UNPACKED_EVERY == 0 {
            // Zeros behind an archive's end are part of its identity.
            let zeros = vec![0; 512 * (turn as usize + 1)];
            let mut file = fs_err::File::create(home.folder.path().join("rootfs.tar")).unwrap();
            file.write_all(&tar).unwrap();
            file.write_all(&zeros).unwrap();
        }
        let mark = format!(
            "{}-{turn} {}",
            std::process::id(),
            home.folder.path().display()
        );
        let mut holder = begin(test, &mark);
        let output = BufReader::new(holder.stdout.take().unwrap());
        // The moments are anywhere from its first instruction to deep in a run.
        let moment = (turn * 7919) % 97;
        if turn % 3 == 2 {
            let mut lines = output.lines().map(Result::unwrap);
            assert!(lines.any(|line| line.ends_with("runs")), "it gets there");
            runs += 1;
            std::thread::sleep(Duration::from_micros(moment * 150));
        } else {
            std::thread::sleep(Duration::from_millis(moment * 3));
        }
        holder.kill().unwrap();
        holder.wait().unwrap();
        until_gone(&format!("{MARK}={mark}"));
        // Whoever is not quite dead yet has a lock still.
        let begun = Instant::now();
        loop {
            let host = home.again();
            swept += host.swept().len();
            let left = home.left();
            let half = half_unpacked(home.folder.path());
            if left.is_empty() && half.is_empty() {
                assert_eq!(host.instances().unwrap(), []);
                break;
            }
            assert!(begun.elapsed() < GONE, "turn {turn}: {left:?} {half:?}");
        }
        assert_eq!(self::mounts(home.folder.path()), mounts, "turn {turn}");
    }
    assert_eq!(runs, TIMES / 3);
    // Most clean up after themselves: only those that had no process for it yet are left over.
    assert!(swept < TIMES as usize / 2, "{swept} were left over");
    let one = home.import("after");
    assert_eq!(instance::shell_ok(&one, "echo works"), "works\n");
}

#[test]
fn the_helpers_of_a_program_that_has_an_instance_may_die_too() {
    let test = "the_helpers_of_a_program_that_has_an_instance_may_die_too";
    let Some(home) = Home::new(test) else {
        return;
    };
    let helper = |name: &str| {
        let own = std::process::id().to_string();
        let named = |pid: &String| {
            let comm = |pid: &str| {
                let text = fs_err::read_to_string(format!("/proc/{pid}/comm"));
                text.unwrap_or_default().trim().to_owned()
            };
            let of_own = |pid: &str| {
                let text = fs_err::read_to_string(format!("/proc/{pid}/status"));
                text.unwrap_or_default()
                    .lines()
                    .find_map(|line| Some(line.strip_prefix("PPid:\t")?.to_owned()))
            };
            // The other test's programs have instances of their own, and are this one's children.
            let parent = of_own(pid).unwrap_or_default();
            let is_ours = match name {
                "prebake-holder" => parent == own,
                _ => of_own(&parent) == Some(own.clone()) && comm(&parent) == "prebake-holder",
            };
            comm(pid) == name && is_ours
        };
        let pid = pids().into_iter().find(named).unwrap();
        let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success());
    };
    for name in ["prebake-init", "prebake-holder"] {
        let one = home.import("one");
        let child = one.command("sleep").arg("1000").spawn().unwrap();
        helper(name);
        let mut child = child;
        assert_eq!(child.wait().unwrap().code(), 128 + 9, "{name}");
        // The next one finds the processes gone, and begins them again.
        let again = (0..100).find_map(|_| match one.command("true").status() {
            Ok(status) => Some(status.success()),
            Err(LaunchError::Lost { .. }) => None,
            Err(other) => panic!("{name}: {other:?}"),
        });
        assert_eq!(again, Some(true), "{name}");
        one.remove().unwrap();
        assert!(home.left().is_empty(), "{name}: {:?}", home.left());
    }
}

/// Returns what somebody began to unpack and did not end.
fn half_unpacked(folder: &Path) -> Vec<std::path::PathBuf> {
    let trees = fs_err::read_dir(folder.join("trees")).unwrap();
    let new = trees.map(|tree| tree.unwrap().path().join("new"));
    new.filter(|new| new.exists()).collect()
}

/// What is killed: it imports, runs and removes until then.
fn hold(test: &str, folder: &Path) {
    let rootfs = instance::rootfs(&folder.join("rootfs.tar"));
    let host = instance::host(test, folder).unwrap();
    let mark = std::env::var(MARK).unwrap();
    loop {
        let one = host.import(&Name::unique("held"), &rootfs).unwrap();
        one.create_dir("/srv/data").unwrap();
        let mut command = one.command("sh");
        let line = "echo x >> /srv/x; sleep 1000 & setsid sleep 1000 & echo runs; wait";
        let mut child = command.args(["-c", line]).env(MARK, &mark).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10));
        child.kill().unwrap();
        one.remove().unwrap();
    }
}

fn begin(test: &str, mark: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARK, mark)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn pids() -> Vec<String> {
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    let names = processes.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

/// Waits until there is no process that has this among its environment.
fn until_gone(variable: &str) {
    let begun = Instant::now();
    loop {
        let left: Vec<String> = pids()
            .into_iter()
            .filter(|pid| {
                let text = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                text.split(|byte| *byte == 0)
                    .any(|one| one == variable.as_bytes())
            })
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < GONE, "{variable} leaves {left:?}");
        std::thread::yield_now();
    }
}

/// Returns what is mounted of an instance in `folder`, and every overlay of instances.
fn mounts(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts
        .lines()
        .filter(|line| line.contains(folder) || line.contains(" - overlay prebake "));
    mounts.map(str::to_owned).collect()
}
