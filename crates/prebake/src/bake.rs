//! From inputs that are on this machine to a tree: checked, then merged.

use std::sync::Arc;

use prebake_apk::digest::Sha256;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_fetch::Blob;
use prebake_image::ImageError;
use prebake_image::plan::Plan;
use prebake_rootfs::merge::{Base, NewPackage};
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Content, Merge, MergeError, Report, SourceId, Tree};

use crate::ahead::ahead;
use crate::arch::Arch;
use crate::blobs::Blobs;
use crate::context::Context;
use crate::customise::customise;
use crate::document::nearest;
use crate::error::Error;
use crate::finished;
use crate::keys;
use crate::lock::{LockedBase, LockedPackage, Step};
use crate::recipe::{Output, Recipe};
use crate::reporter::Stage;
use crate::scan::{self, Scanned, ScannedBase};
use crate::scripts::{self, Effect, Run, Scripts};
use crate::{unusual, world};

/// A tree being put together for one architecture.
#[derive(Debug)]
pub(crate) struct Bake<'c> {
    arch: Arch,
    merge: Merge,
    blobs: Blobs,
    /// The newest time among the inputs, in seconds since 1970: what is made here gets it.
    epoch: i64,
    context: &'c Context,
    /// Who says what the packages are to be: the index while a lock is made, then the lock.
    authority: &'static str,
    /// What is done when apk would run a script.
    scripts: Scripts<'c>,
    recipe: &'c Recipe,
    /// The scripts that apk would have run: whose, and which.
    due: Vec<(Vec<u8>, ScriptKind)>,
}

/// A tree and where its contents are.
#[derive(Debug)]
pub(crate) struct Baked {
    pub(crate) tree: Tree,
    pub(crate) blobs: Blobs,
    pub(crate) report: Report,
}

impl<'c> Bake<'c> {
    /// Begins with a base, or with nothing, and returns what it says of itself; the recipe may say
    /// whose rules apply.
    pub(crate) fn begin(
        arch: Arch,
        start: Option<(&LockedBase, &Blob)>,
        recipe: &'c Recipe,
        scripts: Scripts<'c>,
        context: &'c Context,
        authority: &'static str,
    ) -> Result<(Self, Base), Error> {
        let blobs = Blobs::new(Arc::clone(&context.reporter));
        let scan = |(locked, blob): (_, &Blob)| {
            let scanned = scan::base(arch, locked, blob, blobs.room(), None, context)?;
            Ok::<_, Error>((locked, blob.clone(), scanned))
        };
        let start = start.map(scan).transpose()?;
        Self::begin_scanned(arch, start, blobs, recipe, scripts, context, authority)
    }

    /// Begins as [`Bake::begin`] does, with a base that was read into the room of `blobs`.
    pub(crate) fn begin_scanned(
        arch: Arch,
        start: Option<(&LockedBase, Blob, ScannedBase)>,
        blobs: Blobs,
        recipe: &'c Recipe,
        scripts: Scripts<'c>,
        context: &'c Context,
        authority: &'static str,
    ) -> Result<(Self, Base), Error> {
        let mut bake = Self {
            arch,
            merge: Merge::new(0),
            blobs,
            epoch: 0,
            context,
            authority,
            scripts,
            recipe,
            due: Vec::new(),
        };
        let url = start.as_ref().map(|(locked, ..)| &locked.url);
        let mut base = if let Some((locked, blob, scanned)) = start {
            bake.take_base(locked, blob, scanned)?;
            let base = bake.merge.base_done();
            base.map_err(|source| Error::Merge { arch, source })?
        } else {
            let mut nothing = Base::default();
            nothing.keys = keys::files(&recipe.base.keys)?;
            let dialect = recipe.base.apk.unwrap_or_else(|| world::dialect(&nothing));
            let merge = Merge::scratch(0, dialect, arch.name(), &nothing.keys);
            bake.merge = merge.map_err(|source| Error::Merge { arch, source })?;
            nothing
        };
        let dialect = recipe.base.apk.unwrap_or_else(|| world::dialect(&base));
        base.dialect = Some(dialect);
        bake.merge.set_dialect(dialect);
        if let (Some(url), Some(found)) = (url, &base.arch)
            && found != arch.name()
        {
            return Err(Error::Mismatch {
                input: url.clone(),
                what: "the architecture",
                found: found.clone(),
                authority: "the recipe",
                expected: arch.name().to_owned(),
            });
        }
        Ok((bake, base))
    }

    /// Takes every entry of a base.
    fn take_base(
        &mut self,
        locked: &LockedBase,
        blob: Blob,
        scanned: ScannedBase,
    ) -> Result<(), Error> {
        let arch = self.arch;
        for (entry, file) in scanned.listing.0 {
            self.epoch = self.epoch.max(entry.mtime);
            unusual::check_name(self.recipe, "base", &locked.url, &entry)?;
            self.merge
                .base_entry(entry, file)
                .map_err(|source| Error::Merge { arch, source })?;
        }
        self.blobs.add(SourceId::BASE, blob, scanned.contents);
        self.blobs.add_base_file(scanned.file);
        Ok(())
    }

