//! What a run may use of the host.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prebake_fetch::{
    Blob, Cache, Cancel, FetchError, Fetched, Fetcher, Network, Options, Origin, Proxies, Wanted,
};

use crate::error::Error;
use crate::reporter::Reporter;
use crate::seal::Sealed;

/// What a run is given of the host.
pub struct HostOptions<'a> {
    /// The cache's folder; `None` for `$PREBAKE_CACHE`, else the platform's own.
    pub cache: Option<PathBuf>,
    /// Fetch nothing.
    pub offline: bool,
    /// How many threads compress. It changes no output.
    pub threads: NonZeroUsize,
    /// Who hears what is going on.
    pub reporter: Arc<dyn Reporter>,
    /// What stops the run when it is pulled.
    pub cancel: Cancel,
    /// Looks up an environment variable: for the folders of the cache and of
    /// this user's key, and for the proxies.
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
    pub(crate) fetcher: Fetcher,
    pub(crate) threads: NonZeroUsize,
    pub(crate) reporter: Arc<dyn Reporter>,
    pub(crate) cancel: Cancel,
    /// What this user's own runs made and kept.
    pub(crate) sealed: Sealed,
    /// Asked by hash before the cache is, and never written to.
    vendored: Vec<Cache>,
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
        let fetching = Options {
            offline: options.offline,
            ..Options::default()
        };
        let network = Network::new(&fetching, &Proxies::from_environment(options.environment))
            .map_err(Error::Network)?;
        let cancel = options.cancel;
        let cache = Cache::open(root);
        let sealed = Sealed::open(cache.clone(), options.environment);
        let fetcher = Fetcher::new(cache, Arc::new(network), fetching, cancel.clone());
        Ok(Self {
            fetcher,
            threads: options.threads,
            reporter: options.reporter,
            cancel,
            sealed,
            vendored: Vec::new(),
        })
    }

    /// Looks for files with a known hash in these folders first. Each is laid out as a cache is
    /// (`prebake build --locked --cache FOLDER` fills one), and is only read.
    #[must_use]
    pub fn vendored(mut self, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        self.vendored.extend(folders.into_iter().map(Cache::open));
        self
    }

    /// Fetches every wanted file, in the order of the wishes.
    pub(crate) fn fetch(&self, wanted: &[Wanted]) -> Result<Vec<Fetched>, Error> {
        self.alive()?;
        let here = wanted.iter().map(|wanted| self.find_vendored(wanted));
        let here = here.collect::<Result<Vec<_>, _>>()?;
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

    /// Returns the vendored file that is wanted, if there is one. All of it is hashed.
    fn find_vendored(&self, wanted: &Wanted) -> Result<Option<Blob>, Error> {
        let Some(sha256) = &wanted.sha256 else {
            return Ok(None);
        };
        for folder in &self.vendored {
            if let Some(blob) = folder.get(sha256).map_err(Error::Cache)? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
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

impl Drop for Context {
    fn drop(&mut self) {
        self.reporter.done();
    }
}
