//! One file, from the cache or from any of its URLs, over as many tries as allowed.

use prebake_apk::digest::Sha256;

use crate::attempt::{Answer, Growing, Stop, attempt};
use crate::cache::{Found, Key, Lock, Record};
use crate::error::chain;
use crate::remote::Shared;
use crate::source::Source;
use crate::{
    Blob, Cache, CacheError, Cancel, Failure, Fetched, Kind, Missing, Options, Origin, Problem,
    Progress, Remembered, Silent, Transport, Validators, Wanted, url,
};

/// A try that brought the file forward by this many bytes does not count as failed: a long
/// download over a bad line ends as long as it gets on. It also bounds how often that can be.
const PROGRESS: u64 = 64 * 1024;

/// One file to fetch, with everything that takes part.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) cache: &'a Cache,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) options: &'a Options,
    pub(crate) cancel: &'a Cancel,
    pub(crate) remote: Option<&'a Shared>,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) item: usize,
}

/// Why there is no file.
pub(crate) enum Stopped {
    Failed(Failure),
    Offline(Missing),
    Cache(CacheError),
    Cancelled,
}

impl From<CacheError> for Stopped {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// Returns the wanted file, checked.
pub(crate) fn fetch(job: &Job<'_>) -> Result<Fetched, Stopped> {
    if job.cancel.is_cancelled() {
        return Err(Stopped::Cancelled);
    }
    match &job.wanted.sha256 {
        Some(sha256) => fetch_pinned(job, sha256),
        None => fetch_current(job),
    }
}

/// The content is known, so whoever has it will do.
fn fetch_pinned(job: &Job<'_>, sha256: &Sha256) -> Result<Fetched, Stopped> {
    let cached = |blob| Fetched {
        blob,
        origin: Origin::Cached,
        url: None,
    };
    let damaged = match job.cache.find(sha256)? {
        Found::Good(blob) => return Ok(cached(blob)),
        Found::Damaged => true,
        Found::Missing => false,
    };
    let urls = job.urls();
    if job.options.offline && urls.is_empty() {
        return Err(job.missing(damaged));
    }
    let key = Key::of_blob(sha256);
    let _lock = job.lock(&key)?;
    // Whoever had the lock before may have fetched it.
    match job.cache.find(sha256)? {
        Found::Good(blob) => return Ok(cached(blob)),
        Found::Damaged => job.cache.remove(sha256)?,
        Found::Missing => {}
    }
    let remote = job.remote.filter(|_| !job.options.offline);
    if let Some(remote) = remote
        && let Some(blob) = remote.get(job, &key, sha256)?
    {
        return Ok(Fetched {
            blob,
            origin: Origin::Shared,
            url: None,
        });
    }
    let (fetched, _) = Download::new(job, &key, &urls)?.run(None)?;
    if let Some(remote) = remote {
        remote.put(job, &fetched.blob);
    }
    Ok(fetched)
}

/// The content is whatever the URL holds now.
fn fetch_current(job: &Job<'_>) -> Result<Fetched, Stopped> {
    let primary = job.wanted.urls.first().map_or("", String::as_str);
    let urls = job.urls();
    // What the primary held last is a better guess than what some folder holds, unless the folder
    // is the primary.
    if job.options.offline && urls.first() != Some(&primary) {
        if let Some(known) = known(job, primary)? {
            return Ok(known.fetched(Origin::LastKnown));
        }
        if urls.is_empty() {
            return Err(job.missing(false));
        }
    }
    let key = Key::of_url(primary);
    let _lock = job.lock(&key)?;
    let known = match job.wanted.remembered {
        Remembered::Confirmed => known(job, primary)?,
        Remembered::Ignored => None,
        Remembered::Summed => {
            if let Some(known) = known(job, primary)?
                && sum_beside(job)? == Some(known.blob.sha256())
            {
                return Ok(known.fetched(Origin::Unchanged));
            }
            None
        }
    };
    let (fetched, validators) = Download::new(job, &key, &urls)?.run(known)?;
    if let (Some(validators), Some(from)) = (validators, &fetched.url) {
        job.cache.set_record(&Record {
            url: primary.to_owned(),
            from: from.clone(),
            sha256: fetched.blob.sha256(),
            validators,
        })?;
    }
    Ok(fetched)
}

/// A copy from before, of which a server can be asked whether it is still the current one.
struct Known {
    blob: Blob,
    record: Record,
}

impl Known {
    fn fetched(self, origin: Origin) -> Fetched {
        Fetched {
            blob: self.blob,
            origin,
            url: Some(self.record.from),
        }
    }
}

/// Returns the copy from before, if it is there, undamaged and of a size that may be taken.
fn known(job: &Job<'_>, primary: &str) -> Result<Option<Known>, CacheError> {
    let Some(record) = job.cache.record(primary) else {
        return Ok(None);
    };
    let Some(blob) = job.cache.get(&record.sha256)? else {
        return Ok(None);
    };
    let size = blob.size();
    let fits = size <= job.wanted.limit && job.wanted.size.is_none_or(|wanted| wanted == size);
    Ok(fits.then_some(Known { blob, record }))
}

/// The largest file with a SHA-256 that is read, in bytes: the hash, and a name.
const MAX_SUM: u64 = 4096;

/// Asks for the SHA-256 that stands in the file beside the wanted one; `None` if there is none.
fn sum_beside(job: &Job<'_>) -> Result<Option<Sha256>, Stopped> {
    let urls = job.wanted.urls.iter().map(|url| format!("{url}.sha256"));
    let wanted = Wanted {
        label: format!("{}.sha256", job.wanted.label),
        urls: urls.collect(),
        size: None,
        sha256: None,
        limit: MAX_SUM,
        remembered: Remembered::Ignored,
    };
    let fetched = fetch_current(&Job {
        wanted: &wanted,
        progress: &Silent,
        ..*job
    });
    let text = match fetched {
        Ok(fetched) => fetched.blob.read_verified(MAX_SUM)?,
        // Then the file itself is asked for, and says what is wrong if anything is.
        Err(Stopped::Failed(_) | Stopped::Offline(_)) => return Ok(None),
        Err(stopped) => return Err(stopped),
    };
    let word = text.split(u8::is_ascii_whitespace).next();
    let word = word.and_then(|word| std::str::from_utf8(word).ok());
    Ok(word.and_then(|word| word.parse().ok()))
}

impl Job<'_> {
    fn lock(&self, key: &Key) -> Result<Lock, Stopped> {
        self.cache
            .lock(key, self.options, self.cancel)?
            .ok_or(Stopped::Cancelled)
    }

