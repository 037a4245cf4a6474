//! What an archive holds, without the contents: read once, remembered, and not inflated again.
//!
//! A listing is bound to the SHA-256 of the archive's file by its name and sealed
//! (see [`seal`](crate::seal)); the file itself is hashed by whoever uses it.

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::entry::{Device, Entry, EntryKind};
use prebake_apk::path::GuestPath;
use prebake_image::Store as _;
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Content, SourceId};

use crate::fields::{Fields, list, number, text};
use crate::seal::Sealed;

/// The entries of an archive in its order, each regular file with what is known of its content. The
/// source of contents is [`SourceId::BASE`]: whoever merges them says which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing(pub(crate) Vec<(Entry, Option<FileContent>)>);

/// The name's number goes up when the entries of another are misread.
fn name(archive: &Sha256) -> String {
    format!("listing 1 {archive}")
}

impl Listing {
    /// Returns the remembered listing of the archive in the file with that SHA-256.
    pub(crate) fn read(sealed: &Sealed, archive: &Sha256) -> Option<Self> {
        Self::parse(&sealed.get(&name(archive))?)
    }

    /// Reads it from its bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let entries = fields.list(listed)?;
        fields.is_done().then_some(Self(entries))
    }

    /// Remembers it.
    pub(crate) fn write(&self, sealed: &Sealed, archive: &Sha256) {
        sealed.put(&name(archive), &self.to_bytes());
    }

    /// Returns its bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        list(&mut out, &self.0, |out, (entry, content)| {
            write_entry(out, entry);
            write_content(out, content.as_ref());
        });
        out
    }
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    text(out, entry.path.as_bytes());
    let (kind, target, device) = match &entry.kind {
        EntryKind::File => (0, &[][..], None),
        EntryKind::Directory => (1, &[][..], None),
        EntryKind::Symlink(target) => (2, &target[..], None),
        EntryKind::Hardlink(target) => (3, target.as_bytes(), None),
        EntryKind::CharDevice(device) => (4, &[][..], Some(device)),
        EntryKind::BlockDevice(device) => (5, &[][..], Some(device)),
        EntryKind::Fifo => (6, &[][..], None),
    };
    number(out, kind);
    text(out, target);
    number(out, device.map_or(0, |device| u64::from(device.major)));
    number(out, device.map_or(0, |device| u64::from(device.minor)));
    for field in [entry.mode, entry.uid, entry.gid] {
        number(out, u64::from(field));
    }
    text(out, &entry.user);
    text(out, &entry.group);
    number(out, entry.mtime as u64);
    let xattrs: Vec<_> = entry.xattrs.iter().collect();
    list(out, &xattrs, |out, (name, value)| {
        text(out, name);
        text(out, value);
    });
    text(
        out,
        entry
            .checksum
            .as_ref()
            .map_or(&[], |sha1| &sha1.as_bytes()[..]),
    );
    number(out, entry.size);
    number(out, entry.offset);
}

fn entry(fields: &mut Fields<'_>) -> Option<Entry> {
    let path = GuestPath::from_relative(fields.bytes()?).ok()?;
    let kind = fields.number()?;
    let target = fields.bytes()?;
    let device = Device {
        major: short(fields)?,
        minor: short(fields)?,
    };
    Some(Entry {
        path,
        kind: match kind {
            0 => EntryKind::File,
            1 => EntryKind::Directory,
            2 => EntryKind::Symlink(target.to_vec()),
            3 => EntryKind::Hardlink(GuestPath::from_relative(target).ok()?),
            4 => EntryKind::CharDevice(device),
            5 => EntryKind::BlockDevice(device),
            6 => EntryKind::Fifo,
            _ => return None,
        },
        mode: short(fields)?,
        uid: short(fields)?,
        gid: short(fields)?,
        user: fields.bytes()?.to_vec(),
        group: fields.bytes()?.to_vec(),
        mtime: fields.number()? as i64,
        xattrs: fields
            .list(|fields| Some((fields.bytes()?.to_vec(), fields.bytes()?.to_vec())))?
            .into_iter()
            .collect(),
        checksum: match fields.bytes()? {
            [] => None,
            sha1 => Some(Sha1::new(sha1.try_into().ok()?)),
        },
        size: fields.number()?,
        offset: fields.number()?,
    })
}

fn short(fields: &mut Fields<'_>) -> Option<u32> {
    fields.number()?.try_into().ok()
}

fn write_content(out: &mut Vec<u8>, content: Option<&FileContent>) {
    let Some(file) = content else {
        return number(out, 0);
    };
    match &file.content {
        Content::Inline(bytes) => {
            number(out, 1);
            text(out, bytes);
        }
        Content::Source { offset, .. } => {
            number(out, 2);
            number(out, *offset);
        }
    }
    number(out, file.size);
    out.extend_from_slice(file.sha1.as_bytes());
}

fn listed(fields: &mut Fields<'_>) -> Option<(Entry, Option<FileContent>)> {
    let entry = entry(fields)?;
    let content = match fields.number()? {
        0 => None,
        kind => Some(content(kind, fields)?),
    };
    Some((entry, content))
}

fn content(kind: u64, fields: &mut Fields<'_>) -> Option<FileContent> {
    let content = match kind {
        1 => Content::Inline(fields.bytes()?.into()),
        2 => Content::Source {
            source: SourceId::BASE,
            offset: fields.number()?,
        },
        _ => return None,
    };
    Some(FileContent {
        content,
        size: fields.number()?,
        sha1: Sha1::new(fields.take(20)?.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prebake_fetch::Cache;

    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let seal = folder.path().join("seal").into_os_string();
        let sealed = Sealed::open(Cache::open(folder.path().join("cache")), &|name| {
            (name == crate::seal::SEAL_VARIABLE).then(|| seal.clone())
        });
        let path = |name: &str| GuestPath::from_relative(name.as_bytes()).unwrap();
        let device = Device { major: 5, minor: 1 };
        let kinds = [
            EntryKind::File,
            EntryKind::Directory,
            EntryKind::Symlink(b"any/../text".to_vec()),
            EntryKind::Hardlink(path("bin/one")),
            EntryKind::CharDevice(device),
            EntryKind::BlockDevice(device),
            EntryKind::Fifo,
        ];
        let entries = kinds.into_iter().enumerate().map(|(number, kind)| {
            let entry = Entry {
                path: path(&format!("name{number}")),
                kind,
                mode: 0o4755,
                uid: u32::MAX,
                gid: 7,
                user: b"user".to_vec(),
                group: Vec::new(),
                mtime: -1,
                xattrs: BTreeMap::from([(b"name".to_vec(), b"\0value".to_vec())]),
                checksum: (number % 2 == 0).then(|| Sha1::of(b"sum")),
                size: 1 << 40,
                offset: 512,
            };
            let content = match number {
                0 => Some(FileContent::inline(&b"inline"[..])),
                1 => Some(FileContent {
                    content: Content::Source {
                        source: SourceId::BASE,
                        offset: 1 << 41,
                    },
                    size: 1 << 40,
                    sha1: Sha1::of(b"content"),
                }),
                _ => None,
            };
            (entry, content)
        });
        let listing = Listing(entries.collect());
        let archive = Sha256::of(b"archive");
        assert_eq!(Listing::read(&sealed, &archive), None);
        listing.write(&sealed, &archive);
        assert_eq!(Listing::read(&sealed, &archive), Some(listing));
    }
}
