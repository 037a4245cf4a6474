//! From a recipe to a lock: indexes are read, packages chosen, every input fetched and hashed.

use std::fmt;
use std::path::Path;

use prebake_apk::digest::Sha256;
use prebake_apk::index::{Index, Stanza};
use prebake_apk::installed;
use prebake_apk::package::Package;
use prebake_apk::signature::open_signed_index;
use prebake_fetch::{Blob, Kind as FetchKind, Wanted};
use prebake_rootfs::merge::Base;
use prebake_solve::{ChangeKind, Repository, Request, Solution, Source, solve};

use crate::arch::{self, Arch};
use crate::bake::Bake;
use crate::context::Context;
use crate::error::Error;
use crate::keys;
use crate::lock::{
    Lock, LockedBase, LockedIndex, LockedPackage, LockedRootfs, MAX_LOCK_BYTES, Step,
};
use crate::output_file::OutputFile;
use crate::places::Place;
use crate::recipe::Recipe;
use crate::reporter::Stage;
use crate::{host_file, keep, world, write_file};

/// The largest base that is taken, in bytes. Alpine's are under 5 MB.
pub const MAX_BASE_BYTES: u64 = 1 << 30;

/// The largest compressed index that is taken, in bytes. Alpine's largest has 2 MB.
pub const MAX_INDEX_BYTES: u64 = 64 << 20;

/// How far a lock moves on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// Not at all: what the recipe did not change stays what it was.
    Keep,
    /// To whatever the mirrors have now.
    All,
    /// These packages move on; all others stay at their versions.
    Only(Vec<String>),
}

/// What became of the lock's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// It was current and stays.
    Current,
    /// It was there and changed.
    Updated,
    /// It was not there.
    Written,
}

/// A lock that is current, and how it came to be.
#[derive(Clone, Debug)]
pub struct Locked {
    /// The lock.
    pub lock: Lock,
    /// What became of its file.
    pub state: LockState,
    /// How its packages differ from the previous ones.
    pub changes: Vec<Change>,
}

/// A package that came, went or changed from one lock to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For which architecture.
    pub arch: Arch,
    /// Its name.
    pub package: String,
    /// Its version before; `None` if it came.
    pub from: Option<String>,
    /// Its version now; `None` if it went.
    pub to: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (None, Some(to)) => write!(f, "+ {} {to}", self.package),
            (Some(from), None) => write!(f, "- {} {from}", self.package),
            (Some(from), Some(to)) if from == to => {
                write!(
                    f,
                    "~ {} {to} (another build of the same version)",
                    self.package
                )
            }
            (Some(from), Some(to)) => write!(f, "~ {} {from} -> {to}", self.package),
            (None, None) => f.write_str(&self.package),
        }
    }
}

