//! Universes made to keep a resolver busy.
//!
//! Each is solved in a bounded number of steps, on a thread with a small stack, and as apk solves
//! it. With `PREBAKE_MEASURE` and `--nocapture` it is told how long both take; no time is asserted.

use std::path::PathBuf;
use std::time::Instant;

use prebake_solve::SolveError;

use crate::case::{Case, Repository};
use crate::stage::{Stage, difference, shared};

/// A worst case, and the steps that are enough for it.
struct Worst {
    name: &'static str,
    packages: Vec<String>,
    world: Vec<String>,
    steps: u64,
    /// Whether apk is asked too; it takes seconds for the others, or minutes.
    by_apk: bool,
}

fn words(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(" ")
}

fn cases() -> Vec<Worst> {
    let mut cases = Vec::new();
    let mut case = |name, packages: Vec<String>, world: &str, steps, by_apk| {
        cases.push(Worst {
            name,
            packages,
            world: words(world),
            steps,
            by_apk,
        });
    };
    let n = 10_000;
    let each =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>();

    case(
        "providers of one name, with versions",
        each(n, &|i| format!("p{i} 1 | p:v={i}")),
        "v",
        140_000,
        true,
    );
    case(
        "providers of one name, with priorities",
        each(n, &|i| format!("p{i} 1 | p:v | k:{}", i + 1)),
        "v",
        140_000,
        true,
    );
    case(
        "providers of one name, none by itself",
        each(n, &|i| format!("p{i} 1 | p:v")),
        "v",
        120_000,
        true,
    );
    case(
        "providers of one name, all asked for",
        each(n, &|i| format!("p{i} 1 | p:v")),
        &format!("v {}", join((0..n).map(|i| format!("p{i}")))),
        140_000_000,
        false,
    );
    case(
        "versions of one name",
        each(n, &|i| format!("a {i}")),
        "a",
        80_000,
        true,
    );
    case(
        "versions of one name, all too new but one",
        each(n, &|i| format!("a {i}")),
        "a<1",
        80_000,
        true,
    );
    let mut p = each(1_000, &|i| format!("a {i} | D:b={i}"));
    p.extend(each(1_000, &|i| format!("b {i}")));
    case(
        "1,000 versions that each need one of another",
        p,
        "a b<500",
        860_000,
        true,
    );
    let mut p = each(n, &|i| format!("a {i} | D:b={i}"));
    p.extend(each(n, &|i| format!("b {i}")));
    case(
        "10,000 versions that each need one of another",
        p,
        "a b<500",
        130_000_000,
        false,
    );
    case(
        "chain",
        each(99_999, &|i| format!("c{i} 1 | D:c{}", i + 1))
            .into_iter()
            .chain(["c99999 1".into()])
            .collect(),
        "c0",
        1_800_000,
        false,
    );
    case(
        "shorter chain",
        each(10_000, &|i| format!("c{i} 1 | D:c{}", i + 1))
            .into_iter()
            .chain(["c10000 1".into()])
            .collect(),
        "c0",
        200_000,
        true,
    );
    case(
        "shorter chain with a broken end",
        each(10_000, &|i| format!("c{i} 1 | D:c{}", i + 1)),
        "c0",
        200_000,
        true,
    );
    case(
        "chain with a broken end",
        each(100_000, &|i| format!("c{i} 1 | D:c{}", i + 1)),
        "c0",
        1_800_000,
        false,
    );
    case(
        "chain of install_if",
        each(n, &|i| format!("c{} 1 | i:c{i}", i + 1))
            .into_iter()
            .chain(["c0 1".into()])
            .collect(),
        "c0",
        92_000,
        true,
    );
    case(
        "cycle",
        each(n, &|i| format!("c{i} 1 | D:c{}", (i + 1) % n)),
        "c0",
        180_000,
        false,
    );
    case(
        "all need all",
        each(300, &|_| join((0..300).map(|j| format!("c{j}"))))
            .into_iter()
            .enumerate()
            .map(|(i, d)| format!("c{i} 1 | D:{d}"))
            .collect(),
        "c0",
        66_000_000,
        false,
    );
    case(
        "loop of install_if",
        each(n, &|i| format!("c{i} 1 | i:c{}", (i + 1) % n)),
        "c0",
        92_000,
        true,
    );
    case(
        "wide install_if",
        each(n, &|i| format!("t{i} 1 | i:a"))
            .into_iter()
            .chain(["a 1".into()])
            .collect(),
        "a",
        110_000,
        false,
    );
    case(
        "wide install_if of two",
        each(n, &|i| format!("t{i} 1 | i:a t{}", (i + 1) % n))
            .into_iter()
            .chain(["a 1".into()])
            .collect(),
        "a t0",
        140_000,
        true,
    );
    case(
        "long install_if",
        each(n, &|i| format!("a{i} 1"))
            .into_iter()
            .chain([format!("t 1 | i:{}", join((0..n).map(|i| format!("a{i}"))))])
            .collect(),
        &join((0..n).map(|i| format!("a{i}"))),
        120_000,
        true,
    );
    case(
        "conflicts of one package",
        each(n, &|i| format!("a{i} 1"))
            .into_iter()
            .chain([format!(
                "x 1 | D:{}",
                join((0..n).map(|i| format!("!a{i}")))
            )])
            .collect(),
        "x",
        92_000,
        true,
    );
    case(
        "conflicts of one package, all broken",
        each(n, &|i| format!("a{i} 1"))
            .into_iter()
            .chain([format!(
                "x 1 | D:{}",
                join((0..n).map(|i| format!("!a{i}")))
            )])
            .collect(),
        &format!("x {}", join((0..n).map(|i| format!("a{i}")))),
        150_000,
        false,
    );
    case(
        "conflicts in the world",
        each(n, &|i| format!("a{i} 1"))
            .into_iter()
            .chain([format!("x 1 | D:{}", join((0..n).map(|i| format!("a{i}"))))])
            .collect(),
        &format!("x {}", join((0..n).map(|i| format!("!a{i}")))),
        120_000,
        false,
    );
    case(
        "neighbours that exclude each other",
        each(n, &|i| format!("a{i} 1 | D:!a{}", i + 1)),
        &join((0..n).step_by(2).map(|i| format!("a{i}"))),
        100_000,
        true,
    );
    case(
        "all forbid one",
        each(n, &|i| format!("a{i} 1 | D:!x"))
            .into_iter()
            .chain(["x 1".into()])
            .collect(),
        &join((0..n).map(|i| format!("a{i}"))),
        200_000,
        true,
    );
    case(
        "long versions",
        each(100, &|i| format!("a {}1.{i}", "1.".repeat(5_000))),
        "a",
        810,
        true,
    );
    case(
        "many dependencies",
        each(n, &|i| format!("a{i} 1"))
            .into_iter()
            .chain([format!("x 1 | D:{}", join((0..n).map(|i| format!("a{i}"))))])
            .collect(),
        "x",
        150_000,
        false,
    );
    case(
        "one name many times",
        vec![
            "a 1".into(),
            format!("x 1 | D:{}", join((0..n).map(|_| "a".to_owned()))),
        ],
        "x",
        54_000,
        true,
    );
    let mut p = Vec::new();
    for i in 0..3_000 {
        let m = i + 1;
        p.push(format!("a{i} 1 | D:b{i} c{i}"));
        p.push(format!("b{i} 1 | D:a{m}"));
        p.push(format!("c{i} 1 | D:a{m}"));
    }
    p.push("a3000 1".into());
    case("diamonds", p, "a0", 200_000, false);
    let mut p = Vec::new();
    for i in 0..1_000 {
        for j in 0..5 {
            p.push(format!("p{i}x{j} 1 | p:v{i}={j} | D:v{}", i + 1));
        }
    }
    case(
        "five ways at each of 1,000 steps, none of them leads anywhere",
        p.clone(),
        "v0",
        150_000,
        true,
    );
    p.push("end 1 | p:v1000=1".into());
    case("five ways at each of 1,000 steps", p, "v0", 110_000, true);
    let mut p = Vec::new();
    for i in 0..500 {
        for j in 0..5 {
            p.push(format!("a{i} {j} | D:a{}={j} a{}>{j}", i + 1, i + 2));
        }
    }
    for i in 500..502 {
        for j in 0..5 {
            p.push(format!("a{i} {j}"));
        }
    }
    case("versions that pull apart", p, "a0", 46_000, true);
    let all = join((0..1_000).map(|i| format!("v{i}")));
    case(
        "all provide all",
        each(1_000, &|i| format!("p{i} 1 | p:{all}")),
        "p0 v1",
        5_400_000,
        false,
    );
    case(
        "all provide all, with priorities",
        each(1_000, &|i| format!("p{i} 1 | p:{all} | k:{i}")),
        "v1 v2",
        6_700_000,
        false,
    );
    let all = join((0..1_000).map(|i| format!("v{i}=1")));
    case(
        "all provide all, one alone may",
        each(1_000, &|i| format!("p{i} 1 | p:{all}")),
        "v1 v2",
        6_700_000,
        false,
    );
    case(
        "all provide all and need the next",
        each(300, &|i| {
            format!(
                "p{i} 1 | p:{} | D:{}",
                join((0..300).map(|j| format!("v{j}"))),
                join((0..300).filter(|j| *j != i).map(|j| format!("v{j}")))
            )
        }),
        "p0",
        110_000_000,
        true,
    );
    cases
}

