//! An output that is to be there: found, put together of what is kept, or written.

use std::io::{self, Write};
use std::path::PathBuf;

use prebake_apk::digest::Sha256;
use prebake_image::ImageError;
use prebake_image::archive::{self, Assembly, Options};
use prebake_image::encoding::Encoding;
use prebake_image::plan::Plan;
use prebake_launch::{About, Package as ImagePackage};

use super::{BuiltOutput, not_run};
use crate::bake::Baked;
use crate::context::Context;
use crate::error::Error;
use crate::finished::{self, Finished};
use crate::lock::LockedRootfs;
use crate::output_file::OutputFile;
use crate::recipe::Recipe;
use crate::reporter::Stage;

/// An output that is to be there.
pub(super) struct Wish<'l> {
    pub(super) locked: &'l LockedRootfs,
    pub(super) encoding: Encoding,
    path: PathBuf,
    /// The digest of all that the file depends on.
    digest: Sha256,
}

impl<'l> Wish<'l> {
    pub(super) fn new(
        recipe: &Recipe,
        locked: &'l LockedRootfs,
        encoding: Encoding,
        path: PathBuf,
    ) -> Self {
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
    pub(super) fn current(
        &self,
        recipe: &Recipe,
        context: &Context,
    ) -> Result<Option<BuiltOutput>, Error> {
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
    pub(super) fn write(
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
