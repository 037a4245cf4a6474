//! Contents that stay in memory from when they were checked to when they are written.
//!
//! A bake inflates what it was not given before to check it, and would inflate it again to write
//! it. What is little enough is kept in between.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes of contents a bake holds at most: a base and some packages.
pub(crate) const MAX_HELD: u64 = 12 << 20;

/// What holding a content takes beside its bytes, roughly: a place in a tree and two words.
const OVERHEAD: u64 = 128;

/// How many bytes may still be held.
#[derive(Debug)]
pub(crate) struct Room(AtomicU64);

impl Room {
    /// Returns room for `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    /// Takes room for `bytes`; says whether there was.
    fn take(&self, bytes: u64) -> bool {
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The contents of one archive, by where they begin in it: all that are not in the tree, or none.
#[derive(Debug, Default)]
pub(crate) struct Contents(BTreeMap<u64, Vec<u8>>);

impl Contents {
    /// Returns the content that begins at `offset`.
    pub(crate) fn get(&self, offset: u64) -> Option<&[u8]> {
        self.0.get(&offset).map(Vec::as_slice)
    }
}

/// Contents being gathered while there is room.
pub(crate) struct Gathering<'r> {
    room: &'r Room,
    contents: Contents,
    taken: u64,
    /// There was no room for one of them, so that all are given up.
    is_over: bool,
}

impl<'r> Gathering<'r> {
    pub(crate) fn new(room: &'r Room) -> Self {
        Self {
            room,
            contents: Contents::default(),
            taken: 0,
            is_over: false,
        }
    }

    /// Reads the content of `size` bytes that begins at `offset`, and shows every piece of it.
    pub(crate) fn read(
        &mut self,
        offset: u64,
        size: u64,
        reader: &mut impl Read,
        buffer: &mut [u8],
        mut show: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut kept = self.begin(size);
        loop {
            let count = reader.read(buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            show(bytes);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(bytes);
            }
        }
        if let Some(kept) = kept {
            self.contents.0.insert(offset, kept);
        }
        Ok(())
    }

    /// Returns where a content of `size` bytes goes, if there is room for it.
    fn begin(&mut self, size: u64) -> Option<Vec<u8>> {
        if self.is_over {
            return None;
        }
        let room = size.saturating_add(OVERHEAD);
        if !self.room.take(room) {
            self.is_over = true;
            self.contents = Contents::default();
            self.room.give_back(std::mem::take(&mut self.taken));
            return None;
        }
        self.taken += room;
        Some(Vec::with_capacity(size as usize))
    }

    /// Returns what was gathered; `None` if there was no room for all of it.
    pub(crate) fn done(self) -> Option<Contents> {
        (!self.is_over).then_some(self.contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gathers the contents, each of them `sizes` bytes, one after another.
    fn gather(room: &Room, sizes: &[usize]) -> Option<Contents> {
        let mut gathering = Gathering::new(room);
        let mut offset = 0;
        for size in sizes {
            let content = vec![*size as u8; *size];
            let mut seen = Vec::new();
            let show = |bytes: &[u8]| seen.extend_from_slice(bytes);
            let mut reader = content.as_slice();
            let read = gathering.read(offset, *size as u64, &mut reader, &mut [0; 7], show);
            read.unwrap();
            assert_eq!(seen, content, "shown whether there is room or not");
            offset += *size as u64;
        }
        gathering.done()
    }

    #[test]
    fn all_of_an_archive_or_nothing_of_it() {
        let room = Room::new(100 + 4 * OVERHEAD);
        let first = gather(&room, &[30, 0, 30]).unwrap();
        assert_eq!(first.get(30).map(<[u8]>::len), Some(30));
        assert!(first.get(1).is_none());
        assert!(gather(&room, &[30, 11]).is_none());
        // What was given up left its room to others.
        assert!(gather(&room, &[40]).is_some());
        assert!(gather(&room, &[1]).is_none());
        assert!(gather(&room, &[]).is_some());
    }
}
