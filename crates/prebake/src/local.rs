//! Packages that lie beside the recipe: read, trusted, and offered to the solver.
//!
//! Measured on apk 2.14.4, `apk add ./app.apk`: the world gets `app><Q1…`, the package's identity;
//! what it says of itself is one more source to choose from, and what it needs comes from the
//! repositories; it must be signed by a key that apk has. Here the recipe's word, by SHA-256, does
//! in a key's place.

use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::index::Index;
use prebake_apk::key::Keyring;
use prebake_apk::package::Package;
use prebake_apk::signature::SignatureError;
use prebake_fetch::Blob;
use prebake_rootfs::merge::Base;

use crate::arch::Arch;
use crate::context::Context;
use crate::error::Error;
use crate::lock::{LockedPackage, LockedRootfs};
use crate::recipe::{LocalPackage, Recipe, TrustedKey};
use crate::template::Values;
use crate::{host_file, keys, package_file};

/// The largest package file beside a recipe that is taken, in bytes: it is held in memory once.
pub const MAX_LOCAL_BYTES: u64 = 256 << 20;

/// A package file that was read and is trusted.
pub(crate) struct Local {
    /// Its path relative to the recipe.
    path: String,
    blob: Blob,
    name: String,
    version: String,
    identity: Sha1,
    /// The fingerprint of the key that signed it; `None` where the recipe's SHA-256 vouches for it.
    key: Option<Sha256>,
    index: Index,
}

impl Local {
    /// Reads every package file that the recipe names for `arch`.
    pub(crate) fn read_all(
        recipe: &Recipe,
        arch: Arch,
        base: &Base,
        context: &Context,
    ) -> Result<Vec<Self>, Error> {
        let mut locals: Vec<Self> = Vec::new();
        for asked in &recipe.locals {
            let local = Self::read(recipe, asked, arch, base, context)?;
            let named = |entry: &str| crate::world::check_entry(entry).ok() == Some(&local.name);
            if recipe.packages.iter().any(|entry| named(&entry.value))
                || locals.iter().any(|other| other.name == local.name)
            {
                let message = format!("`{}` is named twice, here by its file", local.name);
                return Err(recipe
                    .problem(asked.path.span.clone(), message, None)
                    .into());
            }
            locals.push(local);
        }
        Ok(locals)
    }

    fn read(
        recipe: &Recipe,
        asked: &LocalPackage,
        arch: Arch,
        base: &Base,
        context: &Context,
    ) -> Result<Self, Error> {
        let path = path(recipe, asked, arch)?;
        let at = asked.path.span.clone();
        let problem = |message: String, hint: Option<String>| {
            Error::from(recipe.problem(at.clone(), message, hint))
        };
        let (bytes, sha256) = read(recipe, asked, &path)?;
        let package = open(recipe, asked, &path, &bytes)?;
        let pin = asked.sha256.iter().find(|(known, _)| *known == arch);
        let key = match pin {
            Some((_, pin)) if *pin != sha256 => {
                let message =
                    format!("`{path}` has the SHA-256 {sha256}, but the recipe says {pin}");
                let hint = "if the change is meant, write the new one".to_owned();
                return Err(problem(message, Some(hint)));
            }
            Some(_) => None,
            None => {
                let keys = keyring(recipe, asked, base)?;
                let vouched = package.verify(&keys).map_err(|error| {
                    let hint = match &error {
                        SignatureError::Bad { .. } => None,
                        _ => Some(format!(
                            "name its key in `keys`, or what you trust: `{{ path = \"{path}\", \
                             sha256 = \"{sha256}\" }}`"
                        )),
                    };
                    problem(format!("`{path}` is not trusted: {error}"), hint)
                })?;
                Some(vouched.key.fingerprint())
            }
        };
        let info = package.info();
        if info.arch != arch.name() && info.arch != "noarch" {
            let message = format!("`{path}` is for {}, not for {arch}", info.arch);
            let hint = "`{arch}` in the path names a file for each".to_owned();
            return Err(problem(message, Some(hint)));
        }
        let identity = package.identity();
        let stanza = package_file::stanza_of(&package, bytes.len() as u64);
        let index = Index::parse(stanza.to_text()).map_err(|source| Error::IndexText {
            url: path.clone(),
            source,
        })?;
        let blob = context.fetcher.cache().put(&bytes).map_err(Error::Cache)?;
        Ok(Self {
            blob,
            name: info.name.clone(),
            version: info.version.clone(),
            identity,
            key,
            index,
            path,
        })
    }

    /// Returns what it says of itself, as an index would.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Returns what it is known by.
    pub(crate) fn identity(&self) -> Sha1 {
        self.identity
    }

    /// Returns its file.
    pub(crate) fn blob(&self) -> &Blob {
        &self.blob
    }

