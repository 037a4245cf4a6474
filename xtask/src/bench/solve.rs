//! From compressed indexes on disk to a solution, over all of v3.19: ours against the real apk.

use std::path::{Path, PathBuf};
use std::process::Command;

use prebake_apk::dependency::Dependency;
use prebake_apk::digest::Sha256;
use prebake_apk::index::{Index, Origin};
use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::signature::open_signed_index;
use prebake_apk::version::Dialect;
use prebake_solve::{Repository, Request, solve, world};
use prebake_testkit::shared::shared;
use tempfile::TempDir;

use super::{instructions, interleave, milliseconds, say};

/// What is asked for: a few packages and what they bring, from both repositories.
const WORLD: [&str; 6] = ["openssh", "git", "jq", "e2fsprogs", "sfdisk", "nginx"];

const REPOSITORIES: [&str; 2] = ["main", "community"];

pub(super) fn bench() -> Result<(), String> {
    let shared = shared().ok_or("there is no ../shared: nothing to solve over")?;
    let mirror = shared.join("alpine/v3.19");
    let base = mirror.join("releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz");
    let root = TempDir::new().map_err(|error| error.to_string())?;
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(&base)
        .arg("-C")
        .arg(root.path())
        .status()
        .map_err(|error| format!("tar: {error}"))?;
    if !unpacked.success() {
        return Err(format!("tar cannot unpack {}", base.display()));
    }
    let file = root.path().join("repositories");
    let lines = REPOSITORIES.map(|name| format!("{}\n", mirror.join(name).display()));
    fs_err::write(&file, lines.concat()).map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let apk = || {
        let mut command = Command::new(shared.join("oracle/apk"));
        command
            .args(["--arch", "x86_64", "--no-cache", "--root"])
            .arg(root.path())
            .arg("--repositories-file")
            .arg(&file)
            .args(["add", "--simulate"])
            .args(WORLD);
        command
    };
    prepare(&mirror, root.path())?;
    let ours = |lane: &str| {
        let mut command = Command::new(&own);
        command.args(["bench-child", lane]).arg(&mirror);
        command.arg(root.path());
        command
    };
    let (cold, warm) = (|| ours("cold"), || ours("warm"));
    let lanes: [(&str, &dyn Fn() -> Command); 3] = [
        ("apk 2.14.4", &apk),
        ("prebake, indexes never read before", &cold),
        ("prebake, indexes read before", &warm),
    ];
    let times = interleave(&lanes.map(|(_, lane)| lane))?;
    say("solve: v3.19 main + community (23,030 packages), compressed indexes to a solution");
    let apk = times.first().copied().unwrap_or_default();
    for ((name, lane), time) in lanes.iter().zip(times) {
        let ratio = apk.as_secs_f64() / time.as_secs_f64();
        let instructions = instructions(&lane()).map_or_else(String::new, |count| {
            format!("   {} million instructions", count / 1_000_000)
        });
        say(&format!(
            "    {name:<36}{:8.1} ms   {ratio:4.1} times apk's speed{instructions}",
            milliseconds(time)
        ));
    }
    Ok(())
}

