//! Whole packages: what comes out of one was all checked, in whatever pieces it came in.

use std::io::{BufRead, Read as _};
use std::sync::OnceLock;

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::package::{Package, PackageError};
use prebake_testkit::archive::{Archive, Flavour};
use prebake_testkit::key::SigningKey;
use prebake_testkit::member::Member;
use prebake_testkit::package::PackageBuilder;

use crate::feed::Feed;
use crate::gzip::compress;
use crate::odd::Odd;
use crate::tame::tame;
use crate::tar::{made, made_member, walk};

/// What a package was read as: its parts and its entries with their contents, or why it was not.
type Opened = Result<(Sha1, Vec<(Entry, Vec<u8>)>), String>;

/// A package that is signed, and who signed it.
pub(crate) struct Signed {
    pub(crate) control: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) keys: Keyring,
}

/// Returns the one package that the key vouches for.
pub(crate) fn signed() -> &'static Signed {
    static SIGNED: OnceLock<Signed> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let key = SigningKey::named("testkit");
        let package = PackageBuilder::new("a", "1-r0")
            .script("post-install", "#!/bin/sh\n")
            .file("etc/a", "a\n")
            .symlink("etc/b", "a")
            .build(&key);
        let public = PublicKey::from_der(&key.public_der()).expect("the testkit's keys are good");
        let mut keys = Keyring::new();
        keys.insert(key.file_name(), public);
        Signed {
            control: package.control.clone(),
            bytes: package.bytes(),
            keys,
        }
    })
}

/// Reads a package.
pub(crate) fn package(data: &[u8]) {
    let mut feed = Feed::new(data);
    let how = feed.byte();
    let (file, control) = if how & 1 == 0 {
        (feed.rest().to_vec(), None)
    } else {
        let (file, control) = built(&mut feed);
        (file, Some(control))
    };
    let whole = open(&file[..]);
    let pieces = open(Odd::new(&file, how));
    match (&whole, &pieces) {
        // How much a damaged member gave before it was noticed depends on the pieces.
        (Err(_), Err(_)) if control.is_none() => {}
        _ => assert_eq!(whole, pieces),
    }
    if let (Ok((identity, entries)), Some(control)) = (&whole, control) {
        assert_eq!(*identity, Sha1::of(&control));
        // What the archive holds is what comes out, but for what apk passes over.
        let package = Package::open(&file[..]).expect("it was opened before");
        let mut archive = Vec::new();
        let read = package.into_data_archive().read_to_end(&mut archive);
        read.expect("it was read before");
        let walked = walk(&archive[..], archive.len(), true);
        let named = walked
            .entries
            .into_iter()
            .filter(|(entry, name, _)| !entry.path.is_root() && name.first() != Some(&b'.'));
        let named: Vec<_> = named.map(|(entry, _, content)| (entry, content)).collect();
        assert_eq!(*entries, named);
    }
}

fn open(reader: impl BufRead) -> Opened {
    let told = |error: &PackageError| tame(error);
    let package = Package::open(reader).map_err(|error| told(&error))?;
    let identity = package.identity();
    assert_eq!(identity, Sha1::of(package.signed_bytes()));
    crate::pkginfo::hold(package.info());
    let signed = signed();
    match package.verify(&signed.keys) {
        Ok(_) => assert!(
            package.signed_bytes() == signed.control,
            "vouched for what was never signed"
        ),
        Err(error) => drop(tame(&error)),
    }
    let mut entries = Vec::new();
    let mut data = package.into_data();
    loop {
        let entry = match data.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => {
                let again = data.next();
                assert!(matches!(again, Err(PackageError::Failed)), "it went on");
                return Err(told(&error));
            }
        };
        let mut content = Vec::new();
        if let Err(error) = data.read_to_end(&mut content) {
            assert!(data.next().is_err(), "it went on after {error}");
            return Err(tame(&error));
        }
        match &entry.kind {
            EntryKind::File => assert_eq!(entry.checksum, Some(Sha1::of(&content))),
            EntryKind::Symlink(target) => {
                assert!(entry.checksum.is_none_or(|sum| sum == Sha1::of(target)));
            }
            _ => assert_eq!(content, b""),
        }
        entries.push((entry, content));
    }
    Ok((identity, entries))
}

/// Builds a package whose digests are right, of whatever the bytes say: returns the file and its
/// control member.
fn built(feed: &mut Feed<'_>) -> (Vec<u8>, Vec<u8>) {
    let shape = feed.byte();
    let info = feed.slice();
    let mut control = Archive::new(Flavour::Posix);
    let mut scripts: Vec<Member> = Vec::new();
    for _ in 0..shape % 3 {
        scripts.push(made_member(feed));
    }
    let data = match shape & 4 {
        0 => made(feed),
        _ => feed.rest().to_vec(),
    };
    let data = compress(&data, shape >> 5);
    let mut info = info.to_vec();
    if shape & 8 == 0 {
        info.extend_from_slice(format!("\ndatahash = {}\n", Sha256::of(&data)).as_bytes());
    }
    control.push(&Member::file(".PKGINFO", info));
    for script in &scripts {
        control.push(script);
    }
    let control = compress(&control.cut(), 0);
    let file = [&control[..], &data].concat();
    (file, control)
}