/// Reads the recipe's lock; `None` if there is none.
pub fn read_lock(recipe: &Recipe) -> Result<Option<Lock>, Error> {
    let path = recipe.lock_path();
    match host_file::read_text(&path, MAX_LOCK_BYTES) {
        Ok(text) => Ok(Some(Lock::parse(&path, &text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::ReadFile {
            what: "the lock",
            path,
            source,
        }),
    }
}

/// Says why `lock` is not the recipe's; `None` where it is.
pub(crate) fn why_not_current(recipe: &Recipe, lock: &Lock) -> Result<Option<String>, Error> {
    let locked: Vec<_> = lock.rootfs.iter().map(|rootfs| rootfs.arch).collect();
    if locked != recipe.arches {
        let wanted = arch::list(&recipe.arches);
        let locked = arch::list(&locked);
        return Ok(Some(format!("it is for {locked}, the recipe for {wanted}")));
    }
    if recipe.digest()? != lock.recipe {
        return Ok(Some("the recipe changed since it was written".to_owned()));
    }
    Ok(None)
}

/// Fails unless there is a lock and it is the recipe's. No index is asked: whether the mirrors
/// have something newer is another question.
pub fn check_lock(recipe: &Recipe) -> Result<Lock, Error> {
    let path = recipe.lock_path();
    let lock = read_lock(recipe)?.ok_or_else(|| Error::NoLock(path.clone()))?;
    match why_not_current(recipe, &lock)? {
        None => Ok(lock),
        Some(reason) => Err(Error::NotCurrent { path, reason }),
    }
}

/// Makes the recipe's lock current, or moves it on, and writes it where it changed.
pub fn update_lock(recipe: &Recipe, upgrade: &Upgrade, context: &Context) -> Result<Locked, Error> {
    let previous = read_lock(recipe)?;
    if let (Upgrade::Keep, Some(lock)) = (upgrade, &previous)
        && why_not_current(recipe, lock)?.is_none()
    {
        let lock = lock.clone();
        return Ok(Locked {
            lock,
            state: LockState::Current,
            changes: Vec::new(),
        });
    }
    let mut rootfs = Vec::new();
    for arch in &recipe.arches {
        let before = previous.as_ref().and_then(|lock| lock.rootfs(*arch));
        rootfs.push(
            Chooser {
                recipe,
                arch: *arch,
                before,
                upgrade,
                context,
            }
            .choose()?,
        );
    }
    let lock = Lock {
        recipe: recipe.digest()?,
        rootfs,
    };
    let changes = changes(previous.as_ref(), &lock);
    let state = match &previous {
        Some(previous) if *previous == lock => LockState::Current,
        Some(_) => LockState::Updated,
        None => LockState::Written,
    };
    if state != LockState::Current {
        context.alive()?;
        let path = recipe.lock_path();
        write_file(
            &path,
            || OutputFile::create(&path),
            lock.to_text().as_bytes(),
        )?;
    }
    Ok(Locked {
        lock,
        state,
        changes,
    })
}

fn changes(previous: Option<&Lock>, lock: &Lock) -> Vec<Change> {
    let mut changes = Vec::new();
    for rootfs in &lock.rootfs {
        let arch = rootfs.arch;
        let before = previous.and_then(|previous| previous.rootfs(arch));
        let old: Vec<_> = before.iter().flat_map(|before| before.packages()).collect();
        for package in rootfs.packages() {
            let from = old.iter().find(|old| old.name == package.name);
            if from.is_none_or(|from| from.identity != package.identity) {
                changes.push(Change {
                    arch,
                    package: package.name.clone(),
                    from: from.map(|from| from.version.clone()),
                    to: Some(package.version.clone()),
                });
            }
        }
        for gone in old {
            if !rootfs.packages().any(|package| package.name == gone.name) {
                changes.push(Change {
                    arch,
                    package: gone.name.clone(),
                    from: Some(gone.version.clone()),
                    to: None,
                });
            }
        }
    }
    changes
}

/// An index that was fetched and checked.
struct Opened {
    locked: LockedIndex,
    index: Index,
}

/// Locks one architecture.
struct Chooser<'a> {
    recipe: &'a Recipe,
    arch: Arch,
    before: Option<&'a LockedRootfs>,
    upgrade: &'a Upgrade,
    context: &'a Context,
}

impl Chooser<'_> {
    fn choose(&self) -> Result<LockedRootfs, Error> {
        let (recipe, arch, context) = (self.recipe, self.arch, self.context);
        context.reporter.stage(&Stage::Base(arch));
        let (base, blob) = self.base()?;
        let (mut bake, facts) = Bake::begin(arch, &base, &blob, context)?;
        context.reporter.stage(&Stage::Indexes(arch));
        let places = recipe.places(arch)?;
        let opened = self.indexes(&places, &facts)?;
        context.reporter.stage(&Stage::Choosing(arch));
        let installed = Self::installed(&facts, &base)?;
        let solution = self.solve(&places, &opened, &facts, &installed)?;
        let plan = Self::plan(&solution, &places, &opened, &installed);
        context.reporter.stage(&Stage::Fetching);
        let blobs = self.fetch(&plan)?;
        context.reporter.stage(&Stage::Merging(arch));
        let mut fetched = blobs.iter();
        let mut steps = Vec::with_capacity(plan.len());
        for planned in plan {
            steps.push(match planned {
                Planned::Done(step) => step,
                Planned::Fetch {
                    stanza,
                    url,
                    key,
                    tag,
                } => {
                    let Some(blob) = fetched.next() else { break };
                    Step::Install(lock_package(&stanza, &url, key, tag.as_deref(), blob)?)
                }
            });
        }
        bake.apply(&steps, &blobs)?;
        let world = world::combine(recipe, &facts)?;
        let mut baked = bake.finish(recipe, &world)?;
        context.reporter.stage(&Stage::Writing(arch));
        let written =
            prebake_image::tar::identity(&baked.tree, &mut baked.blobs).map_err(|source| {
                Error::Image {
                    path: recipe.lock_path(),
                    source,
                }
            })?;
        Ok(LockedRootfs {
            arch,
            release: facts
                .release
                .or_else(|| recipe.release().map(str::to_owned)),
            identity: written.identity,
            base,
            indexes: opened.into_iter().map(|opened| opened.locked).collect(),
            steps,
        })
    }

    /// Fetches the base: by its hash where the recipe or the previous lock has one.
    fn base(&self) -> Result<(LockedBase, Blob), Error> {
        let pin = self
            .recipe
            .base
            .sha256
            .iter()
            .find(|(arch, _)| *arch == self.arch);
        let pin = pin.map(|(_, sha256)| *sha256);
        let before = self.before.map(|before| &before.base);
        let url = self
            .recipe
            .base_url(self.arch, pin.is_some() || before.is_some())?;
        // A release's base never changes under its URL, so the first lock's word stands.
        let pin = pin.or_else(|| {
            before
                .filter(|before| before.url == url)
                .map(|one| one.sha256)
        });
        let wanted = Wanted {
            urls: self.recipe.everywhere(&url),
            sha256: pin,
            limit: MAX_BASE_BYTES,
            ..Wanted::new(file_name(&url), url.clone())
        };
        let blob = self.fetch_one(wanted)?;
        Ok((
            LockedBase {
                url,
                size: blob.size(),
                sha256: blob.sha256(),
            },
            blob,
        ))
    }

    fn fetch_one(&self, wanted: Wanted) -> Result<Blob, Error> {
        let fetched = self.context.fetch(std::slice::from_ref(&wanted))?;
        let first = fetched.into_iter().next();
        first.map(|fetched| fetched.blob).ok_or(Error::Interrupted)
    }

    /// Fetches and checks the indexes: the locked ones where nothing is to move on and they can
    /// still be had, else the current ones.
    fn indexes(&self, places: &[Place<'_>], base: &Base) -> Result<Vec<Opened>, Error> {
        let keep = *self.upgrade == Upgrade::Keep;
        let before = |url: &str| {
            self.before
                .and_then(|before| before.indexes.iter().find(|index| index.url == url))
        };
        let wish = |place: &Place<'_>, pinned: bool| {
            let url = place.index();
            Wanted {
                urls: self.recipe.everywhere(&url),
                sha256: before(&url).filter(|_| pinned).map(|index| index.sha256),
                limit: MAX_INDEX_BYTES,
                ..Wanted::new(short_name(&url), url)
            }
        };
        let wishes = |pinned| {
            places
                .iter()
                .map(|place| wish(place, pinned))
                .collect::<Vec<_>>()
        };
        let all_locked = places.iter().all(|place| before(&place.index()).is_some());
        let fetched = if keep && all_locked {
            match self.context.fetch(&wishes(true)) {
                // The mirrors moved on and the cache was cleared.
                Err(Error::Fetch(error))
                    if matches!(error.kind(), FetchKind::Integrity | FetchKind::NotFound) =>
                {
                    self.context.reporter.notice(&format!(
                        "the locked indexes for {} can no longer be had; taking the current ones",
                        self.arch
                    ));
                    self.context.fetch(&wishes(false))?
                }
                other => other?,
            }
        } else {
            self.context.fetch(&wishes(false))?
        };
        let mut opened = Vec::new();
        for (place, fetched) in places.iter().zip(fetched) {
            opened.push(self.open_index(place, &fetched.blob, base)?);
        }
        Ok(opened)
    }

    fn open_index(&self, place: &Place<'_>, blob: &Blob, base: &Base) -> Result<Opened, Error> {
        let url = place.index();
        let keys = keys::keyring(&base.keys, &self.recipe.base.keys, place.keys)?;
        let bytes = blob.read_verified(MAX_INDEX_BYTES).map_err(Error::Cache)?;
        let signed = open_signed_index(&bytes, &keys).map_err(|source| Error::Index {
            url: url.clone(),
            source,
        })?;
        let mut text = signed.index_text;
        if let (Upgrade::Only(names), Some(before)) = (self.upgrade, self.before) {
            let locked = before.indexes.iter().find(|index| index.url == url);
            let old = locked
                .map(|locked| self.locked_text(locked, place, base))
                .transpose()?;
            text = keep::versions(&text, old.as_deref(), before, names);
        }
        let index = Index::parse(text).map_err(|source| Error::IndexText {
            url: url.clone(),
            source,
        })?;
        let locked = LockedIndex {
            url,
            description: String::from_utf8_lossy(signed.description.trim_ascii()).into_owned(),
            size: blob.size(),
            sha256: blob.sha256(),
            key: signed.fingerprint,
        };
        Ok(Opened { locked, index })
    }

    /// Returns the text of an index that the previous lock names.
    fn locked_text(
        &self,
        locked: &LockedIndex,
        place: &Place<'_>,
        base: &Base,
    ) -> Result<Vec<u8>, Error> {
        let blob = self.fetch_one(Wanted {
            urls: self.recipe.everywhere(&locked.url),
            sha256: Some(locked.sha256),
            limit: MAX_INDEX_BYTES,
            ..Wanted::new(short_name(&locked.url), locked.url.clone())
        })?;
        let keys = keys::keyring(&base.keys, &self.recipe.base.keys, place.keys)?;
        let bytes = blob.read_verified(MAX_INDEX_BYTES).map_err(Error::Cache)?;
        let signed = open_signed_index(&bytes, &keys).map_err(|source| Error::Index {
            url: locked.url.clone(),
            source,
        })?;
        Ok(signed.index_text)
    }

    fn installed(base: &Base, locked: &LockedBase) -> Result<Index, Error> {
        Index::parse(base.installed.clone()).map_err(|source| Error::IndexText {
            url: format!("{}, lib/apk/db/installed", locked.url),
            source,
        })
    }

    /// Chooses the packages.
    fn solve(
        &self,
        places: &[Place<'_>],
        opened: &[Opened],
        base: &Base,
        installed: &Index,
    ) -> Result<Solution, Error> {
        let dialect = world::dialect(base);
        let own = world::of_base(base);
        let world = world::of(self.recipe, &own, dialect)?;
        let repositories: Vec<_> = opened
            .iter()
            .zip(places)
            .map(|(opened, place)| Repository {
                index: &opened.index,
                tag: place.tag,
            })
            .collect();
        let request = Request {
            world: &world,
            repositories: &repositories,
            installed: Some(installed),
            dialect,
            architectures: &[self.arch.name()],
            upgrade: false,
        };
        solve(&request).map_err(|source| Error::Unsatisfiable {
            arch: self.arch,
            source: Box::new(source),
        })
    }

    /// Reads off a solution what is to be done.
    fn plan<'i>(
        solution: &Solution,
        places: &'i [Place<'_>],
        opened: &'i [Opened],
        installed: &Index,
    ) -> Vec<Planned<'i>> {
        let mut plan = Vec::new();
        for change in &solution.changes {
            let tag = change.tag.and_then(|tag| solution.tags.get(tag)).cloned();
            let old = change
                .installed
                .and_then(|position| installed.get(position));
            let old = old.map(|old| (old.name().to_owned(), old.version().to_owned()));
            match (change.kind, change.package, old) {
                (ChangeKind::Remove, _, Some((name, version))) => {
                    plan.push(Planned::Done(Step::Remove { name, version }));
                }
                (ChangeKind::Retag, _, Some((name, version))) => {
                    plan.push(Planned::Done(Step::Retag { name, version, tag }));
                }
                (
                    _,
                    Some(Source::Repository {
                        repository,
                        position,
                    }),
                    _,
                ) => {
                    let place = places.get(repository);
                    let of = opened.get(repository);
                    let stanza = of.and_then(|opened| opened.index.get(position));
                    if let (Some(place), Some(opened), Some(stanza)) = (place, of, stanza) {
                        let url = place.package(stanza.name(), stanza.version());
                        let key = opened.locked.key;
                        plan.push(Planned::Fetch {
                            stanza,
                            url,
                            key,
                            tag,
                        });
                    }
                }
                _ => {}
            }
        }
        plan
    }

    /// Fetches what is planned: by its hash where the previous lock has it.
    fn fetch(&self, plan: &[Planned<'_>]) -> Result<Vec<Blob>, Error> {
        let mut wishes = Vec::new();
        for planned in plan {
            let Planned::Fetch { stanza, url, .. } = planned else {
                continue;
            };
            let mut locked = self.before.iter().flat_map(|before| before.packages());
            let before =
                locked.find(|package| package.identity == stanza.identity() && package.url == *url);
            wishes.push(Wanted {
                urls: self.recipe.everywhere(url),
                size: Some(stanza.size()),
                sha256: before.map(|before| before.sha256),
                limit: stanza.size(),
                ..Wanted::new(file_name(url), url.clone())
            });
        }
        let fetched = self.context.fetch(&wishes)?;
        Ok(fetched.into_iter().map(|fetched| fetched.blob).collect())
    }
}

