//! One block's header.

use super::number::{signed, unsigned};
use super::{BLOCK, TarErrorKind};

/// The magic and version of POSIX archives.
const POSIX_MAGIC: &[u8] = b"ustar\x0000";
/// The magic and version of GNU archives.
const GNU_MAGIC: &[u8] = b"ustar  \0";

/// What a header introduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Hardlink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
    /// The next entry's name, in the GNU dialect.
    LongName,
    /// The next entry's link target, in the GNU dialect.
    LongLink,
    /// The next entry's pax records.
    Pax,
    /// All later entries' pax records.
    GlobalPax,
}

/// The fields of a header. Numbers that a pax record may replace are `None` where the header's
/// own cannot be read.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) user: Vec<u8>,
    pub(super) group: Vec<u8>,
    pub(super) device_major: Option<u32>,
    pub(super) device_minor: Option<u32>,
}

impl Header {
    /// Reads a block that is not all zeros.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, TarErrorKind> {
        let field = |from: usize, length: usize| block.get(from..from + length).unwrap_or_default();
        let sum: u64 = block
            .iter()
            .enumerate()
            // The checksum's own field counts as spaces.
            .map(|(at, byte)| {
                u64::from(if (148..156).contains(&at) {
                    b' '
                } else {
                    *byte
                })
            })
            .sum();
        let magic = field(257, 8);
        let gnu = magic == GNU_MAGIC;
        if !gnu && magic != POSIX_MAGIC {
            return Err(TarErrorKind::Magic);
        }
        if unsigned(field(148, 8)) != Some(sum) {
            return Err(TarErrorKind::HeaderChecksum);
        }
        let kind = match field(156, 1).first().copied().unwrap_or_default() {
            // POSIX: 7 is to be treated as a regular file where it means nothing else.
            b'0' | b'7' | 0 => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'L' => Kind::LongName,
            b'K' => Kind::LongLink,
            b'x' => Kind::Pax,
            b'g' => Kind::GlobalPax,
            b'S' => return Err(TarErrorKind::Sparse),
            other => return Err(TarErrorKind::Type(other)),
        };
        let mut name = text(field(0, 100)).to_vec();
        // In the GNU dialect other things stand where POSIX has the name's beginning.
        let prefix = text(field(345, 155));
        // Python's `tarfile` puts the prefix before the name in both.
        if gnu && field(345, 155).iter().any(|byte| *byte != 0) {
            return Err(TarErrorKind::GnuPrefix);
        }
        if !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
        // A number that only a pax record may say has to be one all the same: Python's `tarfile` ends
        // at a header where any field is none.
        let number = |from, length, what| {
            let number = signed(field(from, length)).ok_or(TarErrorKind::Number(what))?;
            Ok(u32::try_from(number).ok())
        };
        Ok(Self {
            kind,
            name,
            link: text(field(157, 100)).to_vec(),
            // Some writers put the whole `st_mode` there; the type of the file is elsewhere.
            mode: number(100, 8, "mode")?.ok_or(TarErrorKind::Number("mode"))? & 0o7777,
            uid: number(108, 8, "uid")?,
            gid: number(116, 8, "gid")?,
            size: unsigned(field(124, 12)).ok_or(TarErrorKind::Number("size"))?,
            mtime: signed(field(136, 12)).ok_or(TarErrorKind::Number("mtime"))?,
            user: text(field(265, 32)).to_vec(),
            group: text(field(297, 32)).to_vec(),
            device_major: number(329, 8, "device number")?,
            device_minor: number(337, 8, "device number")?,
        })
    }
}

/// Returns the name that stands in a block, whether that is a header or not.
pub(super) fn name(block: &[u8; BLOCK]) -> &[u8] {
    text(block.get(..100).unwrap_or_default())
}

/// A field's text: up to its first NUL, or all of it.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}
