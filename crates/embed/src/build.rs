//! The build script's half: from a recipe to what `include_rootfs!` includes.

mod cache_folder;
mod error;
mod offline;
mod report;
mod source;
mod target;
mod written;

use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prebake::lock::Lock;
use prebake::recipe::Recipe;
use prebake::vendor::MANIFEST;
use prebake::{Cancel, Context, ErrorKind, HostOptions, LockState, Upgrade};
use prebake_apk::digest::Sha256;

use self::cache_folder::CacheFolder;
pub use self::error::BakeError;
use self::report::Told;
use self::target::Target;
use self::written::Written;

/// Bakes the recipe in this file (or folder) for the architecture that cargo builds for, so that
/// [`include_rootfs!`](crate::include_rootfs) finds it: [`Bake::run`] with nothing else asked for.
pub fn bake(recipe: impl Into<PathBuf>) {
    Bake::new(recipe).run();
}

/// A bake by a build script, with what can be asked of it.
///
/// It writes nothing but into cargo's `OUT_DIR`, and where there is no lock, or it is not the
/// recipe's, that lock (with `prebake.scripts`): as `prebake build` does, and as cargo does with
/// `Cargo.lock`. A published or vendored package is never written to, and neither is anything
/// where nothing may be fetched, `PREBAKE_LOCKED=1` is set or [`Bake::locked`] says so.
///
/// Nothing is fetched that is in the cache or a [vendored](Bake::vendor) folder, and nothing at
/// all where cargo is offline: by `CARGO_NET_OFFLINE`, by `net.offline` in its configuration, on
/// Linux also by `--offline` and `--frozen`. Cargo does not hand these two on to build scripts,
/// so that elsewhere `PREBAKE_OFFLINE=1` has to say it.
///
/// The build script runs again when the recipe, its lock or a file that they name changes; where
/// `OUT_DIR` has that rootfs already, nothing is baked. What it does meanwhile is shown by
/// `cargo build -vv`.
#[derive(Clone, Debug)]
pub struct Bake {
    recipe: PathBuf,
    placement: Placement,
    vendored: Vec<PathBuf>,
    cache: Option<PathBuf>,
    locked: bool,
    offline: bool,
}

/// Where the bytes of a rootfs go. The program's code is the same for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// Into the program.
    #[default]
    Embedded,
    /// Into a file beside the program, `NAME.rootfs.tar.gz`, which goes wherever that goes. The
    /// build puts it beside the programs that it builds.
    SideCar,
}

/// What a bake has made.
#[derive(Clone, Debug)]
pub struct Baked {
    /// The SHA-256 of the uncompressed tar stream.
    pub identity: Sha256,
    /// The `tar.gz` in `OUT_DIR`.
    pub image: PathBuf,
    /// Whether it was there before, and nothing was done.
    pub was_there: bool,
}

impl Bake {
    /// Begins with the recipe in this file, or in this folder under its usual name; relative to
    /// the package.
    pub fn new(recipe: impl Into<PathBuf>) -> Self {
        Self {
            recipe: recipe.into(),
            placement: Placement::default(),
            vendored: Vec::new(),
            cache: None,
            locked: false,
            offline: false,
        }
    }

    /// Says where the bytes go.
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Looks for inputs in this folder first, relative to the package, which `prebake vendor FOLDER`
    /// filled. It is only read, and one that nobody has filled yet is none. The one that the recipe's
    /// `vendor` names need not be named here.
    #[must_use]
    pub fn vendor(mut self, folder: impl Into<PathBuf>) -> Self {
        self.vendored.push(folder.into());
        self
    }

    /// Keeps downloads in this folder, relative to the package, instead of `$PREBAKE_CACHE` or the
    /// user's own cache, or below `OUT_DIR` where there is neither.
    #[must_use]
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Never writes the lock.
    #[must_use]
    pub fn locked(mut self, locked: bool) -> Self {
        self.locked = locked;
        self
    }

    /// Fetches nothing, even where cargo would.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Bakes. Where that fails, cargo is told why, and this process ends.
    pub fn run(self) {
        if let Err(error) = self.try_run() {
            report::fail(&error);
        }
    }

