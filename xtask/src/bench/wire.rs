//! A wire with a latency: a relay to a server, which holds back every byte for a while.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How much is taken from a side at once.
const CHUNK: usize = 64 * 1024;

/// Listens on the loopback for as long as the program runs, and passes on what comes to `server`
/// and back. Each byte takes half of `round_trip`, and so does the word that a connection is wanted.
pub(super) fn stretch(server: SocketAddr, round_trip: Duration) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                // The kernel shook hands in no time, for which a real wire takes a round trip.
                thread::sleep(round_trip);
                let Ok(server) = TcpStream::connect(server) else {
                    return;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                        pass(from, to, round_trip / 2);
                    }
                }
            });
        }
    });
    Ok(address)
}

/// Passes on what comes, each chunk `delay` after it came.
fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let chunk = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.send((Instant::now() + delay, chunk)).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        // Small answers would wait for one another otherwise.
        let _ = to.set_nodelay(true);
        for (due, chunk) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&chunk).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
