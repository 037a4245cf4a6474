//! Made-up universes: thousands of small ones, each put to apk and to us, and shrunk to what
//! matters where the two differ. `PREBAKE_UNIVERSES` sets how many, `PREBAKE_SEED` which.
//!
//! These are far stranger than any real index, and one to three in a thousand still come out
//! differently: of 20,000 seeds 14, 27 and 54. Each lane says how many may; more is a failure. With
//! `PREBAKE_SHRINK` the first ones are shrunk and shown.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::{Case, Repository};
use crate::stage::{Outcome, Random, Stage, difference, number, shared};

/// How many universes are tried by default; each takes apk some 5 ms.
const UNIVERSES: usize = 1_000;

const NAMES: &[&str] = &["a", "b", "c", "d", "e", "f", "g", "h"];
const VIRTUALS: &[&str] = &["v", "w", "so:x", "cmd:y"];
const VERSIONS: &[&str] = &["1", "1.1", "2", "2-r1", "3_rc1", "3"];

/// What kinds of things a universe may hold; each lane turns on more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds {
    pub(crate) installed: bool,
    pub(crate) tags: bool,
    pub(crate) removals: bool,
}

fn dependency(random: &mut Random, kinds: Kinds) -> String {
    let virtuals = random.below(3) == 0;
    let name = *random.pick(if virtuals { VIRTUALS } else { NAMES });
    match random.below(8) {
        0 if !kinds.removals || random.below(2) == 0 => format!("!{name}"),
        1 | 2 => {
            let operator = *random.pick(&["=", "<", ">", "<=", ">=", "~", ">~"]);
            format!("{name}{operator}{}", random.pick(VERSIONS))
        }
        _ => name.to_owned(),
    }
}

fn list(random: &mut Random, most: usize, mut item: impl FnMut(&mut Random) -> String) -> String {
    let count = random.below(most + 1);
    let mut items: Vec<String> = (0..count).map(|_| item(random)).collect();
    // No real package says two things of one name in one list.
    let name = |item: &str| item.split(['<', '>', '=', '~']).next().map(str::to_owned);
    items.sort_by_key(|item| name(item));
    items.dedup_by_key(|item| name(item));
    items.join(" ")
}

fn package(random: &mut Random, kinds: Kinds) -> String {
    let own = *random.pick(NAMES);
    let mut line = format!("{own} {}", random.pick(VERSIONS));
    let depends = list(random, 3, |random| dependency(random, kinds));
    let provides = list(random, 2, |random| {
        let name = if random.below(6) == 0 {
            *random.pick(
                NAMES
                    .iter()
                    .filter(|name| **name != own)
                    .copied()
                    .collect::<Vec<_>>()
                    .as_slice(),
            )
        } else {
            *random.pick(VIRTUALS)
        };
        if random.below(2) == 0 {
            name.to_owned()
        } else {
            format!("{name}={}", random.pick(VERSIONS))
        }
    });
    let install_if = if random.below(4) == 0 {
        list(random, 2, |random| {
            let virtuals = random.below(4) == 0;
            let name = *random.pick(if virtuals { VIRTUALS } else { NAMES });
            match random.below(4) {
                0 => format!("{name}={}", random.pick(VERSIONS)),
                _ => name.to_owned(),
            }
        })
    } else {
        String::new()
    };
    if random.below(4) == 0 {
        line.extend([" | k:", *random.pick(&["1", "10", "100"])]);
    }
    for (letter, text) in [("D", depends), ("p", provides), ("i", install_if)] {
        if !text.is_empty() {
            line.extend([" | ", letter, ":", &text]);
        }
    }
    line
}

