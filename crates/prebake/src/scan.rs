//! Packages and bases, opened and read by any thread, ahead of the merge.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::installed::Stanza;
use prebake_apk::package::{Data, Package, PackageError, Script};
use prebake_apk::pkginfo::PkgInfo;
use prebake_apk::{gzip, tar};
use prebake_fetch::Blob;
use prebake_image::{Compressed, MAX_COMPRESSED};
use prebake_rootfs::merge::{MAX_INLINE, MAX_INLINE_TOTAL};
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Content, Merge, MergeError, SourceId};
use sha1::Digest as _;

use crate::arch::Arch;
use crate::blobs::READ_BUFFER;
use crate::contents::{Contents, Gathering, Room};
use crate::context::Context;
use crate::error::Error;
use crate::listing::Listing;
use crate::lock::{LockedBase, LockedPackage};
use crate::package_file;

/// How much of a file's content passes at once.
const BUFFER: usize = 64 << 10;

/// How much of the contents that the merge reads a listing may hold and still be remembered.
const REMEMBERED: u64 = 8 << 20;

/// The contents that are held, as the merge wants to read them: no more than it would take.
#[derive(Default)]
struct Held(u64);

impl Held {
    fn count(
        &mut self,
        arch: Arch,
        entry: &Entry,
        file: Option<&FileContent>,
    ) -> Result<(), Error> {
        let bytes = file.and_then(FileContent::bytes).unwrap_or_default();
        self.0 += bytes.len() as u64;
        if self.0 > MAX_INLINE_TOTAL {
            let path = entry.path.clone();
            let source = MergeError::TooMuchInline { path };
            return Err(Error::Merge { arch, source });
        }
        Ok(())
    }
}

/// A package, hashed and read, of which nothing was believed yet.
pub(crate) struct Scanned {
    pub(crate) identity: Sha1,
    pub(crate) info: PkgInfo,
    /// The fields that the apk database will have of it.
    pub(crate) stanza: Stanza,
    pub(crate) scripts: Vec<Script>,
    /// Its entries, or why they cannot be had.
    pub(crate) listing: Result<Listing, Error>,
    /// Its contents, if they were read now and there was room for them.
    pub(crate) contents: Option<Contents>,
}

/// Reads a package; its data only if it was not read before.
pub(crate) fn package(
    arch: Arch,
    locked: &LockedPackage,
    blob: &Blob,
    room: &Room,
    context: &Context,
) -> Result<Scanned, Error> {
    context.alive()?;
    let package = package_file::open(locked, blob)?;
    let known = Listing::read(&context.sealed, &locked.sha256);
    let (identity, info) = (package.identity(), package.info().clone());
    let stanza = stanza(locked, &package);
    let scripts = package.scripts().to_vec();
    let mut gathering = Gathering::new(room);
    let (listing, contents) = if let Some(listing) = known {
        (Ok(listing), None)
    } else {
        let data = package.into_data();
        let listing = data_listing(arch, locked, data, &mut gathering, context);
        (listing, gathering.done())
    };
    Ok(Scanned {
        identity,
        info,
        stanza,
        scripts,
        listing,
        contents,
    })
}

/// Returns the fields that the apk database will have of a package.
fn stanza<R: BufRead>(locked: &LockedPackage, package: &Package<R>) -> Stanza {
    let text = locked.index_stanza.as_deref().map(str::as_bytes);
    let mut stanza = text
        .and_then(Stanza::parse)
        .unwrap_or_else(|| Stanza::from_package(package.info(), package.identity(), locked.size));
    stanza.repository_tag = locked.tag.as_ref().map(|tag| tag.clone().into_bytes());
    stanza
}

/// Reads a package's data to the end, where all of it has been checked.
fn data_listing<R: BufRead>(
    arch: Arch,
    locked: &LockedPackage,
    mut data: Data<R>,
    gathering: &mut Gathering<'_>,
    context: &Context,
) -> Result<Listing, Error> {
    let mut entries = Vec::new();
    let mut held = Held::default();
    let mut buffer = vec![0; BUFFER];
    let fail = |source: PackageError| package_file::failed(locked, source);
    while let Some(entry) = data.next().map_err(fail)? {
        context.alive()?;
        let file = content(&entry, entry.checksum, &mut data, gathering, &mut buffer);
        let file = file.map_err(|source| Error::PackageContent {
            package: format!("{}-{}", locked.name, locked.version),
            url: locked.url.clone(),
            path: entry.path.clone(),
            source,
        })?;
        held.count(arch, &entry, file.as_ref())?;
        entries.push((entry, file));
    }
    Ok(remembered(Listing(entries), &held, &locked.sha256, context))
}

