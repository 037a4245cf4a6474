//! Writes everything that a tree can hold and lets other programs read it.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

#[path = "described/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use prebake_apk::entry::{Device, EntryKind};
use prebake_apk::path::GuestPath;
use prebake_image::tar;
use prebake_rootfs::tree::{NodeKind, Tree};
use prebake_testkit::judge;
use tree::{Description, NoSources};

fn output(command: &mut Command) -> String {
    let output = command
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env("PYTHONIOENCODING", "utf-8:surrogateescape")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn hardlink(target: &[u8]) -> EntryKind {
    EntryKind::Hardlink(GuestPath::from_archive(target).unwrap())
}

/// What an unprivileged user can unpack.
fn plain() -> Description {
    let mut tree = Description::new();
    tree.add(b"dir", EntryKind::Directory, |entry| entry.mode = 0o750);
    tree.add(b"dir/empty", EntryKind::File, |_| {});
    for size in [1, 511, 512, 513, 300_000] {
        let name = format!("dir/file-{size}");
        tree.add(name.as_bytes(), EntryKind::File, |entry| entry.size = size);
    }
    tree.add(b"a file", EntryKind::File, |entry| entry.mtime = 0);
    tree.add("ünïcödé-名".as_bytes(), EntryKind::File, |entry| {
        entry.size = 3;
    });
    tree.add(b"-rf", EntryKind::File, |_| {});
    tree.add(b"@at", EntryKind::File, |_| {});
    tree.add(b"back\\slash", EntryKind::File, |_| {});
    tree.add(b"link", EntryKind::Symlink(b"dir/file-1".to_vec()), |_| {});
    tree.add(b"up", EntryKind::Symlink(b"../../x y".to_vec()), |_| {});
    tree.add(b"dir/second", hardlink(b"dir/file-513"), |_| {});
    tree.add(b"third", hardlink(b"dir/file-513"), |_| {});
    tree.add(b"dir/zero", hardlink(b"dir/empty"), |_| {});
    // Names that need ustar's second field.
    let long = format!("{}/{}", "d".repeat(80), "e".repeat(70));
    tree.add(long.as_bytes(), EntryKind::Directory, |_| {});
    let file = format!("{long}/{}", "f".repeat(90));
    tree.add(file.as_bytes(), EntryKind::File, |entry| entry.size = 5);
    tree
}

/// What needs pax records for its names.
fn long_names() -> Description {
    let mut tree = plain();
    let name = "n".repeat(200);
    tree.add(name.as_bytes(), EntryKind::File, |entry| entry.size = 9);
    tree.add(b"other name", hardlink(name.as_bytes()), |_| {});
    let deep = vec!["deep-ünder".repeat(9); 6].join("/");
    tree.add(deep.as_bytes(), EntryKind::Directory, |_| {});
    let file = format!("{deep}/file");
    tree.add(file.as_bytes(), EntryKind::File, |entry| entry.size = 7);
    let target = vec!["t".repeat(49); 6].join("/");
    tree.add(b"far", EntryKind::Symlink(target.into_bytes()), |_| {});
    tree
}

/// All that a tree can hold.
fn everything() -> Description {
    let mut tree = long_names();
    for (name, mode) in [
        ("setuid", 0o4755),
        ("setgid", 0o2755),
        ("sticky", 0o1777),
        ("none", 0),
        ("odd", 0o7421),
    ] {
        tree.add(name.as_bytes(), EntryKind::File, |entry| entry.mode = mode);
    }
    tree.add(b"tmp", EntryKind::Directory, |entry| entry.mode = 0o1777);
    for (name, id) in [
        ("most", 0o7_777_777),
        ("more", 0o10_000_000),
        ("big", u32::MAX - 1),
    ] {
        tree.add(name.as_bytes(), EntryKind::File, |entry| {
            (entry.uid, entry.gid) = (id, id - 1);
        });
    }
    for (name, mtime) in [("old", -1), ("older", -1_000_000_000), ("new", 1 << 33)] {
        tree.add(name.as_bytes(), EntryKind::File, |entry| {
            entry.mtime = mtime;
        });
    }
    let device = |major, minor| Device { major, minor };
    tree.add(b"null", EntryKind::CharDevice(device(1, 3)), |_| {});
    tree.add(
        b"disk",
        EntryKind::BlockDevice(device(259, 0xf_ffff)),
        |_| {},
    );
    tree.add(b"pipe", EntryKind::Fifo, |_| {});
    tree.add(b"xattrs", EntryKind::File, |entry| {
        entry.size = 4;
        for (name, value) in [
            (
                &b"security.capability"[..],
                &b"\x01\0\0\x02\0\x04\0\0\n=\0\xff"[..],
            ),
            (b"user.empty", b""),
            (b"user.text", "größer".as_bytes()),
        ] {
            entry.xattrs.insert(name.to_vec(), value.to_vec());
        }
    });
    tree.add(b"xattrs-of-directory", EntryKind::Directory, |entry| {
        entry.xattrs.insert(b"user.d".to_vec(), b"1".to_vec());
    });
    tree
}

fn archive(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::new();
    tar::write(tree, &mut NoSources, &mut bytes).unwrap();
    bytes
}

/// What a program is to say about an entry.
struct Expected {
    /// As the archive spells it.
    name: Vec<u8>,
    letter: char,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    size: u64,
    link: Vec<u8>,
    device: (u32, u32),
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

fn expected(tree: &Tree) -> Vec<Expected> {
    let mut first = BTreeMap::new();
    let spelled = |path: &GuestPath| [b"./", path.as_bytes()].concat();
    tree.in_order()
        .map(|(path, node, id)| {
            let mut name = spelled(path);
            if node.is_directory() && !path.is_root() {
                name.push(b'/');
            }
            let mut expected = Expected {
                name,
                letter: '-',
                mode: node.mode,
                uid: node.uid,
                gid: node.gid,
                mtime: node.mtime,
                size: 0,
                link: Vec::new(),
                device: (0, 0),
                xattrs: node.xattrs.clone(),
            };
            if let Some(target) = first.get(&id) {
                expected.letter = 'h';
                expected.link = spelled(target);
                expected.xattrs.clear();
                return expected;
            }
            first.insert(id, path.clone());
            expected.letter = match &node.kind {
                NodeKind::File(file) => {
                    expected.size = file.size;
                    '-'
                }
                NodeKind::Directory => 'd',
                NodeKind::Symlink(target) => {
                    expected.link.clone_from(target);
                    'l'
                }
                NodeKind::CharDevice(device) => {
                    expected.device = (device.major, device.minor);
                    'c'
                }
                NodeKind::BlockDevice(device) => {
                    expected.device = (device.major, device.minor);
                    'b'
                }
                NodeKind::Fifo => 'p',
            };
            expected
        })
        .collect()
}

/// Prints entries as `tar -tv --numeric-owner --full-time` does in UTC, without the spaces that
/// align its columns.
fn like_tar(expected: &[Expected]) -> Vec<String> {
    let line = |entry: &Expected| {
        let mut line = String::from(entry.letter);
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
        let size = if matches!(entry.letter, 'c' | 'b') {
            format!("{},{}", entry.device.0, entry.device.1)
        } else {
            entry.size.to_string()
        };
        let (day, time) = (entry.mtime.div_euclid(86400), entry.mtime.rem_euclid(86400));
        write!(
            line,
            " {}/{} {size} {} {:02}:{:02}:{:02} {}",
            entry.uid,
            entry.gid,
            date(day),
            time / 3600,
            time / 60 % 60,
            time % 60,
            str::from_utf8(&entry.name).unwrap(),
        )
        .unwrap();
        let link = str::from_utf8(&entry.link).unwrap();
        match entry.letter {
            'l' => line + " -> " + link,
            'h' => line + " link to " + link,
            _ => line,
        }
    };
    expected.iter().map(line).collect()
}

/// The day so many days after 1970-01-01. The year begins in March, so that leap days come last.
fn date(days: i64) -> String {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year + era * 400, month + 3)
    } else {
        (year + era * 400 + 1, month - 9)
    };
    format!("{year:04}-{month:02}-{day:02}")
}

