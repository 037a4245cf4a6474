//! What is true of every solution over made-up universes, whoever chose it.
//!
//! The checks read dependencies on their own and share nothing with the search. What apk itself
//! does not keep is not claimed; what was found by putting counter-examples to apk stands where it
//! limits a claim. `PREBAKE_UNIVERSES` sets how many universes there are.

use std::collections::BTreeSet;

use prebake_apk::dependency::{Dependency, Operator, list};
use prebake_apk::digest::Sha1;
use prebake_apk::index::Stanza;
use prebake_solve::{MAX_STEPS, Solution};

use crate::case::Case;
use crate::stage::{DIALECT, Random, Stage, number};
use crate::universe::{Kinds, install_base, universe};

/// How many universes of each kind are tried by default.
const UNIVERSES: usize = 2_000;

const LANES: [Kinds; 3] = [
    Kinds {
        installed: false,
        tags: false,
        removals: false,
    },
    Kinds {
        installed: false,
        tags: true,
        removals: false,
    },
    Kinds {
        installed: true,
        tags: true,
        removals: true,
    },
];

/// A package as the checks see it.
#[derive(Clone, Debug)]
struct Package<'a> {
    stanza: Stanza<'a>,
    identity: Sha1,
    /// Its own name, and then what it provides, each with a version if there is one.
    gives: Vec<(&'a str, Option<&'a str>)>,
    depends: Vec<Dependency<'a>>,
    install_if: Vec<Dependency<'a>>,
}

impl<'a> Package<'a> {
    fn new(stanza: Stanza<'a>) -> Self {
        let mut gives = vec![(stanza.name(), Some(stanza.version()))];
        gives.extend(list(stanza.provides(), DIALECT).map(|given| {
            let version = (given.operator != Operator::Any).then_some(given.version);
            (given.name, version)
        }));
        Self {
            stanza,
            identity: stanza.identity(),
            gives,
            depends: list(stanza.depends(), DIALECT).collect(),
            install_if: list(stanza.install_if(), DIALECT).collect(),
        }
    }

    /// Says whether this is what a dependency, taken without its `!`, speaks of.
    fn is_meant_by(&self, dependency: &Dependency<'_>) -> bool {
        let plain = Dependency {
            conflict: false,
            ..*dependency
        };
        self.gives.iter().any(|(name, version)| {
            *name == plain.name && plain.is_satisfied_by(*version, &self.identity, DIALECT)
        })
    }

    /// Says whether it would come by itself where some others are.
    fn is_triggered_by(&self, others: &[Self]) -> bool {
        !self.install_if.is_empty()
            && self
                .install_if
                .iter()
                .all(|condition| is_met(condition, others))
    }

    /// Says whether the two may not be together because of a name that one alone can have.
    fn excludes(&self, other: &Self) -> bool {
        self.gives.iter().any(|(name, version)| {
            other.gives.iter().any(|(other_name, other_version)| {
                name == other_name && (version.is_some() || other_version.is_some())
            })
        })
    }
}

fn is_met(dependency: &Dependency<'_>, by: &[Package<'_>]) -> bool {
    by.iter().any(|package| package.is_meant_by(dependency)) != dependency.conflict
}

/// What a world came to, for the checks.
struct Answer<'a> {
    world: Vec<Dependency<'a>>,
    chosen: Vec<Package<'a>>,
}

impl<'a> Answer<'a> {
    fn new(stage: &'a Stage, words: &'a [String], solution: &Solution) -> Self {
        let packages = solution.packages.iter();
        Self {
            world: stage.world(words),
            chosen: packages
                .map(|source| Package::new(stage.describe(*source)))
                .collect(),
        }
    }

    /// What is asked for and not there, or forbidden and there.
    fn broken(&self) -> Vec<String> {
        let asked = self
            .world
            .iter()
            .map(|dependency| ("the world", dependency));
        let by_packages = self.chosen.iter().flat_map(|package| {
            let name = package.stanza.name();
            package
                .depends
                .iter()
                .map(move |dependency| (name, dependency))
        });
        asked
            .chain(by_packages)
            .filter(|(_, dependency)| !is_met(dependency, &self.chosen))
            .map(|(by, dependency)| format!("`{dependency}` of {by} is not met"))
            .collect()
    }

    /// Everything that is wrong with it.
    fn complaints(&self, stage: &'a Stage) -> Vec<String> {
        let mut found = self.broken();
        found.extend(self.excluded());
        found.extend(self.needless());
        found.extend(self.missing(stage));
        found
    }

    /// Pairs that have a name between them which one alone can have.
    fn excluded(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (position, package) in self.chosen.iter().enumerate() {
            for other in &self.chosen[..position] {
                if package.excludes(other) {
                    found.push(format!(
                        "{} excludes {}",
                        package.stanza.name(),
                        other.stanza.name()
                    ));
                }
            }
        }
        found
    }

