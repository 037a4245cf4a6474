//! Compresses at every border and lets `gzip` and our own reader undo it.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

#[path = "described/tree.rs"]
mod tree;

use std::io::{self, Read, Write as _};
use std::process::Command;

use prebake_apk::path::GuestPath;
use prebake_image::gzip::{BLOCK, Encoder};
use prebake_image::{ImageError, tar_gz};
use prebake_rootfs::merge::Owner;
use prebake_testkit::judge;
use proptest::prelude::*;
use tree::{Description, NoSources};

fn gzip(content: &[u8], level: u32, threads: usize, piece: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), level, threads).unwrap();
    for piece in content.chunks(piece) {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// Bytes that do not compress, the same ones every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

/// At every border between blocks, whatever the content: gzip and our own reader get back what
/// was put in, and neither threads nor the pieces of writing change a byte.
#[test]
fn gzip_reads_back_what_was_compressed() {
    if judge::program("gzip_reads_back_what_was_compressed", "gzip").is_none() {
        return;
    }
    let mut contents: Vec<Vec<u8>> = vec![vec![b'a'; 3 * BLOCK], noise(2 * BLOCK + 77)];
    for length in [0, 1, 32767, 32768, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK] {
        let text = noise(1 + length / 7).repeat(7);
        contents.push(text[..length].to_vec());
    }
    for content in contents {
        for level in [0, 1, 6, 9] {
            let bytes = gzip(&content, level, 1, usize::MAX);
            let mut back = Vec::new();
            prebake_apk::gzip::Reader::new(&bytes[..])
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == content, "{} bytes at {level}", content.len());
            if level == 9 {
                for threads in [0, 2, 3, 16] {
                    let piece = 1 + 10_007 * threads;
                    assert!(bytes == gzip(&content, level, threads, piece));
                }
                let folder = tempfile::tempdir().unwrap();
                let run = |option: &str| {
                    let status = Command::new("gzip")
                        .args([option, "tar.gz"])
                        .current_dir(&folder)
                        .status();
                    assert!(status.unwrap().success(), "gzip {option}");
                };
                fs_err::write(folder.path().join("tar.gz"), &bytes).unwrap();
                run("-t");
                // One member, whose trailer holds the length of all.
                run("-d");
                let back = fs_err::read(folder.path().join("tar")).unwrap();
                assert!(back == content);
                let length = u32::from_le_bytes(*bytes.last_chunk().unwrap());
                assert_eq!(length as usize, content.len());
            }
        }
    }
}

/// What a thread deflated before leaves no trace in what it deflates next. zlib-rs 0.6.8 looks
/// some bytes behind its input, where a state that is used again has old ones.
#[test]
fn threads_change_nothing_at_any_level() {
    let noise = noise(60_000);
    for number in 0..100 {
        let seed = &noise[600 * number..][..101 + 5 * number];
        let content = seed.repeat(4 * BLOCK / seed.len());
        for level in 1..=9 {
            let alone = gzip(&content, level, 1, usize::MAX);
            for threads in [2, 5] {
                assert!(
                    alone == gzip(&content, level, threads, usize::MAX),
                    "level {level}, {threads} threads"
                );
            }
        }
    }
}

/// An output that fails ends the writing with its error, whoever is compressing meanwhile.
#[test]
fn a_full_disk_is_an_error() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut tree = Description::new();
    for number in 0..8 {
        tree.0
            .add_file(
                &GuestPath::from_archive(format!("file{number}").as_bytes()).unwrap(),
                noise(2 * BLOCK),
                0o644,
                &Owner::Id(0),
                &Owner::Id(0),
            )
            .unwrap();
    }
    for threads in [1, 4] {
        for room in [0, 9, 10, 3 * BLOCK, 15 * BLOCK] {
            let options = tar_gz::Options {
                threads,
                ..tar_gz::Options::default()
            };
            let error =
                tar_gz::write(&tree.tree(), &mut NoSources, &mut Full(room), &options).unwrap_err();
            let ImageError::Output(error) = error else {
                panic!("{error:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is compressed in whatever pieces comes back.
    #[test]
    fn any_content_comes_back(
        seed in proptest::collection::vec(any::<u8>(), 0..600),
        times in 0_usize..2000,
        piece in 1_usize..100_000,
        level in 0_u32..=9,
    ) {
        let content = seed.repeat(times);
        let bytes = gzip(&content, level, 2, piece);
        let mut back = Vec::new();
        prebake_apk::gzip::Reader::new(&bytes[..]).read_to_end(&mut back).unwrap();
        prop_assert!(back == content);
        prop_assert!(bytes == gzip(&content, level, 1, usize::MAX));
    }
}
