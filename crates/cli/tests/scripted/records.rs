//! The record of what scripts did: made once, replayed where nothing can be run, and refused where
//! it is not the lock's.

use std::collections::BTreeMap;
use std::path::Path;

use prebake::arch::Arch;
use prebake::scripts::Record;
use prebake_testkit::judge;
use prebake_testkit::package::PackageBuilder;

use crate::kitchen::Output;
use crate::pantry::{self, LOCK, OUTPUT, RECORD, Scripted, package};

/// Every kind of change that a record has words for.
const EVERYTHING: &str = "echo more >> /etc/hostname
    mkdir -p -m 1777 /srv/new/deep; printf '\\000\\001' > /srv/new/bytes; ln -s nowhere /srv/link
    mkfifo /srv/fifo; touch -d @1000000000 /srv/old; ln /srv/old /srv/older; chmod 700 /media
    cp -p /etc/shells /srv/shells; chown 8:12 /srv/shells; rm /etc/motd; touch /etc/profile
    rm -r /etc/modprobe.d";

/// How a user namespace is made in which no further one can be.
const CONFINED: [&str; 7] = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"",
    "sh",
];

/// A package whose script does everything.
fn everything() -> PackageBuilder {
    package("everything", "post-install", EVERYTHING)
}

/// A package whose script makes a file of its name with this text.
fn says(name: &str, text: &str) -> PackageBuilder {
    package(name, "post-install", &format!("echo {text} > /srv/{name}"))
}

impl Scripted {
    /// Runs `prebake` where no sandbox is to be had.
    fn confined(&self, arguments: &[&str]) -> Output {
        Output::of(&mut self.kitchen.started_by(&CONFINED, arguments))
    }
}

fn ready(test: &str, packages: impl IntoIterator<Item = PackageBuilder>) -> Option<Scripted> {
    judge::program(test, "unshare")?;
    Scripted::new(test, packages)
}

/// Returns the runs of a record by whose they are.
fn runs(record: &str) -> BTreeMap<String, String> {
    let runs = record.split("\n[[run]]\n").skip(1);
    let named = runs.map(|run| {
        let line = run.lines().nth(1).expect("it names the package");
        let (_, name) = line.split_once(" = ").expect("it names the package");
        (name.trim_matches('"').to_owned(), run.trim().to_owned())
    });
    named.collect()
}

#[test]
fn one_made_here_replays_where_nothing_can_be_run() {
    let test = "one_made_here_replays_where_nothing_can_be_run";
    let Some(scripted) = ready(test, [everything()]) else {
        return;
    };
    scripted.cook(&["everything"], "");
    // Without a record there is no way there.
    let said = scripted.confined(&["build"]);
    said.expect(8);
    for text in [
        "post-install script of `everything-1.0-r0`",
        "user.max_user_namespaces",
        "hint: run `prebake lock` on Linux once and commit what it writes",
    ] {
        assert!(said.stderr.contains(text), "{}", said.stderr);
    }
    for file in [LOCK, RECORD, OUTPUT] {
        assert!(scripted.read(file).is_none(), "{file}");
    }
    scripted.run(&["build"]).expect(0);
    let files = scripted.files();
    for arguments in [&["build", "--locked"][..], &["build"], &["lock"]] {
        scripted.forget(OUTPUT);
        scripted.confined(arguments).expect(0);
        scripted.confined(&["build", "--locked"]).expect(0);
        assert!(scripted.files() == files, "{arguments:?}");
    }
    scripted.confined(&["verify", OUTPUT]).expect(0);
    // Nor without its record.
    scripted.forget(RECORD);
    scripted.forget(OUTPUT);
    let said = scripted.confined(&["build", "--locked"]);
    said.expect(6);
    assert!(said.stderr.contains(RECORD), "{}", said.stderr);
    scripted.confined(&["build"]).expect(8);
    assert!(scripted.read(OUTPUT).is_none());
    scripted.run(&["build"]).expect(0);
    assert!(scripted.files() == files, "another record");
}

