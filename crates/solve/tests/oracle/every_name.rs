//! Package names of real indexes, each as a world of its own. `PREBAKE_EVERY_NAME` sets how many
//! of v3.19's 23,025 are drawn; all of them keep apk busy for two hours.
//!
//! With `PREBAKE_ANSWERS` the answers of the oracle are not asked for but read from a file, and
//! every name in it is tried. It holds for each a line `= name`, then the lines that apk printed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stage::{Outcome, Random, Stage, check, difference, number, outcome, shared};

/// How many names of v3.19 are tried by default. The oracle takes 0.3 s for each.
const NAMES: usize = 20;

/// Returns every package name of a stage's repositories, in an order that the seed gives.
fn names(stage: &Stage, seed: u64) -> Vec<Vec<String>> {
    let mut names = BTreeSet::new();
    for (index, _) in &stage.repositories {
        names.extend(index.iter().map(|package| package.name().to_owned()));
    }
    let mut names: Vec<_> = names.into_iter().map(|name| vec![name]).collect();
    let mut random = Random(seed);
    for at in (1..names.len()).rev() {
        names.swap(at, random.below(at + 1));
    }
    names
}

#[test]
fn every_name_of_3_13() {
    let Some(shared) = shared() else { return };
    let stage = Stage::new(
        &shared,
        "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz",
        "aarch64",
        &["v3.13/main"],
    );
    check(&stage, &names(&stage, 313));
}

#[test]
fn names_of_3_19() {
    let Some(shared) = shared() else { return };
    let stage = Stage::new(
        &shared,
        "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz",
        "x86_64",
        &["v3.19/main", "v3.19/community"],
    );
    if let Ok(path) = std::env::var("PREBAKE_ANSWERS") {
        return compare_with_recorded(&stage, &fs_err::read_to_string(path).expect("answers"));
    }
    let seed = number("PREBAKE_SEED", 319) as u64;
    let count = number("PREBAKE_EVERY_NAME", NAMES);
    let mut names = names(&stage, seed);
    names.truncate(count);
    check(&stage, &names);
}

#[expect(clippy::print_stdout, reason = "the counts are of interest")]
fn compare_with_recorded(stage: &Stage, answers: &str) {
    let answers: Vec<(&str, Outcome)> = answers
        .split("= ")
        .filter_map(|answer| answer.split_once('\n'))
        .map(|(name, text)| (name, outcome(text, text)))
        .collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, theirs)) = answers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ours = stage.ours(&[(*name).to_owned()]);
                    if ours != *theirs {
                        let text = format!("{name}\n{}", difference(theirs, &ours));
                        println!("{text}");
                        found.lock().expect("no panic").push(text);
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("no panic");
    let unsatisfiable = answers
        .iter()
        .filter(|(_, theirs)| *theirs == ["unsatisfiable"]);
    println!(
        "{} names, {} of them unsatisfiable, {} differences",
        answers.len(),
        unsatisfiable.count(),
        found.len()
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}
