//! The parsed form of an index: it says what a fresh reading says, it is noticed when it is not
//! what was written, and it makes nobody trusted.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::io::Read as _;

use prebake_apk::dependency::{self, Dependency, Operator};
use prebake_apk::digest::Sha256;
use prebake_apk::gzip;
use prebake_apk::index::{Directory, Index, Link, Origin};
use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::tar;
use prebake_apk::version::{Dialect, is_valid};
use prebake_testkit::key::SigningKey;
use prebake_testkit::shared::real_mirror;

const DIALECTS: [Dialect; 2] = [Dialect::V2, Dialect::V3];

/// Three packages, of which one provides, one waits, and one has what no index has.
const TEXT: &str = "C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1-r0\nA:noarch\nS:10\nI:20\nT:an a\n\
    k:7\nD:b so:c>=1\np:d=1 e so:f.so.1=1.2\n\nC:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:b\nV:2\n\
    i:a e\nD:\nX:?\n\nC:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1~ab\np:e=1~ab g\n";

fn small() -> (Index, Origin) {
    let origin = Origin {
        sha256: Sha256::of(b"the index"),
        fingerprint: Sha256::of(b"the key"),
        key_name: "one.rsa.pub".to_owned(),
        signers: vec!["other.rsa.pub".to_owned(), "one.rsa.pub".to_owned()],
        description: b"v3.99".to_vec(),
        made: Some(1_718_724_996),
    };
    (Index::parse(TEXT.into()).unwrap(), origin)
}

/// Every name with all that a directory says of it, in the order of first mention.
fn names(directory: Directory<'_>) -> Vec<impl PartialEq + std::fmt::Debug + use<'_>> {
    (0..directory.len())
        .map(|position| {
            let name = directory.get(position).unwrap();
            assert_eq!(directory.find(name.text()), Some(position));
            let givers: Vec<_> = name
                .givers()
                .map(|one| {
                    (
                        one.package,
                        one.own,
                        one.version.map(|at| directory.text(at)),
                    )
                })
                .collect();
            let waiting: Vec<_> = name.waiting().collect();
            (name.text(), givers, waiting)
        })
        .collect()
}

fn assert_same(parsed: &Index, fresh: &Index, dialect: Dialect) {
    let (count, written) = (fresh.len(), written(fresh, dialect));
    assert_eq!(parsed.len(), fresh.len());
    for (one, other) in parsed.iter().zip(fresh.iter()) {
        assert_eq!(one.name(), other.name());
        assert_eq!(one.version(), other.version());
        assert_eq!(one.architecture(), other.architecture());
        assert_eq!(one.identity(), other.identity());
        assert_eq!(one.provider_priority(), other.provider_priority());
        assert_eq!(one.has_unknown_field(), other.has_unknown_field());
        assert_eq!(one.line(), other.line());
        assert_eq!(one.size(), other.size());
    }
    let (parsed, fresh) = (
        parsed.directory(dialect).unwrap(),
        fresh.directory(dialect).unwrap(),
    );
    let found = names(parsed);
    assert_eq!(found, names(fresh));
    assert!(!found.is_empty());
    assert_eq!(references(parsed, count), written);
    assert_eq!(references(fresh, count), written);
}

/// What a package refers to: its name, what it provides, depends on and waits for, and whether all
/// of it can be read.
type References<'a> = (
    &'a str,
    Vec<(&'a str, Option<&'a str>)>,
    Vec<Dependency<'a>>,
    Vec<Dependency<'a>>,
    bool,
);

/// What the text says that packages refer to.
fn written(index: &Index, dialect: Dialect) -> Vec<References<'_>> {
    let list = |text| dependency::list(text, dialect);
    let packages = index.iter().map(|package| {
        let provides = list(package.provides());
        let provides =
            provides.map(|one| (one.name, Some(one.version).filter(|it| !it.is_empty())));
        let mut depends = list(package.depends());
        let dependencies = depends.by_ref().collect();
        let sound = is_valid(package.version(), dialect) && !depends.is_malformed();
        let install_if = list(package.install_if()).collect();
        (
            package.name(),
            provides.collect(),
            dependencies,
            install_if,
            sound,
        )
    });
    packages.collect()
}

