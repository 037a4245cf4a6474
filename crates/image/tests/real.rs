//! Writes Alpine's own bases, and the recipe that the size goal is set for.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::entry::EntryKind;
use prebake_apk::package::Package;
use prebake_apk::{gzip, tar};
use prebake_image::archive::write;
use prebake_image::encoding::{Encoding, Format, Level};
use prebake_image::{Compressed, Sources, tar as tar_image};
use prebake_rootfs::merge::Merge;
use prebake_rootfs::tree::{Content, FileContent, SourceId, Tree};
use prebake_testkit::shared::real_mirror;

/// Files that are a base, or packages, by their source's number.
struct Files {
    paths: Vec<PathBuf>,
    opened: Vec<SourceId>,
}

impl Sources for Files {
    fn open(&mut self, source: SourceId) -> io::Result<Box<dyn Read>> {
        self.opened.push(source);
        Ok(archive(&self.paths[source.0 as usize]))
    }

    fn compressed(&mut self, source: SourceId) -> io::Result<Option<Compressed>> {
        let path = &self.paths[source.0 as usize];
        let file = fs_err::read(path)?;
        let mut rest = file.as_slice();
        if path.extension().unwrap() == "apk" {
            Package::open(&mut rest).unwrap();
        }
        let start = file.len() - rest.len();
        let file = Arc::new(file);
        Ok(Some(Compressed::new(file, start)))
    }
}

fn open(path: &Path) -> BufReader<fs_err::File> {
    BufReader::with_capacity(128 << 10, fs_err::File::open(path).unwrap())
}

fn archive(path: &Path) -> Box<dyn Read> {
    if path.extension().unwrap() == "apk" {
        Box::new(Package::open(open(path)).unwrap().into_data_archive())
    } else {
        Box::new(gzip::Reader::new(open(path)))
    }
}

/// Lays the archives over each other.
fn tree(paths: &[PathBuf]) -> Tree {
    let mut merge = Merge::new(0);
    for (number, path) in paths.iter().enumerate() {
        let mut archive = tar::Reader::new(BufReader::with_capacity(128 << 10, archive(path)));
        while let Some(entry) = archive.next().unwrap() {
            if archive.raw_name().starts_with(b".") && !archive.raw_name().starts_with(b"./") {
                continue;
            }
            let file = (entry.kind == EntryKind::File).then(|| {
                let mut bytes = Vec::new();
                archive.read_to_end(&mut bytes).unwrap();
                FileContent {
                    content: Content::Source {
                        source: SourceId(number as u32),
                        offset: entry.offset,
                    },
                    size: entry.size,
                    sha1: Sha1::of(&bytes),
                }
            });
            merge.base_entry(entry, file).unwrap();
        }
    }
    merge.tree().clone()
}

fn files(paths: &[PathBuf]) -> Files {
    Files {
        paths: paths.to_vec(),
        opened: Vec::new(),
    }
}

/// A base that goes through the tree comes out as GNU tar sees it in the official tarball.
#[test]
fn a_base_comes_out_as_it_went_in() {
    let Some(alpine) = real_mirror("a_base_comes_out_as_it_went_in") else {
        return;
    };
    for base in [
        "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz",
        "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz",
    ] {
        let base = alpine.join(base);
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("ours.tar.gz");
        let paths = [base.clone()];
        let tree = tree(&paths);
        let mut sources = files(&paths);
        let mut out = fs_err::File::create(&ours).unwrap();
        let written = write(&tree, &mut sources, &mut out, Encoding::DEFAULT, 1).unwrap();
        assert_eq!(sources.opened, [SourceId::BASE]);

        let list = |path: &Path| {
            let output = Command::new("tar")
                .args(["--numeric-owner", "--full-time", "-tvzf"])
                .arg(path)
                .env("TZ", "UTC")
                .output()
                .unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(list(&ours), list(&base));

        let bytes = fs_err::read(&ours).unwrap();
        assert_eq!(written.compressed, Sha256::of(&bytes));
        assert_eq!(written.compressed_length, bytes.len() as u64);
        let mut content = Vec::new();
        gzip::Reader::new(&bytes[..])
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(written.identity, Sha256::of(&content));
        assert_eq!(written.uncompressed_length, content.len() as u64);
        let alone = tar_image::identity(&tree, &mut files(&paths)).unwrap();
        assert_eq!(
            (alone.identity, alone.length),
            (written.identity, written.uncompressed_length)
        );
    }
}

/// The goal: the plain tarball of the recipe by Go's compressor at its default level.
#[test]
fn the_recipe_is_as_small_as_it_was_by_hand() {
    const GOAL: u64 = 4_144_579;
    let Some(alpine) = real_mirror("the_recipe_is_as_small_as_it_was_by_hand") else {
        return;
    };
    let mut paths =
        vec![alpine.join("v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz")];
    for package in [
        "musl-obstack-1.2.3-r2",
        "libucontext-1.2-r3",
        "gcompat-1.1.0-r4",
        "libmnl-1.0.5-r2",
        "libnftnl-libs-1.1.7-r0",
        "iptables-1.8.5-r2",
    ] {
        paths.push(alpine.join(format!("v3.20/main/x86_64/{package}.apk")));
    }
    let tree = tree(&paths);
    let mut first = None;
    for threads in [1, 2, 3, 16] {
        let mut sources = files(&paths);
        let mut out = Vec::new();
        let encoding = Encoding::DEFAULT;
        let written = write(&tree, &mut sources, &mut out, encoding, threads).unwrap();
        assert!(written.compressed_length <= GOAL, "{written:?}");
        let compressed = written.compressed;
        assert!(*first.get_or_insert(compressed) == compressed);
        // Every source is read once and forwards.
        let all: Vec<_> = (0..7).map(SourceId).collect();
        assert_eq!(sources.opened, all);
    }
    for (format, level, goal) in [
        // As small as Go's.
        (Format::TarGz, Level::Fast, GOAL),
        // 7 % less.
        (Format::TarGz, Level::Smallest, GOAL / 100 * 93),
        // 19 % less.
        (Format::TarZst, Level::Smallest, GOAL / 100 * 81),
    ] {
        let encoding = Encoding { format, level };
        let out = &mut Vec::new();
        let written = write(&tree, &mut files(&paths), out, encoding, 2).unwrap();
        assert!(
            written.compressed_length <= goal,
            "{encoding:?} {written:?}"
        );
    }
}
