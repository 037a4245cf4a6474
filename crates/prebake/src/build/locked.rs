//! Bakes what a lock names: its files are fetched, checked side by side, and merged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use prebake_fetch::{Blob, Wanted};
use prebake_image::Compressed;
use prebake_rootfs::merge::Base;

use crate::ahead::{AHEAD, ahead};
use crate::arch::Arch;
use crate::bake::{Bake, Baked};
use crate::blobs::Blobs;
use crate::choose::{MAX_BASE_BYTES, file_name, wanted};
use crate::context::Context;
use crate::error::Error;
use crate::local;
use crate::lock::{LockedBase, LockedPackage, LockedRootfs};
use crate::recipe::Recipe;
use crate::reporter::Stage;
use crate::scan::{self, Scanned, ScannedBase};
use crate::scripts::{Record, Scripts};
use crate::world;

/// Fetches what `rootfs` name, all at once; returns each one's base, if it has one, and packages in
/// their order.
pub(super) fn fetch(
    recipe: &Recipe,
    rootfs: &[&LockedRootfs],
    context: &Context,
) -> Result<Vec<Vec<Blob>>, Error> {
    let mut wishes = Vec::new();
    for locked in rootfs {
        if let Some(base) = &locked.base {
            wishes.push(wanted_base(recipe, base, locked.arch)?);
        }
        let remote = locked.packages().filter(|package| !package.local);
        wishes.extend(remote.map(|package| wanted(recipe, package)));
    }
    let mut fetched = context
        .fetch(recipe, &wishes)?
        .into_iter()
        .map(|fetched| fetched.blob);
    let mut all = Vec::new();
    for locked in rootfs {
        let base = usize::from(locked.base.is_some());
        let mut blobs: Vec<_> = fetched.by_ref().take(base).collect();
        for package in locked.packages() {
            if package.local {
                blobs.push(local::locked_blob(recipe, package, context)?);
            } else {
                blobs.extend(fetched.by_ref().take(1));
            }
        }
        all.push(blobs);
    }
    Ok(all)
}

/// Returns the wish for the base of a lock.
pub(crate) fn wanted_base(recipe: &Recipe, base: &LockedBase, arch: Arch) -> Result<Wanted, Error> {
    Ok(Wanted {
        urls: recipe.base_everywhere(&base.url, arch)?,
        size: Some(base.size),
        sha256: Some(base.sha256),
        limit: MAX_BASE_BYTES,
        ..Wanted::new(file_name(&base.url), base.url.clone())
    })
}

/// Bakes one rootfs of a lock as a build would, and writes nothing. The lock may be an old one: a
/// `record` that is not its own is no error before a script asks for what is not in it.
pub(crate) fn bake_again(
    recipe: &Recipe,
    locked: &LockedRootfs,
    record: &Record,
    context: &Context,
) -> Result<Baked, Error> {
    context.reporter.stage(&Stage::Fetching);
    let blobs = fetch(recipe, &[locked], context)?.concat();
    let scripts = Scripts::Replay(locked.arch, record);
    let (_, mut baked) = bake(recipe, locked, &blobs, scripts, false, context)?;
    baked.blobs.rewind();
    Ok(baked)
}

/// Fetches, checks and merges what one rootfs of a lock names, without what scripts do; returns
/// what the base says of itself, and the tree.
pub(crate) fn bake_locked(
    recipe: &Recipe,
    locked: &LockedRootfs,
    context: &Context,
) -> Result<(Base, Baked), Error> {
    context.reporter.stage(&Stage::Fetching);
    let blobs = fetch(recipe, &[locked], context)?;
    let blobs = blobs.concat();
    bake(recipe, locked, &blobs, Scripts::Skip, false, context)
}

/// What is done on any thread while a rootfs is merged.
enum Job<'l> {
    Base(&'l LockedBase, &'l Blob, Option<SyncSender<Compressed>>),
    /// Find the blocks of the base, which takes about as long as reading it: then both are done at
    /// once, and the first segments need not wait for it.
    Blocks(Receiver<Compressed>),
    Package(&'l LockedPackage, &'l Blob),
}

/// What came of it.
enum Done {
    Base(ScannedBase),
    Blocks,
    Package(Box<Scanned>),
}

/// Checks and merges the inputs of one rootfs; `grafts` says whether outputs will have blocks of the
/// inputs.
pub(super) fn bake(
    recipe: &Recipe,
    locked: &LockedRootfs,
    blobs: &[Blob],
    scripts: Scripts<'_>,
    grafts: bool,
    context: &Context,
) -> Result<(Base, Baked), Error> {
    context.reporter.stage(&Stage::Merging(locked.arch));
    let (start, packages) = match (&locked.base, blobs.split_first()) {
        (None, _) => (None, blobs),
        (Some(base), Some((blob, packages))) => (Some((base, blob)), packages),
        (Some(_), None) => return Err(Error::Interrupted),
    };
    let arch = locked.arch;
    let files = Blobs::new(Arc::clone(&context.reporter));
    let room = Arc::clone(files.room());
    let merging = AtomicBool::new(true);
    let work = |job| {
        Ok(match job {
            Job::Base(base, blob, share) => {
                Done::Base(scan::base(arch, base, blob, &room, share, context)?)
            }
            Job::Blocks(shared) => {
                // The base was read before, or is too large for it, or cannot be read.
                if let Ok(shared) = shared.recv() {
                    shared.find_blocks(|| merging.load(Ordering::Relaxed));
                }
                Done::Blocks
            }
            Job::Package(package, blob) => {
                let scanned = scan::package(arch, package, blob, &room, context)?;
                Done::Package(Box::new(scanned))
            }
        })
    };
    let (share, shared) = grafts.then(|| sync_channel(1)).unzip();
    let base = start.map(|(base, blob)| Job::Base(base, blob, share));
    let installed = locked.packages().zip(packages);
    let installed = installed.map(|(package, blob)| Job::Package(package, blob));
    let mut jobs: Vec<_> = base.into_iter().chain(installed).collect();
    // As late as it is begun while the base is read: the merge waits for packages, and not for it.
    if let Some(shared) = shared {
        jobs.insert(jobs.len().min(AHEAD - 1), Job::Blocks(shared));
    }
    let threads = context.threads.get();
    let merge = |done: &mut dyn FnMut() -> Option<Result<Done, Error>>| {
        let base = match start {
            None => None,
            Some((base, blob)) => match done().transpose()? {
                Some(Done::Base(scanned)) => Some((base, blob.clone(), scanned)),
                _ => return Err(Error::Interrupted),
            },
        };
        let begun = Bake::begin_scanned(arch, base, files, recipe, scripts, context, "the lock");
        let (mut bake, facts) = begun?;
        let mut scanned = || loop {
            return match done()? {
                Ok(Done::Package(scanned)) => Some(Ok(*scanned)),
                Ok(Done::Base(_) | Done::Blocks) => continue,
                Err(error) => Some(Err(error)),
            };
        };
        bake.take(&locked.steps, packages, &locked.triggers, &mut scanned)?;
        Ok::<_, Error>((bake, facts))
    };
    let (bake, facts) = ahead(jobs.into_iter(), threads, work, |done| {
        let merged = merge(done);
        // Blocks that were not found by then are found by those who need them.
        merging.store(false, Ordering::Relaxed);
        merged
    })?;
    let world = world::combine(recipe, &local::entries(recipe, locked)?, &facts)?;
    let baked = bake.finish(recipe, &world)?;
    Ok((facts, baked))
}
