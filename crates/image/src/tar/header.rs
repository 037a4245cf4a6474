//! One entry's header block.

use std::collections::BTreeMap;

use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;
use prebake_apk::tar::BLOCK;

use super::pax::Records;

/// The lengths of ustar's fields for names.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// Everything about an entry but its content.
#[derive(Clone, Debug)]
pub struct Header<'a> {
    /// Its name.
    pub path: &'a GuestPath,
    /// What it is.
    pub kind: Kind<'a>,
    /// The permission bits, at most `0o7777`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last change, in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by name. Those of a hard link are its file's and are not repeated.
    pub xattrs: &'a BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// A regular file with that many bytes of content.
    File {
        /// How many.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link to that text.
    Symlink(&'a [u8]),
    /// Another name of a file that was written before.
    Hardlink(&'a GuestPath),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// A device's number does not fit the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device number has more than 21 bits")]
pub struct DeviceTooLarge;

impl Header<'_> {
    /// Returns how many bytes of content follow.
    fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size } => size,
            _ => 0,
        }
    }

    /// Returns the header block, with the block and content of a pax header before it if there
    /// is something that the block cannot say.
    pub fn encode(&self) -> Result<Vec<u8>, DeviceTooLarge> {
        let mut records = Records::default();
        let mut block = Block::new();
        let name = spelled(self.path, matches!(self.kind, Kind::Directory));
        if let Some((prefix, name)) = split(&name) {
            block.text(0, name);
            block.text(345, prefix);
        } else {
            records.name(b"path", &name);
            block.text(0, name.get(..NAME).unwrap_or_default());
        }
        let (letter, link) = match self.kind {
            Kind::File { .. } => (b'0', Vec::new()),
            Kind::Hardlink(first) => (b'1', spelled(first, false)),
            Kind::Symlink(target) => (b'2', target.to_vec()),
            Kind::CharDevice(_) => (b'3', Vec::new()),
            Kind::BlockDevice(_) => (b'4', Vec::new()),
            Kind::Directory => (b'5', Vec::new()),
            Kind::Fifo => (b'6', Vec::new()),
        };
        block.text(156, &[letter]);
        if link.len() > NAME {
            records.name(b"linkpath", &link);
        }
        block.text(157, link.get(..NAME).unwrap_or(&link));
        // What does not fit is 0 in the block, which a reader without pax takes for what it is.
        if !block.octal(124, 12, self.size()) {
            records.number(b"size", i128::from(self.size()));
        }
        if !block.octal(108, 8, u64::from(self.uid)) {
            records.number(b"uid", i128::from(self.uid));
        }
        if !block.octal(116, 8, u64::from(self.gid)) {
            records.number(b"gid", i128::from(self.gid));
        }
        // A negative time does not fit either.
        if !block.octal(136, 12, u64::try_from(self.mtime).unwrap_or(u64::MAX)) {
            records.number(b"mtime", i128::from(self.mtime));
        }
        block.octal(100, 8, u64::from(self.mode & 0o7777));
        let device = match self.kind {
            Kind::CharDevice(device) | Kind::BlockDevice(device) => device,
            _ => Device { major: 0, minor: 0 },
        };
        if !block.octal(329, 8, u64::from(device.major))
            || !block.octal(337, 8, u64::from(device.minor))
        {
            return Err(DeviceTooLarge);
        }
        if !matches!(self.kind, Kind::Hardlink(_)) {
            for (name, value) in self.xattrs {
                records.raw(&[b"SCHILY.xattr.", &name[..]].concat(), value);
            }
        }
        let mut bytes = Vec::new();
        let records = records.into_bytes();
        if !records.is_empty() {
            let mut pax = Block::new();
            // What a reader that knows no pax calls the file that it takes this for.
            pax.text(0, b"././@PaxHeader");
            pax.text(156, b"x");
            pax.octal(100, 8, 0o644);
            for (at, length) in [(108, 8), (116, 8), (136, 12), (329, 8), (337, 8)] {
                pax.octal(at, length, 0);
            }
            pax.octal(124, 12, records.len() as u64);
            bytes.extend_from_slice(&pax.sealed());
            bytes.extend_from_slice(&records);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.extend_from_slice(&block.sealed());
        Ok(bytes)
    }
}

/// Spells a path as archives do.
fn spelled(path: &GuestPath, directory: bool) -> Vec<u8> {
    let mut name = b"./".to_vec();
    name.extend_from_slice(path.as_bytes());
    if directory && !path.is_root() {
        name.push(b'/');
    }
    name
}

/// Splits a name into ustar's prefix and name, both of which must fit; `None` if that cannot be.
/// As much as fits goes into the name, so that a name of up to 100 bytes has no prefix.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME {
        return Some((b"", name));
    }
    // The `/` between the two is written in neither; the name after it must not be empty.
    (name.len() - NAME - 1..name.len().min(PREFIX + 1))
        .filter(|at| name.get(*at) == Some(&b'/'))
        .map(|at| name.split_at(at))
        .map(|(prefix, rest)| (prefix, rest.get(1..).unwrap_or_default()))
        .find(|(prefix, rest)| !prefix.is_empty() && !rest.is_empty())
}

/// A header block that is being filled.
struct Block([u8; BLOCK]);

impl Block {
    fn new() -> Self {
        let mut block = Self([0; BLOCK]);
        block.text(257, b"ustar\x0000");
        block
    }

    fn text(&mut self, at: usize, text: &[u8]) {
        if let Some(field) = self.0.get_mut(at..at + text.len()) {
            field.copy_from_slice(text);
        }
    }

    /// Writes a number in as many octal digits as the field has, less its final NUL; says
    /// whether it fits, and writes 0 where it does not.
    fn octal(&mut self, at: usize, length: usize, number: u64) -> bool {
        let digits = length - 1;
        let fits = number >> (3 * digits) == 0;
        let number = if fits { number } else { 0 };
        for (place, byte) in self.0.iter_mut().skip(at).take(digits).rev().enumerate() {
            *byte = b'0' + (number >> (3 * place) & 7) as u8;
        }
        self.text(at + digits, b"\0");
        fits
    }

    /// Returns the block with its checksum.
    fn sealed(mut self) -> [u8; BLOCK] {
        self.text(148, b"        ");
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.text(148, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_both_parts_fit() {
        let text = |length: usize| "n".repeat(length);
        for (name, parts) in [
            (text(100), Some((String::new(), text(100)))),
            (text(101), None),
            (
                format!("./{}", text(98)),
                Some((String::new(), format!("./{}", text(98)))),
            ),
            (format!("./{}", text(99)), Some((".".to_owned(), text(99)))),
            (format!("./{}", text(101)), None),
            (
                format!("{}/{}", text(155), text(100)),
                Some((text(155), text(100))),
            ),
            (format!("{}/{}", text(156), text(99)), None),
            (format!("{}/{}", text(155), text(101)), None),
            (format!("{}/", text(100)), None),
            (
                format!("{}/{}/", text(60), text(60)),
                Some((text(60), format!("{}/", text(60)))),
            ),
        ] {
            let split = split(name.as_bytes()).map(|(prefix, name)| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (text(prefix), text(name))
            });
            assert_eq!(split, parts, "{name}");
        }
    }
}
