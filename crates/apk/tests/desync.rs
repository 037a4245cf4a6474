//! Whatever is accepted is read alike by everybody: good archives are damaged in hundreds of ways,
//! and where one is still read, GNU tar, libarchive's tar and Python's `tarfile` must see the same
//! names, kinds, sizes and contents in it.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod mutation;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use mutation::{Chance, mutated, originals};
use prebake_apk::entry::EntryKind;
use prebake_apk::tar;
use prebake_testkit::judge::{self, Judge};

/// How many damaged archives there are.
const MUTATIONS: usize = 1500;

/// What `tarfile` has to say of every archive of a folder: a line for each, the names in hex.
const PYTHON: &str = r"
import sys, tarfile
for number in range(int(sys.argv[2])):
    out = []
    try:
        archive = tarfile.open(f'{sys.argv[1]}/{number}.tar', 'r:')
        for member in archive:
            kind = {b'1': 'h', b'2': 'l', b'3': 'c', b'4': 'b', b'5': 'd', b'6': 'p'}
            kind = kind.get(member.type, '-')
            content = archive.extractfile(member).read().hex() if kind == '-' else ''
            name = member.name.encode('utf-8', 'surrogateescape').rstrip(b'/').hex()
            link = member.linkname if kind in 'hl' else ''
            link = link.encode('utf-8', 'surrogateescape').rstrip(b'/')
            link = (link.removeprefix(b'./') if kind == 'h' else link).hex()
            out.append(f'{kind} {name} {link} {content}')
    except Exception as error:
        out.append(f'{type(error).__name__}: {error}')
    print('|'.join(out))
";

/// What is in an archive.
struct Seen {
    kind: char,
    name: Vec<u8>,
    link: Vec<u8>,
    content: Vec<u8>,
}

/// Reads an archive whole; `None` if it is refused.
fn read(archive: &[u8]) -> Option<Vec<Seen>> {
    let mut reader = tar::Reader::new(archive);
    let mut seen = Vec::new();
    while let Some(entry) = reader.next().ok()? {
        let (kind, link) = match &entry.kind {
            EntryKind::File => ('-', &b""[..]),
            EntryKind::Directory => ('d', &b""[..]),
            EntryKind::Symlink(target) => ('l', &target[..]),
            EntryKind::Hardlink(target) => ('h', target.as_bytes()),
            EntryKind::CharDevice(_) => ('c', &b""[..]),
            EntryKind::BlockDevice(_) => ('b', &b""[..]),
            EntryKind::Fifo => ('p', &b""[..]),
        };
        let name = reader.raw_name();
        let name = name.strip_suffix(b"/").unwrap_or(name).to_vec();
        let mut content = Vec::new();
        reader.read_to_end(&mut content).ok()?;
        seen.push(Seen {
            kind,
            name,
            link: trimmed(link),
            content,
        });
    }
    Some(seen)
}

/// Returns a link's target without the slashes at its end, which `tarfile` takes away.
fn trimmed(link: &[u8]) -> Vec<u8> {
    let end = link.iter().rposition(|byte| *byte != b'/');
    link[..end.map_or(0, |end| end + 1)].to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Writes a name as GNU tar's `--quoting-style=escape` and libarchive's tar do in the C locale.
fn escaped(name: &[u8]) -> String {
    let mut text = String::new();
    for byte in name {
        match byte {
            b'\\' => text.push_str("\\\\"),
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:03o}").unwrap(),
        }
    }
    text
}

/// What `tarfile` must say.
fn as_python(seen: &[Seen]) -> String {
    let lines = seen.iter().map(|one| {
        let (name, link) = (hex(&one.name), hex(&one.link));
        format!("{} {name} {link} {}", one.kind, hex(&one.content))
    });
    lines.collect::<Vec<_>>().join("|")
}

/// Asks a `tar` for the names of an archive, and for all contents in a row.
fn ask(tar: &Judge, options: &[&str], path: &Path) -> (Vec<String>, Vec<u8>) {
    let run = |action: &str| {
        let mut command = tar.command();
        command.args(options).arg(action).arg("-f").arg(path);
        command.output().unwrap().stdout
    };
    let names = String::from_utf8_lossy(&run("-t")).into_owned();
    let names = names.lines();
    let names = names.map(|name| name.strip_suffix('/').unwrap_or(name).to_owned());
    (names.collect(), run("-xO"))
}

#[test]
fn whatever_is_accepted_is_read_alike_by_everybody() {
    let test = "whatever_is_accepted_is_read_alike_by_everybody";
    let (Some(gnu), Some(bsd), Some(python)) = (
        judge::gnu_tar(test),
        judge::bsdtar(test),
        judge::python(test),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance::new(6);
    let originals = originals();
    for original in &originals {
        assert!(read(original).is_some_and(|seen| !seen.is_empty()));
    }
    let mut accepted = Vec::new();
    let mut unchanged = 0;
    for number in 0..MUTATIONS {
        let original = &originals[number % originals.len()];
        let archive = if number < originals.len() {
            original.clone()
        } else {
            mutated(original, &mut chance)
        };
        let Some(seen) = read(&archive) else {
            continue;
        };
        let before = read(original).unwrap();
        unchanged += usize::from(as_python(&before) == as_python(&seen));
        let path = folder.path().join(format!("{}.tar", accepted.len()));
        fs_err::write(&path, &archive).unwrap();
        accepted.push((path, seen));
    }
    let count = accepted.len().to_string();
    let mut command = python.command();
    command.env("PYTHONUTF8", "1");
    command.args(["-c", PYTHON]).arg(folder.path()).arg(&count);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut said = said.lines();
    let mut findings = String::new();
    for (path, seen) in &accepted {
        let mut differs = |who: &str, what: &str, theirs: &str, ours: &str| {
            if theirs != ours {
                let kept = std::env::temp_dir().join("prebake-desync.tar");
                fs_err::copy(path, kept).unwrap();
                let mut both = theirs.split('|').zip(ours.split('|'));
                let (theirs, ours) = both
                    .find(|(theirs, ours)| theirs != ours)
                    .unwrap_or(("an end earlier or later", ""));
                writeln!(
                    findings,
                    "{}: {who}'s {what}: {theirs}\n  ours: {ours}",
                    path.display()
                )
                .unwrap();
            }
        };
        differs(
            "Python",
            "entries",
            said.next().unwrap_or("none"),
            &as_python(seen),
        );
        let names: Vec<_> = seen.iter().map(|one| escaped(&one.name)).collect();
        let contents: Vec<_> = seen.iter().flat_map(|one| &one.content).copied().collect();
        let gnu_options = ["--quoting-style=escape"];
        for (who, tar, options) in [("GNU tar", &gnu, &gnu_options[..]), ("bsdtar", &bsd, &[])] {
            let (theirs, content) = ask(tar, options, path);
            differs(who, "names", &theirs.join("|"), &names.join("|"));
            differs(who, "contents", &hex(&content), &hex(&contents));
        }
    }
    assert!(findings.is_empty(), "{findings}");
    // The judges had something to judge: archives that say something else than before.
    let changed = accepted.len() - unchanged;
    assert!(changed > MUTATIONS / 20, "{changed} of {MUTATIONS} changed");
}
