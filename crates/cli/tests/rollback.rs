//! An index older than the lock's is refused, and a lock says loudly what was rebuilt.

mod kitchen;

use kitchen::Kitchen;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::key::SigningKey;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;
use serde_json::Value;

/// A day in the life of a mirror, in seconds since 1970.
const MONDAY: i64 = 1_718_582_400;
const DAY: i64 = 86_400;

/// Makes the kitchen's mirror anew.
fn mirror(kitchen: &Kitchen, time: i64, packages: &[(&str, &str, &str)]) {
    let folder = kitchen.path("mirror");
    let _ = fs_err::remove_dir_all(&folder);
    let mut mirror = MirrorBuilder::new("v3.99")
        .base(BaseBuilder::new("x86_64", "3.99.0"))
        .index_time(time);
    for (name, version, content) in packages {
        let package = PackageBuilder::new(name, version).build_date(MONDAY - DAY);
        let package = package.file(&format!("usr/share/{name}"), content);
        mirror = mirror.package("main", package);
    }
    mirror.build_in(&folder);
}

fn kitchen() -> Kitchen {
    let kitchen = Kitchen::new("");
    let key = SigningKey::named("testkit");
    kitchen.write(&key.file_name(), key.public_pem());
    let url = format!("file://{}", kitchen.path("mirror").display());
    kitchen.write(
        "prebake.toml",
        format!(
            "name = \"n\"\narch = \"x86_64\"\npackages = [\"a\"]\nmirrors = [\"{url}\"]\n\
             [base]\nrelease = \"3.99.0\"\n[[repository]]\nurl = \"{url}/v3.99/main\"\n\
             keys = [\"{}\"]\n[[output]]\npath = \"rootfs.tar.gz\"\n",
            key.file_name()
        ),
    );
    kitchen
}

fn lock(kitchen: &Kitchen) -> String {
    fs_err::read_to_string(kitchen.path("prebake.lock")).expect("it is there")
}

#[test]
fn a_replayed_index_is_refused_unless_asked_for() {
    let kitchen = kitchen();
    let mended = [("a", "1.0-r1", "mended")];
    mirror(&kitchen, MONDAY + DAY, &mended);
    kitchen.run(&["lock"]).expect(0);
    let before = lock(&kitchen);
    assert!(
        before.contains("made = \"2024-06-18T00:00:00Z\"\n"),
        "{before}"
    );

    // Signed as well as ever, and of yesterday.
    mirror(&kitchen, MONDAY, &[("a", "1.0-r0", "broken")]);
    for arguments in [&["lock", "--upgrade"][..], &["outdated"]] {
        let refused = kitchen.run(arguments);
        refused.expect(3);
        for part in [
            "APKINDEX.tar.gz` is of 2024-06-17T00:00:00Z",
            "the lock has a newer one, of 2024-06-18T00:00:00Z",
            "--allow-older-index",
        ] {
            assert!(refused.stderr.contains(part), "{}", refused.stderr);
        }
    }
    // Nor does it come in by a recipe that changed, for which the locked index does not do.
    let recipe = fs_err::read_to_string(kitchen.path("prebake.toml")).expect("it is there");
    kitchen.write("prebake.toml", recipe.replace("[\"a\"]", "[\"a\", \"b\"]"));
    mirror(
        &kitchen,
        MONDAY,
        &[("a", "1.0-r0", "broken"), ("b", "1", "b")],
    );
    let refused = kitchen.run(&["lock"]);
    refused.expect(3);
    assert!(
        refused.stderr.contains("the lock has a newer one"),
        "{}",
        refused.stderr
    );
    kitchen.write("prebake.toml", recipe);
    assert_eq!(lock(&kitchen), before, "the lock was left alone");
    kitchen.run(&["build", "--locked"]).expect(0);

    // One that does not say when it was made goes by its newest package, which is older still.
    mirror(&kitchen, 0, &mended);
    let refused = kitchen.run(&["lock", "--upgrade"]);
    refused.expect(3);
    assert!(
        refused.stderr.contains("is of 2024-06-16T00:00:00Z"),
        "{}",
        refused.stderr
    );

    // The same moment is as good, a later one better, and what is asked for is done, and told.
    mirror(&kitchen, MONDAY + DAY, &mended);
    kitchen.run(&["lock", "--upgrade"]).expect(0);
    mirror(&kitchen, MONDAY, &[("a", "1.0-r0", "broken")]);
    let allowed = kitchen.run(&["lock", "--upgrade", "--allow-older-index", "--json"]);
    let value: Value = serde_json::from_str(&allowed.expect(0).stdout).expect("JSON");
    assert_eq!(value["changes"][0]["kind"], "downgraded");
    assert_eq!(
        value["rootfs"][0]["indexes"][0]["made"],
        "2024-06-17T00:00:00Z"
    );
    let told = "`a` for x86_64 went back from 1.0-r1 to 1.0-r0";
    assert!(allowed.stderr.contains(told), "{}", allowed.stderr);

    // A lock of a prebake that did not ask says no moment, and the next one does.
    let silent = lock(&kitchen).replace("made = \"2024-06-17T00:00:00Z\"\n", "");
    kitchen.write("prebake.lock", &silent);
    kitchen.run(&["build", "--locked"]).expect(0);
    mirror(&kitchen, MONDAY - DAY, &[("a", "1.0-r0", "broken")]);
    kitchen.run(&["lock", "--upgrade"]).expect(0);
    assert!(lock(&kitchen).contains("made = \"2024-06-16T00:00:00Z\"\n"));
}

#[test]
fn a_package_rebuilt_under_one_version_is_told_loudly() {
    let kitchen = kitchen();
    mirror(&kitchen, MONDAY, &[("a", "1.0-r0", "one")]);
    kitchen.run(&["lock"]).expect(0);
    mirror(&kitchen, MONDAY + DAY, &[("a", "1.0-r0", "other")]);
    // Nobody watches a terminal here: what matters is told all the same, and all else is not.
    let said = kitchen.run(&["lock", "--upgrade"]);
    let told = &said.expect(0).stderr;
    assert!(
        told.contains("`a` 1.0-r0 for x86_64 was REBUILT under the same version: Q1"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    mirror(&kitchen, MONDAY + 2 * DAY, &[("a", "1.0-r0", "third")]);
    let json = kitchen.run(&["lock", "--upgrade", "--json"]);
    let value: Value = serde_json::from_str(&json.expect(0).stdout).expect("JSON");
    let change = &value["changes"][0];
    assert_eq!(change["kind"], "rebuilt");
    assert_eq!(change["from"], change["to"]);
    assert_ne!(change["from_identity"], change["to_identity"]);
    mirror(&kitchen, MONDAY + 3 * DAY, &[("a", "1.1-r0", "next")]);
    let quiet = kitchen.run(&["lock", "--upgrade"]);
    assert_eq!(quiet.expect(0).stderr, "");
}
