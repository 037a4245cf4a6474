//! Every bound of this crate: what is just at it is read, what is just over it is refused by an
//! error that says the bound.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::error::Error;
use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use prebake_apk::digest::Sha256;
use prebake_apk::gzip::{self, GzipError};
use prebake_apk::index::{Index, IndexError};
use prebake_apk::key::{KeyError, PublicKey};
use prebake_apk::limits::{
    FREE_OF_RATIO, MAX_CONTENTS, MAX_CONTROL, MAX_FILE, MAX_GZIP_MEMBERS, MAX_INDEX,
    MAX_INDEX_PACKAGES, MAX_KEY, MAX_LINK_TARGET, MAX_OWNER_NAME, MAX_SIGNATURE,
    MAX_SIGNATURE_MEMBERS, MAX_SIGNATURES, MAX_TAR_ENTRIES, MAX_TAR_HELD, MAX_TAR_METADATA,
};
use prebake_apk::package::Package;
use prebake_apk::signature::{UncheckedIndex, open_unchecked_index};
use prebake_apk::tar;
use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::member::Member;

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Compresses to stored blocks, so that nothing is said of ratios.
fn stored(content: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::none());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

fn archive(members: &[Member]) -> Vec<u8> {
    Archive::of(Flavour::Posix, members).ended()
}

/// Reads every entry and returns their number, or the words of the error.
fn entries(archive: impl Read) -> Result<u64, String> {
    let mut reader = tar::Reader::new(archive);
    let mut count = 0;
    loop {
        match reader.next() {
            Ok(Some(_)) => count += 1,
            Ok(None) => return Ok(count),
            Err(error) => return Err(chain(&error)),
        }
    }
}

/// The same bytes, `times` in a row.
struct Again {
    bytes: Vec<u8>,
    at: usize,
    times: u64,
}

fn again(bytes: Vec<u8>, times: u64) -> Again {
    Again {
        bytes,
        at: 0,
        times,
    }
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.times == 0 {
            return Ok(0);
        }
        let rest = &self.bytes[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        if self.at == self.bytes.len() {
            (self.at, self.times) = (0, self.times - 1);
        }
        Ok(count)
    }
}

/// A content that is as long as it claims, without a byte of it being written anywhere.
struct Claimed(u64);

impl Read for Claimed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.min(buffer.len() as u64);
        self.0 -= count;
        Ok(count as usize)
    }
}

#[test]
fn an_archive_has_so_many_entries() {
    let one = Archive::of(Flavour::Posix, [&Member::file("a", "")]).cut();
    assert_eq!(
        entries(again(one.clone(), MAX_TAR_ENTRIES)),
        Ok(MAX_TAR_ENTRIES)
    );
    let error = entries(again(one, MAX_TAR_ENTRIES + 1)).unwrap_err();
    assert!(error.contains("more than 524288 entries"), "{error}");
}

#[test]
fn an_entry_has_so_much_metadata() {
    let with_comment = |size: u64| {
        // `1048576 comment=…\n` counts its own digits.
        let around = "1048576 comment=\n".len() as u64;
        let member = Member::file("a", "").pax("comment", vec![b'c'; (size - around) as usize]);
        archive(&[member])
    };
    assert_eq!(entries(&with_comment(MAX_TAR_METADATA)[..]), Ok(1));
    let error = entries(&with_comment(MAX_TAR_METADATA + 1)[..]).unwrap_err();
    assert!(
        error.contains("1048577 bytes, more than 1048576"),
        "{error}"
    );
}

#[test]
fn an_archives_entries_are_held_in_so_much_memory() {
    // With its own name, `f`, and the attribute's, `a`, each entry holds an eighth of a mebibyte.
    let value = vec![0; (1 << 17) - 2];
    let one = Archive::of(Flavour::Posix, [&Member::file("f", "").xattr("a", value)]).cut();
    let times = MAX_TAR_HELD >> 17;
    assert_eq!(entries(again(one.clone(), times)), Ok(times));
    let error = entries(again(one, times + 1)).unwrap_err();
    assert!(
        error.contains("more than 67108864 bytes together (entry `f`"),
        "{error}"
    );
    // Names and link targets count like attributes.
    let name = vec![b"d".repeat(200); 20].join(&b'/');
    let member = Member::symlink(&name, &name);
    let one = Archive::of(Flavour::Posix, [&member]).cut();
    let times = MAX_TAR_HELD / (2 * name.len() as u64);
    assert_eq!(entries(again(one.clone(), times)), Ok(times));
    entries(again(one, times + 1)).unwrap_err();
}

#[test]
fn a_file_is_so_large() {
    let claimed = |size: u64| {
        let member = Member::file("disk.img", "").claimed_size(size);
        Archive::of(Flavour::Gnu, [&member]).cut()
    };
    let mut reader = tar::Reader::new(io::Cursor::new(claimed(MAX_FILE)));
    assert_eq!(reader.next().unwrap().unwrap().size, MAX_FILE);
    let error = entries(&claimed(MAX_FILE + 1)[..]).unwrap_err();
    assert!(
        error.contains("8589934593 bytes, more than 8589934592 (entry `disk.img`"),
        "{error}"
    );
}

