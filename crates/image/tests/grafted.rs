//! Writes trees whose contents come out of gzip files, and lets others undo it.
#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write as _};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::gzip;
use prebake_apk::path::GuestPath;
use prebake_image::archive::{Options, write_plan};
use prebake_image::encoding::{Encoding, Format, Level};
use prebake_image::plan::Plan;
use prebake_image::{Compressed, MAX_COMPRESSED, NoStore, Sources, Store, tar};
use prebake_rootfs::Merge;
use prebake_rootfs::tree::{Content, FileContent, SourceId, Tree};
use prebake_testkit::judge;
use proptest::prelude::*;

/// What a bake has of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// The files, to be inflated.
    Files,
    /// The files, with their blocks found before, and every content in memory.
    FilesAndContents,
    /// Archives that nobody compressed.
    Archives,
}

/// Archives in gzip files.
struct Inputs {
    files: Vec<Arc<Vec<u8>>>,
    contents: BTreeMap<(SourceId, u64), Vec<u8>>,
    tree: Tree,
}

struct Opened<'i>(&'i Inputs, Given);

impl Sources for Opened<'_> {
    fn open(&mut self, source: SourceId) -> io::Result<Box<dyn Read>> {
        let file = self.0.files[source.0 as usize].to_vec();
        Ok(Box::new(gzip::Reader::new(Cursor::new(file))))
    }

    fn held(&self, source: SourceId, offset: u64) -> Option<&[u8]> {
        let held = self.0.contents.get(&(source, offset));
        held.map(Vec::as_slice)
            .filter(|_| self.1 == Given::FilesAndContents)
    }

    fn compressed(&mut self, source: SourceId) -> io::Result<Option<Compressed>> {
        let file = Arc::clone(&self.0.files[source.0 as usize]);
        let compressed = Compressed::new(file, 0);
        if self.1 == Given::FilesAndContents {
            compressed.find_blocks(|| true);
        }
        Ok((self.1 != Given::Archives).then_some(compressed))
    }
}

/// How an archive is compressed.
#[derive(Clone, Debug)]
struct Gzip {
    level: u32,
    /// After how many bytes another member begins, and after how many there is a flush.
    member: usize,
    flush: usize,
}

impl Gzip {
    fn file(&self, archive: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        for member in archive.chunks(self.member) {
            let mut gzip = GzEncoder::new(file, Compression::new(self.level));
            for part in member.chunks(self.flush) {
                gzip.write_all(part).unwrap();
                gzip.flush().unwrap();
            }
            file = gzip.finish().unwrap();
        }
        file
    }
}

impl Inputs {
    /// Lays archives over each other, each of which has files with those contents.
    fn new(archives: &[(Gzip, Vec<Vec<u8>>)]) -> Self {
        let (mut files, mut contents) = (Vec::new(), BTreeMap::new());
        let mut merge = Merge::new(0);
        for (number, (gzip, all)) in archives.iter().enumerate() {
            let source = SourceId(number as u32);
            let mut archive = Vec::new();
            for (index, content) in all.iter().enumerate() {
                archive.extend_from_slice(&[7; 512]);
                let offset = archive.len() as u64;
                let file = FileContent {
                    content: Content::Source { source, offset },
                    size: content.len() as u64,
                    sha1: Sha1::of(content),
                };
                merge
                    .base_entry(entry(&format!("{number}-{index}"), file.size), Some(file))
                    .unwrap();
                archive.extend_from_slice(content);
                contents.insert((source, offset), content.clone());
            }
            archive.push(0);
            files.push(Arc::new(gzip.file(&archive)));
        }
        Self {
            files,
            contents,
            tree: merge.tree().clone(),
        }
    }

    fn write(&self, given: Given, store: &dyn Store, options: &Options) -> Vec<u8> {
        let digest = |source: SourceId| Some(Sha256::of(&self.files[source.0 as usize]));
        let plan = Plan::new(&self.tree, options.encoding.borders(), &digest).unwrap();
        let mut out = Vec::new();
        let mut opened = Opened(self, given);
        write_plan(&plan, &mut opened, store, &mut out, options).unwrap();
        out
    }
}

fn entry(name: &str, size: u64) -> Entry {
    Entry {
        path: GuestPath::from_archive(name.as_bytes()).unwrap(),
        kind: EntryKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        user: Vec::new(),
        group: Vec::new(),
        mtime: 1_700_000_000,
        xattrs: BTreeMap::new(),
        checksum: None,
        size,
        offset: 0,
    }
}

/// Keeps segments in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Store for Memory {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.0
            .lock()
            .unwrap()
            .insert(name.to_owned(), bytes.to_vec());
    }
}

fn undone(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut reader = flate2::bufread::GzDecoder::new(bytes);
    reader.read_to_end(&mut stream).unwrap();
    assert!(reader.into_inner().is_empty());
    stream
}

/// Words that come again, as a program or a text has them.
fn words(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut words = Vec::new();
    while words.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        words.extend_from_slice(&((state >> 50).pow(2) as u32).to_le_bytes());
    }
    words.truncate(length);
    words
}

const LEVELS: [Level; 2] = [Level::Fast, Level::Default];

fn options(level: Level, threads: usize) -> Options {
    Options {
        threads,
        encoding: Encoding {
            format: Format::TarGz,
            level,
        },
        identity: None,
    }
}

