//! The tables of a directory, as bytes: the same whether they were made just now or are part of a
//! parsed form that is used in place.
//!
//! Everything is little-endian 32-bit words. A text is where it begins in the pool, and ends before
//! the next newline; what has none points to the newline that the pool begins with.

use std::num::NonZeroU32;

use memchr::memchr;

use super::name_hash::name_hash;
use super::{Range, Record, slice};
use crate::dependency::{self, Operator};
use crate::version::Dialect;

/// A word as it is kept.
pub(super) type Word = [u8; 4];
/// The bytes of a name: its text, its hash, and where its givers and those that wait for it end;
/// they begin where those of the name before end.
pub(super) const NAME: usize = 4 * 4;
/// The bytes of a giver: the package, times two and one more where the name is its own; and the
/// text of the version that it has under the name.
pub(super) const GIVER: usize = 2 * 4;

/// Where a text begins in the pool of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextAt(NonZeroU32);

impl TextAt {
    /// Returns the place of a text that a word stands for; `None` for none.
    pub(super) fn new(word: u32) -> Option<Self> {
        NonZeroU32::new(word).map(Self)
    }

    pub(super) fn word(self) -> u32 {
        self.0.get()
    }
}

/// The tables of one dialect.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) pool: Vec<u8>,
    /// Two bits for each name, by its hash. Most names that are looked for are not there, and have
    /// others; and this is small enough to stay near the processor.
    pub(super) filter: Vec<Word>,
    /// Of each hash's first bits, where its names begin in `slots`; and the end of all.
    pub(super) buckets: Vec<Word>,
    /// The positions of the names, ordered by hash and then by text.
    pub(super) slots: Vec<Word>,
    /// The names in the order in which the index first has them, so that those of one package lie
    /// together.
    pub(super) names: Vec<[u8; NAME]>,
    /// Who gives each name, in the order of the names and then of the index.
    pub(super) givers: Vec<[u8; GIVER]>,
    /// The packages that have each name in their `install_if`, in the same order.
    pub(super) waiting: Vec<Word>,
}

/// The tables, wherever they are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) pool: &'a [u8],
    pub(super) filter: &'a [Word],
    pub(super) buckets: &'a [Word],
    pub(super) slots: &'a [Word],
    /// The names of the slots, and after them those that are only depended on.
    pub(super) names: &'a [[u8; NAME]],
    pub(super) givers: &'a [[u8; GIVER]],
    pub(super) waiting: &'a [Word],
}

/// A name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) text: u32,
    pub(super) hash: u32,
    pub(super) givers: u32,
    pub(super) waiting: u32,
}

/// A name where it was mentioned: its text in the pool, and who mentions it.
struct Mention {
    text: Range,
    hash: u32,
    package: u32,
    version: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Own,
    Provided,
    Awaited,
}

impl Tables {
    pub(super) fn view(&self) -> View<'_> {
        View {
            pool: &self.pool,
            filter: &self.filter,
            buckets: &self.buckets,
            slots: &self.slots,
            names: &self.names,
            givers: &self.givers,
            waiting: &self.waiting,
        }
    }
}

impl<'a> View<'a> {
    #[inline]
    pub(super) fn entry(&self, position: usize) -> Option<Entry> {
        let [text, hash, givers, waiting] = words(self.names.get(position)?);
        Some(Entry {
            text,
            hash,
            givers,
            waiting,
        })
    }

    /// Returns the text that begins at a place of the pool.
    pub(super) fn text(&self, start: u32) -> &'a str {
        line(self.pool, start)
    }

    /// Returns the position of a name that stands in a bucket. Its text is asked for only if the
    /// hash is found.
    pub(super) fn find<'n>(&self, hash: u32, name: impl Fn() -> &'n str) -> Option<usize> {
        let (word, bits) = filtered(hash, self.filter.len());
        if u32::from_le_bytes(*self.filter.get(word)?) & bits != bits {
            return None;
        }
        let buckets = self.buckets.len().checked_sub(1)?;
        let bucket = bucket(hash, buckets);
        let start = u32::from_le_bytes(*self.buckets.get(bucket)?) as usize;
        let end = u32::from_le_bytes(*self.buckets.get(bucket + 1)?) as usize;
        let slots = self.slots.get(start..end)?;
        let found = slots.binary_search_by(|slot| {
            let position = u32::from_le_bytes(*slot);
            let entry = self.entry(position as usize).unwrap_or_default();
            let by_hash = entry.hash.cmp(&hash);
            by_hash.then_with(|| self.text(entry.text).cmp(name()))
        });
        Some(u32::from_le_bytes(*slots.get(found.ok()?)?) as usize)
    }
}

