//! The parsed form of an index: what choosing packages takes of it, ready to be used.
//!
//! It is kept in a cache, and so is bound to what it was made from and checked when it is read. It
//! holds the index's lines that a choice looks at, and the tables that point into them: no line
//! is looked for and no name is hashed again. Integers are little-endian.
//!
//! ```text
//! the lines of each package: P V A S D p i
//! the packages, the directory's buckets, names, givers and waiting, 32-bit words each
//! who signed the index, and what it says of itself
//! the footer: what it was made from and under, each part's length, the CRC-32 of all before it
//! ```
//!
//! The CRC finds damage. It keeps nobody out who may write to the cache: whoever takes packages by
//! a parsed form has to look them up in the signed index before they are believed.

use std::sync::OnceLock;

use super::directory::{Entry, Given, Tables, slice};
use super::{Index, Range, Record};
use crate::digest::{Sha1, Sha256};
use crate::key::Keyring;
use crate::signature::SignedIndex;
use crate::version::Dialect;

/// The first bytes of the footer. The number goes up with every change of the form or of what a
/// table means, so that no other version's is read.
const MAGIC: &[u8; 16] = b"prebake index 1\n";

/// The words of a package.
const RECORD: usize = 22;
/// The words of a name of the directory.
const NAME: usize = 6;
/// The words of a giver of the directory.
const GIVER: usize = 3;
/// The lengths in the footer.
const LENGTHS: usize = 7;
/// The length of the footer in bytes: magic, two digests, the dialect, the lengths, the CRC.
const FOOTER: usize = 16 + 32 + 32 + 4 + 4 * LENGTHS + 4;

/// What an index was made from, and who vouched for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The SHA-256 of the `APKINDEX.tar.gz`.
    pub sha256: Sha256,
    /// The fingerprint of the key whose signature was found to hold.
    pub fingerprint: Sha256,
    /// The file name of that key.
    pub key_name: String,
    /// The file names of the keys that signed it, in the order of the signatures.
    pub signers: Vec<String>,
    /// The repository's description of itself.
    pub description: Vec<u8>,
}

impl Origin {
    /// Says where an index comes from that was opened just now, from a file of that hash.
    pub fn of(signed: &SignedIndex, sha256: Sha256) -> Self {
        Self {
            sha256,
            fingerprint: signed.fingerprint,
            key_name: signed.key_name.clone(),
            signers: signed.signers.clone(),
            description: signed.description.clone(),
        }
    }

    /// Says whether opening the index with these keys would find the same signature to hold: the
    /// first one whose key's name is known has to be the one that was checked, and the key of that
    /// name the very key that it was checked with.
    ///
    /// That a key's signature over a file holds does not depend on what else is trusted, so it need
    /// not be computed again; whether the key is trusted is asked on every use.
    pub fn is_trusted(&self, keys: &Keyring) -> bool {
        let known = self
            .signers
            .iter()
            .find_map(|name| Some((name, keys.get(name)?)));
        known.is_some_and(|(name, key)| {
            *name == self.key_name && key.fingerprint() == self.fingerprint
        })
    }
}

impl Index {
    /// Returns the parsed form, with what `dialect` makes of names and versions.
    pub fn to_parsed(&self, origin: &Origin, dialect: Dialect) -> Vec<u8> {
        let slim = self.slim();
        let tables = slim.directory(dialect).tables();
        let mut bytes = slim.text.as_bytes().to_vec();
        let mut words = Words(&mut bytes);
        for record in &slim.records {
            words.record(record);
        }
        words.all(&tables.buckets);
        for name in &tables.names {
            words.range(name.text);
            words.all(&[name.hash, name.rank, name.givers, name.waiting]);
        }
        for giver in &tables.givers {
            words.all(&[giver.package]);
            words.range(giver.version);
        }
        words.all(&tables.waiting);
        let before = bytes.len();
        let mut text = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        text(&origin.description);
        text(origin.key_name.as_bytes());
        for signer in &origin.signers {
            text(signer.as_bytes());
        }
        let lengths: [usize; LENGTHS] = [
            slim.text.len(),
            slim.records.len(),
            tables.buckets.len(),
            tables.names.len(),
            tables.givers.len(),
            tables.waiting.len(),
            bytes.len() - before,
        ];
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(origin.sha256.as_bytes());
        bytes.extend_from_slice(origin.fingerprint.as_bytes());
        let mut words = Words(&mut bytes);
        words.all(&[number(dialect)]);
        words.all(&lengths.map(|length| length as u32));
        let crc = crc(&bytes);
        Words(&mut bytes).all(&[crc]);
        bytes
    }

