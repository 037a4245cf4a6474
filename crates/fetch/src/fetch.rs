//! Many files at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use prebake_apk::digest::Sha256;

use crate::download::{self, Stopped};
use crate::remote::Shared;
use crate::{Blob, Cache, Cancel, FetchError, Kind, Options, Progress, Remote, Transport};

/// A file that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What messages call it.
    pub label: String,
    /// Where it is: the primary first, then mirrors, which are tried in this order.
    pub urls: Vec<String>,
    /// Its size in bytes, where it is known. Another size is refused.
    pub size: Option<u64>,
    /// Its SHA-256, where it is known: then the cache answers without the network, and any mirror
    /// is as good as any other. Without it the first URL that answers is believed, and each fetch
    /// asks whether the file has changed.
    pub sha256: Option<Sha256>,
    /// The most bytes to take.
    pub limit: u64,
    /// What is made of the cache's memory of a file with no known hash.
    pub remembered: Remembered,
}

impl Wanted {
    /// The limit of files whose caller names none: 1 GiB, above any package of Alpine's.
    pub const DEFAULT_LIMIT: u64 = 1 << 30;

    /// Wants whatever is at `url` now. The fields say the rest.
    pub fn new(label: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            urls: vec![url.into()],
            size: None,
            sha256: None,
            limit: Self::DEFAULT_LIMIT,
            remembered: Remembered::Confirmed,
        }
    }
}

/// What is made of what the cache remembers of a URL: which file it held, and by what its server
/// can be asked whether it still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remembered {
    /// That file is taken if the server says that it is unchanged: right for what is signed.
    Confirmed,
    /// That file is taken if it has the SHA-256 that stands in the file beside it, whose URL ends in
    /// `.sha256`: for what nothing else vouches for, which somebody who can write to the cache
    /// could exchange. Otherwise it is downloaded again.
    Summed,
    /// It is downloaded again.
    Ignored,
}

/// A file that was had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The file.
    pub blob: Blob,
    /// How it was had.
    pub origin: Origin,
    /// Which of its URLs gave it, now or (for a file with no known hash) when it was last
    /// downloaded; `None` for a file that was found by its hash.
    pub url: Option<String>,
}

/// How a file was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It was in the cache, by its hash.
    Cached,
    /// A cache that many machines share had it, by its hash.
    Shared,
    /// It was downloaded now.
    Downloaded,
    /// The server said that the cached one is still the current one.
    Unchanged,
    /// Offline: it is what the URL held when it was last asked.
    LastKnown,
}

/// Brings files into a cache.
pub struct Fetcher {
    cache: Cache,
    transport: Arc<dyn Transport>,
    options: Options,
    cancel: Cancel,
    remote: OnceLock<Arc<Shared>>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("cache", &self.cache)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Joins the parts. Pulling `cancel` interrupts the transport.
    pub fn new(
        cache: Cache,
        transport: Arc<dyn Transport>,
        options: Options,
        cancel: Cancel,
    ) -> Self {
        let interrupted: Weak<dyn Transport> = Arc::downgrade(&transport);
        cancel.on_cancel(move || {
            if let Some(transport) = interrupted.upgrade() {
                transport.interrupt();
            }
        });
        Self {
            cache,
            transport,
            options,
            cancel,
            remote: OnceLock::new(),
        }
    }

    /// Asks a cache that many machines share for files with a known hash, after the own cache and
    /// before any URL; never offline. Pulling the token of [`Fetcher::new`] interrupts it.
    /// The first one counts.
    pub fn set_remote(&self, remote: Arc<dyn Remote>) {
        let shared = Arc::new(Shared::new(remote, &self.options));
        let interrupted = Arc::downgrade(&shared);
        self.cancel.on_cancel(move || {
            if let Some(shared) = interrupted.upgrade() {
                shared.interrupt();
            }
        });
        drop(self.remote.set(shared));
    }

    /// Returns the cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Brings every wanted file into the cache, [`Options::parallel`] at a time, and returns them
    /// in the order of the wishes.
    ///
    /// # Errors
    ///
    /// After a failure of the network or the cache no further file is begun. Files that do not
    /// exist, or are missing offline, do not stop the others, so that the error names them all.
    pub fn fetch(
        &self,
        wanted: &[Wanted],
        progress: &dyn Progress,
    ) -> Result<Vec<Fetched>, FetchError> {
        // Sizes come from lock files and indexes, so their sum may be anything.
        let sum = wanted.iter().try_fold(0, |sum: u64, wanted| {
            wanted.size.and_then(|size| sum.checked_add(size))
        });
        progress.begin(wanted.len(), sum);
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let results = Mutex::new(Vec::with_capacity(wanted.len()));
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let item = next.fetch_add(1, Ordering::Relaxed);
                let Some(wish) = wanted.get(item) else { break };
                let result = self.fetch_item(wish, item, progress);
                if result.as_ref().is_err_and(Stopped::is_final) {
                    stop.store(true, Ordering::Relaxed);
                }
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.push((item, result));
            }
        };
        std::thread::scope(|scope| {
            let others = self.options.parallel.clamp(1, wanted.len().max(1)) - 1;
            for _ in 0..others {
                scope.spawn(work);
            }
            work();
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(item, _)| *item);
        judge(results.into_iter().map(|(_, result)| result))
    }

    /// Brings one file into the cache.
    pub fn fetch_one(
        &self,
        wanted: &Wanted,
        progress: &dyn Progress,
    ) -> Result<Fetched, FetchError> {
        progress.begin(1, wanted.size);
        let result = self.fetch_item(wanted, 0, progress);
        let mut fetched = judge(std::iter::once(result))?;
        fetched.pop().ok_or(FetchError::Cancelled)
    }

    fn fetch_item(
        &self,
        wanted: &Wanted,
        item: usize,
        progress: &dyn Progress,
    ) -> Result<Fetched, Stopped> {
        progress.start(item, &wanted.label, wanted.size);
        let fetched = download::fetch(&download::Job {
            wanted,
            cache: &self.cache,
            transport: &*self.transport,
            options: &self.options,
            cancel: &self.cancel,
            remote: self.remote.get().map(AsRef::as_ref),
            progress,
            item,
        })?;
        progress.finish(item, fetched.origin);
        Ok(fetched)
    }
}

/// Returns all files, or the gravest error with everything of its sort.
fn judge(
    results: impl Iterator<Item = Result<Fetched, Stopped>>,
) -> Result<Vec<Fetched>, FetchError> {
    let mut fetched = Vec::new();
    let mut failures = Vec::new();
    let mut missing = Vec::new();
    let mut cache = None;
    let mut cancelled = false;
    for result in results {
        match result {
            Ok(file) => fetched.push(file),
            Err(Stopped::Failed(failure)) => failures.push(failure),
            Err(Stopped::Offline(file)) => missing.push(file),
            Err(Stopped::Cache(error)) => cache = cache.or(Some(error)),
            Err(Stopped::Cancelled) => cancelled = true,
        }
    }
    if cancelled {
        Err(FetchError::Cancelled)
    } else if let Some(error) = cache {
        Err(FetchError::Cache(error))
    } else if !failures.is_empty() {
        Err(FetchError::Failed(failures))
    } else if !missing.is_empty() {
        Err(FetchError::Offline(missing))
    } else {
        Ok(fetched)
    }
}

impl Stopped {
    /// Returns whether the other files need not be tried.
    fn is_final(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.kind() == Kind::Network,
            Self::Offline(_) => false,
            Self::Cache(_) | Self::Cancelled => true,
        }
    }
}
