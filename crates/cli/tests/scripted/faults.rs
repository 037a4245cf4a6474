//! Scripts that want more than they are given, fail, or leave what no record may hold: each is an
//! error of its own that names package and script and says how to go on, and nothing is left of
//! it.

use std::fmt::Write as _;

use prebake_testkit::package::PackageBuilder;

use crate::kitchen::Output;
use crate::pantry::{LOCK, OUTPUT, RECORD, Scripted, package};

/// What takes part in a good lock before the bad ones are tried.
const GOOD: &str = "good";

/// Scripts by the name of their package: what kind, and what they do.
const TOO_MUCH: &[(&str, &str, &str)] = &[
    (
        "calls-out",
        "post-install",
        "nc -w 1 192.0.2.1 80 < /dev/null; true",
    ),
    (
        "calls-out-and-fails",
        "pre-install",
        "nc -w 1 192.0.2.1 80 < /dev/null || { echo 'no answer'; exit 1; }",
    ),
    (
        "sets-the-kernel",
        "post-install",
        "echo x > /proc/sys/kernel/core_pattern",
    ),
    ("mounts", "post-install", "mount -t tmpfs none /mnt"),
    ("opens-a-disk", "post-install", "mknod /tmp/disk b 8 0"),
    (
        "forks",
        "post-install",
        "exec 2>/dev/null; b() { b | b & }; b; sleep 98765",
    ),
    (
        "fills-the-disk",
        "post-install",
        "dd if=/dev/zero of=/big bs=1M seek=100000 count=1",
    ),
    ("fails", "post-install", "echo one; echo two >&2; exit 3"),
    (
        "fails-in-colours",
        "post-install",
        "printf '\\033[31mred\\a\\r\\n'; exit 4",
    ),
    ("fails-in-silence", "pre-install", "exit 1"),
    ("is-killed", "post-install", "kill -SEGV $$"),
    (
        "leaves-a-daemon",
        "post-install",
        "setsid sleep 98765 & exit 0",
    ),
    (
        "leaves-a-lot",
        "post-install",
        "head -c 5000000 /dev/zero > /srv/a-lot",
    ),
];

/// Scripts whose effect everybody would share who should not, or that is another every time.
const UNREPEATABLE: &[(&str, &str, &str)] = &[
    (
        "makes-a-host-key",
        "post-install",
        "mkdir -p /etc/ssh; head -c 64 /dev/urandom > /etc/ssh/ssh_host_rsa_key",
    ),
    (
        "makes-a-machine-id",
        "post-install",
        "head -c 16 /dev/urandom | hexdump -v -e '1/1 \"%02x\"' > /etc/machine-id",
    ),
    (
        "makes-a-private-key",
        "post-install",
        "printf -- '-----BEGIN EC PRIVATE KEY-----\\nAAAA\\n-----END EC PRIVATE KEY-----\\n' > /etc/app.pem",
    ),
    ("tells-the-time", "post-install", "date +%s > /etc/made-at"),
    (
        "throws-dice",
        "pre-install",
        "head -c 8 /dev/urandom > /var/lib/dice",
    ),
];

/// Returns a number that no other test has, here or in another process: what is left of a script
/// is known by it.
fn own_number(test: u32) -> u32 {
    std::process::id() * 10 + test
}

fn packages(number: u32) -> Vec<PackageBuilder> {
    let version = format!("1.{number}-r0");
    let bare = |name, kind, text: &str| PackageBuilder::new(name, &version).script(kind, text);
    let cases = TOO_MUCH.iter().chain(UNREPEATABLE);
    let mut packages: Vec<_> = cases
        .map(|(name, kind, text)| {
            let text = text.replace("98765", &format!("98765{number}"));
            bare(name, kind, &format!("#!/bin/sh\n{text}\n"))
        })
        .collect();
    let bare = |name, text| bare(name, "post-install", text);
    packages.extend([
        bare(GOOD, "#!/bin/sh\necho good > /etc/good\n"),
        bare("names-bash", "#!/bin/bash\ntrue\n"),
        bare("names-nothing", "true\n"),
    ]);
    packages
}

/// Runs `prebake`, with temporary files in a folder of the kitchen.
fn run(scripted: &Scripted, arguments: &[&str]) -> Output {
    let tmp = scripted.kitchen.path("tmp");
    fs_err::create_dir_all(&tmp).expect("the kitchen can be written");
    Output::of(scripted.kitchen.command(arguments).env("TMPDIR", tmp))
}

/// Checks that nothing of a run is left, by what only its processes can hold.
fn assert_nothing_left(scripted: &Scripted, name: &str, number: u32) {
    let kitchen = scripted.kitchen.path("").display().to_string();
    let script = format!("-1.{number}-r0.p");
    let sleep = format!("sleep\x0098765{number}");
    for process in fs_err::read_dir("/proc").expect("there is a /proc") {
        let process = process.expect("it can be listed").path();
        // A process may end while it is looked at.
        let holds = |file: &str, text: &str| {
            let bytes = fs_err::read(process.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text)
        };
        let is_left = holds("cmdline", &script)
            || holds("cmdline", &sleep)
            || (holds("environ", &kitchen) && holds("cmdline", "prebake"));
        assert!(!is_left, "{name}: {} is left", process.display());
    }
    let tmp = fs_err::read_dir(scripted.kitchen.path("tmp")).expect("it was made");
    assert_eq!(tmp.count(), 0, "{name}: temporary files are left");
    let mounts = fs_err::read_to_string("/proc/self/mounts").expect("there is a /proc");
    assert!(!mounts.contains(&kitchen), "{name}: {mounts}");
}

