//! From compressed indexes on disk to a solution, over all of v3.19: ours against the real apk.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread::ScopedJoinHandle;

use prebake_apk::dependency::Dependency;
use prebake_apk::digest::Sha256;
use prebake_apk::index::{Index, Origin};
use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::signature::open_signed_index;
use prebake_apk::version::Dialect;
use prebake_fetch::Memory;
use prebake_solve::{Repository, Request, solve, world};
use prebake_testkit::shared::shared;
use sha2::Digest as _;
use tempfile::TempDir;

use super::goals::Goals;
use super::{instructions, interleave, milliseconds, say, text};

/// What is asked for: a few packages and what they bring, from both repositories.
const WORLD: [&str; 6] = ["openssh", "git", "jq", "e2fsprogs", "sfdisk", "nginx"];

const REPOSITORIES: [&str; 2] = ["main", "community"];

/// The two lanes of ours.
const COLD: &str = "prebake, indexes never read before";
const WARM: &str = "prebake, indexes read before";

pub(super) fn bench(goals: &mut Goals) -> Result<(), String> {
    let shared = shared().ok_or("there is no ../shared: nothing to solve over")?;
    let mirror = shared.join("alpine/v3.19");
    let base = mirror.join("releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz");
    let root = TempDir::new().map_err(text)?;
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
    fs_err::write(&file, lines.concat()).map_err(text)?;
    let own = std::env::current_exe().map_err(text)?;
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
    let lanes: [(&str, &dyn Fn() -> Command); 3] =
        [("apk 2.14.4", &apk), (COLD, &cold), (WARM, &warm)];
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
        // apk 3, which is not here, took 0.19 s where apk 2.14 took 0.28 s, and a quarter of that
        // is the goal; a tenth of that quarter where the indexes were read before.
        match *name {
            COLD => goals.at_least("solve, indexes from disk", 5.9, ratio, "times apk 2.14"),
            WARM => goals.at_least("solve, indexes read before", 59.0, ratio, "times apk 2.14"),
            _ => {}
        }
    }
    Ok(())
}