#[test]
fn one_that_was_changed_anywhere_is_refused() {
    let test = "one_that_was_changed_anywhere_is_refused";
    let Some(scripted) = ready(test, [everything(), says("other", "other")]) else {
        return;
    };
    scripted.cook(&["everything", "other"], "");
    scripted.run(&["build"]).expect(0);
    let files = scripted.files();
    let record = scripted.record();
    let lines: Vec<&str> = record.lines().collect();
    // By the last byte that can be another without a line's end, and without the line.
    let mut changed = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut without = lines.clone();
        without.remove(at);
        changed.push((at, without.join("\n") + "\n"));
        let middle = line.len() / 2;
        if line.is_char_boundary(middle) && line.is_char_boundary(middle + 1) && !line.is_empty() {
            let other = if line[middle..].starts_with('7') {
                "8"
            } else {
                "7"
            };
            let line = [&line[..middle], other, &line[middle + 1..]].concat();
            let mut with = lines.clone();
            with[at] = &line;
            changed.push((at, with.join("\n") + "\n"));
        }
    }
    // Swapped, doubled, and somebody else's.
    let own: Vec<_> = record.split("\n[[run]]\n").collect();
    let [head, one, other] = own[..] else {
        panic!("{record}")
    };
    let run = "\n[[run]]\n";
    changed.push((0, [head, run, other, run, one].concat()));
    changed.push((0, [head, run, one, run, one, run, other].concat()));
    changed.push((0, [head, run, one].concat()));
    changed.push((0, head.to_owned()));
    changed.push((0, String::new()));
    let mut same = 0;
    for (at, text) in &changed {
        scripted.kitchen.write(RECORD, text);
        scripted.forget(OUTPUT);
        let said = scripted.run(&["build", "--locked"]);
        let what = format!("line {}: {}\n{text}", at + 1, said.stderr);
        if said.code == Some(0) {
            // A comment, or an empty line.
            same += 1;
            assert_eq!(scripted.read(OUTPUT).as_ref(), Some(&files[2]), "{what}");
            assert_eq!(scripted.read(LOCK).as_ref(), Some(&files[0]), "{what}");
            continue;
        }
        assert!(matches!(said.code, Some(2 | 6)), "{what}");
        assert!(said.stderr.contains(RECORD), "{what}");
        assert!(scripted.read(OUTPUT).is_none(), "{what}");
    }
    assert!(same < 10, "{same} changes were not noticed");
}

#[test]
fn nothing_is_taken_from_one_that_is_not_the_locks() {
    let test = "nothing_is_taken_from_one_that_is_not_the_locks";
    let Some(scripted) = ready(test, [says("app", "app")]) else {
        return;
    };
    scripted.cook(&["app"], "");
    scripted.run(&["build"]).expect(0);
    let files = scripted.files();
    let changed = scripted.record().replace("app\n\"", "evil\n\"");
    assert_ne!(changed, scripted.record());
    // Not by a build that may write the lock, and not where the lock is gone.
    for lock in [true, false] {
        scripted.kitchen.write(RECORD, &changed);
        if !lock {
            scripted.forget(LOCK);
        }
        scripted.forget(OUTPUT);
        scripted.confined(&["build"]).expect(8);
        assert!(scripted.read(OUTPUT).is_none());
        scripted.run(&["build"]).expect(0);
        assert!(scripted.files() == files, "what was changed was believed");
    }
    // A run that says it is for another architecture is looked for by nobody.
    let (head, run) = changed.split_once("\n[[run]]\n").expect("it has a run");
    let foreign = run.replace("x86_64", "aarch64");
    let own = scripted.record();
    let (_, own) = own.split_once("\n[[run]]\n").expect("it has a run");
    let both = [head, &foreign, own].join("\n[[run]]\n");
    scripted.kitchen.write(RECORD, both);
    scripted.forget(OUTPUT);
    scripted.confined(&["build", "--locked"]).expect(0);
    assert_eq!(scripted.read(OUTPUT).as_ref(), Some(&files[2]));
}