/// Takes the spaces out that align columns: those between the first three words.
fn unaligned(listing: &str) -> Vec<String> {
    listing
        .lines()
        .map(|line| {
            let mut rest = line;
            let mut words = String::new();
            for _ in 0..5 {
                let (word, behind) = rest.trim_start().split_once(' ').unwrap();
                words = words + word + " ";
                rest = behind;
            }
            words + rest
        })
        .collect()
}

struct Written {
    folder: tempfile::TempDir,
}

impl Written {
    fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("tar"), bytes).unwrap();
        Self { folder }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        output(
            Command::new(program)
                .args(arguments)
                .current_dir(self.folder.path()),
        )
    }
}

#[test]
fn gnu_tar_lists_it() {
    if judge::gnu_tar("gnu_tar_lists_it").is_none() {
        return;
    }
    let tree = everything().tree();
    let listing = Written::new(&archive(&tree)).run(
        "tar",
        &[
            "--numeric-owner",
            "--full-time",
            "--quoting-style=literal",
            "-tvf",
            "tar",
        ],
    );
    assert_eq!(unaligned(&listing), like_tar(&expected(&tree)));
}

/// BusyBox takes names from pax records, and neither numbers nor attributes.
#[test]
fn busybox_lists_it() {
    if judge::program("busybox_lists_it", "busybox").is_none() {
        return;
    }
    let tree = long_names().tree();
    let listing = Written::new(&archive(&tree)).run("busybox", &["tar", "-tvf", "tar"]);
    let expected: Vec<_> = like_tar(&expected(&tree))
        .into_iter()
        // It shows a hard link as it shows a symbolic one.
        .map(|line| {
            line.replace(" link to ", " -> ")
                .replacen('h', "-", usize::from(line.starts_with('h')))
        })
        .collect();
    assert_eq!(unaligned(&listing), expected);
}