    /// Bakes, and tells cargo what depends on what. For build scripts that have something to do
    /// with what came of it, or with why it did not.
    pub fn try_run(self) -> Result<Baked, BakeError> {
        let environment = |name: &str| env::var_os(name);
        let cargo = Cargo::read(&environment)?;
        let recipe = &Recipe::read(&cargo.package.join(&self.recipe))?;
        let no_port = || BakeError::NoPort {
            target: cargo.target.name().to_owned(),
        };
        let arch = cargo.target.alpine().ok_or_else(no_port)?;
        prebake::select_arches(recipe, &[arch.name().to_owned()])?;
        let offline = if self.offline {
            Some("the build script asks for it".to_owned())
        } else {
            offline::why(&environment, &cargo.package)
        };
        let lock = self.lock(recipe, &cargo, offline.as_deref())?;
        let locked = lock.rootfs(arch).ok_or_else(no_port)?;
        let files = recipe.files()?;
        report::depends_on(files.iter().map(PathBuf::as_path));
        let written = Written::new(
            &cargo.out,
            recipe,
            locked,
            cargo.target.name(),
            self.placement,
        );
        if let Some(baked) = written.found() {
            return Ok(baked);
        }
        let context = self.context(&cargo, offline.is_some())?;
        let built = prebake::bake_to(recipe, locked, &written.image(), &context)
            .map_err(|source| BakeError::new(source, offline))?;
        for warning in &built.warnings {
            report::warn(warning);
        }
        written.write(&built)
    }

    /// Returns the recipe's lock, and makes it current where that is allowed.
    fn lock(
        &self,
        recipe: &Recipe,
        cargo: &Cargo,
        offline: Option<&str>,
    ) -> Result<Lock, BakeError> {
        let source = match prebake::check_lock(recipe) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() == ErrorKind::NotCurrent => Box::new(error),
            Err(error) => return Err(error.into()),
        };
        let environment = |name: &str| env::var_os(name);
        let why = match offline {
            _ if self.locked => Some("the build script asks for it".to_owned()),
            Some(why) => Some(format!("nothing may be fetched: {why}")),
            None => source::why_not_written(&environment, &cargo.package),
        };
        if let Some(why) = why {
            return Err(BakeError::NotLocked { why, source });
        }
        let context = self.context(cargo, false)?;
        let locked = prebake::update_lock(recipe, &Upgrade::Keep, &context)?;
        let path = recipe.lock_path();
        match locked.state {
            LockState::Written => {
                report::warn(&format!("`{}` was written; commit it", path.display()));
            }
            LockState::Updated => report::warn(&format!("`{}` was updated", path.display())),
            LockState::Current => {}
        }
        Ok(locked.lock)
    }

    fn context(&self, cargo: &Cargo, offline: bool) -> Result<Context, BakeError> {
        let named = self.cache.as_ref().map(|cache| cargo.package.join(cache));
        let environment = |name: &str| env::var_os(name);
        let folder = CacheFolder::find(named.as_deref(), &environment, &cargo.out);
        let vendored = self.vendored.iter();
        let vendored = vendored.map(|folder| cargo.package.join(folder));
        // A build script names its folder before anybody can have filled it.
        let vendored = vendored.filter(|folder| folder.join(MANIFEST).exists());
        let context = Context::open(HostOptions {
            cache: Some(folder.root),
            offline,
            threads: cargo.threads,
            reporter: Arc::new(Told),
            cancel: Cancel::default(),
            environment: &environment,
        })?;
        Ok(context.vendored(vendored).reading(folder.read_only))
    }
}

/// What cargo tells a build script.
#[derive(Debug)]
struct Cargo {
    package: PathBuf,
    out: PathBuf,
    target: Target,
    threads: NonZeroUsize,
}

impl Cargo {
    fn read(environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, BakeError> {
        let folder = |variable: &'static str| {
            let folder = environment(variable).map(PathBuf::from);
            folder.ok_or(BakeError::NotABuildScript { variable })
        };
        let jobs = environment("NUM_JOBS").and_then(|jobs| jobs.to_str()?.parse().ok());
        Ok(Self {
            package: folder("CARGO_MANIFEST_DIR")?,
            out: folder("OUT_DIR")?,
            target: Target::read(environment).ok_or(BakeError::NotABuildScript {
                variable: "CARGO_CFG_TARGET_ARCH",
            })?,
            threads: jobs.unwrap_or(NonZeroUsize::MIN),
        })
    }

    /// Returns the folder that cargo puts programs into, as far as that can be told from
    /// `OUT_DIR`, which is `build/PACKAGE/out` in it.
    fn programs(out: &Path) -> Option<&Path> {
        let build = out.ancestors().nth(2)?;
        let is_build = build.file_name().is_some_and(|name| name == "build");
        is_build.then(|| build.parent()).flatten()
    }
}
