//! The lock's life: written, current, moved on.

use std::fmt;
use std::path::Path;

use crate::arch::{self, Arch};
use crate::choose::Chooser;
use crate::context::Context;
use crate::error::Error;
use crate::lock::{Lock, LockedRootfs, MAX_LOCK_BYTES};
use crate::recipe::Recipe;
use crate::scripts::{MAX_RECORD_BYTES, Record, record_path};
use crate::{host_file, local, write_file};

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
    let path = record_path(&recipe.lock_path());
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
    let there = read_record(recipe)?.unwrap_or_default();
    // A record alone is nobody's word for what a script did: what no lock names is run again.
    let recorded = there.vouched_for(previous.as_ref());
    let mut record = Record::default();
    let mut rootfs = Vec::new();
    for arch in &recipe.arches {
        let before = previous.as_ref().and_then(|lock| lock.rootfs(*arch));
        let chooser = Chooser {
            recipe,
            arch: *arch,
            before,
            recorded: &recorded,
            upgrade,
            context,
        };
        let (chosen, runs) = chooser.choose()?;
        rootfs.push(chosen);
        record.runs.extend(runs);
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
    context.alive()?;
    // A record without its lock is only not used; a lock without its record is not current.
    write_record(recipe, &there, &record)?;
    if state != LockState::Current {
        let path = recipe.lock_path();
        write_file(&path, lock.to_text().as_bytes())?;
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

/// Reads a lock that is not beside a recipe.
pub fn read_lock_file(path: &Path) -> Result<Lock, Error> {
    let text = host_file::read_text(path, MAX_LOCK_BYTES).map_err(|source| Error::ReadFile {
        what: "the lock",
        path: path.to_owned(),
        source,
    })?;
    Ok(Lock::parse(path, &text)?)
}
