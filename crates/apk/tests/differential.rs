//! Reads all of Alpine's files at hand and compares with what GNU tar, Python and Alpine's own
//! indexes say about them.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::gzip;
use prebake_apk::key::{Keyring, PublicKey};
use prebake_apk::package::Package;
use prebake_apk::signature::{SignatureAlgorithm, open_signed_index};
use prebake_apk::tar;
use prebake_testkit::archive::{Archive, Flavour, gzip as gzip_member};
use prebake_testkit::judge;
use prebake_testkit::member::Member;
use prebake_testkit::shared::real_mirror;

/// Returns all files below `folder` whose names end so, in order.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

fn open(path: &Path) -> BufReader<fs_err::File> {
    BufReader::with_capacity(128 << 10, fs_err::File::open(path).unwrap())
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Prints an entry as `tar -tv --numeric-owner --full-time --quoting-style=escape` does, with
/// seconds since 1970, and without the spaces that align the columns.
fn like_gnu_tar(entry: &Entry, name: &[u8]) -> String {
    let letter = match entry.kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink(_) => 'l',
        EntryKind::Hardlink(_) => 'h',
        EntryKind::CharDevice(_) => 'c',
        EntryKind::BlockDevice(_) => 'b',
        EntryKind::Fifo => 'p',
    };
    let mut line = String::from(letter);
    for (shift, special, with, without) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let bits = entry.mode >> shift;
        line.push(if bits & 4 == 0 { '-' } else { 'r' });
        line.push(if bits & 2 == 0 { '-' } else { 'w' });
        line.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    write!(line, " {}/{} {} ", entry.uid, entry.gid, entry.size).unwrap();
    write!(line, "{} ", entry.mtime).unwrap();
    line.push_str(str::from_utf8(name).unwrap());
    match &entry.kind {
        EntryKind::Symlink(target) => {
            write!(line, " -> {}", str::from_utf8(target).unwrap()).unwrap();
        }
        EntryKind::Hardlink(target) => {
            let target = str::from_utf8(target.as_bytes()).unwrap();
            write!(line, " link to {target}").unwrap();
        }
        _ => {}
    }
    line
}