/// Writes the parsed form of each index, as a first run leaves it in the cache.
fn prepare(mirror: &Path, root: &Path) -> Result<(), String> {
    let keys = keys(&root.join("etc/apk/keys"))?;
    for name in REPOSITORIES {
        let bytes = fs_err::read(compressed(mirror, name)).map_err(|error| error.to_string())?;
        let signed = open_signed_index(&bytes, &keys).map_err(|error| error.to_string())?;
        let origin = Origin::of(&signed, Sha256::of(&bytes));
        let index = Index::parse(signed.index_text).map_err(|error| error.to_string())?;
        let parsed = index.to_parsed(&origin, Dialect::V2).ok_or("it is one")?;
        fs_err::write(root.join(name), parsed).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn compressed(mirror: &Path, name: &str) -> PathBuf {
    mirror.join(name).join("x86_64/APKINDEX.tar.gz")
}

/// One run of ours, as a process of its own.
pub(super) fn child(arguments: &[String]) -> Result<(), String> {
    let [lane, mirror, root] = arguments else {
        return Err("a lane and two folders are wanted".to_owned());
    };
    let (mirror, root) = (PathBuf::from(mirror), PathBuf::from(root));
    let open = match lane.as_str() {
        "prepare" => return prepare(&mirror, &root),
        "warm" => open_warm,
        _ => open_cold,
    };
    let keys = keys(&root.join("etc/apk/keys"))?;
    let indexes: Vec<Result<Index, String>> = std::thread::scope(|scope| {
        let threads = REPOSITORIES.map(|name| {
            let (path, parsed, keys) = (compressed(&mirror, name), root.join(name), &keys);
            scope.spawn(move || open(&path, &parsed, keys))
        });
        let failed = |_| Err("a thread failed".to_owned());
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(failed))
            .collect()
    });
    let indexes = indexes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let text = |path: &str| fs_err::read(root.join(path)).map_err(|error| error.to_string());
    let installed = text("lib/apk/db/installed")?;
    let installed = Index::parse(installed).map_err(|error| error.to_string())?;
    let base = String::from_utf8_lossy(&text("etc/apk/world")?).into_owned();
    let parse = |entry| Dependency::parse(entry, Dialect::V2).map_err(|error| error.to_string());
    let base = base
        .split_whitespace()
        .map(parse)
        .collect::<Result<Vec<_>, _>>()?;
    let added = WORLD
        .into_iter()
        .map(parse)
        .collect::<Result<Vec<_>, _>>()?;
    let repositories: Vec<_> = indexes
        .iter()
        .map(|index| Repository { index, tag: None })
        .collect();
    let solution = solve(&Request {
        world: &world(&base, &added),
        repositories: &repositories,
        installed: Some(&installed),
        dialect: Dialect::V2,
        architectures: &["x86_64"],
        upgrade: false,
    });
    let solution = solution.map_err(|error| error.to_string())?;
    say(&format!("{} changes", solution.changes.len()));
    Ok(())
}

/// Opens an index as it came.
fn open_cold(path: &Path, _: &Path, keys: &Keyring) -> Result<Index, String> {
    let bytes = fs_err::read(path).map_err(|error| error.to_string())?;
    let signed = open_signed_index(&bytes, keys).map_err(|error| error.to_string())?;
    let index = Index::parse(signed.index_text).map_err(|error| error.to_string())?;
    index.directory(Dialect::V2);
    Ok(index)
}

/// Opens an index that was read before: hashes it, reads its parsed form, and asks whether the key
/// that signed it is trusted.
fn open_warm(path: &Path, parsed: &Path, keys: &Keyring) -> Result<Index, String> {
    let (sha256, parsed) = std::thread::scope(|scope| {
        let parsed = scope.spawn(|| fs_err::read(parsed));
        let sha256 = fs_err::read(path).map(|bytes| Sha256::of(&bytes));
        let failed = |_| Err(std::io::Error::other("a thread failed"));
        (sha256, parsed.join().unwrap_or_else(failed))
    });
    let sha256 = sha256.map_err(|error| error.to_string())?;
    let parsed = parsed.map_err(|error| error.to_string())?;
    let (index, origin) =
        Index::from_parsed(parsed, sha256, Dialect::V2).ok_or("the parsed form is no good")?;
    if origin.is_trusted(keys) {
        Ok(index)
    } else {
        Err("the index is not trusted".to_owned())
    }
}

fn keys(folder: &Path) -> Result<Keyring, String> {
    let mut keys = Keyring::new();
    for entry in fs_err::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let pem = fs_err::read(&path).map_err(|error| error.to_string())?;
        let key = PublicKey::from_pem(&pem).map_err(|error| error.to_string())?;
        keys.insert(
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            key,
        );
    }
    Ok(keys)
}