    /// Returns the URLs that may be used.
    fn urls(&self) -> Vec<&str> {
        let all = self.wanted.urls.iter().map(String::as_str);
        if self.options.offline {
            all.filter(|url| url::is_local(url)).collect()
        } else {
            all.collect()
        }
    }

    fn missing(&self, damaged: bool) -> Stopped {
        let url = self.wanted.urls.first().map(|url| url::redact(url));
        Stopped::Offline(Missing {
            label: self.wanted.label.clone(),
            url: url.unwrap_or_default(),
            damaged,
        })
    }
}

/// A download as it goes on from try to try.
struct Download<'a> {
    job: &'a Job<'a>,
    part: Growing,
    sources: Vec<Source>,
}

impl<'a> Download<'a> {
    fn new(job: &'a Job<'a>, key: &Key, urls: &[&str]) -> Result<Self, CacheError> {
        Ok(Self {
            job,
            part: Growing::new(job.cache.part(key)?),
            sources: urls
                .iter()
                .map(|&url| Source::new(url.to_owned()))
                .collect(),
        })
    }

    /// Tries until the file is there or nothing is left to try. The validators are of a file that
    /// was downloaded now.
    fn run(mut self, known: Option<Known>) -> Result<(Fetched, Option<Validators>), Stopped> {
        let mut furthest = 0;
        while let Some(number) = self.choose() {
            let Some(source) = self.sources.get_mut(number) else {
                break;
            };
            if !source.wait.is_zero() && self.job.cancel.wait(source.wait) {
                return Err(Stopped::Cancelled);
            }
            let asked = known
                .as_ref()
                .filter(|known| known.record.from == source.url)
                .map(|known| &known.record.validators)
                .filter(|validators| !validators.is_empty());
            let answer = attempt(self.job, source, &mut self.part, asked);
            let problem = match (answer, known.as_ref()) {
                (Ok(Answer::Complete(validators)), _) => {
                    let fetched = Fetched {
                        url: Some(source.url.clone()),
                        origin: Origin::Downloaded,
                        blob: self.part.into_part().persist(self.job.cache)?,
                    };
                    return Ok((fetched, Some(validators)));
                }
                (Ok(Answer::Unchanged), Some(_)) => {
                    let fetched = known.map(|known| known.fetched(Origin::Unchanged));
                    return Ok((fetched.ok_or(Stopped::Cancelled)?, None));
                }
                (Ok(Answer::Unchanged), None) => Problem::Status(304),
                (Err(Stop::Problem(problem)), _) => problem,
                (Err(Stop::Cache(error)), _) => return Err(Stopped::Cache(error)),
                (Err(Stop::Cancelled), _) => return Err(Stopped::Cancelled),
            };
            // An interrupted transport fails like a broken one.
            if self.job.cancel.is_cancelled() {
                return Err(Stopped::Cancelled);
            }
            let length = self.part.length();
            let came_on = length >= furthest + PROGRESS;
            furthest = furthest.max(length);
            let told = chain(&problem);
            source.failed(problem, came_on, self.job.options);
            let url = url::redact(&source.url);
            if let Some(next) = self.choose().and_then(|next| self.sources.get(next)) {
                let Job { progress, item, .. } = *self.job;
                progress.retry(item, &url, &told, next.wait);
            }
        }
        let tried = self.sources.into_iter().filter_map(Source::into_tried);
        let failure = Failure {
            label: self.job.wanted.label.clone(),
            tried: tried.collect(),
        };
        if self.job.options.offline && failure.kind() == Kind::NotFound {
            return Err(self.job.missing(false));
        }
        Err(Stopped::Failed(failure))
    }

    /// Returns which URL to try next. Content that is known by its hash is the same everywhere, so
    /// a mirror gets its turn at once, without waiting for the primary to recover. Otherwise a
    /// mirror, which may lag behind, is only for a primary that does not answer at all.
    fn choose(&self) -> Option<usize> {
        let mut alive = self
            .sources
            .iter()
            .enumerate()
            .filter(|(_, source)| !source.given_up);
        let chosen = if self.job.wanted.sha256.is_some() {
            alive.min_by_key(|(_, source)| source.tries)
        } else {
            alive.next()
        };
        chosen.map(|(number, _)| number)
    }
}
