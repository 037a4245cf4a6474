use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

const FILE: &str = "prebake.scripts";

fn path() -> impl Strategy<Value = GuestPath> {
    let part = "[a-z0-9 \"'#=\\[\\]{}\\\\é]{1,6}";
    // Not every text of these is a path: one that begins with a backslash is none.
    vec(part, 1..4).prop_filter_map("a path", |parts| {
        let text = parts.join("/");
        GuestPath::from_relative(text.as_bytes()).ok()
    })
}

fn device() -> impl Strategy<Value = Device> {
    (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Device { major, minor })
}

fn made() -> impl Strategy<Value = Made> {
    let lines = "([ -~\\t]{0,9}['\"\\\\]{0,4}\\n?){0,4}";
    prop_oneof![
        lines.prop_map(|text| Made::File(text.into_bytes())),
        any::<String>().prop_map(|text| Made::File(text.into_bytes())),
        vec(any::<u8>(), 0..40).prop_map(Made::File),
        path().prop_map(Made::SameAs),
        Just(Made::Directory),
        any::<String>().prop_map(|text| Made::Symlink(text.into_bytes())),
        Just(Made::Fifo),
        device().prop_map(Made::CharDevice),
        device().prop_map(Made::BlockDevice),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let time = prop_oneof![
        Just(Time::Kept),
        Just(Time::Now),
        any::<i64>().prop_map(Time::At),
    ];
    let name = any::<String>().prop_map(String::into_bytes);
    let xattrs = btree_map(name, vec(any::<u8>(), 0..9), 0..3);
    (0..=0o7777_u32, any::<u32>(), any::<u32>(), time, xattrs).prop_map(
        |(mode, uid, gid, time, xattrs)| Attributes {
            mode,
            uid,
            gid,
            time,
            xattrs,
        },
    )
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let what = prop_oneof![
        Just(What::Gone),
        path().prop_map(What::Link),
        (made(), attributes()).prop_map(|(made, mut attributes)| {
            // A link has no mode of its own.
            if matches!(made, Made::Symlink(_)) {
                attributes.mode = 0o777;
            }
            What::Made(made, attributes)
        }),
        attributes().prop_map(What::Attributes),
    ];
    (path(), what).prop_map(|(path, what)| Recorded { path, what })
}

fn run() -> impl Strategy<Value = Run> {
    let arch = prop_oneof![Just(Arch::X86_64), Just(Arch::Aarch64)];
    let script = proptest::sample::select(ScriptKind::ALL.to_vec());
    (
        arch,
        "[ -~]{1,9}",
        script,
        any::<[u8; 32]>(),
        vec(recorded(), 0..5),
    )
        .prop_map(|(arch, package, script, key, changes)| Run {
            arch,
            package,
            script,
            key: Sha256::new(key),
            changes,
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(runs in vec(run(), 0..4)) {
        let record = Record { runs };
        let text = record.to_text();
        let read = Record::parse(Path::new(FILE), &text);
        prop_assert_eq!(read.map_err(|error| format!("{error:?}")), Ok(record));
    }
}

fn at(path: &str) -> GuestPath {
    GuestPath::from_relative(path.as_bytes()).unwrap()
}

/// A record with everything in it.
fn sample() -> Record {
    let plain = Attributes {
        mode: 0o4755,
        uid: 8,
        gid: 12,
        time: Time::At(7),
        xattrs: BTreeMap::from([(b"user.x".to_vec(), b"y".to_vec())]),
    };
    let kept = Attributes {
        time: Time::Kept,
        ..plain.clone()
    };
    let device = Device { major: 1, minor: 3 };
    let changes = [
        What::Gone,
        What::Link(at("a/b")),
        What::Made(Made::File(b"one\ntwo\n".to_vec()), plain.clone()),
        What::Made(Made::File(b"\0\xff".to_vec()), kept.clone()),
        What::Made(Made::SameAs(at("etc/group")), plain.clone()),
        What::Made(Made::Directory, plain.clone()),
        What::Made(
            Made::Symlink(b"../x".to_vec()),
            Attributes {
                mode: 0o777,
                time: Time::Now,
                ..plain.clone()
            },
        ),
        What::Made(Made::Fifo, plain.clone()),
        What::Made(Made::CharDevice(device), plain.clone()),
        What::Made(Made::BlockDevice(device), plain),
        What::Attributes(kept),
    ];
    let named = |(index, what): (usize, &What)| Recorded {
        path: at(&format!("srv/{index}")),
        what: what.clone(),
    };
    let run = |package: &str, changes: &[What]| Run {
        arch: Arch::X86_64,
        package: package.to_owned(),
        script: ScriptKind::PostInstall,
        key: Sha256::of(package.as_bytes()),
        changes: changes.iter().enumerate().map(named).collect(),
    };
    Record {
        runs: vec![run("one-1-r0", &changes), run("two-1-r0", &[])],
    }
}

/// Names that lead out of the rootfs, or that a terminal would obey, wherever a record has one.
#[test]
fn a_record_that_leads_astray_is_refused() {
    let text = sample().to_text();
    for (honest, field) in [
        ("\"srv/0\"", "path"),
        ("\"a/b\"", "link"),
        ("\"etc/group\"", "same-as"),
    ] {
        let honest = format!("{field} = {honest}");
        assert!(text.contains(&honest), "{honest} is not in {text}");
        for name in [
            "../evil",
            "srv/../../evil",
            "srv/./evil",
            "srv//evil",
            "srv/\\u001b[2Jevil",
            "srv/\\u0000",
            "srv/..\\\\..\\\\evil",
        ] {
            let changed = text.replacen(&honest, &format!("{field} = \"{name}\""), 1);
            let error = Record::parse(Path::new(FILE), &changed).unwrap_err();
            let at = changed.find(&format!("\"{name}\"")).unwrap();
            let mut problems = error.problems.iter();
            assert!(
                problems.any(|problem| problem.span.contains(&(at + 1))),
                "{field} = {name}: {:?}",
                error.problems
            );
        }
    }
}

/// Reads a changed text: it is refused in words, or has another digest, or means the same.
fn assert_noticed(record: &Record, text: &str) {
    match Record::parse(Path::new(FILE), text) {
        Err(error) => {
            assert!(
                !error.problems.is_empty(),
                "refused without a word:\n{text}"
            );
            for problem in error.problems {
                assert!(problem.span.end <= text.len(), "{problem:?}");
            }
        }
        Ok(read) => assert!(
            read == *record || read.digest(Arch::X86_64) != record.digest(Arch::X86_64),
            "not noticed:\n{text}"
        ),
    }
}

#[test]
fn every_missing_or_changed_line_field_and_byte_is_noticed() {
    let record = sample();
    let text = record.to_text();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let with = |line: Option<&str>| {
            let before = lines[..index].iter().copied();
            let after = lines[index + 1..].iter().copied();
            before
                .chain(line)
                .chain(after)
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_noticed(&record, &with(None));
        for end in line.match_indices(", ") {
            // A field goes that follows a comma, up to the next.
            let rest = &line[end.0 + 2..];
            let (_, rest) = rest.split_once(", ").unwrap_or(("", " },"));
            let joined = if rest == " }," { "" } else { ", " };
            assert_noticed(
                &record,
                &with(Some(&[&line[..end.0], joined, rest].concat())),
            );
        }
    }
    for index in 0..text.len() {
        for byte in [b'"', b'9', b'z', b'\n'] {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = byte;
            assert_noticed(&record, &String::from_utf8(bytes).unwrap());
        }
    }
}

#[test]
fn a_run_is_another_architectures_own() {
    let record = sample();
    let key = record.runs[0].key;
    assert!(record.find(Arch::X86_64, &key).is_some());
    assert!(record.find(Arch::Aarch64, &key).is_none());
    assert_eq!(record.digest(Arch::Aarch64), None);
}
