//! The reasons that an unsatisfiable world comes back with, as a person reads them.

use prebake_apk::dependency::Dependency;
use prebake_apk::index::Index;
use prebake_apk::version::Dialect;
use prebake_solve::{Repository, Request, SolveError, solve};

const MAIN: &str = "jq 1.7.1-r0 D:oniguruma\n\
    oniguruma 6.9.9-r0\n\
    mandoc 1.14.6-r12 p:man\n\
    lost 1-r0 D:so:gone.so.1\n\
    shell 1-r0 D:jq\n\
    red 1-r0 D:!blue\n\
    blue 1-r0\n";
const EDGE: &str = "jq 1.8-r0 D:oniguruma\nfuture 2-r0\n";

/// Makes an index of lines `name version fields…`, with commas for the spaces within a field.
fn index(text: &str) -> Index {
    let mut stanzas = String::new();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<_> = line.split(' ').collect();
        let identity = prebake_apk::digest::Sha1::of(format!("{number} {line}").as_bytes());
        let identity = identity.to_apk();
        stanzas.extend(["C:", &identity, "\nP:", words[0], "\nV:", words[1], "\n"]);
        stanzas += &(words[2..].join("\n").replace(',', " ") + "\n\n");
    }
    Index::parse(stanzas.into_bytes()).expect("an index")
}

#[track_caller]
fn check(world: &str, expected: &str) {
    let why = unsatisfiable(&index(MAIN), &index(EDGE), world);
    assert_eq!(why, expected);
}

/// Returns why a world cannot be satisfied.
#[track_caller]
fn unsatisfiable(main: &Index, edge: &Index, world: &str) -> String {
    let world: Vec<_> = world
        .split(' ')
        .map(|word| Dependency::parse(word, Dialect::V2).expect("a dependency"))
        .collect();
    let repositories = [
        Repository {
            index: main,
            tag: None,
        },
        Repository {
            index: edge,
            tag: Some("edge"),
        },
    ];
    let request = Request {
        world: &world,
        added: &world,
        repositories: &repositories,
        installed: None,
        dialect: Dialect::V2,
        architectures: &[],
        upgrade: false,
    };
    match solve(&request) {
        Err(SolveError::Unsatisfiable(why)) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_typo() {
    check(
        "jqq",
        "`jqq`, asked for by the world: no package has this name; did you mean `jq`?",
    );
}

#[test]
fn a_version_that_is_not_there() {
    check(
        "jq>2",
        "`jq>2`, asked for by the world\n  jq-1.7.1-r0: this version does not match `jq>2`\n  \
         jq-1.8-r0: this version does not match `jq>2`\n    and is only in a repository tagged `@edge`",
    );
}

#[test]
fn a_pin_that_hides_it() {
    check(
        "future",
        "`future`, asked for by the world\n  \
         future-2-r0: is only in a repository tagged `@edge`; `future@edge` would take it from there",
    );
}

#[test]
fn a_name_that_nobody_takes_by_itself() {
    check(
        "man",
        "`man`, asked for by the world\n  \
         mandoc-1.14.6-r12: has the name too, but is only taken where `mandoc` is asked for",
    );
}

#[test]
fn a_dependency_that_is_not_there() {
    check(
        "lost",
        "`so:gone.so.1`, asked for by `lost-1-r0`: no package has this name",
    );
}

#[test]
fn two_that_exclude_each_other() {
    check(
        "red blue",
        "`!blue` of `red-1-r0` forbids what something else needs\n  \
         blue-1-r0: the world asks for `blue`",
    );
}

#[test]
fn one_that_is_needed_and_forbidden() {
    check(
        "jq !oniguruma",
        "`!oniguruma` of the world forbids what something else needs\n  \
         oniguruma-6.9.9-r0: `jq-1.7.1-r0` needs it (`oniguruma`), which the world asks for",
    );
}

#[test]
fn one_that_is_needed_further_down() {
    check(
        "shell !oniguruma",
        "`!oniguruma` of the world forbids what something else needs\n  \
         oniguruma-6.9.9-r0: `jq-1.7.1-r0` needs it (`oniguruma`), which `shell-1-r0` needs, \
         which the world asks for",
    );
}

/// Each of 5 versions of each of 500 packages needs two others: told in full, that would be a
/// tree of 10,000 leaves for every four steps down.
#[test]
fn a_tree_that_would_have_too_many_branches() {
    let mut main = Vec::new();
    for step in 0..500 {
        for version in 0..5 {
            let (next, after) = (step + 1, step + 2);
            main.push(format!(
                "a{step} {version} D:a{next}={version},a{after}>{version}\n"
            ));
        }
    }
    for step in 500..502 {
        for version in 0..5 {
            main.push(format!("a{step} {version}\n"));
        }
    }
    let main = index(&main.concat());
    let text = unsatisfiable(&main, &index(""), "a0");
    let lines = text.lines().count();
    assert!((10..2_000).contains(&lines), "{lines} lines");
}
