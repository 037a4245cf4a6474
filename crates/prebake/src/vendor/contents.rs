//! What a lock names, with its place in the folder.

use std::collections::{BTreeMap, BTreeSet};

use prebake_apk::digest::Sha256;
use prebake_apk::index::Index;
use prebake_apk::key::PublicKey;
use prebake_apk::signature::open_signed_index;
use prebake_fetch::{Blob, Kind as FetchKind, Wanted};
use prebake_rootfs::merge::NamedFile;

use super::folder::{Folder, Source, There};
use super::place::{KEYS, LOCAL, LOCKS, Places};
use super::{Files, MissingIndex, NotInIndex};
use crate::arch::Arch;
use crate::bake::Bake;
use crate::build::locked::wanted_base;
use crate::choose::{file_name, wanted};
use crate::context::Context;
use crate::error::Error;
use crate::lock::{Lock, LockedIndex, LockedRootfs, MAX_LOCK_BYTES};
use crate::recipe::Recipe;
use crate::reporter::Stage;
use crate::repositories::MAX_INDEX_BYTES;
use crate::scripts::{MAX_RECORD_BYTES, Scripts, record_path};
use crate::{host_file, keys, local};

/// What a lock names.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) files: Files,
    pub(super) missing_indexes: Vec<MissingIndex>,
    pub(super) not_in_index: Vec<NotInIndex>,
    pub(super) repositories: Vec<(Arch, Vec<String>)>,
    pub(super) warnings: Vec<String>,
}

/// What takes part in collecting.
struct Collector<'a> {
    recipe: &'a Recipe,
    folder: &'a Folder<'a>,
    context: &'a Context,
    places: Places,
    contents: Contents,
    /// The key files that may be wanted, by the names that signatures use.
    keys: BTreeSet<NamedFile>,
}

impl Contents {
    /// Collects everything that the lock names: from the folder where it is there, else from
    /// wherever a bake would take it. Nothing is written but the cache.
    pub(super) fn collect(
        recipe: &Recipe,
        lock: &Lock,
        folder: &Folder<'_>,
        context: &Context,
    ) -> Result<Self, Error> {
        let urls = lock.rootfs.iter().flat_map(|rootfs| {
            let base = rootfs.base.iter().map(|base| &base.url);
            let indexes = rootfs.indexes.iter().map(|index| &index.url);
            let packages = rootfs.packages().filter(|package| !package.local);
            let packages = packages.map(|package| &package.url);
            base.chain(indexes).chain(packages).map(String::as_str)
        });
        let urls: Vec<_> = urls.collect();
        let mut collector = Collector {
            places: Places::of(recipe, urls.iter().copied())?,
            recipe,
            folder,
            context,
            contents: Self::default(),
            keys: BTreeSet::new(),
        };
        collector.fetch(lock)?;
        for rootfs in &lock.rootfs {
            collector.rootfs(rootfs)?;
        }
        collector.add_keys(lock)?;
        collector.texts(lock)?;
        Ok(collector.contents)
    }
}

