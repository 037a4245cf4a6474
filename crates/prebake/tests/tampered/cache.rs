//! What is in the cache: files by their hash, and what is remembered of URLs.

use std::path::PathBuf;

use prebake_apk::digest::Sha256;
use prebake_testkit::http::Fault;

use crate::least;
use crate::mutation::{Chance, Mutation, bytes, lines, structures};
use crate::table::{BASE, DATA, INDEX, TOOL, Table};

/// Returns the files below a folder of the cache.
pub(crate) fn files(table: &Table, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![table.path("cache/v1").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Returns the file of the cache that has this content.
fn blob(table: &Table, content: &[u8]) -> PathBuf {
    let blobs = files(table, "sha256").into_iter();
    let mut same = blobs.filter(|path| fs_err::read(path).unwrap() == content);
    same.next().unwrap()
}

#[test]
fn a_file_of_the_cache() {
    let test = "a_file_of_the_cache";
    let mut chance = Chance::new(test);
    let mut table = Table::new(&chance);
    for path in [BASE, INDEX, TOOL, DATA] {
        let content = table.file(path);
        let other = table.file(if path == TOOL { DATA } else { TOOL });
        let name = path.rsplit('/').next().unwrap();
        let mut changes = bytes(&content, 45, &mut chance);
        changes.extend(structures(
            &content,
            &[("another file", &other)],
            &mut chance,
        ));
        for (number, mutation) in changes.iter().enumerate() {
            let file = blob(&table, &content);
            fs_err::write(&file, &mutation.bytes).unwrap();
            if path == INDEX {
                // A build with a lock reads no index.
                fs_err::remove_file(table.path("prebake.lock")).unwrap();
                let refused = table.judge(path, mutation, false, &[]);
                assert!(!refused);
            } else if number % 3 == 0 {
                // The mirror does not have it any more.
                table.server.fault(path, Fault::Status(404));
                assert!(table.judge(path, mutation, true, &[name]));
                table.server.clear_faults();
                table.assert_good(true);
            } else {
                assert!(!table.judge(path, mutation, true, &[]));
            }
            assert!(fs_err::read(&file).unwrap() == content, "it was not mended");
        }
    }
    table.finish(test, least::BLOBS);
}

#[test]
fn what_is_remembered_of_a_url() {
    let test = "what_is_remembered_of_a_url";
    let mut chance = Chance::new(test);
    let mut table = Table::new(&chance);
    let records = files(&table, "url");
    assert_eq!(records.len(), 4);
    let texts: Vec<_> = records
        .iter()
        .map(|path| fs_err::read_to_string(path).unwrap())
        .collect();
    for (file, text) in records.iter().zip(&texts) {
        let url = text.lines().nth(1).unwrap();
        let url = url.strip_prefix("url ").unwrap().to_owned();
        let mut changes = bytes(text.as_bytes(), 30, &mut chance);
        changes.extend(lines(text, 1));
        // Another file of the cache under this URL, with the validators that the server confirms.
        for path in [BASE, INDEX, TOOL, DATA] {
            let wrong = Sha256::of(&table.file(path));
            let own = text.lines().find(|line| line.starts_with("sha256 "));
            let forged = text.replace(own.unwrap(), &format!("sha256 {wrong}"));
            let what = format!("what {path} has in its place");
            let bytes = forged.into_bytes();
            changes.push(Mutation { what, bytes });
        }
        for other in &texts {
            let what = "another URL's record in its place".to_owned();
            let bytes = other.clone().into_bytes();
            changes.push(Mutation { what, bytes });
        }
        for mutation in &changes {
            fs_err::write(file, &mutation.bytes).unwrap();
            fs_err::remove_file(table.path("prebake.lock")).ok();
            table.judge(&url, mutation, false, &[&url]);
            fs_err::write(file, text).unwrap();
        }
    }
    fs_err::remove_file(table.path("prebake.lock")).ok();
    table.assert_good(false);
    table.finish(test, least::URLS);
}

/// Who can write to the cache can put a pipe there, which nobody ever writes to.
#[test]
#[cfg(unix)]
fn a_pipe_in_the_cache_is_no_file() {
    let chance = Chance::new("a_pipe_in_the_cache_is_no_file");
    let mut table = Table::new(&chance);
    table.seal = Some("seal");
    table.forget(false);
    table.assert_good(false);
    for folder in ["sha256", "url", "derived", "kept"] {
        for file in files(&table, folder) {
            for (locked, alone) in [(true, false), (false, false), (true, true)] {
                if alone {
                    // Without what is kept, the inputs are read.
                    drop(fs_err::remove_dir_all(table.path("cache/v1/kept")));
                    fs_err::create_dir_all(file.parent().unwrap()).unwrap();
                }
                if !locked {
                    fs_err::remove_file(table.path("prebake.lock")).unwrap();
                }
                drop(fs_err::remove_file(&file));
                let made = std::process::Command::new("mkfifo").arg(&file).status();
                assert!(made.unwrap().success());
                table.assert_good(locked);
            }
        }
    }
    // Nor is one that lies where a lock is held.
    let lock = Sha256::of(&table.file(TOOL)).to_string();
    table.forget(false);
    fs_err::create_dir_all(table.path("cache/v1/lock")).unwrap();
    let path = table.path("cache/v1/lock").join(lock);
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
    table.assert_good(true);
}

/// Who can write to the cache can have its folders lead anywhere that the next user may write to.
#[test]
#[cfg(unix)]
fn nothing_outside_of_the_cache_is_touched() {
    use std::os::unix::fs::symlink;

    let chance = Chance::new("nothing_outside_of_the_cache_is_touched");
    let mut table = Table::new(&chance);
    table.seal = Some("seal");
    let home = table.path("home");
    let hash = Sha256::of(b"x").to_string();
    for name in [
        "thesis",
        "x.part",
        "ab/old",
        "a/old",
        ".config/rc",
        "kept.x",
        "url-x",
    ] {
        let path = home.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        // More than a cache keeps of what it may forget.
        let file = fs_err::File::create(path).unwrap();
        file.set_len(1 << 30).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        file.file().set_modified(long_ago).unwrap();
    }
    let before = listed(&home);
    for folder in ["v1/lock", "v1/tmp", "v1/kept", "v1/kept/a", "v1"] {
        table.forget(false);
        let path = table.path("cache").join(folder);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&home, &path).unwrap();
        table.assert_good(true);
        // A second run removes what the first one may have left.
        fs_err::remove_file(table.path("r.tar.gz")).unwrap();
        table.assert_good(true);
        let now = listed(&home);
        for file in &before {
            assert!(now.contains(file), "{folder}: {file:?} is gone");
        }
    }
    // Nor is anything made there through a link of a file's name.
    let all = listed(&home);
    table.forget(false);
    fs_err::create_dir_all(table.path("cache/v1/lock")).unwrap();
    let input = Sha256::of(&table.file(TOOL)).to_string();
    for link in [
        "CACHEDIR.TAG".to_owned(),
        format!("v1/lock/{input}"),
        format!("v1/lock/{hash}"),
    ] {
        symlink(home.join("made"), table.path("cache").join(link)).unwrap();
    }
    table.assert_good(true);
    assert_eq!(listed(&home), all);
}

/// Returns the files of a folder that are as large as they were made, by their paths.
#[cfg(unix)]
fn listed(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs_err::symlink_metadata(&path).unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
