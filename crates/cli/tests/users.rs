//! Who makes a record, and where: an ordinary user makes root's or none, and a recipe whose
//! scripts have nothing to do needs no sandbox at all.
#![cfg(target_os = "linux")]

mod bakes;
mod kitchen;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bakes::{BAKES, Mirror, OUTPUT};
use kitchen::{Kitchen, Output};
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::judge;
use prebake_testkit::member::Member;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::{found_or_skipped, real_mirror};
use prebake_testkit::tree::Dump;

const RECORD: &str = "prebake.scripts";

/// What an ordinary user has in `/etc/subuid`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// Nothing.
    None,
    /// A range as `adduser` gives them.
    Range,
}

/// Builds in `kitchen` as `nobody`, with a umask that lets nobody else read anything.
fn build_as_nobody(kitchen: &Kitchen, ids: Ids) -> Output {
    let open = std::fs::Permissions::from_mode(0o777);
    fs_err::set_permissions(kitchen.path(""), open).expect("it is ours");
    // The checkout may lie where nobody else gets to.
    let program = kitchen.path("prebake");
    fs_err::copy(env!("CARGO_BIN_EXE_prebake"), &program).expect("it can be copied");
    let mut table = String::from("somebody:1:2\n");
    if ids == Ids::Range {
        writeln!(table, "nobody:1000000:65536").expect("memory can be written");
    }
    kitchen.write("table", table);
    // In a mount namespace of its own, so that the host's tables stay as they are.
    let line = "for table in /etc/subuid /etc/subgid; do
            test ! -e $table || mount --bind table $table || exit 99
        done
        umask 077
        exec setpriv --reuid=65534 --regid=65534 --clear-groups ./prebake build";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", line])
        .current_dir(kitchen.path(""))
        .env("PREBAKE_CACHE", kitchen.path("nobodys-cache"));
    Output::of(&mut command)
}

/// Returns the real mirror where it can be read by everybody, and programs to become somebody by.
fn with_mirror(test: &str) -> Option<(PathBuf, tempfile::TempDir)> {
    let mirror = real_mirror(test)?;
    let root = judge::is_root().then_some(());
    found_or_skipped(root, test, "to be run by root")?;
    judge::program(test, "setpriv")?;
    judge::program(test, "unshare")?;
    // Links would lead to where `nobody` does not get: the checkout may lie in root's home.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copied = Command::new("cp")
        .args(["-r", "--"])
        .arg(mirror.join("v3.19"))
        .arg(folder.path())
        .status();
    assert!(copied.is_ok_and(|status| status.success()));
    let opened = Command::new("chmod")
        .args(["-R", "a+rX", "--"])
        .arg(folder.path())
        .status();
    assert!(opened.is_ok_and(|status| status.success()));
    Some((folder.path().to_owned(), folder))
}

/// Returns a kitchen with a recipe of packages whose scripts make users and links.
fn kitchen(mirror: &Path) -> Kitchen {
    let mirror = mirror.display();
    Kitchen::new(&format!(
        "name = \"r\"\narch = [\"x86_64\"]\n\
         packages = [\"ca-certificates\", \"dhcpcd\", \"tiny-cloud-nocloud\"]\n\
         mirrors = [\"file://{mirror}\"]\n[base]\nrelease = \"3.19.4\"\n\
         [[repository]]\nurl = \"file://{mirror}/v3.19/main\"\n\
         [[output]]\npath = {OUTPUT:?}\n"
    ))
}

