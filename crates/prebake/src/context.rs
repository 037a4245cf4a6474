//! What a run may use of the host.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prebake_fetch::{
    Blob, Cache, Cancel, FetchError, Fetched, Fetcher, Network, Options, Origin, Proxies, Wanted,
};

use crate::arch::Arch;
use crate::error::Error;
use crate::recipe::Recipe;
use crate::reporter::Reporter;
use crate::seal::Sealed;
use crate::vendor::{OnShelf, OpenShelf, Shelf};

/// The environment variable that names vendored folders, separated as in `PATH`.
pub const VENDOR_VARIABLE: &str = "PREBAKE_VENDOR";

/// The environment variable that says for how many seconds a server may stay silent, or stay slower
/// than a kilobyte a second, before a try counts as failed. It is 30 where nobody says.
pub const NETWORK_TIMEOUT: &str = "PREBAKE_NETWORK_TIMEOUT";

/// The longest such time, in seconds: who waits longer waits for nothing.
const MAX_NETWORK_TIMEOUT: u64 = 3600;

/// The most threads of each kind, however many are asked for.
const MAX_THREADS: usize = 256;

/// What a run is given of the host.
pub struct HostOptions<'a> {
    /// The cache's folder; `None` for `$PREBAKE_CACHE`, else the platform's own.
    pub cache: Option<PathBuf>,
    /// Fetch nothing.
    pub offline: bool,
    /// How many threads compress, up to 256. It changes no output.
    pub threads: NonZeroUsize,
    /// Who hears what is going on.
    pub reporter: Arc<dyn Reporter>,
    /// What stops the run when it is pulled.
    pub cancel: Cancel,
    /// Looks up an environment variable: for the cache's folder, vendored ones, this user's key, the
    /// proxies and [`NETWORK_TIMEOUT`].
    pub environment: &'a dyn Fn(&str) -> Option<OsString>,
}