    /// Packages that nothing leads to from the world. apk may choose one: where only one package
    /// is left for a name, what it asks for counts before it is taken, its own name too.
    fn strays(&self) -> Vec<String> {
        let reached = self.reached(&self.chosen);
        let is_reached = |package: &&Package<'_>| {
            let mut reached = reached.iter();
            reached.any(|reached| reached.stanza.name() == package.stanza.name())
        };
        let strays = self.chosen.iter().filter(|package| !is_reached(package));
        strays
            .map(|package| format!("nothing leads to {}", package.stanza.name()))
            .collect()
    }

    /// Packages that could be left out, with all that is there because of them alone.
    fn needless(&self) -> Vec<String> {
        let mut found = Vec::new();
        for position in 0..self.chosen.len() {
            let mut rest = self.chosen.clone();
            let package = rest.remove(position);
            let reached = self.reached(&rest);
            let asked = reached.iter().flat_map(|other| &other.depends);
            let works = self
                .world
                .iter()
                .chain(asked)
                .all(|dependency| is_met(dependency, &reached));
            if works && !package.is_triggered_by(&reached) {
                found.push(format!("{} is not needed", package.stanza.name()));
            }
        }
        found
    }

    /// What of some packages the world leads to.
    ///
    /// What merely provides a name, with neither a version nor a priority for it, is nothing that
    /// apk takes for that name; it has to be asked for by its own.
    fn reached(&self, among: &[Package<'a>]) -> Vec<Package<'a>> {
        let mut is_reached = vec![false; among.len()];
        loop {
            let reached: Vec<_> = among
                .iter()
                .zip(&is_reached)
                .filter(|(_, is_reached)| **is_reached)
                .map(|(package, _)| package.clone())
                .collect();
            let asked = reached.iter().flat_map(|package| &package.depends);
            let asked: Vec<_> = self
                .world
                .iter()
                .chain(asked)
                .filter(|asked| !asked.conflict)
                .collect();
            let mut has_grown = false;
            for (package, is_reached) in among.iter().zip(&mut is_reached) {
                let by_itself = |name: &str| {
                    package.stanza.provider_priority() > 0
                        || package
                            .gives
                            .iter()
                            .any(|given| given.0 == name && given.1.is_some())
                        || asked
                            .iter()
                            .any(|asked| asked.name == package.stanza.name())
                };
                let is_asked_for = asked
                    .iter()
                    .any(|asked| package.is_meant_by(asked) && by_itself(asked.name));
                if !*is_reached && (is_asked_for || package.is_triggered_by(&reached)) {
                    *is_reached = true;
                    has_grown = true;
                }
            }
            if !has_grown {
                return reached;
            }
        }
    }

    /// Packages that all their `install_if` speaks for and nothing against, but are not there.
    fn missing(&self, stage: &'a Stage) -> Vec<String> {
        let mut found = Vec::new();
        let untagged = stage.repositories.iter().filter(|(_, tag)| tag.is_none());
        for stanza in untagged.flat_map(|(index, _)| index.iter()) {
            let package = Package::new(stanza);
            let mut with = self.chosen.clone();
            with.push(package.clone());
            if package.is_triggered_by(&self.chosen)
                && self.chosen.iter().all(|other| !package.excludes(other))
                && package
                    .depends
                    .iter()
                    .all(|dependency| is_met(dependency, &with))
                && self
                    .world
                    .iter()
                    .chain(with.iter().flat_map(|other| &other.depends))
                    .all(|dependency| is_met(dependency, &with))
            {
                found.push(format!("{} is missing", package.stanza.name()));
            }
        }
        found
    }
}

/// Makes a universe of some kinds, on a base that our own choice put together.
fn case(seed: usize, kinds: Kinds) -> Case {
    let mut case = universe(seed as u64, kinds);
    if kinds.installed {
        let bare = Case {
            base_world: Vec::new(),
            ..case.clone()
        };
        let chosen = stage(&bare).ours(&case.base_world);
        install_base(&mut case, chosen);
    }
    case
}

fn stage(case: &Case) -> Stage {
    Stage::of_case(std::path::Path::new("/nowhere"), case)
}

/// Shuffles the words of some of a package's lists, equally wherever its line stands.
fn shuffle_lists(case: &mut Case, letters: &str, salt: usize) {
    let of_repositories = case.repositories.iter_mut();
    let lines = of_repositories.flat_map(|repository| &mut repository.packages);
    for line in lines.chain(&mut case.installed) {
        let mut random = Random((line.len() + salt) as u64 * 7_919 + 1);
        let parts = line.split(" | ").map(|part| match part.split_once(':') {
            Some((letter, words)) if letters.contains(letter) => {
                let mut words: Vec<_> = words.split(' ').collect();
                shuffle(&mut words, &mut random);
                format!("{letter}:{}", words.join(" "))
            }
            _ => part.to_owned(),
        });
        *line = parts.collect::<Vec<_>>().join(" | ");
    }
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}

/// Leaves every name to the first package that gives it.
fn without_choice(case: &mut Case) {
    let mut given: BTreeSet<String> = BTreeSet::new();
    let installed = std::mem::take(&mut case.installed);
    assert!(installed.is_empty(), "a base brings choices");
    for repository in &mut case.repositories {
        repository.packages.retain(|line| {
            let provides = line.split(" | ").filter_map(|part| part.strip_prefix("p:"));
            let names: Vec<_> = line
                .split(' ')
                .take(1)
                .chain(provides.flat_map(|words| words.split(' ')))
                .map(|word| word.split('=').next().unwrap_or(word).to_owned())
                .collect();
            let is_free = names.iter().all(|name| !given.contains(name));
            if is_free {
                given.extend(names);
            }
            is_free
        });
    }
}

/// Every solution is closed, free of conflicts, and such that nothing could be left out and
/// nothing that comes by itself is missing.
///
/// That nothing could be left out is meant with apk's own rule of what is taken by itself: of two
/// that provide a name, the one with a priority may have brought the other, which would do for the
/// name once it is there but would never have come without the first. apk keeps both.
#[test]
fn solutions_are_closed_free_of_conflicts_and_minimal() {
    let count = number("PREBAKE_UNIVERSES", UNIVERSES);
    for kinds in LANES {
        let mut solved = 0;
        for seed in 0..count {
            let case = case(seed, kinds);
            let stage = stage(&case);
            let Ok(solution) = stage.solve(&case.add, MAX_STEPS) else {
                continue;
            };
            solved += 1;
            let complaints = Answer::new(&stage, &case.add, &solution).complaints(&stage);
            assert!(complaints.is_empty(), "seed {seed}: {complaints:?}\n{case}");
        }
        assert!(solved * 10 > count, "only {solved} of {count} were solved");
    }
}

/// The checks do find something where a package is left out of a solution.
#[test]
fn the_checks_notice_what_is_left_out() {
    for seed in 0..UNIVERSES {
        let case = case(seed, LANES[0]);
        let stage = stage(&case);
        let Ok(solution) = stage.solve(&case.add, MAX_STEPS) else {
            continue;
        };
        for left_out in 0..solution.packages.len() {
            let mut answer = Answer::new(&stage, &case.add, &solution);
            answer.chosen.remove(left_out);
            let mut complaints = answer.complaints(&stage);
            complaints.extend(answer.strays());
            assert!(
                !complaints.is_empty(),
                "seed {seed} without {left_out}\n{case}"
            );
        }
    }
}

/// The order of the world does not matter, nor that of an `install_if`.
///
/// Each name stands in the world once here: of two words of one name the later one counts, as
/// the documentation of [`prebake_solve::world()`] says.
#[test]
fn the_order_of_a_world_does_not_matter() {
    for kinds in LANES {
        for seed in 0..number("PREBAKE_UNIVERSES", UNIVERSES) {
            let mut case = case(seed, kinds);
            let mut names = BTreeSet::new();
            case.add.retain(|word| {
                let dependency = Dependency::parse(word, DIALECT).expect("a dependency");
                names.insert(dependency.name.to_owned())
            });
            let mut shuffled = case.clone();
            shuffle(&mut shuffled.add, &mut Random(seed as u64 + 1));
            shuffle_lists(&mut shuffled, "i", seed);
            let (ours, other) = (
                stage(&case).ours(&case.add),
                stage(&shuffled).ours(&shuffled.add),
            );
            assert_eq!(ours, other, "seed {seed}\n{case}{shuffled}");
        }
    }
}

/// Where every name is one package's, no order matters to what is chosen.
///
/// Where there is a choice, apk's answer does hang on the order of an index and of the lists in
/// it: of providers that are equal in everything the first one is taken (the cases
/// `equals-in-order`), and what is decided first follows the order in which dependencies are met.
/// Ours is then the same as apk's for each order; see the lanes of made-up universes. The order of
/// installation follows that of the dependencies.
#[test]
fn no_order_matters_where_there_is_no_choice() {
    let mut installing = 0;
    let count = number("PREBAKE_UNIVERSES", UNIVERSES);
    for seed in 0..count {
        let mut case = case(seed, LANES[0]);
        without_choice(&mut case);
        let mut shuffled = case.clone();
        let mut random = Random(seed as u64 + 1);
        for repository in &mut shuffled.repositories {
            shuffle(&mut repository.packages, &mut random);
        }
        shuffle_lists(&mut shuffled, "Dpi", seed);
        let (mut ours, mut other) = (
            stage(&case).ours(&case.add),
            stage(&shuffled).ours(&case.add),
        );
        ours.sort();
        other.sort();
        assert_eq!(ours, other, "seed {seed}\n{case}{shuffled}");
        installing += usize::from(ours.iter().any(|line| line.starts_with("Installing")));
    }
    assert!(
        installing * 50 > count,
        "only {installing} of {count} installed anything"
    );
}
