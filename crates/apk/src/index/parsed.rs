//! The parsed form of an index: what choosing packages takes of it, used as it lies there.
//!
//! It is kept in a cache, and so is bound to what it was made from and checked when it is read. It
//! holds what a choice looks at, and no text has to be taken apart for it: the tables of the
//! directory, and of each package the names that it refers to by their positions. Nothing is made
//! of it when it is read, so that of a large index only that is touched which a world leads to.
//! Integers are little-endian, and each is only looked up as what it may be: whatever stands there,
//! it leads to nothing worse than a wrong answer.
//!
//! ```text
//! the pool: names, versions and dependencies, each with a newline after it
//! the directory's filter, buckets, slots, names, givers and waiting; the last of the names are
//!     those that are only depended on
//! the packages, 64 bytes each; what they refer to
//! who signed the index, and what it says of itself
//! the footer: what it was made from and under, each part's length, the CRC-32 of all before it
//! ```
//!
//! The CRC finds damage. It keeps nobody out who may write to the cache: whoever takes packages by
//! a parsed form has to hold it against the signed index before they are believed.

use std::ops::Range;
use std::sync::Arc;

use super::Index;
use super::directory::{Directory, Link, Packages as Described};
use super::origin::Origin;
use super::tables::{GIVER, NAME, TextAt, View, Word, line, words};
use crate::dependency::{self, Dependency};
use crate::digest::{Sha1, Sha256};
use crate::version::Dialect;

mod write;

/// The first bytes of the footer. The number goes up with every change of the form or of what a
/// table means, so that no other version's is read.
const MAGIC: &[u8; 16] = b"prebake index 4\n";

/// The bytes of a package: its identity, then words. The texts are its version and architecture;
/// its name is a position; the size in bytes takes two words. The last three words say where what
/// it provides, depends on and waits for ends among the links; each begins where the one before
/// ends.
const PACKAGE: usize = 20 + 11 * 4;
/// Set in a link that has a second word: of what is provided the version, of what is depended on
/// the dependency as it is written. What has none is provided without a version, or wanted in any.
const WRITTEN: u32 = 1 << 31;
/// Set in a link that has a second word and forbids what it names.
const CONFLICT: u32 = 1 << 30;
/// The flags of a package: it has a field with an unknown uppercase letter; its version and
/// dependencies can be read.
const UNKNOWN_FIELD: u32 = 1;
const SOUND: u32 = 2;
/// The lengths in the footer.
const LENGTHS: usize = 10;
/// The length of the footer in bytes: magic, two digests, the dialect, how many names the buckets
/// have, the lengths, the CRC.
const FOOTER: usize = 16 + 32 + 32 + 4 + 4 + 4 * LENGTHS + 4;

/// A parsed form.
#[derive(Clone)]
pub(super) struct Parsed {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    pub(super) dialect: Dialect,
    /// How many names the buckets have.
    known: usize,
    pool: Range<usize>,
    filter: Range<usize>,
    buckets: Range<usize>,
    slots: Range<usize>,
    names: Range<usize>,
    givers: Range<usize>,
    waiting: Range<usize>,
    packages: Range<usize>,
    links: Range<usize>,
}

/// The packages of a parsed form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packages<'a> {
    pool: &'a [u8],
    names: &'a [[u8; NAME]],
    table: &'a [[u8; PACKAGE]],
    links: &'a [Word],
    dialect: Dialect,
}

/// A package of a parsed form.
#[derive(Clone, Copy)]
pub(super) struct Package<'a> {
    pool: &'a [u8],
    names: &'a [[u8; NAME]],
    bytes: &'a [u8; PACKAGE],
}

/// Iterates over dependencies.
pub(super) struct Links<'a>(std::slice::Iter<'a, Word>);

/// Iterates over what a package provides.
pub(super) struct Provides<'a>(std::slice::Iter<'a, Word>);

impl Parsed {
    pub(super) fn len(&self) -> usize {
        self.packages.len() / PACKAGE
    }

