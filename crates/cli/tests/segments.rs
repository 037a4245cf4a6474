//! What is kept from one build to the next saves work and changes nothing: not when it is whole,
//! not when it is half there, damaged, or somebody else's.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod kitchen;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use kitchen::Kitchen;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::Server;
use prebake_testkit::judge;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;

const OUTPUT: &str = "out.tar.gz";

/// A mirror with a base and three packages, of which `tool` has that version.
fn mirror(tool: &str) -> prebake_testkit::mirror::Mirror {
    let text = |name: &str, lines: usize| -> String {
        (0..lines).fold(String::new(), |text, line| {
            text + name + &format!(" {line}\n")
        })
    };
    let package = |name: &str, version: &str, lines| {
        PackageBuilder::new(name, version)
            .file(&format!("usr/share/{name}/text"), text(name, lines))
            .file(&format!("usr/share/{name}/version"), version)
    };
    MirrorBuilder::new("v3.99")
        .base(BaseBuilder::new("x86_64", "3.99.0"))
        .package("main", package("large", "1.0-r0", 200_000))
        .package("main", package("tool", tool, 30_000))
        .package("main", package("zlast", "1.0-r0", 30_000))
        .build()
}

fn recipe(url: &str, outputs: &[(&str, &str)]) -> String {
    use std::fmt::Write as _;
    let mut recipe = format!(
        "\
name = \"kept\"
arch = [\"x86_64\"]
packages = [\"large\", \"tool\", \"zlast\"]
mirrors = [{url:?}]

[base]
release = \"3.99.0\"

[[repository]]
url = \"{url}/v3.99/main\"
keys = [\"keys/testkit.rsa.pub\"]
"
    );
    for (path, level) in outputs {
        write!(recipe, "\n[[output]]\npath = {path:?}\nlevel = {level:?}\n").unwrap();
    }
    recipe
}

fn kitchen(mirror: &Path, key: &Path, outputs: &[(&str, &str)]) -> Kitchen {
    let kitchen = Kitchen::new(&recipe(&format!("file://{}", mirror.display()), outputs));
    kitchen.write("keys/testkit.rsa.pub", fs_err::read(key).unwrap());
    kitchen
}

/// Builds, and returns the output and whether it was written.
fn build(kitchen: &Kitchen, arguments: &[&str]) -> (Vec<u8>, bool) {
    let arguments = [&["build", "--json"], arguments].concat();
    let built = kitchen.run(&arguments);
    built.expect(0);
    let written = built.stdout.contains("\"written\": true");
    assert!(written || built.stdout.contains("\"written\": false"));
    (fs_err::read(kitchen.path(OUTPUT)).unwrap(), written)
}

fn remove(kitchen: &Kitchen, name: &str) {
    let path = kitchen.path(name);
    if path.is_dir() {
        fs_err::remove_dir_all(path).unwrap();
    } else {
        fs_err::remove_file(path).unwrap();
    }
}

/// Returns everything that is kept in the cache.
fn kept(kitchen: &Kitchen) -> Vec<PathBuf> {
    let folders = fs_err::read_dir(kitchen.path("cache/v1/kept")).unwrap();
    let files = folders.flat_map(|folder| fs_err::read_dir(folder.unwrap().path()).unwrap());
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_current_output_is_left_alone() {
    let mirror = mirror("1.0-r0");
    let kitchen = kitchen(mirror.root(), &mirror.key_file(), &[(OUTPUT, "default")]);
    let (first, written) = build(&kitchen, &[]);
    assert!(written);
    let inode = || fs_err::metadata(kitchen.path(OUTPUT)).unwrap().ino();
    let before = inode();
    // Nothing but the lock and what is kept is looked at.
    remove(&kitchen, "cache/v1/sha256");
    let (again, written) = build(&kitchen, &["--locked", "--offline"]);
    assert!(!written && again == first && inode() == before);
    // The same size, and the time set back: the system still knows.
    let time = fs_err::metadata(kitchen.path(OUTPUT)).unwrap();
    let mut changed = first.clone();
    *changed.last_mut().unwrap() ^= 1;
    kitchen.write(OUTPUT, &changed);
    let path = kitchen.path(OUTPUT);
    let file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
    file.file().set_modified(time.modified().unwrap()).unwrap();
    let (again, written) = build(&kitchen, &["--locked", "--offline"]);
    assert!(written && again == first);
    // Gone, longer, another file, a link to another one.
    remove(&kitchen, OUTPUT);
    assert!(build(&kitchen, &["--offline"]) == (first.clone(), true));
    kitchen.write(OUTPUT, [&first[..], b"more"].concat());
    assert!(build(&kitchen, &["--offline"]) == (first.clone(), true));
    kitchen.write("copy", &first);
    fs_err::rename(kitchen.path("copy"), kitchen.path(OUTPUT)).unwrap();
    assert!(build(&kitchen, &["--offline"]) == (first.clone(), true));
    assert!(build(&kitchen, &["--offline"]) == (first, false));
}

#[test]
fn what_is_kept_changes_no_byte() {
    let mirror = mirror("1.0-r0");
    let outputs = &[(OUTPUT, "default")];
    let make = || kitchen(mirror.root(), &mirror.key_file(), outputs);
    let warm = make();
    let (first, _) = build(&warm, &["--threads", "1"]);
    let entries = kept(&warm);
    assert!(entries.len() > 6, "{entries:?}");
    // Each of them damaged, cut off, lost or another's, one at a time and all at once.
    for which in 0..=entries.len() {
        for damage in 0..4 {
            let hit = entries
                .get(which)
                .map_or(&entries[..], std::slice::from_ref);
            for path in hit {
                let Ok(mut bytes) = fs_err::read(path) else {
                    continue;
                };
                match damage {
                    0 => {
                        let middle = bytes.len() / 2;
                        bytes[middle] ^= 0x10;
                    }
                    1 => bytes.truncate(bytes.len() - 1),
                    2 => bytes = fs_err::read(&entries[(which + 1) % entries.len()]).unwrap(),
                    _ => {
                        fs_err::remove_file(path).unwrap();
                        continue;
                    }
                }
                fs_err::write(path, bytes).unwrap();
            }
            remove(&warm, OUTPUT);
            let (again, written) = build(&warm, &["--offline"]);
            assert!(written && again == first, "{damage} of {which}");
        }
    }
    // Somebody else's cache: the same downloads, and another seal.
    let other = make();
    remove(&warm, "seal");
    fs_err::rename(warm.path("cache"), other.path("cache")).unwrap();
    let (again, _) = build(&other, &["--offline", "--threads", "16"]);
    assert!(again == first);
    // A cache that keeps nothing.
    let none = make();
    fs_err::create_dir_all(none.path("cache/v1")).unwrap();
    none.write("cache/v1/kept", b"in the way");
    assert!(build(&none, &[]) == (first, true));
}

#[test]
fn one_package_that_changed_leaves_the_rest() {
    let old = mirror("1.0-r0");
    let new = mirror("1.1-r0");
    let outputs = &[(OUTPUT, "default")];
    let cold = kitchen(new.root(), &new.key_file(), outputs);
    let (expected, _) = build(&cold, &[]);
    let warm = kitchen(old.root(), &old.key_file(), outputs);
    let (before, _) = build(&warm, &[]);
    assert!(before != expected);
    let recipe_now = recipe(&format!("file://{}", new.root().display()), outputs);
    warm.write("prebake.toml", recipe_now);
    warm.write(
        "keys/testkit.rsa.pub",
        fs_err::read(new.key_file()).unwrap(),
    );
    let there = kept(&warm);
    let (now, _) = build(&warm, &["--threads", "2"]);
    assert!(now == expected);
    // The large package was not encoded again.
    let segments = kept(&warm).into_iter().filter(|path| !there.contains(path));
    let added: u64 = segments
        .map(|path| fs_err::metadata(path).unwrap().len())
        .sum();
    assert!(added < expected.len() as u64, "{added}");
}

/// Builds a program of Go's own readers.
fn go_reader(test: &str, kitchen: &Kitchen) -> Option<PathBuf> {
    let go = judge::program(test, "go")?;
    let source = kitchen.path("reader.go");
    fs_err::write(&source, include_str!("segments/reader.go")).unwrap();
    let program = kitchen.path("reader");
    let words = [program.display().to_string(), source.display().to_string()];
    let built = go.run(["build", "-o", &words[0], &words[1]]);
    assert!(built.success, "{}", built.stderr);
    Some(program)
}

#[test]
fn every_level_and_format_is_read_by_others() {
    let test = "every_level_and_format_is_read_by_others";
    let server_mirror = mirror("1.0-r0");
    let server = Server::start_folder(server_mirror.root());
    let levels = ["instant", "fast", "default", "small", "smallest"];
    let paths: Vec<_> = levels
        .iter()
        .flat_map(|level| {
            [
                (format!("{level}.tar.gz"), *level),
                (format!("{level}.tar.zst"), *level),
            ]
        })
        .collect();
    let outputs: Vec<_> = paths
        .iter()
        .map(|(path, level)| (path.as_str(), *level))
        .collect();
    let kitchen = Kitchen::new(&recipe(&server.url(""), &outputs));
    let key = fs_err::read(server_mirror.key_file()).unwrap();
    kitchen.write("keys/testkit.rsa.pub", key);
    kitchen.run(&["build"]).expect(0);
    let go = go_reader(test, &kitchen);
    let lock = fs_err::read_to_string(kitchen.path("prebake.lock")).unwrap();
    for (path, _) in &outputs {
        kitchen.run(&["verify", path]).expect(0);
        let archive = kitchen.path(path).display().to_string();
        if let Some(bsdtar) = judge::bsdtar(test) {
            let listed = bsdtar.run(["-tf", &archive]);
            assert!(
                listed.success && listed.stdout.contains("usr/share/zlast/text"),
                "{path}"
            );
        }
        if Path::new(path).extension().is_some_and(|end| end != "gz") {
            continue;
        }
        if let Some(busybox) = judge::busybox(test) {
            let listed = busybox.run(["tar", "-tzf", &archive]);
            assert!(
                listed.success && listed.stdout.contains("usr/share/zlast/text"),
                "{path}"
            );
        }
        if let Some(go) = &go {
            let read = Command::new(go).arg(&archive).output().unwrap();
            assert!(read.status.success(), "{path}: {read:?}");
            let said = String::from_utf8(read.stdout).unwrap();
            assert!(said.contains("usr/share/zlast/text\n"), "{path}: {said}");
            // All of the stream, as the lock has it.
            let digest = said.lines().last().unwrap();
            assert!(lock.contains(digest), "{path}: {digest}");
        }
    }
    let size = |path: &str| fs_err::metadata(kitchen.path(path)).unwrap().len();
    for format in ["tar.gz", "tar.zst"] {
        let sizes: Vec<_> = levels
            .iter()
            .map(|level| size(&format!("{level}.{format}")))
            .collect();
        assert!(sizes[2] > sizes[4], "{sizes:?}");
    }
    let bad = Kitchen::new(&recipe(&server.url(""), &[(OUTPUT, "smalest")]));
    let failed = bad.run(&["build"]);
    assert_ne!(failed.code, Some(0));
    assert!(
        failed.stderr.contains("did you mean `smallest`?"),
        "{}",
        failed.stderr
    );
}
