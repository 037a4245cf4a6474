//! Writes tar archives: POSIX ustar, with pax records only where ustar cannot say it.
//!
//! Every choice that the format leaves open is made once, so that a tree has one stream of bytes
//! and that stream an identity:
//!
//! - Names begin with `./`, the root is `./` and directories end with `/`: that is how Alpine's
//!   own minirootfs spells them, so whatever imports that imports this (`wsl --import`,
//!   `docker import`, GNU tar, bsdtar, BusyBox, Go's and Python's readers).
//! - The magic is POSIX's. A name that does not fit 100 bytes is split at a `/` into ustar's two
//!   fields before a pax record is used. All of those programs read both; of other records
//!   BusyBox 1.36 takes none, so that there an owner above 2097151 is root's and attributes are
//!   lost.
//! - Names are bytes in the header, whatever they mean; one that needs a pax record and is not
//!   UTF-8 gets `hdrcharset=BINARY` before it.
//! - Owners have numbers and no names: a name would be looked up in the host's own files by
//!   whoever unpacks the archive as root, and give the file to somebody else.
//! - Times are whole seconds. There are no access times and no numbers of the host's devices.
//! - Extended attributes are `SCHILY.xattr.` records, ordered by name.
//! - A hard link repeats its file's mode, owner and time, and comes after it.
//! - Two blocks of zeros end the archive, and nothing pads it to a tape's record.
//!
//! The format is that of POSIX.1-2017's `pax`. The tests are judged by GNU tar, bsdtar, BusyBox
//! and Python's `tarfile`.

mod header;
mod pax;
mod writer;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::path::GuestPath;
use prebake_rootfs::Node;
use prebake_rootfs::tree::{Content, FileContent, NodeId, NodeKind, Tree};
use sha1::Digest as _;

pub use self::header::{DeviceTooLarge, Header, Kind};
pub use self::writer::{WriteError, Writer};
use crate::error::ImageError;
use crate::sources::{Forward, Sources};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The SHA-256 of the uncompressed stream: the identity of the root filesystem.
    pub identity: Sha256,
    /// The length of the uncompressed stream in bytes.
    pub length: u64,
}

/// Writes `tree` as an uncompressed archive.
///
/// An error of `out` ends the writing and comes back as [`ImageError::Output`], which is how a
/// caller cancels: give out an error of any kind but [`io::ErrorKind::Interrupted`].
pub fn write(
    tree: &Tree,
    sources: &mut dyn Sources,
    out: &mut dyn Write,
) -> Result<Written, ImageError> {
    write_part(tree, &|_| true, sources, out)
}

/// Writes those names of `tree` that `wanted` takes, as an archive to be unpacked over the rest:
/// another name of a file that is not written is a link to what is there already.
///
/// Errors are those of [`write()`].
pub fn write_part(
    tree: &Tree,
    wanted: &dyn Fn(&GuestPath) -> bool,
    sources: &mut dyn Sources,
    out: &mut dyn Write,
) -> Result<Written, ImageError> {
    let mut writer = Writer::new(Hashing::new(out));
    let mut sources = Forward::new(sources);
    let mut names: BTreeMap<NodeId, &GuestPath> = BTreeMap::new();
    for (path, node, id) in tree.in_order() {
        let first = if node.is_directory() {
            None
        } else {
            names.get(&id).copied()
        };
        names.entry(id).or_insert(path);
        if !wanted(path) {
            continue;
        }
        let fail = |error| match error {
            WriteError::Output(error) => ImageError::Output(error),
            WriteError::Content(source) => ImageError::Content {
                path: path.clone(),
                source,
            },
        };
        let header = header(path, node, first)?;
        match (first, &node.kind) {
            (None, NodeKind::File(file)) => {
                let mut content = Checked::new(content(&mut sources, file, path)?);
                writer
                    .entry(&header, file.size, &mut content)
                    .map_err(fail)?;
                content.compare(file, path)?;
            }
            _ => writer.entry(&header, 0, &mut io::empty()).map_err(fail)?,
        }
    }
    let hashing = writer.finish().map_err(ImageError::Output)?;
    Ok(Written {
        identity: Sha256::new(hashing.hash.finalize().into()),
        length: hashing.length,
    })
}

/// Returns the blocks that stand before a content; `first` is the name that `path` is another of.
pub(crate) fn header(
    path: &GuestPath,
    node: &Node,
    first: Option<&GuestPath>,
) -> Result<Vec<u8>, ImageError> {
    let kind = match (first, &node.kind) {
        (Some(first), _) => Kind::Hardlink(first),
        (None, NodeKind::File(file)) => Kind::File { size: file.size },
        (None, NodeKind::Directory) => Kind::Directory,
        (None, NodeKind::Symlink(target)) => Kind::Symlink(target),
        (None, NodeKind::CharDevice(device)) => Kind::CharDevice(*device),
        (None, NodeKind::BlockDevice(device)) => Kind::BlockDevice(*device),
        (None, NodeKind::Fifo) => Kind::Fifo,
    };
    let header = Header {
        path,
        kind,
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        mtime: node.mtime,
        xattrs: &node.xattrs,
    };
    header
        .encode()
        .map_err(|DeviceTooLarge| ImageError::Unrepresentable {
            path: path.clone(),
            what: "its device number has more than 21 bits",
        })
}

/// Returns the identity of `tree` without writing anything.
pub fn identity(tree: &Tree, sources: &mut dyn Sources) -> Result<Written, ImageError> {
    write(tree, sources, &mut io::sink())
}

/// Returns a reader of a file's content, at its start.
fn content<'a>(
    sources: &'a mut Forward<'_>,
    file: &'a FileContent,
    path: &GuestPath,
) -> Result<Box<dyn Read + 'a>, ImageError> {
    Ok(match &file.content {
        Content::Inline(bytes) => Box::new(&bytes[..]),
        // An empty file is nowhere, and its source need not be opened.
        Content::Source { .. } if file.size == 0 => Box::new(io::empty()),
        Content::Source { source, offset } => Box::new(
            sources
                .at(*source, *offset)
                .map_err(|source| ImageError::Content {
                    path: path.clone(),
                    source,
                })?
                .take(file.size),
        ),
    })
}

/// Hashes a file's content on its way.
struct Checked<R> {
    inner: R,
    hash: sha1::Sha1,
}

impl<R: Read> Checked<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hash: sha1::Sha1::new(),
        }
    }

    fn compare(self, file: &FileContent, path: &GuestPath) -> Result<(), ImageError> {
        let found = Sha1::new(self.hash.finalize().into());
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

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Hashes and counts what is written.
pub(crate) struct Hashing<W> {
    pub(crate) out: W,
    pub(crate) hash: sha2::Sha256,
    pub(crate) length: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            hash: sha2::Sha256::new(),
            length: 0,
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