#[test]
fn an_archives_files_are_so_large_together() {
    let claimed = |size: u64| {
        let member = Member::file("disk.img", "").claimed_size(size);
        io::Cursor::new(Archive::of(Flavour::Gnu, [&member]).cut())
    };
    let count = MAX_CONTENTS / MAX_FILE;
    let full = || {
        let mut all: Box<dyn Read> = Box::new(io::empty());
        for _ in 0..count {
            all = Box::new(all.chain(claimed(MAX_FILE)).chain(Claimed(MAX_FILE)));
        }
        all
    };
    assert_eq!(entries(full()), Ok(count));
    let error = entries(full().chain(claimed(1))).unwrap_err();
    assert!(
        error.contains("more than 68719476736 bytes together (entry `disk.img`"),
        "{error}"
    );
}

#[test]
fn links_and_owners_have_so_long_names() {
    let link = |length| archive(&[Member::symlink("l", vec![b't'; length])]);
    assert_eq!(entries(&link(MAX_LINK_TARGET)[..]), Ok(1));
    let error = entries(&link(MAX_LINK_TARGET + 1)[..]).unwrap_err();
    assert!(
        error.contains("longer than 4095 bytes (entry `l`"),
        "{error}"
    );
    for key in ["uname", "gname"] {
        let owned = |length| archive(&[Member::file("f", "").pax(key, vec![b'o'; length])]);
        assert_eq!(entries(&owned(MAX_OWNER_NAME)[..]), Ok(1));
        let error = entries(&owned(MAX_OWNER_NAME + 1)[..]).unwrap_err();
        assert!(
            error.contains("longer than 255 bytes (entry `f`"),
            "{error}"
        );
    }
}

/// The words of the error that reading a package's first members gives.
fn opened(bytes: &[u8]) -> Result<(), String> {
    match Package::open(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(chain(&error)),
    }
}

/// A control archive.
fn control(more: &[Member]) -> Vec<u8> {
    let info = format!("pkgname = a\npkgver = 1\ndatahash = {}\n", Sha256::of(b""));
    let mut archive = Archive::of(Flavour::Posix, [&Member::file(".PKGINFO", info)]);
    for member in more {
        archive.push(member);
    }
    archive.cut()
}

#[test]
fn control_data_is_so_large() {
    let script = |length: usize| control(&[Member::file(".post-install", vec![b'#'; length])]);
    let rest = MAX_CONTROL - script(0).len();
    let full = script(rest);
    assert_eq!(full.len(), MAX_CONTROL);
    // Inflated alone: it is a fraction of that as it stands in the file.
    opened(&gzip(&full)).unwrap();
    let error = opened(&gzip(&script(rest + 1))).unwrap_err();
    assert!(error.contains("more than 16777216 bytes"), "{error}");
    // Stored it is more in the file than inflated.
    let error = opened(&stored(&full)).unwrap_err();
    assert!(error.contains("more than 16777216 bytes"), "{error}");
}

#[test]
fn signatures_are_so_many_and_so_large() {
    let signature = |length| Member::file(".SIGN.RSA.a.rsa.pub", vec![1; length]);
    let signed = |signatures: &[Member]| {
        let member = gzip(&Archive::of(Flavour::Posix, signatures).cut());
        [member, gzip(&control(&[]))].concat()
    };
    opened(&signed(&[signature(MAX_SIGNATURE)])).unwrap();
    let error = opened(&signed(&[signature(MAX_SIGNATURE + 1)])).unwrap_err();
    assert!(error.contains("65537 bytes, more than 65536"), "{error}");

    opened(&signed(&vec![signature(1); MAX_SIGNATURES])).unwrap();
    let error = opened(&signed(&vec![signature(1); MAX_SIGNATURES + 1])).unwrap_err();
    assert!(error.contains("more than 64 signatures"), "{error}");

    let members = |count: usize| {
        let member = gzip(&Archive::of(Flavour::Posix, [&signature(1)]).cut());
        [member.repeat(count), gzip(&control(&[]))].concat()
    };
    opened(&members(MAX_SIGNATURE_MEMBERS)).unwrap();
    let error = opened(&members(MAX_SIGNATURE_MEMBERS + 1)).unwrap_err();
    assert!(error.contains("more than 8 signature members"), "{error}");
}

#[test]
fn a_key_file_is_so_large() {
    let pem = |length| PublicKey::from_pem(&vec![b'-'; length]).unwrap_err();
    assert_ne!(pem(MAX_KEY), KeyError::TooLarge);
    assert_eq!(pem(MAX_KEY + 1), KeyError::TooLarge);
    let words = KeyError::TooLarge.to_string();
    assert!(words.contains("more than 65536 bytes"), "{words}");
}

/// A key with that many bits, as DER: nobody needs to have the other half of it.
fn der(bits: usize) -> Vec<u8> {
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] = 0xff >> (modulus.len() * 8 - bits);
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let exponent = [0x02, 3, 1, 0, 1];
    let key = element(0x30, &[element(0x02, &modulus), exponent.to_vec()].concat());
    // `rsaEncryption`, and the NULL behind it.
    let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let key = element(0x03, &[&[0], &key[..]].concat());
    element(0x30, &[&algorithm[..], &key].concat())
}

