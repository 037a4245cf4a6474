//! A folder with everything that a lock names, laid out as a mirror of Alpine's is: for when the
//! mirrors have dropped what is locked, and for machines without a network.
//!
//! ```text
//! DIR/v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz
//! DIR/v3.20/main/x86_64/APKINDEX.tar.gz      as it was signed, the very one of the lock
//! DIR/v3.20/main/x86_64/jq-1.7.1-r0.apk      what the lock names, and no more
//! DIR/keys/….rsa.pub                         the keys that vouched for any of it
//! DIR/local/x86_64/app-1.0-r0.apk            packages that lie beside the recipe
//! DIR/locks/NAME.lock, NAME.scripts          the recipe's lock and record, by the recipe's name
//! DIR/prebake.sha256                         all of these, as `sha256sum -c` reads it
//! ```
//!
//! Bakes find files in it by hash ([`Context::vendored`], [`Recipe::vendor`]), so that it does not
//! matter where a URL points by then. apk takes its repositories as they lie there, with
//! `--keys-dir DIR/keys`. Several recipes may share a folder: what another one's lock in `locks`
//! names stays.

mod contents;
mod error;
mod folder;
mod hold;
mod manifest;
mod place;
mod shelf;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_apk::key::PublicKey;

use crate::arch::Arch;
use crate::context::Context;
use crate::error::Error;
use crate::host_file;
use crate::lock::{Lock, MAX_LOCK_BYTES};
use crate::recipe::Recipe;
use crate::reporter::Stage;
use crate::update;

use self::contents::Contents;
use self::folder::{Folder, Source, There};
use self::hold::Hold;
use self::place::{KEYS, LOCKS};

pub use self::error::VendorError;
pub use self::manifest::{MANIFEST, MAX_MANIFEST_BYTES};
pub(crate) use self::shelf::{OnShelf, OpenShelf, Shelf};

/// Reads a folder's list; returns its files, and the list as it is written again.
pub(crate) fn manifest_for_fuzzing(
    path: &Path,
    text: &str,
) -> Result<(BTreeMap<String, Sha256>, String), VendorError> {
    let manifest = manifest::Manifest::parse(path, text)?;
    let written = manifest.to_text();
    Ok((manifest.0, written))
}

/// What came of filling a folder. Paths are relative to it, with `/`.
#[derive(Clone, Debug)]
pub struct Vendored {
    /// The folder.
    pub folder: PathBuf,
    /// How many files of the lock are in it now.
    pub files: usize,
    /// Their size in bytes.
    pub size: u64,
    /// Those that were not there.
    pub added: Vec<String>,
    /// Those that took the place of another file that prebake had put there.
    pub replaced: Vec<String>,
    /// Those that were damaged, and are right now.
    pub mended: Vec<String>,
    /// What prebake had put there and no lock names any longer, and is gone.
    pub removed: Vec<String>,
    /// What prebake had put there and no lock names any longer, and is still there.
    pub unnamed: Vec<String>,
    /// The indexes of the lock that could not be had. A bake needs none.
    pub missing_indexes: Vec<MissingIndex>,
    /// Packages of the lock that the index beside them does not have, as they were held at an older
    /// version. A bake takes them; apk does not find them.
    pub not_in_index: Vec<NotInIndex>,
    /// The lines of apk's `repositories` for each architecture.
    pub repositories: Vec<(Arch, Vec<String>)>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

/// An index of the lock that nobody has any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingIndex {
    /// Where it was.
    pub url: String,
    /// Where it would be in the folder.
    pub path: String,
    /// Its SHA-256.
    pub sha256: Sha256,
    /// What was said where it was asked for.
    pub why: String,
}

/// A package that the index beside it does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInIndex {
    /// The package, `name-version`.
    pub package: String,
    /// The index's path.
    pub index: String,
}

