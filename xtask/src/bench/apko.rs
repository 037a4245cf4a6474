//! From packages to a tarball without a base: ours against apko, where it is installed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use prebake_testkit::shared::shared;
use tempfile::TempDir;

use super::bake::{forget_what_was_made, peak, succeed};
use super::{interleave_rounds, milliseconds, say, text};

/// The repository that has all that its packages need, and its key, as the base has it.
const MIRROR: &str = "alpine/v3.13";
const BASE: &str = "alpine/v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz";
const KEY: &str = "./usr/share/apk/keys/alpine-devel@lists.alpinelinux.org-58199dcc.rsa.pub";

/// Packages that apko can take. Not so `e2fsprogs`, as it does not read the information of
/// `libblkid`, nor `network-extras`, for which it finds no answer: both said by apko 1.2.0.
const PACKAGES: [&str; 10] = [
    "alpine-base",
    "openssh",
    "chrony",
    "tzdata",
    "openssl",
    "wpa_supplicant",
    "ppp-daemon",
    "haveged",
    "bonding",
    "kbd-bkeymaps",
];

const ROUNDS: usize = 9;

/// The levels of ours; apko's `build-minirootfs` does not compress, whatever its file is called.
const LEVELS: [&str; 2] = ["instant", "default"];

pub(super) fn bench() -> Result<(), String> {
    let shared = shared().ok_or("there is no ../shared: nothing to bake")?;
    let Ok(version) = Command::new("apko").arg("version").output() else {
        say("\napko: it is not installed, so that nothing is measured beside it");
        return Ok(());
    };
    let folder = TempDir::new().map_err(text)?;
    let mirror = shared.join(MIRROR);
    let key = key(&shared, folder.path())?;
    let mut config = format!(
        "contents:\n  keyring:\n    - {}\n  repositories:\n    - {}\n  packages:\n",
        key.display(),
        mirror.join("main").display()
    );
    for package in PACKAGES {
        // Writing to a `String` cannot fail.
        let _ = writeln!(config, "    - {package}");
    }
    config += "archs: [aarch64]\n";
    fs_err::write(folder.path().join("apko.yaml"), config).map_err(text)?;
    let own_cache = folder.path().join("apko-cache");
    let apko = || {
        let mut command = Command::new("apko");
        command.args(["build-minirootfs", "--build-arch", "aarch64", "apko.yaml"]);
        command.arg("apko.tar").current_dir(folder.path());
        // There it keeps every package inflated.
        command.env("XDG_CACHE_HOME", &own_cache);
        command
    };
    let apko_cold = || {
        // It may not be there yet.
        let _ = fs_err::remove_dir_all(&own_cache);
        apko()
    };
    let program = crate::target_folder().join("release/prebake");
    let ours = |level: &str, arguments: &[&str]| {
        let kitchen = folder.path().join(level);
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(&kitchen);
        command.env("PREBAKE_CACHE", kitchen.join("cache"));
        command
    };
    for level in LEVELS {
        let kitchen = folder.path().join(level);
        fs_err::create_dir(&kitchen).map_err(text)?;
        let recipe = format!(
            "name = \"bench\"\narch = [\"aarch64\"]\nscripts = \"skip\"\npackages = {PACKAGES:?}\n\
             [base]\nscratch = true\nrelease = \"3.13\"\napk = \"2.14\"\nkeys = [\"{}\"]\n\
             [[repository]]\nurl = \"file://{}\"\n[[output]]\npath = \"out.tar.gz\"\n\
             level = {level:?}\n",
            key.display(),
            mirror.join("main").display()
        );
        fs_err::write(kitchen.join("prebake.toml"), recipe).map_err(text)?;
        succeed(&mut ours(level, &["lock"]))?;
    }
    let kept = |level: &str| {
        // It may not be there yet.
        let _ = fs_err::remove_file(folder.path().join(level).join("out.tar.gz"));
        ours(level, &["build", "--locked"])
    };
    let cold = |level: &str| {
        forget_what_was_made(&folder.path().join(level));
        kept(level)
    };
    let [instant, default] = LEVELS;
    let stored = || cold(instant);
    let deflated = || cold(default);
    let resolved = || {
        cold(instant);
        let _ = fs_err::remove_file(folder.path().join(instant).join("prebake.lock"));
        // Without a lock, a build makes one.
        ours(instant, &["build"])
    };
    let stored_again = || kept(instant);
    let deflated_again = || kept(default);
    let lanes: [(&str, &dyn Fn() -> Command); 7] = [
        ("apko, nothing kept, not compressed", &apko_cold),
        ("apko, packages kept, not compressed", &apko),
        ("prebake, resolve and build, stored", &resolved),
        ("prebake, nothing kept, stored", &stored),
        ("prebake, everything kept, stored", &stored_again),
        ("prebake, nothing kept, gzip", &deflated),
        ("prebake, everything kept, gzip", &deflated_again),
    ];
    let times = interleave_rounds(&lanes.map(|(_, lane)| lane), ROUNDS)?;
    say(&format!(
        "\napko: {} and what they need, from nothing, on 3.13 aarch64; {}",
        PACKAGES.join(" "),
        said(&version.stdout)
    ));
    let first = times.first().copied().unwrap_or_default();
    for ((name, lane), time) in lanes.iter().zip(times) {
        say(&format!(
            "    {name:<40}{:8.1} ms   {:7.1} times faster   peak {:4} MiB",
            milliseconds(time),
            first.as_secs_f64() / time.as_secs_f64(),
            peak(&lane())?
        ));
    }
    Ok(())
}

/// Returns the version that apko says it has.
fn said(version: &[u8]) -> String {
    let text = String::from_utf8_lossy(version);
    let line = text.lines().find(|line| line.starts_with("GitVersion"));
    let version = line.and_then(|line| line.split_once(':'));
    version.map_or_else(
        || "an apko without a version".to_owned(),
        |(_, version)| format!("apko {}", version.trim()),
    )
}

/// Takes the repository's key out of the base.
fn key(shared: &Path, folder: &Path) -> Result<PathBuf, String> {
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(shared.join(BASE));
    succeed(tar.arg("-C").arg(folder).arg(KEY))?;
    Ok(folder.join(KEY.trim_start_matches("./")))
}
