//! The fields of an installed package.

use super::InstalledProblem;
use crate::digest::Sha1;
use crate::pkginfo::PkgInfo;

/// What a package says of itself: the fields of an index and those that only an installed
/// package has. Lists are kept as texts with one space between the entries, as apk writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// `C`: the package's identity.
    pub identity: Sha1,
    /// `P`: the name.
    pub name: Vec<u8>,
    /// `V`: the version.
    pub version: Vec<u8>,
    /// `A`: the architecture.
    pub arch: Option<Vec<u8>>,
    /// `S`: the package file's size in bytes.
    pub package_size: u64,
    /// `I`: the installed size in bytes.
    pub installed_size: u64,
    /// `T`: the description; written even when empty.
    pub description: Vec<u8>,
    /// `U`: the project's page; written even when empty.
    pub url: Vec<u8>,
    /// `L`: the licence; written even when empty.
    pub license: Vec<u8>,
    /// `o`: the package that this was built with.
    pub origin: Option<Vec<u8>>,
    /// `m`: who looks after it.
    pub maintainer: Option<Vec<u8>>,
    /// `t`: when it was built, in seconds since 1970; 0 is not written.
    pub build_time: u64,
    /// `c`: the commit it was built from. An index may have an empty one, and then so does the
    /// database.
    pub commit: Option<Vec<u8>>,
    /// `k`: who provides best; 0 is not written.
    pub provider_priority: u32,
    /// `D`: what it needs.
    pub depends: Vec<u8>,
    /// `p`: what it provides.
    pub provides: Vec<u8>,
    /// `i`: what makes it come by itself.
    pub install_if: Vec<u8>,
    /// `g`: tags, which only apk 3 writes.
    pub tags: Vec<u8>,
    /// `r`: whose files it may take; comes from the package, not from an index.
    pub replaces: Vec<u8>,
    /// `q`: who wins among several that may; 0 is not written.
    pub replaces_priority: u32,
    /// `s`: the tag of the repository that it was pinned to.
    pub repository_tag: Option<Vec<u8>>,
    /// `f`: what went wrong when it was installed, a letter each.
    pub broken: Option<Vec<u8>>,
}

impl Stanza {
    /// Returns a package of which no more is known than what names it.
    pub fn new(identity: Sha1, name: Vec<u8>, version: Vec<u8>) -> Self {
        Self {
            identity,
            name,
            version,
            arch: None,
            package_size: 0,
            installed_size: 0,
            description: Vec::new(),
            url: Vec::new(),
            license: Vec::new(),
            origin: None,
            maintainer: None,
            build_time: 0,
            commit: None,
            provider_priority: 0,
            depends: Vec::new(),
            provides: Vec::new(),
            install_if: Vec::new(),
            tags: Vec::new(),
            replaces: Vec::new(),
            replaces_priority: 0,
            repository_tag: None,
            broken: None,
        }
    }

    /// Returns what an index made by `apk index` says of a package, from what the package says of
    /// itself, its identity, and its file's size in bytes.
    pub fn from_package(info: &PkgInfo, identity: Sha1, package_size: u64) -> Self {
        let bytes = |text: &String| text.clone().into_bytes();
        let list = |words: &[String]| words.join(" ").into_bytes();
        Self {
            arch: (!info.arch.is_empty()).then(|| bytes(&info.arch)),
            package_size,
            installed_size: info.installed_size,
            description: bytes(&info.description),
            url: bytes(&info.url),
            license: bytes(&info.license),
            origin: info.origin.as_ref().map(bytes),
            maintainer: info.maintainer.as_ref().map(bytes),
            build_time: u64::try_from(info.build_date).unwrap_or(0),
            commit: info.commit.as_ref().map(bytes),
            provider_priority: info.provider_priority,
            depends: list(&info.depends),
            provides: list(&info.provides),
            install_if: list(&info.install_if),
            replaces: list(&info.replaces),
            replaces_priority: info.replaces_priority,
            ..Self::new(identity, bytes(&info.name), bytes(&info.version))
        }
    }

    /// Returns `name-version`, as apk names the package in messages and scripts.
    pub fn label(&self) -> String {
        let mut label = String::from_utf8_lossy(&self.name).into_owned();
        label.push('-');
        label.push_str(&String::from_utf8_lossy(&self.version));
        label
    }

