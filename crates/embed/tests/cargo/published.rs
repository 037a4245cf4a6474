//! A package from a registry, vendored, built where there is no home folder and no network.

use std::process::Command;

use crate::kitchen::Kitchen;
use crate::package::{self, Package, build_script, run};

/// The library that is published: `rootfs()` is its rootfs.
const LIBRARY: &str = "\
//! Carries a rootfs.
pub fn rootfs() -> &'static prebake_embed::Rootfs {
    prebake_embed::include_rootfs!(\"published-rootfs\")
}
";

/// The program of somebody who uses it.
const PROGRAM: &str = "\
fn main() {
    let rootfs = published_rootfs::rootfs();
    println!(\"{} {}\", rootfs.name(), rootfs.identity());
}
";

#[test]
fn a_published_package_is_built_vendored_and_in_a_sandbox() {
    let kitchen = Kitchen::new();
    let author = Package::new("published-rootfs");
    let manifest = package::manifest("published-rootfs")
        .replace("edition", "description = \"d\"\nlicense = \"MIT\"\nedition");
    author.write("Cargo.toml", &manifest);
    author.write("src/lib.rs", LIBRARY);
    let script = "prebake_embed::Bake::new(\"prebake.toml\").vendor(\"inputs\").run()";
    author.write("build.rs", &build_script(script));
    kitchen.recipe(&author, "prebake.toml", "published-rootfs");

    // The author bakes, and so has a lock, and puts the inputs beside it.
    let cache = kitchen.cache("cache");
    let built = author.cargo(&["build"], &[("PREBAKE_CACHE", &cache)]);
    assert!(built.success, "{built:?}");
    Kitchen::vendor(&author, &author.path("inputs"), &cache);
    let identity = fs_err::read_to_string(author.baked("rs")).unwrap();
    let identity = identity.lines().next().unwrap();
    let identity = identity.rsplit(' ').next().unwrap().to_owned();
    let arguments = [
        "package",
        "--no-verify",
        "--allow-dirty",
        "--exclude-lockfile",
    ];
    let packaged = author.cargo(&arguments, &[]);
    assert!(packaged.success, "{packaged:?}");
    kitchen.requests();

    // Somebody vendors it; what cargo writes for that is a table of checksums, which may be empty.
    let name = "published-rootfs-0.1.0";
    let archive = package::programs().join(format!("../package/{name}.crate"));
    let vendored = package::vendored();
    let copy = vendored.join(name);
    let _ = fs_err::remove_dir_all(&copy);
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(&archive).arg("-C").arg(&vendored);
    let unpacked = run(unpack);
    assert!(unpacked.success, "{unpacked:?}");
    fs_err::write(copy.join(".cargo-checksum.json"), "{\"files\":{}}").unwrap();
    assert!(copy.join("prebake.lock").exists() && copy.join("inputs/v3.99").exists());

    let user = Package::new("published-user");
    user.write(
        "Cargo.toml",
        "[package]\nname = \"published-user\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [workspace]\n[dependencies]\npublished-rootfs = \"0.1\"\n",
    );
    user.write("src/main.rs", PROGRAM);
    let locked = user.cargo(&["generate-lockfile"], &[]);
    assert!(locked.success, "{locked:?}");
    let home = kitchen.cache("cargo-home");
    for out in author.outs() {
        fs_err::remove_dir_all(out).unwrap();
    }
    let output = run(sandboxed(&user, &home, &["run", "--frozen", "--quiet"]));
    assert!(output.success, "{output:?}");
    assert_eq!(output.stdout, format!("published-rootfs {identity}\n"));

    // What is missing from a published package is not made up for in cargo's copy of it.
    fs_err::remove_file(copy.join("prebake.lock")).unwrap();
    for out in author.outs() {
        fs_err::remove_dir_all(out).unwrap();
    }
    let refused = user.refused(&[], &[]);
    assert!(refused.contains("this is a published package"), "{refused}");
    assert!(!copy.join("prebake.lock").exists());
    assert_eq!(kitchen.requests(), 0);
    fs_err::remove_dir_all(copy).unwrap();
}

/// Prepares cargo with nothing of the user's own: no home folder, another home of cargo's, and
/// where that can be had no network.
fn sandboxed(package: &Package, home: &str, arguments: &[&str]) -> Command {
    let plain = package.command(arguments);
    let mut command = Command::new(plain.get_program());
    let probe = Command::new("unshare").args(["-n", "true"]).output();
    if probe.is_ok_and(|probe| probe.status.success()) {
        command = Command::new("unshare");
        command.arg("-n").arg(plain.get_program());
    }
    command.args(plain.get_args());
    command.current_dir(&package.folder).env_clear();
    for (name, value) in plain.get_envs() {
        command.envs(value.map(|value| (name, value)));
    }
    command.env("CARGO_HOME", home);
    for name in ["PATH", "SystemRoot", "TMPDIR"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}
