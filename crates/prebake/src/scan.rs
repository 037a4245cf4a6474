//! Packages and bases, opened and read by any thread, ahead of the merge.

use std::io::{BufRead, BufReader, Read};

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::installed::Stanza;
use prebake_apk::package::{Data, Package, PackageError, Script};
use prebake_apk::pkginfo::PkgInfo;
use prebake_apk::{gzip, tar};
use prebake_fetch::Blob;
use prebake_rootfs::merge::MAX_INLINE_TOTAL;
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Content, Merge, MergeError, SourceId};

use crate::arch::Arch;
use crate::bake::content;
use crate::blobs::READ_BUFFER;
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
}

/// Reads a package; its data only if it was not read before.
pub(crate) fn package(
    arch: Arch,
    locked: &LockedPackage,
    blob: &Blob,
    context: &Context,
) -> Result<Scanned, Error> {
    context.alive()?;
    let package = package_file::open(locked, blob)?;
    let known = Listing::read(&context.sealed, &locked.sha256);
    Ok(Scanned {
        identity: package.identity(),
        info: package.info().clone(),
        stanza: stanza(locked, &package),
        scripts: package.scripts().to_vec(),
        listing: match known {
            Some(listing) => Ok(listing),
            None => data(arch, locked, package.into_data(), context),
        },
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
fn data<R: BufRead>(
    arch: Arch,
    locked: &LockedPackage,
    mut data: Data<R>,
    context: &Context,
) -> Result<Listing, Error> {
    let mut entries = Vec::new();
    let mut held = Held::default();
    let mut buffer = vec![0; BUFFER];
    let fail = |source: PackageError| package_file::failed(locked, source);
    while let Some(entry) = data.next().map_err(fail)? {
        context.alive()?;
        let file = package_content(&entry, &mut data, &mut buffer);
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

/// Reads the content that passes now. Whoever lets it pass holds it against its checksum.
fn package_content(
    entry: &Entry,
    data: &mut impl Read,
    buffer: &mut [u8],
) -> std::io::Result<Option<FileContent>> {
    let Some(sha1) = entry.checksum else {
        return content(entry, SourceId::BASE, data);
    };
    if entry.kind != EntryKind::File || Merge::wants_inline(&entry.path) {
        return content(entry, SourceId::BASE, data);
    }
    while data.read(buffer)? > 0 {}
    Ok(Some(FileContent {
        content: Content::Source {
            source: SourceId::BASE,
            offset: entry.offset,
        },
        size: entry.size,
        sha1,
    }))
}

/// Reads a base; its archive only if it was not read before.
pub(crate) fn base(
    arch: Arch,
    locked: &LockedBase,
    blob: &Blob,
    context: &Context,
) -> Result<Listing, Error> {
    let file = package_file::verified(&locked.url, blob, locked.size, &locked.sha256)?;
    if let Some(listing) = Listing::read(&context.sealed, &locked.sha256) {
        return Ok(listing);
    }
    let fail = |source| Error::Base {
        url: locked.url.clone(),
        source,
    };
    let inflated = BufReader::with_capacity(READ_BUFFER, gzip::Reader::new(file));
    let mut archive = tar::Reader::new(inflated);
    let mut entries = Vec::new();
    let mut held = Held::default();
    while let Some(entry) = archive.next().map_err(fail)? {
        context.alive()?;
        let file =
            content(&entry, SourceId::BASE, &mut archive).map_err(|source| Error::BaseContent {
                url: locked.url.clone(),
                path: entry.path.clone(),
                source,
            })?;
        held.count(arch, &entry, file.as_ref())?;
        entries.push((entry, file));
    }
    Ok(remembered(Listing(entries), &held, &locked.sha256, context))
}
