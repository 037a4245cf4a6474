//! tar archives: read whole, in odd pieces and without their contents they are the same entries,
//! and written by somebody else's writer they are those entries again.

use std::io::Read;

use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::tar::{BLOCK, Reader, TarError};
use prebake_testkit::archive::{Archive, Flavour};
use prebake_testkit::member::{Checksum, Member};

use crate::feed::Feed;
use crate::odd::Odd;
use crate::tame::tame;

/// What an archive was read as: its entries with the spelling of their names and their contents,
/// and what ended it.
#[derive(Debug, PartialEq)]
pub(crate) struct Walk {
    pub(crate) entries: Vec<(Entry, Vec<u8>, Vec<u8>)>,
    pub(crate) error: Option<String>,
}

/// Reads an archive.
pub(crate) fn tar(data: &[u8]) {
    let mut feed = Feed::new(data);
    let how = feed.byte();
    let archive = match how % 3 {
        0 => feed.rest().to_vec(),
        1 => mended(feed.rest()),
        _ => made(&mut feed),
    };
    let whole = walk(&archive[..], archive.len(), true);
    assert_eq!(whole, walk(Odd::new(&archive, how), archive.len(), true));
    let skipped = walk(Odd::new(&archive, !how), archive.len(), false);
    assert_eq!(whole.error, skipped.error);
    assert!(whole.entries.len() <= skipped.entries.len());
    for (one, other) in whole.entries.iter().zip(&skipped.entries) {
        assert_eq!((&one.0, &one.1), (&other.0, &other.1));
    }
    let mut end = 0;
    for (entry, name, content) in &whole.entries {
        assert!(entry.mode <= 0o7777);
        assert!(entry.kind == EntryKind::File || entry.size == 0);
        // Each begins behind the one before, at a block's edge, after its own header.
        assert!(entry.offset >= end + BLOCK as u64 && entry.offset.is_multiple_of(BLOCK as u64));
        end = entry.offset + content.len() as u64;
        assert!(end <= archive.len() as u64);
        let from = usize::try_from(entry.offset).expect("it lies in memory");
        assert!(archive[from..from + content.len()] == content[..]);
        assert_eq!(
            prebake_apk::path::GuestPath::from_archive(name).as_ref(),
            Ok(&entry.path)
        );
    }
    if whole.error.is_none() {
        write_again(&whole);
    }
}

/// Reads every entry, with its content or without.
pub(crate) fn walk(reader: impl Read, length: usize, contents: bool) -> Walk {
    let mut reader = Reader::new(reader);
    let mut entries = Vec::new();
    let mut error = None;
    let told = |error: &TarError| {
        assert!(error.offset() <= length as u64, "{error} of {length}");
        Some(tame(error))
    };
    loop {
        let entry = match reader.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(wrong) => {
                error = told(&wrong);
                break;
            }
        };
        assert_eq!(reader.content_left(), entry.size);
        let name = reader.raw_name().to_vec();
        let mut content = Vec::new();
        if contents {
            let read = reader.read_to_end(&mut content);
            if let Err(wrong) = read {
                let wrong = wrong.get_ref().and_then(|inner| inner.downcast_ref());
                error = told(wrong.expect("slices and pipes do not fail"));
                break;
            }
            assert_eq!(content.len() as u64, entry.size);
        }
        entries.push((entry, name, content));
    }
    if error.is_none() {
        assert!(matches!(reader.next(), Ok(None)), "the end is no end");
    }
    Walk { entries, error }
}

/// Writes the entries with the testkit's writer, and reads that.
fn write_again(walk_before: &Walk) {
    let mut archive = Archive::new(Flavour::Posix);
    let mut expected = Vec::new();
    for (entry, _, content) in &walk_before.entries {
        let Some(member) = member(entry, content) else {
            continue;
        };
        archive.push(&member);
        expected.push((entry, content));
    }
    let bytes = archive.ended();
    let again = walk(&bytes[..], bytes.len(), true);
    assert_eq!(again.error, None);
    assert_eq!(again.entries.len(), expected.len());
    for ((again, _, content), (entry, before)) in again.entries.iter().zip(expected) {
        let entry = Entry {
            offset: again.offset,
            ..entry.clone()
        };
        assert_eq!((again, content), (&entry, before));
    }
}