/// Turns tar's date and time into seconds since 1970 and its aligned columns into words.
fn normal(line: &str) -> String {
    let mut rest = line;
    let mut words = Vec::new();
    for _ in 0..5 {
        let (word, behind) = rest.trim_start().split_once(' ').unwrap();
        words.push(word.to_owned());
        rest = behind;
    }
    let number = |text: &str| text.parse::<i64>().unwrap();
    let date: Vec<_> = words[3].split('-').map(number).collect();
    let time: Vec<_> = words[4].split(':').map(number).collect();
    // Days since 1970 by counting March as the first month, which puts the leap day last.
    let (year, month) = if date[1] > 2 {
        (date[0], date[1] - 3)
    } else {
        (date[0] - 1, date[1] + 9)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date[2] - 719_469;
    let seconds = ((days * 24 + time[0]) * 60 + time[1]) * 60 + time[2];
    format!("{} {} {} {seconds} {rest}", words[0], words[1], words[2])
}

/// Lists a file of gzip members as one archive: apk's archives have no end but the last, so that
/// GNU tar sees them as one too.
fn compare_with_gnu_tar(path: &Path) {
    let listing = output(
        Command::new("tar")
            .args([
                "--numeric-owner",
                "--full-time",
                "--warning=no-unknown-keyword",
            ])
            .args(["--quoting-style=literal", "-tvzf"])
            .arg(path)
            .env("TZ", "UTC")
            .env("LC_ALL", "C"),
    );
    let theirs: Vec<_> = listing.lines().map(|line| normal(&line.unwrap())).collect();
    let content = gzip::Reader::new(open(path));
    let mut archive = tar::Reader::new(BufReader::with_capacity(128 << 10, content));
    let mut ours = Vec::new();
    while let Some(entry) = archive.next().unwrap() {
        ours.push(like_gnu_tar(&entry, archive.raw_name()));
    }
    assert_eq!(ours, theirs, "{}", path.display());
}

#[test]
fn bases_and_packages_are_what_gnu_tar_lists() {
    let Some(alpine) = real_mirror("bases_and_packages_are_what_gnu_tar_lists") else {
        return;
    };
    if judge::gnu_tar("bases_and_packages_are_what_gnu_tar_lists").is_none() {
        return;
    }
    for path in [files(&alpine, ".apk"), files(&alpine, "64.tar.gz")].concat() {
        compare_with_gnu_tar(&path);
    }
}

/// Prints, for each file named on standard input: the SHA-1 and SHA-256 of each compressed
/// member, and each entry of the last member with the SHA-1 of its content.
const PYTHON: &str = r"
import sys, zlib, hashlib, tarfile, io
for name in sys.stdin.read().split('\n')[:-1]:
    print('file', name)
    rest = open(name, 'rb').read()
    while rest:
        inflate = zlib.decompressobj(31)
        content = inflate.decompress(rest) + inflate.flush()
        assert inflate.eof
        member = rest[:len(rest) - len(inflate.unused_data)]
        rest = inflate.unused_data
        print('member', hashlib.sha1(member).hexdigest(), hashlib.sha256(member).hexdigest())
    archive = tarfile.open(fileobj=io.BytesIO(content))
    for e in archive:
        if e.name.startswith('.') and not e.name.startswith('./') and e.name != '.':
            continue
        sha1 = hashlib.sha1(archive.extractfile(e).read()).hexdigest() if e.isreg() else '-'
        checksum = e.pax_headers.get('APK-TOOLS.checksum.SHA1', '-')
        xattrs = sorted(k for k in e.pax_headers if k.startswith('SCHILY.xattr.'))
        print('entry', e.name, e.type.decode(), oct(e.mode), e.uid, e.gid, e.uname, e.gname,
              int(e.mtime // 1), e.size, e.linkname, e.offset_data, sha1, checksum, xattrs, sep='|')
";

fn like_python(entry: &Entry, content: &str) -> String {
    let (letter, link) = match &entry.kind {
        EntryKind::File => ('0', String::new()),
        EntryKind::Directory => ('5', String::new()),
        EntryKind::Symlink(target) => ('2', String::from_utf8(target.clone()).unwrap()),
        EntryKind::Hardlink(target) => {
            let target = str::from_utf8(target.as_bytes()).unwrap();
            ('1', target.to_owned())
        }
        kind => panic!("{kind:?} in Alpine's files"),
    };
    let path = str::from_utf8(entry.path.as_bytes()).unwrap();
    let user = str::from_utf8(&entry.user).unwrap();
    let group = str::from_utf8(&entry.group).unwrap();
    let checksum = entry.checksum.map_or("-".to_owned(), |sum| sum.to_string());
    let xattrs: Vec<_> = entry.xattrs.keys().collect();
    format!(
        "entry|{path}|{letter}|0o{:o}|{}|{}|{user}|{group}|{}|{}|{link}|{}|{content}|{checksum}|{xattrs:?}",
        entry.mode, entry.uid, entry.gid, entry.mtime, entry.size, entry.offset
    )
}

fn content_digest(content: &mut impl Read, entry: &Entry) -> String {
    if entry.kind != EntryKind::File {
        return "-".to_owned();
    }
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, entry.size);
    Sha1::of(&bytes).to_string()
}

/// Asks Python about files; gives its lines for each.
fn ask_python(paths: &[PathBuf]) -> BTreeMap<PathBuf, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    let names = paths.iter().fold(String::new(), |names, path| {
        names + path.to_str().unwrap() + "\n"
    });
    fs_err::write(&list, names).unwrap();
    let answer = output(
        Command::new("python3")
            .args(["-c", PYTHON])
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(fs_err::File::open(list).unwrap().into_file()),
    );
    let mut answers = BTreeMap::new();
    let mut current = &mut Vec::new();
    for line in String::from_utf8(answer).unwrap().lines() {
        match line.strip_prefix("file ") {
            Some(name) => current = answers.entry(PathBuf::from(name)).or_default(),
            None => current.push(line.to_owned()),
        }
    }
    assert_eq!(answers.len(), paths.len());
    answers
}

#[test]
fn packages_are_what_python_reads() {
    let Some(alpine) = real_mirror("packages_are_what_python_reads") else {
        return;
    };
    if judge::program("packages_are_what_python_reads", "python3").is_none() {
        return;
    }
    for (path, theirs) in ask_python(&files(&alpine, ".apk")) {
        let members: Vec<Vec<_>> = theirs
            .iter()
            .filter(|line| line.starts_with("member "))
            .map(|line| line.split(' ').collect())
            .collect();
        assert_eq!(members.len(), 3, "{}", path.display());

        let package = Package::open(open(&path)).unwrap();
        assert_eq!(package.identity().to_string(), members[1][1]);
        assert_eq!(
            Sha256::of(package.signed_bytes()).to_string(),
            members[1][2]
        );
        let hash: Sha256 = members[2][2].parse().unwrap();
        assert_eq!(package.info().data_hash, Some(hash));
        assert!(package.scripts().iter().all(|script| script.mode == 0o755));

        let mut data = package.into_data();
        let mut ours = Vec::new();
        while let Some(entry) = data.next().unwrap() {
            let content = content_digest(&mut data, &entry);
            ours.push(like_python(&entry, &content));
        }
        assert_eq!(ours, theirs[3..], "{}", path.display());
    }
}

#[test]
fn bases_are_what_python_reads() {
    let Some(alpine) = real_mirror("bases_are_what_python_reads") else {
        return;
    };
    if judge::program("bases_are_what_python_reads", "python3").is_none() {
        return;
    }
    for (path, theirs) in ask_python(&files(&alpine, "64.tar.gz")) {
        let content = gzip::Reader::new(open(&path));
        let mut archive = tar::Reader::new(BufReader::with_capacity(128 << 10, content));
        let mut ours = Vec::new();
        while let Some(entry) = archive.next().unwrap() {
            let content = content_digest(&mut archive, &entry);
            ours.push(like_python(&entry, &content));
        }
        // Python keeps a leading `./` and calls the root `.`.
        let theirs: Vec<_> = theirs[1..]
            .iter()
            .map(|line| line.replacen("|./", "|", 1).replacen("|.|", "||", 1))
            .collect();
        assert_eq!(ours, theirs, "{}", path.display());
    }
}

/// Returns the keys of all bases and of the mirror's own folder.
fn all_keys(alpine: &Path) -> Keyring {
    let mut keys = Keyring::new();
    for path in files(&alpine.join("keys"), ".pub") {
        let key = PublicKey::from_pem(&fs_err::read(&path).unwrap()).unwrap();
        keys.insert(path.file_name().unwrap().to_str().unwrap(), key);
    }
    for path in files(alpine, "64.tar.gz") {
        let content = gzip::Reader::new(open(&path));
        let mut archive = tar::Reader::new(BufReader::new(content));
        while let Some(entry) = archive.next().unwrap() {
            let path = entry.path.to_string();
            if let Some(name) = path.strip_prefix("/etc/apk/keys/")
                && entry.kind == EntryKind::File
            {
                let mut pem = Vec::new();
                archive.read_to_end(&mut pem).unwrap();
                let key = PublicKey::from_pem(&pem).unwrap();
                if let Some(before) = keys.insert(name, key.clone()) {
                    assert_eq!(before, key);
                }
            }
        }
    }
    keys
}

#[test]
fn indexes_open_with_their_keys_and_name_their_packages() {
    let Some(alpine) = real_mirror("indexes_open_with_their_keys_and_name_their_packages") else {
        return;
    };
    let keys = all_keys(&alpine);
    let fixture = "fixture-20260101.rsa.pub";
    let mut counted = 0;
    for path in files(&alpine, "APKINDEX.tar.gz") {
        let bytes = fs_err::read(&path).unwrap();
        let index = open_signed_index(&bytes, &keys).unwrap();
        let version = path.strip_prefix(&alpine).unwrap();
        assert_eq!(
            index.key_name == fixture,
            version.starts_with("v3.20"),
            "{}",
            index.key_name
        );
        assert_eq!(index.algorithm, SignatureAlgorithm::RsaSha1);
        assert_eq!(
            Some(index.fingerprint),
            keys.get(&index.key_name).map(PublicKey::fingerprint)
        );
        assert!(!index.description.is_empty());
        // By Python's `tarfile`. Alpine's own were made minutes after their newest package.
        let made = match version.to_str().unwrap() {
            "v3.13/main/aarch64/APKINDEX.tar.gz" => 1_611_870_737,
            "v3.19/main/x86_64/APKINDEX.tar.gz" => 1_718_724_996,
            "v3.19/community/x86_64/APKINDEX.tar.gz" => 1_718_724_309,
            _ => 1_795_370_353,
        };
        assert_eq!(index.made, Some(made), "{}", version.display());

        let text = String::from_utf8(index.index_text).unwrap();
        for stanza in text.split("\n\n") {
            let line = |letter| stanza.lines().find_map(|line| line.strip_prefix(letter));
            let (Some(name), Some(version)) = (line("P:"), line("V:")) else {
                continue;
            };
            let file = path.with_file_name(format!("{name}-{version}.apk"));
            if !file.exists() {
                continue;
            }
            let package = Package::open(open(&file)).unwrap();
            assert_eq!(Some(&*package.identity().to_apk()), line("C:"));
            assert_eq!(
                (&*package.info().name, &*package.info().version),
                (name, version)
            );
            let size = fs_err::metadata(&file).unwrap().len().to_string();
            assert_eq!(Some(&*size), line("S:"));
            // Some signatures are by keys that no base carries: the packages came a long way.
            if let Ok(vouched) = package.verify(&keys) {
                assert_eq!(vouched.signature, &package.signatures()[0]);
                counted += 1;
            }
        }
    }
    assert!(counted > 200, "only {counted} packages' signatures hold");
}

#[test]
fn openssl_agrees_about_keys_and_signatures() {
    if judge::program("openssl_agrees_about_keys_and_signatures", "openssl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let openssl =
        |arguments: &[&str]| output(Command::new("openssl").args(arguments).current_dir(&folder));
    openssl(&["genrsa", "-out", "private", "2048"]);
    openssl(&["rsa", "-in", "private", "-pubout", "-out", "public"]);
    openssl(&[
        "rsa", "-in", "private", "-pubout", "-outform", "DER", "-out", "der",
    ]);
    let pem = fs_err::read(folder.path().join("public")).unwrap();
    let der = fs_err::read(folder.path().join("der")).unwrap();
    let key = PublicKey::from_pem(&pem).unwrap();
    assert_eq!(key.fingerprint(), Sha256::of(&der));
    assert_eq!(PublicKey::from_der(&der).unwrap(), key);

    let message = b"what is signed";
    fs_err::write(folder.path().join("message"), message).unwrap();
    let algorithms = [
        (SignatureAlgorithm::RsaSha1, "-sha1"),
        (SignatureAlgorithm::RsaSha256, "-sha256"),
        (SignatureAlgorithm::RsaSha512, "-sha512"),
    ];
    for (algorithm, option) in algorithms {
        let signature = openssl(&["dgst", option, "-sign", "private", "message"]);
        for (other, _) in algorithms {
            assert_eq!(
                key.verify(other, message, &signature),
                other == algorithm,
                "{option} as {other:?}"
            );
        }
        assert!(!key.verify(algorithm, b"what is forged", &signature));
        let mut flipped = signature;
        flipped[100] ^= 1;
        assert!(!key.verify(algorithm, message, &flipped));
    }

    // A whole index by each algorithm, behind signatures that do not count: those of an unknown
    // algorithm and of unknown keys.
    let member = |files: &[Member]| gzip_member(&Archive::of(Flavour::Gnu, files).ended());
    let index = member(&[
        Member::file("DESCRIPTION", "some words"),
        Member::file("APKINDEX", "P:a\nV:1\n\n"),
    ]);
    fs_err::write(folder.path().join("index"), &index).unwrap();
    let mut keys = Keyring::new();
    keys.insert("mine.rsa.pub", key.clone());
    for (algorithm, option) in algorithms {
        let signature = openssl(&["dgst", option, "-sign", "private", "index"]);
        let named = format!(".SIGN.{}.mine.rsa.pub", algorithm.name());
        let signed = |others: &[&str], signature: &[u8]| {
            let mut files: Vec<_> = others
                .iter()
                .map(|name| Member::file(name, "not looked at"))
                .collect();
            files.push(Member::file(&named, signature));
            let signatures = gzip_member(&Archive::of(Flavour::Gnu, &files).cut());
            [signatures, index.clone()].concat()
        };
        for others in [
            &[][..],
            &[".SIGN.DSA.mine.rsa.pub", ".SIGN.RSA.other.rsa.pub"],
        ] {
            let opened = open_signed_index(&signed(others, &signature), &keys).unwrap();
            assert_eq!(opened.index_text, b"P:a\nV:1\n\n");
            assert_eq!(opened.description, b"some words");
            assert_eq!(opened.algorithm, algorithm);
            assert_eq!(opened.key_name, "mine.rsa.pub");
            assert_eq!(opened.fingerprint, key.fingerprint());
        }
        // The first signature by a known key counts, whatever the others say.
        let first = ".SIGN.RSA.mine.rsa.pub";
        open_signed_index(&signed(&[first], &signature), &keys).unwrap_err();
        open_signed_index(&signed(&[], &signature[1..]), &keys).unwrap_err();
    }

    openssl(&["genrsa", "-out", "small", "1024"]);
    let small = openssl(&["rsa", "-in", "small", "-pubout"]);
    assert_eq!(
        PublicKey::from_pem(&small).unwrap_err().to_string(),
        "the key has 1024 bits and not 2048 to 8192"
    );
    openssl(&["ecparam", "-genkey", "-name", "prime256v1", "-out", "ec"]);
    let elliptic = openssl(&["ec", "-in", "ec", "-pubout"]);
    assert_eq!(
        PublicKey::from_pem(&elliptic).unwrap_err().to_string(),
        "the key is not an RSA key"
    );
    assert_eq!(
        PublicKey::from_pem(&fs_err::read(folder.path().join("private")).unwrap())
            .unwrap_err()
            .to_string(),
        "the PEM file holds a `PRIVATE KEY` and not a `PUBLIC KEY`"
    );
}
