//! A server, a cache and a fetcher.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prebake_apk::digest::Sha256;
use prebake_fetch::{
    Cache, Cancel, FetchError, Fetched, Fetcher, Network, Options, Origin, Progress, Proxies,
    Silent, Wanted,
};
use prebake_testkit::http::Server;
use tempfile::TempDir;

/// A server with one file, and an empty cache.
pub(crate) struct Setup {
    pub(crate) server: Server,
    pub(crate) content: Vec<u8>,
    folder: TempDir,
}

/// The path of the one file.
pub(crate) const FILE: &str = "/v3.20/main/x86_64/file.apk";

/// How large it is: a few chunks, and not a whole number of them.
pub(crate) const SIZE: usize = 300_007;

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with_server(Server::start())
    }

    pub(crate) fn with_server(server: Server) -> Self {
        let content = bytes(SIZE);
        server.put(FILE, &content);
        Self {
            server,
            content,
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::open(self.root())
    }

    pub(crate) fn fetcher(&self) -> Fetcher {
        self.fetcher_with(options())
    }

    pub(crate) fn fetcher_with(&self, options: Options) -> Fetcher {
        fetcher(
            self.cache(),
            options,
            &Proxies::default(),
            Cancel::default(),
        )
    }

    pub(crate) fn sha256(&self) -> Sha256 {
        Sha256::of(&self.content)
    }

    /// The file, pinned as a lock does.
    pub(crate) fn pinned(&self) -> Wanted {
        Wanted {
            size: Some(self.content.len() as u64),
            sha256: Some(self.sha256()),
            ..self.current()
        }
    }

    /// Whatever is at the file's URL.
    pub(crate) fn current(&self) -> Wanted {
        Wanted {
            limit: 1_000_000,
            ..Wanted::new("file.apk", self.server.url(FILE))
        }
    }

    pub(crate) fn fetch(&self, wanted: &Wanted) -> Result<Fetched, FetchError> {
        self.fetcher().fetch_one(wanted, &Silent)
    }

    /// The names of all files in the cache but its tag.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if entry.file_name() != "CACHEDIR.TAG" {
                    let path = entry.path();
                    let name = path.strip_prefix(self.root()).unwrap();
                    // As every host shows it.
                    names.push(name.to_str().unwrap().replace('\\', "/"));
                }
            }
        }
        names.sort();
        names
    }

    /// Asserts that the cache holds the one file, right, and nothing else.
    #[track_caller]
    pub(crate) fn assert_only_the_file(&self) {
        let name = self.sha256().to_string();
        let path = format!("v1/sha256/{}/{name}", &name[..2]);
        assert_eq!(self.files(), [path]);
        let blob = self.cache().get(&self.sha256()).unwrap().unwrap();
        assert_eq!(blob.read_verified(u64::MAX).unwrap(), self.content);
    }

    /// Asserts that nothing at all is left in the cache.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.files(), [""; 0]);
    }
}

/// Options with which a fault takes milliseconds.
pub(crate) fn options() -> Options {
    Options {
        backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(4),
        ..Options::default()
    }
}

pub(crate) fn fetcher(
    cache: Cache,
    options: Options,
    proxies: &Proxies,
    cancel: Cancel,
) -> Fetcher {
    let network = Network::new(&options, proxies).unwrap();
    Fetcher::new(cache, Arc::new(network), options, cancel)
}

/// Bytes with no pattern that a shifted or repeated part could hide in.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(count)
    .collect()
}

/// Writes down what it hears.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Progress for Heard {
    fn begin(&self, items: usize, bytes: Option<u64>) {
        self.note(format!("begin {items} {bytes:?}"));
    }

    fn start(&self, item: usize, label: &str, size: Option<u64>) {
        self.note(format!("start {item} {label} {size:?}"));
    }

    fn position(&self, item: usize, bytes: u64, size: Option<u64>) {
        if size == Some(bytes) || bytes == 0 {
            self.note(format!("position {item} {bytes} {size:?}"));
        }
    }

    fn retry(&self, item: usize, url: &str, problem: &str, _: Duration) {
        let path = url.rsplit('/').next().unwrap_or_default();
        self.note(format!("retry {item} {path} {problem}"));
    }

    fn finish(&self, item: usize, origin: Origin) {
        self.note(format!("finish {item} {origin:?}"));
    }
}
