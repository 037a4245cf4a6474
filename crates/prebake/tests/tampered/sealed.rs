//! What a bake keeps for the next one and no lock knows a digest of: listings, the identities of
//! streams, assemblies, segments and the stamps of outputs. Whatever is done to one of them, the
//! output is what an empty cache gives, and the entry is made anew.

use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use ring::hmac;

use crate::cache::files;
use crate::least;
use crate::mutation::{Chance, Mutation, bytes, structures};
use crate::table::{BASE, DATA, TOOL, Table};

/// This user's key, and somebody else's.
const MINE: &str = "seal";
const THEIRS: &str = "their-seal";

/// How long a seal is.
const SEAL: usize = 32;

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Listing,
    Stream,
    Assembly,
    Segment,
}

/// An entry as this user's own bake left it.
#[derive(Clone, Debug)]
struct Kept {
    kind: Kind,
    path: PathBuf,
    content: Vec<u8>,
}

/// Returns a table whose cache has just been filled by a bake with this user's key, and whose
/// output is known from one that had nothing.
fn sealed(chance: &Chance) -> Table {
    let mut table = Table::new(chance);
    table.forget(false);
    table.seal = Some(MINE);
    table.assert_good(true);
    table
}

/// Returns where an entry of that name is.
fn place(table: &Table, name: &str) -> PathBuf {
    let name = Sha256::of(name.as_bytes()).to_string();
    table.path("cache/v1/kept").join(&name[..1]).join(name)
}

/// Returns the name of a listing of a file of the mirror.
fn listing(table: &Table, file: &str) -> String {
    format!("listing 1 {}", Sha256::of(&table.file(file)))
}

/// Returns the name of the output's stamp.
fn stamp(table: &Table) -> String {
    let output = table.path("r.tar.gz");
    format!(
        "stamp {}",
        Sha256::of(output.as_os_str().as_encoded_bytes())
    )
}

/// Returns every entry but the stamp.
fn kept(table: &Table) -> Vec<Kept> {
    let listings = [BASE, TOOL, DATA].map(|file| place(table, &listing(table, file)));
    let stamp = place(table, &stamp(table));
    let output = Sha256::of(&table.good);
    let mut all = Vec::new();
    for path in files(table, "kept") {
        let content = fs_err::read(&path).unwrap();
        let kind = match &content {
            _ if path == stamp => continue,
            _ if listings.contains(&path) => Kind::Listing,
            content if content.len() == 32 + SEAL => Kind::Stream,
            content if content.starts_with(output.as_bytes()) => Kind::Assembly,
            _ => Kind::Segment,
        };
        all.push(Kept {
            kind,
            path,
            content,
        });
    }
    let count = |kind| all.iter().filter(|kept| kept.kind == kind).count();
    assert_eq!(count(Kind::Listing), 3);
    assert_eq!(count(Kind::Assembly), 1);
    assert!(count(Kind::Stream) >= 1);
    assert!(count(Kind::Segment) >= 2);
    all
}

/// Puts every entry back, but for those of these kinds, which a bake then does without.
fn restore(all: &[Kept], without: &[Kind]) {
    for kept in all {
        if without.contains(&kept.kind) {
            drop(fs_err::remove_file(&kept.path));
        } else {
            fs_err::write(&kept.path, &kept.content).unwrap();
        }
    }
}

/// Returns content with the seal that a key gives it under a name.
fn seal(key: &Path, name: &str, content: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &fs_err::read(key).unwrap());
    let length = (name.len() as u64).to_le_bytes();
    let signed = [&length[..], name.as_bytes(), content].concat();
    [content, hmac::sign(&key, &signed).as_ref()].concat()
}

/// Returns an entry changed in every way, `others` being what other names have.
fn changes(
    of: &[u8],
    others: &[(&str, &[u8])],
    count: usize,
    chance: &mut Chance,
) -> Vec<Mutation> {
    let mut all = bytes(of, count, chance);
    all.extend(structures(of, others, chance));
    let (content, found) = of.split_at(of.len() - SEAL);
    let named = |what: &str, bytes: Vec<u8>| Mutation {
        what: what.to_owned(),
        bytes,
    };
    let mut turned = content.to_vec();
    turned.reverse();
    all.push(named("turned round", [&turned[..], found].concat()));
    all.push(named("no content", found.to_vec()));
    all.push(named("no seal", content.to_vec()));
    all.push(named("a seal of zeros", [content, &[0; SEAL]].concat()));
    all.push(named(
        "its content twice",
        [content, content, found].concat(),
    ));
    for (name, other) in others {
        let theirs = &other[..other.len() - SEAL];
        let mixed = [theirs, found].concat();
        all.push(named(
            &format!("the content of {name}, its own seal"),
            mixed,
        ));
    }
    all.retain(|mutation| mutation.bytes != of);
    all
}

