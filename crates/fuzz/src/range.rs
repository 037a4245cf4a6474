//! Downloads from a server that says whatever it likes: what has a hash comes with that hash or
//! not at all, an honest server's file comes whole over however many answers, and it all ends.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prebake_apk::digest::Sha256;
use prebake_fetch::{
    Cache, Cancel, Fetcher, Options, Request, Response, Silent, Transport, TransportError,
    Validators, Wanted,
};

use crate::feed::Feed;
use crate::tame::tame;

/// How often each URL is tried.
const TRIES: u32 = 3;

/// An answer whose body was read: its status, its strong tag and what it gave.
#[derive(Debug)]
struct Given {
    status: u16,
    tag: Option<String>,
    bytes: Vec<u8>,
}

/// What the server and its bodies share.
#[derive(Debug, Default)]
struct Log {
    requests: usize,
    given: Vec<Given>,
}

/// Answers as the bytes say.
struct Server {
    content: Vec<u8>,
    tag: Option<String>,
    /// Whether it never lies, though it may break off.
    honest: bool,
    script: Mutex<(Vec<u8>, usize)>,
    log: Arc<Mutex<Log>>,
}

/// Fetches a file twice.
pub(crate) fn range(data: &[u8]) {
    let mut feed = Feed::new(data);
    let how = feed.byte();
    let content = feed.slice().to_vec();
    let (honest, pinned, sized) = (how & 1 == 0, how & 2 == 0, how & 4 == 0);
    let tag = match how >> 6 {
        0 => None,
        1 => Some("W/\"weak\"".to_owned()),
        _ => Some("\"strong\"".to_owned()),
    };
    let log = Arc::new(Mutex::new(Log::default()));
    let server = Server {
        content: content.clone(),
        tag,
        honest,
        script: Mutex::new((feed.rest().to_vec(), 0)),
        log: Arc::clone(&log),
    };
    let mut wanted = Wanted::new("file", "https://one.example/file");
    wanted.urls.push("https://two.example/file".to_owned());
    wanted.sha256 = pinned.then(|| Sha256::of(&content));
    wanted.size = sized.then_some(content.len() as u64);
    wanted.limit = if how & 8 == 0 { 1 << 20 } else { 40 };

    // A cache syncs all it writes, which costs nothing where Linux keeps it in memory.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.expect("there is a folder for temporary files");
    let options = Options {
        parallel: 1,
        tries: TRIES,
        backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        max_retry_after: Duration::ZERO,
        slow_window: Duration::from_hours(1),
        ..Options::default()
    };
    let cache = Cache::open(folder.path().join("cache"));
    let fetcher = Fetcher::new(cache, Arc::new(server), options, Cancel::default());
    let mut last: Option<Vec<u8>> = None;
    for _ in 0..2 {
        lock(&log).requests = 0;
        match fetcher.fetch_one(&wanted, &Silent) {
            Ok(fetched) => {
                let bytes = fetched.blob.read_verified(wanted.limit);
                let bytes = bytes.expect("what was fetched is in the cache");
                assert!(bytes.len() as u64 <= wanted.limit);
                assert!(!pinned || bytes == content, "another file was taken");
                assert!(!sized || bytes.len() == content.len());
                if honest {
                    assert!(bytes == content, "an honest server's file is not whole");
                }
                if last.as_ref() != Some(&bytes) && !pinned {
                    assert_eq!(joined(&lock(&log).given), Some(bytes.clone()));
                }
                last = Some(bytes);
            }
            Err(error) => drop(tame(&error)),
        }
        let requests = lock(&log).requests;
        assert!(requests <= 2 * TRIES as usize, "{requests} requests");
    }
}