#[test]
fn bsdtar_lists_it() {
    if judge::program("bsdtar_lists_it", "bsdtar").is_none() {
        return;
    }
    let tree = everything().tree();
    let listing = Written::new(&archive(&tree)).run(
        "bsdtar",
        &[
            "-cf",
            "-",
            "--format=mtree",
            "--options=!all,type,mode,uid,gid,size,time,link,device",
            "@tar",
        ],
    );
    let mut found: Vec<_> = listing
        .lines()
        .filter(|line| line.starts_with("./"))
        .map(str::to_owned)
        .collect();
    let mut wanted: Vec<_> = expected(&tree).iter().skip(1).map(like_mtree).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

/// Prints an entry as bsdtar writes it into an mtree, where bytes that are no plain text are
/// octal and a hard link is an empty file.
fn like_mtree(entry: &Expected) -> String {
    let escaped = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            match byte {
                b'\\' | b' ' | 0x7f.. => write!(text, "\\{byte:03o}").unwrap(),
                _ => text.push(char::from(*byte)),
            }
            text
        })
    };
    let name = entry.name.strip_suffix(b"/").unwrap_or(&entry.name);
    let line = format!(
        "{} time={}.0 mode={:o} gid={} uid={} type=",
        escaped(name),
        entry.mtime,
        entry.mode,
        entry.gid,
        entry.uid
    );
    let (major, minor) = entry.device;
    line + &match entry.letter {
        'd' => "dir".to_owned(),
        'l' => format!("link link={}", escaped(&entry.link)),
        'c' => format!("char device=native,{major},{minor}"),
        'b' => format!("block device=native,{major},{minor}"),
        'p' => "fifo".to_owned(),
        _ => format!("file size={}", entry.size),
    }
}

