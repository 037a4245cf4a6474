//! `prebake audit`: over real bakes and over made trees, judged by `find` and `getcap` on what GNU
//! tar unpacks; and what `--deny`, `--allow` and `--against` make of it.
#![cfg(target_os = "linux")]

#[expect(dead_code, reason = "nothing here is baked by apk")]
mod bakes;
mod kitchen;

use std::collections::BTreeSet;
use std::path::Path;

use bakes::{BAKES, Mirror, OUTPUT};
use kitchen::Kitchen;
use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::judge::{self, Judge};
use prebake_testkit::key::SigningKey;
use prebake_testkit::member::Member;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::found_or_skipped;
use serde_json::Value;

/// The kinds that `find` can tell, and how it is asked for them.
const FOUND: [(&str, &[&str]); 5] = [
    ("setuid", &["-type", "f", "-perm", "-4000"]),
    ("setgid", &["-type", "f", "-perm", "-2000"]),
    (
        "world-writable",
        &[
            "!", "-type", "l", "!", "-type", "b", "!", "-type", "c", "-perm", "-0002", "!", "(",
            "-type", "d", "-perm", "-1000", ")",
        ],
    ),
    (
        "world-writable-sticky",
        &["-type", "d", "-perm", "-1000", "-perm", "-0002"],
    ),
    ("devices", &["(", "-type", "b", "-o", "-type", "c", ")"]),
];

struct Judges {
    tar: Judge,
    find: Judge,
    getcap: Judge,
}

impl Judges {
    fn new(test: &str) -> Option<Self> {
        let root = judge::is_root().then_some(());
        found_or_skipped(root, test, "to be run by root")?;
        Some(Self {
            tar: judge::gnu_tar(test)?,
            find: judge::program(test, "find")?,
            // It lies in `/usr/sbin`, which is not on everybody's PATH.
            getcap: judge::program(test, "getcap")?,
        })
    }

    /// Holds what was found in a tarball against what others find in it.
    fn judge(&self, archive: &Path, findings: &[Value]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        self.tar.unpack(archive, folder.path());
        for (kind, arguments) in FOUND {
            let root = folder.path().display().to_string();
            let mut command = self.find.command();
            command
                .arg(&root)
                .args(arguments)
                .args(["-printf", "/%P\n"]);
            let theirs = lines(&command.output().expect("find runs").stdout);
            assert_eq!(subjects(findings, kind), theirs, "{kind}");
        }
        let mut command = self.getcap.command();
        let said = command.arg("-r").arg(folder.path()).output();
        let said = lines(&said.expect("getcap runs").stdout);
        let prefix = folder.path().display().to_string();
        let theirs = said.iter().map(|line| {
            let (path, text) = line.split_once(' ').expect("a path and capabilities");
            let path = path.strip_prefix(&prefix).expect("it is in there");
            (path.to_owned(), capabilities(text))
        });
        let ours = of_kind(findings, "capabilities");
        let ours = ours.map(|finding| {
            (
                text(finding, "subject"),
                capabilities(&text(finding, "detail")),
            )
        });
        assert_eq!(
            ours.collect::<BTreeSet<_>>(),
            theirs.collect::<BTreeSet<_>>()
        );
    }
}

/// Returns each capability with its flags, however they are put together.
fn capabilities(text: &str) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for group in text.split_whitespace() {
        let (names, flags) = group.split_once(['=', '+']).expect("names and flags");
        for name in names.split(',') {
            let mut flags: Vec<_> = flags.chars().collect();
            flags.sort_unstable();
            all.insert((name.to_owned(), flags.into_iter().collect()));
        }
    }
    all
}

fn lines(bytes: &[u8]) -> BTreeSet<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn text(finding: &Value, key: &str) -> String {
    finding[key].as_str().unwrap_or_default().to_owned()
}

fn of_kind<'f>(findings: &'f [Value], kind: &str) -> impl Iterator<Item = &'f Value> {
    findings
        .iter()
        .filter(move |finding| finding["kind"] == kind)
}

fn subjects(findings: &[Value], kind: &str) -> BTreeSet<String> {
    of_kind(findings, kind)
        .map(|finding| text(finding, "subject"))
        .collect()
}

