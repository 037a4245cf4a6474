//! Writes tar archives and gzip members, byte for byte the same on every run.
//!
//! It is not the product's writer and shares no code with it: what it makes is what Alpine's own
//! tools make, and on purpose also what nobody should.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};

use crate::member::Member;

/// The length of a tar header, and what every content is padded to.
const BLOCK: usize = 512;
/// What GNU tar pads a whole archive to: 20 blocks.
const RECORD: usize = 20 * BLOCK;

/// Which tar the archive looks to be from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// POSIX ustar with pax records where a field does not hold a value.
    Posix,
    /// As `abuild` makes a package's data: [`Flavour::Posix`], and each member's pax records
    /// begin with `ctime=0` and `atime=0` and end with apk's SHA-1.
    Abuild,
    /// GNU tar's own format (magic `ustar  `), as the official minirootfs is: long names in
    /// members of their own, large numbers in base 256, xattrs nowhere.
    Gnu,
}

/// A tar archive being written to memory.
#[derive(Clone, Debug)]
pub struct Archive {
    flavour: Flavour,
    bytes: Vec<u8>,
}

impl Archive {
    /// Returns an archive without members.
    pub fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            bytes: Vec::new(),
        }
    }

    /// Returns an archive of `members`, in their order.
    pub fn of<'a>(flavour: Flavour, members: impl IntoIterator<Item = &'a Member>) -> Self {
        let mut archive = Self::new(flavour);
        for member in members {
            archive.push(member);
        }
        archive
    }

    /// Appends a member.
    pub fn push(&mut self, member: &Member) {
        let mut name = member.name.clone();
        if member.flag == b'5' && name.last() != Some(&b'/') {
            name.push(b'/');
        }
        let size = member.claimed_size.unwrap_or(member.content.len() as u64);
        let mut records = Vec::new();
        if self.flavour == Flavour::Abuild {
            records.push(("ctime".to_owned(), b"0".to_vec()));
            records.push(("atime".to_owned(), b"0".to_vec()));
        }
        if self.flavour == Flavour::Gnu {
            self.gnu_long(b'L', &name);
            self.gnu_long(b'K', &member.link);
        } else {
            if name.len() > 100 && split(&name).is_none() {
                records.push(("path".to_owned(), name.clone()));
            }
            if member.link.len() > 100 {
                records.push(("linkpath".to_owned(), member.link.clone()));
            }
            let numbers = [
                ("size", size.cast_signed(), 11),
                ("uid", i64::from(member.uid), 7),
                ("gid", i64::from(member.gid), 7),
                ("mtime", member.mtime, 11),
            ];
            for (key, number, digits) in numbers {
                if octal(number, digits).is_none() {
                    records.push((key.to_owned(), number.to_string().into_bytes()));
                }
            }
            for (key, value) in &member.xattrs {
                records.push((format!("SCHILY.xattr.{key}"), value.clone()));
            }
        }
        if self.flavour == Flavour::Abuild
            && let Some(sha1) = member.claimed_sha1()
        {
            let key = "APK-TOOLS.checksum.SHA1".to_owned();
            records.push((key, sha1.to_string().into_bytes()));
        }
        records.extend(member.pax.iter().cloned());
        if !records.is_empty() {
            self.pax(&name, member.mtime, &records);
        }
        let header = self.header(member, &name, size);
        self.bytes.extend_from_slice(&header);
        self.content(&member.content);
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the archive without the zero blocks at its end, as a package's signature and
    /// control member are.
    pub fn cut(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the archive with the two zero blocks that end it.
    pub fn ended(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 2 * BLOCK]);
        self.bytes
    }

    /// Returns the archive ended and padded to a multiple of 10,240 bytes, as GNU tar does.
    pub fn padded(self) -> Vec<u8> {
        let mut bytes = self.ended();
        bytes.resize(bytes.len().next_multiple_of(RECORD), 0);
        bytes
    }

    fn content(&mut self, content: &[u8]) {
        self.bytes.extend_from_slice(content);
        let padded = self.bytes.len().next_multiple_of(BLOCK);
        self.bytes.resize(padded, 0);
    }

    fn pax(&mut self, name: &[u8], mtime: i64, records: &[(String, Vec<u8>)]) {
        let mut content = Vec::new();
        for (key, value) in records {
            content.extend_from_slice(&pax_record(key, value));
        }
        let trimmed = name.strip_suffix(b"/").unwrap_or(name);
        let (folder, last) = match trimmed.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&trimmed[..at], &trimmed[at + 1..]),
            None => (&b"."[..], trimmed),
        };
        let mut header_name = [folder, b"/PaxHeaders/", last].concat();
        header_name.truncate(100);
        let member = Member {
            user: String::new(),
            group: String::new(),
            ..Member::new(b'x', &header_name, 0o644).mtime(mtime)
        };
        let header = self.header(&member, &header_name, content.len() as u64);
        self.bytes.extend_from_slice(&header);
        self.content(&content);
    }

    fn gnu_long(&mut self, flag: u8, text: &[u8]) {
        if text.len() < 100 {
            return;
        }
        let content = [text, b"\0"].concat();
        let name = b"././@LongLink";
        let member = Member::new(flag, name, 0o644).mtime(0);
        let header = self.header(&member, name, content.len() as u64);
        self.bytes.extend_from_slice(&header);
        self.content(&content);
    }

    fn header(&self, member: &Member, name: &[u8], size: u64) -> [u8; BLOCK] {
        let mut header = [0; BLOCK];
        let (prefix, short) = match split(name) {
            Some(parts) if name.len() > 100 && self.flavour != Flavour::Gnu => parts,
            _ => (&b""[..], name),
        };
        put(&mut header, 0, 100, short);
        self.number(&mut header, 100, 8, i64::from(member.mode));
        self.number(&mut header, 108, 8, i64::from(member.uid));
        self.number(&mut header, 116, 8, i64::from(member.gid));
        self.number(&mut header, 124, 12, size.cast_signed());
        self.number(&mut header, 136, 12, member.mtime);
        header[156] = member.flag;
        put(&mut header, 157, 100, &member.link);
        let magic: &[u8] = match self.flavour {
            Flavour::Gnu => b"ustar  \0",
            Flavour::Posix | Flavour::Abuild => b"ustar\x0000",
        };
        put(&mut header, 257, 8, magic);
        put(&mut header, 265, 32, member.user.as_bytes());
        put(&mut header, 297, 32, member.group.as_bytes());
        if matches!(member.flag, b'3' | b'4') {
            self.number(&mut header, 329, 8, i64::from(member.device.0));
            self.number(&mut header, 337, 8, i64::from(member.device.1));
        }
        put(&mut header, 345, 155, prefix);
        // The sum counts its own field as eight spaces.
        header[148..156].fill(b' ');
        let sum = header.iter().map(|byte| u32::from(*byte)).sum();
        let sum = member.claimed_sum.unwrap_or(sum);
        put(&mut header, 148, 7, format!("{sum:06o}\0").as_bytes());
        header
    }

    /// Writes a number in octal, or what stands for one that does not fit: base 256 in a GNU
    /// archive, zeros in the others, where a pax record says it.
    fn number(&self, header: &mut [u8; BLOCK], at: usize, width: usize, number: i64) {
        match octal(number, width - 1) {
            Some(digits) => put(header, at, width, &digits),
            None if self.flavour == Flavour::Gnu => {
                let mut wide = [if number < 0 { 0xff } else { 0 }; 12];
                wide[4..].copy_from_slice(&number.to_be_bytes());
                let field = &mut wide[12 - width..];
                field[0] = if number < 0 { 0xff } else { 0x80 };
                put(header, at, width, field);
            }
            None => put(header, at, width, &vec![b'0'; width - 1]),
        }
    }
}