    /// Reads the fields of one package from an index's text or the database's, a field a line;
    /// lines that tell of files are passed over. `None` if a line is no field or the name, the
    /// version or the identity is missing.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut partial = Partial::default();
        for line in text.split(|byte| *byte == b'\n') {
            match line {
                [] | [b'F' | b'M' | b'R' | b'a' | b'Z', b':', ..] => {}
                [letter, b':', value @ ..] => partial.set(*letter, value).ok()?,
                _ => return None,
            }
        }
        partial.finish()
    }

    /// Returns the fields as an index has them, a line each, in apk's order; those that only a
    /// database has stand at the end.
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.write_early(&mut text);
        self.write_late(&mut text);
        text
    }

    /// Appends the fields that an index has too, in apk's order.
    pub(super) fn write_early(&self, text: &mut Vec<u8>) {
        field(text, b'C', self.identity.to_apk().as_bytes());
        field(text, b'P', &self.name);
        field(text, b'V', &self.version);
        optional(text, b'A', self.arch.as_deref());
        field(text, b'S', self.package_size.to_string().as_bytes());
        field(text, b'I', self.installed_size.to_string().as_bytes());
        field(text, b'T', &self.description);
        field(text, b'U', &self.url);
        field(text, b'L', &self.license);
        optional(text, b'o', self.origin.as_deref());
        optional(text, b'm', self.maintainer.as_deref());
        number(text, b't', self.build_time);
        optional(text, b'c', self.commit.as_deref());
        number(text, b'k', self.provider_priority.into());
        filled(text, b'D', &self.depends);
        filled(text, b'p', &self.provides);
        filled(text, b'i', &self.install_if);
        filled(text, b'g', &self.tags);
    }

    /// Appends the fields that only an installed package has, in apk's order.
    pub(super) fn write_late(&self, text: &mut Vec<u8>) {
        filled(text, b'r', &self.replaces);
        number(text, b'q', self.replaces_priority.into());
        optional(text, b's', self.repository_tag.as_deref());
        optional(text, b'f', self.broken.as_deref());
    }
}

/// Appends one line.
pub(super) fn field(text: &mut Vec<u8>, letter: u8, value: &[u8]) {
    text.extend_from_slice(&[letter, b':']);
    text.extend_from_slice(value);
    text.push(b'\n');
}

fn optional(text: &mut Vec<u8>, letter: u8, value: Option<&[u8]>) {
    if let Some(value) = value {
        field(text, letter, value);
    }
}

fn filled(text: &mut Vec<u8>, letter: u8, value: &[u8]) {
    if !value.is_empty() {
        field(text, letter, value);
    }
}

fn number(text: &mut Vec<u8>, letter: u8, value: u64) {
    if value != 0 {
        field(text, letter, value.to_string().as_bytes());
    }
}

/// A stanza whose lines are still coming in.
#[derive(Default)]
pub(super) struct Partial {
    identity: Option<Sha1>,
    name: Option<Vec<u8>>,
    version: Option<Vec<u8>>,
    rest: Vec<(u8, Vec<u8>)>,
}

impl Partial {
    /// Takes one field.
    pub(super) fn set(&mut self, letter: u8, value: &[u8]) -> Result<(), InstalledProblem> {
        let wrong = || InstalledProblem::Value(letter);
        match letter {
            b'C' => self.identity = Some(Sha1::from_apk(value).map_err(|_| wrong())?),
            b'P' if !value.is_empty() => self.name = Some(value.to_vec()),
            b'V' if !value.is_empty() => self.version = Some(value.to_vec()),
            b'S' | b'I' | b't' => {
                parse_number::<u64>(value).ok_or_else(wrong)?;
                self.rest.push((letter, value.to_vec()));
            }
            b'k' | b'q' => {
                parse_number::<u32>(value).ok_or_else(wrong)?;
                self.rest.push((letter, value.to_vec()));
            }
            b'P' | b'V' => return Err(wrong()),
            b'A' | b'T' | b'U' | b'L' | b'D' => self.rest.push((letter, value.to_vec())),
            b'A'..=b'Z' => return Err(InstalledProblem::UnknownField(letter)),
            _ => self.rest.push((letter, value.to_vec())),
        }
        Ok(())
    }

    /// Returns the stanza if what names it is there.
    pub(super) fn finish(self) -> Option<Stanza> {
        let mut stanza = Stanza::new(self.identity?, self.name?, self.version?);
        for (letter, value) in self.rest {
            match letter {
                b'A' => stanza.arch = Some(value),
                b'S' => stanza.package_size = parse_number(&value)?,
                b'I' => stanza.installed_size = parse_number(&value)?,
                b'T' => stanza.description = value,
                b'U' => stanza.url = value,
                b'L' => stanza.license = value,
                b'o' => stanza.origin = Some(value),
                b'm' => stanza.maintainer = Some(value),
                b't' => stanza.build_time = parse_number(&value)?,
                b'c' => stanza.commit = Some(value),
                b'k' => stanza.provider_priority = parse_number(&value)?,
                b'D' => stanza.depends = spaced(&value),
                b'p' => stanza.provides = spaced(&value),
                b'i' => stanza.install_if = spaced(&value),
                b'g' => stanza.tags = value,
                b'r' => {
                    // Several add up, as when apk reads them.
                    stanza.replaces.push(b' ');
                    stanza.replaces.extend_from_slice(&value);
                    stanza.replaces = spaced(&stanza.replaces);
                }
                b'q' => stanza.replaces_priority = parse_number(&value)?,
                b's' => stanza.repository_tag = Some(value),
                b'f' => stanza.broken = Some(value),
                _ => {}
            }
        }
        Some(stanza)
    }
}

/// Returns a list with exactly one space between its entries, as apk writes what it has read.
fn spaced(list: &[u8]) -> Vec<u8> {
    let entries: Vec<_> = list
        .split(u8::is_ascii_whitespace)
        .filter(|entry| !entry.is_empty())
        .collect();
    entries.join(&b' ')
}

fn parse_number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