/// Returns the line of a pool that begins at a place.
pub(super) fn line(pool: &[u8], start: u32) -> &str {
    let rest = pool.get(start as usize..).unwrap_or_default();
    let end = memchr(b'\n', rest).unwrap_or(rest.len());
    let text = rest.get(..end).and_then(|text| str::from_utf8(text).ok());
    text.unwrap_or_default()
}

/// Reads the first `W` words of `B` bytes.
#[inline]
pub(super) fn words<const W: usize, const B: usize>(bytes: &[u8; B]) -> [u32; W] {
    let mut words = [0; W];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// Writes `W` words as `B` bytes.
pub(super) fn bytes<const W: usize, const B: usize>(words: [u32; W]) -> [u8; B] {
    let mut bytes = [0; B];
    for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
        *to = word.to_le_bytes();
    }
    bytes
}

/// Makes the tables of an index.
pub(super) fn build(text: &str, records: &[Record], dialect: Dialect) -> Tables {
    let (pool, mentions) = mentions(text, records, dialect);
    let buckets = (mentions.len() / 2).next_power_of_two();
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
        mention.map(|mention| (mention.hash, part(&pool, mention.text)))
    };
    // Of each mention, the first one of its name.
    let mut firsts = vec![0_u32; mentions.len()];
    let mut filter = vec![0_u32; buckets.div_ceil(2)];
    let mut tables = Tables {
        pool: Vec::new(),
        filter: Vec::new(),
        buckets: Vec::with_capacity(buckets + 1),
        slots: Vec::with_capacity(mentions.len()),
        names: Vec::with_capacity(mentions.len()),
        givers: Vec::new(),
        waiting: Vec::new(),
    };
    for pair in starts.windows(2) {
        let [start, end] = *pair else { break };
        tables
            .buckets
            .push((tables.slots.len() as u32).to_le_bytes());
        let Some(order) = order.get_mut(start as usize..end as usize) else {
            break;
        };
        if order.len() > 1 {
            order.sort_by(|a, b| key(a).cmp(&key(b)));
        }
        let mut last = None;
        for at in order {
            let same = last.filter(|last| key(last) == key(at));
            let first = same.unwrap_or(*at);
            last = Some(first);
            if let Some(slot) = firsts.get_mut(*at as usize) {
                *slot = first;
            }
            let hash = mentions.get(first as usize).map_or(0, |first| first.hash);
            if same.is_none() {
                // The position comes when all are known.
                tables.slots.push(first.to_le_bytes());
                let (word, bits) = filtered(hash, filter.len());
                if let Some(word) = filter.get_mut(word) {
                    *word |= bits;
                }
            }
        }
    }
    tables
        .buckets
        .push((tables.slots.len() as u32).to_le_bytes());
    tables.filter = filter.into_iter().map(u32::to_le_bytes).collect();
    // Of each name's first mention the position, and of each position how much is given and awaited.
    let mut positions = vec![0_u32; mentions.len()];
    let mut counts: Vec<[u32; 2]> = Vec::with_capacity(tables.slots.len());
    for ((at, mention), first) in (0_u32..).zip(&mentions).zip(&firsts) {
        if *first == at {
            if let Some(position) = positions.get_mut(at as usize) {
                *position = counts.len() as u32;
            }
            counts.push([0; 2]);
            let entry = [mention.text.start, mention.hash, 0, 0];
            tables.names.push(bytes(entry));
        }
        let position = positions.get(*first as usize).copied().unwrap_or_default();
        if let Some([givers, waiting]) = counts.get_mut(position as usize) {
            match mention.kind {
                Kind::Own | Kind::Provided => *givers += 1,
                Kind::Awaited => *waiting += 1,
            }
        }
    }
    for slot in &mut tables.slots {
        let first = u32::from_le_bytes(*slot) as usize;
        let position = positions.get(first).copied().unwrap_or_default();
        *slot = position.to_le_bytes();
    }
    let mut ends = [0; 2];
    for ([givers, waiting], name) in counts.iter_mut().zip(&mut tables.names) {
        let [givers_end, waiting_end] = &mut ends;
        let [text, hash, ..] = words::<4, NAME>(name);
        // Where the next one goes, from now on.
        *givers_end += std::mem::replace(givers, *givers_end);
        *waiting_end += std::mem::replace(waiting, *waiting_end);
        *name = bytes([text, hash, *givers_end, *waiting_end]);
    }
    let [givers, waiting] = ends;
    tables.givers = vec![[0; GIVER]; givers as usize];
    tables.waiting = vec![[0; 4]; waiting as usize];
    for (mention, first) in mentions.iter().zip(&firsts) {
        let position = positions.get(*first as usize).copied().unwrap_or_default();
        let Some([givers, waiting]) = counts.get_mut(position as usize) else {
            break;
        };
        if mention.kind == Kind::Awaited {
            if let Some(slot) = tables.waiting.get_mut(*waiting as usize) {
                *slot = mention.package.to_le_bytes();
            }
            *waiting += 1;
        } else {
            let package = mention.package * 2 + u32::from(mention.kind == Kind::Own);
            if let Some(slot) = tables.givers.get_mut(*givers as usize) {
                *slot = bytes([package, mention.version]);
            }
            *givers += 1;
        }
    }
    tables.pool = pool;
    tables
}

