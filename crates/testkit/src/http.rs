//! A real HTTP/1.1 server on loopback that can misbehave on demand.
//!
//! ```
//! use prebake_testkit::http::{Fault, Server};
//!
//! let server = Server::start();
//! server.put("/file", b"content");
//! // The next request ends after three bytes, the one after that is answered right.
//! server.fault_next("/file", [Fault::Truncate(3)]);
//! println!("{}", server.url("/file"));
//! ```
//!
//! Everything is sockets and threads of the standard library; the server ends, with all its
//! connections, when it is dropped.

mod answer;
mod fault;
mod proxy;
mod request;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub use fault::Fault;
pub use proxy::Proxy;
pub use request::Request;

use answer::After;
use fault::Plan;

/// A server on a loopback port of its own.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    files: Mutex<BTreeMap<String, Arc<[u8]>>>,
    folder: Option<PathBuf>,
    plan: Mutex<Plan>,
    log: Mutex<Vec<Request>>,
    delivered: Mutex<BTreeMap<String, usize>>,
    /// Told of every request in the log, and of the end.
    logged: Condvar,
    tls: Option<Arc<ServerConfig>>,
    open: Open,
    stop: Stop,
}

/// Tells every thread of a server that it is over.
#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

/// The open connections, kept so that the end of the server ends them too.
#[derive(Debug, Default)]
struct Open(Mutex<(u64, BTreeMap<u64, TcpStream>)>);

impl Server {
    /// Starts a server with no files yet.
    pub fn start() -> Self {
        Self::start_with(None, None)
    }

    /// Starts a server for the files of `folder`; files put in memory go before them.
    pub fn start_folder(folder: &Path) -> Self {
        Self::start_with(Some(folder.to_owned()), None)
    }

    /// Starts an HTTPS server; see [`crate::tls::Authority::server_config`].
    pub fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::start_with(None, Some(config))
    }

    fn start_with(folder: Option<PathBuf>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            files: Mutex::default(),
            folder,
            plan: Mutex::default(),
            log: Mutex::default(),
            delivered: Mutex::default(),
            logged: Condvar::new(),
            tls,
            open: Open::default(),
            stop: Stop::default(),
        });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Self {
            shared,
            address,
            accepting: Some(accepting),
        }
    }

    /// Returns the URL of `path`, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        let scheme = match self.shared.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a file at `path`, or replaces it.
    pub fn put(&self, path: &str, content: &[u8]) {
        guard(&self.shared.files).insert(path.to_owned(), content.into());
    }

    /// Removes the file that was put at `path`.
    pub fn remove(&self, path: &str) {
        guard(&self.shared.files).remove(path);
    }

    /// Makes every request of `path` meet `fault`.
    pub fn fault(&self, path: &str, fault: Fault) {
        guard(&self.shared.plan).always(path, fault);
    }

    /// Makes the next requests of `path` meet these faults, one each.
    pub fn fault_next(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        guard(&self.shared.plan).next(path, faults.into_iter().map(Some));
    }

    /// Lets the next `count` requests of `path` pass before what is planned for it after them.
    pub fn pass_next(&self, path: &str, count: usize) {
        guard(&self.shared.plan).next(path, std::iter::repeat_n(None, count));
    }

    /// Makes one request in `count`, of any path, meet `fault`.
    pub fn fault_every(&self, count: u64, fault: Fault) {
        guard(&self.shared.plan).every(count, fault);
    }

    /// Makes one request in `count` of each path meet one of these faults, by turns. Which one it is
    /// of the first `count` is another for each path; two in a row are never met.
    pub fn fault_each(&self, count: u64, faults: impl IntoIterator<Item = Fault>) {
        guard(&self.shared.plan).each(count, faults.into_iter().collect());
    }

    /// Behaves from now on.
    pub fn clear_faults(&self) {
        guard(&self.shared.plan).clear();
    }

    /// Returns every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        guard(&self.shared.log).clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        guard(&self.shared.log).clear();
        guard(&self.shared.delivered).clear();
    }

    /// Returns how often `path` was sent to its end, all of it or the rest that was asked for.
    pub fn delivered(&self, path: &str) -> usize {
        guard(&self.shared.delivered)
            .get(path)
            .copied()
            .unwrap_or_default()
    }

    /// Returns how many connections there have been.
    pub fn connections(&self) -> u64 {
        guard(&self.shared.open.0).0
    }

    /// Returns how often `path` was asked for.
    pub fn count(&self, path: &str) -> usize {
        let log = guard(&self.shared.log);
        log.iter().filter(|request| request.path == path).count()
    }
}

