//! Plain `http://` through a proxy as proxies expect it (RFC 9112, section 3.2.2): the request
//! goes to the proxy with the whole URL in its first line.
//!
//! ureq asks every proxy for a tunnel, also for plain requests. Proxies as commonly configured
//! (Squid out of the box) allow tunnels to port 443 only, and a tunnel hides from a caching proxy
//! what it could serve. These two hooks of ureq make the difference; they are outside its promise
//! of stability, which is why its minor version is pinned.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::uri::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};
use ureq::{Error, Proxy, ProxyProtocol};

/// Returns an agent that sends `http://` requests to `proxy`, if it is one that takes them in
/// plain. `config` names no proxy.
pub(super) fn agent(config: Config, proxy: &Proxy) -> Option<Agent> {
    if proxy.protocol() != ProxyProtocol::Http {
        return None;
    }
    let connector = ().chain(TcpConnector::default()).chain(WholeUrl);
    let resolver = ToProxy {
        proxy: proxy.uri().clone(),
        inner: DefaultResolver::default(),
    };
    Some(Agent::with_parts(config, connector, resolver))
}

/// Returns the `Proxy-Authorization` that the proxy's URL asks for.
pub(super) fn authorization(proxy: &Proxy) -> Option<String> {
    let user = proxy.username()?;
    let password = proxy.password().unwrap_or_default();
    let secret = BASE64.encode(format!("{user}:{password}"));
    Some(format!("Basic {secret}"))
}

/// Finds the proxy, whatever host is asked for.
#[derive(Debug)]
struct ToProxy {
    proxy: Uri,
    inner: DefaultResolver,
}

impl Resolver for ToProxy {
    fn resolve(
        &self,
        _: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.inner.resolve(&self.proxy, config, timeout)
    }
}

/// Wraps each connection in a [`Forwarding`].
#[derive(Debug)]
struct WholeUrl;

impl<In: Transport> Connector<In> for WholeUrl {
    type Out = Forwarding<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let authority = details.uri.authority().map_or("", |found| found.as_str());
        // A user and password of the target are no business of the first line.
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let origin = format!("http://{host}");
        Ok(chained.map(|inner| Forwarding { inner, origin }))
    }
}

/// A connection to the proxy that puts the origin before each request's path.
#[derive(Debug)]
struct Forwarding<In> {
    inner: In,
    origin: String,
}

/// How every request of this crate begins.
const START: &[u8] = b"GET /";

impl<In: Transport> Transport for Forwarding<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = self.inner.buffers().output();
        if !output.starts_with(START) {
            return self.inner.transmit_output(amount, timeout);
        }
        let path = START.len() - 1;
        let moved = path + self.origin.len();
        let longer = amount + self.origin.len();
        if amount < START.len() || longer > output.len() {
            return Err(Error::BadUri("it is too long".to_owned()));
        }
        output.copy_within(path..amount, moved);
        if let Some(gap) = output.get_mut(path..moved) {
            gap.copy_from_slice(self.origin.as_bytes());
        }
        self.inner.transmit_output(longer, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}