/// What is to be done, before the files that it takes are there.
enum Planned<'i> {
    /// A package is to be fetched and installed.
    Fetch {
        /// What the index says of it.
        stanza: Stanza<'i>,
        /// Where it is.
        url: String,
        /// The fingerprint of the index's key.
        key: Sha256,
        /// The tag that it is pinned by.
        tag: Option<String>,
    },
    /// Something that takes no file.
    Done(Step),
}

/// Returns what the lock says of a package that was fetched.
fn lock_package(
    stanza: &Stanza<'_>,
    url: &str,
    key: Sha256,
    tag: Option<&str>,
    blob: &Blob,
) -> Result<LockedPackage, Error> {
    let locked = LockedPackage {
        name: stanza.name().to_owned(),
        version: stanza.version().to_owned(),
        url: url.to_owned(),
        size: blob.size(),
        sha256: blob.sha256(),
        identity: stanza.identity(),
        key,
        tag: tag.map(str::to_owned),
        index_stanza: None,
    };
    let index_stanza = unusual_stanza(&locked, stanza, blob)?;
    Ok(LockedPackage {
        index_stanza,
        ..locked
    })
}

/// Returns the index's own words about a package where they are not just what the package says
/// of itself, as they nearly always are: the apk database gets the index's.
fn unusual_stanza(
    locked: &LockedPackage,
    stanza: &Stanza<'_>,
    blob: &Blob,
) -> Result<Option<String>, Error> {
    let fail = |source| Error::Package {
        package: format!("{}-{}", locked.name, locked.version),
        url: locked.url.clone(),
        source,
    };
    let file = blob.open_verified().map_err(Error::Cache)?;
    let package = Package::open(std::io::BufReader::new(file)).map_err(fail)?;
    let own = installed::Stanza::from_package(package.info(), package.identity(), locked.size);
    let said = installed::Stanza::parse(stanza.text().as_bytes());
    let same = said.is_some_and(|said| {
        // What an index never says comes from the package in either case.
        let replaces = own.replaces.clone();
        let replaces_priority = own.replaces_priority;
        own == installed::Stanza {
            replaces,
            replaces_priority,
            ..said
        }
    });
    Ok((!same).then(|| stanza.text().to_owned()))
}

/// Returns the last part of a URL.
pub(crate) fn file_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// Returns the last parts of an index's URL: every repository's has the same last one.
fn short_name(url: &str) -> String {
    let mut parts: Vec<_> = url.rsplit('/').take(3).collect();
    parts.reverse();
    parts.join("/")
}

/// Reads a lock that is not beside a recipe.
pub fn read_lock_file(path: &Path) -> Result<Lock, Error> {
    let text = host_file::read_text(path, MAX_LOCK_BYTES).map_err(|source| Error::ReadFile {
        what: "the lock",
        path: path.to_owned(),
        source,
    })?;
    Ok(Lock::parse(path, &text)?)
}
