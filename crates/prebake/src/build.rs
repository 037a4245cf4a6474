//! From a recipe and its lock to the outputs.

use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_image::encoding::Encoding;
use prebake_launch::About;
use prebake_rootfs::Report;
use prebake_rootfs::merge::Script as PackageScript;

use self::locked::{bake, fetch};
use self::wish::Wish;
use crate::arch::{self, Arch};
use crate::context::Context;
use crate::document::nearest;
use crate::error::Error;
use crate::lock::{Lock, LockedRootfs};
use crate::recipe::{Output, Recipe};
use crate::reporter::Stage;
use crate::scripts::Scripts;
use crate::template::Values;
use crate::update::{self, LockOptions, LockState};

pub(crate) mod locked;
mod wish;

/// How to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// Write no lock: fail where there is none, or it is not the recipe's.
    pub locked: bool,
    /// The architectures to build for, each one of the recipe's.
    pub arches: Vec<Arch>,
}

/// What a build made.
#[derive(Clone, Debug)]
pub struct Built {
    /// What became of the lock.
    pub lock: LockState,
    /// The files that are there now, in the order of architectures and outputs.
    pub outputs: Vec<BuiltOutput>,
}

/// A file that a build wrote or found current, and what is in it.
#[derive(Clone, Debug)]
pub struct BuiltOutput {
    /// Where it is.
    pub path: PathBuf,
    /// What it is for.
    pub arch: Arch,
    /// Whether it was written now; else an earlier build's is current, by its size and times.
    pub written: bool,
    /// The SHA-256 of the uncompressed tar stream.
    pub identity: Sha256,
    /// The SHA-256 of the file.
    pub sha256: Sha256,
    /// The file's size in bytes.
    pub size: u64,
    /// The tar stream's size in bytes.
    pub uncompressed_size: u64,
    /// How many packages its database has.
    pub packages: usize,
    /// What an import of the file is told of it.
    pub about: About,
    /// The scripts and triggers whose effect is in it, in apk's order.
    pub scripts_run: Vec<PackageScript>,
    /// The scripts and triggers that apk would have run and whose effect is not in it.
    pub scripts_not_run: Vec<PackageScript>,
    /// Files that were put aside as `….apk-new`.
    pub new_files: Vec<GuestPath>,
    /// What else a person should look at.
    pub warnings: Vec<String>,
}

/// Returns the architectures of `recipe` that `names` asks for; all of them where it is empty.
pub fn select_arches(recipe: &Recipe, names: &[String]) -> Result<Vec<Arch>, Error> {
    if names.is_empty() {
        return Ok(recipe.arches.clone());
    }
    let mut arches = Vec::new();
    for name in names {
        let arch = Arch::from_name(name).filter(|arch| recipe.arches.contains(arch));
        let arch = arch.ok_or_else(|| Error::NotInRecipe {
            near: Arch::from_alias(name)
                .filter(|arch| recipe.arches.contains(arch))
                .map(Arch::name)
                .or_else(|| nearest(name, recipe.arches.iter().map(|arch| arch.name()))),
            arch: name.clone(),
            known: arch::list(&recipe.arches),
        })?;
        if !arches.contains(&arch) {
            arches.push(arch);
        }
    }
    Ok(arches)
}