#[test]
fn whatever_is_done_to_a_kept_entry_changes_nothing() {
    let test = "whatever_is_done_to_a_kept_entry_changes_nothing";
    let mut chance = Chance::new(test);
    let mut table = sealed(&chance);
    let all = kept(&table);
    // The same names with what another user's bake puts there.
    table.forget(false);
    table.seal = Some(THEIRS);
    table.assert_good(true);
    let theirs: Vec<_> = kept(&table).into_iter().map(|kept| kept.content).collect();
    table.seal = Some(MINE);
    for (at, (entry, theirs)) in all.iter().zip(&theirs).enumerate() {
        let others = all.iter().enumerate().filter(|(other, _)| *other != at);
        let names: Vec<_> = others
            .map(|(other, kept)| (format!("the {:?} {other}", kept.kind), &kept.content[..]))
            .collect();
        let mut others: Vec<_> = names.iter().map(|(name, of)| (&name[..], *of)).collect();
        others.push(("another user's entry", theirs));
        // What else is there decides what a bake reads it for.
        let left_out: &[&[Kind]] = match entry.kind {
            Kind::Listing => &[&[Kind::Assembly, Kind::Stream, Kind::Segment]],
            Kind::Stream => &[&[Kind::Assembly], &[Kind::Assembly, Kind::Segment]],
            Kind::Assembly => &[&[]],
            Kind::Segment => &[&[], &[Kind::Assembly], &[Kind::Assembly, Kind::Stream]],
        };
        for without in left_out {
            for mutation in changes(&entry.content, &others, 20, &mut chance) {
                restore(&all, without);
                fs_err::write(&entry.path, &mutation.bytes).unwrap();
                let about = format!("{:?} {at}, without {without:?}", entry.kind);
                assert!(!table.judge(&about, &mutation, true, &[]));
                let now = fs_err::read(&entry.path).unwrap();
                assert!(now == entry.content, "{about}, {}: it stays", mutation.what);
            }
        }
    }
    table.finish(test, least::KEPT);
}

#[test]
fn all_that_is_kept_at_once_changes_nothing() {
    let chance = Chance::new("all_that_is_kept_at_once_changes_nothing");
    let mut table = sealed(&chance);
    let all = kept(&table);
    table.forget(false);
    table.seal = Some(THEIRS);
    table.assert_good(true);
    let theirs = kept(&table);
    table.seal = Some(MINE);
    let mut turned = all.clone();
    for by in 1..all.len() {
        for (at, kept) in turned.iter_mut().enumerate() {
            kept.content.clone_from(&all[(at + by) % all.len()].content);
        }
        restore(&turned, &[]);
        table.assert_good(true);
        assert_eq!(now(&all), all.len(), "turned by {by}");
    }
    for cut in 1..4 {
        for (kept, own) in turned.iter_mut().zip(&all) {
            kept.content = own.content[..own.content.len() * cut / 4].to_vec();
        }
        restore(&turned, &[]);
        table.assert_good(true);
        assert_eq!(now(&all), all.len(), "cut to {cut} quarters");
    }
    restore(&theirs, &[]);
    table.assert_good(true);
    assert_eq!(now(&all), all.len(), "another user's");
    // Nor is this user's key of any use to another.
    restore(&all, &[]);
    table.seal = Some(THEIRS);
    table.assert_good(true);
    assert_eq!(now(&theirs), theirs.len());
    // And without a key nothing is read or kept.
    table.seal = None;
    table.assert_good(true);
    assert_eq!(now(&theirs), theirs.len());
}

/// Returns how many entries are there as they were left.
fn now(all: &[Kept]) -> usize {
    let same = |kept: &&Kept| fs_err::read(&kept.path).unwrap() == kept.content;
    all.iter().filter(same).count()
}