    /// Reads a parsed form that is to be of the index with the hash `sha256` and of `dialect`;
    /// `None` if it is anything else, or damaged.
    ///
    /// Of its packages, [`Stanza::text`](super::Stanza::text) and what reads it
    /// ([`Stanza::field`](super::Stanza::field) and all that is not in `P V A S C D p i k`) know no
    /// more than that.
    pub fn from_parsed(
        mut bytes: Vec<u8>,
        sha256: Sha256,
        dialect: Dialect,
    ) -> Option<(Self, Origin)> {
        let (body, footer) = bytes.split_at_checked(bytes.len().checked_sub(FOOTER)?)?;
        let mut footer = Bytes(footer);
        if footer.take(MAGIC.len())? != MAGIC || footer.take(32)? != sha256.as_bytes() {
            return None;
        }
        let fingerprint = Sha256::new(*footer.take(32)?.first_chunk()?);
        if footer.word()? != number(dialect) {
            return None;
        }
        let mut lengths = [0; LENGTHS];
        for length in &mut lengths {
            *length = footer.word()? as usize;
        }
        let expected = footer.word()?;
        if crc(bytes.get(..bytes.len() - 4)?) != expected {
            return None;
        }
        let [text, records, buckets, names, givers, waiting, rest] = lengths;
        if text > Self::MAX_LENGTH {
            return None;
        }
        let mut body = Bytes(body);
        body.take(text)?;
        let records = body.table::<{ RECORD * 4 }, _>(records, record)?;
        let tables = Tables {
            buckets: body.table::<4, _>(buckets, |word| Some(u32::from_le_bytes(*word)))?,
            names: body.table::<{ NAME * 4 }, _>(names, |name| {
                Some(Entry {
                    text: range(name, 0),
                    hash: word(name, 2),
                    rank: word(name, 3),
                    givers: word(name, 4),
                    waiting: word(name, 5),
                })
            })?,
            givers: body.table::<{ GIVER * 4 }, _>(givers, |giver| {
                Some(Given {
                    package: word(giver, 0),
                    version: range(giver, 1),
                })
            })?,
            waiting: body.table::<4, _>(waiting, |word| Some(u32::from_le_bytes(*word)))?,
        };
        if body.0.len() != rest {
            return None;
        }
        let description = body.text()?.to_vec();
        let key_name = String::from_utf8(body.text()?.to_vec()).ok()?;
        let mut signers = Vec::new();
        while !body.0.is_empty() {
            signers.push(String::from_utf8(body.text()?.to_vec()).ok()?);
        }
        bytes.truncate(text);
        let index = Self {
            text: String::from_utf8(bytes).ok()?,
            records,
            directories: Box::default(),
        };
        let [v2, v3] = &*index.directories;
        let slot: &OnceLock<_> = match dialect {
            Dialect::V2 => v2,
            Dialect::V3 => v3,
        };
        slot.set(tables).ok()?;
        let origin = Origin {
            sha256,
            fingerprint,
            key_name,
            signers,
            description,
        };
        Some((index, origin))
    }

    /// Says whether this, which was read from a parsed form of `dialect`, is in all it says that of
    /// `index`.
    pub fn is_parsed_form_of(&self, index: &Self, dialect: Dialect) -> bool {
        let slim = index.slim();
        self.text == slim.text
            && self.records == slim.records
            && self.directory(dialect).tables() == slim.directory(dialect).tables()
    }

