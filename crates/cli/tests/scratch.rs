//! A rootfs from nothing, judged by what the real apk leaves in an empty folder.

mod kitchen;

use std::path::Path;

use kitchen::Kitchen;
use prebake_testkit::emulator::Emulator;
use prebake_testkit::judge;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::shared::real_mirror;
use prebake_testkit::tree::Dump;

const OUTPUT: &str = "rootfs.tar.gz";
const BASE: &str = "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz";
const KEY: &str = "alpine-devel@lists.alpinelinux.org-58199dcc.rsa.pub";

#[test]
fn alpine_base_from_nothing_is_what_apk_leaves() {
    let test = "alpine_base_from_nothing_is_what_apk_leaves";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let recipe = |rest: &str| {
        format!(
            "name = \"n\"\nscripts = \"skip\"\narch = \"aarch64\"\npackages = [\"alpine-base\"]\n\
             mirrors = [\"file://{0}\"]\n[base]\nscratch = true\nkeys = [\"keys/{KEY}\"]\n{rest}\n\
             [[repository]]\nurl = \"file://{0}/v3.13/main\"\n[[output]]\npath = \"{OUTPUT}\"\n",
            mirror.display()
        )
    };
    let Some(tar) = judge::gnu_tar(test).filter(|_| judge::any_owner(test)) else {
        return;
    };
    let kitchen = Kitchen::new(&recipe("apk = \"2.14\""));
    take_key(&tar, &mirror, &kitchen);

    kitchen.run(&["build"]).expect(0);
    let lock = fs_err::read_to_string(kitchen.path("prebake.lock")).expect("it is there");
    assert!(!lock.contains("[rootfs.base]"), "{lock}");
    kitchen.run(&["build", "--locked"]).expect(0);
    kitchen.run(&["verify", OUTPUT]).expect(0);

    let (Some(theirs), Some(ours)) = (
        Oracle::empty(test),
        Oracle::on_base(test, &kitchen.path(OUTPUT)),
    ) else {
        return;
    };
    theirs
        .add(&initdb(&theirs, &mirror, &kitchen))
        .expect_success();
    let dump = |oracle: &Oracle| {
        Some(Dump::of_directory(test, &oracle.root())?.without_times(|_, _| true))
    };
    if let (Some(ours), Some(theirs)) = (dump(&ours), dump(&theirs)) {
        ours.assert_same(&theirs);
    }

    // The newest's rules are those that apply where nobody says otherwise.
    kitchen.write("prebake.toml", recipe(""));
    kitchen.run(&["build"]).expect(0);
    let installed = judge::gnu_tar(test).expect("it was there a moment ago");
    let output = kitchen.path(OUTPUT).display().to_string();
    let text = installed.run(["-xzOf", &output, "./lib/apk/db/scripts.tar"]);
    assert!(
        text.stdout.contains(".X1"),
        "apk 3 names scripts by hexadecimal identities"
    );
}

#[test]
fn scripts_of_another_machine_leave_what_they_leave_under_apk() {
    let test = "scripts_of_another_machine_leave_what_they_leave_under_apk";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let (Some(tar), Some(emulator)) = (
        judge::gnu_tar(test).filter(|_| judge::any_owner(test)),
        Emulator::of_aarch64(test),
    ) else {
        return;
    };
    let recipe = |base: &str, packages: &[&str]| {
        format!(
            "name = \"n\"\narch = \"aarch64\"\npackages = {packages:?}\n\
             mirrors = [\"file://{0}\"]\n[base]\n{base}\n\
             [[repository]]\nurl = \"file://{0}/v3.13/main\"\n[[output]]\npath = \"{OUTPUT}\"\n",
            mirror.display()
        )
    };

    // From nothing: users, applets' links, the lot of what no base tarball brought.
    let scratch = format!("scratch = true\napk = \"2.14\"\nkeys = [\"keys/{KEY}\"]");
    let kitchen = Kitchen::new(&recipe(&scratch, &["alpine-base"]));
    take_key(&tar, &mirror, &kitchen);
    let Some(theirs) = Oracle::empty(test) else {
        return;
    };
    // The emulator's user namespace may make no devices, so that they are made before.
    let add = initdb(&theirs, &mirror, &kitchen);
    theirs
        .run(&["--no-network", "--arch", "aarch64", "--initdb", "add"])
        .expect_success();
    let record = same(test, &kitchen, &theirs, &add.emulated_by(&emulator));
    for package in ["alpine-baselayout-3.2.0-r8", "busybox-1.32.1-r2"] {
        assert!(record.contains(package), "{record}");
    }

    // On the base: what has an effect there.
    let world = ["openssh", "chrony", "haveged", "dbus-libs"];
    let kitchen = Kitchen::new(&recipe("release = \"3.13.12\"", &world));
    let Some(theirs) = Oracle::on_base(test, &mirror.join(BASE)) else {
        return;
    };
    let add = Add::new(world)
        .repository(mirror.join("v3.13/main").display())
        .arch("aarch64");
    let record = same(test, &kitchen, &theirs, &add.emulated_by(&emulator));
    assert!(record.contains("chrony"), "{record}");
}

/// Bakes, has the real apk add the same with scripts, and checks that both left the same, but for
/// times. Returns the record.
fn same(test: &str, kitchen: &Kitchen, theirs: &Oracle, add: &Add) -> String {
    kitchen.run(&["build"]).expect(0);
    let added = theirs.add(&add.clone().with_scripts()).expect_success();
    assert_eq!(added.complaints(), Vec::<&str>::new());
    let dump = |dump: Option<Dump>| {
        let mut dump = dump?.without_times(|_, _| true);
        // The day of a password's change is the day of the run.
        for file in ["/etc/shadow", "/etc/shadow-"] {
            if let Some(node) = dump.0.get_mut(file) {
                node.what = String::new();
            }
        }
        Some(dump)
    };
    let ours = dump(Dump::of_tarball(test, &kitchen.path(OUTPUT)));
    let theirs = dump(Dump::of_directory(test, &theirs.root()));
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        ours.assert_same(&theirs);
    }
    fs_err::read_to_string(kitchen.path("prebake.scripts")).expect("it was recorded")
}

/// Puts the key that the repository is signed by into a kitchen's `keys`, from the base.
fn take_key(tar: &judge::Judge, mirror: &Path, kitchen: &Kitchen) {
    let key = format!("./etc/apk/keys/{KEY}");
    let base = mirror.join(BASE).display().to_string();
    let folder = kitchen.path("").display().to_string();
    let taken = ["-C", &folder, "--strip-components=3", "-xzf", &base, &key];
    tar.run(taken).expect_success();
}

/// Gives the empty root of `theirs` the key in a kitchen, and returns what makes a system there.
fn initdb(theirs: &Oracle, mirror: &Path, kitchen: &Kitchen) -> Add {
    let keys = theirs.root().join("etc/apk/keys");
    fs_err::create_dir_all(&keys).expect("it can be made");
    fs_err::copy(kitchen.path("keys").join(KEY), keys.join(KEY)).expect("it can be copied");
    Add::new(["alpine-base"])
        .repository(mirror.join("v3.13/main").display())
        .arch("aarch64")
        .argument("--initdb")
}
