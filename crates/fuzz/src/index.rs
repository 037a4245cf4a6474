//! Indexes: the text, the directory and the parsed form say the same.

use prebake_apk::dependency::{self, Dependency};
use prebake_apk::digest::Sha256;
use prebake_apk::index::{Directory, Index, IndexError, Link, Origin};
use prebake_apk::version::{Dialect, is_valid};

use crate::feed::Feed;
use crate::tame::tame;

pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::V2, Dialect::V3];

/// Returns who is said to have signed.
pub(crate) fn origin() -> Origin {
    Origin {
        sha256: Sha256::of(b"the index"),
        fingerprint: Sha256::of(b"the key"),
        key_name: "one.rsa.pub".to_owned(),
        signers: vec!["other.rsa.pub".to_owned(), "one.rsa.pub".to_owned()],
        description: b"v3.99".to_vec(),
        made: Some(1_700_000_000),
    }
}

/// Reads an index. The first two bytes say where its parsed form is damaged.
pub(crate) fn index(data: &[u8]) {
    let mut feed = Feed::new(data);
    let (place, change) = (feed.byte(), feed.byte());
    let text = feed.rest();
    let index = match Index::parse(text.to_vec()) {
        Ok(index) => index,
        Err(error) => {
            tame(&error);
            let lines = text.split(|byte| *byte == b'\n').count();
            if let IndexError::BadLine { line }
            | IndexError::Missing { line, .. }
            | IndexError::BadValue { line, .. } = error
            {
                assert!((1..=lines).contains(&(line as usize)), "{line} of {lines}");
            }
            return;
        }
    };
    assert!(index.get(index.len()).is_none());
    written_again(&index);
    for dialect in DIALECTS {
        let directory = index.directory(dialect).expect("a text has both");
        let packages = written(&index, dialect);
        check(directory, &packages);
        let bytes = index.to_parsed(&origin(), dialect);
        let bytes = bytes.expect("it was read from a text");
        parsed(&index, bytes, dialect, (place, change));
    }
}

/// Writes the stanzas again and reads those.
fn written_again(index: &Index) {
    let mut text = String::new();
    for stanza in index.iter() {
        text.push_str(stanza.text());
        text.push_str("\n\n");
    }
    let again = Index::parse(text.into_bytes()).expect("its own stanzas are good");
    assert_eq!(again.len(), index.len());
    for (one, other) in index.iter().zip(again.iter()) {
        assert_eq!(one.name(), other.name());
        assert_eq!(one.version(), other.version());
        assert_eq!(one.architecture(), other.architecture());
        assert_eq!(one.identity(), other.identity());
        assert_eq!(one.depends(), other.depends());
        assert_eq!(one.provides(), other.provides());
        assert_eq!(one.install_if(), other.install_if());
        assert_eq!(one.provider_priority(), other.provider_priority());
        assert_eq!(one.size(), other.size());
        assert_eq!(one.has_unknown_field(), other.has_unknown_field());
    }
}

/// What a package refers to: its name, what it provides, depends on and waits for, and whether all
/// of it can be read.
#[derive(Debug, PartialEq)]
pub(crate) struct References<'a> {
    name: &'a str,
    provides: Vec<(&'a str, Option<&'a str>)>,
    depends: Vec<Dependency<'a>>,
    install_if: Vec<Dependency<'a>>,
    sound: bool,
}

/// What the text says that packages refer to.
fn written(index: &Index, dialect: Dialect) -> Vec<References<'_>> {
    let list = |text| dependency::list(text, dialect);
    let packages = index.iter().map(|package| {
        let provides = list(package.provides())
            .map(|one| (one.name, Some(one.version).filter(|it| !it.is_empty())));
        let mut depends = list(package.depends());
        let dependencies = depends.by_ref().collect();
        References {
            name: package.name(),
            provides: provides.collect(),
            depends: dependencies,
            install_if: list(package.install_if()).collect(),
            sound: is_valid(package.version(), dialect) && !depends.is_malformed(),
        }
    });
    packages.collect()
}