#[test]
fn a_listing_that_lies_needs_this_users_key() {
    let chance = Chance::new("a_listing_that_lies_needs_this_users_key");
    let mut table = sealed(&chance);
    let all = kept(&table);
    table.seal = Some(THEIRS);
    table.assert_good(true);
    let name = listing(&table, TOOL);
    let path = place(&table, &name);
    let own = all.iter().find(|kept| kept.path == path).unwrap();
    let content = &own.content[..own.content.len() - SEAL];
    let at = content.windows(12).position(|part| part == b"usr/bin/tool");
    let mut lie = content.to_vec();
    lie[at.unwrap()..][..12].copy_from_slice(b"usr/bin/evil");
    let without = &[Kind::Assembly, Kind::Stream, Kind::Segment];
    for (seal_by, is_mine) in [(THEIRS, false), (MINE, true)] {
        let sealed = seal(&table.path(seal_by), &name, &lie);
        table.seal = Some(MINE);
        restore(&all, without);
        fs_err::write(&path, &sealed).unwrap();
        let built = table.bake(true);
        // With the right key it is believed, so that this test sees what it is to see; and what
        // comes of it is not the lock's.
        assert_eq!(built.is_err(), is_mine, "{built:?}");
        if is_mine {
            assert!(built.unwrap_err().contains("identity"));
        } else {
            assert!(built.unwrap() == table.good);
            assert!(fs_err::read(&path).unwrap() == own.content);
        }
    }
}

#[test]
fn a_stamp_vouches_for_no_other_output() {
    let test = "a_stamp_vouches_for_no_other_output";
    let chance = Chance::new(test);
    let mut table = sealed(&chance);
    let name = stamp(&table);
    let path = place(&table, &name);
    let all = kept(&table);
    let output = table.path("r.tar.gz");
    let mut evil = table.good.clone();
    evil.reverse();
    assert!(!table.rewrites(), "nothing was to do");
    let mut tried = 0;
    loop {
        // Each stamp is another one, as the output is another file: the same change of each.
        let own = fs_err::read(&path).unwrap();
        let others: Vec<_> = all
            .iter()
            .map(|kept| ("another", &kept.content[..]))
            .collect();
        let mutations = changes(&own, &others, 40, &mut chance.clone());
        let Some(mutation) = mutations.get(tried) else {
            break;
        };
        if tried % 2 == 0 {
            fs_err::write(&output, &evil).unwrap();
        }
        fs_err::write(&path, &mutation.bytes).unwrap();
        let about = format!("{} (PREBAKE_SEED={})", mutation.what, chance.seed());
        assert!(table.rewrites(), "{about}: nothing was written");
        assert!(!table.rewrites(), "{about}: the stamp was not made anew");
        tried += 1;
    }
    println!("{test}: {tried} without effect");
    assert!(tried >= least::STAMP, "only {tried}");

    // Another user's, of this very file.
    table.seal = Some(THEIRS);
    assert!(table.rewrites());
    assert!(!table.rewrites());
    table.seal = Some(MINE);
    assert!(table.rewrites());
    // This user's, of what was there before: one as long, with the time set back.
    #[cfg(unix)]
    {
        let time = fs_err::metadata(&output).unwrap().modified().unwrap();
        fs_err::write(&output, &evil).unwrap();
        let file = fs_err::OpenOptions::new().append(true).open(&output);
        file.unwrap().file().set_modified(time).unwrap();
        assert!(table.rewrites(), "the time was set back");
    }
    // With this user's own key one can say anything, so that these refusals are the seal's.
    let own = fs_err::read(&path).unwrap();
    let again = seal(&table.path(MINE), &name, &own[..own.len() - SEAL]);
    assert!(own == again);
}

#[test]
fn what_is_kept_makes_room() {
    let chance = Chance::new("what_is_kept_makes_room");
    let table = sealed(&chance);
    let all = kept(&table);
    // Somebody's file as large as all that may be, which takes no room, and is older than the rest.
    let path = place(&table, "somebody's");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs_err::File::create(&path).unwrap();
    file.set_len(2 << 30).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    file.file().set_modified(long_ago).unwrap();
    drop(file);
    restore(&all, &[Kind::Assembly]);
    table.assert_good(true);
    assert!(!path.exists(), "it is too much");
    assert_eq!(now(&all), all.len());
}