    pub(super) fn directory(&self) -> Directory<'_> {
        let tables = View {
            pool: self.part(&self.pool),
            filter: self.part(&self.filter).as_chunks().0,
            buckets: self.part(&self.buckets).as_chunks().0,
            slots: self.part(&self.slots).as_chunks().0,
            names: self.part(&self.names).as_chunks().0,
            givers: self.part(&self.givers).as_chunks().0,
            waiting: self.part(&self.waiting).as_chunks().0,
        };
        let packages = Described::Parsed(self.packages());
        Directory::new(tables, packages, self.known.min(tables.names.len()))
    }

    pub(super) fn packages(&self) -> Packages<'_> {
        Packages {
            pool: self.part(&self.pool),
            names: self.part(&self.names).as_chunks().0,
            table: self.part(&self.packages).as_chunks().0,
            links: self.part(&self.links).as_chunks().0,
            dialect: self.dialect,
        }
    }

    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.bytes().get(range.clone()).unwrap_or_default()
    }
}

impl<'a> Packages<'a> {
    #[inline]
    pub(super) fn get(&self, position: usize) -> Option<Package<'a>> {
        Some(Package {
            pool: self.pool,
            names: self.names,
            bytes: self.table.get(position)?,
        })
    }

    #[inline]
    pub(super) fn provides(&self, position: usize) -> Provides<'a> {
        let before = position.checked_sub(1);
        let before = before.and_then(|before| self.get(before));
        let start = before.map_or(0, |before| before.ends()[2]);
        Provides(self.links(start, self.ends(position)[0]).iter())
    }

    #[inline]
    pub(super) fn depends(&self, position: usize) -> Links<'a> {
        let [start, end, _] = self.ends(position);
        self.dependencies(start, end)
    }

    #[inline]
    pub(super) fn install_if(&self, position: usize) -> Links<'a> {
        let [_, start, end] = self.ends(position);
        self.dependencies(start, end)
    }

    fn dependencies(&self, start: u32, end: u32) -> Links<'a> {
        Links(self.links(start, end).iter())
    }

    /// Reads a dependency as it is kept.
    pub(super) fn dependency(&self, text: &'a str) -> Option<Dependency<'a>> {
        dependency::list(text, self.dialect).next()
    }

    #[inline]
    fn ends(&self, position: usize) -> [u32; 3] {
        self.get(position).map_or([0; 3], |package| package.ends())
    }

    #[inline]
    fn links(&self, start: u32, end: u32) -> &'a [Word] {
        self.links
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }
}

impl<'a> Package<'a> {
    #[inline]
    fn words(&self) -> [u32; 11] {
        let [_, _, _, _, _, rest @ ..] = words::<16, PACKAGE>(self.bytes);
        rest
    }

    #[inline]
    fn ends(&self) -> [u32; 3] {
        let [.., provides, depends, install_if] = self.words();
        [provides, depends, install_if]
    }

    pub(super) fn name(&self) -> usize {
        let [name, ..] = self.words();
        name as usize
    }

    pub(super) fn name_text(&self) -> &'a str {
        let [name, ..] = self.words();
        let name = self.names.get(name as usize);
        name.map_or("", |name| {
            let [text, ..] = words::<4, NAME>(name);
            line(self.pool, text)
        })
    }

    pub(super) fn version(&self) -> &'a str {
        let [_, version, ..] = self.words();
        line(self.pool, version)
    }

    pub(super) fn architecture(&self) -> &'a str {
        let [_, _, architecture, ..] = self.words();
        line(self.pool, architecture)
    }

    pub(super) fn identity(&self) -> Sha1 {
        let identity = self.bytes.first_chunk().copied();
        Sha1::new(identity.unwrap_or_default())
    }

    pub(super) fn size(&self) -> u64 {
        let [_, _, _, low, high, ..] = self.words();
        u64::from(high) << 32 | u64::from(low)
    }

    pub(super) fn provider_priority(&self) -> u32 {
        let [_, _, _, _, _, priority, ..] = self.words();
        priority
    }

    pub(super) fn line(&self) -> u32 {
        let [.., line, _, _, _, _] = self.words();
        line
    }

    pub(super) fn has_unknown_field(&self) -> bool {
        self.flags() & UNKNOWN_FIELD != 0
    }

    pub(super) fn is_sound(&self) -> bool {
        self.flags() & SOUND != 0
    }

    fn flags(&self) -> u32 {
        let [.., flags, _, _, _] = self.words();
        flags
    }
}

