//! Where a tree's stream is cut into segments, and what each of them depends on.
//!
//! A segment is a run of the tar stream that is encoded by itself. Its borders are decided by the
//! tree alone, before anything is read: wherever the source changes, if the segment is not a small
//! one, and wherever it would become too large. Its [`key`](Segment::key) is the digest of
//! everything that its bytes depend on: the headers, the contents that are in memory, and of the
//! others the digest of the archive that they come out of, and where in it they are.

use std::collections::BTreeMap;

use prebake_apk::digest::Sha256;
use prebake_apk::path::GuestPath;
use prebake_apk::tar::BLOCK;
use prebake_rootfs::tree::{Content, FileContent, NodeId, SourceId};
use prebake_rootfs::{Node, Tree};
use sha2::Digest as _;

use crate::error::ImageError;
use crate::tar;

/// What keys begin with; the number goes up when what is digested changes its meaning.
const HEAD: &[u8] = b"prebake segment 1\n";

/// Two blocks of zeros end a tar archive.
const END: u64 = 2 * BLOCK as u64;

/// Where a stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borders {
    /// How long a segment is at least where a new source begins one, in bytes.
    pub least: u64,
    /// How long a segment is at most, in bytes.
    pub most: u64,
}

/// A run of the stream that is encoded by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The digest of everything that its bytes depend on; `None` where a source has no digest.
    pub key: Option<Sha256>,
    /// Where it begins in the stream, in bytes.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
}

/// An entry of the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'t> {
    pub(crate) path: &'t GuestPath,
    /// Where it begins in the stream.
    pub(crate) start: u64,
    node: &'t Node,
    /// The name that this is another one of.
    first: Option<&'t GuestPath>,
}

/// A tree's stream, not yet written.
#[derive(Debug)]
pub struct Plan<'t> {
    entries: Vec<Placed<'t>>,
    segments: Vec<Segment>,
}

impl<'t> Plan<'t> {
    /// Lays out the stream of `tree`; `digest` names the archive of a source by its content.
    /// Nothing is read.
    pub fn new(
        tree: &'t Tree,
        borders: Borders,
        digest: &dyn Fn(SourceId) -> Option<Sha256>,
    ) -> Result<Self, ImageError> {
        let mut plan = Self {
            entries: Vec::with_capacity(tree.len()),
            segments: Vec::new(),
        };
        let mut names: BTreeMap<NodeId, &GuestPath> = BTreeMap::new();
        let mut cutter = Cutter::new(borders);
        for (path, node, id) in tree.in_order() {
            let first = if node.is_directory() {
                None
            } else {
                names.get(&id).copied()
            };
            names.entry(id).or_insert(path);
            let placed = Placed {
                path,
                start: cutter.at,
                node,
                first,
            };
            plan.entries.push(placed);
            cutter.source(node.source());
            cutter.bytes(&Self::header(&placed)?);
            if let Some(file) = Self::file(&placed) {
                match &file.content {
                    Content::Inline(bytes) => cutter.bytes(bytes),
                    Content::Source { source, offset } => {
                        cutter.content(digest(*source).as_ref(), *offset, file.size);
                    }
                }
                cutter.bytes(padding(file.size));
            }
        }
        cutter.bytes(&[0; END as usize]);
        plan.segments = cutter.finish();
        Ok(plan)
    }

    /// Returns the segments, in the order of the stream. There is always one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the length of the stream in bytes.
    pub fn length(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.end)
    }

    /// Returns the digest of everything that the stream depends on; `None` where a source has no
    /// digest. It is another one for other [`Borders`].
    pub fn key(&self) -> Option<Sha256> {
        let mut hash = sha2::Sha256::new();
        hash.update(b"prebake stream 1\n");
        for segment in &self.segments {
            hash.update(segment.key.as_ref()?.as_bytes());
        }
        Some(Sha256::new(hash.finalize().into()))
    }

    pub(crate) fn entries(&self) -> &[Placed<'t>] {
        &self.entries
    }

    /// Returns the blocks that stand before an entry's content.
    pub(crate) fn header(entry: &Placed<'t>) -> Result<Vec<u8>, ImageError> {
        tar::header(entry.path, entry.node, entry.first)
    }

    /// Returns the content that an entry carries.
    pub(crate) fn file(entry: &Placed<'t>) -> Option<&'t FileContent> {
        match entry.first {
            None => entry.node.file(),
            Some(_) => None,
        }
    }
}

/// Returns what fills the last block of a content.
pub(crate) fn padding(size: u64) -> &'static [u8] {
    let padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
    [0; BLOCK].get(..padding).unwrap_or_default()
}

/// Cuts a stream while it is described.
struct Cutter {
    borders: Borders,
    segments: Vec<Segment>,
    /// How much of the stream was described.
    at: u64,
    /// Where the segment began.
    start: u64,
    hash: sha2::Sha256,
    /// Whether everything in the segment has a digest.
    known: bool,
    source: SourceId,
}

impl Cutter {
    fn new(borders: Borders) -> Self {
        Self {
            borders,
            segments: Vec::new(),
            at: 0,
            start: 0,
            hash: begun(),
            known: true,
            source: SourceId::BASE,
        }
    }

    /// Says where what follows comes from.
    fn source(&mut self, source: SourceId) {
        let changed = source != self.source;
        self.source = source;
        // What was made here differs from bake to bake: it takes no package with it.
        let least = if source == SourceId::GENERATED {
            1
        } else {
            self.borders.least
        };
        if changed && self.at - self.start >= least {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let digest = std::mem::replace(&mut self.hash, begun()).finalize();
        self.segments.push(Segment {
            key: self.known.then(|| Sha256::new(digest.into())),
            start: self.start,
            end: self.at,
        });
        self.start = self.at;
        self.known = true;
    }

    /// Returns how much of `left` bytes the segment takes, after a cut where it takes none.
    fn room(&mut self, left: u64) -> u64 {
        if self.at - self.start >= self.borders.most {
            self.cut();
        }
        left.min(self.borders.most - (self.at - self.start))
    }

    fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room(bytes.len() as u64) as usize;
            let (now, later) = bytes.split_at(room);
            self.hash.update(b"b");
            self.hash.update((room as u64).to_be_bytes());
            self.hash.update(now);
            self.at += room as u64;
            bytes = later;
        }
    }

    fn content(&mut self, digest: Option<&Sha256>, offset: u64, size: u64) {
        let mut done = 0;
        while done < size {
            let room = self.room(size - done);
            match digest {
                Some(digest) => {
                    self.hash.update(b"c");
                    self.hash.update(digest.as_bytes());
                    self.hash.update((offset + done).to_be_bytes());
                    self.hash.update(room.to_be_bytes());
                }
                None => self.known = false,
            }
            self.at += room;
            done += room;
        }
    }

    fn finish(mut self) -> Vec<Segment> {
        self.cut();
        self.segments
    }
}

fn begun() -> sha2::Sha256 {
    let mut hash = sha2::Sha256::new();
    hash.update(HEAD);
    hash
}
