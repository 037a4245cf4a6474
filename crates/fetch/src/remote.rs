//! A cache that many machines share: asked by hash after the own cache, before any mirror.
//!
//! It is believed no more than a mirror is: what it sends is hashed before it counts. And it is
//! needed less: whatever goes wrong with it is told once, and the mirrors do the work.

#[cfg(feature = "remote-cache")]
mod exchange;
#[cfg(feature = "remote-cache")]
mod store;
#[cfg(feature = "remote-cache")]
mod variables;

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prebake_apk::digest::Sha256;

use crate::attempt::Window;
use crate::cache::{Key, Part};
use crate::download::Job;
use crate::error::chain;
use crate::{Blob, CacheError, Options};

#[cfg(feature = "remote-cache")]
pub use store::ObjectCache;

/// After so many answers with wrong bytes the rest is not asked for: each costs a download.
const MAX_WRONG: usize = 3;

/// How many characters of a failure are told.
const MOST_SHOWN: usize = 400;

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// A store of files that are named by the SHA-256 of their content. Used by many threads at once.
pub trait Remote: Send + Sync {
    /// Returns what messages call it: where it is, without passwords.
    fn name(&self) -> String;

    /// Asks for a file; `None` if it has none of that name. What is read from it is whatever the
    /// store has.
    fn get(&self, sha256: &Sha256) -> Result<Option<Box<dyn Read>>, RemoteError>;

    /// Says whether files are to be given to it.
    fn takes(&self) -> bool;

    /// Gives it a file that was checked, in place of what it may have under that name.
    fn put(&self, sha256: &Sha256, size: u64, content: &mut dyn Read) -> Result<(), RemoteError>;

    /// Makes requests in flight fail soon, and later ones at once.
    fn interrupt(&self) {}
}

/// Why a shared cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// Its URL is none that is known.
    #[error("`{url}` is no place for a shared cache: {why}")]
    Url {
        /// The URL, without a password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// It does not do what it is asked for.
    #[error("{0}")]
    Failed(String),
}

/// The bounds on what a shared cache may take: it is there to be faster than a mirror, so they are
/// closer than those for mirrors.
pub(crate) fn bounds(options: &Options) -> Options {
    Options {
        connect_timeout: options.connect_timeout.min(Duration::from_secs(5)),
        read_timeout: options.read_timeout.min(Duration::from_secs(10)),
        slow_window: options.slow_window.min(Duration::from_secs(10)),
        min_speed: options.min_speed.max(16 * 1024),
        ..options.clone()
    }
}

/// Returns what went wrong on one line: it quotes what the store's server said.
fn shown(problem: &str) -> String {
    let line = problem.split_whitespace().collect::<Vec<_>>().join(" ");
    prebake_apk::shown::plain(&line, MOST_SHOWN)
}

/// A shared cache as one run uses it.
pub(crate) struct Shared {
    remote: Arc<dyn Remote>,
    options: Options,
    /// Whether it failed, so that it is asked for nothing more.
    given_up: AtomicBool,
    /// How many answers were wrong.
    wrong: AtomicUsize,
    /// Whether giving it files failed, so that it gets no more.
    full: AtomicBool,
    /// Held while a file is given to it: one at a time, so that memory does not grow with threads.
    giving: Mutex<()>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.remote.name()).finish()
    }
}

impl Shared {
    pub(crate) fn new(remote: Arc<dyn Remote>, options: &Options) -> Self {
        Self {
            remote,
            options: bounds(options),
            given_up: AtomicBool::new(false),
            wrong: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            giving: Mutex::new(()),
        }
    }

    pub(crate) fn interrupt(&self) {
        self.remote.interrupt();
    }

    /// Returns the file if the shared cache has it and it is the right one. Of the errors only
    /// those of the own cache come back.
    pub(crate) fn get(
        &self,
        job: &Job<'_>,
        key: &Key,
        sha256: &Sha256,
    ) -> Result<Option<Blob>, CacheError> {
        if self.given_up.load(Ordering::Relaxed) || job.cancel.is_cancelled() {
            return Ok(None);
        }
        let problem = match self.remote.get(sha256) {
            Ok(None) => return Ok(None),
            Ok(Some(content)) => match self.receive(job, job.cache.part(key)?, content)? {
                Ok(part) if part.sha256() == *sha256 => {
                    return part.persist(job.cache).map(Some);
                }
                Ok(_) => {
                    self.wrong(job, sha256);
                    return Ok(None);
                }
                Err(problem) => problem,
            },
            Err(error) => chain(&error),
        };
        let problem = shown(&problem);
        // An interrupted request fails like a broken one.
        if !job.cancel.is_cancelled() && !self.given_up.swap(true, Ordering::Relaxed) {
            let name = self.remote.name();
            job.progress.warning(&format!(
                "the shared cache {name} is not used any more: {problem}"
            ));
        }
        Ok(None)
    }

    /// Reads all of an answer. The inner error is the shared cache's.
    fn receive(
        &self,
        job: &Job<'_>,
        mut part: Part,
        mut content: Box<dyn Read>,
    ) -> Result<Result<Part, String>, CacheError> {
        let limit = job.wanted.limit.min(job.wanted.size.unwrap_or(u64::MAX));
        let mut buffer = vec![0; CHUNK];
        let mut window = Window::new();
        loop {
            if job.cancel.is_cancelled() {
                return Ok(Err("cancelled".to_owned()));
            }
            job.progress
                .position(job.item, part.length(), job.wanted.size);
            let read = match content.read(&mut buffer) {
                Ok(0) => return Ok(Ok(part)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(chain(&error))),
            };
            if part.length().saturating_add(read as u64) > limit {
                // Too long to be the right one: what is there has another hash for sure.
                part.append(buffer.get(..read).unwrap_or_default())?;
                return Ok(Ok(part));
            }
            part.append(buffer.get(..read).unwrap_or_default())?;
            if !window.fast_enough(&self.options, read as u64) {
                let speed = self.options.min_speed;
                return Ok(Err(format!("it was slower than {speed} bytes a second")));
            }
        }
    }

    fn wrong(&self, job: &Job<'_>, sha256: &Sha256) {
        let name = self.remote.name();
        let label = &job.wanted.label;
        job.progress.warning(&format!(
            "the shared cache {name} has something else in place of `{label}` ({sha256}); what it \
             sent was thrown away"
        ));
        let before = self.wrong.fetch_add(1, Ordering::Relaxed);
        if before + 1 >= MAX_WRONG && !self.given_up.swap(true, Ordering::Relaxed) {
            job.progress.warning(&format!(
                "the shared cache {name} is not used any more: {MAX_WRONG} answers were wrong"
            ));
        }
    }

    /// Gives the shared cache a file that it had not, or not right.
    pub(crate) fn put(&self, job: &Job<'_>, blob: &Blob) {
        if !self.remote.takes() || job.cancel.is_cancelled() {
            return;
        }
        let _one_at_a_time = self.giving.lock().unwrap_or_else(PoisonError::into_inner);
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        let given = match blob.open_verified() {
            Ok(mut content) => self.remote.put(&blob.sha256(), blob.size(), &mut content),
            Err(error) => Err(RemoteError::Failed(chain(&error))),
        };
        if let Err(error) = given
            && !job.cancel.is_cancelled()
            && !self.full.swap(true, Ordering::Relaxed)
        {
            let (name, problem) = (self.remote.name(), shown(&chain(&error)));
            job.progress.warning(&format!(
                "the shared cache {name} is given no more files: {problem}"
            ));
        }
    }
}
