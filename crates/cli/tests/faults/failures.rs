//! What cannot be baked: no such package, nobody trusted, nothing there.

use prebake_testkit::http::Server;
use prebake_testkit::key::SigningKey;
use prebake_testkit::shared::real_mirror;
use prebake_testkit::stanza::{index_archive, index_text};

use crate::kitchen::Kitchen;
use crate::stove::{INDEX, INPUTS, Stove, assert_says, left_overs, wrong_blobs};

#[test]
fn a_pruned_mirror() {
    let Some(mirror) = real_mirror("a_pruned_mirror") else {
        return;
    };
    let server = Server::start_folder(&mirror);
    let url = server.url("");
    let recipe = |package: &str| {
        format!(
            "name = \"usb\"\narch = [\"x86_64\"]\npackages = [\"{package}\"]\n\
             mirrors = [\"{url}\"]\n[base]\nrelease = \"3.19.4\"\n\
             [[repository]]\nurl = \"{url}/v3.19/main\"\n[[output]]\npath = \"{{name}}.tar.gz\"\n"
        )
    };
    let kitchen = Kitchen::new(&recipe("usbutils"));
    kitchen.write("usb.tar.gz", "an older output");
    let output = kitchen.run(&["build"]);
    output.expect(5);
    // Every one that is missing is named, so that one look tells the whole story.
    assert_says(
        &output,
        &[
            "could not fetch `hwdata-usb-0.377.2-r0.apk`",
            "could not fetch `eudev-dev-3.2.14-r0.apk`",
            &format!("{url}/v3.19/main/x86_64/eudev-dev-3.2.14-r0.apk: 404 (not found)"),
            "hint: a mirror drops superseded packages within weeks",
        ],
    );
    let old = fs_err::read(kitchen.path("usb.tar.gz")).unwrap();
    assert_eq!(old, b"an older output");
    assert!(!kitchen.path("prebake.lock").exists());
    assert_eq!(left_overs(&kitchen), Vec::<String>::new());
    assert_eq!(wrong_blobs(&kitchen), Vec::<String>::new());
    // What came is kept, and a package that is all there bakes.
    kitchen.write("prebake.toml", recipe("jq"));
    kitchen.run(&["build"]).expect(0);
    kitchen.run(&["verify", "usb.tar.gz"]).expect(0);
}

#[test]
fn a_key_that_nobody_trusts() {
    let stove = Stove::new();
    stove.put_old();
    stove.recipe(&["tool"], &stove.url(), None, "");
    let output = stove.kitchen.run(&["build"]);
    output.expect(3);
    let key = stove.mirror.key().file_name();
    let url = stove.server.url(INDEX);
    let hint = "hint: if you trust that key, name its file in `keys`";
    assert_says(&output, &[&url, &key, hint]);
    stove.assert_old();
    stove.cook(&["tool"]);
    stove.assert_works_again();
}

#[test]
fn a_wrong_key_of_the_right_name() {
    let stove = Stove::new();
    stove.put_old();
    let name = stove.mirror.key().file_name();
    stove
        .kitchen
        .write(&name, SigningKey::named("somebody-else").public_pem());
    let key = stove.kitchen.path(&name);
    stove.recipe(&["tool"], &stove.url(), Some(&key), "");
    let output = stove.kitchen.run(&["build"]);
    output.expect(3);
    assert_says(&output, &[&stove.server.url(INDEX), &name, "hint: "]);
    stove.assert_old();
    stove.cook(&["tool"]);
    stove.assert_works_again();
}

#[test]
fn a_key_that_is_none() {
    let stove = Stove::new();
    stove.kitchen.write("mine.rsa.pub", "no key");
    let key = stove.kitchen.path("mine.rsa.pub");
    stove.recipe(&["tool"], &stove.url(), Some(&key), "");
    let output = stove.kitchen.run(&["build"]);
    output.expect(2);
    let hint = "hint: a key is a PEM file that begins `-----BEGIN PUBLIC KEY-----`";
    assert_says(&output, &["mine.rsa.pub", hint]);
    stove.assert_clean();
    // And one that is not there.
    stove.recipe(&["tool"], &stove.url(), Some("gone.rsa.pub".as_ref()), "");
    let output = stove.kitchen.run(&["build"]);
    output.expect(2);
    assert_says(&output, &["gone.rsa.pub"]);
}