    /// Returns the world's entry that asks for it and no other.
    pub(crate) fn entry(&self) -> String {
        entry(&self.name, self.identity)
    }

    /// Returns what the lock says of it.
    pub(crate) fn locked(&self, tag: Option<String>) -> LockedPackage {
        LockedPackage {
            name: self.name.clone(),
            version: self.version.clone(),
            url: self.path.clone(),
            local: true,
            size: self.blob.size(),
            sha256: self.blob.sha256(),
            identity: self.identity,
            key: self.key,
            tag,
            index_stanza: None,
        }
    }
}

/// Returns the world's entries for the local packages of one rootfs.
pub(crate) fn entries(recipe: &Recipe, locked: &LockedRootfs) -> Result<Vec<String>, Error> {
    let mut entries = Vec::new();
    for asked in &recipe.locals {
        let path = path(recipe, asked, locked.arch)?;
        let mut packages = locked.packages();
        let known = packages.find(|package| package.local && package.url == path);
        entries.push(if let Some(known) = known {
            entry(&known.name, known.identity)
        } else {
            // The base has it already, so that no step of the lock brings it.
            let (bytes, _) = read(recipe, asked, &path)?;
            let package = open(recipe, asked, &path, &bytes)?;
            entry(&package.info().name, package.identity())
        });
    }
    Ok(entries)
}

fn entry(name: &str, identity: Sha1) -> String {
    format!("{name}><{}", identity.to_apk())
}

/// Returns a local package of a lock as it is now, if that is what the lock says.
pub(crate) fn locked_blob(
    recipe: &Recipe,
    package: &LockedPackage,
    context: &Context,
) -> Result<Blob, Error> {
    let path = recipe.local_file(&package.url);
    let bytes = host_file::read(&path, MAX_LOCAL_BYTES).map_err(|source| Error::ReadFile {
        what: "the package",
        path,
        source,
    })?;
    let found = Sha256::of(&bytes);
    if found != package.sha256 {
        return Err(Error::NotCurrent {
            path: recipe.lock_path(),
            reason: changed(&package.url, &found, &package.sha256),
        });
    }
    context.fetcher.cache().put(&bytes).map_err(Error::Cache)
}

/// Says how the local packages differ from what `locked` says of them; `None` if they do not.
pub(crate) fn why_not_current(
    recipe: &Recipe,
    locked: &LockedRootfs,
) -> Result<Option<String>, Error> {
    for asked in &recipe.locals {
        let path = path(recipe, asked, locked.arch)?;
        let (_, found) = read(recipe, asked, &path)?;
        let mut packages = locked.packages();
        // One that the base has already is not in the lock.
        let known = packages.find(|package| package.local && package.url == path);
        if let Some(known) = known.filter(|known| known.sha256 != found) {
            return Ok(Some(changed(&path, &found, &known.sha256)));
        }
    }
    Ok(None)
}

fn changed(path: &str, found: &Sha256, expected: &Sha256) -> String {
    format!("`{path}` has the SHA-256 {found}, but the lock says {expected}")
}

/// Returns the path of a package file for one architecture, relative to the recipe.
pub(crate) fn path(recipe: &Recipe, asked: &LocalPackage, arch: Arch) -> Result<String, Error> {
    let values = Values {
        name: &recipe.name,
        release: recipe.release(),
        arch,
    };
    asked.path.value.expand(&values).map_err(|_| {
        let message = "the path names the release, which is not given".to_owned();
        let hint = Some("add `release` to [base]".to_owned());
        recipe
            .problem(asked.path.span.clone(), message, hint)
            .into()
    })
}

fn read(recipe: &Recipe, asked: &LocalPackage, path: &str) -> Result<(Vec<u8>, Sha256), Error> {
    let bytes = host_file::read(&recipe.local_file(path), MAX_LOCAL_BYTES)
        .map_err(|source| Error::named_file(recipe, asked.path.span.clone(), source))?;
    let sha256 = Sha256::of(&bytes);
    Ok((bytes, sha256))
}

fn open<'b>(
    recipe: &Recipe,
    asked: &LocalPackage,
    path: &str,
    bytes: &'b [u8],
) -> Result<Package<&'b [u8]>, Error> {
    Package::open(bytes).map_err(|error| {
        let message = format!("`{path}` is not a package: {error}");
        let span = asked.path.span.clone();
        recipe.problem(span, message, None).into()
    })
}

/// Returns every key that the base or the recipe names.
fn keyring(recipe: &Recipe, asked: &LocalPackage, base: &Base) -> Result<Keyring, Error> {
    let repositories = recipe.repositories.iter().flat_map(|one| &one.keys);
    let own = recipe.base.keys.iter().chain(&asked.keys);
    let all: Vec<TrustedKey> = own.chain(repositories).cloned().collect();
    keys::keyring(&base.keys, &[], &all)
}