impl fmt::Debug for HostOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostOptions")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// A run's hold on the host: the cache, the network, and who watches.
pub struct Context {
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) threads: NonZeroUsize,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) cancel: Cancel,
    /// What this user's own runs made and kept.
    pub(crate) sealed: Sealed,
    /// Asked by hash before the cache is, and never written to.
    vendored: Vec<Shelf>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("fetcher", &self.fetcher)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Returns the cache's folder, where large files that are soon gone may lie too.
    pub fn cache_root(&self) -> &Path {
        self.fetcher.cache().root()
    }

    /// Opens the cache and makes the network ready; nothing is fetched yet.
    pub fn open(options: HostOptions<'_>) -> Result<Self, Error> {
        let root = match options.cache {
            Some(root) => root,
            None => Cache::default_root(options.environment).map_err(Error::Cache)?,
        };
        let mut fetching = Options {
            offline: options.offline,
            ..Options::default()
        };
        if let Some(time) = network_timeout(options.environment)? {
            fetching.read_timeout = time;
            fetching.slow_window = time;
            fetching.connect_timeout = fetching.connect_timeout.min(time);
        }
        let network = Network::new(&fetching, &Proxies::from_environment(options.environment))
            .map_err(Error::Network)?;
        let vendored = (options.environment)(VENDOR_VARIABLE).unwrap_or_default();
        let vendored = std::env::split_paths(&vendored).filter(|path| path != Path::new(""));
        let vendored = vendored.map(Shelf::Vendored).collect();
        let cancel = options.cancel;
        let cache = Cache::open(root);
        let sealed = Sealed::open(cache.clone(), options.environment);
        let fetcher = Fetcher::new(cache, Arc::new(network), fetching, cancel.clone());
        Ok(Self {
            fetcher: Arc::new(fetcher),
            threads: NonZeroUsize::new(MAX_THREADS)
                .map_or(options.threads, |most| options.threads.min(most)),
            reporter: options.reporter,
            cancel,
            sealed,
            vendored,
        })
    }

    /// Asks a cache that many machines share, after the own cache and before any mirror, for files
    /// with a known hash: an object store at `url` (`s3://bucket/path`, `gs://…`, `az://…`,
    /// `https://…`, `file:///folder`). It is given what is downloaded from elsewhere where `writes`
    /// says so. `environment` is asked for the store's own variables and the proxies.
    ///
    /// # Errors
    ///
    /// Where the URL, or a variable, is none that the store takes. Whatever goes wrong with the
    /// store later is told as a warning, and the mirrors do the work.
    #[cfg(feature = "remote-cache")]
    pub fn share(
        &self,
        url: &str,
        writes: bool,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(), Error> {
        let proxies = Proxies::from_environment(environment);
        let options = Options::default();
        let remote = prebake_fetch::ObjectCache::new(url, writes, &options, &proxies, environment);
        let remote = remote.map_err(Error::Remote)?;
        self.fetcher.set_remote(Arc::new(remote));
        Ok(())
    }

    /// Looks for files with a known hash in these folders first, which `prebake vendor` filled. They
    /// are only read, and each must be one when it is looked into. The folder that a recipe names
    /// ([`Recipe::vendor`]) and those of [`VENDOR_VARIABLE`] are looked into as well.
    #[must_use]
    pub fn vendored(mut self, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let folders = folders.into_iter().map(Shelf::Vendored);
        self.vendored.extend(folders);
        self
    }

    /// Looks for files with a known hash in this cache too, and does not write to it.
    #[must_use]
    pub fn reading(mut self, cache: Option<PathBuf>) -> Self {
        let cache = cache.map(Cache::open).map(Shelf::Cache);
        self.vendored.extend(cache);
        self
    }

    /// Returns the same hold on the host for the work on one architecture beside others.
    pub(crate) fn beside(&self, arch: Arch) -> Self {
        Self {
            fetcher: Arc::clone(&self.fetcher),
            threads: self.threads,
            reporter: self.reporter.beside(arch),
            cancel: self.cancel.clone(),
            sealed: self.sealed.clone(),
            vendored: self.vendored.clone(),
        }
    }

    /// Fetches every wanted file of `recipe`, in the order of the wishes.
    pub(crate) fn fetch(&self, recipe: &Recipe, wanted: &[Wanted]) -> Result<Vec<Fetched>, Error> {
        self.fetch_without(None, recipe, wanted)
    }

    /// As [`Context::fetch`], without a look into the vendored folder `without`, which is about to
    /// be filled.
    pub(crate) fn fetch_without(
        &self,
        without: Option<&Path>,
        recipe: &Recipe,
        wanted: &[Wanted],
    ) -> Result<Vec<Fetched>, Error> {
        self.alive()?;
        let here = self.find_vendored(without, recipe, wanted)?;
        let missing: Vec<_> = wanted
            .iter()
            .zip(&here)
            .filter(|(_, blob)| blob.is_none())
            .map(|(wanted, _)| wanted.clone())
            .collect();
        let fetched = self
            .fetcher
            .fetch(&missing, self.reporter.as_ref())
            .map_err(|error| match error {
                FetchError::Cancelled => Error::Interrupted,
                error => Error::Fetch(error),
            })?;
        let mut fetched = fetched.into_iter();
        let all = here.into_iter().map(|blob| match blob {
            Some(blob) => Some(Fetched {
                blob,
                origin: Origin::Cached,
                url: None,
            }),
            None => fetched.next(),
        });
        Ok(all.flatten().collect())
    }

    /// Returns for each wish the vendored file that is wanted, where there is one. All of it is
    /// hashed; one that is not what its folder's list says is told, and as good as none.
    fn find_vendored(
        &self,
        without: Option<&Path>,
        recipe: &Recipe,
        wanted: &[Wanted],
    ) -> Result<Vec<Option<Blob>>, Error> {
        // However either is written.
        let same = |folder: &Path| fs_err::canonicalize(folder).ok();
        let without = without.and_then(same);
        let other = |folder: &Path| without.is_none() || same(folder) != without;
        let named = self.vendored.iter().filter(|shelf| match shelf {
            Shelf::Vendored(folder) => other(folder),
            Shelf::Cache(_) => true,
        });
        let mut shelves = named.map(Shelf::open).collect::<Result<Vec<_>, _>>()?;
        if let Some(folder) = recipe.vendor.as_deref().filter(|folder| other(folder)) {
            // It may well be named before it is filled.
            shelves.extend(OpenShelf::vendored(folder)?);
        }
        let find = |wanted: &Wanted| {
            let Some(sha256) = &wanted.sha256 else {
                return Ok(None);
            };
            for shelf in &shelves {
                self.alive()?;
                match shelf.find(sha256)? {
                    OnShelf::Good(blob) => return Ok(Some(blob)),
                    OnShelf::Damaged(path) => self.reporter.notice(&format!(
                        "`{}` is damaged, and not used: `prebake vendor` mends it",
                        path.display()
                    )),
                    OnShelf::Missing => {}
                }
            }
            Ok(None)
        };
        wanted.iter().map(find).collect()
    }

    /// Fails where somebody asked to stop.
    pub(crate) fn alive(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// Reads how long a server may stay silent, or stay slow; `None` where nobody says.
fn network_timeout(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<Duration>, Error> {
    let Some(text) = lookup(NETWORK_TIMEOUT).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse::<u64>().ok());
    match seconds {
        Some(seconds @ 1..=MAX_NETWORK_TIMEOUT) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Error::BadEntry {
            message: format!("the network timeout cannot be `{}`", text.display()),
            hint: "write a number of seconds from 1 to 3600",
        }),
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.reporter.done();
    }
}