/// Returns a loopback URL of `path` at a port where nobody listens.
pub fn refused(path: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    drop(listener);
    format!("http://{address}{path}")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        // Who has just looked for a request and not found it sleeps once the log is free.
        drop(guard(&self.shared.log));
        self.shared.logged.notify_all();
        self.shared.open.close_all();
        // Wakes the accepting thread, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut threads = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            if self.stop.is_set() {
                break;
            }
            let shared = Arc::clone(self);
            threads.push(std::thread::spawn(move || {
                let number = shared.open.add(&stream);
                // An error here is the client's going away, which is what some tests are about.
                drop(shared.serve(stream, number));
            }));
        }
        self.open.close_all();
        for thread in threads {
            drop(thread.join());
        }
    }

    fn serve(&self, stream: TcpStream, number: u64) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let after = match &self.tls {
            None => {
                let mut stream = stream;
                let after = self.converse(&mut stream);
                self.finish(&mut stream, number, after)
            }
            Some(config) => {
                let session =
                    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(session, stream);
                let after = self.converse(&mut stream);
                if matches!(after, Ok(After::Close)) {
                    stream.conn.send_close_notify();
                    drop(stream.flush());
                }
                self.finish(&mut stream, number, after)
            }
        };
        self.open.remove(number);
        after
    }

    fn finish(
        &self,
        stream: &mut impl Read,
        number: u64,
        after: io::Result<After>,
    ) -> io::Result<()> {
        if after? == After::Silence {
            while stream.read(&mut [0; 512])? > 0 {}
        }
        // The other handle of the socket goes first, so that dropping the stream closes it.
        self.open.remove(number);
        Ok(())
    }

    fn converse(&self, stream: &mut (impl Read + Write)) -> io::Result<After> {
        loop {
            let Some(request) = Request::read_all_but_one(stream)? else {
                return Ok(After::Close);
            };
            let fault = guard(&self.plan).take(&request.path);
            guard(&self.log).push(request.clone());
            self.logged.notify_all();
            if let Some(Fault::After(other)) = &fault {
                self.await_request(other);
            }
            if !matches!(fault, Some(Fault::Reset(_))) {
                stream.read_exact(&mut [0])?;
            }
            let content = self.content(&request.path);
            let mut delivered = false;
            let after = answer::answer(
                stream,
                &request,
                content.as_deref(),
                fault.as_ref(),
                &self.stop,
                &mut delivered,
            )?;
            stream.flush()?;
            if delivered {
                *guard(&self.delivered)
                    .entry(request.path.clone())
                    .or_default() += 1;
            }
            if after != After::Keep || request.header("connection") == Some("close") {
                return Ok(after);
            }
        }
    }

    /// Waits until `path` was asked for, or until it is over.
    fn await_request(&self, path: &str) {
        let log = guard(&self.log);
        let missing = |log: &mut Vec<Request>| {
            !self.stop.is_set() && !log.iter().any(|request| request.path == path)
        };
        drop(self.logged.wait_while(log, missing));
    }

    fn content(&self, path: &str) -> Option<Arc<[u8]>> {
        let path = path.split('?').next().unwrap_or(path);
        if let Some(content) = guard(&self.files).get(path) {
            return Some(Arc::clone(content));
        }
        let relative = percent_decoded(path.strip_prefix('/')?)?;
        if relative.split('/').any(|part| part == "..") {
            return None;
        }
        let file = self.folder.as_ref()?.join(relative);
        fs_err::read(file).ok().map(Into::into)
    }
}

impl Stop {
    fn set(&self) {
        *guard(&self.stopped) = true;
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        *guard(&self.stopped)
    }

    /// Waits for `time` or until it is over; returns whether it is.
    fn wait(&self, time: Duration) -> bool {
        let stopped = guard(&self.stopped);
        let waited = self
            .changed
            .wait_timeout_while(stopped, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Open {
    fn add(&self, stream: &TcpStream) -> u64 {
        let mut open = guard(&self.0);
        open.0 += 1;
        let number = open.0;
        if let Ok(stream) = stream.try_clone() {
            open.1.insert(number, stream);
        }
        number
    }

    fn remove(&self, number: u64) {
        guard(&self.0).1.remove(&number);
    }

    fn close_all(&self) {
        for stream in guard(&self.0).1.values() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Locks `mutex`; a thread that panicked while holding it is the test's failure, not this one's.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
