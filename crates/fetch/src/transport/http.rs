//! HTTP and HTTPS by ureq, which is synchronous and brings no runtime into a `build.rs`.

use std::io::{self, Read};
use std::sync::Arc;

use ureq::Agent;
#[cfg(feature = "remote-cache")]
use ureq::http::Method;
use ureq::http::header::{self, HeaderMap, HeaderName};
use ureq::http::uri::{Scheme, Uri};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::{Proxies, Request, Response, TransportError, Validators, forward};
use crate::{Options, url};

/// How many redirects one request may follow; mirrors need one or two.
const MAX_REDIRECTS: u32 = 8;

/// The largest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The largest body, in bytes, that is read only so that its connection can serve again.
const MAX_DRAINED: u64 = 16 * 1024;

/// What prebake calls itself to servers.
const USER_AGENT: &str = concat!("prebake/", env!("CARGO_PKG_VERSION"));

/// An agent (a pool of connections) for each way out: the proxy belongs to the agent.
#[derive(Debug)]
pub(crate) struct Http {
    direct: Agent,
    /// For `http://` through its proxy.
    plain: Option<Agent>,
    /// What the proxy of `http://` wants to know of the user.
    authorization: Option<String>,
    /// For `https://` through its proxy.
    secure: Option<Agent>,
    proxies: Proxies,
}

impl Http {
    pub(crate) fn new(options: &Options, proxies: &Proxies) -> Result<Self, TransportError> {
        // The provider is always named: with two of them in one process, rustls would panic
        // over which to take.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = |proxy: Option<ureq::Proxy>| {
            Agent::config_builder()
                .tls_config(tls.clone())
                .proxy(proxy)
                .user_agent(USER_AGENT)
                .accept("*/*")
                // What is hashed is the file itself.
                .accept_encoding("identity")
                .http_status_as_error(false)
                // Redirects are followed here, where each hop's proxy and scheme are looked at.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_response_header_size(MAX_HEAD)
                .max_idle_connections(2 * options.parallel.max(1))
                .max_idle_connections_per_host(options.parallel.max(1))
                .timeout_resolve(Some(options.connect_timeout))
                .timeout_connect(Some(options.connect_timeout))
                .timeout_recv_response(Some(options.read_timeout))
                .timeout_per_read(Some(options.read_timeout))
                .timeout_per_write(Some(options.read_timeout))
                .build()
        };
        let plain = parse("http_proxy", proxies.http.as_deref())?;
        let secure = parse("https_proxy", proxies.https.as_deref())?;
        let forwarding = plain.as_ref().and_then(|proxy| {
            let agent = forward::agent(config(None), proxy)?;
            Some((agent, forward::authorization(proxy)))
        });
        let (plain, authorization) = match forwarding {
            Some((agent, authorization)) => (Some(agent), authorization),
            None => (plain.map(|proxy| config(Some(proxy)).new_agent()), None),
        };
        Ok(Self {
            direct: config(None).new_agent(),
            plain,
            authorization,
            secure: secure.map(|proxy| config(Some(proxy)).new_agent()),
            proxies: proxies.clone(),
        })
    }

    /// Ends every connection; the agents cannot be used after this.
    pub(crate) fn interrupt(&self) {
        for agent in [&self.plain, &self.secure].into_iter().flatten() {
            agent.clone().shutdown();
        }
        self.direct.clone().shutdown();
    }

    /// Sends any request as it is and returns the answer as it comes: a redirect is an answer.
    #[cfg(feature = "remote-cache")]
    pub(crate) fn exchange(
        &self,
        mut request: ureq::http::Request<Vec<u8>>,
    ) -> Result<ureq::http::Response<ureq::Body>, TransportError> {
        let (agent, authorization) = self.agent(request.uri());
        if let Some(authorization) = authorization {
            let value = authorization.parse();
            let value = value.map_err(|_| TransportError::Proxy("its password".to_owned()))?;
            let headers = request.headers_mut();
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
        let answer = if request.body().is_empty() && request.method() != Method::PUT {
            agent.run(request.map(|_| ()))
        } else {
            agent.run(request)
        };
        answer.map_err(error)
    }

    /// Sends a request and follows redirects.
    pub(super) fn get(&self, request: &Request<'_>) -> Result<Response, TransportError> {
        let mut at = request.url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let uri: Uri = at.parse().map_err(|_| TransportError::Url)?;
            let secure = uri.scheme() == Some(&Scheme::HTTPS);
            let mut answer = self.send(&uri, request)?;
            let status = answer.status().as_u16();
            if !matches!(status, 200 | 206) {
                drain(&mut answer);
            }
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return response(answer);
            }
            let location = text(answer.headers(), header::LOCATION)
                .ok_or_else(|| TransportError::Protocol(format!("a {status} without a target")))?;
            let next = url::join(&at, &location)
                .ok_or_else(|| TransportError::Redirect(url::redact(&location)))?;
            // Never from the net into the file system, nor from a connection that is
            // protected to one that is not.
            let followed = match url::scheme(&next) {
                Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
                Some(scheme) => scheme.eq_ignore_ascii_case("http") && !secure,
                None => false,
            };
            if !followed {
                return Err(TransportError::Redirect(url::redact(&next)));
            }
            at = next;
        }
        Err(TransportError::TooManyRedirects(MAX_REDIRECTS))
    }

    fn send(
        &self,
        uri: &Uri,
        request: &Request<'_>,
    ) -> Result<ureq::http::Response<ureq::Body>, TransportError> {
        let (agent, authorization) = self.agent(uri);
        let mut call = agent.get(uri);
        if let Some(authorization) = authorization {
            call = call.header(header::PROXY_AUTHORIZATION, authorization);
        }
        if request.offset > 0 {
            call = call.header(header::RANGE, format!("bytes={}-", request.offset));
            if let Some(tag) = request.if_range {
                call = call.header(header::IF_RANGE, tag);
            }
        }
        if let Some(known) = request.known {
            if let Some(tag) = &known.etag {
                call = call.header(header::IF_NONE_MATCH, tag);
            }
            if let Some(date) = &known.last_modified {
                call = call.header(header::IF_MODIFIED_SINCE, date);
            }
        }
        call.call().map_err(error)
    }

    /// Returns the way to `uri`, and what its proxy wants to know.
    fn agent(&self, uri: &Uri) -> (&Agent, Option<&String>) {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if self.proxies.is_direct(host, port) {
            return (&self.direct, None);
        }
        match (secure, &self.secure, &self.plain) {
            (true, Some(agent), _) => (agent, None),
            (false, _, Some(agent)) => (agent, self.authorization.as_ref()),
            _ => (&self.direct, None),
        }
    }
}

