//! One changed byte or line in every kind of input: refused with an error that names the file, or
//! without any effect on the output. Nothing else is ever built.

use crate::stove::{
    BASE, DATA, INDEX, INPUTS, OLD, Stove, TOOL, assert_says, files, flipped, left_overs,
};

/// How many places of each file are tried.
const PLACES: usize = 12;

/// Returns places all over a file, its first and its last byte among them.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..PLACES).map(move |number| (length - 1) * number / (PLACES - 1))
}

#[test]
fn from_the_server_while_locking() {
    let stove = Stove::new();
    let good = stove.bake();
    let mut refused = 0;
    for path in INPUTS {
        let file = stove.file(path);
        for at in places(file.len()) {
            stove.forget();
            stove.put_old();
            stove.server.put(path, &flipped(&file, at));
            let output = stove.kitchen.run(&["build"]);
            if output.code == Some(0) {
                // Only bytes that mean nothing, as in the head of a gzip member.
                let same = stove.output().is_some_and(|bytes| bytes == good);
                assert!(same, "{path} at {at} builds something else");
                assert_ne!(path, INDEX, "{at}");
            } else {
                output.expect(3);
                assert_says(&output, &[&stove.server.url(path), "hint: "]);
                assert!(
                    !stove.kitchen.path("prebake.lock").exists(),
                    "{path} at {at}"
                );
                stove.assert_old();
                refused += 1;
            }
            stove.server.remove(path);
        }
        stove.assert_recovers(&good);
    }
    assert!(refused > INPUTS.len() * PLACES / 2, "only {refused}");
}

#[test]
fn from_the_server_with_a_lock() {
    let stove = Stove::new();
    let good = stove.bake();
    for path in [BASE, TOOL, DATA] {
        let file = stove.file(path);
        for at in places(file.len()) {
            drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
            stove.put_old();
            stove.server.put(path, &flipped(&file, at));
            let output = stove.kitchen.run(&["build"]);
            output.expect(3);
            let what = format!("{}: the file's SHA-256 is", stove.server.url(path));
            assert_says(
                &output,
                &[
                    &what,
                    "hint: what the server sent is not what the lock or the index names",
                ],
            );
            stove.assert_old();
            stove.server.remove(path);
        }
        stove.assert_recovers(&good);
    }
}

#[test]
fn in_the_cache() {
    let stove = Stove::new();
    let good = stove.bake();
    let root = stove.kitchen.path("cache/v1/sha256");
    let blobs = files(&root);
    assert_eq!(blobs.len(), INPUTS.len());
    for name in blobs {
        let path = root.join(&name);
        let content = fs_err::read(&path).unwrap();
        for at in places(content.len()) {
            stove.put_old();
            // With what earlier bakes kept of it the file would not be wanted.
            drop(fs_err::remove_dir_all(stove.kitchen.path("cache/v1/kept")));
            fs_err::write(&path, flipped(&content, at)).unwrap();
            stove.server.clear_requests();
            let offline = stove.kitchen.run(&["build", "--offline"]);
            if content == stove.file(INDEX) {
                // A build with a lock reads no index.
                offline.expect(0);
                fs_err::write(&path, &content).unwrap();
                continue;
            }
            offline.expect(5);
            assert_says(
                &offline,
                &["is damaged in the cache and must not be fetched"],
            );
            assert_eq!(stove.output().as_deref(), Some(OLD));
            assert_eq!(left_overs(&stove.kitchen), Vec::<String>::new());
            assert_eq!(stove.server.requests(), []);
            // Online it is fetched again, and nothing else is.
            stove.kitchen.run(&["build"]).expect(0);
            assert_eq!(stove.server.requests().len(), 1);
            assert!(fs_err::read(&path).unwrap() == content);
            stove.assert_recovers(&good);
        }
        // Cut short, empty, or another file's content.
        for wrong in [&content[..content.len() / 2], b"", &stove.file(TOOL)[..9]] {
            fs_err::write(&path, wrong).unwrap();
            drop(fs_err::remove_dir_all(stove.kitchen.path("cache/v1/kept")));
            if content == stove.file(INDEX) {
                // It is read when the lock is made, and then it is noticed.
                fs_err::remove_file(stove.kitchen.path("prebake.lock")).unwrap();
            }
            stove.assert_recovers(&good);
        }
    }
    // What is remembered of URLs is only believed as far as it leads to good files.
    let records = stove.kitchen.path("cache/v1/url");
    for name in files(&records) {
        let path = records.join(name);
        let content = fs_err::read(&path).unwrap();
        for at in places(content.len()) {
            fs_err::write(&path, flipped(&content, at)).unwrap();
            fs_err::remove_file(stove.kitchen.path("prebake.lock")).unwrap();
            stove.assert_recovers(&good);
        }
    }
}

