//! What is refused for its size is refused in little memory: the peak of the real program, as the
//! kernel counts it, is held against that of a program that does nothing.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prebake_apk::digest::{Sha1, Sha256};
use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::judge::{self, Judge};
use prebake_testkit::member::{Checksum, Member};

use crate::kitchen::Output;
use crate::larder::{Larder, tool, with_control, with_data};

/// The most that a refusal may take above a program that does nothing, in KiB. What is promised is
/// 64 MiB; the kernel counts the memory of the program that starts another to the other's, which is
/// some MiB here and only matters to the one that does nothing.
const ABOVE_IDLE: u64 = 56 << 10;

/// The same for an archive of as many entries as may be: each is a node in memory.
const ABOVE_IDLE_OF_MANY: u64 = 192 << 10;

/// Runs a program and prints its peak memory in KiB behind what it says.
const PYTHON: &str = r"
import os, sys
program = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(program, 0)
print('peak', usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
";

/// Runs `prebake` and returns its output and its peak memory in KiB.
fn peak(larder: &Larder, python: &Judge, arguments: &[&str]) -> (Output, u64) {
    let program = python.command().get_program().to_owned();
    let starter = [program.to_str().unwrap(), "-c", PYTHON];
    let output = Output::of(&mut larder.kitchen.started_by(&starter, arguments));
    let peak = output.stderr.lines().last().unwrap_or_default();
    let peak = peak
        .strip_prefix("peak ")
        .and_then(|peak| peak.parse().ok());
    let peak = peak.unwrap_or_else(|| panic!("no peak: {}", output.stderr));
    (output, peak)
}

/// Checks that `prebake` refuses with these words and in little memory.
#[track_caller]
fn refused(larder: &Larder, python: &Judge, arguments: &[&str], words: &str) {
    refused_within(ABOVE_IDLE, larder, python, arguments, words);
}

#[track_caller]
fn refused_within(
    above_idle: u64,
    larder: &Larder,
    python: &Judge,
    arguments: &[&str],
    words: &str,
) {
    let (version, idle) = peak(larder, python, &["--version"]);
    version.expect(0);
    let (output, peak) = peak(larder, python, arguments);
    assert!(
        matches!(output.code, Some(2..=4)),
        "{arguments:?}: {output:?}"
    );
    let said = output
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(said.contains(words), "no {words:?} in: {said}");
    assert!(
        peak < idle + above_idle,
        "{words}: {peak} KiB, {idle} of which are idle"
    );
}

/// Compresses `before`, and then `piece` as often as `times` says.
fn repeated(before: &[u8], piece: &[u8], times: usize) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(before).unwrap();
    for _ in 0..times {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

/// The head of a tar archive whose file `name` has so many bytes.
fn head(name: &str, size: u64) -> Vec<u8> {
    let member = Member::file(name, "").claimed_size(size);
    Archive::of(Flavour::Gnu, [&member]).cut()
}

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

#[test]
fn bombs_are_refused_in_little_memory() {
    let Some(python) = judge::python("bombs_are_refused_in_little_memory") else {
        return;
    };
    let larder = Larder::new();
    let build = ["build"];
    let ratio = "inflates to more than 200 times its size";
    // A file of 512 MiB in 500 kB, in a base, and on a person's disk.
    let bomb = repeated(&head("srv/zeros", 512 << 20), &ZEROS, 512);
    larder.start_from(&bomb, "");
    refused(&larder, &python, &build, ratio);
    larder.kitchen.write("bomb.tar.gz", &bomb);
    refused(&larder, &python, &["inspect", "bomb.tar.gz"], ratio);
    // A file that prebake itself reads.
    let read = repeated(&head("etc/passwd", 512 << 20), &ZEROS, 512);
    larder.start_from(&read, "");
    refused(
        &larder,
        &python,
        &build,
        "536870912 bytes, more than 25165824",
    );
    // Many of them, each within its bound, and of bytes that do not compress.
    let noise: Vec<u8> = (0..256_u32 << 10)
        .flat_map(|number| *Sha256::of(&number.to_be_bytes()).as_bytes())
        .collect();
    let keys: Vec<_> = (0..8)
        .map(|number| Member::file(format!("etc/apk/keys/{number}"), &noise))
        .collect();
    larder.start_from(&gzip(&Archive::of(Flavour::Gnu, &keys).padded()), "");
    refused(
        &larder,
        &python,
        &build,
        "have more than 33554432 bytes together",
    );
    // A million entries, and attributes of a gigabyte.
    let entry = Archive::of(Flavour::Posix, [&Member::file("f", "")]).cut();
    larder.start_from(&repeated(&[], &entry.repeat(1000), 1000), "");
    let words = "more than 524288 entries";
    refused_within(ABOVE_IDLE_OF_MANY, &larder, &python, &build, words);
    let member = Member::file("f", "").xattr("user.a", &ZEROS[..1 << 19]);
    let entry = Archive::of(Flavour::Posix, [&member]).cut();
    larder.start_from(&repeated(&[], &entry, 2000), "");
    refused(&larder, &python, &build, ratio);

    // The same in a package's data, and in its control data.
    let member = Member::file("zeros", "")
        .claimed_size(512 << 20)
        .checksum(Checksum::Claimed(Sha1::of(b"")));
    let checked = Archive::of(Flavour::Abuild, [&member]).cut();
    let data = repeated(&checked, &ZEROS, 512);
    let control = repeated(&head(".PKGINFO", 512 << 20), &ZEROS, 512);
    larder.start_from(&larder.base().build(), "");
    let builder = tool().claimed_datahash(&Sha256::of(&data).to_string());
    let package = with_data(builder.build(&larder.key), data);
    larder.kitchen.write("bomb.apk", package.bytes());
    larder.serve(&[package]);
    refused(&larder, &python, &build, ratio);
    refused(&larder, &python, &["inspect", "bomb.apk"], ratio);
    let package = with_control(tool().build(&larder.key), control);
    larder.serve(&[package]);
    refused(&larder, &python, &build, "more than 16777216 bytes");
}

#[test]
fn a_file_of_ten_gigabytes_is_refused_in_little_memory() {
    let Some(python) = judge::python("a_file_of_ten_gigabytes_is_refused_in_little_memory") else {
        return;
    };
    let larder = Larder::new();
    let words = "10737418240 bytes, more than 8589934592";
    let huge = repeated(&head("etc/huge", 10 << 30), &ZEROS, 1);
    larder.start_from(&huge, "");
    refused(&larder, &python, &["build"], words);
    larder.kitchen.write("huge.tar.gz", &huge);
    refused(&larder, &python, &["inspect", "huge.tar.gz"], words);
    // One that could be, and of which nothing comes.
    larder.start_from(&repeated(&head("etc/huge", 8 << 30), &ZEROS, 1), "");
    refused(&larder, &python, &["build"], "truncated");
}

#[test]
fn an_index_of_a_million_packages_is_refused_in_little_memory() {
    let Some(python) = judge::python("an_index_of_a_million_packages_is_refused_in_little_memory")
    else {
        return;
    };
    let larder = Larder::new();
    let build = ["build"];
    let identity = tool().build(&larder.key).identity().to_apk();
    // As short as a package's lines can be.
    let short = format!("C:{identity}\nP:a\nV:1\n\n");
    larder.serve_index(&short.repeat(1_000_000));
    refused(
        &larder,
        &python,
        &build,
        "42000000 bytes, more than 41943040",
    );
    // As many as the length allows, and just over the bound on their number.
    larder.serve_index(&short.repeat(900_000));
    refused(&larder, &python, &build, "more than 100000 packages");
    larder.serve_index(&short.repeat(100_001));
    refused(&larder, &python, &build, "more than 100000 packages");
    // As long as Alpine's are, and each another.
    let mut text = String::new();
    for number in 0..1_000_000_u32 {
        let line =
            format!("C:{identity}\nP:package{number}\nV:1.{number}-r0\nT:its own description\n\n");
        text.push_str(&line);
    }
    larder.serve_index(&text);
    refused(&larder, &python, &build, "bytes, more than 41943040");
    // More than is even fetched: the compressed file is over its own bound.
    larder
        .server
        .put("/main/x86_64/APKINDEX.tar.gz", &vec![1; (16 << 20) + 1]);
    let (output, _) = peak(&larder, &python, &build);
    assert!(output.stderr.contains("16777216"), "{}", output.stderr);
}