/// Runs `prebake audit --json` with more arguments, and returns what it says of the one rootfs.
fn audit(kitchen: &Kitchen, arguments: &[&str], code: i32) -> Value {
    let arguments = [&["audit", "--json"], arguments].concat();
    let output = kitchen.run(&arguments);
    let value: Value = serde_json::from_str(&output.expect(code).stdout).expect("JSON");
    value["rootfs"][0].clone()
}

fn findings(audit: &Value) -> Vec<Value> {
    audit["findings"].as_array().expect("a list").clone()
}

#[test]
fn real_bakes_are_as_find_and_getcap_say() {
    let test = "real_bakes_are_as_find_and_getcap_say";
    let (Some(mirror), Some(judges)) = (Mirror::serve(test), Judges::new(test)) else {
        return;
    };
    for bake in BAKES {
        let kitchen = bake.kitchen(&mirror);
        kitchen.run(&["lock"]).expect(0);
        let of_recipe = audit(&kitchen, &[], 0);
        assert!(!kitchen.path(OUTPUT).exists(), "an audit writes nothing");
        kitchen.run(&["build", "--locked", "--offline"]).expect(0);
        let of_file = audit(&kitchen, &[OUTPUT], 0);
        judges.judge(&kitchen.path(OUTPUT), &findings(&of_file));
        // The two ways see the same, but for which scripts ran, which no file tells.
        assert_eq!(of_recipe["identity"], of_file["identity"]);
        let told = |finding: &Value| finding["kind"] != "scripts-run";
        let recipe: Vec<_> = findings(&of_recipe).into_iter().filter(told).collect();
        assert_eq!(recipe, findings(&of_file));
        assert!(recipe.len() > 10, "{}", recipe.len());
    }
}

#[test]
fn what_is_not_signed_by_alpine_is_named_with_its_key() {
    let test = "what_is_not_signed_by_alpine_is_named_with_its_key";
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let kitchen = BAKES[0].kitchen(&mirror);
    kitchen.run(&["lock"]).expect(0);
    let found = findings(&audit(&kitchen, &["--deny", "unsigned"], 9));
    // The mirror's index is signed by a key of its own, so it vouches for all that is installed.
    let lock = fs_err::read_to_string(kitchen.path("prebake.lock")).expect("it is there");
    let names = lock.split("[[rootfs.package]]\nname = \"").skip(1);
    let names: BTreeSet<_> = names
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect();
    assert_eq!(subjects(&found, "unsigned"), names);
    let key = lock
        .rsplit("key = \"")
        .next()
        .and_then(|rest| rest.split('"').next());
    for finding in of_kind(&found, "unsigned") {
        assert!(
            text(finding, "detail").contains(key.expect("a key")),
            "{finding}"
        );
    }
}

