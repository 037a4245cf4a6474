//! Locks one architecture: base, indexes, packages, and the identity of what comes of them.

use std::collections::VecDeque;
use std::time::Duration;

use prebake_apk::digest::Sha256;
use prebake_apk::index::{Index, Stanza};
use prebake_apk::installed;
use prebake_apk::package::ScriptKind;
use prebake_apk::version::{Dialect, is_valid};
use prebake_fetch::{Blob, Kind as FetchKind, Remembered, Wanted};
use prebake_rootfs::merge::{Base, Report};
use prebake_solve::{ChangeKind, Repository, Request, Solution, SolveError, Source, solve};

use crate::arch::Arch;
use crate::bake::{Bake, Baked};
use crate::context::Context;
use crate::document::nearest;
use crate::error::Error;
use crate::keep::Held;
use crate::local::Local;
use crate::lock::{LockedBase, LockedPackage, LockedRootfs, Step};
use crate::places::{self, Place};
use crate::recipe::Recipe;
use crate::reporter::Stage;
use crate::repositories::{Moment, Opened, Reading, Repositories};
use crate::scripts::{Record, Run, ScriptError, Scripts};
use crate::update::Upgrade;
use crate::{build, package_file, world};

/// The largest base that is taken, in bytes. Alpine's are under 5 MB.
pub const MAX_BASE_BYTES: u64 = 1 << 30;

/// What is asked for one architecture.
pub(crate) struct Chooser<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) arch: Arch,
    /// What the previous lock says of it.
    pub(crate) before: Option<&'a LockedRootfs>,
    /// What is known of scripts.
    pub(crate) recorded: &'a Record,
    pub(crate) upgrade: &'a Upgrade,
    /// Whether an index may be older than the lock's.
    pub(crate) allow_older_index: bool,
    pub(crate) context: &'a Context,
}

/// What was chosen, with every file that it takes.
struct Chosen {
    indexes: Vec<Opened>,
    /// The world's entries for the packages that lie beside the recipe.
    locals: Vec<String>,
    steps: Vec<Step>,
    blobs: Vec<Blob>,
    /// The names of all packages in the order in which apk runs triggers.
    order: Vec<String>,
}

