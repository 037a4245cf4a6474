//! What an object store sends goes through the same HTTP as everything else: the same proxies, the
//! same trusted roots, the same bounds on time, and an end when somebody asks for it.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use ureq::http::Method;
use ureq::http::uri::Scheme;

use crate::TransportError;
use crate::transport::Http;

/// How many bytes of an answer are handed on at once.
const CHUNK: usize = 64 * 1024;

/// The most bytes that are read of an answer that is not a file.
const MAX_WORDS: u64 = 64 * 1024;

/// The answer of an HTTP call, once there is one.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

/// Gives every client of an object store this crate's HTTP.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) Arc<Http>);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(Service {
            http: Arc::clone(&self.0),
            plain: plain.as_deref() == Some("true"),
        }))
    }
}

#[derive(Debug)]
struct Service {
    http: Arc<Http>,
    /// Whether it may be asked for without encryption.
    plain: bool,
}

impl HttpService for Service {
    /// Asks and waits. Nothing else runs on the thread that a future of this crate is waited for
    /// on, so it may wait in the middle of it.
    fn call<'s, 'a>(&'s self, request: HttpRequest) -> Answer<'a>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(std::future::ready(self.ask(request)))
    }
}

impl Service {
    fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.plain && request.uri().scheme() != Some(&Scheme::HTTPS) {
            let why = "it is asked without encryption only where its `…_ALLOW_HTTP` is `true`";
            return Err(HttpError::new(
                HttpErrorKind::Unknown,
                io::Error::other(why),
            ));
        }
        let (head, body) = request.into_parts();
        let sent = collect(body)?;
        let request = ureq::http::Request::from_parts(head, sent);
        let is_get = request.method() == Method::GET;
        let answer = self.http.exchange(request).map_err(failed)?;
        let (head, body) = answer.into_parts();
        if !is_get || !head.status.is_success() {
            // A few words, which the store's client reads whole.
            let mut words = Vec::new();
            let mut reader = body.into_reader().take(MAX_WORDS);
            let read = reader.read_to_end(&mut words);
            read.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?;
            return Ok(HttpResponse::from_parts(head, words.into()));
        }
        let body = Blocking(Mutex::new(body.into_reader()));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

fn failed(error: TransportError) -> HttpError {
    let kind = match error {
        TransportError::Timeout(_) => HttpErrorKind::Timeout,
        TransportError::Interrupted => HttpErrorKind::Interrupted,
        TransportError::HostNotFound | TransportError::Connection(_) => HttpErrorKind::Connect,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

/// Returns all of a request's body, which is in memory already.
fn collect(mut body: HttpRequestBody) -> Result<Vec<u8>, HttpError> {
    let mut all = Vec::with_capacity(body.content_length());
    let mut context = Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all)
}

/// The body of an answer, read as it is wanted.
struct Blocking(Mutex<ureq::BodyReader<'static>>);

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocking")
    }
}

impl Body for Blocking {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = vec![0; CHUNK];
        loop {
            return Poll::Ready(match reader.read(&mut buffer) {
                Ok(0) => None,
                Ok(read) => {
                    buffer.truncate(read);
                    Some(Ok(Frame::data(Bytes::from(buffer))))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Some(Err(HttpError::new(HttpErrorKind::Interrupted, error))),
            });
        }
    }
}