/// Returns what the last whole answer and the parts after it gave, which must all be of one file.
fn joined(given: &[Given]) -> Option<Vec<u8>> {
    let first = given.iter().rposition(|one| one.status == 200)?;
    let chain = &given[first..];
    if chain.len() > 1 {
        let tag = chain[0].tag.as_ref()?;
        assert!(tag.starts_with('"'), "gone on with by {tag}");
        assert!(chain.iter().all(|one| one.tag.as_ref() == Some(tag)));
    }
    Some(chain.iter().flat_map(|one| one.bytes.clone()).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transport for Server {
    fn get(&self, request: &Request<'_>) -> Result<Response, TransportError> {
        lock(&self.log).requests += 1;
        let mut script = lock(&self.script);
        let script = &mut *script;
        let mut feed = Feed::new(script.0.get(script.1..).unwrap_or_default());
        let before = feed.rest().len();
        let answer = self.answer(&mut feed, request);
        script.1 += before - feed.rest().len();
        answer
    }

    fn interrupt(&self) {}
}

impl Server {
    fn answer(
        &self,
        feed: &mut Feed<'_>,
        request: &Request<'_>,
    ) -> Result<Response, TransportError> {
        let offset = usize::try_from(request.offset).unwrap_or(usize::MAX);
        let rest = self.content.get(offset..).filter(|rest| !rest.is_empty());
        let kind = feed.byte();
        let detail = feed.byte();
        let whole = |status| (status, self.content.clone(), None, self.tag.clone());
        let (status, body, range, tag) = match kind % 8 {
            0 => return Err(TransportError::Connection(io::Error::other("broken"))),
            1 => whole(200),
            2 | 3
                if request
                    .if_range
                    .is_some_and(|tag| self.tag.as_deref() != Some(tag)) =>
            {
                whole(200)
            }
            2 | 3 => match rest {
                Some(rest) if offset > 0 => {
                    let (last, all) = (self.content.len() - 1, self.content.len());
                    let range = match detail & 1 {
                        0 => format!("bytes {offset}-{last}/{all}"),
                        _ => format!("bytes {offset}-{last}/*"),
                    };
                    (206, rest.to_vec(), Some(range), self.tag.clone())
                }
                _ if offset > 0 => (416, Vec::new(), None, None),
                _ => whole(200),
            },
            4 => match request.known.and_then(|known| known.etag.as_ref()) {
                Some(tag) if !self.honest || Some(tag) == self.tag.as_ref() => {
                    (304, Vec::new(), None, None)
                }
                _ => whole(200),
            },
            5 => (
                [404, 416, 500, 503][usize::from(detail % 4)],
                Vec::new(),
                None,
                None,
            ),
            _ if self.honest => whole(200),
            6 => (200, feed.slice().to_vec(), None, self.said(feed)),
            _ => {
                let range = visible(feed.slice());
                (206, feed.slice().to_vec(), Some(range), self.said(feed))
            }
        };
        let mut length = Some(body.len() as u64);
        let mut cut = body.len();
        let mut clean = false;
        if detail & 2 != 0 {
            cut = cut.min(usize::from(feed.byte()));
            clean = detail & 4 != 0;
        }
        if detail & 8 != 0 {
            length = None;
            // Without a length, only chunks tell an honest server's end from a break.
            clean &= !self.honest;
        }
        if detail & 16 != 0 && !self.honest {
            length = Some(u64::from(feed.word()) << (feed.byte() % 33));
        }
        let framed = length.is_some() || detail & 32 == 0;
        let log = Arc::clone(&self.log);
        let broken = cut < body.len() && !clean;
        Ok(Response {
            status,
            length,
            framed,
            content_range: range,
            validators: Validators {
                etag: tag.clone(),
                last_modified: None,
            },
            retry_after: (kind >= 200).then(|| visible(feed.slice())),
            html: !self.honest && detail & 64 != 0,
            body: Box::new(Body {
                rest: body.get(..cut).unwrap_or_default().to_vec(),
                broken,
                piece: 1 + usize::from(detail >> 3),
                begun: false,
                head: (status, tag),
                log,
            }),
        })
    }

    /// A tag that may be another file's.
    fn said(&self, feed: &mut Feed<'_>) -> Option<String> {
        match feed.byte() % 4 {
            0 => None,
            1 => Some(format!("\"{}\"", visible(feed.slice()))),
            2 => Some("W/\"strong\"".to_owned()),
            _ => self.tag.clone(),
        }
    }
}

/// Header values are visible text before they get this far.
fn visible(bytes: &[u8]) -> String {
    let bytes = bytes.iter().map(|byte| char::from(b' ' + byte % 95));
    bytes.collect::<String>().trim().to_owned()
}

struct Body {
    rest: Vec<u8>,
    broken: bool,
    piece: usize,
    begun: bool,
    head: (u16, Option<String>),
    log: Arc<Mutex<Log>>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut log = lock(&self.log);
        if !self.begun {
            self.begun = true;
            let (status, tag) = self.head.clone();
            let bytes = Vec::new();
            log.given.push(Given { status, tag, bytes });
        }
        if self.rest.is_empty() && self.broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let length = self.piece.min(self.rest.len()).min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.rest.drain(..length)) {
            *to = from;
            if let Some(given) = log.given.last_mut() {
                given.bytes.push(from);
            }
        }
        Ok(length)
    }
}
