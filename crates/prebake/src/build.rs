//! From a recipe and its lock to the outputs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use prebake_apk::digest::Sha256;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_fetch::{Blob, Wanted};
use prebake_image::archive::{self, Assembly, Options};
use prebake_image::encoding::Encoding;
use prebake_image::plan::Plan;
use prebake_image::{Compressed, ImageError};
use prebake_launch::{About, Package as ImagePackage};
use prebake_rootfs::Report;
use prebake_rootfs::merge::{Base, Script as PackageScript};

use crate::ahead::{AHEAD, ahead};
use crate::arch::{self, Arch};
use crate::bake::{Bake, Baked};
use crate::blobs::Blobs;
use crate::choose::{MAX_BASE_BYTES, file_name, wanted};
use crate::context::Context;
use crate::document::nearest;
use crate::error::Error;
use crate::finished::{self, Finished};
use crate::local;
use crate::lock::{Lock, LockedBase, LockedPackage, LockedRootfs};
use crate::output_file::OutputFile;
use crate::recipe::{Output, Recipe};
use crate::reporter::Stage;
use crate::scan::{self, Scanned, ScannedBase};
use crate::scripts::{Record, Scripts};
use crate::template::Values;
use crate::update::{self, LockState, Upgrade};
use crate::world;

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
    let (lock, state) = if options.locked {
        (update::check_lock(recipe)?, LockState::Current)
    } else {
        let locked = update::update_lock(recipe, &Upgrade::Keep, context)?;
        (locked.lock, locked.state)
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
    let mut rootfs: Vec<&LockedRootfs> = Vec::new();
    for (wish, output) in wishes.iter().zip(&outputs) {
        if output.is_none() && rootfs.iter().all(|locked| locked.arch != wish.locked.arch) {
            rootfs.push(wish.locked);
        }
    }
    let blobs = if rootfs.is_empty() {
        Vec::new()
    } else {
        context.reporter.stage(&Stage::Fetching);
        fetch(recipe, &rootfs, context)?
    };
    for (locked, blobs) in rootfs.into_iter().zip(blobs) {
        let scripts = Scripts::Replay(locked.arch, &record);
        let grafts = wishes.iter().zip(&outputs).any(|(wish, output)| {
            output.is_none() && wish.locked.arch == locked.arch && wish.encoding.grafts()
        });
        let (_, mut baked) = bake(recipe, locked, &blobs, scripts, grafts, context)?;
        for (wish, output) in wishes.iter().zip(&mut outputs) {
            if output.is_none() && wish.locked.arch == locked.arch {
                *output = Some(wish.write(recipe, &mut baked, context)?);
            }
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

/// Fetches what `rootfs` name, all at once; returns each one's base, if it has one, and packages in their order.
fn fetch(
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
fn bake(
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

/// An output that is to be there.
struct Wish<'l> {
    locked: &'l LockedRootfs,
    encoding: Encoding,
    path: PathBuf,
    /// The digest of all that the file depends on.
    digest: Sha256,
}

impl<'l> Wish<'l> {
    fn new(recipe: &Recipe, locked: &'l LockedRootfs, encoding: Encoding, path: PathBuf) -> Self {
        Self {
            digest: Finished::wish(recipe, locked, encoding),
            locked,
            encoding,
            path,
        }
    }

    fn write_error(&self, source: io::Error) -> Error {
        Error::Write {
            path: self.path.clone(),
            source,
        }
    }

    /// Returns the output if it is there already, or can be put together from what is kept.
    fn current(&self, recipe: &Recipe, context: &Context) -> Result<Option<BuiltOutput>, Error> {
        context.alive()?;
        let Some(finished) = Finished::read(&context.sealed, &self.digest) else {
            return Ok(None);
        };
        if finished::is_current(&context.sealed, &self.path, &self.digest) {
            return Ok(Some(self.built(recipe, finished, false)));
        }
        let Some(assembly) = finished.assembly(self.encoding) else {
            return Ok(None);
        };
        context.reporter.stage(&Stage::Writing(self.locked.arch));
        let mut file = OutputFile::create(&self.path).map_err(|error| self.write_error(error))?;
        let mut out = Stoppable {
            out: &mut file,
            context,
        };
        let threads = context.threads.get();
        let whole = archive::assemble(&assembly, &context.sealed, &mut out, threads);
        if !whole.map_err(|error| self.image_error(error, context))? {
            return Ok(None);
        }
        self.commit(file, context)?;
        Ok(Some(self.built(recipe, finished, true)))
    }

    /// Writes the output.
    fn write(
        &self,
        recipe: &Recipe,
        baked: &mut Baked,
        context: &Context,
    ) -> Result<BuiltOutput, Error> {
        context.reporter.stage(&Stage::Writing(self.locked.arch));
        let mut file = OutputFile::create(&self.path).map_err(|error| self.write_error(error))?;
        baked.blobs.rewind();
        let blobs = &mut baked.blobs;
        let plan = Plan::new(&baked.tree, self.encoding.borders(), &|source| {
            blobs.digest(source)
        });
        let plan = plan.map_err(|error| self.image_error(error, context))?;
        let key = plan.key();
        let known = key.and_then(|key| finished::identity(&context.sealed, &key));
        let options = Options {
            threads: context.threads.get(),
            encoding: self.encoding,
            identity: known,
        };
        let mut out = Stoppable {
            out: &mut file,
            context,
        };
        let written = archive::write_plan(&plan, blobs, &context.sealed, &mut out, &options);
        let written = written.map_err(|error| self.image_error(error, context))?;
        if let (Some(key), None) = (key, known) {
            finished::set_identity(&context.sealed, &key, &written.identity);
        }
        let locked = self.locked;
        if written.identity != locked.identity {
            return Err(Error::Identity {
                arch: locked.arch,
                found: written.identity,
                expected: locked.identity,
            });
        }
        let report = &baked.report;
        let finished = Finished {
            sha256: written.compressed,
            size: written.compressed_length,
            uncompressed_size: written.uncompressed_length,
            packages: baked.packages(),
            scripts_run: report.ran.clone(),
            scripts_not_run: not_run(report),
            new_files: report.new_files.clone(),
            warnings: report.warnings.clone(),
            segments: Assembly::of(&plan, self.encoding).map(|assembly| assembly.segments),
        };
        finished.write(&context.sealed, &self.digest);
        self.commit(file, context)?;
        context.sealed.prune();
        Ok(self.built(recipe, finished, true))
    }

    /// Puts the file under its name.
    fn commit(&self, file: OutputFile, context: &Context) -> Result<(), Error> {
        context.alive()?;
        file.commit().map_err(|error| self.write_error(error))?;
        finished::stamp(&context.sealed, &self.path, &self.digest);
        Ok(())
    }

    fn image_error(&self, error: ImageError, context: &Context) -> Error {
        match error {
            _ if context.cancel.is_cancelled() => Error::Interrupted,
            ImageError::Output(source) => self.write_error(source),
            source => Error::Image {
                path: self.path.clone(),
                source,
            },
        }
    }

    fn built(&self, recipe: &Recipe, finished: Finished, written: bool) -> BuiltOutput {
        let locked = self.locked;
        let packages = finished.packages.into_iter();
        let packages: Vec<_> = packages
            .map(|(name, version)| ImagePackage {
                name: name.into(),
                version: version.into(),
            })
            .collect();
        BuiltOutput {
            path: self.path.clone(),
            arch: locked.arch,
            written,
            identity: locked.identity,
            sha256: finished.sha256,
            size: finished.size,
            uncompressed_size: finished.uncompressed_size,
            packages: packages.len(),
            about: About {
                name: recipe.name.clone().into(),
                release: locked.release.clone().unwrap_or_default().into(),
                arch: locked.arch.name().into(),
                identity: locked.identity,
                unpacked: finished.uncompressed_size,
                packages: packages.into(),
            },
            scripts_run: finished.scripts_run,
            scripts_not_run: finished.scripts_not_run,
            new_files: finished.new_files,
            warnings: finished.warnings,
        }
    }
}

/// Returns the scripts and triggers that apk would have run and that were not, in its order.
pub(crate) fn not_run(report: &Report) -> Vec<PackageScript> {
    let triggers = report.triggers.iter().map(|trigger| PackageScript {
        package: trigger.package.clone(),
        kind: ScriptKind::Trigger,
    });
    report.scripts.iter().cloned().chain(triggers).collect()
}

/// Stops writing when somebody asked to stop.
struct Stoppable<'a> {
    out: &'a mut OutputFile,
    context: &'a Context,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.context.cancel.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