    fn merged<T>(&self, result: Result<T, MergeError>) -> Result<T, Error> {
        result.map_err(|source| Error::Merge {
            arch: self.arch,
            source,
        })
    }

    /// Holds a property of a package against what is known of it.
    fn expect(
        &self,
        locked: &LockedPackage,
        what: &'static str,
        found: String,
        expected: String,
    ) -> Result<(), Error> {
        if found == expected {
            return Ok(());
        }
        Err(Error::Mismatch {
            input: locked.url.clone(),
            what,
            found,
            authority: self.authority,
            expected,
        })
    }

    /// Takes every step; `blobs` are the files of those that install, in their order. `order`
    /// names packages in the order in which apk runs triggers.
    pub(crate) fn apply(
        &mut self,
        steps: &[Step],
        blobs: &[Blob],
        order: &[String],
    ) -> Result<(), Error> {
        let context = self.context;
        let packages = steps.iter().filter_map(|step| match step {
            Step::Install(package) => Some(package),
            Step::Remove { .. } | Step::Retag { .. } => None,
        });
        let packages = packages.zip(blobs);
        // Hashing and inflating take longer than merging, and need nothing of it.
        let arch = self.arch;
        let room = Arc::clone(self.blobs.room());
        let scan = |(locked, blob): (&LockedPackage, &Blob)| {
            scan::package(arch, locked, blob, &room, context)
        };
        let threads = context.threads.get();
        ahead(packages, threads, scan, |scanned| {
            self.take(steps, blobs, order, scanned)
        })
    }

    /// Takes every step, as [`Bake::apply`] does; `scanned` gives the packages that install, in
    /// their order.
    pub(crate) fn take(
        &mut self,
        steps: &[Step],
        blobs: &[Blob],
        order: &[String],
        scanned: &mut dyn FnMut() -> Option<Result<Scanned, Error>>,
    ) -> Result<(), Error> {
        let mut blobs = blobs.iter();
        for step in steps {
            match step {
                Step::Install(locked) => {
                    let (Some(blob), Some(scanned)) = (blobs.next(), scanned()) else {
                        break;
                    };
                    self.install(locked, blob, scanned?)?;
                }
                Step::Retag { name, tag, .. } => {
                    let tag = tag.as_ref().map(|tag| tag.clone().into_bytes());
                    let retagged = self.merge.retag_package(name.as_bytes(), tag);
                    self.merged(retagged)?;
                }
                Step::Remove { name, .. } => {
                    let begun = self.merge.begin_removal(name.as_bytes());
                    self.merged(begun)?;
                    self.take_scripts()?;
                    let ended = self.merge.end_removal();
                    self.merged(ended)?;
                    self.take_scripts()?;
                }
            }
        }
        let order: Vec<_> = order.iter().map(|name| name.clone().into_bytes()).collect();
        let begun = self.merge.begin_triggers(&order);
        self.merged(begun)?;
        self.take_scripts()
    }

    /// Does what the scripts would do that apk would run now.
    fn take_scripts(&mut self) -> Result<(), Error> {
        while let Some(call) = self.merge.script().cloned() {
            self.context.alive()?;
            self.due.push((call.name.clone(), call.kind));
            if self.recipe.scripts.skips(&call.name, call.kind) {
                let skipped = self.merge.skip_script();
                self.merged(skipped)?;
                continue;
            }
            let tree = self.merge.tree();
            let (arch, reporter) = (self.arch, &self.context.reporter);
            let tell = || {
                reporter.stage(&Stage::Running {
                    arch,
                    package: call.package.clone(),
                    script: call.kind,
                });
            };
            let effect = self
                .scripts
                .effect(&call, tree, &mut self.blobs, self.epoch, &tell)
                .map_err(|source| match self.context.alive() {
                    Err(interrupted) => interrupted,
                    Ok(()) => Error::Script {
                        arch,
                        package: call.package.clone(),
                        script: call.kind,
                        source,
                    },
                })?;
            let done = match effect {
                Effect::Skipped => self.merge.skip_script(),
                Effect::Needless => self.merge.apply(&[]),
                Effect::Changes(recorded) => {
                    unusual::check_made(self.recipe, &call, &recorded)?;
                    let changes = scripts::changes(&recorded, tree, self.epoch);
                    self.merge.apply(&changes)
                }
            };
            self.merged(done)?;
        }
        Ok(())
    }

    /// Fails if the recipe does without a script that apk would not have run.
    pub(crate) fn check_skipped(&self, recipe: &Recipe) -> Result<(), Error> {
        for skipped in &recipe.scripts.skipped {
            let mut due = self.due.iter();
            if !due.any(|(package, kind)| skipped.is(package, *kind)) {
                let name = &skipped.package.value;
                let others = self.due.iter();
                let others = others.filter(|(package, _)| package == name.as_bytes());
                let others: Vec<_> = others.map(|(_, kind)| format!("`{kind}`")).collect();
                let names = self.due.iter().map(|(package, _)| package);
                let names: Vec<_> = names.map(|name| String::from_utf8_lossy(name)).collect();
                let near = nearest(name, names.iter().map(AsRef::as_ref));
                let hint = match near {
                    _ if !others.is_empty() => format!("it has {}", others.join(", ")),
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "take it out of the recipe".to_owned(),
                };
                let message = format!("`{name}` has no such script to run for {}", self.arch);
                let span = skipped.package.span.clone();
                return Err(recipe.problem(span, message, Some(hint)).into());
            }
        }
        Ok(())
    }

