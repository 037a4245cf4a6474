//! The bytes of a tree's stream, in any pieces.

use std::io::{self, Read as _};

use prebake_apk::digest::Sha1;
use prebake_apk::path::GuestPath;
use prebake_rootfs::tree::{Content, FileContent};
use sha1::Digest as _;

use crate::deflate::{LEAST_GRAFT, Origin};
use crate::error::ImageError;
use crate::plan::{Placed, Plan, padding};
use crate::sources::{Forward, Sources};

/// A piece of a stream.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    /// Parts of it that are in gzip files, in their order, if they are wanted.
    pub(crate) origins: Vec<Origin>,
}

/// Reads a stream piece by piece, forwards. What is passed over is not read, so that a source that
/// nothing is wanted of is not even opened.
pub(crate) struct Stream<'p, 't, 's> {
    plan: &'p Plan<'t>,
    sources: Forward<'s>,
    /// The entry that the next piece begins in.
    next: usize,
    /// The content that is being read, if it was from its start on.
    checking: Option<Checking>,
}

/// A content of which the start was read.
struct Checking {
    entry: usize,
    hash: sha1::Sha1,
    /// How much of it.
    done: u64,
}

impl<'p, 't, 's> Stream<'p, 't, 's> {
    pub(crate) fn new(plan: &'p Plan<'t>, sources: &'s mut dyn Sources) -> Self {
        Self {
            plan,
            sources: Forward::new(sources),
            next: 0,
            checking: None,
        }
    }

    /// Reads the stream from `start` to `end`, none of it before what was read last, and says
    /// where parts of it come from if `origins` are wanted.
    pub(crate) fn read(
        &mut self,
        start: u64,
        end: u64,
        origins: bool,
    ) -> Result<Piece, ImageError> {
        let mut piece = Reading {
            bytes: Vec::with_capacity((end - start) as usize),
            origins: origins.then(Vec::new),
            start,
            end,
        };
        let plan = self.plan;
        let entries = plan.entries();
        while let Some(entry) = entries.get(self.next) {
            let after = entries.get(self.next + 1).map(|after| after.start);
            if after.is_none_or(|after| after > start) {
                self.entry(entry, &mut piece)?;
            }
            if after.is_none_or(|after| after >= end) {
                break;
            }
            self.next += 1;
        }
        // The blocks that end an archive.
        piece.bytes.resize((end - start) as usize, 0);
        Ok(Piece {
            bytes: piece.bytes,
            origins: piece.origins.unwrap_or_default(),
        })
    }

    /// Adds what the piece has of an entry.
    fn entry(&mut self, entry: &Placed<'t>, piece: &mut Reading) -> Result<(), ImageError> {
        let header = Plan::header(entry)?;
        piece.add(entry.start, &header);
        let Some(file) = Plan::file(entry) else {
            return Ok(());
        };
        let start = entry.start + header.len() as u64;
        let (from, to) = piece.within(start, file.size);
        if from < to {
            self.content(entry.path, file, from, to, piece)?;
        }
        piece.add(start + file.size, padding(file.size));
        Ok(())
    }

    /// Adds a content from its byte `from` to `to`.
    fn content(
        &mut self,
        path: &GuestPath,
        file: &FileContent,
        from: u64,
        to: u64,
        piece: &mut Reading,
    ) -> Result<(), ImageError> {
        let unreadable = |source| ImageError::Content {
            path: path.clone(),
            source,
        };
        if let Content::Source { source, offset } = &file.content
            && let Some(origins) = &mut piece.origins
            // Less than that is no graft, wherever it comes from.
            && to - from >= LEAST_GRAFT
            && let Some(members) = self.sources.members(*source).map_err(unreadable)?
        {
            let place = piece.bytes.len();
            origins.push(Origin {
                place: (place, place + (to - from) as usize),
                offset: offset + from,
                members,
            });
        }
        let bytes = &mut piece.bytes;
        let before = bytes.len();
        match &file.content {
            Content::Inline(inline) => {
                let slice = inline.get(from as usize..to as usize);
                bytes.extend_from_slice(slice.unwrap_or_default());
            }
            Content::Source { source, offset } => {
                let held = self.sources.held(*source, *offset);
                let held = held.filter(|held| held.len() as u64 == file.size);
                if let Some(held) = held.and_then(|held| held.get(from as usize..to as usize)) {
                    // Its digest was taken of these very bytes.
                    bytes.extend_from_slice(held);
                    return Ok(());
                }
                let read = self
                    .sources
                    .at(*source, *offset + from)
                    .and_then(|reader| reader.take(to - from).read_to_end(bytes));
                read.map_err(unreadable)?;
            }
        }
        let read = bytes.get(before..).unwrap_or_default();
        if read.len() as u64 != to - from {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        self.check(path, file, from, read)
    }

    /// Hashes what was read of a content. One whose start was not wanted cannot be checked so; its
    /// source was, when it was opened.
    fn check(
        &mut self,
        path: &GuestPath,
        file: &FileContent,
        from: u64,
        read: &[u8],
    ) -> Result<(), ImageError> {
        let mut checking = match self.checking.take() {
            Some(checking) if checking.entry == self.next && checking.done == from => checking,
            _ if from == 0 => Checking {
                entry: self.next,
                hash: sha1::Sha1::new(),
                done: 0,
            },
            _ => return Ok(()),
        };
        checking.hash.update(read);
        checking.done += read.len() as u64;
        if checking.done < file.size {
            self.checking = Some(checking);
            return Ok(());
        }
        let found = Sha1::new(checking.hash.finalize().into());
        if found == file.sha1 {
            return Ok(());
        }
        Err(ImageError::Checksum {
            path: path.clone(),
            expected: file.sha1,
            found,
        })
    }
}

/// A piece that is being read.
struct Reading {
    bytes: Vec<u8>,
    origins: Option<Vec<Origin>>,
    start: u64,
    end: u64,
}

impl Reading {
    /// Adds what the piece has of the bytes that begin `at`.
    fn add(&mut self, at: u64, bytes: &[u8]) {
        let (from, to) = self.within(at, bytes.len() as u64);
        let bytes = bytes.get(from as usize..to as usize);
        self.bytes.extend_from_slice(bytes.unwrap_or_default());
    }

    /// Returns which part of the `length` bytes that begin `at` is in the piece.
    fn within(&self, at: u64, length: u64) -> (u64, u64) {
        let clamp = |place: u64| place.saturating_sub(at).min(length);
        (clamp(self.start), clamp(self.end))
    }
}
