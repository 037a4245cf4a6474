//! Who gives which name: the index of an index.
//!
//! A solver asks for names, and an index is ordered by packages. The directory turns it round: of
//! each name that a package has, provides or waits for, the packages that give it and the packages
//! that it may bring. It is four flat tables of numbers that point into the text.

use super::{Range, Record};
use crate::dependency::{self, Operator};
use crate::version::Dialect;

/// The tables of one dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    /// Of each hash's first bits, where its names begin in `names`; and the end of all.
    pub(super) buckets: Vec<u32>,
    /// The names, ordered by hash and then by text.
    pub(super) names: Vec<Entry>,
    /// Who gives each name, in the order of the names and then of the text.
    pub(super) givers: Vec<Given>,
    /// The packages that have each name in their `install_if`, in the same order.
    pub(super) waiting: Vec<u32>,
}

/// A name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) text: Range,
    pub(super) hash: u32,
    /// How many mentions of names stand before its first.
    pub(super) rank: u32,
    /// Where its givers end; they begin where those of the name before it end.
    pub(super) givers: u32,
    /// Where those that wait for it end.
    pub(super) waiting: u32,
}

/// A package under one of its names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// The package, times two, and one more where the name is its own.
    pub(super) package: u32,
    /// The version; empty at 0 for none.
    pub(super) version: Range,
}

/// A name where it stands in the text.
struct Mention {
    text: Range,
    hash: u32,
    package: u32,
    version: Range,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Own,
    Provided,
    Awaited,
}

/// Who gives which name in an index; made by [`Index::directory`](super::Index::directory).
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    text: &'a str,
    tables: &'a Tables,
}

/// A name of a [`Directory`].
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    directory: Directory<'a>,
    position: usize,
    entry: Entry,
}

/// A package under one of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Giver<'a> {
    /// The package's position in the index.
    pub package: usize,
    /// Whether the name is its own (`P:`) and not one that it provides.
    pub own: bool,
    /// The version that it has under the name; `None` where a `provides` gives none.
    pub version: Option<&'a str>,
}

impl<'a> Directory<'a> {
    pub(super) fn new(text: &'a str, tables: &'a Tables) -> Self {
        Self { text, tables }
    }

    pub(super) fn tables(&self) -> &'a Tables {
        self.tables
    }

    /// Returns the number of names.
    pub fn len(&self) -> usize {
        self.tables.names.len()
    }

    /// Says whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.tables.names.is_empty()
    }

    /// Returns the position of a name that some package has, provides or has in its `install_if`.
    pub fn find(&self, name: &str) -> Option<usize> {
        let hash = hash(name.as_bytes());
        let buckets = self.tables.buckets.len().checked_sub(1)?;
        let bucket = bucket(hash, buckets);
        let start = *self.tables.buckets.get(bucket)? as usize;
        let end = *self.tables.buckets.get(bucket + 1)? as usize;
        let found = self
            .tables
            .names
            .get(start..end)?
            .binary_search_by(|entry| {
                let text = || slice(self.text, entry.text).cmp(name);
                entry.hash.cmp(&hash).then_with(text)
            });
        Some(start + found.ok()?)
    }

    /// Returns the name at a position; positions have an order that means nothing.
    pub fn get(&self, position: usize) -> Option<Named<'a>> {
        Some(Named {
            directory: *self,
            position,
            entry: *self.tables.names.get(position)?,
        })
    }
}

impl<'a> Named<'a> {
    /// Returns the name.
    pub fn text(&self) -> &'a str {
        slice(self.directory.text, self.entry.text)
    }

    /// Returns a number by which names are in the order in which the index first has them.
    pub fn rank(&self) -> u32 {
        self.entry.rank
    }

    fn before(&self) -> Entry {
        let before = self.position.checked_sub(1);
        let before = before.and_then(|before| self.directory.tables.names.get(before));
        before.copied().unwrap_or_default()
    }

    /// Returns who gives it, in the order of the index.
    pub fn givers(&self) -> impl Iterator<Item = Giver<'a>> + use<'a> {
        let text = self.directory.text;
        let range = self.before().givers as usize..self.entry.givers as usize;
        let givers = self.directory.tables.givers.get(range);
        givers.into_iter().flatten().map(move |given| Giver {
            package: given.package as usize / 2,
            own: given.package % 2 == 1,
            version: (given.version.end != 0).then(|| slice(text, given.version)),
        })
    }

    /// Returns the positions of the packages that have it in their `install_if`, in the order of
    /// the index.
    pub fn waiting(&self) -> impl Iterator<Item = usize> + use<'a> {
        let range = self.before().waiting as usize..self.entry.waiting as usize;
        let waiting = self.directory.tables.waiting.get(range);
        waiting.into_iter().flatten().map(|at| *at as usize)
    }
}