/// Has every one of them locked where nothing was, and returns what is said.
fn each_fails(scripted: &Scripted, names: &[&str], number: u32) -> String {
    let mut said = String::new();
    for name in names {
        scripted.forget_all();
        scripted.cook(&[GOOD, name], "");
        let output = run(scripted, &["build"]);
        assert_eq!(output.code, Some(8), "{name}: {output:?}");
        assert_eq!(output.stdout, "", "{name}: an error is no data");
        for file in [LOCK, RECORD, OUTPUT] {
            assert!(scripted.read(file).is_none(), "{name}: there is a {file}");
        }
        assert_nothing_left(scripted, name, number);
        let text = output.stderr.replace(&format!("-1.{number}-"), "-1.0-");
        writeln!(said, "## {name}\n{}", text.trim_end()).expect("a text takes all");
    }
    said
}

#[test]
fn what_wants_too_much_is_told_and_leaves_nothing() {
    let test = "what_wants_too_much_is_told_and_leaves_nothing";
    let number = own_number(1);
    let Some(scripted) = Scripted::new(test, packages(number)) else {
        return;
    };
    let mut names: Vec<_> = TOO_MUCH.iter().map(|(name, ..)| *name).collect();
    names.extend(["names-bash", "names-nothing"]);
    insta::assert_snapshot!("too_much", each_fails(&scripted, &names, number));
}

#[test]
fn what_is_not_for_everybody_is_refused_by_name() {
    let test = "what_is_not_for_everybody_is_refused_by_name";
    let number = own_number(2);
    let Some(scripted) = Scripted::new(test, packages(number)) else {
        return;
    };
    let names: Vec<_> = UNREPEATABLE.iter().map(|(name, ..)| *name).collect();
    insta::assert_snapshot!("unrepeatable", each_fails(&scripted, &names, number));
}

#[test]
fn a_failure_leaves_an_older_lock_as_it_was_and_each_hint_helps() {
    let test = "a_failure_leaves_an_older_lock_as_it_was_and_each_hint_helps";
    let number = own_number(3);
    let Some(scripted) = Scripted::new(test, packages(number)) else {
        return;
    };
    scripted.cook(&[GOOD], "");
    scripted.run(&["build"]).expect(0);
    let before = scripted.files();
    for name in ["fails", "makes-a-machine-id", "throws-dice"] {
        scripted.cook(&[GOOD, name], "");
        run(&scripted, &["build"]).expect(8);
        run(&scripted, &["lock"]).expect(8);
        assert!(scripted.files() == before, "{name}: something was written");
        assert_nothing_left(&scripted, name, number);
    }
    // What the hint says to write is what does.
    let skip = "[[script]]\npackage = \"throws-dice\"\nskip = true\n";
    scripted.cook(&[GOOD, "throws-dice"], skip);
    let output = scripted.run(&["build"]);
    output.expect(0);
    let missing = format!("throws-dice-1.{number}-r0 pre-install");
    assert!(output.stderr.contains(&missing), "{}", output.stderr);
    scripted.cook_for(
        &["x86_64"],
        &[GOOD, "throws-dice", "fails"],
        "scripts = \"skip\"",
        "",
    );
    scripted.run(&["build"]).expect(0);
    assert!(scripted.read(RECORD).is_none(), "nothing was run");
}

#[test]
fn what_only_the_clock_left_is_harmless() {
    let test = "what_only_the_clock_left_is_harmless";
    let made = package(
        "clocked",
        "post-install",
        "adduser -S -D -H clocked; echo 'clocked:secret' | chpasswd -e
         touch /etc/hostname /etc/passwd /srv; mkdir -p /srv/new/deep; echo new > /srv/new/file
         ln -s nowhere /srv/link; mkfifo /srv/fifo; touch -d @1000000000 /srv/old
         ln /srv/old /srv/older; echo more >> /etc/profile; chmod 700 /media",
    );
    let Some(scripted) = Scripted::new(test, [made]) else {
        return;
    };
    scripted.cook(&["clocked"], "");
    let lock = || {
        scripted.forget_all();
        let started = std::time::SystemTime::now();
        scripted.run(&["build"]).expect(0);
        // It takes longer than a second, so that the next one's clock shows another.
        assert!(started.elapsed().expect("the clock goes on").as_secs() >= 1);
        scripted.files()
    };
    let first = lock();
    let second = lock();
    assert_eq!(scripted.record(), String::from_utf8_lossy(&first[1]));
    assert!(first == second, "the lock or the output differs");
    insta::assert_snapshot!("harmless", without_keys(&scripted.record()));
}

/// Returns a record without its keys, which the base's every byte goes into.
fn without_keys(record: &str) -> String {
    let lines = record.lines().filter(|line| !line.starts_with("key = "));
    lines.collect::<Vec<_>>().join("\n")
}
