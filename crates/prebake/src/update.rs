//! The lock's life: written, current, moved on.

use std::path::Path;

use crate::arch::{self, Arch};
use crate::bake::Baked;
use crate::changes::{self, Change};
use crate::choose::Chooser;
use crate::context::Context;
use crate::error::Error;
use crate::lock::{Lock, LockedRootfs, MAX_LOCK_BYTES};
use crate::recipe::Recipe;
use crate::scripts::{MAX_RECORD_BYTES, Record, record_path};
use crate::{host_file, local, write_file};

/// How far a lock moves on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// Not at all: what the recipe did not change stays what it was.
    #[default]
    Keep,
    /// To whatever the mirrors have now.
    All,
    /// These packages move on; all others stay at their versions.
    Only(Vec<String>),
}

/// How a lock is brought up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockOptions {
    /// How far it moves on.
    pub upgrade: Upgrade,
    /// Whether an index is taken that is older than the one the lock has of the same repository:
    /// see [`Error::OlderIndex`].
    pub allow_older_index: bool,
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
    let record = read_record(recipe)?.unwrap_or_default();
    for rootfs in &lock.rootfs {
        if let Some(url) = recipe.stranger(rootfs)? {
            return Ok(Some(format!("`{url}` is nowhere that the recipe names")));
        }
        if let Some(reason) = local::why_not_current(recipe, rootfs)? {
            return Ok(Some(reason));
        }
        if let Err(error) = check_record(recipe, rootfs, &record) {
            return Ok(Some(error.to_string()));
        }
    }
    Ok(None)
}

/// Reads the record of what scripts did, beside the recipe's lock; `None` if there is none.
pub(crate) fn read_record(recipe: &Recipe) -> Result<Option<Record>, Error> {
    read_record_beside(&recipe.lock_path())
}

/// Reads the record beside a lock; `None` if there is none.
pub(crate) fn read_record_beside(lock: &Path) -> Result<Option<Record>, Error> {
    let path = record_path(lock);
    match host_file::read_text(&path, MAX_RECORD_BYTES) {
        Ok(text) => Ok(Some(Record::parse(&path, &text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::ReadFile {
            what: "the record",
            path,
            source,
        }),
    }
}

/// Fails unless the record is the one that the lock names.
pub(crate) fn check_record(
    recipe: &Recipe,
    locked: &LockedRootfs,
    record: &Record,
) -> Result<(), Error> {
    let found = record.digest(locked.arch);
    // What a record has that no lock asks for does no harm: nothing looks for it.
    let what = match (locked.scripts, found) {
        (None, _) => return Ok(()),
        (Some(locked), Some(found)) if locked == found => return Ok(()),
        (Some(_), Some(_)) => "it was changed, or belongs to another lock",
        (Some(_), None) => "it is not there, or has nothing for it",
    };
    Err(Error::Record {
        path: record_path(&recipe.lock_path()),
        arch: locked.arch,
        what,
    })
}

/// Writes the record where it changed; takes it away where scripts do nothing.
fn write_record(recipe: &Recipe, before: &Record, record: &Record) -> Result<(), Error> {
    let path = record_path(&recipe.lock_path());
    if record == before {
        return Ok(());
    }
    if !record.runs.is_empty() {
        return write_file(&path, record.to_text().as_bytes());
    }
    fs_err::remove_file(&path).map_err(|source| Error::Write { path, source })
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
/// No index may be older than the lock's.
pub fn update_lock(recipe: &Recipe, upgrade: &Upgrade, context: &Context) -> Result<Locked, Error> {
    let options = LockOptions {
        upgrade: upgrade.clone(),
        allow_older_index: false,
    };
    update_lock_with(recipe, &options, context)
}

/// As [`update_lock`], with all that can be asked for.
///
/// A package that went back to an older version, or was rebuilt under one, is told to the context's
/// reporter.
pub fn update_lock_with(
    recipe: &Recipe,
    options: &LockOptions,
    context: &Context,
) -> Result<Locked, Error> {
    let (locked, _) = update_lock_baked(recipe, options, context)?;
    Ok(locked)
}

/// As [`update_lock_with`]; returns with it what was baked to get the identities, in the order of the
/// recipe's architectures: nothing where the lock was current.
pub(crate) fn update_lock_baked(
    recipe: &Recipe,
    options: &LockOptions,
    context: &Context,
) -> Result<(Locked, Vec<(Arch, Baked)>), Error> {
    let upgrade = &options.upgrade;
    let previous = read_lock(recipe)?;
    if let (Upgrade::Keep, Some(lock)) = (upgrade, &previous)
        && why_not_current(recipe, lock)?.is_none()
    {
        let locked = Locked {
            lock: lock.clone(),
            state: LockState::Current,
            changes: Vec::new(),
        };
        return Ok((locked, Vec::new()));
    }
    let there = read_record(recipe)?.unwrap_or_default();
    // A record alone is nobody's word for what a script did: what no lock names is run again.
    let recorded = there.vouched_for(previous.as_ref());
    let chosen = side_by_side(&recipe.arches, context, |arch, context| {
        let chooser = Chooser {
            recipe,
            arch,
            before: previous.as_ref().and_then(|lock| lock.rootfs(arch)),
            recorded: &recorded,
            upgrade,
            allow_older_index: options.allow_older_index,
            context,
        };
        chooser.choose()
    })?;
    let (mut rootfs, mut record, mut baked) = (Vec::new(), Record::default(), Vec::new());
    for (locked, runs, made) in chosen {
        baked.push((locked.arch, made));
        record.runs.extend(runs);
        rootfs.push(locked);
    }
    let lock = Lock {
        recipe: recipe.digest()?,
        rootfs,
    };
    let changes = changes::between(previous.as_ref(), &lock);
    for warning in changes.iter().filter_map(Change::warning) {
        context.reporter.notice(&warning);
    }
    let state = match &previous {
        Some(previous) if *previous == lock => LockState::Current,
        Some(_) => LockState::Updated,
        None => LockState::Written,
    };
    context.alive()?;
    // A record without its lock is only not used; a lock without its record is not current.
    write_record(recipe, &there, &record)?;
    if state != LockState::Current {
        let path = recipe.lock_path();
        write_file(&path, lock.to_text().as_bytes())?;
    }
    let locked = Locked {
        lock,
        state,
        changes,
    };
    Ok((locked, baked))
}

/// Does something for each architecture, for all at once, and returns what came of it in their
/// order. Of several errors the first architecture's is returned, whichever came first; what the
/// others still fetched then is in the cache.
fn side_by_side<T: Send>(
    arches: &[Arch],
    context: &Context,
    work: impl Fn(Arch, &Context) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    std::thread::scope(|scope| {
        let work = &work;
        let begin = |arch: &Arch| {
            let (arch, context) = (*arch, context.beside(*arch));
            scope.spawn(move || work(arch, &context))
        };
        let threads: Vec<_> = arches.iter().map(begin).collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}

/// As [`read_lock_file`], of a lock that nobody has looked at: a link that leads out of its folder is
/// refused, and so is one in the place of its record. What is wrong in either would be shown.
pub fn read_lock_file_untrusted(path: &Path) -> Result<Lock, Error> {
    crate::recipe::check_untrusted_lock(path)?;
    read_lock_file(path)
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