pub(crate) fn universe(seed: u64, kinds: Kinds) -> Case {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..4 {
        random.below(2);
    }
    let mut case = Case::default();
    let repositories = 1 + random.below(if kinds.tags { 3 } else { 2 });
    for position in 0..repositories {
        let mut packages: Vec<String> = (0..2 + random.below(8))
            .map(|_| package(&mut random, kinds))
            .collect();
        // A real index holds a version of a name once.
        packages.sort();
        packages.dedup_by_key(|line| line.split(" | ").next().map(str::to_owned));
        if position > 0 && random.below(2) == 0 {
            // What stands in several repositories.
            let earlier: &Repository = &case.repositories[0];
            let again = random.pick(&earlier.packages).clone();
            let key = again.split(" | ").next().map(str::to_owned);
            packages.retain(|line| line.split(" | ").next().map(str::to_owned) != key);
            packages.push(again);
        }
        let tag = kinds.tags && position > 0 && random.below(3) > 0;
        case.repositories.push(Repository {
            tag: tag.then(|| (*random.pick(&["edge", "test"])).to_owned()),
            packages,
        });
    }
    let mut tags: Vec<String> = Vec::new();
    for repository in &case.repositories {
        tags.extend(repository.tag.clone());
    }
    if kinds.installed {
        // A base that apk itself put together, so that it is one that could be.
        for _ in 0..=random.below(2) {
            let name = *random.pick(NAMES);
            case.base_world.push(name.to_owned());
        }
        case.base_world.sort();
        case.base_world.dedup();
    }
    for _ in 0..=random.below(3) {
        let mut word = dependency(&mut random, kinds);
        if !tags.is_empty() && random.below(2) == 0 && !word.contains(['<', '>', '=', '~']) {
            word = format!("{word}@{}", random.pick(&tags));
        }
        case.add.push(word);
    }
    case
}

/// Installs what was chosen for the base world, out of a universe with other versions beside.
pub(crate) fn install_base(case: &mut Case, chosen: Outcome) {
    if chosen == ["unsatisfiable"] {
        case.base_world.clear();
        return;
    }
    for line in chosen {
        let Some(rest) = line.strip_prefix("Installing ") else {
            continue;
        };
        let head = rest.replace(" (", " ").replace(')', "");
        let (name, version) = head.split_once(' ').expect("a name and a version");
        let name = name.split('@').next().unwrap_or(name);
        let head = format!("{name} {version}");
        let found = case
            .repositories
            .iter()
            .filter(|repository| repository.tag.is_none())
            .flat_map(|repository| &repository.packages)
            .find(|line| line.split(" | ").next() == Some(&head));
        case.installed.extend(found.cloned());
    }
    // The database is sorted as apk writes it: in the order of installation.
    if case.installed.is_empty() {
        case.base_world.clear();
    }
}

fn differs(shared: &std::path::Path, case: &Case) -> Option<String> {
    let stage = Stage::of_case(shared, case);
    let (theirs, ours) = (stage.theirs(&case.add), stage.ours(&case.add));
    (theirs != ours).then(|| difference(&theirs, &ours))
}

/// Takes away what a difference does not need, for as long as there is anything.
fn shrink(shared: &std::path::Path, mut case: Case) -> Case {
    let mut attempts = 0;
    'again: loop {
        for smaller in smaller(&case) {
            attempts += 1;
            if attempts > 2_000 {
                return case;
            }
            if differs(shared, &smaller).is_some() {
                case = smaller;
                continue 'again;
            }
        }
        return case;
    }
}

fn smaller(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut with = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        cases.push(smaller);
    };
    for at in 0..case.repositories.len() {
        if case.repositories.len() > 1 {
            with(&|case| {
                case.repositories.remove(at);
            });
        }
        for line in 0..case.repositories[at].packages.len() {
            with(&|case| {
                case.repositories[at].packages.remove(line);
            });
        }
    }
    for at in 0..case.installed.len() {
        with(&|case| {
            case.installed.remove(at);
        });
    }
    for at in 0..case.add.len() {
        if case.add.len() > 1 {
            with(&|case| {
                case.add.remove(at);
            });
        }
    }
    for at in 0..case.base_world.len() {
        with(&|case| {
            case.base_world.remove(at);
        });
    }
    let lines: Vec<String> = case
        .repositories
        .iter()
        .flat_map(|repository| repository.packages.clone())
        .chain(case.installed.clone())
        .collect();
    for line in &lines {
        for shorter in shorter(line) {
            // A package keeps being the same one wherever it stands.
            with(&|case| {
                let packages = case
                    .repositories
                    .iter_mut()
                    .flat_map(|repository| &mut repository.packages);
                for other in packages.chain(&mut case.installed) {
                    if other == line {
                        other.clone_from(&shorter);
                    }
                }
            });
        }
    }
    cases
}

