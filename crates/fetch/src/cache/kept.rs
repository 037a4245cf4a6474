//! Files that were made here and are large: kept while there is room, the ones used last longest.
//!
//! As with [derived](super::derived) files, nothing here can say whether one is right: whoever
//! reads it has to be able to tell. So nothing waits for the disk, and a file that a power cut
//! leaves half-written is one that its reader refuses.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prebake_apk::digest::Sha256;

use super::{Cache, CacheError, is_hash, names, open_regular, read_whole};

/// The folder of the layout that they are in.
const FOLDER: &str = "kept";

/// How much of a name its folder has: 16 folders are enough for some thousands of files, and making
/// 256 of them took longer than writing the first files into them.
const PREFIX: usize = 1;

/// What its temporary files are named by.
pub(super) const KEY: &str = "kept";

/// How long a file's time of use may be off: it is written no oftener.
const TOUCH: Duration = Duration::from_hours(6);

impl Cache {
    /// Returns what is kept under `name`; `None` if there is nothing that can be read, or more than
    /// `limit` bytes. It may be damaged, or be anything: the caller checks it.
    pub fn kept(&self, name: &str, limit: u64) -> Option<Vec<u8>> {
        let path = self.kept_path(name);
        let file = open_regular(&path).ok()?;
        let found = file.metadata().ok()?;
        let size = found.len();
        if size > limit {
            return None;
        }
        let content = read_whole(&file, size, limit).ok()?;
        let now = SystemTime::now();
        let is_old = found
            .modified()
            .is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > TOUCH));
        if is_old && let Ok(file) = fs_err::OpenOptions::new().append(true).open(&path) {
            // In a cache that may only be read it gets no younger.
            let _ = file.file().set_modified(now);
        }
        Some(content)
    }

    /// Keeps `pieces`, one after another, under `name`, in place of what may be there.
    ///
    /// # Errors
    ///
    /// What writing to the cache gives. Nothing is lost by passing over it.
    pub fn keep(&self, name: &str, pieces: &[&[u8]]) -> Result<(), CacheError> {
        let path = self.kept_path(name);
        let folder = path.parent().unwrap_or(&path);
        let write = |error| CacheError::write(folder, error);
        if !folder.is_dir() {
            self.folder(FOLDER)?;
            fs_err::create_dir_all(folder).map_err(write)?;
        }
        // Somebody's start may take it for a left-over: then it is just not kept.
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{KEY}.");
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut part = builder.tempfile_in(self.folder("tmp")?).map_err(write)?;
        for piece in pieces {
            part.write_all(piece).map_err(write)?;
        }
        part.persist(&path).map_err(|failed| write(failed.error))?;
        Ok(())
    }

    /// Removes what was not used for longest, where more than `limit` bytes are kept, until a
    /// quarter of that is free. Failing is no harm: the next one tries again.
    pub fn prune_kept(&self, limit: u64) {
        let mut files = Vec::new();
        let root = self.layout.join(FOLDER);
        for folder in names(&root).into_iter().filter(|name| name.len() == PREFIX) {
            let folder = root.join(folder);
            let own = names(&folder).into_iter().filter(|name| is_hash(name));
            files.extend(own.filter_map(|name| {
                let path = folder.join(name);
                let found = fs_err::symlink_metadata(&path).ok()?;
                Some((found.modified().ok()?, found.len(), path))
            }));
        }
        let sum = |files: &[(SystemTime, u64, PathBuf)]| -> u64 {
            files.iter().map(|(_, size, _)| size).sum()
        };
        let mut left = sum(&files);
        if left <= limit {
            return;
        }
        files.sort();
        for (_, size, path) in files {
            if left <= limit / 4 * 3 {
                break;
            }
            left -= size;
            drop(fs_err::remove_file(path));
        }
    }

    fn kept_path(&self, name: &str) -> PathBuf {
        // Names are prebake's own; hashing them keeps every one of them a file name.
        let name = Sha256::of(name.as_bytes()).to_string();
        let (folder, _) = name.split_at(PREFIX);
        self.layout.join(FOLDER).join(folder).join(Path::new(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path());
        for name in ["old", "used", "new"] {
            cache.keep(name, &[name.as_bytes(), &[0; 100]]).unwrap();
        }
        let age = |name: &str, hours: u64| {
            let path = cache.kept_path(name);
            let file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
            let then = SystemTime::now() - Duration::from_hours(hours);
            file.file().set_modified(then).unwrap();
        };
        age("old", 30);
        age("used", 40);
        assert_eq!(cache.kept("used", 1000).unwrap()[..4], *b"used");
        cache.prune_kept(400);
        assert!(cache.kept("old", 1000).is_some());
        age("old", 30);
        cache.prune_kept(300);
        assert!(cache.kept("old", 1000).is_none());
        assert!(cache.kept("used", 1000).is_some());
        assert!(cache.kept("new", 1000).is_some());
        assert!(cache.kept("new", 10).is_none());
        assert!(cache.kept("never", 1000).is_none());
    }

    #[test]
    fn what_is_kept_again_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path());
        cache.keep("name", &[b"one"]).unwrap();
        cache.keep("name", &[b"t", b"wo"]).unwrap();
        assert_eq!(cache.kept("name", 1000).unwrap(), b"two");
    }
}
