//! Random worlds over real indexes and real bases: our packages, versions and order against those
//! of the real apk 2.14.4. `PREBAKE_DIFFERENTIAL` sets how many worlds there are.

use crate::stage::{Random, Stage, check, number, shared};

/// How many worlds each real mirror is tried with by default. The oracle takes 0.3 s for each.
const WORLDS: usize = 60;

/// Draws worlds of 1 to 6 entries over the names of a stage's repositories.
fn worlds(stage: &Stage, seed: u64, count: usize) -> Vec<Vec<String>> {
    let mut random = Random(seed);
    let mut packages = Vec::new();
    for (index, _) in &stage.repositories {
        packages.extend(index.iter());
    }
    packages.extend(stage.installed.iter());
    let entry = |random: &mut Random| {
        let package = random.pick(&packages);
        let provided: Vec<_> = package.provides().split_whitespace().collect();
        match random.below(12) {
            0 => format!("!{}", package.name()),
            1 => {
                let operator = random.pick(&["=", "<", ">", "<=", ">=", "~"]);
                format!("{}{operator}{}", package.name(), package.version())
            }
            2 => {
                let version = package.version().split(['.', '-']).next();
                format!("{}~{}", package.name(), version.unwrap_or("1"))
            }
            3 | 4 if !provided.is_empty() => {
                let word = *random.pick(&provided);
                match random.below(3) {
                    0 => word.to_owned(),
                    _ => word.split('=').next().unwrap_or(word).to_owned(),
                }
            }
            5 => {
                let depends: Vec<_> = package.depends().split_whitespace().collect();
                if depends.is_empty() {
                    package.name().to_owned()
                } else {
                    random.pick(&depends).to_string()
                }
            }
            6 if random.below(8) == 0 => "docs".into(),
            _ => package.name().to_owned(),
        }
    };
    (0..count)
        .map(|_| {
            let mut world: Vec<String> = Vec::new();
            for _ in 0..=random.below(6) {
                let word = entry(&mut random);
                // apk reads some words of a package's list as it would not read them in a world.
                if prebake_apk::dependency::Dependency::parse(&word, crate::stage::DIALECT).is_ok()
                {
                    world.push(word);
                }
            }
            world
        })
        .filter(|world| !world.is_empty())
        .collect()
}

#[test]
fn random_worlds_of_3_19() {
    let Some(shared) = shared() else { return };
    let stage = Stage::new(
        &shared,
        "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz",
        "x86_64",
        &["v3.19/main", "v3.19/community"],
    );
    let count = number("PREBAKE_DIFFERENTIAL", WORLDS);
    let seed = number("PREBAKE_SEED", 319) as u64;
    check(&stage, &worlds(&stage, seed, count));
}

#[test]
fn random_worlds_of_3_13() {
    let Some(shared) = shared() else { return };
    let stage = Stage::new(
        &shared,
        "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz",
        "aarch64",
        &["v3.13/main"],
    );
    let count = number("PREBAKE_DIFFERENTIAL", WORLDS).max(300);
    let seed = number("PREBAKE_SEED", 313) as u64;
    check(&stage, &worlds(&stage, seed, count));
}