/// Reads a proxy's URL, which came from the environment variable `name`.
fn parse(name: &str, proxy: Option<&str>) -> Result<Option<ureq::Proxy>, TransportError> {
    let Some(text) = proxy else { return Ok(None) };
    ureq::Proxy::new(text).map(Some).map_err(|error| {
        let text = url::redact(text);
        TransportError::Proxy(format!("`{text}`, from `{name}` or `all_proxy`: {error}"))
    })
}

/// Reads the body of an answer that is not the file, if it is a small one. A failure is met again
/// by whoever uses the connection next.
fn drain(answer: &mut ureq::http::Response<ureq::Body>) {
    let length = answer.body().content_length();
    if length.is_some_and(|length| length <= MAX_DRAINED) {
        let mut body = answer.body_mut().as_reader();
        drop(io::copy(&mut body, &mut io::sink()));
    }
}

fn response(answer: ureq::http::Response<ureq::Body>) -> Result<Response, TransportError> {
    let (head, body) = answer.into_parts();
    let headers = &head.headers;
    if let Some(encoding) = text(headers, header::CONTENT_ENCODING)
        && !encoding.eq_ignore_ascii_case("identity")
    {
        return Err(TransportError::Encoding(encoding));
    }
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let length = text(headers, header::CONTENT_LENGTH)
        .filter(|_| !chunked)
        .and_then(|length| length.parse().ok());
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    Ok(Response {
        status: head.status.as_u16(),
        length,
        framed: chunked || length.is_some(),
        content_range: text(headers, header::CONTENT_RANGE),
        validators: Validators {
            etag: text(headers, header::ETAG),
            last_modified: text(headers, header::LAST_MODIFIED),
        },
        retry_after: text(headers, header::RETRY_AFTER),
        html: kind
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html"),
        body: Box::new(Body(body.into_reader())),
    })
}

/// Returns a header's value if it is plain visible text, which is all that is used or shown.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.trim().to_owned())
}

/// A body whose errors say what happened in this crate's words.
struct Body(ureq::BodyReader<'static>);

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|broken| {
            let kind = broken.kind();
            match error(ureq::Error::from(broken)) {
                TransportError::Connection(plain) => plain,
                told => io::Error::new(kind, told),
            }
        })
    }
}

fn error(error: ureq::Error) -> TransportError {
    use ureq::{Error, Timeout};
    match error {
        Error::HostNotFound => TransportError::HostNotFound,
        Error::Timeout(Timeout::Resolve) => {
            TransportError::Timeout("while looking up the host name")
        }
        Error::Timeout(Timeout::Connect) => TransportError::Timeout("while connecting"),
        Error::Timeout(Timeout::RecvResponse) => TransportError::Timeout("waiting for an answer"),
        Error::Timeout(_) => TransportError::Timeout("waiting for data"),
        Error::Rustls(error) => TransportError::Tls(error),
        Error::Tls(reason) => TransportError::Tls(rustls::Error::General(reason.to_owned())),
        Error::BadUri(_) | Error::Http(_) => TransportError::Url,
        Error::InvalidProxyUrl => TransportError::Proxy("its URL is invalid".to_owned()),
        Error::ConnectProxyFailed(reason) => TransportError::Proxy(reason),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(tls) => TransportError::Tls(rustls::Error::clone(tls)),
            None => TransportError::Connection(error),
        },
        other => TransportError::Protocol(other.to_string()),
    }
}
