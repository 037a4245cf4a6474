//! Versions against the real apk 2.14.4: `apk version -t` over every version of the real indexes,
//! sorted, and over generated pairs. `PREBAKE_DIFFERENTIAL=20000` sets the number of both.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering as Atomic};

use prebake_apk::index::Index;
use prebake_apk::version::{Dialect, compare, is_valid};

/// How many pairs are put to apk by default; each is a process of some 4 ms.
const PAIRS: usize = 1_000;

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing",
        path.display()
    );
    println!("skipped: {} is missing", path.display());
    None
}

fn pairs_wanted() -> usize {
    match std::env::var("PREBAKE_DIFFERENTIAL") {
        Ok(number) => number.parse().expect("PREBAKE_DIFFERENTIAL is a number"),
        Err(_) => PAIRS,
    }
}

fn sign(ordering: Ordering) -> &'static str {
    match ordering {
        Ordering::Less => "<",
        Ordering::Equal => "=",
        Ordering::Greater => ">",
    }
}

/// Puts every pair to apk and to us, on two threads, and returns the differences.
fn differences(oracle: &Path, pairs: &[(String, String)]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some((left, right)) = pairs.get(next.fetch_add(1, Atomic::Relaxed)) {
            let output = Command::new(oracle)
                .args(["version", "-t", "--", left, right])
                .output()
                .expect("the oracle runs");
            let theirs = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let ours = sign(compare(left, right, Dialect::V2));
            if theirs != ours {
                found.push(format!(
                    "apk says `{left} {theirs} {right}`, we say `{ours}`"
                ));
            }
        }
        found
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut found = work();
        found.extend(other.join().expect("no panic"));
        found
    })
}

/// A small generator with a fixed seed (xorshift), so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn version(&mut self) -> String {
        let mut text = String::from(self.pick(&["0", "1", "2", "10", "01", "1", "1"]));
        for _ in 0..self.below(4) {
            text += self.pick(&[
                ".0",
                ".1",
                ".2",
                ".10",
                ".01",
                ".001",
                ".00",
                ".010",
                "a",
                "b",
                ".",
                "_alpha",
                "_beta2",
                "_pre",
                "_rc1",
                "_rc",
                "_p",
                "_p1",
                "_p01",
                "_git20240101",
                "_hg",
                "_svn3",
                "_cvs",
                "_foo",
                "_post1",
                "-r0",
                "-r1",
                "-r",
                "-r10",
                "x",
                "Z",
                "-",
                "~1",
                "1",
                "0",
                ".99999999999999999999",
            ]);
        }
        text
    }
}

#[test]
fn generated_pairs() {
    let Some(shared) = shared() else { return };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let pairs: Vec<_> = (0..pairs_wanted())
        .map(|_| {
            let left = random.version();
            // Two that share a beginning are compared more deeply.
            let right = if random.below(2) == 0 {
                random.version()
            } else {
                let keep = random.below(left.len() + 1);
                left[..keep].to_owned() + &random.version()[1..]
            };
            (left, right)
        })
        .collect();
    let found = differences(&shared.join("oracle/apk"), &pairs);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_version_of_the_real_indexes_sorted() {
    let Some(shared) = shared() else { return };
    let mut versions = BTreeSet::new();
    for part in ["main", "community"] {
        let path = shared.join(format!("alpine/v3.19/{part}/x86_64/APKINDEX.tar.gz"));
        let index = Index::parse(index_text(&path)).expect("a real index");
        for package in index.iter() {
            versions.insert(package.version().to_owned());
        }
    }
    let mut versions: Vec<_> = versions.into_iter().collect();
    assert!(versions.len() > 4_000, "{}", versions.len());
    assert!(
        versions
            .iter()
            .all(|version| is_valid(version, Dialect::V2))
    );
    versions.sort_by(|left, right| compare(left, right, Dialect::V2));
    // All adjacent pairs take half a minute; by default every n-th is looked at.
    let step = (versions.len() / pairs_wanted()).max(1);
    let pairs: Vec<_> = versions
        .windows(2)
        .step_by(step)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    let found = differences(&shared.join("oracle/apk"), &pairs);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Takes the `APKINDEX` out of its archive: the last member of it is always the text.
fn index_text(path: &Path) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(fs_err::File::open(path).expect("the index is there"))
        .read_to_end(&mut tar)
        .expect("the index inflates");
    let mut rest = &tar[..];
    while let Some((header, after)) = rest.split_at_checked(512) {
        let size = std::str::from_utf8(&header[124..136]).expect("octal digits");
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        if header.starts_with(b"APKINDEX\0") {
            return after[..size].to_vec();
        }
        rest = &after[size.next_multiple_of(512)..];
    }
    panic!("{} holds no APKINDEX", path.display());
}
