//! The bounds on what a fetch may take.

use std::time::Duration;

/// How a [`Fetcher`](crate::Fetcher) and a [`Network`](crate::Network) behave. Every bound on time
/// and tries is here; the bound on bytes is each file's own
/// [`Wanted::limit`](crate::Wanted::limit).
#[derive(Clone, Debug)]
pub struct Options {
    /// How many files are fetched at once. Most packages are small, so that what a recipe of many
    /// waits for is the way to the mirror and back, and not its bandwidth (`cargo xtask bench
    /// download`).
    pub parallel: usize,
    /// Never use the network: only the cache, and `file://` URLs.
    pub offline: bool,
    /// How often each URL is tried. A try that brought a download forward does not count.
    pub tries: u32,
    /// The wait before the second try of a URL; it doubles with each further one, and a quarter
    /// of it is left to chance so that many builds do not come back at the same moment.
    pub backoff: Duration,
    /// The longest wait between two tries.
    pub max_backoff: Duration,
    /// The longest `Retry-After` that is waited for; a server that asks for more is given up.
    pub max_retry_after: Duration,
    /// How long finding a host, and then connecting to it with proxy and TLS, may each take.
    pub connect_timeout: Duration,
    /// How long a server may stay silent.
    pub read_timeout: Duration,
    /// How long a download may stay under [`Options::min_speed`].
    pub slow_window: Duration,
    /// The fewest bytes a second at which a download is still one and not a hang.
    pub min_speed: u64,
    /// How long to wait for another process that downloads the same file; after that it is
    /// downloaded here as well.
    pub lock_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parallel: 32,
            offline: false,
            tries: 4,
            backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
            max_retry_after: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            slow_window: Duration::from_secs(30),
            min_speed: 1024,
            lock_timeout: Duration::from_mins(10),
        }
    }
}