/// Prints all that Python knows of each entry.
const PYTHON: &str = r"
import tarfile, os
for e in tarfile.open('tar', errors='surrogateescape'):
    xattrs = {k[13:]: os.fsencode(v) for k, v in e.pax_headers.items() if k.startswith('SCHILY.xattr.')}
    print(e.name, e.type.decode(), oct(e.mode), e.uid, e.gid, repr(e.uname), repr(e.gname), int(e.mtime),
          e.size, e.linkname, (e.devmajor, e.devminor), [(k, xattrs[k].hex()) for k in sorted(xattrs)], sep='|')
";

#[test]
fn python_reads_it() {
    if judge::program("python_reads_it", "python3").is_none() {
        return;
    }
    let tree = everything().tree();
    let listing = Written::new(&archive(&tree)).run("python3", &["-c", PYTHON]);
    let expected: Vec<_> = expected(&tree)
        .iter()
        .map(|entry| {
            let name = str::from_utf8(&entry.name).unwrap();
            // Python takes the `/` off a directory.
            let name = name.trim_end_matches('/');
            let letter = match entry.letter {
                '-' => '0',
                'h' => '1',
                'l' => '2',
                'c' => '3',
                'b' => '4',
                'd' => '5',
                other => {
                    assert_eq!(other, 'p');
                    '6'
                }
            };
            let hex = |bytes: &[u8]| {
                bytes.iter().fold(String::new(), |mut text, byte| {
                    write!(text, "{byte:02x}").unwrap();
                    text
                })
            };
            let xattrs: Vec<_> = entry
                .xattrs
                .iter()
                .map(|(name, value)| {
                    format!("('{}', '{}')", str::from_utf8(name).unwrap(), hex(value))
                })
                .collect();
            format!(
                "{name}|{letter}|0o{:o}|{}|{}|''|''|{}|{}|{}|{:?}|[{}]",
                entry.mode,
                entry.uid,
                entry.gid,
                entry.mtime,
                entry.size,
                str::from_utf8(&entry.link).unwrap(),
                entry.device,
                xattrs.join(", ")
            )
        })
        .collect();
    assert_eq!(listing.lines().collect::<Vec<_>>(), expected);
}

/// Prints what is really there below the folder `root`.
const WALK: &str = r"
import os, hashlib, stat
inodes = {}
for folder, folders, files in os.walk('root'):
    for name in [os.path.join(folder, f) for f in folders + files]:
        s = os.lstat(name)
        kind = stat.S_IFMT(s.st_mode)
        text = '-'
        if kind == stat.S_IFREG: text = hashlib.sha1(open(name, 'rb').read()).hexdigest()
        if kind == stat.S_IFLNK: text = os.readlink(name)
        time = s.st_mtime if kind != stat.S_IFLNK else 0
        mode = stat.S_IMODE(s.st_mode) if kind != stat.S_IFLNK else 0
        print(name[5:], oct(mode), int(time), s.st_nlink if kind == stat.S_IFREG else 0, text, sep='|')
";

