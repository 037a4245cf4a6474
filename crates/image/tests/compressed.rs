//! Compresses trees at every level, from caches in every state, and lets others undo it.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

#[path = "described/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::process::Command;
use std::sync::Mutex;

use prebake_apk::digest::Sha256;
use prebake_apk::entry::EntryKind;
use prebake_apk::path::GuestPath;
use prebake_image::archive::{Assembly, Options, Written, assemble, write, write_plan};
use prebake_image::encoding::{Encoding, Format, Level};
use prebake_image::plan::{Borders, Plan};
use prebake_image::{ImageError, NoStore, Store, tar};
use prebake_rootfs::Merge;
use prebake_rootfs::merge::Owner;
use prebake_rootfs::tree::{FileContent, Tree};
use prebake_testkit::judge;
use proptest::prelude::*;
use tree::{Description, NoSources};

const FORMATS: [Format; 2] = [Format::TarGz, Format::TarZst];

fn encodings() -> impl Iterator<Item = Encoding> {
    let both = |level| FORMATS.map(|format| Encoding { format, level });
    Level::ALL.into_iter().flat_map(both)
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

/// A tree of files with those contents.
fn files(contents: &[Vec<u8>]) -> Tree {
    let mut tree = Description::new();
    for (number, content) in contents.iter().enumerate() {
        tree.0
            .add_file(
                &GuestPath::from_archive(format!("file{number}").as_bytes()).unwrap(),
                content.clone(),
                0o644,
                &Owner::Id(0),
                &Owner::Id(0),
            )
            .unwrap();
    }
    tree.tree()
}

/// Keeps segments in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Store for Memory {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap();
        assert!(kept.insert(name.to_owned(), bytes.to_vec()).is_none());
    }
}

fn archive(tree: &Tree, store: &dyn Store, options: &Options) -> (Vec<u8>, Written) {
    let plan = Plan::new(tree, options.encoding.borders(), &|_| None).unwrap();
    let mut out = Vec::new();
    let written = write_plan(&plan, &mut NoSources, store, &mut out, options).unwrap();
    assert_eq!(written.compressed, Sha256::of(&out));
    assert_eq!(written.compressed_length, out.len() as u64);
    (out, written)
}

fn undone(bytes: &[u8], format: Format) -> Vec<u8> {
    let mut stream = Vec::new();
    match format {
        // One member: what comes after it would not be read.
        Format::TarGz => {
            let mut reader = flate2::bufread::GzDecoder::new(bytes);
            reader.read_to_end(&mut stream).unwrap();
            assert!(reader.into_inner().is_empty());
        }
        Format::TarZst => {
            let mut reader = zstd::stream::read::Decoder::new(bytes).unwrap();
            reader.read_to_end(&mut stream).unwrap();
        }
    }
    stream
}

fn read_back(stream: &[u8]) -> Tree {
    let mut archive = prebake_apk::tar::Reader::new(stream);
    let mut merge = Merge::new(0);
    while let Some(entry) = archive.next().unwrap() {
        let file = (entry.kind == EntryKind::File).then(|| {
            let mut bytes = Vec::new();
            archive.read_to_end(&mut bytes).unwrap();
            FileContent::inline(bytes)
        });
        merge.base_entry(entry, file).unwrap();
    }
    merge.tree().clone()
}

/// At every border between segments, whatever the content: `gzip`, `zstd` and our own readers get
/// back what was put in, and threads do not change a byte.
#[test]
fn others_read_back_what_was_compressed() {
    let test = "others_read_back_what_was_compressed";
    if judge::program(test, "gzip").is_none() || judge::program(test, "zstd").is_none() {
        return;
    }
    let most = 1 << 20;
    let mut trees = vec![files(&[]), files(&[vec![b'a'; 3 * most], noise(2 * most)])];
    for length in [0, 1, 511, most - 3 * 512, most - 3 * 512 + 1, most] {
        let text = noise(1 + length / 7).repeat(7);
        trees.push(files(&[text[..length].to_vec(), b"after".to_vec()]));
    }
    let folder = tempfile::tempdir().unwrap();
    for tree in &trees {
        let identity = tar::identity(tree, &mut NoSources).unwrap();
        for encoding in encodings() {
            let mut bytes = Vec::new();
            let written = write(tree, &mut NoSources, &mut bytes, encoding, 1).unwrap();
            assert_eq!(written.identity, identity.identity, "{encoding:?}");
            assert_eq!(written.uncompressed_length, identity.length);
            let stream = undone(&bytes, encoding.format);
            assert_eq!(Sha256::of(&stream), identity.identity, "{encoding:?}");
            let (program, name) = match encoding.format {
                Format::TarGz => ("gzip", "tar.gz"),
                Format::TarZst => ("zstd", "tar.zst"),
            };
            fs_err::write(folder.path().join(name), &bytes).unwrap();
            let mut command = Command::new(program);
            let judged = command.args(["-d", "-c", name]).current_dir(&folder);
            let judged = judged.output().unwrap();
            assert!(judged.status.success(), "{program} at {encoding:?}");
            assert!(judged.stdout == stream, "{program} at {encoding:?}");
        }
    }
}