#[test]
fn in_the_lock() {
    let stove = Stove::new();
    let good = stove.bake();
    let lock = fs_err::read_to_string(stove.kitchen.path("prebake.lock")).unwrap();
    let lines: Vec<&str> = lock.lines().collect();
    let mut refused = 0;
    for (number, line) in lines.iter().enumerate() {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let other = if let Ok(value) = value.parse::<u64>() {
            format!("{}", value + 1)
        } else if key == "identity" && value.starts_with("\"Q1") {
            let (head, tail) = value.split_at(5);
            let (first, rest) = tail.split_at(1);
            format!("{head}{}{rest}", if first == "A" { "B" } else { "A" })
        } else if value.len() == 66 {
            let (head, tail) = value.split_at(9);
            let (first, rest) = tail.split_at(1);
            format!("{head}{}{rest}", if first == "0" { "1" } else { "0" })
        } else {
            value.replace('o', "u").replace("x86", "x68")
        };
        let mut changed = lines.clone();
        let other = format!("{key} = {other}");
        changed[number] = &other;
        if other == *line {
            continue;
        }
        for cold in [false, true] {
            if cold {
                drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
            }
            stove.put_old();
            stove.kitchen.write("prebake.lock", changed.join("\n"));
            let output = stove.kitchen.run(&["build", "--locked"]);
            match output.code {
                Some(0) => {
                    // What a build does not rest on: where an index was and who signed it, and
                    // the address of a file that is known by its hash.
                    let same = stove.output().is_some_and(|bytes| bytes == good);
                    assert!(same, "`{other}` builds something else");
                    let harmless = ["url", "description", "size", "sha256", "key", "release"];
                    assert!(harmless.contains(&key), "`{other}` is not noticed");
                }
                Some(2..=6) => {
                    assert_says(&output, &["lock"]);
                    stove.assert_old();
                    refused += 1;
                }
                _ => panic!("`{other}`: {output:?}"),
            }
        }
        // Taken back, all is well.
        stove.kitchen.write("prebake.lock", &lock);
        stove.assert_recovers(&good);
    }
    assert!(refused > lines.len() / 2, "only {refused}");
    // Cut short anywhere, it is none, or another recipe's.
    for number in 3..lines.len() {
        stove
            .kitchen
            .write("prebake.lock", lines[..number].join("\n"));
        stove.put_old();
        let output = stove.kitchen.run(&["build", "--locked"]);
        assert!(
            matches!(output.code, Some(2 | 3 | 6)),
            "{number}: {output:?}"
        );
        stove.assert_old();
    }
    stove.kitchen.write("prebake.lock", &lock);
    stove.assert_recovers(&good);
}

#[test]
fn in_the_output() {
    let stove = Stove::new();
    let good = stove.bake();
    let path = stove.kitchen.path(crate::stove::OUTPUT);
    for at in places(good.len()) {
        fs_err::write(&path, flipped(&good, at)).unwrap();
        let output = stove.kitchen.run(&["verify", crate::stove::OUTPUT]);
        // The first ten bytes hold a time and a flag that mean nothing to the content.
        let said_good = output.code == Some(0);
        assert!(!said_good || (3..10).contains(&at), "{at}: {output:?}");
        assert!(matches!(output.code, Some(0 | 3)), "{at}: {output:?}");
    }
    for length in places(good.len()) {
        fs_err::write(&path, &good[..length]).unwrap();
        stove
            .kitchen
            .run(&["verify", crate::stove::OUTPUT])
            .expect(3);
    }
    stove.assert_recovers(&good);
}
