//! Packages beside the recipe, judged by the real apk: `apk add ./file.apk` in the same base.

mod kitchen;

use std::path::Path;

use kitchen::Kitchen;
use prebake_testkit::key::SigningKey;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::real_mirror;
use prebake_testkit::tree::Dump;

const OUTPUT: &str = "rootfs.tar.gz";
const BASE: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

fn recipe(mirror: &Path, packages: &str) -> String {
    format!(
        "name = \"n\"\nscripts = \"skip\"\narch = \"x86_64\"\npackages = [{packages}]\nmirrors = [\"file://{0}\"]\n\
         [base]\nrelease = \"3.19.4\"\n[[repository]]\nurl = \"file://{0}/v3.19/main\"\n\
         [[output]]\npath = \"{OUTPUT}\"\n",
        mirror.display()
    )
}

/// Builds what is in the kitchen and holds it against what apk leaves that adds `packages`.
fn same_as_apk(test: &str, mirror: &Path, kitchen: &Kitchen, packages: &[&str], trust: &[&str]) {
    kitchen.run(&["build", "--offline"]).expect(0);
    let (Some(theirs), Some(ours)) = (
        Oracle::on_base(test, &mirror.join(BASE)),
        Oracle::on_base(test, &kitchen.path(OUTPUT)),
    ) else {
        return;
    };
    let repository = mirror.join("v3.19/main");
    let mut add = Add::new(packages.iter().copied()).repository(repository.display());
    for argument in trust {
        add = add.argument(argument);
    }
    theirs.add(&add).expect_success();
    for file in [
        "etc/apk/world",
        "lib/apk/db/installed",
        "lib/apk/db/triggers",
    ] {
        let read = |oracle: &Oracle| {
            fs_err::read_to_string(oracle.root().join(file)).expect("it is there")
        };
        assert_eq!(read(&ours), read(&theirs), "{file}");
    }
    let dump = |oracle: &Oracle| {
        Some(Dump::of_directory(test, &oracle.root())?.without_times(|_, _| true))
    };
    if let (Some(ours), Some(theirs)) = (dump(&ours), dump(&theirs)) {
        ours.assert_same(&theirs);
    }
}

#[test]
fn a_signed_one_is_what_apk_adds() {
    let test = "a_signed_one_is_what_apk_adds";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let file = mirror.join("v3.19/main/x86_64/jq-1.7.1-r0.apk");
    let kitchen = Kitchen::new(&recipe(
        &mirror,
        "\"e2fsprogs\", \".\\\\dist\\\\local.apk\"",
    ));
    kitchen.write("dist/local.apk", fs_err::read(&file).expect("it is there"));
    let path = file.display().to_string();
    same_as_apk(test, &mirror, &kitchen, &["e2fsprogs", &path], &[]);
    let lock = fs_err::read_to_string(kitchen.path("prebake.lock")).expect("it is there");
    assert!(lock.contains("path = \"./dist/local.apk\""), "{lock}");
    kitchen.run(&["build", "--locked"]).expect(0);
    kitchen.run(&["verify", OUTPUT]).expect(0);
    let why = kitchen.run(&["why", "oniguruma"]);
    assert!(why.expect(0).stdout.contains("jq><Q1"), "{}", why.stdout);
}

#[test]
fn an_unsigned_one_is_taken_by_its_digest_and_a_change_is_noticed() {
    let test = "an_unsigned_one_is_taken_by_its_digest_and_a_change_is_noticed";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let app = |text: &str| {
        let app = PackageBuilder::new("app", "1.0-r0")
            .depends(["oniguruma"])
            .provides(["cmd:app=1.0-r0"])
            .program("usr/bin/app", text);
        app.build_signed(&[]).bytes()
    };
    let kitchen = Kitchen::new(&recipe(&mirror, "\"./app.apk\""));
    kitchen.write("app.apk", app("one"));
    let said = kitchen.run(&["build"]);
    said.expect(2);
    assert!(said.stderr.contains("prebake.toml:4:"), "{}", said.stderr);
    assert!(said.stderr.contains("it is not signed"), "{}", said.stderr);
    // What it says to write is what does.
    let (_, rest) = said
        .stderr
        .split_once("`{ path")
        .expect("it says what to write");
    let (entry, _) = rest.split_once('`').expect("it says what to write");
    kitchen.write("prebake.toml", recipe(&mirror, &format!("{{ path{entry}")));
    let path = kitchen.path("app.apk").display().to_string();
    same_as_apk(test, &mirror, &kitchen, &[&path], &["--allow-untrusted"]);

    kitchen.write("app.apk", app("two"));
    let said = kitchen.run(&["build"]);
    said.expect(2);
    assert!(
        said.stderr.contains("but the recipe says"),
        "{}",
        said.stderr
    );
}

#[test]
fn one_that_the_base_has_already_is_only_asked_for() {
    let test = "one_that_the_base_has_already_is_only_asked_for";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let first = Kitchen::new(&recipe(&mirror, "\"jq\""));
    first.run(&["build"]).expect(0);
    let bytes = fs_err::read(first.path(OUTPUT)).expect("it is there");
    let sha256 = prebake_apk::digest::Sha256::of(&bytes);
    let text = recipe(&mirror, "\"./jq.apk\"").replace(
        "release = \"3.19.4\"",
        &format!(
            "url = \"file://{}\"\nsha256 = \"{sha256}\"",
            first.path(OUTPUT).display()
        ),
    );
    let kitchen = Kitchen::new(&text);
    let file = mirror.join("v3.19/main/x86_64/jq-1.7.1-r0.apk");
    kitchen.write("jq.apk", fs_err::read(&file).expect("it is there"));
    kitchen.run(&["build"]).expect(0);
    kitchen.run(&["build", "--locked"]).expect(0);
    let Some(ours) = Oracle::on_base(test, &kitchen.path(OUTPUT)) else {
        return;
    };
    let world = fs_err::read_to_string(ours.root().join("etc/apk/world")).expect("it is there");
    assert!(
        world.contains("\njq><Q19dRht426yVnvFIFdH/RjZp8Xgag=\n"),
        "{world}"
    );
}

#[test]
fn a_changed_one_asks_for_a_new_lock() {
    let test = "a_changed_one_asks_for_a_new_lock";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let key = SigningKey::named("stranger");
    let app = |text: &str| {
        let app = PackageBuilder::new("app", "1.0-r0").program("usr/bin/app", text);
        app.build(&key).bytes()
    };
    let packages = "{ path = \"./app.apk\", keys = [\"keys/stranger.rsa.pub\"] }";
    let kitchen = Kitchen::new(&recipe(&mirror, packages));
    kitchen.write("keys/stranger.rsa.pub", key.public_pem());
    kitchen.write("app.apk", app("one"));
    kitchen.run(&["build"]).expect(0);
    kitchen.write("app.apk", app("two"));
    let said = kitchen.run(&["build", "--locked"]);
    assert_ne!(said.code, Some(0));
    assert!(
        said.stderr.contains("`./app.apk` has the SHA-256 "),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("but the lock says "),
        "{}",
        said.stderr
    );
    kitchen.run(&["lock"]).expect(0);
    kitchen.run(&["lock", "--check"]).expect(0);
    kitchen.run(&["build", "--locked"]).expect(0);
}
