//! Archives, packages, keys and indexes that were made to mislead: each must be refused, by name.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::error::Error;
use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::package::{Package, PackageError};
use prebake_apk::signature::{IndexFileError, SignatureError, open_signed_index};
use prebake_apk::tar::{self, TarErrorKind};
use prebake_testkit::shared::real_mirror;
use proptest::prelude::*;

/// One header block.
#[derive(Clone)]
struct Block([u8; 512]);

impl Block {
    fn new(kind: u8, name: &str, size: u64) -> Self {
        let mut block = Self([0; 512]);
        block.set(0, name.as_bytes());
        block.set(100, b"0000644\x000000000\x000000000\0");
        block.set(124, format!("{size:011o}").as_bytes());
        block.set(136, b"00000000000");
        block.set(156, &[kind]);
        block.set(257, b"ustar\x0000");
        block
    }

    fn set(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The block with that field.
    fn having(mut self, at: usize, bytes: &[u8]) -> Vec<u8> {
        self.set(at, bytes);
        self.with(b"")
    }

    fn link(mut self, target: &str) -> Self {
        self.set(157, target.as_bytes());
        self
    }

    /// The block with its checksum, and `content` behind it, padded.
    fn with(mut self, content: &[u8]) -> Vec<u8> {
        self.set(148, b"        ");
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.set(148, format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = self.0.to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    Block::new(b'0', name, content.len() as u64).with(content)
}

fn meta(kind: u8, content: &[u8]) -> Vec<u8> {
    Block::new(kind, "meta", content.len() as u64).with(content)
}

/// A pax header with these `key=value` texts.
fn pax(texts: &[&str]) -> Vec<u8> {
    let mut records = Vec::new();
    for text in texts {
        let mut length = text.len() + 3;
        while format!("{length} {text}\n").len() != length {
            length += 1;
        }
        writeln!(records, "{length} {text}").unwrap();
    }
    meta(b'x', &records)
}

/// A file of a package's data, with its checksum.
fn checked(name: &str, content: &[u8]) -> Vec<u8> {
    let checksum = format!("APK-TOOLS.checksum.SHA1={}", Sha1::of(content));
    [pax(&[&checksum]), file(name, content)].concat()
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// A package without a signature that holds `data` as its data archive.
fn package(data: &[u8]) -> Vec<u8> {
    package_of(&gzip(data))
}

fn package_of(data: &[u8]) -> Vec<u8> {
    let info = format!(
        "pkgname = a\npkgver = 1-r0\ndatahash = {}\n",
        Sha256::of(data)
    );
    [&gzip(&file(".PKGINFO", info.as_bytes())), data].concat()
}

fn read_tar(archive: &[u8]) -> Result<Vec<String>, String> {
    let mut reader = tar::Reader::new(archive);
    let mut names = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(entry)) => names.push(entry.path.to_string()),
            Ok(None) => return Ok(names),
            Err(error) => return Err(chain(&error)),
        }
    }
}

/// Reads a package to its end, its contents too where `read` says so.
fn read_package(bytes: &[u8], read: bool) -> Result<Vec<String>, String> {
    let fail = |error: PackageError| chain(&error);
    let mut data = Package::open(bytes).map_err(fail)?.into_data();
    let mut names = Vec::new();
    while let Some(entry) = data.next().map_err(fail)? {
        names.push(entry.path.to_string());
        if read {
            std::io::copy(&mut data, &mut std::io::sink()).map_err(|error| {
                // What was wrong once stays wrong.
                assert!(matches!(data.next(), Err(PackageError::Failed)));
                chain(&error)
            })?;
        }
    }
    Ok(names)
}

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

/// Every archive with the words that its error must have.
#[test]
fn archives_that_two_readers_could_read_differently() {
    let long = "n".repeat(200);
    let no_magic = {
        let mut block = Block::new(b'0', "a", 0);
        block.set(257, &[0; 8]);
        block.with(b"")
    };
    let wrong_sum = {
        let mut bytes = file("a", b"");
        bytes[0] = b'b';
        bytes
    };
    let huge = {
        let mut block = Block::new(b'0', "a", 0);
        block.set(124, &[0xff; 12]);
        block.with(b"")
    };
    // As the oldest programs summed: each byte with a sign.
    let signed_sum = {
        let mut bytes = Block::new(b'0', "\u{e9}", 0).with(b"");
        bytes[148..156].fill(b' ');
        let sum: i64 = bytes[..512].iter().map(|byte| i64::from(*byte as i8)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    let sized = |size: &[u8; 12]| Block::new(b'0', "a", 0).having(124, size);
    let gnu = |kind| {
        let mut block = Block::new(kind, "a", 0);
        block.set(257, b"ustar  \0");
        block
    };
    let huge_meta = Block::new(b'x', "meta", 1 << 30).with(b"");
    let cases: &[(&str, Vec<u8>)] = &[
        ("there is no ustar header", no_magic),
        ("checksum is wrong", wrong_sum),
        ("size is not a number", huge),
        ("checksum is wrong", signed_sum),
        ("size is not a number", sized(b"-0000000006\0")),
        ("size is not a number", sized(b"+0000000006\0")),
        ("size is not a number", sized(b"0x000000006\0")),
        ("size is not a number", sized(b"0000000_006\0")),
        ("size is not a number", sized(b"00000000008\0")),
        ("size is not a number", sized(b"\t0000000006\0")),
        ("size is not a number", sized(b"6\x00garbage\0\0\0")),
        ("size is not a number", sized(b"            ")),
        (
            "size is not a number",
            sized(b"\x81\0\0\0\0\0\0\0\0\0\0\x06"),
        ),
        (
            "size is not a number",
            sized(b"\xc0\0\0\0\0\0\0\0\0\0\0\x06"),
        ),
        (
            "bytes, more than 8589934592 (entry `a`",
            sized(b"\x80\0\0\0\0\0\0\x02\x80\0\0\0"),
        ),
        (
            "uid is not a number",
            Block::new(b'0', "a", 0).having(108, b"garbage\0"),
        ),
        (
            "device number is not a number",
            Block::new(b'0', "a", 0).having(329, b"garbage\0"),
        ),
        (
            "in the place of a POSIX header's prefix (entry `a`",
            gnu(b'0').having(345, b"evil"),
        ),
        (
            "is empty or does not end with its NUL",
            [meta(b'L', b"b"), file("a", b"")].concat(),
        ),
        (
            "is empty or does not end with its NUL",
            [meta(b'L', b"b\0c\0"), file("a", b"")].concat(),
        ),
        (
            "is empty or does not end with its NUL",
            [meta(b'K', b"\0"), file("a", b"")].concat(),
        ),
        ("has no name", file("", b"")),
        ("has no name", Block::new(b'5', "", 0).with(b"")),
        (
            "is malformed",
            [meta(b'x', b"9 path=a\n8 path=b\n"), file("a", b"")].concat(),
        ),
        (
            "is malformed",
            [meta(b'x', b"99 path=a\n"), file("a", b"")].concat(),
        ),
        ("has 1073741824 bytes, more than", huge_meta),
        ("type `Z`", Block::new(b'Z', "a", 0).with(b"")),
        ("sparse files", Block::new(b'S', "a", 0).with(b"")),
        (
            "sparse files",
            [pax(&["GNU.sparse.realsize=9"]), file("a", b"")].concat(),
        ),
        (
            "sparse files",
            [pax(&["SUN.holesdata= 0 6"]), file("a", b"")].concat(),
        ),
        (
            "the header says 1 bytes and its pax record 600",
            [pax(&["size=600"]), file("a", b"x"), end()].concat(),
        ),
        (
            "no file has 5 bytes",
            [pax(&["size=5"]), Block::new(b'5', "a/", 5).with(b"")].concat(),
        ),
        ("no file has 5 bytes", Block::new(b'5', "a/", 5).with(b"")),
        (
            "no file has 512 bytes",
            Block::new(b'1', "a", 512).link("b").with(&[1; 512]),
        ),
        (
            "`path` stands there twice",
            [pax(&["path=a", "path=b"]), file("a", b"")].concat(),
        ),
        (
            "a second pax header",
            [pax(&["path=a"]), pax(&["path=a"]), file("a", b"")].concat(),
        ),
        (
            "a second long name",
            [meta(b'L', b"a\0"), meta(b'L', b"b\0"), file("c", b"")].concat(),
        ),
        (
            "pax and by GNU headers",
            [
                pax(&["size=9"]),
                meta(b'L', long.as_bytes()),
                file("a", b""),
            ]
            .concat(),
        ),
        (
            "pax and by GNU headers",
            [meta(b'K', b"x\0"), pax(&["path=b"]), file("a", b"")].concat(),
        ),
        (
            "global pax records",
            [meta(b'g', b"9 path=a\n"), file("a", b"")].concat(),
        ),
        ("not there", [pax(&["path=a"]), end()].concat()),
        ("not there", pax(&["path=a"])),
        (
            "behind the end",
            [file("a", b""), end(), file("b", b"")].concat(),
        ),
        (
            "behind the end",
            [file("a", b""), vec![0; 512], file("b", b"")].concat(),
        ),
        ("truncated", file("a", b"x")[..600].to_vec()),
        ("truncated", file("a", b"x")[..100].to_vec()),
        ("truncated", file("a", b"x")[..512].to_vec()),
        ("named like a directory", file("a/", b"")),
        ("named like a directory", file("./", b"")),
        (
            "named like a directory",
            Block::new(b'2', "a/", 0).link("b").with(b""),
        ),
        (
            "named like a directory",
            Block::new(b'3', "a/", 0).with(b""),
        ),
        ("a drive behind or before a `\\`", file("a/..\\..\\b", b"")),
        ("a drive behind or before a `\\`", file("C:\\b", b"")),
        ("more than 128 parts", {
            let name = "d/".repeat(128) + "f";
            [meta(b'L', format!("{name}\0").as_bytes()), file("a", b"")].concat()
        }),
        ("longer than 255 bytes", {
            let name = "n".repeat(256);
            [pax(&[&format!("path={name}")]), file("a", b"")].concat()
        }),
        ("control character", file("a\u{9b}b", b"")),
        ("is absolute", file("/a", b"")),
        ("`..` part", file("a/../../b", b"")),
        ("`..` part", Block::new(b'1', "a", 0).link("../b").with(b"")),
        ("control character", file("a\nb", b"")),
        ("no target", Block::new(b'2', "a", 0).with(b"")),
        ("no target", Block::new(b'1', "a", 0).with(b"")),
        (
            "value that it cannot have",
            [pax(&["path=a\0b"]), file("a", b"")].concat(),
        ),
        (
            "checksum record cannot be read",
            [pax(&["APK-TOOLS.checksum.SHA1=12"]), file("a", b"")].concat(),
        ),
    ];
    for (words, archive) in cases {
        match read_tar(archive) {
            Err(error) => assert!(error.contains(words), "{error:?} has no {words:?}"),
            Ok(names) => panic!("{words:?} was read: {names:?}"),
        }
    }
}

#[test]
fn archives_that_all_readers_read_alike() {
    let long = format!("{}/file", "d".repeat(240));
    let target = "t".repeat(150);
    let mut prefixed = Block::new(b'0', "file", 0);
    prefixed.set(345, b"some/folder");
    let archive = [
        prefixed.with(b""),
        meta(b'L', format!("{long}\0").as_bytes()),
        file("cut", b"content"),
        meta(b'K', format!("{target}\0").as_bytes()),
        Block::new(b'2', "link", 0).link("cut").with(b""),
        meta(b'g', b"16 comment=text\n"),
        pax(&[
            "path=new",
            "uid=4000000000",
            "mtime=-1.25",
            "SCHILY.xattr.user.x=",
        ]),
        file("old", b"1"),
        Block::new(b'3', "null", 0).with(b""),
        Block::new(b'6', "pipe", 0).with(b""),
        end(),
        vec![0; 5000],
    ]
    .concat();
    let mut reader = tar::Reader::new(&archive[..]);
    let mut next = || reader.next().unwrap().unwrap();
    assert_eq!(next().path.to_string(), "/some/folder/file");
    let entry = next();
    assert_eq!(entry.path.to_string(), format!("/{long}"));
    assert_eq!(
        archive.get(entry.offset as usize..).unwrap().get(..7),
        Some(&b"content"[..])
    );
    assert_eq!(
        next().kind,
        prebake_apk::entry::EntryKind::Symlink(target.into_bytes())
    );
    let entry = next();
    assert_eq!(entry.path.to_string(), "/new");
    assert_eq!((entry.uid, entry.mtime, entry.size), (4_000_000_000, -2, 1));
    assert_eq!(entry.xattrs[&b"user.x"[..]], b"");
    assert_eq!(next().path.to_string(), "/null");
    assert_eq!(next().path.to_string(), "/pipe");
    assert!(reader.next().unwrap().is_none());
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn a_pax_size_beyond_the_header_is_taken() {
    let mut reader = {
        let archive = [pax(&["size=8589934592"]), file("a", b"")].concat();
        tar::Reader::new(std::io::Cursor::new(archive))
    };
    let entry = reader.next().unwrap().unwrap();
    assert_eq!(entry.size, 1 << 33);
    let error = reader.next().unwrap_err();
    assert!(matches!(error.kind(), TarErrorKind::Truncated));
    assert_eq!(error.offset(), 1536);
}

#[test]
fn packages_that_are_not_what_they_say() {
    let good = [checked("usr/a", b"content"), checked("usr/b", b""), end()].concat();
    let bytes = package(&good);
    assert_eq!(read_package(&bytes, true).unwrap(), ["/usr/a", "/usr/b"]);
    assert_eq!(read_package(&bytes, false).unwrap(), ["/usr/a", "/usr/b"]);
    let dotted = [
        Block::new(b'5', "./", 0).with(b""),
        checked(".dummy", b""),
        file(".other", b"x"),
        file("./usr/c", b"x"),
        end(),
    ]
    .concat();
    assert!(read_package(&package(&dotted), true).unwrap().is_empty());

    let control = gzip(&file(".PKGINFO", b"pkgname = a\npkgver = 1\n"));
    let wrong_sum = format!("APK-TOOLS.checksum.SHA1={}", Sha1::of(b"other"));
    let wrong = [pax(&[&wrong_sum]), file("a", b"content"), end()].concat();
    let wrong_empty = [pax(&[&wrong_sum]), file("a", b""), end()].concat();
    let wrong_link = [
        pax(&[&wrong_sum]),
        Block::new(b'2', "a", 0).link("b").with(b""),
    ]
    .concat();
    let info = file(".PKGINFO", b"pkgname = a\npkgver = 1\n");
    let twice = gzip(&[&info[..], &info].concat());
    let scripts = [
        file(".PKGINFO", b"pkgname = a\npkgver = 1\n"),
        file(".trigger", b"1"),
        file(".trigger", b"2"),
    ]
    .concat();
    let link = Block::new(b'2', ".PKGINFO", 0).link("x").with(b"");
    let mixed = [file(".SIGN.RSA.a", b"x"), file("other", b"")].concat();
    let cases: &[(&str, Vec<u8>)] = &[
        ("truncated", Vec::new()),
        ("not gzip", b"hello".to_vec()),
        ("apk 3's own format", b"ADBd....".to_vec()),
        ("has no `datahash`", control),
        ("no .PKGINFO", gzip(&end())),
        ("no .PKGINFO", gzip(&file("usr/a", b""))),
        ("`/.PKGINFO` twice", twice),
        ("line 1 of .PKGINFO", gzip(&file(".PKGINFO", b"\xff"))),
        ("`/.trigger` twice", gzip(&scripts)),
        ("is not a file", gzip(&link)),
        ("`/other` beside signatures", gzip(&mixed)),
        ("no .PKGINFO", gzip(b"")),
        ("behind the package's data", [&bytes[..], b"\0"].concat()),
        (
            "behind the package's data",
            [&bytes[..], &gzip(b"")].concat(),
        ),
        (
            "/a in the package has no checksum",
            package(&file("a", b"")),
        ),
        ("/a in the package has the SHA-1", package(&wrong)),
        ("/a in the package has the SHA-1", package(&wrong_empty)),
        ("/a in the package has the SHA-1", package(&wrong_link)),
        (
            "has the SHA-256",
            [
                &bytes[..bytes.len() - gzip(&good).len()],
                &gzip(&[&good[..], &[0; 512]].concat()),
            ]
            .concat(),
        ),
        ("`..` part", package(&checked("a/../../etc/passwd", b""))),
    ];
    for (words, bytes) in cases {
        for read in [false, true] {
            match read_package(bytes, read) {
                Err(error) => assert!(error.contains(words), "{error:?} has no {words:?}"),
                Ok(names) => panic!("{words:?} was read: {names:?}"),
            }
        }
    }
    for length in 0..bytes.len() {
        read_package(&bytes[..length], false).unwrap_err();
    }
}

/// Says whether Python takes a file for one whole gzip member with that content.
const GZIP_JUDGE: &str = "import sys, zlib\n\
    d = zlib.decompressobj(31)\n\
    t = d.decompress(open(sys.argv[1], 'rb').read())\n\
    print(t == b'content' and d.eof and not d.unused_data)";

/// Flags of a gzip header, and whether every reader takes them: `tar -z` writes a name there.
#[test]
fn gzip_headers_say_nothing_that_counts() {
    let plain = gzip(b"content");
    let with = |flags: u8, more: &[u8]| {
        let mut file = plain.clone();
        file[3] = flags;
        file.splice(10..10, more.iter().copied());
        file
    };
    let inflated = |file: &[u8]| {
        let mut content = Vec::new();
        let mut reader = prebake_apk::gzip::Reader::new(file);
        reader.read_to_end(&mut content).map(|_| content)
    };
    let mut all = vec![
        (true, plain.clone()),
        (true, with(1, b"")),
        (true, with(4, b"\x03\0abc")),
        (true, with(8, b"base.tar\0")),
        (true, with(16, b"a comment\0")),
        (true, with(28, b"\x01\0xbase.tar\0comment\0")),
        // The CRC of a header is checked where there is one.
        (false, with(2, b"\0\0")),
        (false, with(4, b"\xff\xff")),
        // A method that is not deflate, and garbage before and behind.
        (false, [&plain[..2], b"\x07", &plain[3..]].concat()),
        (false, [b"\0", &plain[..]].concat()),
        (false, [&plain[..], b"garbage"].concat()),
        (false, [&plain[..], b"\x1f\x8b"].concat()),
    ];
    // Reserved bits are of a gzip to come.
    all.extend([0x20, 0x40, 0x80].map(|flag| (false, with(flag, b""))));
    // A CRC and a length that are wrong.
    for at in [plain.len() - 8, plain.len() - 4] {
        let mut wrong = plain.clone();
        wrong[at] ^= 1;
        all.push((false, wrong));
    }
    let folder = tempfile::tempdir().unwrap();
    for (good, file) in &all {
        assert_eq!(
            inflated(file).ok().as_deref() == Some(b"content"),
            *good,
            "{file:x?}"
        );
    }
    let Some(python) = prebake_testkit::judge::python("gzip_headers_say_nothing_that_counts")
    else {
        return;
    };
    for (number, (good, file)) in all.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs_err::write(&path, file).unwrap();
        let said = python
            .run(["-c", GZIP_JUDGE, path.to_str().unwrap()])
            .stdout;
        assert_eq!(said.trim() == "True", *good, "{file:x?}");
    }
}

/// A member that inflates to more than is held in memory is refused before it is held.
#[test]
fn bombs_are_refused() {
    let zeros = vec![0; 17 << 20];
    let error = read_package(&gzip(&zeros), false).unwrap_err();
    assert!(error.contains("more than 16777216 bytes"), "{error}");
    // Empty stored blocks: compressed bytes that give nothing, without end.
    let mut empty = gzip(b"")[..10].to_vec();
    for _ in 0..(4 << 20) {
        empty.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
    }
    let error = read_package(&empty, false).unwrap_err();
    assert!(error.contains("more than 16777216 bytes"), "{error}");
}

/// Flips each bit of a signed package. What is still accepted must be the same package: a bit of
/// the signature member's gzip header or padding, whose signatures are the same.
#[test]
fn no_flipped_bit_goes_unseen() {
    let Some(alpine) = real_mirror("no_flipped_bit_goes_unseen") else {
        return;
    };
    let folder = alpine.join("v3.20/main/x86_64");
    let original = fs_err::read(folder.join("libmnl-1.0.5-r2.apk")).unwrap();
    let key = fs_err::read(alpine.join("keys/fixture-20260101.rsa.pub")).unwrap();
    let mut keys = Keyring::new();
    keys.insert(
        "fixture-20260101.rsa.pub",
        PublicKey::from_pem(&key).unwrap(),
    );
    let package = Package::open(&original[..]).unwrap();
    package.verify(&keys).unwrap();
    let identity = package.identity();
    let signatures = package.signatures().to_vec();
    read_package(&original, true).unwrap();

    let mut accepted = 0;
    for at in 0..original.len() {
        for bit in 0..8 {
            let mut flipped = original.clone();
            flipped[at] ^= 1 << bit;
            let Ok(package) = Package::open(&flipped[..]) else {
                continue;
            };
            // An unsigned package that came through an index is held to its identity.
            if package.identity() != identity {
                assert!(package.verify(&keys).is_err(), "byte {at} bit {bit}");
                continue;
            }
            let same = package.signatures() == signatures && package.verify(&keys).is_ok();
            let mut data = package.into_data();
            let complete = loop {
                match data.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            if complete && same {
                accepted += 1;
            }
            // With another signature the package lives by its identity alone, which covers all
            // but the signatures.
            assert!(
                !complete || at < signature_length(&original),
                "byte {at} bit {bit} was not seen"
            );
        }
    }
    // The signature member's own header: its time, its level hint, its system, and padding.
    assert!(accepted < 100, "{accepted} flips changed nothing");
}

/// Returns the length of the first gzip member.
fn signature_length(bytes: &[u8]) -> usize {
    let mut member = prebake_apk::gzip::Member::new(bytes, ());
    std::io::copy(&mut member, &mut std::io::sink()).unwrap();
    member.compressed_length() as usize
}

#[test]
fn indexes_that_nobody_trusted_vouches_for() {
    let Some(alpine) = real_mirror("indexes_that_nobody_trusted_vouches_for") else {
        return;
    };
    let bytes = fs_err::read(alpine.join("v3.20/main/x86_64/APKINDEX.tar.gz")).unwrap();
    let name = "fixture-20260101.rsa.pub";
    let read = |name: &str| fs_err::read(alpine.join("keys").join(name)).unwrap();
    let right = PublicKey::from_pem(&read(name)).unwrap();
    let other = PublicKey::from_pem(&read("zhangyoufu.rsa.pub")).unwrap();
    let signature_error = |bytes: &[u8], keys: &Keyring| match open_signed_index(bytes, keys) {
        Err(IndexFileError::Signature(error)) => error,
        other => panic!("{other:?}"),
    };

    let mut keys = Keyring::new();
    let unknown = SignatureError::UnknownKey {
        wanted: vec![name.to_owned()],
    };
    assert_eq!(signature_error(&bytes, &keys), unknown);
    keys.insert("zhangyoufu.rsa.pub", other.clone());
    assert_eq!(signature_error(&bytes, &keys), unknown);
    assert_eq!(
        unknown.to_string(),
        "it is signed by a key that is not trusted: fixture-20260101.rsa.pub"
    );
    // Another key under the right name is the attack that names invite.
    keys.insert(name, other);
    assert!(matches!(
        signature_error(&bytes, &keys),
        SignatureError::Bad { .. }
    ));
    keys.insert(name, right);
    open_signed_index(&bytes, &keys).unwrap();

    let unsigned = bytes[signature_length(&bytes)..].to_vec();
    assert_eq!(signature_error(&unsigned, &keys), SignatureError::Unsigned);
    let more = [&bytes[..], &gzip(b"")].concat();
    assert!(matches!(
        signature_error(&more, &keys),
        SignatureError::Bad { .. }
    ));
    for at in signature_length(&bytes)..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        open_signed_index(&flipped, &keys).unwrap_err();
    }
    for length in 0..bytes.len() {
        open_signed_index(&bytes[..length], &keys).unwrap_err();
    }
}

#[test]
fn keys_that_are_none() {
    let Some(alpine) = real_mirror("keys_that_are_none") else {
        return;
    };
    let pem = fs_err::read(alpine.join("keys/fixture-20260101.rsa.pub")).unwrap();
    let key = PublicKey::from_pem(&pem).unwrap();
    let body: String = str::from_utf8(&pem)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    assert_eq!(PublicKey::from_der(&der).unwrap(), key);
    PublicKey::from_der(&[&der[..], &[0]].concat()).unwrap_err();
    for length in 0..der.len() {
        PublicKey::from_der(&der[..length]).unwrap_err();
    }
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(other) = PublicKey::from_der(&flipped) {
                assert_ne!(other.fingerprint(), key.fingerprint());
            }
        }
    }
    PublicKey::from_pem(b"").unwrap_err();
    PublicKey::from_pem(&vec![b'-'; 1 << 20]).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No bytes at all make the readers panic or run away.
    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        kind in any::<u8>(),
        name in "[ -~]{0,99}",
        size in 0_u64..5000,
    ) {
        read_tar(&bytes).ok();
        let archive = [Block::new(kind, &name, size).with(&bytes), file("b", &bytes)].concat();
        read_tar(&archive).ok();
        read_tar(&[meta(b'x', &bytes), archive.clone()].concat()).ok();
        read_package(&bytes, true).ok();
        read_package(&gzip(&archive), true).ok();
        read_package(&package(&archive), true).ok();
        open_signed_index(&gzip(&archive), &Keyring::new()).unwrap_err();
        PublicKey::from_der(&bytes).ok();
    }

    /// However the content is read, it is the same content, and the next header is found.
    #[test]
    fn contents_are_read_in_any_pieces(
        content in proptest::collection::vec(any::<u8>(), 0..3000),
        piece in 1_usize..700,
        read in 0_usize..3000,
    ) {
        let archive = [file("a", &content), file("b", b"next"), end()].concat();
        let mut reader = tar::Reader::new(&archive[..]);
        reader.next().unwrap().unwrap();
        let mut got = Vec::new();
        let mut buffer = vec![0; piece];
        while got.len() < read {
            let count = reader.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..count]);
        }
        prop_assert!(content.starts_with(&got));
        prop_assert!(got.len() == content.len() || got.len() >= read);
        let next = reader.next().unwrap().unwrap();
        prop_assert_eq!(next.path.to_string(), "/b");
    }
}