/// What gzip's own blocks are in is read back by other people's programs, and the blocks are there.
#[test]
fn others_read_back_what_was_grafted() {
    let test = "others_read_back_what_was_grafted";
    let (Some(gzip), Some(python)) = (judge::gzip(test), judge::python(test)) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let archives: Vec<_> = (1..=9)
        .map(|level| {
            let gzip = Gzip {
                level,
                member: if level == 3 { 400_000 } else { usize::MAX },
                flush: if level == 4 { 60_000 } else { usize::MAX },
            };
            let level = u64::from(level);
            let sizes = [100, 300_000, 10_000, 40_000 * level as usize, 1_500_000];
            let contents = sizes.map(|size| words(level, size));
            (gzip, contents.to_vec())
        })
        .collect();
    let inputs = Inputs::new(&archives);
    let sources = &mut Opened(&inputs, Given::Files);
    let identity = tar::identity(&inputs.tree, sources).unwrap().identity;
    for level in LEVELS {
        let grafted = inputs.write(Given::Files, &NoStore, &options(level, 2));
        let alone = inputs.write(Given::Archives, &NoStore, &options(level, 2));
        assert_ne!(grafted, alone);
        assert_eq!(Sha256::of(&undone(&alone)), identity);
        assert_eq!(Sha256::of(&undone(&grafted)), identity);
        let path = folder.path().join("grafted.tar.gz");
        fs_err::write(&path, &grafted).unwrap();
        let path = path.to_str().unwrap();
        let read = gzip.command().args(["-d", "-c", path]).output().unwrap();
        assert!(read.status.success());
        assert_eq!(Sha256::of(&read.stdout), identity);
        let program = "import gzip,hashlib,sys; \
            print(hashlib.sha256(gzip.open(sys.argv[1]).read()).hexdigest())";
        let read = python.run(["-c", program, path]);
        assert!(read.success, "{}", read.stderr);
        assert_eq!(read.stdout.trim(), identity.to_string());
    }
}

/// At levels that are smaller than gzip's best, and where nothing is compressed, nothing is taken.
#[test]
fn other_levels_take_nothing() {
    let gzip = Gzip {
        level: 9,
        member: usize::MAX,
        flush: usize::MAX,
    };
    let inputs = Inputs::new(&[(gzip, vec![words(1, 300_000)])]);
    for level in Level::ALL {
        for format in [Format::TarGz, Format::TarZst] {
            let encoding = Encoding { format, level };
            let options = Options {
                encoding,
                ..options(level, 1)
            };
            let write = |given| inputs.write(given, &NoStore, &options);
            let is_taken = format == Format::TarGz && LEVELS.contains(&level);
            let differs = write(Given::Files) != write(Given::Archives);
            assert_eq!(differs, is_taken, "{encoding:?}");
        }
    }
}

/// Blocks are taken of files up to the bound, and of none beyond it.
#[test]
fn a_file_is_so_large_that_blocks_are_taken_of() {
    let gzip = Gzip {
        level: 9,
        member: usize::MAX,
        flush: usize::MAX,
    };
    let stored = Gzip {
        level: 0,
        ..gzip.clone()
    };
    let inputs = |length: usize| {
        let mut inputs = Inputs::new(&[(gzip.clone(), vec![words(1, 300_000)])]);
        let more = stored.file(&vec![0; length]);
        let file = [&inputs.files[0][..], &more].concat();
        inputs.files = vec![Arc::new(file)];
        inputs
    };
    let overhead = inputs(15 << 20).files[0].len() - (15 << 20);
    for (length, is_taken) in [
        (15 << 20, true),
        ((16 << 20) - 1000 - overhead, true),
        (16 << 20, false),
    ] {
        let inputs = inputs(length);
        let length = inputs.files[0].len() as u64;
        assert_eq!(length <= MAX_COMPRESSED, is_taken, "{length}");
        let write = |given| inputs.write(given, &NoStore, &options(Level::Default, 1));
        assert_eq!(write(Given::Files) != write(Given::Archives), is_taken);
    }
}

/// Contents of some sorts: nothing, a little, words, what does not compress, zeros.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![1 => 0_usize..2000, 4 => 30_000_usize..300_000];
    (any::<u64>(), 0..4_u8, length).prop_map(|(seed, sort, length)| match sort {
        0 => vec![seed as u8; length],
        1 => {
            let noise = words(seed, length * 3);
            noise.into_iter().step_by(3).collect()
        }
        _ => words(seed, length),
    })
}

fn archive() -> impl Strategy<Value = (Gzip, Vec<Vec<u8>>)> {
    let often = || prop_oneof![2 => Just(usize::MAX), 1 => 20_000_usize..400_000];
    let gzip = (1..=9_u32, often(), often());
    let gzip = gzip.prop_map(|(level, member, flush)| Gzip {
        level,
        member,
        flush,
    });
    (gzip, proptest::collection::vec(content(), 1..5))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 8,
        ..ProptestConfig::default()
    })]

    /// Whether contents are in memory or not, whatever was kept, by however many threads: the same
    /// bytes, which are the tree's.
    #[test]
    fn the_files_alone_decide(
        archives in proptest::collection::vec(archive(), 1..5),
        threads in 2_usize..=16,
        level in proptest::sample::select(&LEVELS),
        lost in any::<u64>(),
    ) {
        let inputs = Inputs::new(&archives);
        let sources = &mut Opened(&inputs, Given::Files);
        let identity = tar::identity(&inputs.tree, sources).unwrap().identity;
        let alone = inputs.write(Given::Files, &NoStore, &options(level, 1));
        prop_assert_eq!(Sha256::of(&undone(&alone)), identity);
        for given in [Given::Files, Given::FilesAndContents] {
            let store = Memory::default();
            for identity in [None, Some(identity), None] {
                let options = Options { identity, ..options(level, threads) };
                let bytes = inputs.write(given, &store, &options);
                prop_assert!(bytes == alone, "{given:?}, {identity:?}");
                let mut place = 0;
                store.0.lock().unwrap().retain(|_, _| {
                    place += 1;
                    lost >> (place % 64) & 1 == 0
                });
            }
        }
    }
}