/// Makes the tables of an index.
pub(super) fn build(text: &str, records: &[Record], dialect: Dialect) -> Tables {
    let mentions = mentions(text, records, dialect);
    let buckets = mentions.len().next_power_of_two();
    // A name's mentions come together: first by the first bits of its hash, then by the rest.
    let mut ends = vec![0_u32; buckets + 1];
    for mention in &mentions {
        if let Some(count) = ends.get_mut(bucket(mention.hash, buckets) + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let starts = ends.clone();
    let mut order = vec![0_u32; mentions.len()];
    for (at, mention) in mentions.iter().enumerate() {
        if let Some(next) = ends.get_mut(bucket(mention.hash, buckets)) {
            if let Some(slot) = order.get_mut(*next as usize) {
                *slot = at as u32;
            }
            *next += 1;
        }
    }
    let key = |at: &u32| {
        let mention = mentions.get(*at as usize);
        mention.map(|mention| (mention.hash, slice(text, mention.text)))
    };
    let mut tables = Tables {
        buckets: Vec::with_capacity(buckets + 1),
        names: Vec::with_capacity(mentions.len()),
        givers: Vec::with_capacity(mentions.len()),
        waiting: Vec::new(),
    };
    for pair in starts.windows(2) {
        let [start, end] = *pair else { break };
        tables.buckets.push(tables.names.len() as u32);
        let Some(order) = order.get_mut(start as usize..end as usize) else {
            break;
        };
        if order.len() > 1 {
            order.sort_by(|a, b| key(a).cmp(&key(b)));
        }
        let mut last = None;
        for at in order {
            let Some(mention) = mentions.get(*at as usize) else {
                break;
            };
            let this = Some((mention.hash, slice(text, mention.text)));
            if last != this {
                last = this;
                tables.names.push(Entry {
                    text: mention.text,
                    hash: mention.hash,
                    rank: *at,
                    givers: 0,
                    waiting: 0,
                });
            }
            if mention.kind == Kind::Awaited {
                tables.waiting.push(mention.package);
            } else {
                tables.givers.push(Given {
                    package: mention.package * 2 + u32::from(mention.kind == Kind::Own),
                    version: mention.version,
                });
            }
            if let Some(entry) = tables.names.last_mut() {
                entry.givers = tables.givers.len() as u32;
                entry.waiting = tables.waiting.len() as u32;
            }
        }
    }
    tables.buckets.push(tables.names.len() as u32);
    tables
}

/// Returns every name where it stands in the text, in its order: of each package its own, what it
/// provides, and what it waits for.
fn mentions(text: &str, records: &[Record], dialect: Dialect) -> Vec<Mention> {
    // Alpine's packages have between two and three names each.
    let mut mentions = Vec::with_capacity(records.len() * 3);
    let base = text.as_ptr() as usize;
    let range = |part: &str| {
        let start = part.as_ptr() as usize - base;
        Range {
            start: start as u32,
            end: (start + part.len()) as u32,
        }
    };
    for (package, record) in (0..).zip(records) {
        let mut mention = |text: Range, name: &str, version, kind| {
            mentions.push(Mention {
                text,
                hash: hash(name.as_bytes()),
                package,
                version,
                kind,
            });
        };
        let name = slice(text, record.name);
        mention(record.name, name, record.version, Kind::Own);
        for provided in dependency::list(slice(text, record.provides), dialect) {
            let version = match provided.operator {
                Operator::Any => Range::default(),
                _ => range(provided.version),
            };
            mention(range(provided.name), provided.name, version, Kind::Provided);
        }
        for awaited in dependency::list(slice(text, record.install_if), dialect) {
            let none = Range::default();
            mention(range(awaited.name), awaited.name, none, Kind::Awaited);
        }
    }
    mentions
}

pub(super) fn slice(text: &str, range: Range) -> &str {
    text.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

/// Returns which of `buckets`, a power of two, a hash is in: its first bits say so.
fn bucket(hash: u32, buckets: usize) -> usize {
    ((u64::from(hash) * buckets as u64) >> 32) as usize
}

/// Returns the hash of a name. It need not be strong: names of one bucket are kept in order, so
/// that many of them cost a few comparisons more and no more.
fn hash(name: &[u8]) -> u32 {
    // 2^64 divided by the golden ratio: an odd number with bits all over.
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = name.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let mix = |hash: u64, word: [u8; 8]| {
        (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER)
    };
    let hash = words.iter().copied().fold(name.len() as u64, mix);
    let hash = mix(hash, last);
    ((hash ^ (hash >> 29)).wrapping_mul(MULTIPLIER) >> 32) as u32
}