#[test]
fn only_what_is_new_is_run() {
    let test = "only_what_is_new_is_run";
    let stock = || [says("app", "one"), says("before", "x"), says("zlast", "z")];
    let Some(mut scripted) = ready(test, stock()) else {
        return;
    };
    scripted.cook(&["app", "zlast"], "");
    scripted.run(&["lock"]).expect(0);
    let first = runs(&scripted.record());
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        ["app-1.0-r0", "zlast-1.0-r0"]
    );
    // Nothing changed, and nothing is run.
    let before = fs_err::metadata(scripted.kitchen.path(RECORD)).expect("it is there");
    scripted.confined(&["lock"]).expect(0);
    scripted.confined(&["lock", "--upgrade"]).expect(0);
    let after = fs_err::metadata(scripted.kitchen.path(RECORD)).expect("it is there");
    assert_eq!(
        before.modified().expect("a time"),
        after.modified().expect("a time")
    );
    // What comes later in apk's order leaves what was before as it was.
    scripted.cook(&["app"], "");
    scripted.confined(&["lock"]).expect(0);
    let fewer = runs(&scripted.record());
    assert_eq!(fewer.len(), 1);
    assert_eq!(fewer["app-1.0-r0"], first["app-1.0-r0"]);
    // Another tree.
    scripted.cook(&["app", "before"], "");
    scripted.run(&["build", "--locked"]).expect(6);
    scripted.confined(&["lock"]).expect(8);
    scripted.run(&["lock"]).expect(0);
    let more = runs(&scripted.record());
    assert_eq!(more["app-1.0-r0"], first["app-1.0-r0"], "it is before it");
    scripted.cook(&["app", "before", "zlast"], "");
    let said = scripted.confined(&["lock"]);
    said.expect(8);
    assert!(said.stderr.contains("`zlast-1.0-r0`"), "{}", said.stderr);
    scripted.run(&["lock"]).expect(0);
    let all = runs(&scripted.record());
    assert_eq!(all["app-1.0-r0"], more["app-1.0-r0"]);
    assert_eq!(all["before-1.0-r0"], more["before-1.0-r0"]);
    assert_ne!(all["zlast-1.0-r0"], first["zlast-1.0-r0"], "another tree");

    // Another text of a script, in a package of the same version.
    let [_, before, last] = stock();
    scripted.restock([says("app", "two"), before, last]);
    scripted.cook(&["app", "before", "zlast"], "");
    let said = scripted.confined(&["lock", "--upgrade"]);
    said.expect(8);
    assert!(said.stderr.contains("`app-1.0-r0`"), "{}", said.stderr);
    scripted.run(&["lock", "--upgrade"]).expect(0);
    assert!(scripted.record().contains("two\n\""));
    // Another version, which is an argument of the script.
    let [_, before, last] = stock();
    let newer = PackageBuilder::new("app", "1.1-r0");
    let newer = newer.script("post-install", "#!/bin/sh\necho two > /srv/app\n");
    scripted.restock([newer, before, last]);
    scripted.cook(&["app", "before", "zlast"], "");
    let said = scripted.confined(&["lock", "--upgrade"]);
    said.expect(8);
    assert!(said.stderr.contains("`app-1.1-r0`"), "{}", said.stderr);
    scripted.run(&["lock", "--upgrade"]).expect(0);
    scripted.confined(&["build", "--locked"]).expect(0);
}

#[test]
fn it_goes_when_no_script_does_anything() {
    let test = "it_goes_when_no_script_does_anything";
    let plain = PackageBuilder::new("plain", "1.0-r0").file("usr/share/plain", "plain");
    let Some(scripted) = ready(test, [says("app", "app"), plain]) else {
        return;
    };
    scripted.cook(&["app"], "");
    scripted.run(&["lock"]).expect(0);
    assert!(scripted.read(RECORD).is_some());
    scripted.cook(&["plain"], "");
    scripted.confined(&["build"]).expect(0);
    assert!(scripted.read(RECORD).is_none());
    scripted.confined(&["build", "--locked"]).expect(0);
}

impl Scripted {
    /// Puts other packages into the mirror.
    fn restock(&mut self, packages: impl IntoIterator<Item = PackageBuilder>) {
        self.mirror = pantry::mirror(packages);
    }
}