/// Writes the parsed form of each index, as a first run leaves it in the cache, and beside it the
/// hash of the index.
fn prepare(mirror: &Path, root: &Path) -> Result<(), String> {
    let keys = keys(&root.join("etc/apk/keys"))?;
    for name in REPOSITORIES {
        let bytes = fs_err::read(compressed(mirror, name)).map_err(text)?;
        let signed = open_signed_index(&bytes, &keys).map_err(text)?;
        let sha256 = Sha256::of(&bytes);
        let origin = Origin::of(&signed, sha256);
        let index = Index::parse(signed.index_text).map_err(text)?;
        let parsed = index.to_parsed(&origin, Dialect::V2).ok_or("it is one")?;
        fs_err::write(root.join(name), parsed).map_err(text)?;
        let path = root.join(format!("{name}.sha256"));
        fs_err::write(path, sha256.to_string()).map_err(text)?;
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
    match lane.as_str() {
        "prepare" => prepare(&mirror, &root),
        "warm" => warm(&mirror, &root),
        _ => cold(&mirror, &root),
    }
}

/// Solves over indexes as they came.
fn cold(mirror: &Path, root: &Path) -> Result<(), String> {
    let keys = keys(&root.join("etc/apk/keys"))?;
    let keys = &keys;
    let indexes = std::thread::scope(|scope| {
        let open = |name| {
            let bytes = fs_err::read(compressed(mirror, name)).map_err(text)?;
            let signed = open_signed_index(&bytes, keys).map_err(text)?;
            let index = Index::parse(signed.index_text).map_err(text)?;
            let _ = index.directory(Dialect::V2);
            Ok(index)
        };
        let threads = REPOSITORIES.map(|name| scope.spawn(move || open(name)));
        threads.map(joined)
    });
    solution(&all(indexes)?, root)
}

/// Solves over indexes that were read before: over their parsed forms, which are kept by the
/// indexes' hashes. Whether the indexes have these hashes is found out beside it, and without that
/// there is no solution.
fn warm(mirror: &Path, root: &Path) -> Result<(), String> {
    let [main, community] = REPOSITORIES;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let (keys_sender, keys_receiver) = mpsc::channel();
        let beside = scope.spawn(move || {
            // Nobody waits for it where the other one cannot be read.
            let _ = sender.send(read_parsed(root, main));
            let _ = keys_sender.send(keys(&root.join("etc/apk/keys")));
            REPOSITORIES
                .into_iter()
                .try_for_each(|name| check(&compressed(mirror, name), known_hash(root, name)?))
        });
        let community = read_parsed(root, community)?;
        let main = receiver.recv().map_err(text)??;
        let keys = keys_receiver.recv().map_err(text)??;
        if !(main.1.is_trusted(&keys) && community.1.is_trusted(&keys)) {
            return Err("an index is not trusted".to_owned());
        }
        let indexes = [main.0, community.0];
        let solved = solution(&indexes, root);
        joined(beside)?;
        // The process ends now, and with it goes its memory.
        std::mem::forget(indexes);
        solved
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, String>>) -> Result<T, String> {
    let failed = |_| Err("a thread failed".to_owned());
    thread.join().unwrap_or_else(failed)
}

fn all<T>(results: [Result<T, String>; REPOSITORIES.len()]) -> Result<Vec<T>, String> {
    results.into_iter().collect()
}

/// Reads the parsed form of the index that has the hash which the cache knows it by.
fn read_parsed(root: &Path, name: &str) -> Result<(Index, Origin), String> {
    let file = fs_err::File::open(root.join(name)).map_err(text)?;
    let length = file.metadata().map_err(text)?.len();
    let length = usize::try_from(length).map_err(text)?;
    let parsed = Memory::read(file, length).map_err(text)?;
    let read = Index::from_parsed(parsed, known_hash(root, name)?, Dialect::V2);
    read.ok_or_else(|| "the parsed form is no good".to_owned())
}

/// Returns the hash that the cache knows an index by.
fn known_hash(root: &Path, name: &str) -> Result<Sha256, String> {
    let sha256 = fs_err::read_to_string(root.join(format!("{name}.sha256")));
    let sha256 = sha256.map_err(text)?;
    sha256.parse().map_err(|_| "no hash".to_owned())
}

/// Makes sure that a file has a hash.
fn check(path: &Path, sha256: Sha256) -> Result<(), String> {
    let mut file = fs_err::File::open(path).map_err(text)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(text)? {
            0 => break,
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    if Sha256::new(hasher.finalize().into()) == sha256 {
        Ok(())
    } else {
        Err(format!("{} has another hash", path.display()))
    }
}

/// Solves, and says how much there is to do.
fn solution(indexes: &[Index], root: &Path) -> Result<(), String> {
    let read = |path: &str| fs_err::read(root.join(path)).map_err(text);
    let installed = read("lib/apk/db/installed")?;
    let installed = Index::parse(installed).map_err(text)?;
    let base = String::from_utf8_lossy(&read("etc/apk/world")?).into_owned();
    let parse = |entry| Dependency::parse(entry, Dialect::V2).map_err(text);
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
        added: &added,
        repositories: &repositories,
        installed: Some(&installed),
        dialect: Dialect::V2,
        architectures: &["x86_64"],
        upgrade: false,
    });
    let solution = solution.map_err(text)?;
    say(&format!("{} changes", solution.changes.len()));
    Ok(())
}

fn keys(folder: &Path) -> Result<Keyring, String> {
    let mut keys = Keyring::new();
    for entry in fs_err::read_dir(folder).map_err(text)? {
        let path = entry.map_err(text)?.path();
        let pem = fs_err::read(&path).map_err(text)?;
        let key = PublicKey::from_pem(&pem).map_err(text)?;
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
