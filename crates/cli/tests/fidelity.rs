//! What `prebake` bakes over HTTP against what the real apk leaves in the same base, both read by
//! other people's programs: GNU tar, Python and apk itself.

mod bakes;
mod kitchen;

use std::collections::BTreeSet;

use bakes::{BAKES, Bake, Mirror, OUTPUT};
use prebake_testkit::oracle::Oracle;
use prebake_testkit::tree::{Dump, Node};

/// What may differ, and in its time alone: the first column of the table in `docs/fidelity.md`,
/// which has the reasons.
const OTHER_TIMES: [&str; 7] = [
    "directories",
    "symbolic links",
    "/etc/apk/arch",
    "/etc/apk/world",
    "/lib/apk/db/installed",
    "/lib/apk/db/scripts.tar",
    "/lib/apk/db/triggers",
];

/// apk's own files. All are in the dump as well; here their first differing line is shown.
const DATABASE: [&str; 5] = [
    "lib/apk/db/installed",
    "lib/apk/db/triggers",
    "lib/apk/db/scripts.tar",
    "etc/apk/world",
    "etc/apk/arch",
];

/// What apk is asked about both trees. `audit --system` is the question; the others see
/// what the first does not look at: `/etc`, and files that no package owns.
const QUESTIONS: [&[&str]; 6] = [
    &["audit", "--system"],
    &["audit", "--backup"],
    &["audit", "--full"],
    &["audit", "--check-permissions", "--system"],
    &["info", "-v"],
    &["info", "--contents", "busybox", "alpine-baselayout"],
];

#[test]
fn the_first_recipe_is_what_apk_leaves() {
    let [bake, _, _] = &BAKES;
    check("the_first_recipe_is_what_apk_leaves", bake, &[]);
}

#[test]
fn many_packages_are_what_apk_leaves() {
    let [_, bake, _] = &BAKES;
    // The trigger of ca-certificates writes it, whom git needs.
    let made = ["/etc/ssl/certs/ca-certificates.crt"];
    check("many_packages_are_what_apk_leaves", bake, &made);
}

#[test]
fn another_machine_is_what_apk_leaves() {
    let [_, _, bake] = &BAKES;
    check("another_machine_is_what_apk_leaves", bake, &[]);
}

#[test]
fn the_documents_list_is_the_tests() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fidelity.md");
    let text = fs_err::read_to_string(path).expect("the document is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let listed: Vec<_> = rows
        .filter_map(|row| row.split(" |").next())
        .filter(|first| *first != "what")
        .map(|first| first.trim_matches('`'))
        .collect();
    assert_eq!(listed, OTHER_TIMES);
}

/// Bakes and installs, and holds the one against the other. `made` are the files that scripts make,
/// which have the time of the script's run in the one and of the bake in the other.
fn check(test: &str, bake: &Bake, made: &[&str]) {
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let kitchen = bake.kitchen(&mirror);
    kitchen.run(&["build"]).expect(0);
    let output = kitchen.path(OUTPUT);
    let Some(theirs) = bake.oracle(test, &mirror) else {
        return;
    };
    bake.add(&theirs, &mirror, false);
    // What was baked is a base like any other: GNU tar unpacks it, apk is at home in it.
    let Some(ours) = Oracle::on_base(test, &output) else {
        return;
    };

    for file in DATABASE {
        let read = |oracle: &Oracle| fs_err::read(oracle.root().join(file)).expect("it is there");
        same_lines(file, &read(&ours), &read(&theirs));
    }
    for question in QUESTIONS {
        let (ours, theirs) = (ours.run(question), theirs.run(question).expect_success());
        assert_eq!(ours, theirs, "{question:?}");
    }

    let dumps = (
        Dump::of_directory(test, &ours.root()),
        Dump::of_tarball(test, &output),
        Dump::of_directory(test, &theirs.root()),
    );
    let (Some(unpacked), Some(packed), Some(theirs)) = dumps else {
        return;
    };
    assert!(theirs.0.len() > 500, "{} paths", theirs.0.len());
    for ours in [unpacked, packed] {
        let timeless = |dump: &Dump| dump.clone().without_times(|_, _| true);
        timeless(&ours).assert_same(&timeless(&theirs));
        // Exactly these: a reason that is no longer needed goes from the list, too.
        let found = other_times(&ours, &theirs);
        let listed = OTHER_TIMES.iter().chain(made);
        assert_eq!(found, listed.map(|&path| path.to_owned()).collect());
    }
}

/// Returns what has another time in one of two dumps of the same paths, in the list's words.
fn other_times(ours: &Dump, theirs: &Dump) -> BTreeSet<String> {
    let word = |(path, node): (&String, &Node)| match node.kind {
        'd' => "directories".to_owned(),
        'l' => "symbolic links".to_owned(),
        _ => path.clone(),
    };
    let differing = ours
        .0
        .iter()
        .filter(|(path, node)| theirs.at(path).mtime != node.mtime);
    differing.map(word).collect()
}

/// Checks that two files are the same, and shows where they part.
#[track_caller]
fn same_lines(file: &str, ours: &[u8], theirs: &[u8]) {
    let lines = |bytes: &[u8]| {
        let lines = bytes.split(|&byte| byte == b'\n');
        let lines = lines.map(|line| line.escape_ascii().to_string());
        lines.collect::<Vec<_>>()
    };
    let (one, other) = (lines(ours), lines(theirs));
    for (number, (one, other)) in one.iter().zip(&other).enumerate() {
        assert_eq!(one, other, "{file}, line {}", number + 1);
    }
    assert!(ours == theirs, "{file}: one of them goes on");
}