impl Worst {
    fn case(&self) -> Case {
        Case {
            repositories: vec![Repository {
                tag: None,
                packages: self.packages.clone(),
            }],
            add: self.world.clone(),
            ..Case::default()
        }
    }
}

/// The stack that a solve has to do with: an eighth of what a thread has by default.
const STACK: usize = 256 << 10;

#[test]
fn worst_cases_take_few_steps_and_little_stack() {
    let shared = shared();
    let nowhere = PathBuf::from("/nowhere");
    for worst in cases() {
        let case = worst.case();
        let asks_apk = worst.by_apk || std::env::var_os("PREBAKE_MEASURE").is_some();
        let shared = shared.as_ref().filter(|_| asks_apk);
        let stage = Stage::of_case(shared.unwrap_or(&nowhere), &case);
        let start = Instant::now();
        let solved = std::thread::scope(|scope| {
            let small = std::thread::Builder::new().stack_size(STACK);
            let solve = || stage.solve(&case.add, worst.steps);
            let solving = small.spawn_scoped(scope, solve).expect("a thread");
            solving.join().expect("no panic")
        });
        let took = start.elapsed();
        let is_bounded = !matches!(solved, Err(SolveError::TooMuchWork(_)));
        assert!(
            is_bounded,
            "{}: more than {} steps",
            worst.name, worst.steps
        );
        println!("{:60} {:>6} ms", worst.name, took.as_millis());
        if shared.is_some() {
            let start = Instant::now();
            let theirs = stage.theirs(&case.add);
            println!("{:60} {:>6} ms by apk", "", start.elapsed().as_millis());
            let ours = stage.ours(&case.add);
            assert!(
                ours == theirs,
                "{}\n{}",
                worst.name,
                difference(&theirs, &ours)
            );
        }
    }
}

/// A search that would take more steps than it may says so.
#[test]
fn a_search_ends_at_its_bound() {
    let case =
        Case::parse("repository\npackage: a 1 | D:b c\npackage: b 1 | D:c\npackage: c 1\nadd: a\n");
    let stage = Stage::of_case(&PathBuf::from("/nowhere"), &case);
    let enough = (0..1_000)
        .find(|steps| stage.solve(&case.add, *steps).is_ok())
        .expect("some steps are enough");
    assert!(enough > 5, "{enough}");
    for steps in 0..enough {
        let error = stage.solve(&case.add, steps).expect_err("too few");
        assert_eq!(
            error.to_string(),
            format!("the search was given up after {steps} steps")
        );
    }
}