/// Remembers a listing, unless it is large for what it holds.
fn remembered(listing: Listing, held: &Held, archive: &Sha256, context: &Context) -> Listing {
    if held.0 <= REMEMBERED {
        listing.write(&context.sealed, archive);
    }
    listing
}

/// Reads the content that passes now: into memory if the merge needs it, else only its digest,
/// which is `checked` if whoever lets the content pass holds it against that.
fn content(
    entry: &Entry,
    checked: Option<Sha1>,
    reader: &mut impl Read,
    gathering: &mut Gathering<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<FileContent>> {
    if entry.kind != EntryKind::File {
        return Ok(None);
    }
    if Merge::wants_inline(&entry.path) {
        if entry.size > MAX_INLINE {
            return Err(io::Error::other(format!(
                "it has {} bytes, more than {MAX_INLINE}",
                entry.size
            )));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        return Ok(Some(FileContent::inline(bytes)));
    }
    let (offset, size) = (entry.offset, entry.size);
    let sha1 = if let Some(sha1) = checked {
        gathering.read(offset, size, reader, buffer, |_| {})?;
        sha1
    } else {
        let mut hash = sha1::Sha1::new();
        gathering.read(offset, size, reader, buffer, |bytes| hash.update(bytes))?;
        Sha1::new(hash.finalize().into())
    };
    let source = SourceId::BASE;
    Ok(Some(FileContent {
        content: Content::Source { source, offset },
        size,
        sha1,
    }))
}

/// Reads the content that passes now, as [`content`] does, and holds nothing of it beside the tree.
pub(crate) fn content_alone(
    entry: &Entry,
    reader: &mut impl Read,
) -> io::Result<Option<FileContent>> {
    let room = Room::new(0);
    let mut buffer = vec![0; BUFFER.min(entry.size as usize)];
    content(entry, None, reader, &mut Gathering::new(&room), &mut buffer)
}

/// A base, hashed and read.
pub(crate) struct ScannedBase {
    pub(crate) listing: Listing,
    /// Its contents, if they were read now and there was room for them.
    pub(crate) contents: Option<Contents>,
    /// Its file, if that is in memory.
    pub(crate) file: Option<Compressed>,
}

/// Reads a base; its archive only if it was not read before. With `share` it is read into memory
/// for that, if it is not too large, and given to whoever waits at the other end.
pub(crate) fn base(
    arch: Arch,
    locked: &LockedBase,
    blob: &Blob,
    room: &Room,
    share: Option<SyncSender<Compressed>>,
    context: &Context,
) -> Result<ScannedBase, Error> {
    let known = Listing::read(&context.sealed, &locked.sha256);
    let shared = if let (Some(share), None) = (share, &known) {
        let file = package_file::whole(blob, locked.size, &locked.sha256, MAX_COMPRESSED)?;
        let shared = file.map(|file| Compressed::new(Arc::new(file), 0));
        // Nobody waits where the bake was given up.
        let _ = shared.clone().map(|shared| share.send(shared));
        shared
    } else {
        None
    };
    let file: Box<dyn BufRead + '_> = if let Some(shared) = &shared {
        Box::new(shared.file().as_slice())
    } else {
        let sha256 = &locked.sha256;
        let file = package_file::verified(&locked.url, blob, locked.size, sha256)?;
        Box::new(file)
    };
    if let Some(listing) = known {
        return Ok(ScannedBase {
            listing,
            contents: None,
            file: None,
        });
    }
    let fail = |source| Error::Base {
        url: locked.url.clone(),
        source,
    };
    let inflated = BufReader::with_capacity(READ_BUFFER, gzip::Reader::new(file));
    let mut archive = tar::Reader::new(inflated);
    let mut entries = Vec::new();
    let mut held = Held::default();
    let mut gathering = Gathering::new(room);
    let mut buffer = vec![0; BUFFER];
    while let Some(entry) = archive.next().map_err(fail)? {
        context.alive()?;
        let file =
            content(&entry, None, &mut archive, &mut gathering, &mut buffer).map_err(|source| {
                Error::BaseContent {
                    url: locked.url.clone(),
                    path: entry.path.clone(),
                    source,
                }
            })?;
        held.count(arch, &entry, file.as_ref())?;
        entries.push((entry, file));
    }
    drop(archive);
    Ok(ScannedBase {
        listing: remembered(Listing(entries), &held, &locked.sha256, context),
        contents: gathering.done(),
        file: shared,
    })
}
