//! Mirrors, retries, resume, and the content-addressed cache: prebake's only way to the network.
//!
//! A [`Wanted`] names a file by its URLs (the primary first, then mirrors) and, where the lock
//! knows them, its size and SHA-256. A [`Fetcher`] brings any number of them into a [`Cache`] in
//! parallel and hands back a [`Blob`] for each. A blob's content comes out only through
//! [`Blob::open_verified`] and [`Blob::read_verified`], which hash it first.
//!
//! ```no_run
//! use std::sync::Arc;
//! use prebake_fetch::{
//!     Cache, Cancel, Fetcher, Network, Options, Proxies, Silent, Wanted,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let environment = |name: &str| std::env::var_os(name);
//! let options = Options::default();
//! let cache = Cache::open(Cache::default_root(environment)?);
//! let network = Network::new(&options, &Proxies::from_environment(environment))?;
//! let fetcher = Fetcher::new(cache, Arc::new(network), options, Cancel::default());
//! let wanted = Wanted::new("APKINDEX.tar.gz", "https://example.org/main/APKINDEX.tar.gz");
//! let fetched = fetcher.fetch_one(&wanted, &Silent)?;
//! let mut content = fetched.blob.open_verified()?;
//! # std::io::copy(&mut content, &mut std::io::sink())?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! * A file with a known hash is only ever taken if its bytes have that hash, from the network
//!   and from the cache alike. Nothing turns that off.
//! * Several processes may share one cache; a file that all of them want is downloaded once.
//! * Whatever happens in the middle (an error, a full disk, Ctrl-C, a kill), no half file is ever
//!   seen under its final name, and what a killed process left is removed by the next start.
//! * Everything that a server can make large or slow is bounded by [`Options`] and
//!   [`Wanted::limit`].
//! * The library never prints; [`Progress`] hears what happens.

mod attempt;
mod cache;
mod cancel;
mod download;
mod error;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod memory;
mod options;
mod progress;
mod range;
mod remote;
mod retry;
mod source;
mod transport;
mod url;

pub use cache::{Blob, CACHE_VARIABLE, Cache, CacheError, VerifiedBlob};
pub use cancel::Cancel;
pub use error::{Failure, FetchError, Kind, Missing, Problem, Tried};
pub use fetch::{Fetched, Fetcher, Origin, Remembered, Wanted};
pub use memory::Memory;
pub use options::Options;
pub use progress::{Progress, Silent};
#[cfg(feature = "remote-cache")]
pub use remote::ObjectCache;
pub use remote::{Remote, RemoteError};
pub use transport::{Network, Proxies, Request, Response, Transport, TransportError, Validators};