#[test]
fn what_is_unpacked_is_the_tree() {
    if judge::program("what_is_unpacked_is_the_tree", "python3").is_none() {
        return;
    }
    let tree = long_names().tree();
    let mut names: BTreeMap<_, u64> = BTreeMap::new();
    for (_, _, id) in tree.in_order() {
        *names.entry(id).or_default() += 1;
    }
    let mut expected: Vec<_> = tree
        .in_order()
        .filter(|(path, _, _)| !path.is_root())
        .map(|(path, node, id)| {
            let (links, text) = match &node.kind {
                NodeKind::File(file) => (names[&id], file.sha1.to_string()),
                NodeKind::Symlink(target) => (0, String::from_utf8(target.clone()).unwrap()),
                _ => (0, "-".to_owned()),
            };
            let link = matches!(node.kind, NodeKind::Symlink(_));
            let (mode, mtime) = if link {
                (0, 0)
            } else {
                (node.mode, node.mtime)
            };
            let path = path.to_string();
            format!("{}|0o{mode:o}|{mtime}|{links}|{text}", &path[1..])
        })
        .collect();
    expected.sort();
    let written = Written::new(&archive(&tree));
    for (program, arguments) in [
        // A directory gets its time when GNU tar leaves it for the first time, and packages come
        // back to directories: only at the end are times what they should be.
        (
            "tar",
            &["--delay-directory-restore", "-xpf", "tar", "-C", "root"][..],
        ),
        ("bsdtar", &["-xpf", "tar", "-C", "root"]),
        (
            "python3",
            &[
                "-c",
                "import tarfile; tarfile.open('tar').extractall('root')",
            ],
        ),
    ] {
        if judge::program("what_is_unpacked_is_the_tree", program).is_none() {
            continue;
        }
        fs_err::create_dir(written.folder.path().join("root")).unwrap();
        written.run(program, arguments);
        let walk = written.run("python3", &["-c", WALK]);
        let mut found: Vec<_> = walk.lines().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{program}");
        fs_err::remove_dir_all(written.folder.path().join("root")).unwrap();
    }
}

/// Attributes of users survive GNU tar on a file system that has some.
#[test]
fn attributes_survive_gnu_tar() {
    if judge::gnu_tar("attributes_survive_gnu_tar").is_none()
        || judge::program("attributes_survive_gnu_tar", "python3").is_none()
    {
        return;
    }
    let mut tree = Description::new();
    let values = [
        (&b"user.text"[..], &b"a=b\nc\0\xff"[..]),
        (b"user.empty", b""),
    ];
    for (name, kind) in [("file", EntryKind::File), ("dir", EntryKind::Directory)] {
        tree.add(name.as_bytes(), kind, |entry| {
            for (name, value) in values {
                entry.xattrs.insert(name.to_vec(), value.to_vec());
            }
        });
    }
    let written = Written::new(&archive(&tree.tree()));
    let probe = "import os; os.setxattr('tar', 'user.probe', b'1')";
    let probed = Command::new("python3")
        .args(["-c", probe])
        .current_dir(written.folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    if !probed.success() {
        eprintln!("skipped: the folder for temporary files has no user attributes");
        return;
    }
    written.run("tar", &["--xattrs", "--xattrs-include=*", "-xf", "tar"]);
    let found = written.run(
        "python3",
        &[
            "-c",
            "import os\nfor f in ['file', 'dir']: print([(a, os.getxattr(f, a)) for a in sorted(os.listxattr(f))])",
        ],
    );
    let line = "[('user.empty', b''), ('user.text', b'a=b\\nc\\x00\\xff')]\n";
    assert_eq!(found, [line, line].concat());
}

/// Names that are no text at all.
#[test]
fn names_that_are_bytes_survive() {
    if judge::program("names_that_are_bytes_survive", "python3").is_none() {
        return;
    }
    let mut tree = Description::new();
    let short = b"latin-\xe4";
    let long = [&short[..], &[0xff; 120]].concat();
    tree.add(short, EntryKind::File, |_| {});
    tree.add(&long, EntryKind::File, |_| {});
    tree.add(b"link", EntryKind::Symlink(long.clone()), |_| {});
    let script = "import tarfile, os\nfor e in tarfile.open('tar', errors='surrogateescape'): print(os.fsencode(e.name).hex(), os.fsencode(e.linkname).hex())";
    let found = Written::new(&archive(&tree.tree())).run("python3", &["-c", script]);
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let name = |name: &[u8]| hex(&[b"./", name].concat());
    let wanted = [
        format!("{} ", hex(b".")),
        format!("{} ", name(short)),
        format!("{} ", name(&long)),
        format!("{} {}", name(b"link"), hex(&long)),
    ];
    assert_eq!(found.lines().collect::<Vec<_>>(), wanted);
}
