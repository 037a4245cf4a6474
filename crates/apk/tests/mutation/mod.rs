//! Damages archives where readers are known to disagree: sizes, types, names, records, ends.

use prebake_testkit::archive::{Archive, Flavour, pax_record};
use prebake_testkit::member::Member;

const BLOCK: usize = 512;

/// Numbers that are the same on every run (xorshift, by G. Marsaglia).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % limit.max(1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Returns good archives with all that an entry may have.
pub(crate) fn originals() -> Vec<Vec<u8>> {
    let long = ["folder"; 20].join("/");
    let members = [
        Member::directory("usr"),
        Member::file("usr/a", "first\n"),
        Member::file("usr/empty", ""),
        Member::symlink("usr/link", "a"),
        Member::hardlink("usr/hard", "usr/a"),
        Member::file(format!("{long}/long"), "the long one's\n"),
        Member::symlink("usr/far", format!("{long}/long")),
        Member::fifo("usr/pipe"),
        Member::char_device("usr/null", 1, 3),
        Member::block_device("usr/disk", 8, 1),
        Member::file("usr/block", [b'x'; 512]),
        Member::file("usr/b", "last\n"),
    ];
    let with_pax = members.clone().map(|member| match member.flag {
        b'0' => member.pax("mtime", "1.5").xattr("user.a", "value"),
        _ => member.pax("comment", "none"),
    });
    vec![
        Archive::of(Flavour::Posix, &members).padded(),
        Archive::of(Flavour::Gnu, &members).padded(),
        Archive::of(Flavour::Abuild, &members).ended(),
        Archive::of(Flavour::Posix, &with_pax).ended(),
        Archive::of(Flavour::Posix, &members).cut(),
    ]
}

/// Returns where the headers are.
fn headers(archive: &[u8]) -> Vec<usize> {
    let blocks = archive.chunks_exact(BLOCK).enumerate();
    let headers = blocks.filter(|(_, block)| block.get(257..262) == Some(b"ustar"));
    headers.map(|(number, _)| number * BLOCK).collect()
}