/// What a directory says that packages refer to.
fn references(directory: Directory<'_>, count: usize) -> Vec<References<'_>> {
    let text = |position| {
        directory
            .get(position)
            .expect("a link leads somewhere")
            .text()
    };
    let read = |link| match link {
        Link::Plain(position) => Dependency::on(text(position)),
        Link::Written { name, dependency } => {
            assert!(name.is_none_or(|name| text(name) == dependency.name));
            dependency
        }
        Link::Kept { name, conflict, at } => {
            let kept = directory.dependency(at).expect("what is kept can be read");
            assert_eq!((text(name), conflict), (kept.name, kept.conflict));
            kept
        }
    };
    let packages = (0..count).map(|position| {
        let package = directory.package(position);
        let provides = package.provides();
        References {
            name: text(package.name().expect("every package has a name")),
            provides: provides
                .map(|(name, version)| (text(name), version.map(|at| directory.text(at))))
                .collect(),
            depends: package.depends().map(read).collect(),
            install_if: package.install_if().map(read).collect(),
            sound: package.is_sound(),
        }
    });
    packages.collect()
}

/// Holds a directory to the text.
fn check(directory: Directory<'_>, packages: &[References<'_>]) {
    assert_eq!(references(directory, packages.len()), packages);
    for position in 0..directory.len() {
        let named = directory.get(position).expect("it is one of them");
        let name = named.text();
        assert_eq!(directory.find(name), Some(position));
        let mut givers = Vec::new();
        for (number, package) in packages.iter().enumerate() {
            if package.name == name {
                givers.push((number, true));
            }
            let provided = package.provides.iter().filter(|(other, _)| *other == name);
            givers.extend(provided.map(|_| (number, false)));
        }
        let found: Vec<_> = named.givers().map(|one| (one.package, one.own)).collect();
        // A package may stand there once or as often as it says so.
        for one in &found {
            assert!(givers.contains(one), "{name:?} is not given by {one:?}");
        }
        for one in &givers {
            assert!(found.contains(one), "{name:?} lacks {one:?} in {found:?}");
        }
        assert!(found.is_sorted_by_key(|(number, _)| *number));
        for number in named.waiting() {
            let waits = packages[number].install_if.iter();
            assert!(waits.clone().any(|one| one.name == name), "{name:?}");
        }
    }
    for (number, package) in packages.iter().enumerate() {
        for waited in &package.install_if {
            let position = directory.find(waited.name);
            let named = position.and_then(|position| directory.get(position));
            let named = named.expect("what is waited for has a place");
            assert!(named.waiting().any(|other| other == number));
        }
    }
}

/// Holds the parsed form to the text, and to being noticed when it is another.
fn parsed(index: &Index, bytes: Vec<u8>, dialect: Dialect, (place, change): (u8, u8)) {
    let origin = origin();
    let sha256 = origin.sha256;
    let other = match dialect {
        Dialect::V2 => Dialect::V3,
        Dialect::V3 => Dialect::V2,
    };
    assert!(Index::from_parsed(bytes.clone(), sha256, other).is_none());
    assert!(Index::from_parsed(bytes.clone(), Sha256::of(b""), dialect).is_none());
    let at = bytes.len() * usize::from(place) / 256;
    assert!(Index::from_parsed(bytes[..at].to_vec(), sha256, dialect).is_none());
    if change != 0 {
        let mut damaged = bytes.clone();
        damaged[at] ^= change;
        assert!(Index::from_parsed(damaged, sha256, dialect).is_none());
    }
    let (parsed, found) =
        Index::from_parsed(bytes, sha256, dialect).expect("what was written is read");
    assert_eq!(found, origin);
    assert!(parsed.is_parsed_form_of(index, &origin));
    assert!(parsed.directory(other).is_none());
    assert_eq!(parsed.len(), index.len());
    for (one, other) in parsed.iter().zip(index.iter()) {
        assert_eq!(one.name(), other.name());
        assert_eq!(one.version(), other.version());
        assert_eq!(one.architecture(), other.architecture());
        assert_eq!(one.identity(), other.identity());
        assert_eq!(one.provider_priority(), other.provider_priority());
        assert_eq!(one.has_unknown_field(), other.has_unknown_field());
        assert_eq!(one.line(), other.line());
        assert_eq!(one.size(), other.size());
    }
    let directory = parsed.directory(dialect).expect("it is this dialect's");
    let fresh = index.directory(dialect).expect("a text has both");
    check(directory, &written(index, dialect));
    assert_eq!(directory.len(), fresh.len());
    for position in 0..fresh.len() {
        let (one, other) = (directory.get(position), fresh.get(position));
        let (one, other) = (one.expect("it is there"), other.expect("it is there"));
        assert_eq!(one.text(), other.text());
        assert_eq!(directory.find_same(&other), Some(position));
        let one = one
            .givers()
            .map(|it| (it.package, it.own, it.version.map(|at| directory.text(at))));
        let other = other
            .givers()
            .map(|it| (it.package, it.own, it.version.map(|at| fresh.text(at))));
        assert!(one.eq(other));
    }
}