impl Chooser<'_> {
    /// Chooses, fetches and merges all of it; the merge is what checks the files. Returns with it
    /// what scripts did, and what came of it.
    pub(crate) fn choose(&self) -> Result<(LockedRootfs, Vec<Run>, Baked), Error> {
        let (recipe, arch, context) = (self.recipe, self.arch, self.context);
        context.reporter.stage(&Stage::Base(arch));
        let start = if recipe.base.scratch {
            None
        } else {
            Some(self.base()?)
        };
        let from = start.as_ref().map(|(base, blob)| (base, blob));
        let (mut bake, facts) = self.begin(from)?;
        if let Some((base, _)) = &start {
            self.check_release(base, &facts)?;
        }
        let chosen = self.packages(&facts, start.as_ref().map(|(base, _)| base))?;
        context.reporter.stage(&Stage::Merging(arch));
        bake.apply(&chosen.steps, &chosen.blobs, &chosen.order)?;
        bake.check_skipped(recipe)?;
        let (runs, ran) = bake.take_runs();
        if ran > 0 {
            // What was run is run again, later, to see whether it does the same.
            context.cancel.wait(BETWEEN_RUNS);
            context.alive()?;
            let (mut again, _) = self.begin(from)?;
            again.apply(&chosen.steps, &chosen.blobs, &chosen.order)?;
            same_twice(arch, &runs, &again.take_runs().0)?;
        }
        let base = start.map(|(base, _)| base);
        let world = world::combine(recipe, &chosen.locals, &facts)?;
        let mut baked = bake.finish(recipe, &world)?;
        context.reporter.stage(&Stage::Writing(arch));
        let identity = baked.identity(recipe, context);
        let identity = identity.map_err(|source| Error::Image {
            path: recipe.lock_path(),
            source,
        })?;
        let record = Record { runs };
        let scripts = record.digest(arch);
        let mut triggers = chosen.order;
        triggers.retain(|name| has_trigger(&baked.report, name));
        let release = facts
            .release
            .or_else(|| recipe.release().map(str::to_owned));
        let indexes = chosen.indexes.into_iter().map(|opened| opened.locked);
        let locked = LockedRootfs {
            arch,
            release,
            identity,
            scripts,
            scripts_not_run: build::not_run(&baked.report),
            triggers,
            base,
            indexes: indexes.collect(),
            steps: chosen.steps,
        };
        Ok((locked, record.runs, baked))
    }

    /// Begins a bake that writes down what scripts do.
    fn begin(&self, start: Option<(&LockedBase, &Blob)>) -> Result<(Bake<'_>, Base), Error> {
        let scripts = Scripts::writing(self.arch, self.recorded, self.context.cancel.clone());
        Bake::begin(
            self.arch,
            start,
            self.recipe,
            scripts,
            self.context,
            "the index",
        )
    }

    /// Fetches the base: by its hash where the recipe or the previous lock has one.
    fn base(&self) -> Result<(LockedBase, Blob), Error> {
        let pins = &self.recipe.base.sha256;
        let pin = pins.iter().find(|(arch, _)| *arch == self.arch);
        let pin = pin.map(|(_, sha256)| *sha256);
        let url = self.recipe.base_url(self.arch)?;
        // A release's base never changes under its URL, so the first lock's word stands.
        let before = self.before.and_then(|before| before.base.as_ref());
        let before = before.filter(|before| before.url == url);
        let pin = pin.or_else(|| before.map(|before| before.sha256));
        if pin.is_none() {
            self.recipe.refuse_changeable(&url, self.arch)?;
        }
        let wanted = Wanted {
            urls: self.recipe.base_everywhere(&url, self.arch)?,
            sha256: pin,
            limit: MAX_BASE_BYTES,
            // Nothing signs a base, so that the cache's word for it is not enough.
            remembered: Remembered::Summed,
            ..Wanted::new(file_name(&url), url.clone())
        };
        let fetched = self
            .context
            .fetch(self.recipe, &[wanted])?
            .into_iter()
            .next();
        let blob = fetched
            .map(|fetched| fetched.blob)
            .ok_or(Error::Interrupted)?;
        let (size, sha256) = (blob.size(), blob.sha256());
        Ok((LockedBase { url, size, sha256 }, blob))
    }

    /// Refuses a base of another release than the recipe names. Nothing signs a base, but what it
    /// says of itself in `etc/alpine-release` keeps a mirror from handing out an older one of
    /// Alpine's own, or something that is no base at all.
    fn check_release(&self, base: &LockedBase, facts: &Base) -> Result<(), Error> {
        let Some(release) = self
            .recipe
            .release()
            .filter(|_| self.recipe.base.url.is_none())
        else {
            return Ok(());
        };
        let found = facts.release.as_deref().unwrap_or("none");
        // A snapshot of edge is called by its day, and says `3.23.0_alpha20250612`.
        if found == release || found.ends_with(&format!("_alpha{release}")) {
            return Ok(());
        }
        Err(Error::Mismatch {
            input: base.url.clone(),
            what: "the release",
            found: found.to_owned(),
            authority: "the recipe",
            expected: release.to_owned(),
        })
    }

    /// Chooses and fetches the packages, from the indexes that fit how far the lock may move.
    fn packages(&self, facts: &Base, base: Option<&LockedBase>) -> Result<Chosen, Error> {
        let places = self.recipe.places(self.arch)?;
        world::check_tags(self.recipe, &places)?;
        self.check_names(facts)?;
        let repositories = Repositories {
            recipe: self.recipe,
            places: &places,
            before: self.before,
            may_be_older: self.allow_older_index,
            base: facts,
            context: self.context,
        };
        let installed = Index::parse(facts.installed.clone());
        let installed = installed.map_err(|source| Error::IndexText {
            url: format!(
                "{}, lib/apk/db/installed",
                base.map_or("nothing", |base| base.url.as_str())
            ),
            source,
        })?;
        // Adding to a recipe must not move what it had: what is locked is held, among the locked
        // indexes first, and where they or what they name are gone among the current ones.
        let mut moments = match (self.before, self.upgrade) {
            (Some(_), Upgrade::Keep) => VecDeque::from([Moment::Locked, Moment::Current]),
            _ => VecDeque::from([Moment::Current]),
        };
        let mut reading = Reading::Parsed;
        let held = self.held()?;
        let locals = Local::read_all(self.recipe, self.arch, facts, self.context)?;
        let mut unsatisfiable = None;
        while let Some(moment) = moments.pop_front() {
            self.context.reporter.stage(&Stage::Indexes(self.arch));
            let mut indexes = match (
                repositories.open(moment, &held, reading),
                unsatisfiable.take(),
            ) {
                (Ok(Some(indexes)), _) => indexes,
                (Ok(None), _) => continue,
                // The current indexes were only asked because the locked ones did not do: that they
                // are not to be had says less, unless they were played back.
                (Err(error @ Error::OlderIndex { .. }), _)
                | (Err(_), Some(error))
                | (Err(error), None) => return Err(error),
            };
            self.context.reporter.stage(&Stage::Choosing(self.arch));
            let solution = self.solve(
                &places,
                &indexes,
                &locals,
                facts,
                &installed,
                !held.is_empty(),
            );
            // What was chosen by is held against what was signed while the packages come.
            let (settled, blobs) = std::thread::scope(|scope| {
                let settled = scope.spawn(|| repositories.settle(&indexes));
                let blobs = match &solution {
                    Ok(solution) => {
                        self.context.reporter.stage(&Stage::Packages(self.arch));
                        self.fetch(&plan(solution, &places, &indexes, &locals, &installed))
                    }
                    Err(_) => Ok(Vec::new()),
                };
                (settled.join(), blobs)
            });
            let settled = settled.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            let Some(settled) = settled else {
                // The cache was wrong, and so may all that followed from it be.
                reading = Reading::Signed;
                moments.push_front(moment);
                continue;
            };
            for (index, signed) in indexes.iter_mut().zip(settled) {
                if let Some(signed) = signed {
                    *index = signed;
                }
            }
            let solution = match solution {
                // What is asked for may have come to the mirrors since.
                Err(error @ Error::Unsatisfiable { .. }) if moment == Moment::Locked => {
                    unsatisfiable = Some(error);
                    continue;
                }
                other => other?,
            };
            let blobs = match blobs {
                Err(Error::Fetch(error))
                    if moment == Moment::Locked && error.kind() == FetchKind::NotFound =>
                {
                    continue;
                }
                other => other?,
            };
            let plan = plan(&solution, &places, &indexes, &locals, &installed);
            let (steps, blobs) = steps(plan, &blobs)?;
            let name = |source: &Source| match source {
                Source::Installed(position) => installed.get(*position),
                Source::Repository {
                    repository,
                    position,
                } => indexes.get(*repository)?.index.get(*position),
            };
            let names = solution.order.iter().filter_map(name);
            let order = names.map(|stanza| stanza.name().to_owned()).collect();
            return Ok(Chosen {
                order,
                indexes,
                locals: locals.iter().map(Local::entry).collect(),
                steps,
                blobs,
            });
        }
        Err(Error::Interrupted)
    }

    /// Returns the packages that stay at the versions of the previous lock.
    fn held(&self) -> Result<Vec<Held>, Error> {
        let before = self.before.iter().flat_map(|before| before.packages());
        // What lies beside the recipe is whatever lies there now.
        let before = before.filter(|package| !package.local);
        let stays = |package: &&LockedPackage| match self.upgrade {
            Upgrade::Keep => true,
            Upgrade::Only(names) => !names.contains(&package.name),
            Upgrade::All => false,
        };
        // What the recipe's repositories cannot have is not in any of their indexes either, and no
        // other host is asked for it.
        let places = self.recipe.places(self.arch)?;
        let is_there = |package: &&LockedPackage| places::have(&places, package);
        let packages: Vec<_> = before.filter(stays).filter(is_there).collect();
        let wishes = packages.iter().map(|package| wanted(self.recipe, package));
        let wishes: Vec<_> = wishes.collect();
        let fetched = self.context.fetch(self.recipe, &wishes)?;
        let blobs = fetched.into_iter().map(|fetched| fetched.blob);
        let held = packages.into_iter().zip(blobs);
        held.map(|(package, blob)| Held::read(package, &blob))
            .collect()
    }

    /// Refuses to upgrade what the rootfs does not have.
    fn check_names(&self, facts: &Base) -> Result<(), Error> {
        let (Upgrade::Only(names), Some(before)) = (self.upgrade, self.before) else {
            return Ok(());
        };
        let base = Index::parse(facts.installed.clone()).ok();
        let base = || {
            base.iter()
                .flat_map(Index::iter)
                .map(|package| package.name())
        };
        let locked = || before.packages().map(|package| package.name.as_str());
        for name in names {
            if !locked().chain(base()).any(|known| known == name) {
                let near = nearest(name, locked());
                return Err(Error::NoSuchPackage {
                    name: name.clone(),
                    arch: self.arch,
                    near: near.map(str::to_owned),
                });
            }
        }
        Ok(())
    }

    fn solve(
        &self,
        places: &[Place<'_>],
        opened: &[Opened],
        locals: &[Local],
        base: &Base,
        installed: &Index,
        held: bool,
    ) -> Result<Solution, Error> {
        let dialect = world::dialect(base);
        let own = world::of_base(base);
        let entries: Vec<_> = locals.iter().map(Local::entry).collect();
        let (world, added) = world::of(self.recipe, &entries, &own, dialect)?;
        let repositories = opened.iter().zip(places).map(|(opened, place)| Repository {
            index: &opened.index,
            tag: place.tag,
        });
        // After the repositories, as further ones: the world's entry says which it wants.
        let locals = locals.iter().map(|local| Repository {
            index: local.index(),
            tag: None,
        });
        let repositories: Vec<_> = repositories.chain(locals).collect();
        let request = Request {
            world: &world,
            added: &added,
            repositories: &repositories,
            installed: Some(installed),
            dialect,
            architectures: &[self.arch.name()],
            upgrade: false,
        };
        let arch = self.arch;
        solve(&request).map_err(|error| match error {
            SolveError::Unsatisfiable(why) => Error::Unsatisfiable {
                arch,
                held,
                why: Box::new(why),
            },
            source => Error::Solve { arch, source },
        })
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
        let fetched = self.context.fetch(self.recipe, &wishes)?;
        Ok(fetched.into_iter().map(|fetched| fetched.blob).collect())
    }
}

