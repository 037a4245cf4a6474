//! The content-addressed cache, safe between processes.
//!
//! ```text
//! <root>/CACHEDIR.TAG            so that backups leave it out
//! <root>/v1/sha256/ab/abcd…      a file named by the SHA-256 of its content
//! <root>/v1/url/<sha256 of URL>  what a URL last held, and its validators
//! <root>/v1/derived/<sha256>     what was made of other files, and can be made again
//! <root>/v1/kept/a/abcd…         the same, large, while there is room
//! <root>/v1/tmp/<key>.….part     a file being written by the holder of the key's lock
//! <root>/v1/lock/<key>           held while the key's file is fetched
//! ```
//!
//! The number is the layout's version: it changes when an older prebake could misread what a
//! newer one wrote, and both then live side by side. The temporary files have a folder of their
//! own, on the same file system, so that finding left-overs does not mean listing every blob.

mod blob;
mod derived;
mod error;
mod kept;
mod lock;
mod part;
mod record;

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use prebake_apk::digest::Sha256;

use crate::{Cancel, Options};

pub use blob::{Blob, VerifiedBlob};
pub use error::CacheError;
pub(crate) use lock::Lock;
pub(crate) use part::Part;
pub(crate) use record::Record;

/// The environment variable that names the cache's folder.
pub const CACHE_VARIABLE: &str = "PREBAKE_CACHE";

/// What marks a folder as a cache for backup programs (bford.info/cachedir).
const CACHEDIR_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a cache of prebake. It may be removed at any time.\n";

/// A cache in a folder of the host. Any number of processes and threads may use one folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    layout: PathBuf,
}

/// What a look into the cache finds.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file with the right content.
    Good(Blob),
    /// A file whose content is not what its name says.
    Damaged,
    /// Nothing.
    Missing,
}

/// What a lock and a temporary file are named by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key of a file whose content is known.
    pub(crate) fn of_blob(sha256: &Sha256) -> Self {
        Self(sha256.to_string())
    }

    /// The key of whatever a URL holds.
    pub(crate) fn of_url(url: &str) -> Self {
        Self(format!("url-{}", Sha256::of(url.as_bytes())))
    }

    fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether a name could be that of a key.
    fn is_one(name: &str) -> bool {
        let hash = name.strip_prefix("url-");
        let hash = hash.or_else(|| name.strip_prefix("derived-"));
        is_hash(hash.unwrap_or(name))
    }
}

/// Says whether a name is a SHA-256.
fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.parse::<Sha256>().is_ok()
}

