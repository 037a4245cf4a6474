//! The recipe that started prebake, baked from the real mirror over HTTP and put to use: the same
//! packages as the real apk chooses, in a tarball no larger than the plain way makes, in which a
//! glibc-built program and `iptables` work.

mod bakes;
mod kitchen;

use bakes::{BAKES, Mirror, OUTPUT};
use prebake_testkit::judge;
use prebake_testkit::sandbox::{Sandbox, glibc_program};
use tempfile::TempDir;

/// What a tarball made in the plain way has of the six packages: every base entry copied, every
/// package's entries appended, Go's gzip at its default level.
const PLAIN_WAY: u64 = 4_144_579;

/// What real apk adds to minirootfs 3.20.3, in its order.
const PACKAGES: [&str; 6] = [
    "musl-obstack-1.2.3-r2",
    "libucontext-1.2-r3",
    "gcompat-1.1.0-r4",
    "libmnl-1.0.5-r2",
    "libnftnl-libs-1.1.7-r0",
    "iptables-1.8.5-r2",
];

#[test]
fn locks_what_apk_chooses_in_its_order() {
    let test = "locks_what_apk_chooses_in_its_order";
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let [bake, _, _] = &BAKES;
    let kitchen = bake.kitchen(&mirror);
    kitchen.run(&["lock"]).expect(0);
    let lock = fs_err::read_to_string(kitchen.path("prebake.lock")).expect("the lock was written");
    let locked = locked_packages(&lock);
    assert_eq!(locked, PACKAGES, "{lock}");

    let Some(oracle) = bake.oracle(test, &mirror) else {
        return;
    };
    let chosen = bake.add(&oracle, &mirror, true).installed();
    assert_eq!(locked, chosen);
}

#[test]
fn is_smaller_than_the_plain_way_and_works() {
    let test = "is_smaller_than_the_plain_way_and_works";
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let [bake, _, _] = &BAKES;
    let kitchen = bake.kitchen(&mirror);
    let built = kitchen.run(&["build"]);
    built.expect(0);
    assert_eq!(built.stdout.lines().count(), 1, "{}", built.stdout);
    assert!(
        built.stdout.trim_end().ends_with(OUTPUT),
        "{}",
        built.stdout
    );

    let output = kitchen.path(OUTPUT);
    let size = fs_err::metadata(&output).expect("it was written").len();
    assert!(size <= PLAIN_WAY, "{size} bytes");
    kitchen.run(&["verify", OUTPUT]).expect(0);

    let Some(tar) = judge::gnu_tar(test).filter(|_| judge::any_owner(test)) else {
        return;
    };
    let folder = TempDir::new().expect("a temporary folder");
    // The folder's own mode becomes the base's `./`, so the root lies one further down.
    let root = folder.path().join("root");
    fs_err::create_dir(&root).expect("the root can be made");
    tar.unpack(&output, &root);
    let Some(sandbox) = Sandbox::new(test, &root) else {
        return;
    };

    let rule = "-t nat -A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE";
    let outcome = sandbox.shell(&format!(
        "iptables-legacy {rule} && iptables-legacy -t nat -S POSTROUTING"
    ));
    let written = outcome.expect_success().stdout;
    assert_eq!(
        written,
        "-P POSTROUTING ACCEPT\n-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE\n"
    );

    // By an ordinary user the root's folders belong to somebody else, so it is built beside it
    // and put in place by what unpacked the rest.
    let text = "built against glibc, run by gcompat";
    let program = folder.path().join("program");
    if glibc_program(test, text, &program).is_none() {
        return;
    }
    let archive = folder.path().join("program.tar");
    let beside = folder.path().to_string_lossy();
    let packed = archive.to_string_lossy();
    let packing = ["-C", &beside, "-cf", &packed, "program"];
    tar.run(packing).expect_success();
    tar.unpack(&archive, &root);
    let outcome = sandbox.run(["/program"]).expect_success();
    assert_eq!(outcome.stdout, format!("{text}\n"));
}

/// Returns `name-version` of each package that the lock's text names, in its order.
fn locked_packages(lock: &str) -> Vec<String> {
    let value = |line: Option<&str>, key: &str| {
        let quoted = line.and_then(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        let quoted = quoted.unwrap_or_else(|| panic!("no {key}: {lock}"));
        quoted.trim_matches('"').to_owned()
    };
    let mut lines = lock.lines();
    let mut packages = Vec::new();
    while lines.any(|line| line == "[[rootfs.package]]") {
        let name = value(lines.next(), "name");
        let version = value(lines.next(), "version");
        packages.push(format!("{name}-{version}"));
    }
    packages
}
