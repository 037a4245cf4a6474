//! A forward proxy: tunnels by `CONNECT`, and plain requests in absolute form.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Open, Request, Stop, guard};

/// A forward proxy on a loopback port of its own; it ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Vec<Request>>,
    open: Open,
    stop: Stop,
}

impl Proxy {
    /// Starts a proxy.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::<Shared>::default();
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

    /// Returns the proxy's URL, as it stands in `HTTP_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests so far; the path of a `CONNECT` is the host and port.
    pub fn requests(&self) -> Vec<Request> {
        guard(&self.shared.log).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.set();
        self.shared.open.close_all();
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
                drop(shared.serve(stream));
                shared.open.remove(number);
            }));
        }
        self.open.close_all();
        for thread in threads {
            drop(thread.join());
        }
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some(request) = Request::read_all_but_one(&mut client)? else {
            return Ok(());
        };
        client.read_exact(&mut [0])?;
        guard(&self.log).push(request.clone());
        if request.method == "CONNECT" {
            let mut server = TcpStream::connect(&request.path)?;
            let number = self.open.add(&server);
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            let (mut up_from, mut up_to) = (client.try_clone()?, server.try_clone()?);
            let up = std::thread::spawn(move || {
                drop(io::copy(&mut up_from, &mut up_to));
                drop(up_to.shutdown(Shutdown::Write));
            });
            drop(io::copy(&mut server, &mut client));
            drop(client.shutdown(Shutdown::Both));
            drop(up.join());
            self.open.remove(number);
            return Ok(());
        }
        let Some((host, path)) = request
            .path
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
        else {
            return client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        };
        let mut server = TcpStream::connect(host)?;
        let mut head = format!(
            "{} /{path} HTTP/1.1\r\nConnection: close\r\n",
            request.method
        );
        for (name, value) in &request.headers {
            if name != "connection" && !name.starts_with("proxy-") {
                head.extend([name, ": ", value, "\r\n"]);
            }
        }
        head.push_str("\r\n");
        server.write_all(head.as_bytes())?;
        io::copy(&mut server, &mut client)?;
        Ok(())
    }
}