/// What a directory says that packages refer to.
fn references(directory: Directory<'_>, count: usize) -> Vec<References<'_>> {
    let text = |position| directory.get(position).unwrap().text();
    let read = |link| match link {
        Link::Plain(position) => Dependency {
            conflict: false,
            name: text(position),
            tag: None,
            operator: Operator::Any,
            version: "",
        },
        Link::Written { name, dependency } => {
            if let Some(name) = name {
                assert_eq!(text(name), dependency.name);
            }
            dependency
        }
        Link::Kept { name, conflict, at } => {
            let dependency = directory.dependency(at).unwrap();
            assert_eq!(
                (text(name), conflict),
                (dependency.name, dependency.conflict)
            );
            dependency
        }
    };
    let packages = (0..count).map(|position| {
        let package = directory.package(position);
        let provides = package
            .provides()
            .map(|(name, version)| (text(name), version.map(|at| directory.text(at))));
        (
            text(package.name().unwrap()),
            provides.collect(),
            package.depends().map(read).collect(),
            package.install_if().map(read).collect(),
            package.is_sound(),
        )
    });
    packages.collect()
}

#[test]
fn it_says_what_a_fresh_reading_says() {
    let (index, origin) = small();
    for dialect in DIALECTS {
        let bytes = index.to_parsed(&origin, dialect).unwrap();
        let (parsed, read) = Index::from_parsed(bytes, origin.sha256, dialect).unwrap();
        assert_eq!(read, origin);
        assert_same(&parsed, &index, dialect);
        assert!(parsed.is_parsed_form_of(&index, &origin));
        let other = Index::parse(TEXT.replace("so:f", "so:g").into_bytes()).unwrap();
        assert!(!parsed.is_parsed_form_of(&other, &origin));
    }
    let Some(mirror) = real_mirror("it_says_what_a_fresh_reading_says") else {
        return;
    };
    for folder in [
        "v3.19/main/x86_64",
        "v3.19/community/x86_64",
        "v3.13/main/aarch64",
    ] {
        let bytes = fs_err::read(mirror.join(folder).join("APKINDEX.tar.gz")).unwrap();
        let mut archive = tar::Reader::new(std::io::BufReader::new(gzip::Reader::new(&bytes[..])));
        let mut text = Vec::new();
        while let Some(entry) = archive.next().unwrap() {
            if entry.path.as_bytes() == b"APKINDEX" {
                archive.read_to_end(&mut text).unwrap();
            }
        }
        let index = Index::parse(text).unwrap();
        for dialect in DIALECTS {
            let bytes = index.to_parsed(&origin, dialect).unwrap();
            let (parsed, _) = Index::from_parsed(bytes, origin.sha256, dialect).unwrap();
            assert_same(&parsed, &index, dialect);
            assert!(parsed.is_parsed_form_of(&index, &origin));
        }
    }
}

#[test]
fn a_directory_has_every_mention_of_a_name_in_order() {
    let (index, _) = small();
    let directory = index.directory(Dialect::V2).unwrap();
    let name = |text: &str| directory.get(directory.find(text).unwrap()).unwrap();
    let givers = |text: &str| -> Vec<_> {
        let givers = name(text).givers();
        givers
            .map(|one| {
                (
                    one.package,
                    one.own,
                    one.version.map(|at| directory.text(at)),
                )
            })
            .collect()
    };
    assert_eq!(
        givers("a"),
        [(0, true, Some("1-r0")), (2, true, Some("1~ab"))]
    );
    // apk 2.14 ends a list at a version that it cannot read, apk 3 can read this one.
    assert_eq!(givers("e"), [(0, false, None)]);
    assert_eq!(givers("so:f.so.1"), [(0, false, Some("1.2"))]);
    assert_eq!(name("e").waiting().collect::<Vec<_>>(), [1]);
    assert_eq!(directory.find("g"), None);
    assert_eq!(directory.find("so:c"), None);
    let newer = index.directory(Dialect::V3).unwrap();
    assert!(newer.find("g").is_some());
}

#[test]
fn damage_is_noticed() {
    let (index, origin) = small();
    let bytes = index.to_parsed(&origin, Dialect::V2).unwrap();
    let read = |bytes: &[u8], sha256| Index::from_parsed(bytes.to_vec(), sha256, Dialect::V2);
    assert!(read(&bytes, origin.sha256).is_some());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(
                read(&damaged, origin.sha256).is_none(),
                "byte {at}, bit {bit}"
            );
        }
        assert!(read(&bytes[..at], origin.sha256).is_none(), "cut at {at}");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert!(read(&longer, origin.sha256).is_none());
    assert!(read(&[&[0], &bytes[..]].concat(), origin.sha256).is_none());
    assert!(read(&bytes, Sha256::of(b"another index")).is_none());
    assert!(Index::from_parsed(bytes, origin.sha256, Dialect::V3).is_none());
}

