//! The lock: its bytes, its lines, and its hashes together with what they name.

use prebake_apk::digest::Sha256;
use prebake_testkit::http::Server;
use prebake_testkit::package::PackageBuilder;

use crate::least;
use crate::mutation::{Chance, Mutation, bytes, lines};
use crate::table::{DATA, TOOL, Table};

/// What an error about a lock says: the lock's own name, or that it is what the lock says.
const NAMES: &[&str] = &["prebake.lock", "the lock"];

/// Returns the lock's tables with two of them swapped, one missing, or one twice.
fn tables(text: &str) -> Vec<Mutation> {
    let tables: Vec<&str> = text.split("\n\n").collect();
    let mut all = Vec::new();
    let mut add = |what: String, tables: Vec<&str>| {
        let bytes = tables.join("\n\n").into_bytes();
        all.push(Mutation { what, bytes });
    };
    for at in 0..tables.len() {
        let mut without = tables.clone();
        without.remove(at);
        add(format!("without table {at}"), without);
        let mut doubled = tables.clone();
        doubled.insert(at, tables[at]);
        add(format!("table {at} twice"), doubled);
        for other in at + 1..tables.len() {
            let mut swapped = tables.clone();
            swapped.swap(at, other);
            add(format!("tables {at} and {other} swapped"), swapped);
        }
    }
    all
}

/// Returns the lock with the value of each key of one package in place of another's.
fn between_packages(text: &str) -> Vec<Mutation> {
    let mark = "[[rootfs.package]]\n";
    let tables: Vec<&str> = text.split(mark).collect();
    let [head, one, other] = tables[..] else {
        panic!("{text}")
    };
    let mut all = Vec::new();
    for line in one.lines() {
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        let theirs = other.lines().find(|line| line.starts_with(key)).unwrap();
        if line == theirs {
            continue;
        }
        let taken = one.replace(line, theirs);
        let given = other.replace(theirs, line);
        for (what, tables) in [
            ("of the second in the first", [head, &taken, other]),
            ("of the first in the second", [head, one, &given]),
            ("of both in the other", [head, &taken, &given]),
        ] {
            all.push(Mutation {
                what: format!("`{key}` {what}"),
                bytes: tables.join(mark).into_bytes(),
            });
        }
    }
    all
}

#[test]
fn the_lock() {
    let test = "the_lock";
    let mut chance = Chance::new(test);
    let mut table = Table::new(&chance);
    let lock = table.read("prebake.lock");
    let text = String::from_utf8(lock.clone()).unwrap();
    let mut changes = bytes(&lock, 450, &mut chance);
    for apart in [1, 3, 9] {
        changes.extend(lines(&text, apart));
    }
    changes.extend(tables(&text));
    changes.extend(between_packages(&text));
    for (number, mutation) in changes.iter().enumerate() {
        table.write("prebake.lock", &mutation.bytes);
        // Where the lock may be written as well, a change can make it one that is not current.
        let locked = number % 4 != 0;
        if number % 10 == 0 {
            table.forget(false);
        }
        table.judge("the lock", mutation, locked, NAMES);
    }
    table.write("prebake.lock", &lock);
    table.assert_good(true);
    table.finish(test, least::LOCK);
}

/// Returns `text` with the value of `key` of the package `name` replaced.
fn with(text: &str, name: &str, key: &str, value: &str) -> String {
    let mark = format!("name = \"{name}\"\n");
    let (head, rest) = text.split_once(&mark).unwrap();
    let line = rest.lines().find(|line| line.starts_with(key)).unwrap();
    let changed = rest.replacen(line, &format!("{key} = {value}"), 1);
    [head, &mark, &changed].concat()
}

/// Somebody changes a package on the mirror, and the lock's words about it one after the other.
///
/// This is what a lock promises: as long as one fact of it is the true one, nothing else is built.
/// Who changes all of them has written another lock; a lock made from the index does not have them.
#[test]
fn a_package_and_the_locks_words_about_it() {
    let chance = Chance::new("a_package_and_the_locks_words_about_it");
    let mut table = Table::new(&chance);
    let lock = String::from_utf8(table.read("prebake.lock")).unwrap();
    let evil = PackageBuilder::new("tool", "1.0-r0")
        .depends(["data"])
        .program("usr/bin/tool", "#!/bin/sh\necho evil\n")
        .build(table.mirror.key());
    let packages = table.mirror.packages("main", "x86_64");
    let package = packages.iter().find(|one| one.name() == "tool").unwrap();
    let data = table.file(DATA);
    let kept = [&package.signature[..], &package.control, &evil.data].concat();
    let signed = evil.bytes();
    for (what, bytes) in [
        ("another data member", &kept),
        ("another package by the same key", &signed),
        ("another of the lock's packages", &data),
    ] {
        table.server.put(TOOL, bytes);
        let sha256 = format!("\"{}\"", Sha256::of(bytes));
        let with_hash = with(&lock, "tool", "sha256", &sha256);
        let with_size = with(&with_hash, "tool", "size", &bytes.len().to_string());
        let identity = format!("\"{}\"", evil.identity().to_apk());
        let with_identity = with(&with_size, "tool", "identity", &identity);
        for (words, lock) in [
            ("none", &lock),
            ("its hash", &with_hash),
            ("its hash and size", &with_size),
            ("its hash, size and identity", &with_identity),
        ] {
            table.forget(false);
            table.write("prebake.lock", lock.as_bytes());
            let mutation = Mutation {
                what: format!("{words} changed to fit"),
                bytes: Vec::new(),
            };
            let url = table.server.url(TOOL);
            let refused = table.judge(what, &mutation, true, &[&url, "but the lock says"]);
            assert!(refused, "{what}, {words}");
        }
        // With a lock of its own making, the index has the last word.
        table.forget(true);
        let mutation = Mutation {
            what: "a new lock".to_owned(),
            bytes: Vec::new(),
        };
        let url = table.server.url(TOOL);
        assert!(table.judge(what, &mutation, false, &[&url]));
        table.server.remove(TOOL);
    }
    table.forget(true);
    table.assert_good(false);
}

#[test]
fn a_lock_leads_to_no_host_that_the_recipe_does_not_name() {
    let chance = Chance::new("a_lock_leads_to_no_host_that_the_recipe_does_not_name");
    let mut table = Table::new(&chance);
    let lock = String::from_utf8(table.read("prebake.lock")).unwrap();
    let stranger = Server::start_folder(table.mirror.root());
    let (own, other) = (table.server.url(""), stranger.url(""));
    let recipe = table.read("prebake.toml");
    for line in lock.lines().filter(|line| line.starts_with("url = ")) {
        let mutation = Mutation {
            what: line.replace(&own, &other),
            bytes: Vec::new(),
        };
        let changed = lock.replace(line, &mutation.what);
        for recipe in [recipe.clone(), [&recipe[..], b"#\n"].concat()] {
            for locked in [true, false] {
                table.forget(false);
                table.write("prebake.toml", &recipe);
                table.write("prebake.lock", changed.as_bytes());
                table.judge("the lock", &mutation, locked, NAMES);
                assert_eq!(stranger.requests(), [], "{}", mutation.what);
            }
        }
    }
    // The same with another wish in the recipe, for which what is locked is held.
    let more = String::from_utf8(recipe).unwrap();
    let more = more.replace("[\"tool\"]", "[\"tool\", \"data\"]");
    table.forget(false);
    table.write("prebake.toml", more.as_bytes());
    table.write("prebake.lock", lock.replace(&own, &other).as_bytes());
    table.bake(false).unwrap();
    assert_eq!(stranger.requests(), []);
}
