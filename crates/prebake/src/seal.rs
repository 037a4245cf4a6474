//! Tells what this user's own runs put into the cache from what anybody else did.
//!
//! A downloaded file is held against the digest that the lock names. Of an encoded segment no lock
//! knows the digest, so that somebody else has to vouch for it: a key, 32 random bytes that lie
//! outside the cache and are this user's alone. Every entry that is believed without another
//! digest ends with its HMAC-SHA256 (RFC 2104), over its name too. A cache that comes from elsewhere
//! (a CI's, a colleague's) is as good as ever for downloads; of its segments none is believed, and
//! they are made again. Checking costs as much as hashing does.
//!
//! The key lies in the temporary folder, so that prebake writes nothing outside of the cache, the
//! project, the temporary folder and its outputs. Where the system empties that folder, the first
//! build after it makes its segments again, which costs what one cold build does.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use prebake_fetch::Cache;
use prebake_image::Store;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// The environment variable that names the key's file.
pub(crate) const SEAL_VARIABLE: &str = "PREBAKE_SEAL";

/// How long the key and a seal are, in bytes.
const KEY: usize = 32;
const SEAL: usize = 32;

/// The largest entry that is read, in bytes: a segment of 64 MiB that does not shrink.
const MAX_ENTRY: u64 = 80 << 20;

/// How much is kept, in bytes, before what was used longest ago goes.
const MAX_KEPT: u64 = 2 << 30;

/// The cache's entries that this user's key vouches for.
#[derive(Clone)]
pub(crate) struct Sealed {
    cache: Cache,
    /// `None` where there is no place for a key: then nothing is kept.
    key: Option<hmac::Key>,
}

impl Sealed {
    /// Opens what `cache` keeps; the key is made where there is none.
    pub(crate) fn open(cache: Cache, variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let key = file(variable).and_then(|path| key(&path));
        Self { cache, key }
    }

    /// Removes what was not used for longest, if there is too much.
    pub(crate) fn prune(&self) {
        self.cache.prune_kept(MAX_KEPT);
    }
}

impl Store for Sealed {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let key = self.key.as_ref()?;
        opened(key, name, self.cache.kept(name, MAX_ENTRY)?)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        if let Some(key) = &self.key {
            let seal = seal(key, name, bytes);
            // A cache that is full, or that may only be read, keeps nothing.
            drop(self.cache.keep(name, &[bytes, seal.as_ref()]));
        }
    }
}

/// Returns the content of an entry, if its seal is the key's for that name.
fn opened(key: &hmac::Key, name: &str, mut entry: Vec<u8>) -> Option<Vec<u8>> {
    let (content, found) = entry.split_at_checked(entry.len().checked_sub(SEAL)?)?;
    if seal(key, name, content).as_ref() != found {
        return None;
    }
    entry.truncate(entry.len() - SEAL);
    Some(entry)
}

/// What a key of this text makes of an entry, and of content that it seals; for a fuzzer.
pub(crate) fn for_fuzzing(key: &[u8], name: &str, bytes: &[u8]) -> (Option<Vec<u8>>, Vec<u8>) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let sealed = [bytes, seal(&key, name, bytes).as_ref()].concat();
    (opened(&key, name, bytes.to_vec()), sealed)
}

fn seal(key: &hmac::Key, name: &str, content: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(&(name.len() as u64).to_le_bytes());
    context.update(name.as_bytes());
    context.update(content);
    context.sign()
}

/// Returns where this user's key is, and makes the folder that it is in.
fn file(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name: &str| variable(name).filter(|path| !path.is_empty());
    if let Some(path) = named(SEAL_VARIABLE).map(PathBuf::from) {
        fs_err::create_dir_all(path.parent()?).ok()?;
        return Some(path);
    }
    let temporary = if cfg!(windows) {
        named("TMP").or_else(|| named("TEMP"))?
    } else {
        named("TMPDIR").unwrap_or_else(|| OsString::from("/tmp"))
    };
    let temporary = PathBuf::from(temporary);
    Some(
        own_folder(&temporary)
            .filter(|_| temporary.is_absolute())?
            .join("seal"),
    )
}

/// Returns the folder of this user in the temporary folder, where others may write as well: `None`
/// unless it is a folder, this user's, and closed to everybody else.
#[cfg(unix)]
fn own_folder(temporary: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

    let user = rustix::process::geteuid().as_raw();
    let folder = temporary.join(format!("prebake-{user}"));
    // It is there but for the first time; whether it is what it should be is seen below.
    drop(std::fs::DirBuilder::new().mode(0o700).create(&folder));
    let found = fs_err::symlink_metadata(&folder).ok()?;
    let is_own = found.is_dir() && found.uid() == user && found.mode() & 0o777 == 0o700;
    is_own.then_some(folder)
}

/// Returns the folder of this user in the temporary folder, which is this user's own on Windows.
#[cfg(not(unix))]
fn own_folder(temporary: &Path) -> Option<PathBuf> {
    let folder = temporary.join("prebake");
    drop(fs_err::create_dir(&folder));
    fs_err::symlink_metadata(&folder)
        .ok()?
        .is_dir()
        .then_some(folder)
}

