//! Writing the parsed form of an index.

use std::collections::HashMap;

use super::{CONFLICT, LENGTHS, MAGIC, PACKAGE, SOUND, UNKNOWN_FIELD, WRITTEN, crc, number};
use crate::dependency;
use crate::digest::Sha1;
use crate::index::directory::{Directory, Link, is_sound};
use crate::index::name_hash::name_hash;
use crate::index::origin::Origin;
use crate::index::tables::{NAME, TextAt, Word, bytes, words};
use crate::index::{Text, slice};
use crate::version::Dialect;

/// What is added to the tables of a directory.
struct Writer<'a> {
    directory: Directory<'a>,
    pool: Vec<u8>,
    names: Vec<[u8; NAME]>,
    links: Vec<Word>,
    /// Where the names begin in the pool and stand in the table that are only depended on.
    strangers: HashMap<String, usize>,
    /// Where what stands more than once begins in the pool: dependencies and architectures.
    texts: HashMap<String, u32>,
}

/// Returns the parsed form of a text.
pub(super) fn write(index: &Text, origin: &Origin, dialect: Dialect) -> Vec<u8> {
    let tables = index.tables(dialect);
    let directory = index.directory(dialect);
    let mut writer = Writer {
        directory,
        pool: tables.pool.clone(),
        names: tables.names.clone(),
        links: Vec::new(),
        strangers: HashMap::new(),
        texts: HashMap::new(),
    };
    let mut packages = Vec::with_capacity(index.records.len() * PACKAGE);
    for (position, record) in index.records.iter().enumerate() {
        let package = directory.package(position);
        let name = package.name().unwrap_or_default();
        let version = writer.version(name, position, slice(&index.all, record.version));
        let architecture = writer.text(slice(&index.all, record.architecture));
        let size = index.stanza(record).size();
        for (name, version) in package.provides() {
            writer.link(name, version.map(TextAt::word));
        }
        let provides = writer.links.len() as u32;
        let mut list = dependency::list(slice(&index.all, record.depends), dialect);
        for dependency in list.by_ref() {
            writer.dependency(directory.link(dependency));
        }
        let depends = writer.links.len() as u32;
        package
            .install_if()
            .for_each(|link| writer.dependency(link));
        let install_if = writer.links.len() as u32;
        let mut flags = 0;
        if record.unknown_field {
            flags |= UNKNOWN_FIELD;
        }
        if is_sound(slice(&index.all, record.version), &list, dialect) {
            flags |= SOUND;
        }
        let none = Sha1::new([0; 20]);
        packages.extend_from_slice(record.identity.unwrap_or(none).as_bytes());
        let words = [
            name as u32,
            version,
            architecture,
            size as u32,
            (size >> 32) as u32,
            record.provider_priority,
            record.line,
            flags,
            provides,
            depends,
            install_if,
        ];
        packages.extend_from_slice(&bytes::<11, 44>(words));
    }
    let rest = about(origin);
    let parts: [&[u8]; LENGTHS] = [
        &writer.pool,
        tables.filter.as_flattened(),
        tables.buckets.as_flattened(),
        tables.slots.as_flattened(),
        writer.names.as_flattened(),
        tables.givers.as_flattened(),
        tables.waiting.as_flattened(),
        &packages,
        writer.links.as_flattened(),
        &rest,
    ];
    let mut bytes = parts.concat();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(origin.sha256.as_bytes());
    bytes.extend_from_slice(origin.fingerprint.as_bytes());
    let mut word = |word: u32| bytes.extend_from_slice(&word.to_le_bytes());
    word(number(dialect));
    word(tables.names.len() as u32);
    for part in parts {
        word(part.len() as u32);
    }
    let crc = crc(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

impl Writer<'_> {
    /// Returns where a version begins in the pool that a package has under a name.
    fn version(&mut self, name: usize, package: usize, version: &str) -> u32 {
        let named = self.directory.get(name);
        let known = named.and_then(|named| named.version_at(package, version));
        known.map_or_else(|| self.text(version), TextAt::word)
    }

    fn text(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(start) = self.texts.get(text) {
            return *start;
        }
        let start = self.put(text);
        self.texts.insert(text.to_owned(), start);
        start
    }

    fn put(&mut self, text: &str) -> u32 {
        let start = self.pool.len() as u32;
        self.pool.extend_from_slice(text.as_bytes());
        self.pool.push(b'\n');
        start
    }

    fn dependency(&mut self, link: Link<'_>) {
        match link {
            Link::Plain(name) => self.link(name, None),
            Link::Written { name, dependency } => {
                let name = name.unwrap_or_else(|| self.stranger(dependency.name));
                let plain = dependency.is_plain();
                let written = (!plain).then(|| self.text(&dependency.to_string()));
                let conflict = if dependency.conflict { CONFLICT } else { 0 };
                self.link(name | conflict as usize, written);
            }
            // What a text says is not kept yet.
            Link::Kept { .. } => {}
        }
    }

    fn link(&mut self, name: usize, rest: Option<u32>) {
        let flag = rest.map_or(0, |_| WRITTEN);
        self.links.push((name as u32 | flag).to_le_bytes());
        self.links.extend(rest.map(u32::to_le_bytes));
    }

    /// Returns the position of a name that is only depended on.
    fn stranger(&mut self, name: &str) -> usize {
        if let Some(position) = self.strangers.get(name) {
            return *position;
        }
        let text = self.put(name);
        let last = self.names.last().map_or([0; 4], words);
        let [_, _, givers, waiting] = last;
        let position = self.names.len();
        self.names
            .push(bytes([text, name_hash(name), givers, waiting]));
        self.strangers.insert(name.to_owned(), position);
        position
    }
}

/// Writes who signed an index, and what it says of itself.
fn about(origin: &Origin) -> Vec<u8> {
    let signers = origin.signers.iter().map(String::as_bytes);
    let parts = [&origin.description, origin.key_name.as_bytes()];
    let mut about = origin.made.unwrap_or(0).to_le_bytes().to_vec();
    for part in parts.into_iter().chain(signers) {
        about.extend_from_slice(&(part.len() as u32).to_le_bytes());
        about.extend_from_slice(part);
    }
    about
}
