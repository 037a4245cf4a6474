//! The headers that describe an entry, put together.

use super::TarErrorKind;
use super::header::{Header, Kind};
use super::records::Records;
use crate::digest::Sha1;
use crate::entry::{Device, Entry, EntryKind};
use crate::limits::{MAX_FILE, MAX_LINK_TARGET, MAX_OWNER_NAME};
use crate::path::GuestPath;
use crate::shown::shown;

/// The smallest size that a ustar header's eleven octal digits cannot hold, from which on a pax
/// record may say something else than the header.
const FIRST_SIZE_BEYOND_OCTAL: u64 = 1 << 33;

/// The headers that came before an entry and describe it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) long_name: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
    pub(super) records: Option<Records>,
}

impl Pending {
    /// Says whether there is any.
    pub(super) fn is_some(&self) -> bool {
        self.long_name.is_some() || self.long_link.is_some() || self.records.is_some()
    }

    /// Puts an entry together from its header and from those before it, and returns it with its
    /// name as the archive spells it. Its content begins at `offset`. The name is known also where
    /// the entry cannot be used.
    pub(super) fn describe(
        mut self,
        mut header: Header,
        offset: u64,
    ) -> (Result<Entry, TarErrorKind>, Vec<u8>) {
        let records = self.records.as_mut();
        let name = self
            .long_name
            .take()
            .or_else(|| records.and_then(|records| records.path.take()))
            .unwrap_or_else(|| std::mem::take(&mut header.name));
        (self.describe_named(header, offset, &name), name)
    }

    fn describe_named(
        self,
        header: Header,
        offset: u64,
        name: &[u8],
    ) -> Result<Entry, TarErrorKind> {
        let records = self.records.unwrap_or_default();
        let link = self.long_link.or(records.link_path).unwrap_or(header.link);
        let size = match records.size {
            None => header.size,
            Some(size) if size == header.size || size >= FIRST_SIZE_BEYOND_OCTAL => size,
            Some(size) => {
                return Err(TarErrorKind::ContradictorySize {
                    header: header.size,
                    pax: size,
                });
            }
        };
        if size != 0 && header.kind != Kind::File {
            return Err(TarErrorKind::SizeOfNoFile { size });
        }
        if size > MAX_FILE {
            return Err(TarErrorKind::FileTooLarge { size });
        }
        let path = GuestPath::from_archive(name).map_err(|source| TarErrorKind::Name {
            name: shown(name),
            source,
        })?;
        if name.is_empty() {
            return Err(TarErrorKind::NoName);
        }
        if header.kind != Kind::Directory && (path.is_root() || name.ends_with(b"/")) {
            return Err(TarErrorKind::FileNamedAsDirectory { name: shown(name) });
        }
        let device = || {
            Ok(Device {
                major: header
                    .device_major
                    .ok_or(TarErrorKind::Number("device number"))?,
                minor: header
                    .device_minor
                    .ok_or(TarErrorKind::Number("device number"))?,
            })
        };
        let kind = match header.kind {
            Kind::Directory => EntryKind::Directory,
            Kind::Symlink if link.is_empty() => return Err(TarErrorKind::NoLinkTarget),
            Kind::Symlink if link.len() > MAX_LINK_TARGET || link.contains(&0) => {
                return Err(TarErrorKind::LinkTarget);
            }
            Kind::Symlink => EntryKind::Symlink(link),
            Kind::Hardlink => EntryKind::Hardlink(match GuestPath::from_archive(&link) {
                Ok(target) if target.is_root() => return Err(TarErrorKind::NoLinkTarget),
                Ok(target) => target,
                Err(source) => {
                    return Err(TarErrorKind::Name {
                        name: shown(&link),
                        source,
                    });
                }
            }),
            Kind::CharDevice => EntryKind::CharDevice(device()?),
            Kind::BlockDevice => EntryKind::BlockDevice(device()?),
            Kind::Fifo => EntryKind::Fifo,
            // The kinds of header that describe another one never get here.
            Kind::File | Kind::LongName | Kind::LongLink | Kind::Pax | Kind::GlobalPax => {
                EntryKind::File
            }
        };
        let user = records.user.unwrap_or(header.user);
        let group = records.group.unwrap_or(header.group);
        if user.len() > MAX_OWNER_NAME || group.len() > MAX_OWNER_NAME {
            return Err(TarErrorKind::OwnerName);
        }
        Ok(Entry {
            path,
            kind,
            mode: header.mode,
            uid: match records.uid {
                Some(uid) => uid,
                None => header.uid.ok_or(TarErrorKind::Number("uid"))?,
            },
            gid: match records.gid {
                Some(gid) => gid,
                None => header.gid.ok_or(TarErrorKind::Number("gid"))?,
            },
            user,
            group,
            mtime: records.mtime.unwrap_or(header.mtime),
            xattrs: records.xattrs,
            checksum: match records.checksum {
                Some(text) => Some(Sha1::from_hex(&text).map_err(TarErrorKind::Checksum)?),
                None => None,
            },
            size,
            offset,
        })
    }
}