/// Reads the key, or makes one; `None` where neither can be.
fn key(path: &Path) -> Option<hmac::Key> {
    let bytes = read(path).or_else(|| make(path).ok().and_then(|()| read(path)))?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// Reads the key; `None` where there is none, or what is there is no key.
fn read(path: &Path) -> Option<[u8; KEY]> {
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).ok()?;
    file.take(KEY as u64 + 1).read_to_end(&mut bytes).ok()?;
    bytes.try_into().ok()
}

/// Puts a new key where none is. Of several runs that do so at once, one does.
fn make(path: &Path) -> io::Result<()> {
    let mut bytes = [0; KEY];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("no random bytes"))?;
    // Not beside and renamed, so that no run that is killed leaves a file of another name. What it
    // leaves is shorter than a key, and is one when the next run has written its own over it.
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    if file.metadata()?.len() < KEY as u64 {
        file.write_all(&bytes)?;
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, seal: &str) -> Sealed {
        let seal = folder.join(seal);
        let cache = Cache::open(folder.join("cache"));
        Sealed::open(cache, &|name| {
            (name == SEAL_VARIABLE).then(|| seal.clone().into_os_string())
        })
    }

    #[test]
    fn only_what_the_key_vouches_for_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let mine = open(folder.path(), "data/mine");
        mine.put("name", b"content");
        assert_eq!(mine.get("name").unwrap(), b"content");
        let again = open(folder.path(), "data/mine");
        assert_eq!(again.get("name").unwrap(), b"content");
        let other = open(folder.path(), "data/other");
        assert_eq!(other.get("name"), None);
        // Another name's entry, however well it is sealed, is not this one's.
        let entry = mine.cache.kept("name", MAX_ENTRY).unwrap();
        mine.cache.keep("new name", &[&entry]).unwrap();
        assert_eq!(mine.get("new name"), None);
    }

    #[cfg(unix)]
    #[test]
    fn in_the_temporary_folder_the_key_is_this_users_alone() {
        use std::fs::Permissions;
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("tmp");
        fs_err::create_dir(&temporary).unwrap();
        let user = fs_err::metadata(&temporary).unwrap().uid();
        let own = temporary.join(format!("prebake-{user}"));
        let keeps = || {
            let cache = Cache::open(folder.path().join("cache"));
            let sealed = Sealed::open(cache, &|name| {
                (name == "TMPDIR").then(|| temporary.clone().into_os_string())
            });
            sealed.put("name", b"content");
            sealed.get("name").is_some()
        };
        assert!(keeps());
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&own), mode(&own.join("seal"))), (0o700, 0o600));
        // Whoever may look into it or write to it may have put the key there.
        for open in [0o750, 0o705, 0o720, 0o702] {
            fs_err::set_permissions(&own, Permissions::from_mode(open)).unwrap();
            assert!(!keeps(), "{open:o}");
        }
        fs_err::set_permissions(&own, Permissions::from_mode(0o700)).unwrap();
        assert!(keeps());
        // Nor is a link believed, to whatever folder it leads.
        let moved = folder.path().join("moved");
        fs_err::rename(&own, &moved).unwrap();
        symlink(&moved, &own).unwrap();
        assert!(!keeps());
        // Nor a folder of another user's, which only root can make here.
        fs_err::remove_file(&own).unwrap();
        fs_err::create_dir(&own).unwrap();
        fs_err::set_permissions(&own, Permissions::from_mode(0o700)).unwrap();
        assert!(keeps());
        if user == 0 {
            std::os::unix::fs::chown(&own, Some(65534), None).unwrap();
            assert!(!keeps());
        }
    }

    #[test]
    fn an_entry_is_so_large() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = open(folder.path(), "seal");
        let mut content = vec![0; usize::try_from(MAX_ENTRY).unwrap() - SEAL];
        sealed.put("largest", &content);
        assert!(sealed.get("largest").is_some());
        content.push(0);
        sealed.put("larger", &content);
        assert!(sealed.get("larger").is_none());
    }

    #[test]
    fn every_byte_counts() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = open(folder.path(), "seal");
        sealed.put("name", b"content");
        let entry = sealed.cache.kept("name", MAX_ENTRY).unwrap();
        for at in 0..entry.len() {
            let mut changed = entry.clone();
            changed[at] ^= 1;
            sealed.cache.keep("name", &[&changed]).unwrap();
            assert_eq!(sealed.get("name"), None, "byte {at}");
            sealed.cache.keep("name", &[&entry[..at]]).unwrap();
            assert_eq!(sealed.get("name"), None, "{at} bytes");
        }
    }

    #[test]
    fn without_a_key_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("file"), b"").unwrap();
        let sealed = open(folder.path(), "file/below");
        sealed.put("name", b"content");
        assert_eq!(sealed.get("name"), None);
        // A key that was cut off is made again.
        fs_err::write(folder.path().join("short"), b"short").unwrap();
        let sealed = open(folder.path(), "short");
        sealed.put("name", b"content");
        assert_eq!(sealed.get("name").unwrap(), b"content");
    }
}
