//! Killed, interrupted or told to end at hundreds of moments of each command that writes.
//!
//! A moment is a system call: strace sends the signal when a thread of the command comes to the
//! so-manieth one of a name, so that no moment depends on how fast the machine is, and each can be had
//! again. Half of the moments are any system calls, half are among those that change a file.
//!
//! Whatever the moment: each file that the command writes is the old or the new one, whole; the
//! cache has no wrong byte; the same command then succeeds, and leaves the very files that it
//! leaves without having been killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use prebake_testkit::judge;

use crate::kitchen::{Kitchen, Output};
use crate::stove::{OUTPUT, Stove, files, finish, left_overs, wrong_blobs};

/// At how many moments each command is killed. There are five of them.
const KILLED: usize = 60;

/// At how many it gets a signal that it can do something about. Each of its threads that comes so
/// far gets one, and the second ends it at once.
const TOLD: usize = 8;

/// The lock's name.
const LOCK: &str = "prebake.lock";

/// The system calls that leave something behind.
const WRITING: [&str; 14] = [
    "openat",
    "write",
    "ftruncate",
    "fsync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "flock",
    "close",
];

/// Every file of a kitchen, by its name.
#[derive(Clone)]
struct State(BTreeMap<String, Vec<u8>>);

impl State {
    fn of(kitchen: &Kitchen) -> Self {
        let names = files(&kitchen.path("")).into_iter();
        let read = names.map(|name| {
            let bytes = fs_err::read(kitchen.path(&name)).unwrap();
            (name, bytes)
        });
        Self(read.collect())
    }

    /// Makes the kitchen what it was.
    fn restore(&self, kitchen: &Kitchen) {
        for name in ["cache", "out", "vendored", "instances"] {
            drop(fs_err::remove_dir_all(kitchen.path(name)));
        }
        for name in files(&kitchen.path("")) {
            fs_err::remove_file(kitchen.path(&name)).unwrap();
        }
        for (name, bytes) in &self.0 {
            kitchen.write(name, bytes);
        }
    }
}

/// Returns the names of all files but those that the cache is made of, which are looked at by what
/// is in them.
fn strays(state: &State) -> Vec<&String> {
    let cached = ["sha256", "url", "derived"].map(|folder| format!("cache/v1/{folder}/"));
    let names = state.0.keys();
    names
        .filter(|name| !cached.iter().any(|folder| name.starts_with(folder)))
        .collect()
}

