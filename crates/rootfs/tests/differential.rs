//! Our tree against what the real apk leaves in the same base.

// The real apk is a program of Linux, and its trees are read by what Unix tells of files.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what is wrong by ending, and why it did nothing"
)]

mod oracle;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use oracle::bench::{Bench, Refusal};

const BASE_3_19: &str = "alpine/v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

/// Has both add packages, without scripts.
fn add(bench: &Bench, packages: &[&str]) -> Result<usize, Refusal> {
    bench.run(&[&["add", "--no-scripts"], packages].concat())
}

#[test]
fn the_recipe_on_3_20() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let bench = Bench::new(
        &alpine.join("v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz"),
        "x86_64",
        &alpine.join("v3.20/main"),
        Some(&alpine.join("keys")),
    );
    let count = add(&bench, &["gcompat", "iptables"]).unwrap();
    assert!(count > 500, "{count}");
}

fn on_3_19(shared: &Path, repository: &Path) -> Bench {
    Bench::new(&shared.join(BASE_3_19), "x86_64", repository, None)
}

#[test]
fn five_packages_on_3_19() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let bench = on_3_19(&shared, &shared.join("alpine/v3.19/main"));
    let world = ["openssh", "git", "jq", "e2fsprogs", "sfdisk"];
    let count = add(&bench, &world).unwrap();
    assert!(count > 1000, "{count}");
}

#[test]
fn openssh_on_3_13_for_arm() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let bench = Bench::new(
        &alpine.join("v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz"),
        "aarch64",
        &alpine.join("v3.13/main"),
        None,
    );
    let count = add(&bench, &["openssh"]).unwrap();
    assert!(count > 500, "{count}");
}

#[test]
fn from_nothing() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let nothing = Path::new("");
    let temp = tempfile::tempdir().unwrap();
    let keys = |base: &str| {
        let root = temp.path().join(base.rsplit('/').next().unwrap());
        oracle::root::unpack(&alpine.join(base), &root);
        root.join("etc/apk/keys")
    };
    let arm = keys("v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz");
    let bench = Bench::new(nothing, "aarch64", &alpine.join("v3.13/main"), Some(&arm));
    assert_eq!(add(&bench, &[]).unwrap(), 30);
    let count = add(&bench, &["alpine-base"]).unwrap();
    assert!(count > 450, "{count}");
    let count = add(&bench, &["alpine-base", "openssh", "tzdata"]).unwrap();
    assert!(count > 1000, "{count}");

    let x86 = keys("v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz");
    let bench = Bench::new(nothing, "x86_64", &alpine.join("v3.19/main"), Some(&x86));
    for world in [
        &["jq"][..],
        &["alpine-keys", "libc-utils"],
        &["alpine-baselayout-data"],
    ] {
        let count = add(&bench, world).unwrap();
        assert!(count > 35, "{world:?}: {count}");
    }
}

#[test]
fn the_scripts_that_apk_would_run() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let mirror = tempfile::tempdir().unwrap();
    small_3_19(&shared, mirror.path());
    let mut bench = on_3_19(&shared, mirror.path());
    bench.options = vec!["--allow-untrusted"];
    // All that bring scripts, alone and together, and one that brings none.
    for (world, count) in [
        (&["jq"][..], 1),
        (&["ca-certificates"], 2),
        (&["coreutils"], 1),
        (&["dhcpcd"], 2),
        (&["dhcpcd", "git"], 3),
        (&["doas"], 1),
        (&["eudev"], 2),
        (&["openrc"], 2),
        (&["tiny-cloud-alpine"], 3),
        (&["tiny-cloud-nocloud", "eudev", "ca-certificates"], 4),
    ] {
        let ran = bench.run(&[&["add"], world].concat()).unwrap();
        assert_eq!(ran, count, "{world:?}");
    }
}

