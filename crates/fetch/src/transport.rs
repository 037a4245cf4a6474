//! One request for one file, over whatever its URL's scheme stands for.

mod file;
mod forward;
mod http;
mod proxies;

use std::fmt;
use std::io::{self, Read};

use crate::{Options, url};

pub use proxies::Proxies;

pub(crate) use http::Http;

/// A request for a file or for its end.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where it is.
    pub url: &'a str,
    /// The first byte wanted; 0 for the whole file. A server may send the whole file anyway.
    pub offset: u64,
    /// With an offset: the strong `ETag` that the file must still have for a part of it to be of
    /// use.
    pub if_range: Option<&'a str>,
    /// What is already known of the file, so that the server may answer 304.
    pub known: Option<&'a Validators>,
}

/// What a server says by which a later request can ask whether a file has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The `ETag` with its quotes and, if weak, its `W/`.
    pub etag: Option<String>,
    /// The `Last-Modified` date as it was sent.
    pub last_modified: Option<String>,
}

impl Validators {
    /// Returns the `ETag` if it is a strong one, which stands for the very bytes.
    pub fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| tag.starts_with('"'))
    }

    /// Returns whether there is nothing to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// An answer: what its head says, and its body to be read.
pub struct Response {
    /// The HTTP status; a transport without one uses 200, 206 and 404 as HTTP does.
    pub status: u16,
    /// How many bytes the body is said to have.
    pub length: Option<u64>,
    /// Whether the body's end can be told from a connection that broke (by a length or chunks).
    pub framed: bool,
    /// The `Content-Range` of a 206.
    pub content_range: Option<String>,
    /// What a later request can ask with.
    pub validators: Validators,
    /// The `Retry-After`, of a server that wants to be left alone for a while.
    pub retry_after: Option<String>,
    /// Whether the body says it is an HTML page, which no wanted file is: a captive portal or a
    /// proxy's notice.
    pub html: bool,
    /// The body. Its read errors carry a [`TransportError`] where one says more.
    pub body: Box<dyn Read>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("length", &self.length)
            .field("content_range", &self.content_range)
            .finish_non_exhaustive()
    }
}

/// Why no answer came, or why its body ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The URL is malformed or of an unknown scheme.
    #[error("not a URL of `http`, `https` or `file`")]
    Url,
    /// The host's name is unknown, or no name server answers.
    #[error("the host name was not found")]
    HostNotFound,
    /// The connection could not be made or broke.
    #[error("the connection failed")]
    Connection(#[source] io::Error),
    /// The TLS handshake failed: most often a certificate that is not trusted.
    #[error("no trusted TLS connection")]
    Tls(#[source] rustls::Error),
    /// A bound on time ran out.
    #[error("timed out {0}")]
    Timeout(&'static str),
    /// The proxy from the environment cannot be used, or refuses.
    #[error("the proxy cannot be used: {0}")]
    Proxy(String),
    /// A redirect that leads in a circle or is too long a chain.
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    /// A redirect to somewhere that must not be followed.
    #[error("redirected to `{0}`, which is not followed")]
    Redirect(String),
    /// The answer is no HTTP that makes sense.
    #[error("the answer is no proper HTTP: {0}")]
    Protocol(String),
    /// The server compressed the file, though it was asked not to.
    #[error("the answer came in an encoding that was not asked for (`{0}`)")]
    Encoding(String),
    /// A local file cannot be read.
    #[error("the file cannot be read")]
    File(#[source] io::Error),
    /// The transport was interrupted for a [`Cancel`](crate::Cancel).
    #[error("interrupted")]
    Interrupted,
}

impl TransportError {
    /// Returns whether the same request may well succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::HostNotFound
            | Self::Connection(_)
            | Self::Timeout(_)
            | Self::Protocol(_)
            | Self::Proxy(_) => true,
            Self::Url
            | Self::Tls(_)
            | Self::TooManyRedirects(_)
            | Self::Redirect(_)
            | Self::Encoding(_)
            | Self::File(_)
            | Self::Interrupted => false,
        }
    }
}

/// Something that answers requests. Used by many threads at once.
pub trait Transport: Send + Sync {
    /// Sends `request` and returns the answer's head, whatever its status.
    fn get(&self, request: &Request<'_>) -> Result<Response, TransportError>;

    /// Makes requests in flight fail soon, and later ones at once.
    fn interrupt(&self) {}
}

/// The transport for real use: HTTP and HTTPS with one pool of connections, and `file://`.
///
/// HTTPS trusts what the operating system trusts; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// replace that.
#[derive(Debug)]
pub struct Network {
    http: Http,
}

impl Network {
    /// Sets up the transport. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`TransportError::Proxy`] if `proxies` names one that is no URL.
    pub fn new(options: &Options, proxies: &Proxies) -> Result<Self, TransportError> {
        Ok(Self {
            http: Http::new(options, proxies)?,
        })
    }
}

impl Transport for Network {
    fn get(&self, request: &Request<'_>) -> Result<Response, TransportError> {
        if url::is_local(request.url) {
            return file::get(request);
        }
        match url::scheme(request.url) {
            Some(scheme)
                if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
            {
                self.http.get(request)
            }
            _ => Err(TransportError::Url),
        }
    }

    fn interrupt(&self) {
        self.http.interrupt();
    }
}
