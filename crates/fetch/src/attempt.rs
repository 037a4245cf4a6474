//! One request, and what of its answer is kept.

use std::io::{self, Read};
use std::time::{Instant, SystemTime};

use crate::cache::Part;
use crate::download::Job;
use crate::error::is_transient_status;
use crate::range::ContentRange;
use crate::retry::retry_after;
use crate::source::Source;
use crate::{CacheError, Options, Problem, Request, Response, Validators};

/// How many bytes are read at once; the token is looked at between two reads.
const CHUNK: usize = 64 * 1024;

/// How an attempt ended well.
pub(crate) enum Answer {
    /// The whole file is in the part, and has the pinned size and hash if any is pinned.
    Complete(Validators),
    /// The server says that the copy it was asked about is still the current one.
    Unchanged,
}

/// Why an attempt ended otherwise.
pub(crate) enum Stop {
    Problem(Problem),
    Cache(CacheError),
    Cancelled,
}

impl From<CacheError> for Stop {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// A part that grows over several answers, and where its bytes came from.
pub(crate) struct Growing {
    part: Part,
    /// How many answers its bytes came from.
    answers: u32,
    /// The URL and strong `ETag` that all its bytes had, if they had one.
    origin: Option<(String, String)>,
}

impl Growing {
    pub(crate) fn new(part: Part) -> Self {
        Self {
            part,
            answers: 0,
            origin: None,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.part.length()
    }

    pub(crate) fn into_part(self) -> Part {
        self.part
    }

    fn restart(&mut self) -> Result<(), CacheError> {
        self.answers = 0;
        self.origin = None;
        self.part.restart()
    }
}

/// Asks `source` for the file or, where `growing` holds its beginning, for the rest. `asked` is
/// what is known of a copy that may still be the current one.
pub(crate) fn attempt(
    job: &Job<'_>,
    source: &mut Source,
    growing: &mut Growing,
    asked: Option<&Validators>,
) -> Result<Answer, Stop> {
    if job.cancel.is_cancelled() {
        return Err(Stop::Cancelled);
    }
    let pinned = job.wanted.sha256.is_some();
    let tag = match &growing.origin {
        Some((url, tag)) if !pinned && *url == source.url => Some(tag.clone()),
        _ => None,
    };
    // With a pinned hash the whole is judged at the end, whoever sent the parts. Without one only
    // the same file of the same server may be gone on with.
    let resumed = source.ranges && growing.length() > 0 && (pinned || tag.is_some());
    if !resumed && growing.length() > 0 {
        growing.restart()?;
    }
    let request = Request {
        url: &source.url,
        offset: growing.length(),
        if_range: tag.as_deref(),
        known: if resumed { None } else { asked },
    };
    let answered = job.transport.get(&request);
    let response = answered.map_err(Problem::Transport)?;
    let total = match response.status {
        200 => {
            // The server sends everything, asked for or not.
            growing.restart()?;
            response.length
        }
        206 if resumed => match usable_range(&response, growing.length(), tag.as_deref()) {
            Ok(range) => range.total.or(Some(range.first + range.length)),
            Err(found) => {
                source.ranges = false;
                let wanted = growing.length();
                return Err(Problem::WrongRange { wanted, found }.into());
            }
        },
        416 if resumed => {
            source.ranges = false;
            return Err(Problem::WrongRange {
                wanted: growing.length(),
                found: "416".to_owned(),
            }
            .into());
        }
        304 if request.known.is_some() => return Ok(Answer::Unchanged),
        status => return Err(refused(status, &response).into()),
    };
    if !pinned && response.html {
        return Err(Problem::Page.into());
    }
    if let (Some(found), Some(wanted)) = (total, job.wanted.size)
        && found != wanted
    {
        let html = response.html;
        return Err(Problem::WrongSize {
            found,
            wanted,
            html,
        }
        .into());
    }
    let limit = job.wanted.limit.min(job.wanted.size.unwrap_or(u64::MAX));
    if total.is_some_and(|total| total > limit) {
        return Err(Problem::TooLarge { limit }.into());
    }
    receive(job, source, growing, response, total, limit)
}

/// Reads the body into the part and judges the whole.
fn receive(
    job: &Job<'_>,
    source: &mut Source,
    growing: &mut Growing,
    mut response: Response,
    total: Option<u64>,
    limit: u64,
) -> Result<Answer, Stop> {
    growing.answers += 1;
    if growing.answers == 1 {
        let tag = response.validators.strong_etag();
        growing.origin = tag.map(|tag| (source.url.clone(), tag.to_owned()));
    }
    let shown = total.or(job.wanted.size);
    let mut buffer = vec![0; CHUNK];
    let mut window = Window::new();
    loop {
        if job.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        job.progress.position(job.item, growing.length(), shown);
        let read = match response.body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(growing.length(), total, error).into()),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if growing.length().saturating_add(read as u64) > limit {
            // What came from here is not to be gone on with by anyone.
            growing.restart()?;
            return Err(Problem::TooLarge { limit }.into());
        }
        growing.part.append(bytes)?;
        if !window.fast_enough(job.options, read as u64) {
            return Err(Problem::TooSlow(job.options.min_speed).into());
        }
    }
    let received = growing.length();
    if let Some(expected) = total.or(job.wanted.size)
        && received < expected
    {
        return Err(Problem::Short { received, expected }.into());
    }
    if let Some(wanted) = job.wanted.sha256 {
        let found = growing.part.sha256();
        if found != wanted {
            let mixed = growing.answers > 1;
            // Whoever sent a wrong beginning would do so again, so this one's next answer is to
            // be all its own.
            source.ranges &= !mixed;
            growing.restart()?;
            return Err(Problem::WrongHash {
                found,
                wanted,
                html: response.html,
                mixed,
            }
            .into());
        }
    }
    // A body that may have been cut short unnoticed must not be confirmed by a later 304.
    let validators = if response.framed {
        response.validators
    } else {
        Validators::default()
    };
    Ok(Answer::Complete(validators))
}

/// Returns the range of a 206 if it goes on where the part ends, else what the server said.
fn usable_range(
    response: &Response,
    wanted: u64,
    tag: Option<&str>,
) -> Result<ContentRange, String> {
    let said = response.content_range.as_deref().unwrap_or("206");
    let range = ContentRange::parse(said).filter(|range| range.first == wanted);
    let same = tag.is_none() || response.validators.etag.as_deref() == tag;
    range.filter(|_| same).ok_or_else(|| said.to_owned())
}

fn refused(status: u16, response: &Response) -> Problem {
    let wait = response
        .retry_after
        .as_deref()
        .and_then(|value| retry_after(value, SystemTime::now()));
    match wait {
        Some(wait) if is_transient_status(status) => Problem::RetryAfter { status, wait },
        _ => Problem::Status(status),
    }
}

fn broken(received: u64, total: Option<u64>, source: io::Error) -> Problem {
    match total {
        Some(expected) if source.kind() == io::ErrorKind::UnexpectedEof => {
            Problem::Short { received, expected }
        }
        _ => Problem::Broken { received, source },
    }
}

/// Watches that a download stays faster than a hang.
pub(crate) struct Window {
    began: Instant,
    bytes: u64,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            bytes: 0,
        }
    }

    /// Counts what was read; says whether it came fast enough for `options`.
    pub(crate) fn fast_enough(&mut self, options: &Options, read: u64) -> bool {
        self.bytes += read;
        let elapsed = self.began.elapsed();
        if elapsed < options.slow_window {
            return true;
        }
        let speed = u128::from(self.bytes) * 1000 / elapsed.as_millis().max(1);
        *self = Self::new();
        speed >= u128::from(options.min_speed)
    }
}