/// A segment that is kept is copied, and nothing of the stream that only it has is asked for.
#[test]
fn what_is_kept_is_not_encoded_again() {
    let encoding = Encoding::DEFAULT;
    let large = |seed: u8| [&[seed][..], &noise(1 << 20)].concat();
    let before = files(&[large(1), large(2), large(3), large(4)]);
    let after = files(&[large(1), large(2), large(9), large(4)]);
    let store = Memory::default();
    let options = Options {
        threads: 2,
        encoding,
        identity: None,
    };
    let (_, cold) = archive(&before, &store, &options);
    assert_eq!(cold.segments, (6, 0));
    let (changed, half) = archive(&after, &store, &options);
    // The change is in one of the two segments that the file lies in.
    assert_eq!(half.segments, (6, 5));
    let (anew, _) = archive(&after, &NoStore, &options);
    assert!(changed == anew);
    let plan = Plan::new(&after, encoding.borders(), &|_| None).unwrap();
    let assembly = Assembly::of(&plan, encoding).unwrap();
    let mut assembled = Vec::new();
    assert!(assemble(&assembly, &store, &mut assembled, 2).unwrap());
    assert!(assembled == anew);
    // One that is lost is noticed, whichever it is; the seventh is the old file's.
    let kept = store.0.lock().unwrap().clone();
    let lost = kept.iter().filter(|(name, _)| {
        let bytes = store.0.lock().unwrap().remove(*name).unwrap();
        let whole = assemble(&assembly, &store, &mut io::sink(), 2).unwrap();
        store.put(name, &bytes);
        !whole
    });
    assert_eq!((lost.count(), kept.len()), (6, 7));
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
    let tree = files(&vec![noise(1 << 19); 8]);
    for threads in [1, 4] {
        for room in [0, 9, 10, 3 << 18, 15 << 18] {
            let mut full = Full(room);
            let encoding = Encoding::DEFAULT;
            let error = write(&tree, &mut NoSources, &mut full, encoding, threads).unwrap_err();
            let ImageError::Output(error) = error else {
                panic!("{error:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}

/// Contents of any sort, some of them larger than a segment.
fn content() -> impl Strategy<Value = Vec<u8>> {
    (
        proptest::collection::vec(any::<u8>(), 0..600),
        prop_oneof![4 => 0_usize..100, 1 => 1000_usize..4000],
    )
        .prop_map(|(seed, times)| seed.repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 24,
        ..ProptestConfig::default()
    })]

    /// From a cold, a warm and a half-warm cache, by any number of threads and at every level: what
    /// is unpacked is the tree, and the same level gives the same bytes.
    #[test]
    fn caches_and_threads_change_nothing(
        contents in proptest::collection::vec(content(), 0..8),
        threads in 2_usize..=16,
        lost in any::<u64>(),
    ) {
        let tree = files(&contents);
        let identity = tar::identity(&tree, &mut NoSources).unwrap().identity;
        for encoding in encodings() {
            let options = |threads, identity| Options { threads, encoding, identity };
            let (alone, written) = archive(&tree, &NoStore, &options(1, None));
            prop_assert_eq!(written.identity, identity);
            let stream = undone(&alone, encoding.format);
            prop_assert_eq!(read_back(&stream).digest(), tree.digest());
            let store = Memory::default();
            let (cold, _) = archive(&tree, &store, &options(threads, None));
            prop_assert!(cold == alone, "cold, {encoding:?}");
            let (warm, written) = archive(&tree, &store, &options(threads, Some(identity)));
            prop_assert!(warm == alone, "warm, {encoding:?}");
            prop_assert_eq!(written.segments.0, written.segments.1);
            for known in [None, Some(identity)] {
                let mut place = 0;
                store.0.lock().unwrap().retain(|_, _| {
                    place += 1;
                    lost >> (place % 64) & 1 == 0
                });
                let (half, _) = archive(&tree, &store, &options(threads, known));
                prop_assert!(half == alone, "half-warm, {encoding:?}");
            }
        }
    }

    /// Where a stream is cut changes neither what is in it nor the keys of what is not near.
    #[test]
    fn borders_are_where_they_are_said_to_be(
        contents in proptest::collection::vec(content(), 0..8),
        most in 600_u64..100_000,
    ) {
        let tree = files(&contents);
        let borders = Borders { least: most / 8, most };
        let plan = Plan::new(&tree, borders, &|_| None).unwrap();
        let mut at = 0;
        for segment in plan.segments() {
            prop_assert_eq!(segment.start, at);
            prop_assert!(segment.end > at && segment.end - at <= most);
            at = segment.end;
        }
        let stream = tar::identity(&tree, &mut NoSources).unwrap();
        prop_assert_eq!((plan.length(), at), (stream.length, stream.length));
        let again = Plan::new(&tree, borders, &|_| None).unwrap();
        prop_assert_eq!(plan.key().unwrap(), again.key().unwrap());
        let longer = files(&[contents, vec![b"one more".to_vec()]].concat());
        let longer = Plan::new(&longer, borders, &|_| None).unwrap();
        prop_assert_ne!(plan.key(), longer.key());
    }
}