#[test]
fn packages_with_scripts_that_are_run() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let mirror = tempfile::tempdir().unwrap();
    small_3_19(&shared, mirror.path());
    let base = shared.join(BASE_3_19);
    let mut bench = Bench::with_contents(&base, "x86_64", mirror.path(), None, &[]);
    bench.options = vec!["--allow-untrusted"];
    // All that leave something behind by a script, alone and together, and some that do not.
    for world in [
        &["jq"][..],
        &["ca-certificates"],
        &["libcurl"],
        &["dhcpcd", "git"],
        &["doas", "coreutils"],
        &["tiny-cloud-alpine"],
        &[
            "tiny-cloud-nocloud",
            "eudev",
            "ca-certificates",
            "openrc",
            "openssh",
        ],
    ] {
        let begun = std::time::Instant::now();
        let ran = bench.run_scripts(&[&["add"], world].concat()).unwrap();
        println!("{world:?}: {ran:?} {:?}", begun.elapsed());
        assert!(!ran.is_empty(), "{world:?}");
    }
}

/// Returns the names of all packages in the 3.19 mirror, and a mirror of the same packages whose
/// index has no others: the real one has 5,443 and apk reads them all on every run.
fn small_3_19(shared: &Path, into: &Path) -> Vec<String> {
    let folder = into.join("x86_64");
    fs_err::create_dir(&folder).unwrap();
    let mut packages = Vec::new();
    for file in fs_err::read_dir(shared.join("alpine/v3.19/main/x86_64")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if let Some(label) = name.strip_suffix(".apk") {
            fs_err::os::unix::fs::symlink(file.path(), folder.join(&name)).unwrap();
            // The version is what is behind the second dash from the end.
            let (rest, _) = label.rsplit_once('-').unwrap();
            packages.push(rest.rsplit_once('-').unwrap().0.to_owned());
        }
    }
    packages.sort();
    let status = Command::new(shared.join("oracle/apk"))
        .args([
            "index",
            "--quiet",
            "--allow-untrusted",
            // As Alpine's own is made: a mirror has no folder for `noarch`.
            "--rewrite-arch",
            "x86_64",
            "-o",
            "APKINDEX.tar.gz",
        ])
        .args(packages_in(&folder))
        .current_dir(&folder)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    packages
}

fn packages_in(folder: &Path) -> Vec<std::ffi::OsString> {
    let files = fs_err::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().file_name()).collect()
}

/// Checks many worlds on all cores; returns those that apk could install, in their order.
fn check_all<'a>(bench: &Bench, worlds: &[Vec<&'a str>]) -> Vec<Vec<&'a str>> {
    let next = AtomicUsize::new(0);
    let installed = Mutex::new(BTreeSet::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(world) = worlds.get(at) else { break };
                    match add(bench, world) {
                        Ok(_) => _ = installed.lock().unwrap().insert(at),
                        Err(refusal) => assert!(
                            refusal.apk.contains("unable to select packages")
                                && refusal.ours.is_none(),
                            "{world:?}: {refusal:?}"
                        ),
                    }
                }
            });
        }
    });
    let installed = installed.into_inner().unwrap();
    installed.into_iter().map(|at| worlds[at].clone()).collect()
}

#[test]
fn every_package_of_3_19_and_random_sets() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let mirror = tempfile::tempdir().unwrap();
    let packages = small_3_19(&shared, mirror.path());
    let mut bench = on_3_19(&shared, mirror.path());
    bench.options = vec!["--allow-untrusted"];
    let alone: Vec<Vec<&str>> = packages.iter().map(|name| vec![name.as_str()]).collect();
    let installable = check_all(&bench, &alone).concat();
    assert_eq!(installable.len(), 139);

    // Any sets will do, if they are the same ones every time.
    let mut state: u64 = 19;
    let mut below = |bound: usize| -> usize {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let sets: Vec<Vec<&str>> = (0..100)
        .map(|_| {
            let size = 2 + below(7);
            (0..size)
                .map(|_| installable[below(installable.len())])
                .collect()
        })
        .collect();
    let installed = check_all(&bench, &sets);
    // Some want what others forbid.
    assert!(installed.len() > 90, "{}", installed.len());
}