/// Makes the checksum right again.
fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - 4;
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[..body]);
    bytes[body..].copy_from_slice(&crc.sum().to_le_bytes());
    bytes
}

#[test]
fn no_other_version_of_the_form_is_read() {
    let (index, origin) = small();
    let bytes = index.to_parsed(&origin, Dialect::V2).unwrap();
    let read = |bytes| Index::from_parsed(bytes, origin.sha256, Dialect::V2).is_some();
    assert!(read(checked(bytes.clone())));
    let magic = b"prebake index ";
    let at = bytes.windows(magic.len()).position(|part| part == magic);
    let at = at.unwrap() + magic.len();
    for other in (b'0'..=b'9').filter(|number| *number != bytes[at]) {
        let mut changed = bytes.clone();
        changed[at] = other;
        assert!(!read(checked(changed)));
    }
}

#[test]
fn what_was_forged_with_a_right_checksum_harms_nobody() {
    let (original, origin) = small();
    let bytes = original.to_parsed(&origin, Dialect::V2).unwrap();
    let body = bytes.len() - 4;
    for at in 0..body {
        for value in [0, 1, 0x7f, 0xff] {
            let mut forged = bytes.clone();
            forged[at] = value;
            let forged = checked(forged);
            let changed = forged != bytes;
            let read = Index::from_parsed(forged, origin.sha256, Dialect::V2);
            let Some((index, _)) = read else {
                continue;
            };
            // Whatever it says now, it says it without a panic and without end, and whoever holds
            // it against the index finds out.
            let same = index.is_parsed_form_of(&original, &origin);
            assert_eq!(same, !changed, "byte {at}");
            let directory = index.directory(Dialect::V2).unwrap();
            for position in 0..directory.len() {
                let name = directory.get(position).unwrap();
                directory.find(name.text());
                assert!(name.givers().count() + name.waiting().count() < 100);
            }
            for (position, stanza) in index.iter().enumerate() {
                let parts = [stanza.name(), stanza.version(), stanza.architecture()];
                assert!(parts.iter().all(|part| part.len() <= bytes.len()));
                let package = directory.package(position);
                let given = package.provides().count();
                let links = package.depends().chain(package.install_if());
                let wanted = links
                    .filter_map(|link| match link {
                        Link::Kept { at, .. } => directory.dependency(at),
                        _ => None,
                    })
                    .count();
                assert!(given + wanted < 100);
                let _ = (package.name(), package.is_sound(), stanza.size());
            }
        }
    }
}

#[test]
fn it_counts_only_where_opening_the_index_would_find_the_same_key() {
    let key = |name| PublicKey::from_pem(SigningKey::named(name).public_pem().as_bytes()).unwrap();
    let (one, other) = (key("one"), key("other"));
    let (_, origin) = small();
    let origin = Origin {
        fingerprint: one.fingerprint(),
        ..origin
    };
    let ring = |keys: &[(&str, &PublicKey)]| {
        let mut ring = Keyring::new();
        for (name, key) in keys {
            ring.insert(*name, (*key).clone());
        }
        ring
    };
    assert!(origin.is_trusted(&ring(&[("one.rsa.pub", &one)])));
    assert!(origin.is_trusted(&ring(&[("one.rsa.pub", &one), ("third.rsa.pub", &other)])));
    // Nobody, somebody else, another key of the name, and an earlier signature that counts.
    assert!(!origin.is_trusted(&ring(&[])));
    assert!(!origin.is_trusted(&ring(&[("third.rsa.pub", &one)])));
    assert!(!origin.is_trusted(&ring(&[("one.rsa.pub", &other)])));
    assert!(!origin.is_trusted(&ring(&[("one.rsa.pub", &one), ("other.rsa.pub", &other)])));
}