/// Returns the entry as a member, if the writer has words for it.
fn member(entry: &Entry, content: &[u8]) -> Option<Member> {
    let path = match entry.path.as_bytes() {
        b"" => b".",
        path => path,
    };
    let (flag, link, device) = match &entry.kind {
        EntryKind::File => (b'0', &b""[..], (0, 0)),
        EntryKind::Hardlink(target) => (b'1', target.as_bytes(), (0, 0)),
        EntryKind::Symlink(target) => (b'2', &target[..], (0, 0)),
        EntryKind::CharDevice(device) => (b'3', &b""[..], (device.major, device.minor)),
        EntryKind::BlockDevice(device) => (b'4', &b""[..], (device.major, device.minor)),
        EntryKind::Directory => (b'5', &b""[..], (0, 0)),
        EntryKind::Fifo => (b'6', &b""[..], (0, 0)),
    };
    if device.0.max(device.1) > 0o7_777_777 {
        return None;
    }
    let mut member = Member::new(flag, path, entry.mode);
    member.link = link.to_vec();
    member.device = device;
    member.uid = entry.uid;
    member.gid = entry.gid;
    member.mtime = entry.mtime;
    member.content = content.to_vec();
    member.user = String::new();
    member.group = String::new();
    member.checksum = Checksum::Missing;
    for (name, value) in &entry.xattrs {
        let name = String::from_utf8(name.clone()).ok()?;
        member.xattrs.insert(name, value.clone());
    }
    let mut record = |key: &str, value: &[u8]| {
        if !value.is_empty() {
            member.pax.push((key.to_owned(), value.to_vec()));
        }
    };
    record("uname", &entry.user);
    record("gname", &entry.group);
    let checksum = entry.checksum.map(|sha1| sha1.to_string());
    let checksum = checksum.unwrap_or_default();
    record("APK-TOOLS.checksum.SHA1", checksum.as_bytes());
    Some(member)
}

/// Makes the checksums of what looks like headers right, which no fuzzer guesses.
pub(crate) fn mended(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for block in archive.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
    archive
}

/// Makes an archive of members that are honest or not.
pub(crate) fn made(feed: &mut Feed<'_>) -> Vec<u8> {
    let flavours = [Flavour::Posix, Flavour::Abuild, Flavour::Gnu];
    let flavour = flavours[usize::from(feed.byte() % 3)];
    let end = feed.byte();
    let mut archive = Archive::new(flavour);
    for _ in 0..=feed.byte() % 8 {
        archive.push(&made_member(feed));
        if feed.is_empty() {
            break;
        }
    }
    match end % 4 {
        0 => archive.cut(),
        1 => archive.ended(),
        2 => archive.padded(),
        _ => {
            archive.raw(feed.rest());
            archive.cut()
        }
    }
}

/// The flags that mean something, and one that does not.
const FLAGS: &[u8] = b"0123456LKxgS7V";
/// Records that mean something.
const KEYS: [&str; 10] = [
    "path",
    "linkpath",
    "size",
    "uid",
    "gid",
    "uname",
    "mtime",
    "APK-TOOLS.checksum.SHA1",
    "SCHILY.xattr.user.a",
    "GNU.sparse.major",
];

pub(crate) fn made_member(feed: &mut Feed<'_>) -> Member {
    let shape = feed.byte();
    let flag = FLAGS[usize::from(feed.byte()) % FLAGS.len()];
    let mut member = Member::new(flag, feed.slice(), 0o644);
    if matches!(flag, b'1' | b'2') || shape & 1 != 0 {
        member.link = feed.slice().to_vec();
    }
    member.content = feed.slice().to_vec();
    if shape & 2 != 0 {
        member.mode = feed.word();
        member = member.ids(feed.word(), feed.word());
    }
    if shape & 4 != 0 {
        member.mtime = i64::from(feed.word().cast_signed()) << (feed.byte() % 32);
        member.device = (feed.word(), feed.word());
    }
    if shape & 8 != 0 {
        let key = usize::from(feed.byte());
        let key = match KEYS.get(key) {
            Some(key) => (*key).to_owned(),
            None => String::from_utf8_lossy(feed.slice()).into_owned(),
        };
        member.pax.push((key, feed.slice().to_vec()));
    }
    if shape & 16 != 0 {
        let name = String::from_utf8_lossy(feed.slice()).into_owned();
        member.xattrs.insert(name, feed.slice().to_vec());
    }
    if shape & 32 != 0 {
        member.claimed_size = Some(u64::from(feed.word()) << (feed.byte() % 33));
    }
    if shape & 64 != 0 {
        member.checksum = Checksum::Missing;
    }
    member
}
