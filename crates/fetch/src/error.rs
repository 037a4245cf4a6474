//! Why files could not be had.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use prebake_apk::digest::Sha256;

use crate::{CacheError, TransportError, url};

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Files that none of their URLs gave. Never empty.
    #[error("{}", Lines(.0))]
    Failed(Vec<Failure>),
    /// Files that the cache does not have, while the network may not be used. Never empty.
    #[error("{}", Lines(.0))]
    Offline(Vec<Missing>),
    /// The cache itself failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The [`Cancel`](crate::Cancel) token was pulled.
    #[error("cancelled")]
    Cancelled,
}

/// What sort of failure it is, as exit codes and hints tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Servers could not be reached or did not do their work.
    Network,
    /// Every URL says that there is no such file: typically a mirror that dropped a superseded
    /// package.
    NotFound,
    /// A server sent something else than what is pinned, or more than is allowed.
    Integrity,
    /// Not in the cache, and offline.
    Offline,
    /// The cache cannot be read or written.
    Cache,
    /// Stopped by the user.
    Cancelled,
}

/// A file that none of its URLs gave.
#[derive(Debug)]
pub struct Failure {
    /// What the file is called.
    pub label: String,
    /// Every URL, in the order of the wish.
    pub tried: Vec<Tried>,
}

/// What came of one URL.
#[derive(Debug)]
pub struct Tried {
    /// The URL without user name and password.
    pub url: String,
    /// How many tries failed.
    pub tries: u32,
    /// The last one's problem.
    pub problem: Problem,
}

/// A file that the cache does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What the file is called.
    pub label: String,
    /// Its first URL, without user name and password.
    pub url: String,
    /// Whether the cache has it with a damaged content.
    pub damaged: bool,
}

/// What went wrong with one try of a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No answer came.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server answered with a status that is no success.
    #[error("{}", answered(*.0))]
    Status(u16),
    /// The server wants to be left alone.
    #[error("{status}{}, to come back after {} s", meaning(*.status), wait.as_secs())]
    RetryAfter {
        /// The status, such as 429 or 503.
        status: u16,
        /// How long.
        wait: Duration,
    },
    /// The body's transfer failed.
    #[error("the transfer broke off after {received} bytes")]
    Broken {
        /// How much of the file is there, in bytes.
        received: u64,
        /// What happened.
        source: io::Error,
    },
    /// The body ended early.
    #[error("the transfer ended after {received} of {expected} bytes")]
    Short {
        /// How much of the file is there, in bytes.
        received: u64,
        /// How much was promised, in bytes.
        expected: u64,
    },
    /// The body was slower than [`Options::min_speed`](crate::Options::min_speed).
    #[error("the transfer was slower than {0} bytes a second")]
    TooSlow(u64),
    /// The file is larger than the wish allows.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file's size is not the expected one.
    #[error("the file has {found} bytes and should have {wanted}{}", page(*html))]
    WrongSize {
        /// The size that the server announced, in bytes.
        found: u64,
        /// The expected size, in bytes.
        wanted: u64,
        /// Whether it was an HTML page.
        html: bool,
    },
    /// The file's content is not the pinned one.
    #[error("the file's SHA-256 is {found} and should be {wanted}{}", page(*html))]
    WrongHash {
        /// The hash of what came.
        found: Sha256,
        /// The pinned hash.
        wanted: Sha256,
        /// Whether it was an HTML page.
        html: bool,
        /// Whether it was put together from several answers, so that this server may not be the
        /// one to blame.
        mixed: bool,
    },
    /// An HTML page came in place of a file whose content is not known beforehand.
    #[error("got an HTML page in place of the file, as from a captive portal or a proxy")]
    Page,
    /// The server was asked for the file's end and sent some other part.
    #[error("asked for the bytes from {wanted} on, the server sent `{found}`")]
    WrongRange {
        /// The first byte asked for.
        wanted: u64,
        /// The server's `Content-Range`, or its status.
        found: String,
    },
}

impl FetchError {
    /// Returns what sort of failure it is; with several files, the gravest: integrity, then the
    /// network, then files that do not exist.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Failed(failures) => {
                let kinds: Vec<Kind> = failures.iter().map(Failure::kind).collect();
                [Kind::Integrity, Kind::Network]
                    .into_iter()
                    .find(|kind| kinds.contains(kind))
                    .unwrap_or(Kind::NotFound)
            }
            Self::Offline(_) => Kind::Offline,
            Self::Cache(_) => Kind::Cache,
            Self::Cancelled => Kind::Cancelled,
        }
    }
}

impl Failure {
    /// Returns what sort of failure it is.
    pub fn kind(&self) -> Kind {
        let kinds = self.tried.iter().map(|tried| tried.problem.kind());
        if kinds.clone().any(|kind| kind == Kind::Integrity) {
            Kind::Integrity
        } else if !self.tried.is_empty() && kinds.clone().all(|kind| kind == Kind::NotFound) {
            Kind::NotFound
        } else {
            Kind::Network
        }
    }
}

impl Problem {
    /// Returns what sort of failure it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Status(404 | 410) => Kind::NotFound,
            Self::TooLarge { .. }
            | Self::WrongSize { html: false, .. }
            | Self::WrongHash { html: false, .. } => Kind::Integrity,
            _ => Kind::Network,
        }
    }

    /// Returns whether the same URL may do better a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_transient(),
            Self::Status(status) => is_transient_status(*status),
            Self::WrongHash { mixed, .. } => *mixed,
            Self::RetryAfter { .. }
            | Self::Broken { .. }
            | Self::Short { .. }
            | Self::TooSlow(_)
            | Self::WrongRange { .. } => true,
            Self::TooLarge { .. } | Self::WrongSize { .. } | Self::Page => false,
        }
    }
}

/// Returns whether a status tells of a passing trouble.
pub(crate) fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn answered(status: u16) -> String {
    format!("{status}{}", meaning(status))
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 => " (unauthorized)",
        403 => " (forbidden)",
        404 => " (not found)",
        407 => " (the proxy wants a password)",
        410 => " (gone)",
        429 => " (too many requests)",
        500..=599 => " (the server's failure)",
        _ => " (an unexpected status)",
    }
}

fn page(html: bool) -> &'static str {
    if html {
        "; it is an HTML page, as from a captive portal or a proxy"
    } else {
        ""
    }
}

/// Writes an error and what caused it on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !said.is_empty() && !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// One after the other, each from a new line.
struct Lines<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Lines<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, item) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not fetch `{}`", self.label)?;
        if self.tried.is_empty() {
            f.write_str(": it has no URL")?;
        }
        for tried in &self.tried {
            write!(f, "\n  {tried}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, chain(&self.problem))?;
        if self.tries > 1 {
            write!(f, " ({} tries)", self.tries)?;
        }
        Ok(())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.damaged {
            "is damaged in the cache"
        } else {
            "is not in the cache"
        };
        write!(
            f,
            "`{}` {how} and must not be fetched offline ({})",
            self.label,
            url::redact(&self.url)
        )
    }
}