    /// Returns the index without the lines that no choice looks at.
    fn slim(&self) -> Self {
        let mut text = String::with_capacity(self.text.len() / 2);
        let mut records = Vec::with_capacity(self.records.len());
        for (record, stanza) in self.records.iter().zip(self.iter()) {
            let start = text.len() as u32;
            let mut line = |letter: char, value: Option<&str>| {
                let Some(value) = value else {
                    return Range::default();
                };
                text.push(letter);
                text.push(':');
                let start = text.len() as u32;
                text.push_str(value);
                let end = text.len() as u32;
                text.push('\n');
                Range { start, end }
            };
            let part = |range: Range| (range.end != 0).then(|| slice(&self.text, range));
            let name = line('P', part(record.name));
            let version = line('V', part(record.version));
            let architecture = line('A', part(record.architecture));
            line('S', stanza.field('S'));
            let slim = Record {
                name,
                version,
                architecture,
                depends: line('D', part(record.depends)),
                provides: line('p', part(record.provides)),
                install_if: line('i', part(record.install_if)),
                stanza: Range {
                    start,
                    end: text.len() as u32,
                },
                ..*record
            };
            records.push(slim);
            text.push('\n');
        }
        Self {
            text,
            records,
            directories: Box::default(),
        }
    }
}

/// The number of a dialect in the footer.
fn number(dialect: Dialect) -> u32 {
    match dialect {
        Dialect::V2 => 2,
        Dialect::V3 => 3,
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Writes words.
struct Words<'a>(&'a mut Vec<u8>);

impl Words<'_> {
    fn all(&mut self, words: &[u32]) {
        for word in words {
            self.0.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn range(&mut self, range: Range) {
        self.all(&[range.start, range.end]);
    }

    fn record(&mut self, record: &Record) {
        self.range(record.stanza);
        self.range(record.name);
        self.range(record.version);
        self.range(record.architecture);
        self.range(record.depends);
        self.range(record.provides);
        self.range(record.install_if);
        self.all(&[
            record.provider_priority,
            record.line,
            u32::from(record.unknown_field),
        ]);
        let none = Sha1::new([0; 20]);
        self.0
            .extend_from_slice(record.identity.unwrap_or(none).as_bytes());
    }
}

fn record(bytes: &[u8; RECORD * 4]) -> Option<Record> {
    let mut identity = [0; 20];
    for (to, from) in identity.iter_mut().zip(bytes.iter().skip(17 * 4)) {
        *to = *from;
    }
    Some(Record {
        stanza: range(bytes, 0),
        name: range(bytes, 2),
        version: range(bytes, 4),
        architecture: range(bytes, 6),
        depends: range(bytes, 8),
        provides: range(bytes, 10),
        install_if: range(bytes, 12),
        provider_priority: word(bytes, 14),
        line: word(bytes, 15),
        // Any other number was not written here.
        unknown_field: match word(bytes, 16) {
            0 => false,
            1 => true,
            _ => return None,
        },
        identity: Some(Sha1::new(identity)),
    })
}

/// Returns the word at a position, counted in words.
fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at * 4..).and_then(|rest| rest.first_chunk());
    u32::from_le_bytes(word.copied().unwrap_or_default())
}

fn range(bytes: &[u8], at: usize) -> Range {
    Range {
        start: word(bytes, at),
        end: word(bytes, at + 1),
    }
}

/// Takes parts off the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    /// Takes a text whose length stands before it.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.word()?;
        self.take(length as usize)
    }

    /// Takes `count` items of `N` bytes each. Nothing is allocated for items that are not there.
    fn table<const N: usize, T>(
        &mut self,
        count: usize,
        read: impl Fn(&[u8; N]) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (items, _) = self.take(count.checked_mul(N)?)?.as_chunks::<N>();
        items.iter().map(read).collect()
    }
}
