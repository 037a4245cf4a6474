//! What a run may use of the host.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prebake_fetch::{
    Cache, Cancel, FetchError, Fetched, Fetcher, Network, Options, Proxies, Wanted,
};

use crate::error::Error;
use crate::reporter::Reporter;

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
    /// Looks up an environment variable: for the cache's folder and the proxies.
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
        let fetcher = Fetcher::new(
            Cache::open(root),
            Arc::new(network),
            fetching,
            cancel.clone(),
        );
        Ok(Self {
            fetcher,
            threads: options.threads,
            reporter: options.reporter,
            cancel,
        })
    }

    /// Fetches every wanted file, in the order of the wishes.
    pub(crate) fn fetch(&self, wanted: &[Wanted]) -> Result<Vec<Fetched>, Error> {
        self.alive()?;
        self.fetcher
            .fetch(wanted, self.reporter.as_ref())
            .map_err(|error| match error {
                FetchError::Cancelled => Error::Interrupted,
                error => Error::Fetch(error),
            })
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
