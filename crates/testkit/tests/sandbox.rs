//! Root filesystems are launched, as far as `unshare` launches one: the testkit's own and what
//! real apk makes of the recipe that prebake was begun for.

use prebake_testkit::base::BaseBuilder;
use prebake_testkit::elf::Program;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::sandbox::{Sandbox, glibc_program};
use prebake_testkit::shared::real_mirror;

#[test]
fn a_base_of_the_testkit_runs() {
    let test = "a_base_of_the_testkit_runs";
    let mirror = MirrorBuilder::new("v3.99")
        .base(BaseBuilder::new("x86_64", "3.99.0"))
        .build();
    let Some(oracle) = Oracle::on_base(test, &mirror.base("3.99.0", "x86_64")) else {
        return;
    };
    let Some(sandbox) = Sandbox::new(test, &oracle.root()) else {
        return;
    };
    for (command, stdout) in [
        (&["/bin/hello"][..], Program::GREETING),
        (&["/bin/echo", "a", "b"], "a b\n"),
        (&["/bin/cat", "/etc/alpine-release"], "3.99.0\n"),
        (&["/bin/cat", "/proc/1/comm"], "cat\n"),
        (
            &["/bin/cat", "/proc/1/environ"],
            "LC_ALL=C\0PATH=/usr/sbin:/usr/bin:/sbin:/bin\0",
        ),
    ] {
        let outcome = sandbox.run(command.iter().copied());
        assert_eq!(outcome.expect_success().stdout, stdout, "{command:?}");
    }
    assert!(!sandbox.run(["/bin/false"]).success);
    assert!(!sandbox.run(["/bin/missing"]).success);
    // Its network has a loopback that is down, and nothing of the host's.
    let devices = sandbox.run(["/bin/cat", "/proc/net/dev"]).stdout;
    let names: Vec<&str> = devices
        .lines()
        .skip(2)
        .filter_map(|line| line.split(':').next())
        .collect();
    assert!(names.iter().all(|name| !name.contains("eth")), "{names:?}");
    assert!(
        fs_err::read_dir(oracle.root().join("proc"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn what_real_apk_makes_of_the_first_recipe_runs_glibc_and_writes_nat_rules() {
    let test = "what_real_apk_makes_of_the_first_recipe_runs_glibc_and_writes_nat_rules";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let base = "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz";
    let Some(oracle) = Oracle::on_base(test, &mirror.join(base)) else {
        return;
    };
    let root = oracle.root();
    for key in fs_err::read_dir(mirror.join("keys")).unwrap() {
        let key = key.unwrap();
        fs_err::copy(key.path(), root.join("etc/apk/keys").join(key.file_name())).unwrap();
    }
    let add = Add::new(["gcompat", "iptables"]).repository(mirror.join("v3.20/main").display());
    let installed = oracle.add(&add).expect_success().installed();
    assert_eq!(installed.len(), 6, "{installed:?}");
    let Some(sandbox) = Sandbox::new(test, &root) else {
        return;
    };
    let rule = "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE";
    let said = sandbox
        .shell(&format!(
            "iptables-legacy -t nat {rule} && iptables-legacy -t nat -S"
        ))
        .expect_success()
        .stdout;
    assert!(said.lines().any(|line| line == rule), "{said}");
    // Another run is another network.
    let said = sandbox.shell("iptables-legacy -t nat -S").stdout;
    assert!(!said.contains("MASQUERADE"), "{said}");
    if glibc_program(test, "glibc ok", &root.join("tmp/program")).is_some() {
        let said = sandbox.run(["/tmp/program"]).expect_success();
        assert_eq!(said.stdout, "glibc ok\n");
    }
}