/// Starts `prebake ARGUMENTS…` under strace with these options, and waits for its end.
fn traced(kitchen: &Kitchen, options: &[&str], arguments: &[&str]) -> Output {
    let starter = [&["strace", "-f", "-qq"], options].concat();
    let mut command = kitchen.started_by(&starter, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

/// Returns every call of the command: its name, and the how-manieth of that name it is in its
/// thread, which is what strace counts by.
fn calls(kitchen: &Kitchen, arguments: &[&str]) -> Vec<(String, usize)> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let name = log.path().display().to_string();
    traced(kitchen, &["-o", &name], arguments).expect(0);
    let text = fs_err::read_to_string(log.path()).unwrap();
    let mut counted = BTreeMap::<(&str, &str), usize>::new();
    let begun = text.lines().filter_map(|line| {
        let (thread, call) = line.split_once(' ')?;
        let (name, _) = call.trim_start().split_once('(')?;
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then_some((thread, name))
    });
    let numbered = begun.map(|(thread, name)| {
        let count = counted.entry((thread, name)).or_default();
        *count += 1;
        (name.to_owned(), *count)
    });
    numbered.collect()
}

/// Sends signals to `prebake ARGUMENTS…`, which begins where `stove` is now and writes `products`:
/// files, or folders with all that is in them.
fn at_many_moments(test: &str, stove: &Stove, arguments: &[&str], products: &[&str]) {
    if judge::program(test, "strace").is_none() {
        return;
    }
    let kitchen = &stove.kitchen;
    let start = State::of(kitchen);
    kitchen.run(arguments).expect(0);
    let end = State::of(kitchen);
    let all = start.0.keys().chain(end.0.keys());
    let products: BTreeSet<_> = all
        .filter(|name| {
            products
                .iter()
                .any(|product| Path::new(name).starts_with(product))
        })
        .collect();
    assert!(!products.is_empty(), "{test}: it writes nothing");
    start.restore(kitchen);
    let all = calls(kitchen, arguments);
    let mut writing = all.clone();
    writing.retain(|(name, _)| WRITING.contains(&name.as_str()));
    assert!(writing.len() > 20, "strace saw {writing:?}");
    // The golden ratio strews the moments evenly however many there are.
    let strewn = |number: usize, count: usize| number * 618_034 % 1_000_000 * count / 1_000_000;
    let mut cut = 0;
    for number in 0..KILLED + TOLD {
        let signal = match number {
            _ if number < KILLED => "KILL",
            _ if number % 2 == 0 => "INT",
            _ => "TERM",
        };
        let among = if number % 2 == 0 { &all } else { &writing };
        let (name, nth) = &among[strewn(number, among.len())];
        start.restore(kitchen);
        let trace = format!("trace={name}");
        let inject = format!("inject={name}:signal={signal}:when={nth}");
        let about = format!("{test}: {inject}");
        let options = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
        let output = traced(kitchen, &options, arguments);
        cut += usize::from(output.code != Some(0));
        let known = matches!(output.code, None | Some(0 | 130));
        assert!(known, "{about}: {output:?}");
        assert!(!output.stderr.contains("panicked"), "{about}: {output:?}");
        for product in &products {
            let found = fs_err::read(kitchen.path(product)).ok();
            let is_old = found.as_ref() == start.0.get(*product);
            let is_new = found.as_ref() == end.0.get(*product);
            assert!(is_old || is_new, "{about}: half of {product}");
        }
        assert_eq!(wrong_blobs(kitchen), Vec::<String>::new(), "{about}");
        kitchen.run(arguments).expect(0);
        for product in &products {
            let found = fs_err::read(kitchen.path(product)).ok();
            let is_new = found.as_ref() == end.0.get(*product);
            assert!(is_new, "{about}: another {product} afterwards");
        }
        assert_eq!(left_overs(kitchen), Vec::<String>::new(), "{about}");
        assert_eq!(strays(&State::of(kitchen)), strays(&end), "{about}");
    }
    assert!(2 * cut > KILLED + TOLD, "only {cut} did not come to an end");
}

#[test]
fn a_lock_from_nothing() {
    let stove = Stove::with_data(4 << 10);
    at_many_moments("a_lock_from_nothing", &stove, &["lock"], &[LOCK]);
}

#[test]
fn a_lock_that_moves_on() {
    let stove = Stove::with_data(4 << 10);
    stove.cook(&["data"]);
    stove.kitchen.run(&["lock"]).expect(0);
    stove.cook(&["tool"]);
    at_many_moments("a_lock_that_moves_on", &stove, &["lock"], &[LOCK]);
}

#[test]
fn a_build_from_nothing() {
    let stove = Stove::with_data(4 << 10);
    let products = [LOCK, OUTPUT];
    at_many_moments("a_build_from_nothing", &stove, &["build"], &products);
}

#[test]
fn a_build_over_an_older_output() {
    let stove = Stove::with_data(4 << 10);
    stove.bake();
    stove.put_old();
    let products = [LOCK, OUTPUT];
    at_many_moments(
        "a_build_over_an_older_output",
        &stove,
        &["build"],
        &products,
    );
}

#[test]
fn a_vendored_folder_that_moves_on() {
    let stove = Stove::with_data(4 << 10);
    stove.cook(&["data"]);
    stove.kitchen.run(&["lock"]).expect(0);
    stove.kitchen.run(&["vendor", "vendored"]).expect(0);
    stove.cook(&["tool"]);
    stove.kitchen.run(&["lock"]).expect(0);
    let test = "a_vendored_folder_that_moves_on";
    at_many_moments(test, &stove, &["vendor", "vendored"], &["vendored"]);
}
