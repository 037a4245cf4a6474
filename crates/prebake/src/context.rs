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

use crate::error::Error;
use crate::reporter::Reporter;

/// The environment variable that says for how many seconds a server may stay silent, or stay slower
/// than a kilobyte a second, before a try counts as failed. It is 30 where nobody says.
pub const NETWORK_TIMEOUT: &str = "PREBAKE_NETWORK_TIMEOUT";

/// The longest such time, in seconds: who waits longer waits for nothing.
const MAX_NETWORK_TIMEOUT: u64 = 3600;

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
    /// Looks up an environment variable: for the cache's folder, the proxies and
    /// [`NETWORK_TIMEOUT`].
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
