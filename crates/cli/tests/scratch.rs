//! A rootfs from nothing, judged by what the real apk leaves in an empty folder.

mod kitchen;

use kitchen::Kitchen;
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
    let base = mirror.join(BASE);
    let key = format!("./etc/apk/keys/{KEY}");
    let (base, folder) = (
        base.display().to_string(),
        kitchen.path("").display().to_string(),
    );
    let taken = ["-C", &folder, "--strip-components=3", "-xzf", &base, &key];
    tar.run(taken).expect_success();

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
    let keys = theirs.root().join("etc/apk/keys");
    fs_err::create_dir_all(&keys).expect("it can be made");
    fs_err::copy(kitchen.path("keys").join(KEY), keys.join(KEY)).expect("it can be copied");
    let repository = mirror.join("v3.13/main");
    let add = Add::new(["alpine-base"])
        .repository(repository.display())
        .arch("aarch64")
        .argument("--initdb");
    theirs.add(&add).expect_success();
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