#[test]
fn an_index_that_nobody_signed() {
    let stove = Stove::new();
    stove.put_old();
    let packages = stove.mirror.packages("main", "x86_64");
    let index = index_archive(&index_text(packages), "main", &[]);
    stove.server.put(INDEX, &index);
    let output = stove.kitchen.run(&["build"]);
    output.expect(3);
    let hint = "hint: an index without a signature is never taken";
    assert_says(&output, &[&stove.server.url(INDEX), "sign", hint]);
    stove.assert_old();
    stove.server.remove(INDEX);
    stove.assert_works_again();
}

#[test]
fn packages_that_are_not_to_be_had() {
    let stove = Stove::new();
    let good = stove.bake();
    let lock = fs_err::read(stove.kitchen.path("prebake.lock")).unwrap();
    for (packages, reason) in [
        (
            &["tol"][..],
            "`tol`, asked for by the recipe: no package has this name; did you mean `tool`?",
        ),
        (
            &["tool>2"],
            "`tool>2`, asked for by the recipe\n    tool-1.0-r0: this version does not match `tool>2`",
        ),
        (&["rival", "tool"], "`!tool` of `rival-1.0-r0` forbids"),
        (&["tool", "!data"], "`!data`"),
    ] {
        stove.put_old();
        stove.cook(packages);
        let output = stove.kitchen.run(&["build"]);
        output.expect(4);
        let what = "error: no choice of packages for x86_64 satisfies the recipe\n";
        assert_says(&output, &[what, reason, "hint: change `packages`"]);
        stove.assert_old();
        let left = fs_err::read(stove.kitchen.path("prebake.lock")).unwrap();
        assert!(left == lock, "the lock changed");
    }
    stove.cook(&["tool"]);
    stove.assert_recovers(&good);
}

#[test]
fn offline_with_an_empty_cache() {
    let stove = Stove::new();
    stove.put_old();
    let output = stove.kitchen.run(&["build", "--offline"]);
    output.expect(5);
    let hint = "hint: run it once without `--offline`";
    assert_says(
        &output,
        &["is not in the cache", &stove.server.url(INPUTS[0]), hint],
    );
    stove.assert_old();
    assert_eq!(stove.server.requests(), []);
    // With a lock, all that is missing is named at once.
    let good = stove.bake();
    drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
    stove.put_old();
    stove.server.clear_requests();
    let mut command = stove.kitchen.command(&["build"]);
    command.env("PREBAKE_OFFLINE", "1");
    let output = crate::kitchen::Output::of(&mut command);
    output.expect(5);
    assert_says(
        &output,
        &["`tool-1.0-r0.apk` is not", "`data-2.0-r0.apk` is not", hint],
    );
    stove.assert_old();
    assert_eq!(stove.server.requests(), []);
    stove.assert_recovers(&good);
    // With a full cache nothing is asked.
    stove.server.clear_requests();
    stove
        .kitchen
        .run(&["build", "--offline", "--locked"])
        .expect(0);
    assert_eq!(stove.server.requests(), []);
}

#[test]
fn a_lock_that_is_not_there_or_not_current() {
    let stove = Stove::new();
    stove.put_old();
    for arguments in [&["build", "--locked"][..], &["lock", "--check"]] {
        let output = stove.kitchen.run(arguments);
        output.expect(6);
        let hint = "hint: run `prebake lock` and commit what it writes";
        assert_says(&output, &["there is no lock `prebake.lock`", hint]);
    }
    stove.assert_old();
    assert_eq!(stove.server.requests(), []);
    let good = stove.bake();
    stove.kitchen.run(&["lock", "--check"]).expect(0);
    stove.kitchen.run(&["build", "--locked"]).expect(0);
    let lock = fs_err::read(stove.kitchen.path("prebake.lock")).unwrap();
    stove.put_old();
    stove.cook(&["tool", "data"]);
    stove.server.clear_requests();
    for arguments in [&["build", "--locked"][..], &["lock", "--check"]] {
        let output = stove.kitchen.run(arguments);
        output.expect(6);
        let what = "the lock `prebake.lock` is not current: the recipe changed";
        assert_says(&output, &[what, "hint: run `prebake lock`"]);
    }
    stove.assert_old();
    assert_eq!(stove.server.requests(), []);
    assert!(fs_err::read(stove.kitchen.path("prebake.lock")).unwrap() == lock);
    stove.cook(&["tool"]);
    stove.kitchen.run(&["lock", "--check"]).expect(0);
    stove.assert_recovers(&good);
}