#[test]
fn a_key_has_so_many_bits() {
    for bits in [2048, 2049, 8192] {
        PublicKey::from_der(&der(bits)).unwrap();
    }
    for bits in [2047, 8193] {
        let error = PublicKey::from_der(&der(bits)).unwrap_err();
        assert_eq!(error, KeyError::Size(bits));
        let words = format!("{bits} bits and not 2048 to 8192");
        assert!(error.to_string().contains(&words), "{error}");
    }
}

/// An index that nobody signed.
fn index(archive: &[u8]) -> Result<UncheckedIndex, String> {
    open_unchecked_index(archive).map_err(|error| chain(&error))
}

#[test]
fn an_index_is_so_large() {
    let limit = usize::try_from(MAX_INDEX).unwrap();
    // Two headers, and the two blocks at the end.
    let around = 4 * 512;
    let of = |length: usize| {
        let members = [
            Member::file("APKINDEX", "\n"),
            Member::file("other", vec![b'o'; length - 512]),
        ];
        stored(&archive(&members))
    };
    assert_eq!(index(&of(limit - around)).unwrap().index_text, b"\n");
    let error = index(&of(limit - around + 1)).unwrap_err();
    assert!(error.contains("more than 41943040 bytes"), "{error}");
    // The file itself is not even begun.
    let member = Member::file("APKINDEX", "P:a\n").claimed_size(MAX_INDEX + 1);
    let error = index(&gzip(&archive(&[member]))).unwrap_err();
    assert!(
        error.contains("`APKINDEX` of the index has 41943041 bytes, more than 41943040"),
        "{error}"
    );
    // The text alone may be longer: a database is one too.
    assert!(
        Index::parse(vec![b'\n'; Index::MAX_LENGTH])
            .unwrap()
            .is_empty()
    );
    let error = Index::parse(vec![b'\n'; Index::MAX_LENGTH + 1]).unwrap_err();
    assert_eq!(error.to_string(), "the index is longer than 67108864 bytes");
}

#[test]
fn an_index_has_so_many_packages() {
    let stanza = "C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1\n\n";
    let full = stanza.repeat(MAX_INDEX_PACKAGES);
    assert_eq!(
        Index::parse(full.clone().into()).unwrap().len(),
        MAX_INDEX_PACKAGES
    );
    let error = Index::parse(format!("{full}{stanza}").into()).unwrap_err();
    assert_eq!(error, IndexError::TooManyPackages);
    assert!(error.to_string().contains("more than 100000 packages"));
}

/// Inflates to nowhere.
fn inflated(file: &[u8]) -> Result<u64, GzipError> {
    match io::copy(&mut gzip::Reader::new(file), &mut io::sink()) {
        Ok(length) => Ok(length),
        Err(error) => Err(error.downcast().unwrap()),
    }
}

#[test]
fn gzip_inflates_to_so_many_times_its_size() {
    let zeros = |length: u64| vec![0; usize::try_from(length).unwrap()];
    // Small files may be as empty as they like.
    assert_eq!(inflated(&gzip(&zeros(FREE_OF_RATIO))), Ok(FREE_OF_RATIO));
    let error = inflated(&gzip(&zeros(FREE_OF_RATIO + 1))).unwrap_err();
    assert!(matches!(error, GzipError::Ratio { .. }), "{error}");
    let words = error.to_string();
    assert!(words.contains("more than 200 times its size"), "{words}");
    // Cut into members each of which is free, it is the same bomb.
    let member = gzip(&zeros(FREE_OF_RATIO / 4));
    assert_eq!(inflated(&member.repeat(4)), Ok(FREE_OF_RATIO));
    let error = inflated(&member.repeat(5)).unwrap_err();
    assert!(matches!(error, GzipError::Ratio { .. }), "{error}");
    // What is dense for the most part may have its empty stretches: 160 times its size, and 240.
    let dense: Vec<u8> = (0..8192_u32)
        .flat_map(|number| *Sha256::of(&number.to_be_bytes()).as_bytes())
        .collect();
    let mixed = |stretch| gzip(&[dense.clone(), zeros(stretch)].concat());
    let much = mixed(50 << 20);
    assert!((50 << 20) / much.len() > 150, "{}", much.len());
    inflated(&much).unwrap();
    let more = mixed(80 << 20);
    assert!((80 << 20) / more.len() < 260, "{}", more.len());
    let error = inflated(&more).unwrap_err();
    assert!(matches!(error, GzipError::Ratio { .. }), "{error}");
}

#[test]
fn a_gzip_file_has_so_many_members() {
    let empty = gzip(b"");
    let limit = MAX_GZIP_MEMBERS as usize;
    assert_eq!(inflated(&empty.repeat(limit)), Ok(0));
    let error = inflated(&empty.repeat(limit + 1)).unwrap_err();
    assert_eq!(error, GzipError::TooManyMembers);
    assert!(error.to_string().contains("more than 131072 members"));
}