/// Compresses `bytes` to one gzip member: no name, no time, made by Unix, as Alpine's are.
///
/// # Panics
///
/// If compressing to memory fails, which it does not.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzBuilder::new()
        .operating_system(3)
        .write(Vec::new(), Compression::default());
    writer
        .write_all(bytes)
        .and_then(|()| writer.finish())
        .expect("memory takes whatever is written")
}

/// Returns one pax record: its length in decimal, which counts itself, then `key=value`.
pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

/// Returns `number` in `digits` octal digits, or `None` where it does not fit.
fn octal(number: i64, digits: usize) -> Option<Vec<u8>> {
    let text = format!("{:0digits$o}", u64::try_from(number).ok()?);
    (text.len() <= digits).then(|| text.into_bytes())
}

/// Splits a long name at a `/` into ustar's prefix (155 bytes) and name (100 bytes).
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = (0..name.len().saturating_sub(1))
        .find(|at| name[*at] == b'/' && name.len() - at - 1 <= 100)?;
    (1..=155)
        .contains(&at)
        .then(|| (&name[..at], &name[at + 1..]))
}

/// Copies what fits of `value` into a field of the header.
fn put(header: &mut [u8; BLOCK], at: usize, width: usize, value: &[u8]) {
    let length = value.len().min(width);
    header[at..at + length].copy_from_slice(&value[..length]);
}