/// A package's line without one of its parts, or one of a part's words.
fn shorter(line: &str) -> Vec<String> {
    let parts: Vec<&str> = line.split(" | ").collect();
    let mut lines = Vec::new();
    for at in 1..parts.len() {
        let mut fewer = parts.clone();
        fewer.remove(at);
        lines.push(fewer.join(" | "));
        let (letter, words) = parts[at].split_at(2);
        let words: Vec<&str> = words.split(' ').collect();
        for word in 0..words.len() {
            if words.len() > 1 {
                let mut fewer_words = words.clone();
                fewer_words.remove(word);
                let part = letter.to_owned() + &fewer_words.join(" ");
                let mut changed = parts.clone();
                changed[at] = &part;
                lines.push(changed.join(" | "));
            }
            if let Some(end) = words[word].find(['<', '>', '=', '~']) {
                let mut plain = words.clone();
                plain[word] = &words[word][..end];
                let part = letter.to_owned() + &plain.join(" ");
                let mut changed = parts.clone();
                changed[at] = &part;
                lines.push(changed.join(" | "));
            }
        }
    }
    lines
}

/// The most differences that are shrunk and shown.
const ENOUGH: usize = 6;

/// Tries universes of some kinds; `allowed` of a thousand may come out differently.
#[expect(clippy::print_stdout, reason = "the counts are of interest")]
fn lane(kinds: Kinds, allowed: usize) {
    let Some(shared) = shared() else { return };
    let count = number("PREBAKE_UNIVERSES", UNIVERSES);
    let first = number("PREBAKE_SEED", 0);
    let shrinks = std::env::var_os("PREBAKE_SHRINK").is_some();
    let next = AtomicUsize::new(0);
    let differences = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return found;
            }
            let mut case = universe((first + at) as u64, kinds);
            if kinds.installed {
                let bare = Case {
                    base_world: Vec::new(),
                    ..case.clone()
                };
                let chosen = Stage::of_case(&shared, &bare).theirs(&case.base_world);
                install_base(&mut case, chosen);
                // Meanwhile the repositories have moved on.
                let mut random = Random(first as u64 + at as u64 + 77);
                for repository in &mut case.repositories {
                    if repository.packages.len() > 1 && random.below(2) == 0 {
                        let gone = random.below(repository.packages.len());
                        repository.packages.remove(gone);
                    }
                }
            }
            if differs(&shared, &case).is_some() {
                let before = differences.fetch_add(1, Ordering::Relaxed);
                if shrinks && before < ENOUGH {
                    let small = shrink(&shared, case);
                    let difference = differs(&shared, &small).unwrap_or_default();
                    found.push(format!("# seed {}\n{small}{difference}\n", first + at));
                } else {
                    found.push(format!("seed {}", first + at));
                }
            }
        }
    };
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut found = work();
        found.extend(other.join().expect("no panic"));
        found
    });
    println!("{count} universes, {} differences", found.len());
    if shrinks {
        println!("{}", found.join("\n"));
    }
    let most = (count * allowed).div_ceil(1_000);
    assert!(found.len() <= most, "{}", found.join("\n"));
}

#[test]
fn from_nothing() {
    lane(
        Kinds {
            installed: false,
            tags: false,
            removals: false,
        },
        2,
    );
}

#[test]
fn with_tagged_repositories() {
    lane(
        Kinds {
            installed: false,
            tags: true,
            removals: false,
        },
        3,
    );
}

#[test]
fn on_a_base() {
    lane(
        Kinds {
            installed: true,
            tags: true,
            removals: true,
        },
        4,
    );
}