/// Bakes what the lock names and writes every output; makes the lock current first where that
/// is allowed.
pub fn build(recipe: &Recipe, options: &BuildOptions, context: &Context) -> Result<Built, Error> {
    // What was baked for the lock is not baked again for the outputs.
    let (lock, state, mut baked) = if options.locked {
        (update::check_lock(recipe)?, LockState::Current, Vec::new())
    } else {
        let options = LockOptions::default();
        let (locked, baked) = update::update_lock_baked(recipe, &options, context)?;
        (locked.lock, locked.state, baked)
    };
    let paths = output_paths(recipe, &lock, &options.arches)?;
    let record = update::read_record(recipe)?.unwrap_or_default();
    let mut wishes = Vec::new();
    for (arch, output, path) in paths {
        let Some(locked) = lock.rootfs(arch) else {
            continue;
        };
        update::check_record(recipe, locked, &record)?;
        wishes.push(Wish::new(recipe, locked, output.encoding(), path));
    }
    // What need not be baked comes first, so that the rest is fetched all at once.
    let mut outputs = Vec::new();
    for wish in &wishes {
        outputs.push(wish.current(recipe, context)?);
    }
    let due = wishes.iter().zip(&mut outputs);
    let mut due: Vec<_> = due.filter(|(_, output)| output.is_none()).collect();
    baked.retain(|(arch, _)| due.iter().any(|(wish, _)| wish.locked.arch == *arch));
    // What is still to be baked, and whether outputs of it have blocks of the inputs.
    let mut missing: Vec<&LockedRootfs> = Vec::new();
    let mut grafting = Vec::new();
    for (wish, _) in &due {
        let arch = wish.locked.arch;
        let is_baked = baked.iter().any(|(baked, _)| *baked == arch);
        if !is_baked && missing.iter().all(|locked| locked.arch != arch) {
            missing.push(wish.locked);
        }
        if wish.encoding.grafts() {
            grafting.push(arch);
        }
    }
    let blobs = if missing.is_empty() {
        Vec::new()
    } else {
        context.reporter.stage(&Stage::Fetching);
        fetch(recipe, &missing, context)?
    };
    let now = missing.into_iter().zip(blobs).map(|(locked, blobs)| {
        let scripts = Scripts::Replay(locked.arch, &record);
        let grafts = grafting.contains(&locked.arch);
        let (_, baked) = bake(recipe, locked, &blobs, scripts, grafts, context)?;
        Ok::<_, Error>((locked.arch, baked))
    });
    for baked in baked.into_iter().map(Ok).chain(now) {
        let (arch, mut baked) = baked?;
        for (wish, output) in due.iter_mut().filter(|(wish, _)| wish.locked.arch == arch) {
            **output = Some(wish.write(recipe, &mut baked, context)?);
        }
    }
    let outputs = outputs.into_iter().flatten().collect();
    Ok(Built {
        lock: state,
        outputs,
    })
}

/// Bakes one rootfs of the recipe's lock to `path`, as a `tar.gz`, whatever outputs the recipe
/// names. [`update_lock`](crate::update_lock) and [`check_lock`](crate::check_lock) return the
/// lock, which must be the recipe's.
pub fn bake_to(
    recipe: &Recipe,
    locked: &LockedRootfs,
    path: &Path,
    context: &Context,
) -> Result<BuiltOutput, Error> {
    let record = update::read_record(recipe)?.unwrap_or_default();
    update::check_record(recipe, locked, &record)?;
    let wish = Wish::new(recipe, locked, Encoding::DEFAULT, path.to_owned());
    if let Some(current) = wish.current(recipe, context)? {
        return Ok(current);
    }
    context.reporter.stage(&Stage::Fetching);
    let blobs = fetch(recipe, &[locked], context)?.concat();
    let scripts = Scripts::Replay(locked.arch, &record);
    let grafts = wish.encoding.grafts();
    let (_, mut baked) = bake(recipe, locked, &blobs, scripts, grafts, context)?;
    wish.write(recipe, &mut baked, context)
}

/// Returns the path of every output, and refuses two that are one file.
fn output_paths<'r>(
    recipe: &'r Recipe,
    lock: &Lock,
    arches: &[Arch],
) -> Result<Vec<(Arch, &'r Output, PathBuf)>, Error> {
    let mut paths: Vec<(Arch, &Output, PathBuf)> = Vec::new();
    for arch in arches {
        let release = lock
            .rootfs(*arch)
            .and_then(|rootfs| rootfs.release.as_deref());
        let values = Values {
            name: &recipe.name,
            release,
            arch: *arch,
        };
        for output in &recipe.outputs {
            let problem = |message: String, hint: &str| {
                recipe.problem(output.path.span.clone(), message, Some(hint.to_owned()))
            };
            let path = output.path.value.expand(&values).map_err(|_| {
                let message = "the path names the release, which is not known".to_owned();
                problem(message, "add `release` to [base]")
            })?;
            recipe.check_output(output, &path)?;
            let path = recipe.folder().join(path);
            if paths.iter().any(|(.., other)| *other == path) {
                let message = format!("two outputs are the one file `{}`", path.display());
                return Err(problem(message, "give each a path of its own").into());
            }
            paths.push((*arch, output, path));
        }
    }
    Ok(paths)
}

/// Returns the scripts and triggers that apk would have run and that were not, in its order.
pub(crate) fn not_run(report: &Report) -> Vec<PackageScript> {
    let triggers = report.triggers.iter().map(|trigger| PackageScript {
        package: trigger.package.clone(),
        kind: ScriptKind::Trigger,
    });
    report.scripts.iter().cloned().chain(triggers).collect()
}