/// A stream of numbers that is always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Returns the bytes that the kernel keeps capabilities in: revision 2.
fn capability(numbers: &mut Numbers) -> Vec<u8> {
    // As far as this kernel has any: 41 of them.
    let known = |numbers: &mut Numbers| numbers.next() & numbers.next() & ((1 << 41) - 1);
    let (permitted, inheritable) = (known(numbers) | 1 << (numbers.next() % 41), known(numbers));
    let effective = u32::from(numbers.next().is_multiple_of(2));
    let words = [
        0x0200_0000 | effective,
        permitted as u32,
        inheritable as u32,
        (permitted >> 32) as u32,
        (inheritable >> 32) as u32,
    ];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn trees_of_every_mode_are_as_find_and_getcap_say() {
    let test = "trees_of_every_mode_are_as_find_and_getcap_say";
    let Some(judges) = Judges::new(test) else {
        return;
    };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut made = Archive::new(Flavour::Posix);
    for parent in ["usr", "usr/share", "usr/share/made"] {
        made.push(&Member::directory(parent));
    }
    for number in 0..1200 {
        let name = format!("usr/share/made/{number}");
        let member = match number % 8 {
            0 => Member::directory(name),
            1 => Member::char_device(name, 1 + number % 7, number % 256),
            2 => Member::block_device(name, 1 + number % 7, number % 256),
            3 => Member::fifo(name),
            4 => Member::symlink(name, "/etc/passwd"),
            _ => Member::file(name, "x"),
        };
        let mode = if number % 8 == 4 {
            0o777
        } else {
            numbers.next() as u32 & 0o7777
        };
        let mut member = member
            .mode(mode)
            .ids(numbers.next() as u32 % 3, numbers.next() as u32 % 3);
        if number % 8 == 5 {
            member = member.xattr("security.capability", capability(&mut numbers));
        }
        made.push(&member);
    }
    made.push(&Member::hardlink(
        "usr/share/made/again",
        "usr/share/made/6",
    ));
    let kitchen = Kitchen::new("");
    kitchen.write("made.tar.gz", gzip(&made.ended()));
    let found = findings(&audit(&kitchen, &["made.tar.gz"], 0));
    judges.judge(&kitchen.path("made.tar.gz"), &found);
    for (kind, least) in [("setuid", 100), ("capabilities", 100), ("devices", 300)] {
        assert!(of_kind(&found, kind).count() >= least, "{kind}");
    }
}

/// Returns a base, not compressed, that has something of everything.
fn everything() -> Vec<u8> {
    let shadow =
        "root:::0:::::\nold:$1$a$b:1::::::\nnew:$6$a$b:1::::::\nlocked:!:1::::::\nstar:*:1::::::\n";
    let passwd = "root:x:0:0:root:/root:/bin/ash\nold:x:1000:1000::/home/old:/bin/sh\n\
        new:x:1001:1001::/home/new:\nlocked:x:1002:1002::/home/locked:/sbin/nologin\n\
        star:x:0:0::/home/star:/usr/bin/python\nopen::1003:1003::/:/bin/false\nsync:x:5:0:sync:/sbin:/bin/sync\n";
    let mut net_raw = vec![1, 0, 0, 2];
    net_raw.extend([0, 0x20, 0, 0]);
    net_raw.extend([0; 12]);
    let base = BaseBuilder::new("x86_64", "3.99.0")
        .key(&SigningKey::named("testkit"))
        .repository("http://mirror.example/alpine/v3.99/main")
        .repository("https://mirror.example/alpine/v3.99/community")
        .package(
            PackageBuilder::new("tool", "1.0-r0")
                .member(Member::file("usr/bin/tool", "tool").mode(0o4755))
                .member(Member::file("usr/bin/mailer", "m").mode(0o2755).ids(0, 12))
                .member(Member::file("etc/init.d/sshd", "#!/sbin/openrc-run\n").mode(0o755))
                .file("etc/tool.conf", "as it came\n"),
        )
        .member(Member::file("etc/tool.conf", "changed\n"))
        .member(Member::file("etc/shadow", shadow).mode(0o640).ids(0, 42))
        .member(Member::file("etc/passwd", passwd))
        .member(Member::file("usr/bin/open", "o").mode(0o775).ids(0, 1000))
        .member(Member::file("srv/upload", "u").mode(0o666))
        .member(Member::directory("srv/drop").mode(0o777))
        .member(Member::char_device("dev/null", 1, 3).mode(0o666))
        .member(Member::block_device("dev/vda", 254, 0).mode(0o660))
        .member(Member::directory("root/.ssh").mode(0o700))
        .member(Member::file(
            "root/.ssh/authorized_keys",
            "# mine\nssh-ed25519 AAAAC3Nz me@laptop\nfrom=\"10.0.0.1\" ssh-rsa AAAAB3Nz \u{202e}backup\n",
        ))
        .member(Member::file("etc/sudoers", "# none\nroot ALL=(ALL) ALL\n%wheel ALL=(ALL) \\\n  NOPASSWD: ALL\n"))
        .member(Member::file("etc/doas.conf", "permit persist :wheel\npermit nopass keepenv op as root\n"))
        .member(Member::file("etc/ssh/sshd_config", "#Port 22\nPort 2222\nListenAddress 10.0.0.1\nPermitRootLogin yes\n"))
        .member(Member::file("etc/ssh/ssh_host_ed25519_key", "secret").mode(0o600))
        .member(Member::file("etc/machine-id", "0123456789abcdef0123456789abcdef\n"))
        .member(Member::directory("etc/runlevels"))
        .member(Member::directory("etc/runlevels/default"))
        .member(Member::symlink("etc/runlevels/default/sshd", "/etc/init.d/sshd"))
        .member(Member::symlink("etc/runlevels/default/gone", "/etc/init.d/gone"))
        .member(Member::file("etc/inetd.conf", "#x\nftp stream tcp nowait root /usr/sbin/ftpd ftpd\n"))
        .member(Member::file("etc/inittab", "::sysinit:/sbin/openrc sysinit\ntty1::respawn:/sbin/getty 38400 tty1\n"))
        .member(Member::directory("etc/crontabs"))
        .member(Member::file("etc/crontabs/root", "# daily\n0  2 * * *\trun-parts /etc/periodic/daily\n").mode(0o600))
        .member(Member::directory("etc/periodic/daily"))
        .member(Member::file("etc/periodic/daily/job", "#!/bin/sh\n").mode(0o755))
        .member(Member::file("etc/periodic/daily/notes", "not run\n"));
    // A base as Alpine makes it holds no extended attributes, so one more member comes behind it.
    let ping = Member::file("usr/bin/ping", "p").mode(0o755);
    let ping = ping.xattr("security.capability", net_raw);
    let mut bytes = base.build_tar();
    let used = bytes.iter().rposition(|byte| *byte != 0);
    bytes.truncate((used.expect("it holds something") + 1).next_multiple_of(512));
    bytes.extend(Archive::of(Flavour::Posix, [&ping]).ended());
    bytes
}

#[test]
fn the_report_can_be_read_by_somebody_new() {
    let kitchen = Kitchen::new("");
    kitchen.write("everything.tar.gz", gzip(&everything()));
    let output = kitchen.run(&["audit", "everything.tar.gz"]);
    let text = output.expect(0).stdout.clone();
    let identity = text
        .split("identity ")
        .nth(1)
        .and_then(|rest| rest.get(..64));
    let text = text.replace(identity.expect("an identity"), "[identity]");
    insta::assert_snapshot!(text);
    assert_eq!(output.stderr, "");
    let quiet = kitchen.run(&[
        "audit",
        "everything.tar.gz",
        "--quiet",
        "--deny",
        "setuid,passwords,unsigned",
        "--allow",
        "passwords:old",
        "--allow",
        "passwords:nobody",
    ]);
    insta::assert_snapshot!(
        "denied",
        format!("{}---\n{}", quiet.expect(9).stdout, quiet.stderr)
    );
}

#[test]
fn a_recipe_says_what_must_not_be_there() {
    let recipe = |deny: &str, allow: &str, url: &str, key: &Path| {
        format!(
            "name = \"r\"\narch = \"x86_64\"\npackages = [\"tool\"]\nmirrors = [\"{url}\"]\n\
             [base]\nrelease = \"3.99.0\"\n[[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = [{:?}]\n\
             [[output]]\npath = \"r.tar.gz\"\n[audit]\ndeny = [{deny}]\nallow = [{allow}]\n",
            key.display().to_string()
        )
    };
    let mirror = |tool: PackageBuilder, more: &[PackageBuilder]| {
        let base = BaseBuilder::new("x86_64", "3.99.0");
        let mut mirror = MirrorBuilder::new("v3.99").base(base).package("main", tool);
        for package in more {
            mirror = mirror.package("main", package.clone());
        }
        mirror
    };
    let tool = PackageBuilder::new("tool", "1.0-r0").program("usr/bin/tool", "tool");
    let lib = |version: &str| PackageBuilder::new("lib", version).file("usr/lib/lib.so", version);
    let old = PackageBuilder::new("old", "1.0-r0").file("usr/lib/old", "old");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = tool.clone().depends(["lib", "old"]);
    let made = mirror(before, &[lib("1.0-r0"), old]).build_in(folder.path());
    let url = format!("file://{}", folder.path().display());
    let kitchen = Kitchen::new(&recipe("\"setuid\"", "", &url, &made.key_file()));
    kitchen.run(&["lock"]).expect(0);
    assert_eq!(
        audit(&kitchen, &[], 0)["findings"][0]["kind"],
        "world-writable-sticky"
    );
    kitchen.run(&["build"]).expect(0);
    fs_err::rename(kitchen.path("r.tar.gz"), kitchen.path("before.tar.gz")).expect("it is there");
    fs_err::copy(kitchen.path("prebake.lock"), kitchen.path("before.lock")).expect("it is there");
    // The same version comes again with another content, and a setuid bit; one goes, one comes.
    let new = PackageBuilder::new("new", "2.0-r0").file("usr/lib/new", "new");
    let after = tool
        .depends(["lib", "new"])
        .member(Member::file("usr/bin/su", "su").mode(0o4755));
    mirror(after, &[lib("1.1-r0"), new]).build_in(folder.path());
    kitchen.run(&["lock", "--upgrade"]).expect(0);

    for older in ["before.lock", "before.tar.gz"] {
        let now = audit(&kitchen, &["--against", older], 9);
        let since = &now["since"];
        let packages: Vec<_> = since["packages"]
            .as_array()
            .expect("a list")
            .iter()
            .collect();
        let packages = packages
            .iter()
            .map(|one| (text(one, "name"), text(one, "what")));
        let expected = [
            ("lib", "changed"),
            ("new", "added"),
            ("old", "removed"),
            ("tool", "rebuilt"),
        ];
        assert_eq!(
            packages.collect::<Vec<_>>(),
            expected.map(|(name, what)| (name.to_owned(), what.to_owned())),
            "{older}"
        );
        let added = since["added"].as_array().expect("a list").clone();
        assert_eq!(
            subjects(&added, "setuid"),
            BTreeSet::from(["/usr/bin/su".to_owned()]),
            "{older}"
        );
        assert!(
            since["removed"]
                .as_array()
                .expect("a list")
                .iter()
                .all(|one| one["kind"] == "unsigned"),
            "{since}"
        );
    }
    let said = kitchen.run(&["audit", "--against", "before.lock"]);
    for line in [
        "! /usr/bin/su  root:root 4755  (from tool-1.0-r0)",
        "  ~ tool 1.0-r0 was rebuilt: the same version, another content",
        "  ~ lib 1.0-r0 -> 1.1-r0",
        "  + new 2.0-r0",
        "  - old 1.0-r0",
        "  + setuid: /usr/bin/su  root:root 4755  (from tool-1.0-r0)",
        "denied for x86_64: setuid:/usr/bin/su  root:root 4755  (from tool-1.0-r0)",
    ] {
        assert!(
            said.expect(9).stdout.lines().any(|own| own == line),
            "{line}:\n{}",
            said.stdout
        );
    }
    let allowed = recipe(
        "\"setuid\"",
        "\"setuid:/usr/bin/su\"",
        &url,
        &made.key_file(),
    );
    kitchen.write("prebake.toml", allowed);
    // What may be there is no input of the rootfs, so that the lock stays current.
    audit(&kitchen, &[], 0);
    let unused = kitchen.run(&["audit", "--allow", "setuid:/nothing"]);
    let note = "there is nothing to allow `setuid:/nothing` for";
    assert!(unused.expect(0).stderr.contains(note), "{}", unused.stderr);
    audit(&kitchen, &["--deny", "world-writable-sticky"], 9);
    let wrong = recipe("\"setid\"", "\"setuid\", \"x:y\"", &url, &made.key_file());
    kitchen.write("prebake.toml", wrong);
    let wrong = kitchen.run(&["audit"]);
    for word in [
        "`setid` is no kind of finding",
        "did you mean `setuid`?",
        "write KIND:SUBJECT",
        "`x` is no kind",
    ] {
        assert!(
            wrong.expect(2).stderr.contains(word),
            "{word}: {}",
            wrong.stderr
        );
    }
}

#[test]
fn an_audit_of_a_recipe_needs_its_lock_and_writes_none() {
    let kitchen = Kitchen::new(
        "name = \"r\"\narch = \"x86_64\"\n[base]\nrelease = \"3.21.3\"\n[[output]]\npath = \"r.tar.gz\"\n",
    );
    let output = kitchen.run(&["audit"]);
    assert!(
        output.expect(6).stderr.contains("there is no lock"),
        "{}",
        output.stderr
    );
    assert!(!kitchen.path("prebake.lock").exists());
}
