//! Signed indexes: nothing is believed but what the key signed, and the file that is only looked at
//! says the same as the one that is believed.

use std::sync::OnceLock;

use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::signature::{open_signed_index, open_unchecked_index};
use prebake_testkit::archive::{Archive, Flavour};
use prebake_testkit::key::{Algorithm, SigningKey};
use prebake_testkit::member::Member;
use prebake_testkit::stanza::index_archive;

use crate::feed::Feed;
use crate::gzip::compress;
use crate::tame::tame;
use crate::tar::made_member;

/// The text of the index that is signed.
const TEXT: &str = "C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1\n\n";

/// An index that is signed, without its signature and with it.
struct Signed {
    covered: Vec<u8>,
    files: Vec<Vec<u8>>,
    keys: Keyring,
}

fn signed() -> &'static Signed {
    static SIGNED: OnceLock<Signed> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let key = SigningKey::named("testkit");
        let stranger = SigningKey::named("stranger");
        let public = PublicKey::from_der(&key.public_der()).expect("the testkit's keys are good");
        let mut keys = Keyring::new();
        keys.insert(key.file_name(), public);
        let ways: [&[(&SigningKey, Algorithm)]; 4] = [
            &[(&key, Algorithm::Rsa)],
            &[(&stranger, Algorithm::Rsa), (&key, Algorithm::Rsa256)],
            &[(&key, Algorithm::Rsa512)],
            &[(&stranger, Algorithm::Rsa)],
        ];
        Signed {
            covered: index_archive(TEXT, "v3.99", &[]),
            files: ways
                .iter()
                .map(|ways| index_archive(TEXT, "v3.99", ways))
                .collect(),
            keys,
        }
    })
}

/// Returns the files that seeds are made of.
pub(crate) fn files() -> &'static [Vec<u8>] {
    &signed().files
}

/// Opens an index.
pub(crate) fn index_file(data: &[u8]) {
    let mut feed = Feed::new(data);
    let how = feed.byte();
    let file = match how % 3 {
        0 => feed.rest().to_vec(),
        1 => made(&mut feed),
        _ => spliced(&mut feed),
    };
    let signed = signed();
    let unchecked = open_unchecked_index(&file);
    if let Err(error) = &unchecked {
        tame(error);
    }
    match open_signed_index(&file, &signed.keys) {
        Ok(index) => {
            assert!(file.ends_with(&signed.covered), "believed what none signed");
            assert_eq!(index.index_text, TEXT.as_bytes());
            assert_eq!(index.description, b"v3.99");
            let unchecked = unchecked.expect("what is believed can be looked at");
            assert_eq!(unchecked.index_text, index.index_text);
            let names = unchecked.signatures.iter().map(|one| &one.key_name);
            assert!(names.eq(&index.signers));
            assert!(index.signers.contains(&index.key_name));
        }
        Err(error) => drop(tame(&error)),
    }
}

/// Members that are tar archives of whatever the bytes say.
fn made(feed: &mut Feed<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..=feed.byte() % 12 {
        let mut archive = Archive::new(Flavour::Posix);
        for _ in 0..feed.byte() % 5 {
            let member = match feed.byte() % 5 {
                0 => Member::file(".SIGN.RSA.testkit.rsa.pub", feed.slice()),
                1 => Member::file("APKINDEX", feed.slice()),
                2 => Member::file("DESCRIPTION", feed.slice()),
                3 => {
                    let name = [&b".SIGN."[..], feed.slice()].concat();
                    Member::file(name, feed.slice())
                }
                _ => made_member(feed),
            };
            archive.push(&member);
        }
        let archive = if feed.flag() {
            archive.ended()
        } else {
            archive.cut()
        };
        file.extend_from_slice(&compress(&archive, 0));
        if feed.is_empty() {
            break;
        }
    }
    if feed.flag() {
        file.extend_from_slice(&signed().covered);
    }
    file
}

/// A good file with pieces put in, left out or changed.
fn spliced(feed: &mut Feed<'_>) -> Vec<u8> {
    let files = files();
    let mut file = files[usize::from(feed.byte()) % files.len()].clone();
    while !feed.is_empty() {
        let at = usize::from(u16::from_le_bytes([feed.byte(), feed.byte()])) % (file.len() + 1);
        match feed.byte() % 3 {
            0 => drop(file.splice(at..at, feed.slice().iter().copied())),
            1 => {
                let end = (at + usize::from(feed.byte())).min(file.len());
                file.drain(at..end);
            }
            _ => {
                let change = feed.byte();
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= change;
                }
            }
        }
    }
    file
}