/// Says whether the package of that name has a trigger that was due.
fn has_trigger(report: &Report, name: &str) -> bool {
    let ran = report.ran.iter();
    let ran = ran.filter(|script| script.kind == ScriptKind::Trigger);
    let missing = report.triggers.iter().map(|trigger| &trigger.package);
    ran.map(|script| &script.package)
        .chain(missing)
        .any(|label| {
            let version = label.strip_prefix(name);
            let version = version.and_then(|rest| rest.strip_prefix('-'));
            version.is_some_and(|version| is_valid(version, Dialect::V2))
        })
}

/// How long a script's second run comes after its first, so that no second of the clock is the
/// same for both.
const BETWEEN_RUNS: Duration = Duration::from_millis(1100);

/// Fails unless each script did the same when it was run again.
fn same_twice(arch: Arch, once: &[Run], again: &[Run]) -> Result<(), Error> {
    for (one, other) in once.iter().zip(again) {
        // What a script sees differs only if one before it did something else.
        if let Some(path) = one.difference(other) {
            return Err(Error::Script {
                arch,
                package: one.package.clone(),
                script: one.script,
                source: ScriptError::Differs { path },
            });
        }
    }
    Ok(())
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
    /// A package that lies beside the recipe is to be installed.
    Local {
        /// Which.
        local: &'i Local,
        /// The tag that it is pinned by.
        tag: Option<String>,
    },
    /// Something that takes no file.
    Done(Step),
}