#[test]
fn an_ordinary_user_makes_roots_record_or_none() {
    let test = "an_ordinary_user_makes_roots_record_or_none";
    let Some((mirror, _folder)) = with_mirror(test) else {
        return;
    };
    let read = |kitchen: &Kitchen, name| fs_err::read(kitchen.path(name)).expect("it is there");
    let roots = kitchen(&mirror);
    let built = roots.run(&["build"]);
    built.expect(0);

    // Without ids for the owners of files there is no telling what a script would have made.
    let nobodys = kitchen(&mirror);
    let refused = build_as_nobody(&nobodys, Ids::None);
    refused.expect(8);
    for word in [
        "dhcpcd-10.0.5-r0",
        "pre-install",
        "/etc/shadow",
        "install `uidmap`",
        "/etc/subuid",
    ] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    for name in [RECORD, "prebake.lock", OUTPUT] {
        assert!(!nobodys.path(name).exists(), "{name}");
    }

    // With root's record nothing has to be run.
    let replayed = kitchen(&mirror);
    for name in [RECORD, "prebake.lock"] {
        replayed.write(name, read(&roots, name));
    }
    build_as_nobody(&replayed, Ids::None).expect(0);
    assert!(read(&replayed, OUTPUT) == read(&roots, OUTPUT));

    // With them it is root's, byte for byte.
    if judge::program(test, "newuidmap").is_none() {
        return;
    }
    build_as_nobody(&nobodys, Ids::Range).expect(0);
    for name in [RECORD, "prebake.lock"] {
        let text = |kitchen| String::from_utf8(read(kitchen, name)).expect("it is text");
        assert_eq!(text(&nobodys), text(&roots), "{name}");
    }
    assert!(read(&nobodys, OUTPUT) == read(&roots, OUTPUT));
}

#[test]
fn the_first_recipe_needs_no_sandbox() {
    let test = "the_first_recipe_needs_no_sandbox";
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let [first, second, _] = &BAKES;
    // In a user namespace in which no other may be made.
    let forbid =
        "echo 0 > /proc/sys/user/max_user_namespaces && ! unshare --user true && exec \"$@\"";
    let starter = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        forbid,
        "sh",
    ];
    let works = Command::new(starter[0])
        .args(&starter[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    if found_or_skipped(works.then_some(()), test, "user namespaces").is_none() {
        return;
    }
    let build = |kitchen: &Kitchen| Output::of(&mut kitchen.started_by(&starter, &["build"]));
    let kitchen = first.kitchen(&mirror);
    build(&kitchen).expect(0);
    assert!(!kitchen.path(RECORD).exists());
    // And still it is what the real apk leaves, who runs the scripts.
    let Some(theirs) = first.oracle(test, &mirror) else {
        return;
    };
    let added = first.add(&theirs, &mirror, false);
    assert!(added.stdout.contains("Executing busybox-"), "{added:?}");
    let dumps = (
        Dump::of_tarball(test, &kitchen.path(OUTPUT)),
        Dump::of_directory(test, &theirs.root()),
    );
    if let (Some(ours), Some(theirs)) = dumps {
        let timeless = |dump: Dump| dump.without_times(|_, _| true);
        timeless(ours).assert_same(&timeless(theirs));
    }

    // That it was forbidden is seen where one is needed.
    let refused = build(&second.kitchen(&mirror));
    refused.expect(8);
    for word in ["ca-certificates", "trigger", "prebake lock", "skip = true"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
}

#[test]
fn an_owner_whom_no_sandbox_has_is_named() {
    let test = "an_owner_whom_no_sandbox_has_is_named";
    if !judge::any_owner(test) {
        return;
    }
    let package = PackageBuilder::new("far", "1.0-r0")
        .member(Member::file("srv/far", "away").ids(65_536, 0))
        .script("post-install", "#!/bin/sh\ncp -a /srv/far /srv/near\n");
    let mirror = MirrorBuilder::new("v3.99")
        .base(BaseBuilder::new("x86_64", "3.99.0"))
        .package("main", package)
        .build();
    let url = mirror.url();
    let kitchen = Kitchen::new(&format!(
        "name = \"r\"\narch = [\"x86_64\"]\npackages = [\"far\"]\nmirrors = [{url:?}]\n\
         [base]\nrelease = \"3.99.0\"\n[[repository]]\nurl = \"{url}/v3.99/main\"\n\
         keys = [{:?}]\n[[output]]\npath = {OUTPUT:?}\n",
        mirror.key_file().display().to_string()
    ));
    let refused = kitchen.run(&["build"]);
    refused.expect(8);
    for word in ["far-1.0-r0", "/srv/far belongs to 65536:0", "skip = true"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
}
