//! What comes from a mirror, and the key that it is held against.

use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::key::{Algorithm, SigningKey};
use prebake_testkit::member::Member;
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::stanza::{index_archive, index_text};

use crate::least;
use crate::mutation::{Chance, Mutation, bytes, members, structures};
use crate::table::{BASE, DATA, INDEX, TOOL, Table};

/// Returns every other input, by its name.
fn others<'p>(table: &Table, than: &str) -> Vec<(&'p str, Vec<u8>)> {
    let others = [BASE, INDEX, TOOL, DATA].into_iter();
    let others = others.filter(|path| *path != than);
    let named = others.map(|path| (path.rsplit('/').next().unwrap(), table.file(path)));
    named.collect()
}

/// Returns changes to the structure of a file that only somebody makes who knows what it is.
fn forgeries(table: &Table, path: &str, key: &SigningKey) -> Vec<Mutation> {
    let forged = |what: &str, bytes: Vec<u8>| Mutation {
        what: what.to_owned(),
        bytes,
    };
    let stranger = SigningKey::named("stranger");
    let packages = table.mirror.packages("main", "x86_64");
    let find = |name: &str| packages.iter().find(|package| package.name() == name);
    let text = index_text(packages);
    let file = table.file(path);
    let own = members(&file);
    match path {
        INDEX => {
            let signed = |text: &str, keys: &[(&SigningKey, Algorithm)]| {
                index_archive(text, "main of v3.99", keys)
            };
            let strangers = [(&stranger, Algorithm::Rsa)];
            let unsigned = |text: &str| signed(text, &[]);
            // With the true signature before another text.
            let kept = |text: &str| [own[0], &unsigned(text)].concat();
            vec![
                forged("signed by a stranger", signed(&text, &strangers)),
                forged("signed by nobody", unsigned(&text)),
                forged(
                    "a stranger's signature before the true one",
                    [signed("", &strangers), file.clone()].concat(),
                ),
                forged(
                    "another version under the true signature",
                    kept(&text.replace("V:1.0-r0", "V:1.0-r1")),
                ),
                forged(
                    "another dependency under the true signature",
                    kept(&text.replace("D:data", "D:rival")),
                ),
                forged("no packages under the true signature", kept("")),
                forged(
                    "a stranger's key under the true key's name",
                    signed_as(&text, &stranger, key),
                ),
            ]
        }
        TOOL | DATA => {
            let name = path.rsplit('/').next().unwrap();
            let name = name.split('-').next().unwrap();
            let package = find(name).unwrap();
            let evil = PackageBuilder::new(package.name(), package.version())
                .program("usr/bin/tool", "#!/bin/sh\necho evil\n");
            let own_key = evil.build(key).bytes();
            let strange = evil.build(&stranger).bytes();
            let evil = evil.build(key);
            let mixed = |parts: [&[u8]; 3]| parts.concat();
            vec![
                forged("another package of its name by the true key", own_key),
                forged("another package of its name by a stranger", strange),
                forged(
                    "another data member",
                    mixed([&package.signature, &package.control, &evil.data]),
                ),
                forged(
                    "another control member",
                    mixed([&package.signature, &evil.control, &package.data]),
                ),
                forged(
                    "another control and data member",
                    mixed([&package.signature, &evil.control, &evil.data]),
                ),
                forged(
                    "signed by a stranger",
                    mixed([&evil.signature, &package.control, &package.data]),
                ),
                forged(
                    "signed by nobody",
                    mixed([&[], &package.control, &package.data]),
                ),
            ]
        }
        _ => Vec::new(),
    }
}

/// Returns an index with this text, signed by `key` under the name of `claimed`.
fn signed_as(text: &str, key: &SigningKey, claimed: &SigningKey) -> Vec<u8> {
    let unsigned = index_archive(text, "main of v3.99", &[]);
    let signature = key.sign(Algorithm::Rsa, &unsigned);
    let mut archive = Archive::new(Flavour::Posix);
    archive.push(&Member::file(
        claimed.member_name(Algorithm::Rsa),
        signature,
    ));
    [gzip(&archive.cut()), unsigned].concat()
}

fn all(table: &Table, path: &str, count: usize, chance: &mut Chance) -> Vec<Mutation> {
    let file = table.file(path);
    let others = others(table, path);
    let others: Vec<_> = others
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    let mut all = bytes(&file, count, chance);
    all.extend(structures(&file, &others, chance));
    all.extend(forgeries(table, path, table.mirror.key()));
    all
}

#[test]
fn from_the_mirror_while_locking() {
    let test = "from_the_mirror_while_locking";
    let mut chance = Chance::new(test);
    let mut table = Table::new(&chance);
    for path in [BASE, INDEX, TOOL, DATA] {
        let url = table.server.url(path);
        for mutation in all(&table, path, 120, &mut chance) {
            table.forget(true);
            table.server.put(path, &mutation.bytes);
            table.judge(path, &mutation, false, &[&url]);
        }
        table.server.remove(path);
        table.forget(true);
        table.assert_good(false);
    }
    table.finish(test, least::SOURCES);
}

#[test]
fn from_the_mirror_with_a_lock() {
    let test = "from_the_mirror_with_a_lock";
    let mut chance = Chance::new(test);
    let mut table = Table::new(&chance);
    for path in [BASE, TOOL, DATA] {
        let url = table.server.url(path);
        for mutation in all(&table, path, 60, &mut chance) {
            table.forget(false);
            table.server.put(path, &mutation.bytes);
            let refused = table.judge(path, &mutation, true, &[&url]);
            assert!(refused, "{path}, {}: not noticed", mutation.what);
        }
        table.server.remove(path);
        table.forget(false);
        table.assert_good(true);
    }
    table.finish(test, least::LOCKED_SOURCES);
}

#[test]
fn the_key_that_the_recipe_names() {
    let test = "the_key_that_the_recipe_names";
    let mut chance = Chance::new(test);
    let mut table = Table::new(&chance);
    let name = table.mirror.key().file_name();
    let key = fs_err::read(table.mirror.key_file()).unwrap();
    table.write_recipe(&table.path(&name));
    let mut changes = bytes(&key, 60, &mut chance);
    let stranger = SigningKey::named("stranger").public_pem();
    changes.extend(structures(
        &key,
        &[("another key", stranger.as_bytes())],
        &mut chance,
    ));
    for mutation in changes {
        table.forget(true);
        table.write(&name, &mutation.bytes);
        table.judge("the key", &mutation, false, &[&name]);
    }
    table.write(&name, &key);
    table.assert_good(false);
    table.finish(test, least::KEY);
}