/// Takes a link: the position of its name, and where the rest of it begins in the pool.
#[inline]
fn next(links: &mut std::slice::Iter<'_, Word>) -> Option<(usize, Option<u32>)> {
    let word = u32::from_le_bytes(*links.next()?);
    if word & WRITTEN == 0 {
        return Some((word as usize, None));
    }
    let rest = u32::from_le_bytes(*links.next()?);
    Some(((word & !WRITTEN) as usize, Some(rest)))
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    #[inline]
    fn next(&mut self) -> Option<Link<'a>> {
        let (name, at) = next(&mut self.0)?;
        let Some(at) = at else {
            return Some(Link::Plain(name));
        };
        Some(Link::Kept {
            name: name & !(CONFLICT as usize),
            conflict: name & CONFLICT as usize != 0,
            at: TextAt::new(at)?,
        })
    }
}

impl Iterator for Provides<'_> {
    type Item = (usize, Option<TextAt>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, version) = next(&mut self.0)?;
        Some((name, version.and_then(TextAt::new)))
    }
}

impl Index {
    /// Returns the parsed form, with what `dialect` makes of names and versions; `None` of an
    /// index that was read from one itself.
    pub fn to_parsed(&self, origin: &Origin, dialect: Dialect) -> Option<Vec<u8>> {
        self.text().map(|text| write::write(text, origin, dialect))
    }

    /// Reads a parsed form that is to be of the index with the hash `sha256` and of `dialect`;
    /// `None` if it is anything else, or damaged.
    ///
    /// Its packages know no more of their text than their name, version, architecture, identity,
    /// size, line and priority as a provider; what they refer to is in the directory.
    pub fn from_parsed(
        kept: impl AsRef<[u8]> + Send + Sync + 'static,
        sha256: Sha256,
        dialect: Dialect,
    ) -> Option<(Self, Origin)> {
        let bytes = kept.as_ref();
        let (body, footer) = bytes.split_at_checked(bytes.len().checked_sub(FOOTER)?)?;
        let mut footer = Taken(footer);
        if footer.take(MAGIC.len())? != MAGIC || footer.take(32)? != sha256.as_bytes() {
            return None;
        }
        let fingerprint = Sha256::new(*footer.take(32)?.first_chunk()?);
        if footer.word()? != number(dialect) {
            return None;
        }
        let known = footer.word()? as usize;
        let mut at = 0;
        let mut parts: [Range<usize>; LENGTHS] = Default::default();
        for part in &mut parts {
            let end = footer.word()? as usize + at;
            *part = at..end;
            at = end;
        }
        let expected = footer.word()?;
        if at != body.len() || crc(bytes.get(..bytes.len() - 4)?) != expected {
            return None;
        }
        let [
            pool,
            filter,
            buckets,
            slots,
            names,
            givers,
            waiting,
            packages,
            links,
            rest,
        ] = parts;
        let items = [
            (&filter, 4),
            (&buckets, 4),
            (&slots, 4),
            (&names, NAME),
            (&givers, GIVER),
            (&waiting, 4),
            (&packages, PACKAGE),
            (&links, 4),
        ];
        if items.iter().any(|(part, size)| part.len() % size != 0) {
            return None;
        }
        let mut rest = Taken(body.get(rest)?);
        let made = u64::from_le_bytes(*rest.take(8)?.first_chunk()?);
        let description = rest.text()?.to_vec();
        let key_name = String::from_utf8(rest.text()?.to_vec()).ok()?;
        let mut signers = Vec::new();
        while !rest.0.is_empty() {
            signers.push(String::from_utf8(rest.text()?.to_vec()).ok()?);
        }
        let origin = Origin {
            sha256,
            fingerprint,
            key_name,
            signers,
            description,
            made: (made > 0).then_some(made),
        };
        let parsed = Parsed {
            bytes: Arc::new(kept),
            dialect,
            known,
            pool,
            filter,
            buckets,
            slots,
            names,
            givers,
            waiting,
            packages,
            links,
        };
        Some((parsed.into(), origin))
    }

    /// Says whether this is in all it says what was read from the parsed form of `index`, which is
    /// of `origin`.
    pub fn is_parsed_form_of(&self, index: &Self, origin: &Origin) -> bool {
        self.parsed().is_some_and(|parsed| {
            index
                .to_parsed(origin, parsed.dialect)
                .is_some_and(|bytes| bytes == parsed.bytes())
        })
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

/// Takes parts off the front.
struct Taken<'a>(&'a [u8]);

impl<'a> Taken<'a> {
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
}