/// Returns every name where it stands in the text, in its order: of each package its own, what it
/// provides, and what it waits for. With them the pool that has them, and all versions.
fn mentions(text: &str, records: &[Record], dialect: Dialect) -> (Vec<u8>, Vec<Mention>) {
    // Alpine's packages have between two and three names each, with some twenty letters.
    let mut mentions = Vec::with_capacity(records.len() * 3);
    let mut pool = Vec::with_capacity(records.len() * 80);
    pool.push(b'\n');
    let mut put = |text: &str| {
        let start = pool.len() as u32;
        pool.extend_from_slice(text.as_bytes());
        let end = pool.len() as u32;
        pool.push(b'\n');
        Range { start, end }
    };
    let (mut last, mut last_at) = ("", 0);
    for (package, record) in (0..).zip(records) {
        let own = slice(text, record.version);
        // The packages of one origin lie together often, and have the same version.
        if own != last || last_at == 0 {
            (last, last_at) = (own, put(own).start);
        }
        let own_at = last_at;
        let mut mention = |text: Range, name: &str, version, kind| {
            mentions.push(Mention {
                text,
                hash: name_hash(name),
                package,
                version,
                kind,
            });
        };
        let name = slice(text, record.name);
        mention(put(name), name, own_at, Kind::Own);
        for provided in dependency::list(slice(text, record.provides), dialect) {
            let version = match provided.operator {
                Operator::Any => 0,
                _ if provided.version == own => own_at,
                _ => put(provided.version).start,
            };
            let name = provided.name;
            mention(put(name), name, version, Kind::Provided);
        }
        for awaited in dependency::list(slice(text, record.install_if), dialect) {
            mention(put(awaited.name), awaited.name, 0, Kind::Awaited);
        }
    }
    (pool, mentions)
}

fn part(pool: &[u8], range: Range) -> &[u8] {
    pool.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

/// Returns which of `buckets`, a power of two, a hash is in: its first bits say so.
fn bucket(hash: u32, buckets: usize) -> usize {
    ((u64::from(hash) * buckets as u64) >> 32) as usize
}

/// Returns the word of a filter that belongs to a hash's first bits, and the bits there that belong
/// to its last.
fn filtered(hash: u32, words: usize) -> (usize, u32) {
    let word = (u64::from(hash) * words as u64) >> 32;
    (word as usize, 1 << (hash % 32) | 1 << (hash / 32 % 32))
}
