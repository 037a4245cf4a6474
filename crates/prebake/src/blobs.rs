//! The files that a tree's contents are in, opened again to be written.

use std::io::{self, BufReader, Read};

use prebake_apk::gzip;
use prebake_apk::package::Package;
use prebake_fetch::Blob;
use prebake_image::Sources;
use prebake_rootfs::SourceId;

/// How much of a file is read at once.
pub(crate) const READ_BUFFER: usize = 128 << 10;

/// The base and the packages of one bake, by the numbers that the merge gave them.
#[derive(Debug, Default)]
pub(crate) struct Blobs(Vec<(SourceId, Blob)>);

impl Blobs {
    pub(crate) fn add(&mut self, source: SourceId, blob: Blob) {
        self.0.push((source, blob));
    }
}

impl Sources for Blobs {
    /// Opens a file anew, and hashes it anew before a byte of it is given out: the cache may have
    /// changed since it was merged.
    fn open(&mut self, source: SourceId) -> io::Result<Box<dyn Read>> {
        let blob = self
            .0
            .iter()
            .find(|(id, _)| *id == source)
            .map(|(_, blob)| blob);
        let blob = blob.ok_or_else(|| io::Error::other("the tree names a source that is none"))?;
        let file = blob.open_verified().map_err(io::Error::other)?;
        let reader = BufReader::with_capacity(READ_BUFFER, file);
        if source == SourceId::BASE {
            return Ok(Box::new(gzip::Reader::new(reader)));
        }
        let package = Package::open(reader).map_err(io::Error::other)?;
        Ok(Box::new(package.into_data_archive()))
    }
}
