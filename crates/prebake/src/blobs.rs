//! The files that a tree's contents are in, opened again to be written.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prebake_apk::digest::Sha256;
use prebake_apk::gzip;
use prebake_apk::package::Package;
use prebake_fetch::Blob;
use prebake_image::{Compressed, MAX_COMPRESSED, Sources};
use prebake_rootfs::SourceId;

use crate::contents::{Contents, MAX_HELD, Room};
use crate::reporter::Reporter;

/// How much of a file is read at once.
pub(crate) const READ_BUFFER: usize = 128 << 10;

/// The base and the packages of one bake, by the numbers that the merge gave them.
pub(crate) struct Blobs {
    files: Vec<(SourceId, Blob)>,
    /// What of them is in memory.
    contents: BTreeMap<SourceId, Contents>,
    room: Arc<Room>,
    /// The file that was wanted in memory last.
    file: Option<(SourceId, Compressed)>,
    /// The base's, if it has been in memory since it was checked and was not wanted yet.
    base: Option<Compressed>,
    reporter: Arc<dyn Reporter>,
    /// How many of the files' bytes were read for the image that is being written.
    read: Arc<AtomicU64>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blobs").field(&self.files).finish()
    }
}

impl Blobs {
    /// Returns none; `reporter` hears how far an image is.
    pub(crate) fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self {
            files: Vec::new(),
            contents: BTreeMap::new(),
            room: Arc::new(Room::new(MAX_HELD)),
            file: None,
            base: None,
            reporter,
            read: Arc::default(),
        }
    }

    /// Adds a file, with its contents if they are in memory.
    pub(crate) fn add(&mut self, source: SourceId, blob: Blob, contents: Option<Contents>) {
        self.files.push((source, blob));
        self.contents
            .extend(contents.map(|contents| (source, contents)));
    }

    /// Adds the base's file, as it was checked in memory.
    pub(crate) fn add_base_file(&mut self, file: Option<Compressed>) {
        self.base = file;
    }

    /// Returns the room that there is for contents.
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Returns the SHA-256 of a source's file.
    pub(crate) fn digest(&self, source: SourceId) -> Option<Sha256> {
        let mut files = self.files.iter();
        let (_, blob) = files.find(|(id, _)| *id == source)?;
        Some(blob.sha256())
    }

    /// Begins another image.
    pub(crate) fn rewind(&mut self) {
        self.file = None;
        self.read.store(0, Ordering::Relaxed);
    }

    fn blob(&self, source: SourceId) -> io::Result<&Blob> {
        let blob = self.files.iter().find(|(id, _)| *id == source);
        let (_, blob) =
            blob.ok_or_else(|| io::Error::other("the tree names a source that is none"))?;
        Ok(blob)
    }
}

impl Sources for Blobs {
    fn held(&self, source: SourceId, offset: u64) -> Option<&[u8]> {
        self.contents.get(&source)?.get(offset)
    }

    /// Opens a file anew, and hashes it anew before a byte of it is given out: the cache may have
    /// changed since it was merged.
    fn open(&mut self, source: SourceId) -> io::Result<Box<dyn Read>> {
        let file: Box<dyn Read> = match &self.file {
            Some((held, file)) if *held == source => {
                Box::new(Cursor::new(Shared(Arc::clone(file.file()))))
            }
            _ => {
                let blob = self.blob(source)?;
                Box::new(blob.open_verified().map_err(io::Error::other)?)
            }
        };
        let file = Counted {
            file,
            reporter: Arc::clone(&self.reporter),
            read: Arc::clone(&self.read),
            total: self.files.iter().map(|(_, blob)| blob.size()).sum(),
        };
        let reader = BufReader::with_capacity(READ_BUFFER, file);
        if source == SourceId::BASE {
            return Ok(Box::new(gzip::Reader::new(reader)));
        }
        let package = Package::open(reader).map_err(io::Error::other)?;
        Ok(Box::new(package.into_data_archive()))
    }

    /// Reads a file into memory, where it is hashed.
    fn compressed(&mut self, source: SourceId) -> io::Result<Option<Compressed>> {
        if source == SourceId::BASE
            && let Some(file) = self.base.take()
        {
            self.file = Some((source, file.clone()));
            return Ok(Some(file));
        }
        let blob = self.blob(source)?;
        if blob.size() > MAX_COMPRESSED {
            return Ok(None);
        }
        let file = blob
            .read_verified(MAX_COMPRESSED)
            .map_err(io::Error::other)?;
        let mut rest = file.as_slice();
        if source != SourceId::BASE {
            Package::open(&mut rest).map_err(io::Error::other)?;
        }
        let start = file.len() - rest.len();
        let file = Compressed::new(Arc::new(file), start);
        self.file = Some((source, file.clone()));
        Ok(Some(file))
    }
}

/// A file in memory.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Tells how much was read.
struct Counted<R> {
    file: R,
    reporter: Arc<dyn Reporter>,
    read: Arc<AtomicU64>,
    total: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let before = self.read.fetch_add(count as u64, Ordering::Relaxed);
        let read = before.saturating_add(count as u64).min(self.total);
        self.reporter.written(read, self.total);
        Ok(count)
    }
}