    /// Returns what the scripts did and how many were run for it, where a record is written.
    pub(crate) fn take_runs(&mut self) -> (Vec<Run>, usize) {
        match std::mem::replace(&mut self.scripts, Scripts::Skip) {
            Scripts::Write(writer) => writer.into_runs(),
            Scripts::Skip | Scripts::Replay(..) => (Vec::new(), 0),
        }
    }

    /// Checks a package against all that is known of it and merges it.
    fn install(
        &mut self,
        locked: &LockedPackage,
        blob: &Blob,
        scanned: Scanned,
    ) -> Result<(), Error> {
        let Scanned {
            identity,
            info,
            stanza,
            scripts,
            listing,
            contents,
        } = scanned;
        let expect = |what, found, expected| self.expect(locked, what, found, expected);
        expect("the identity", identity.to_apk(), locked.identity.to_apk())?;
        expect("the name", info.name.clone(), locked.name.clone())?;
        expect("the version", info.version.clone(), locked.version.clone())?;
        self.epoch = self.epoch.max(info.build_date);
        let new = NewPackage::new(stanza, &info, &scripts);
        let is_empty = new.stanza.installed_size == 0;
        let begun = self.merge.begin_package(new);
        let own = self.merged(begun)?;
        self.take_scripts()?;
        for (entry, mut file) in listing?.0 {
            self.context.alive()?;
            let label = || format!("{}-{}", locked.name, locked.version);
            unusual::check_name(self.recipe, &locked.name, &label(), &entry)?;
            unusual::check_device(self.recipe, &locked.name, &label(), &entry)?;
            if let Some(FileContent {
                content: Content::Source { source, .. },
                ..
            }) = &mut file
            {
                *source = own;
            }
            if !is_empty {
                let taken = self.merge.package_entry(entry, file);
                self.merged(taken)?;
            }
        }
        self.blobs.add(own, blob.clone(), contents);
        let ended = self.merge.end_package();
        self.merged(ended)?;
        self.take_scripts()
    }

    /// Makes the recipe's own changes and writes the apk database.
    pub(crate) fn finish(mut self, recipe: &Recipe, world: &[Vec<u8>]) -> Result<Baked, Error> {
        self.merge.set_epoch(self.epoch);
        customise(&mut self.merge, recipe, self.epoch)?;
        let arch = self.arch;
        let warnings = unusual::check_twins(recipe, &self.merge)?;
        let (tree, mut report) = self
            .merge
            .finish(world, arch.name())
            .map_err(|source| Error::Merge { arch, source })?;
        report.warnings.extend(warnings);
        Ok(Baked {
            tree,
            blobs: self.blobs,
            report,
        })
    }
}

impl Baked {
    /// Returns the SHA-256 of the tree's stream. It is hashed unless one that depends on the very
    /// same was hashed before; either way the recipe's outputs need not be.
    pub(crate) fn identity(
        &mut self,
        recipe: &Recipe,
        context: &Context,
    ) -> Result<Sha256, ImageError> {
        let mut all: Vec<_> = recipe.outputs.iter().map(Output::encoding).collect();
        all.dedup_by_key(|encoding| encoding.borders());
        let mut keys = Vec::new();
        for encoding in all {
            let digest = |source| self.blobs.digest(source);
            keys.extend(Plan::new(&self.tree, encoding.borders(), &digest)?.key());
        }
        let sealed = &context.sealed;
        let known = keys.iter().find_map(|key| finished::identity(sealed, key));
        let identity = match known {
            Some(identity) => identity,
            None => prebake_image::tar::identity(&self.tree, &mut self.blobs)?.identity,
        };
        for key in keys {
            finished::set_identity(sealed, &key, &identity);
        }
        Ok(identity)
    }

    /// Returns the apk database's text.
    pub(crate) fn installed(&self) -> &[u8] {
        let path = GuestPath::from_relative(b"lib/apk/db/installed");
        let text = path.ok().and_then(|path| self.tree.inline(&path));
        text.unwrap_or_default()
    }

    /// Returns the names and versions of the packages of the apk database, by name.
    pub(crate) fn packages(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut packages: Vec<(String, String)> = Vec::new();
        for line in self.installed().split(|byte| *byte == b'\n') {
            match line.split_at_checked(2) {
                Some((b"P:", name)) => packages.push((text(name), String::new())),
                Some((b"V:", found)) => {
                    if let Some((_, version)) = packages.last_mut() {
                        *version = text(found);
                    }
                }
                _ => {}
            }
        }
        packages.sort();
        packages
    }
}