/// Reads off a solution what is to be done.
fn plan<'i>(
    solution: &Solution,
    places: &[Place<'_>],
    opened: &'i [Opened],
    locals: &'i [Local],
    installed: &Index,
) -> Vec<Planned<'i>> {
    let opened_count = opened.len();
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
                let opened = opened.get(repository);
                let stanza = opened.and_then(|opened| opened.index.get(position));
                // A repository may have the very package that lies beside the recipe; the solver
                // takes the first of the same identity.
                let identity = stanza.map(|stanza| stanza.identity());
                let mut same = locals.iter();
                let local = match repository.checked_sub(opened_count) {
                    Some(local) => locals.get(local),
                    None => same.find(|local| Some(local.identity()) == identity),
                };
                if let Some(local) = local {
                    plan.push(Planned::Local { local, tag });
                    continue;
                }
                if let (Some(place), Some(opened), Some(stanza)) =
                    (places.get(repository), opened, stanza)
                {
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

/// Returns the lock's steps and the files of those that install, in their order; `blobs` are those
/// that were fetched.
fn steps(plan: Vec<Planned<'_>>, blobs: &[Blob]) -> Result<(Vec<Step>, Vec<Blob>), Error> {
    let mut blobs = blobs.iter();
    let mut all = Vec::new();
    let mut steps = Vec::with_capacity(plan.len());
    for planned in plan {
        steps.push(match planned {
            Planned::Done(step) => step,
            Planned::Local { local, tag } => {
                all.push(local.blob().clone());
                Step::Install(local.locked(tag))
            }
            Planned::Fetch {
                stanza,
                url,
                key,
                tag,
            } => {
                let Some(blob) = blobs.next() else { break };
                all.push(blob.clone());
                let locked = LockedPackage {
                    local: false,
                    name: stanza.name().to_owned(),
                    version: stanza.version().to_owned(),
                    url,
                    size: blob.size(),
                    sha256: blob.sha256(),
                    identity: stanza.identity(),
                    key: Some(key),
                    tag,
                    index_stanza: None,
                };
                let index_stanza = unusual_stanza(&locked, &stanza, blob)?;
                Step::Install(LockedPackage {
                    index_stanza,
                    ..locked
                })
            }
        });
    }
    Ok((steps, all))
}

/// Returns the index's own words about a package where they are not just what the package says
/// of itself, as they nearly always are: the apk database gets the index's.
fn unusual_stanza(
    locked: &LockedPackage,
    stanza: &Stanza<'_>,
    blob: &Blob,
) -> Result<Option<String>, Error> {
    let package = package_file::open(locked, blob)?;
    let own = package_file::own_stanza(locked, &package);
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

/// Returns the wish for a package of a lock.
pub(crate) fn wanted(recipe: &Recipe, package: &LockedPackage) -> Wanted {
    Wanted {
        urls: recipe.everywhere(&package.url),
        size: Some(package.size),
        sha256: Some(package.sha256),
        limit: package.size,
        ..Wanted::new(file_name(&package.url), package.url.clone())
    }
}

/// Returns the last part of a URL.
pub(crate) fn file_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