impl Cache {
    /// Returns the folder that a user's cache is in: what [`CACHE_VARIABLE`] says (by `lookup`),
    /// else `prebake` in the platform's cache folder.
    ///
    /// # Errors
    ///
    /// [`CacheError::NoHome`] if neither is known.
    pub fn default_root(lookup: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, CacheError> {
        match lookup(CACHE_VARIABLE) {
            Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
            _ => match etcetera::base_strategy::choose_native_strategy() {
                Ok(folders) => Ok(folders.cache_dir().join("prebake")),
                Err(_) => Err(CacheError::NoHome),
            },
        }
    }

    /// Opens the cache in the folder `root`, which need not exist yet, and removes the temporary
    /// files of processes that died. A folder that cannot be written to is still read from.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let cache = Self {
            layout: root.join("v1"),
            root,
        };
        cache.sweep();
        cache
    }

    /// Returns the folder that the cache is in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the file with this content, if it is there and undamaged: all of it is hashed.
    pub fn get(&self, sha256: &Sha256) -> Result<Option<Blob>, CacheError> {
        match self.find(sha256)? {
            Found::Good(blob) => Ok(Some(blob)),
            Found::Damaged | Found::Missing => Ok(None),
        }
    }

    /// Puts `content` into the cache, unless it is there already.
    pub fn put(&self, content: &[u8]) -> Result<Blob, CacheError> {
        let sha256 = Sha256::of(content);
        if let Found::Good(blob) = self.find(&sha256)? {
            return Ok(blob);
        }
        let key = Key::of_blob(&sha256);
        // Without the lock, somebody's start could take the file for a left-over.
        let _lock = self.lock(&key, &Options::default(), &Cancel::default())?;
        let mut part = self.part(&key)?;
        part.append(content)?;
        part.persist(self)
    }

    pub(crate) fn find(&self, sha256: &Sha256) -> Result<Found, CacheError> {
        let path = self.blob_path(sha256);
        match Blob::check(path.clone(), sha256) {
            Ok(blob) => Ok(Found::Good(blob)),
            Err(CacheError::Damaged { .. }) => Ok(Found::Damaged),
            Err(CacheError::Missing { .. }) => Ok(Found::Missing),
            Err(_) if fs_err::metadata(&path).is_ok_and(|found| !found.is_file()) => {
                Ok(Found::Damaged)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a file that was found damaged. The caller holds its lock.
    pub(crate) fn remove(&self, sha256: &Sha256) -> Result<(), CacheError> {
        let path = self.blob_path(sha256);
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::write(&path, error))
            }
            _ => Ok(()),
        }
    }

    /// Takes the lock of `key`, waiting while another thread or process has it. `None` if it
    /// was cancelled meanwhile.
    pub(crate) fn lock(
        &self,
        key: &Key,
        options: &Options,
        cancel: &Cancel,
    ) -> Result<Option<Lock>, CacheError> {
        let folder = self.folder("lock")?;
        Lock::take(folder.join(key.as_str()), options, cancel)
    }

    /// Begins a temporary file for `key`, whose lock the caller holds.
    pub(crate) fn part(&self, key: &Key) -> Result<Part, CacheError> {
        Part::new(&self.folder("tmp")?, key)
    }

    /// Returns what is known of a URL from before.
    pub(crate) fn record(&self, url: &str) -> Option<Record> {
        Record::read(&self.record_path(url)).filter(|record| record.url == url)
    }

    /// Remembers what a URL holds. The caller holds the URL's lock.
    pub(crate) fn set_record(&self, record: &Record) -> Result<(), CacheError> {
        let mut part = self.part(&Key::of_url(&record.url))?;
        part.append(record.to_string().as_bytes())?;
        self.folder("url")?;
        part.replace(&self.record_path(&record.url))
    }

    fn blob_path(&self, sha256: &Sha256) -> PathBuf {
        let name = sha256.to_string();
        let (folder, _) = name.split_at(2);
        self.layout.join("sha256").join(folder).join(&name)
    }

    fn record_path(&self, url: &str) -> PathBuf {
        let name = Sha256::of(url.as_bytes()).to_string();
        self.layout.join("url").join(name)
    }

    /// Makes sure that a folder of the layout exists.
    fn folder(&self, name: &str) -> Result<PathBuf, CacheError> {
        let folder = self.layout.join(name);
        if !folder.is_dir() {
            fs_err::create_dir_all(&folder).map_err(|error| CacheError::write(&folder, error))?;
            let tag = self.root.join("CACHEDIR.TAG");
            // Not through a link. A cache without the tag works as well.
            if let Ok(mut tag) = fs_err::File::create_new(tag) {
                drop(tag.write_all(CACHEDIR_TAG));
            }
        }
        Ok(folder)
    }

    /// Removes what processes that died left behind: temporary files whose lock nobody holds, and
    /// locks that nobody holds. Failing is no harm: they stay for the next start.
    fn sweep(&self) {
        let locks = self.layout.join("lock");
        let left = names(&self.layout.join("tmp"));
        if !left.is_empty() {
            // A run that downloads nothing makes no such folder, and may be killed as well.
            drop(self.folder("lock"));
        }
        for name in left {
            let Some((key, _)) = name.split_once('.').filter(|(key, rest)| {
                (*key == kept::KEY || Key::is_one(key)) && rest.strip_suffix(".part").is_some()
            }) else {
                continue;
            };
            if let Some(_lock) = Lock::try_take(locks.join(key)) {
                drop(fs_err::remove_file(self.layout.join("tmp").join(&name)));
            }
        }
        let own = |name: &String| *name == kept::KEY || Key::is_one(name);
        for name in names(&locks).into_iter().filter(own) {
            // Letting go of a lock removes its file.
            drop(Lock::try_take(locks.join(name)));
        }
    }
}

/// Returns the names of the files in `folder`; none if it cannot be read, or is a link: who can write
/// to the cache could have it lead anywhere, and what is listed here is removed.
fn names(folder: &Path) -> Vec<String> {
    if !fs_err::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
        return Vec::new();
    }
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Reads a file to its end, or up to `limit` bytes; it should have `size`.
fn read_whole(file: &fs_err::File, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(size as usize);
    // Of the system's own file nothing is cleared before it is read into.
    file.file().take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// Opens a file of the cache to read it. Who can write to the cache can put a pipe or a device there,
/// which could block for ever, or never end.
fn open_regular(path: &Path) -> io::Result<fs_err::File> {
    if fs_err::metadata(path)?.is_file() {
        return fs_err::File::open(path);
    }
    Err(io::Error::other(format!(
        "`{}` is not a regular file",
        path.display()
    )))
}