impl Collector<'_> {
    fn path(&self, url: &str) -> String {
        self.places.path(url).unwrap_or_default()
    }

    fn add(&mut self, path: String, blob: Blob) {
        self.contents.files.insert(path, Source::Blob(blob));
    }

    /// Returns the files that are in the folder already; those that are not are fetched all at once.
    fn fetch(&mut self, lock: &Lock) -> Result<(), Error> {
        let mut wishes: Vec<Wanted> = Vec::new();
        for rootfs in &lock.rootfs {
            if let Some(base) = &rootfs.base {
                wishes.push(wanted_base(self.recipe, base, rootfs.arch)?);
            }
            let remote = rootfs.packages().filter(|package| !package.local);
            wishes.extend(remote.map(|package| wanted(self.recipe, package)));
        }
        let mut missing = Vec::new();
        for wish in wishes {
            let (Some(url), Some(sha256)) = (wish.urls.first(), &wish.sha256) else {
                continue;
            };
            let path = self.path(url);
            match self.folder.there(&path, sha256)? {
                There::Good(blob) => self.add(path, blob),
                There::Missing | There::Old | There::Damaged => missing.push((path, wish)),
            }
        }
        self.context.reporter.stage(&Stage::Fetching);
        let (paths, wishes): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
        let fetched = self.get(&wishes)?;
        for (path, blob) in paths.into_iter().zip(fetched) {
            self.add(path, blob);
        }
        Ok(())
    }

    fn get(&self, wishes: &[Wanted]) -> Result<Vec<Blob>, Error> {
        let context = self.context;
        let fetched = context.fetch_without(Some(&self.folder.root), self.recipe, wishes)?;
        Ok(fetched.into_iter().map(|fetched| fetched.blob).collect())
    }

    /// Adds the indexes and local packages of a rootfs, and remembers its keys.
    fn rootfs(&mut self, rootfs: &LockedRootfs) -> Result<(), Error> {
        let (recipe, context) = (self.recipe, self.context);
        context.reporter.stage(&Stage::Base(rootfs.arch));
        let base = rootfs.base.as_ref().and_then(|base| {
            match self.contents.files.get(&self.path(&base.url)) {
                Some(Source::Blob(blob)) => Some((base, blob)),
                _ => None,
            }
        });
        let arch = rootfs.arch;
        let (_, facts) = Bake::begin(arch, base, recipe, Scripts::Skip, context, "the lock")?;
        self.keys.extend(facts.keys.iter().cloned());
        context.reporter.stage(&Stage::Indexes(arch));
        let places = recipe.places(arch)?;
        let mut lines = Vec::new();
        for index in &rootfs.indexes {
            let place = places.iter().find(|place| place.index() == index.url);
            let named = place.map_or(&[][..], |place| place.keys);
            let keyring = keys::keyring(&facts.keys, &recipe.base.keys, named)?;
            self.keys.extend(keys::files(named)?);
            let Some(blob) = self.index(index)? else {
                continue;
            };
            let bytes = blob.read_verified(MAX_INDEX_BYTES).map_err(Error::Cache)?;
            let signed = open_signed_index(&bytes, &keyring).map_err(|source| Error::Index {
                url: index.url.clone(),
                source,
            })?;
            self.hold_against(rootfs, index, signed.index_text)?;
            let path = self.path(&index.url);
            self.add(path, blob);
            if let Some(repository) = self.places.repository(&index.url) {
                let folder = std::path::absolute(&self.folder.root);
                let folder = folder.unwrap_or_else(|_| self.folder.root.clone());
                let folder = super::manifest::join(&folder, repository);
                let tag = place.and_then(|place| place.tag);
                let tag = tag.map_or_else(String::new, |tag| format!("@{tag} "));
                lines.push(format!("{tag}{}", folder.display()));
            }
        }
        self.contents.repositories.push((arch, lines));
        for package in rootfs.packages().filter(|package| package.local) {
            let blob = local::locked_blob(recipe, package, context)?;
            let (name, version) = (&package.name, &package.version);
            self.add(format!("{LOCAL}/{arch}/{name}-{version}.apk"), blob);
            if package.key.is_none() {
                self.contents.warnings.push(format!(
                    "`{name}-{version}` lies beside the recipe and is trusted by its SHA-256 alone: \
                     apk takes it only with `--allow-untrusted`"
                ));
            }
        }
        Ok(())
    }

    /// Returns an index of the lock; `None` where nobody has it any more.
    fn index(&mut self, index: &LockedIndex) -> Result<Option<Blob>, Error> {
        let path = self.path(&index.url);
        if let There::Good(blob) = self.folder.there(&path, &index.sha256)? {
            return Ok(Some(blob));
        }
        let wanted = Wanted {
            urls: self.recipe.everywhere(&index.url),
            size: Some(index.size),
            sha256: Some(index.sha256),
            limit: MAX_INDEX_BYTES,
            ..Wanted::new(file_name(&index.url), index.url.clone())
        };
        match self.get(&[wanted]) {
            Ok(blobs) => Ok(blobs.into_iter().next()),
            Err(Error::Fetch(error)) if is_gone(error.kind()) => {
                self.contents.missing_indexes.push(MissingIndex {
                    url: index.url.clone(),
                    path,
                    sha256: index.sha256,
                    why: error.to_string(),
                });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes the packages from beside an index that it does not have.
    fn hold_against(
        &mut self,
        rootfs: &LockedRootfs,
        index: &LockedIndex,
        text: Vec<u8>,
    ) -> Result<(), Error> {
        let parsed = Index::parse(text).map_err(|source| Error::IndexText {
            url: index.url.clone(),
            source,
        })?;
        let known: BTreeSet<_> = parsed.iter().map(|package| package.identity()).collect();
        let folder = |url: &str| url.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let beside = rootfs.packages().filter(|package| !package.local);
        let beside = beside.filter(|package| folder(&package.url) == folder(&index.url));
        let path = self.path(&index.url);
        for package in beside.filter(|package| !known.contains(&package.identity)) {
            self.contents.not_in_index.push(NotInIndex {
                package: format!("{}-{}", package.name, package.version),
                index: path.clone(),
            });
        }
        Ok(())
    }

    /// Adds the keys that vouched for something of the lock, and no others.
    fn add_keys(&mut self, lock: &Lock) -> Result<(), Error> {
        let recipe = self.recipe;
        self.keys.extend(keys::files(&recipe.base.keys)?);
        for local in &recipe.locals {
            self.keys.extend(keys::files(&local.keys)?);
        }
        let indexes = lock.rootfs.iter().flat_map(|rootfs| &rootfs.indexes);
        let vouched = indexes.map(|index| index.key);
        let packages = lock.rootfs.iter().flat_map(LockedRootfs::packages);
        let vouched: BTreeSet<Sha256> = vouched
            .chain(packages.filter_map(|package| package.key))
            .collect();
        // By their names, and those of one name by what they are.
        let mut found: BTreeMap<String, BTreeMap<Sha256, Vec<u8>>> = BTreeMap::new();
        for (name, pem) in std::mem::take(&mut self.keys) {
            // A base may carry a file that is no key.
            let Ok(key) = PublicKey::from_pem(&pem) else {
                continue;
            };
            let (name, fingerprint) = (String::from_utf8_lossy(&name), key.fingerprint());
            if vouched.contains(&fingerprint) && super::manifest::is_name(&name) {
                let named = found.entry(name.into_owned()).or_default();
                named.entry(fingerprint).or_insert(pem);
            }
        }
        for (name, keys) in found {
            for (number, (fingerprint, pem)) in keys.into_iter().enumerate() {
                let mut folder = KEYS.to_owned();
                if number > 0 {
                    let fingerprint = fingerprint.to_string();
                    folder = format!("{KEYS}-{}", fingerprint.get(..8).unwrap_or_default());
                    self.contents.warnings.push(format!(
                        "two keys are called `{name}`: the other one is in `{folder}`, and apk can \
                         be given only one of the folders at once"
                    ));
                }
                let path = format!("{folder}/{name}");
                self.contents.files.insert(path, Source::Bytes(pem));
            }
        }
        Ok(())
    }

    /// Adds the lock and the record of what scripts did.
    fn texts(&mut self, lock: &Lock) -> Result<(), Error> {
        let lock_path = self.recipe.lock_path();
        let record = record_path(&lock_path);
        let has_record = lock.rootfs.iter().any(|rootfs| rootfs.scripts.is_some());
        let lock = ("the lock", lock_path, "lock", MAX_LOCK_BYTES);
        let record = ("the record", record, "scripts", MAX_RECORD_BYTES);
        for (what, path, ending, limit) in [Some(lock), has_record.then_some(record)]
            .into_iter()
            .flatten()
        {
            let bytes = host_file::read(&path, limit);
            let bytes = bytes.map_err(|source| Error::ReadFile { what, path, source })?;
            let path = format!("{LOCKS}/{}.{ending}", self.recipe.name);
            self.contents.files.insert(path, Source::Bytes(bytes));
        }
        Ok(())
    }
}

/// Says whether a file with a known hash is one that nobody has any more, as opposed to one that
/// nobody could be asked for.
fn is_gone(kind: FetchKind) -> bool {
    matches!(
        kind,
        FetchKind::Integrity | FetchKind::NotFound | FetchKind::Offline
    )
}