/// Puts everything that the recipe's lock names into `folder`; what is there already is hashed, and
/// stays. What no lock names any longer goes where `prune` says so. A file that prebake did not put
/// there is never touched: it is an error where it is in the way.
///
/// # Errors
///
/// If there is no lock, it is not the recipe's, or anything but an index cannot be had; then the
/// folder is as it was.
pub fn vendor(
    recipe: &Recipe,
    folder: &Path,
    prune: bool,
    context: &Context,
) -> Result<Vendored, Error> {
    let lock = update::check_lock(recipe)?;
    let _hold = Hold::take(folder, context)?;
    let mut folder = Folder::open(folder, context)?;
    context.reporter.stage(&Stage::Checking);
    let contents = Contents::collect(recipe, &lock, &folder, context)?;
    let mut done = Vendored {
        folder: folder.root.clone(),
        files: contents.files.len(),
        size: contents.files.values().map(Source::size).sum(),
        added: Vec::new(),
        replaced: Vec::new(),
        mended: Vec::new(),
        removed: Vec::new(),
        unnamed: Vec::new(),
        missing_indexes: contents.missing_indexes,
        not_in_index: contents.not_in_index,
        repositories: contents.repositories,
        warnings: contents.warnings,
    };
    let others = other_locks(recipe, &folder, prune)?;

    let mut to_write = Vec::new();
    for (path, source) in &contents.files {
        let list = match folder.there(path, &source.sha256())? {
            There::Good(_) => continue,
            There::Missing => &mut done.added,
            There::Old => &mut done.replaced,
            There::Damaged => &mut done.mended,
        };
        list.push(path.clone());
        to_write.push((path, source));
    }
    // From here on the folder changes. Its list comes first: what a kill leaves behind is known to
    // be prebake's, and the next run goes on.
    let mut list = folder.manifest.0.clone();
    let before = list.clone();
    list.extend(
        contents
            .files
            .iter()
            .map(|(path, source)| (path.clone(), source.sha256())),
    );
    folder.sweep(list.keys().map(String::as_str));
    context.reporter.stage(&Stage::Vendoring);
    folder.set_manifest(list.clone())?;
    let total = to_write.iter().map(|(_, source)| source.size()).sum();
    let mut written = 0;
    let mut wrote = |bytes| {
        written += bytes;
        context.reporter.written(written, total);
    };
    for (path, source) in to_write {
        context.alive()?;
        folder.put(path, source, &mut wrote)?;
    }

    let missing = |path: &str| done.missing_indexes.iter().any(|index| index.path == path);
    for (path, sha256) in &before {
        if contents.files.contains_key(path) || others.name(&folder, path, sha256) {
            continue;
        }
        context.alive()?;
        // An older index beside the packages of this lock would lead apk to others.
        if (prune || missing(path)) && folder.remove(path, sha256)? {
            list.remove(path);
            done.removed.push(path.clone());
        } else if folder.path(path).exists() {
            done.unnamed.push(path.clone());
        } else {
            list.remove(path);
        }
    }
    folder.set_manifest(list)?;
    Ok(done)
}

/// What the locks of other recipes name that share the folder.
#[derive(Debug, Default)]
struct Others {
    /// The names of these recipes.
    recipes: BTreeSet<String>,
    /// The digests of bases, indexes and packages.
    files: BTreeSet<Sha256>,
    /// The fingerprints of keys.
    keys: BTreeSet<Sha256>,
}

/// Reads the locks of other recipes that are in the folder. `strict` where it matters that one
/// cannot be read: something would be removed.
fn other_locks(recipe: &Recipe, folder: &Folder<'_>, strict: bool) -> Result<Others, Error> {
    let mut others = Others::default();
    for path in folder.manifest.0.keys() {
        let name = path.strip_prefix(LOCKS).and_then(|rest| {
            let name = rest.strip_prefix('/')?.strip_suffix(".lock")?;
            (name != recipe.name).then(|| name.to_owned())
        });
        let host = folder.path(path);
        let Some(name) = name.filter(|_| host.exists()) else {
            continue;
        };
        // A link could lead to any file of this host, and what is wrong in a lock is shown.
        if let Err(error) = folder.refuse_links(path) {
            if strict {
                return Err(error.into());
            }
            continue;
        }
        let read = host_file::read_text(&host, MAX_LOCK_BYTES);
        let read = read.map_err(|source| Error::ReadFile {
            what: "the lock of another recipe",
            path: host.clone(),
            source,
        });
        let lock = match read.and_then(|text| Ok(Lock::parse(&host, &text)?)) {
            Ok(lock) => lock,
            Err(error) if strict => return Err(error),
            Err(_) => continue,
        };
        others.recipes.insert(name);
        for rootfs in &lock.rootfs {
            others
                .files
                .extend(rootfs.base.iter().map(|base| base.sha256));
            for index in &rootfs.indexes {
                others.files.insert(index.sha256);
                others.keys.insert(index.key);
            }
            for package in rootfs.packages() {
                others.files.insert(package.sha256);
                others.keys.extend(package.key);
            }
        }
    }
    Ok(others)
}

impl Others {
    /// Says whether one of them names a file of the folder.
    fn name(&self, folder: &Folder<'_>, path: &str, sha256: &Sha256) -> bool {
        let Some((top, rest)) = path.split_once('/') else {
            return false;
        };
        if top == LOCKS {
            let name = rest.rsplit_once('.').map(|(name, _)| name);
            return name.is_some_and(|name| self.recipes.contains(name));
        }
        if top.starts_with(KEYS) {
            let key = host_file::read(&folder.path(path), crate::keys::MAX_KEY_BYTES).ok();
            let key = key.and_then(|bytes| PublicKey::from_pem(&bytes).ok());
            return key.is_some_and(|key| self.keys.contains(&key.fingerprint()));
        }
        self.files.contains(sha256)
    }
}

/// The files of a folder, by path.
type Files = BTreeMap<String, Source>;