#[test]
fn a_device_is_refused_even_where_the_lock_vouches_for_it() {
    let test = "a_device_is_refused_even_where_the_lock_vouches_for_it";
    let Some(scripted) = ready(test, [says("maker", "made")]) else {
        return;
    };
    scripted.cook(&["maker"], "");
    scripted.run(&["build"]).expect(0);
    let text = scripted.record();
    let file = "path = \"srv/maker\"";
    let content = "text = \"\"\"\nmade\n\"\"\"";
    assert!(text.contains(file) && text.contains(content), "{text}");
    for (device, words) in [
        ("block = \"8:0\"", "the block device 8:0"),
        ("char = \"1:1\"", "the character device 1:1"),
    ] {
        // Who can write to the repository writes the lock's words on the record as well.
        let forged = text.replace(file, "path = \"srv/disk\"");
        let forged = forged.replace(content, device);
        let digest = |text: &str| {
            let record = Record::parse(Path::new(RECORD), text).expect("it is a record");
            record.digest(Arch::X86_64).expect("it has a run")
        };
        let lock = String::from_utf8(scripted.read(LOCK).expect("there is a lock"));
        let lock = lock.expect("it is a text");
        let (before, after) = (digest(&text).to_string(), digest(&forged).to_string());
        assert!(lock.contains(&before));
        scripted.forget(OUTPUT);
        scripted.kitchen.write(RECORD, &forged);
        scripted.kitchen.write(LOCK, lock.replace(&before, &after));
        for arguments in [
            &["build", "--locked"][..],
            &["build"],
            &["lock", "--upgrade"],
        ] {
            let said = scripted.run(arguments);
            said.expect(3);
            let words = [
                "`maker-1.0-r0` brings /srv/disk, which is refused",
                "its post-install script is said to make",
                words,
                "unusual = [\"maker\"]",
            ];
            let all = said.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            for word in words {
                assert!(all.contains(word), "no {word:?} in {all}");
            }
            assert!(scripted.read(OUTPUT).is_none(), "{arguments:?}");
        }
        // Allowed as a package's own is; the lock's identity is still another rootfs's.
        scripted.cook_for(&["x86_64"], &["maker"], "unusual = [\"maker\"]", "");
        let said = scripted.run(&["build", "--locked"]);
        said.expect(3);
        assert!(said.stderr.contains("identity"), "{}", said.stderr);
        scripted.run(&["lock", "--upgrade"]).expect(0);
        scripted.run(&["build", "--locked"]).expect(0);
        scripted.forget_all();
        scripted.cook(&["maker"], "");
        scripted.run(&["build"]).expect(0);
        assert_eq!(scripted.record(), text, "it was run again");
    }
}

#[test]
fn one_record_has_two_architectures() {
    let test = "one_record_has_two_architectures";
    let Some(scripted) = ready(
        test,
        [package(
            "uname",
            "post-install",
            "echo on $(uname -m) > /srv/uname",
        )],
    ) else {
        return;
    };
    if judge::program(test, "qemu-aarch64-static").is_none() {
        return;
    }
    scripted.cook_for(&["x86_64", "aarch64"], &["uname"], "", "");
    scripted.run(&["build"]).expect(0);
    let record = scripted.record();
    assert_eq!(record.matches("[[run]]").count(), 2, "{record}");
    for arch in ["x86_64", "aarch64"] {
        let text = format!("text = \"\"\"\non {arch}\n\"\"\"");
        assert!(record.contains(&text), "{record}");
    }
    let outputs = || ["x86_64.tar.gz", "aarch64.tar.gz"].map(|file| scripted.read(file));
    let first = outputs();
    assert!(first.iter().all(Option::is_some));
    for file in ["x86_64.tar.gz", "aarch64.tar.gz"] {
        scripted.forget(file);
    }
    // Neither needs a sandbox any more, nor do they together.
    scripted
        .confined(&["build", "--locked", "--arch", "aarch64"])
        .expect(0);
    scripted.confined(&["build", "--locked"]).expect(0);
    assert!(outputs() == first);
    // One that is changed does for both, for the lock is one.
    scripted
        .kitchen
        .write(RECORD, record.replace("on aarch64", "on another"));
    let said = scripted.confined(&["build", "--locked", "--arch", "x86_64"]);
    said.expect(6);
    assert!(
        said.stderr.contains("the lock's for aarch64"),
        "{}",
        said.stderr
    );
    scripted.kitchen.write(RECORD, &record);
    scripted.cook_for(
        &["x86_64", "aarch64"],
        &["uname"],
        "",
        "[etc]\nhostname = \"h\"\n",
    );
    scripted.confined(&["lock"]).expect(0);
    assert_eq!(scripted.record(), record);
}