/// Writes the header's checksum anew.
fn sum(archive: &mut [u8], at: usize) {
    let header = &mut archive[at..at + BLOCK];
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn put(archive: &mut [u8], at: usize, bytes: &[u8]) {
    archive[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Returns the archive with one or two things changed.
pub(crate) fn mutated(original: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut archive = original.to_vec();
    for _ in 0..=chance.below(2) {
        mutate(&mut archive, chance);
    }
    archive
}

fn mutate(archive: &mut Vec<u8>, chance: &mut Chance) {
    let headers = headers(archive);
    if headers.is_empty() {
        return;
    }
    let at = chance.one_of(&headers);
    match chance.below(12) {
        0 => size(archive, at, chance),
        1 => kind(archive, at, chance),
        2 => name(archive, at, chance),
        3 => number(archive, at, chance),
        4 | 5 => record(archive, at, chance),
        6 => {
            let content = long_text(chance);
            let flag = chance.one_of(b"LK");
            insert(archive, at, flag, &content);
        }
        7 => byte(archive, at, chance),
        8 => blocks(archive, at, chance),
        9 => end(archive, chance),
        10 => in_a_record(archive, at, chance),
        _ => {
            let from = chance.below(500);
            let length = 1 + chance.below(11);
            let value = chance.one_of(b"\0 0/.7\xff");
            archive[at + from..at + from + length].fill(value);
            sum(archive, at);
        }
    }
}

fn size(archive: &mut [u8], at: usize, chance: &mut Chance) {
    let sizes: [&[u8]; 24] = [
        b"00000000000\0",
        b"00000000001\0",
        b"00000000005\0",
        b"00000000006 ",
        b"000000000006",
        b"00000001000\0",
        b"          6\0",
        b" 6          ",
        b"6\0\0\0\0\0\0\0\0\0\0\0",
        b"6 \x007\0\0\0\0\0\0\0\0",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"            ",
        b"-0000000006\0",
        b"+0000000006\0",
        b"0x000000006\0",
        b"0000000_006\0",
        b"\t0000000006\0",
        b"0000000006\n\0",
        b"\x80\0\0\0\0\0\0\0\0\0\0\x06",
        b"\x80\0\0\0\0\0\0\0\0\0\x02\0",
        b"\x81\0\0\0\0\0\0\0\0\0\0\x06",
        b"\xc0\0\0\0\0\0\0\0\0\0\0\x06",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfa",
        b"00000000008\0",
    ];
    put(archive, at + 124, chance.one_of(&sizes));
    sum(archive, at);
}

fn kind(archive: &mut [u8], at: usize, chance: &mut Chance) {
    archive[at + 156] = chance.one_of(b"0123456789\0xgLKSDMNVXAE ");
    sum(archive, at);
}

fn name(archive: &mut [u8], at: usize, chance: &mut Chance) {
    let names: [&[u8]; 18] = [
        b"x\0",
        b"x/\0",
        b"./x\0",
        b"./\0",
        b".\0",
        b"\0",
        b"/x\0",
        b"x//\0",
        b"x/.\0",
        b"x/..\0",
        b"\xff\xfe\0",
        b"na\xc3\xafve\0",
        b"a b \0",
        b" \0",
        b"back\\slash\0",
        b"x\0y\0",
        b"PaxHeaders/x\0",
        b"././@LongLink\0",
    ];
    let field = chance.one_of(&[0, 0, 0, 157, 345]);
    put(archive, at + field, chance.one_of(&names));
    sum(archive, at);
}

/// Changes a mode, an owner, a time, a device, the magic or the sum itself.
fn number(archive: &mut [u8], at: usize, chance: &mut Chance) {
    let numbers: [&[u8]; 9] = [
        b"0000000\0",
        b"       \0",
        b"\0\0\0\0\0\0\0\0",
        b"-000001\0",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\0\0\0\0\0\0\x01",
        b"garbage\0",
        b"ustar  \0",
        b"ustar\x0000",
    ];
    let field = chance.one_of(&[100, 108, 116, 136, 329, 337, 257, 265, 297, 148]);
    put(archive, at + field, chance.one_of(&numbers));
    if field != 148 {
        sum(archive, at);
    }
}

/// Puts a pax header before an entry.
fn record(archive: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    let records: [(&str, &[u8]); 30] = [
        ("path", b"from-pax"),
        ("path", b"from-pax/"),
        ("path", b""),
        ("path", b"./from-pax"),
        ("path", b"a\0b"),
        ("path", b"\xff"),
        ("path", b"with\nline"),
        ("path", b"with=sign"),
        ("linkpath", b"from-pax"),
        ("linkpath", b"usr/a"),
        ("size", b"6"),
        ("size", b"0"),
        ("size", b"512"),
        ("size", b" 6"),
        ("size", b"6.0"),
        ("size", b"0x6"),
        ("size", b"06"),
        ("size", b"-6"),
        ("size", b"99999999999999999999"),
        ("mtime", b"1e3"),
        ("uid", b"7"),
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.name", b"x"),
        ("GNU.sparse.size", b"6"),
        ("SCHILY.realsize", b"6"),
        ("SUN.holesdata", b" 0 6"),
        ("SCHILY.xattr.user.x", b"\0\n"),
        ("hdrcharset", b"BINARY"),
        ("charset", b"ISO-8859-1"),
        ("atime", b"0"),
    ];
    let mut content = Vec::new();
    for _ in 0..=chance.below(2) {
        let (key, value) = chance.one_of(&records);
        content.extend_from_slice(&pax_record(key, value));
    }
    match chance.below(6) {
        0 => content.push(0),
        1 => content.insert(0, b'0'),
        2 => {
            content.pop();
        }
        _ => {}
    }
    let flag = chance.one_of(b"xxxg");
    insert(archive, at, flag, &content);
}

fn long_text(chance: &mut Chance) -> Vec<u8> {
    let texts: [&[u8]; 10] = [
        b"from-gnu\0",
        b"from-gnu",
        b"from-gnu/\0",
        b"\0",
        b"",
        b"a\0b\0",
        b"./from-gnu\0",
        b"a\0\0\0",
        b"\xff\0",
        b"usr/a\0",
    ];
    chance.one_of(&texts).to_vec()
}

/// Puts a header with a content before another header.
fn insert(archive: &mut Vec<u8>, at: usize, flag: u8, content: &[u8]) {
    let member = Member {
        flag,
        ..Member::file("meta", content)
    };
    let mut more = Archive::of(Flavour::Posix, [&member]).cut();
    // As much of one dialect as of the other.
    more[257..265].copy_from_slice(&archive[at + 257..at + 265]);
    sum(&mut more, 0);
    archive.splice(at..at, more);
}

fn byte(archive: &mut [u8], at: usize, chance: &mut Chance) {
    let place = at + chance.below(BLOCK);
    archive[place] = u8::try_from(chance.below(256)).expect("below 256");
    sum(archive, at);
}

/// Takes blocks away, doubles them or puts zeros between.
fn blocks(archive: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    match chance.below(4) {
        0 => {
            archive.drain(at..at + BLOCK);
        }
        1 => {
            let block = archive[at..at + BLOCK].to_vec();
            archive.splice(at..at, block);
        }
        2 => {
            archive.splice(at..at, [0; BLOCK]);
        }
        _ => {
            archive.splice(at..at, [0; 2 * BLOCK]);
        }
    }
}

/// Cuts the end off, or puts something behind it.
fn end(archive: &mut Vec<u8>, chance: &mut Chance) {
    match chance.below(4) {
        0 => {
            let length = archive.len() - chance.below(4 * BLOCK).min(archive.len());
            archive.truncate(length);
        }
        1 => archive.extend_from_slice(&[0; 100]),
        2 => archive.extend_from_slice(b"garbage"),
        _ => {
            let length = archive.len() / BLOCK * BLOCK - BLOCK.min(archive.len());
            archive.truncate(length);
        }
    }
}

/// Changes a byte of what stands behind a header: of a record, if that is one.
fn in_a_record(archive: &mut [u8], at: usize, chance: &mut Chance) {
    let place = at + BLOCK + chance.below(40);
    if let Some(byte) = archive.get_mut(place) {
        *byte = chance.one_of(b"0123456789 =\n\0xpath");
    }
}
