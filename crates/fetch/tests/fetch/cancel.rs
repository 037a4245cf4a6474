//! Ctrl-C at any moment: a prompt end, and nothing left.

use std::sync::mpsc;
use std::time::Duration;

use prebake_fetch::{Cancel, FetchError, Kind, Options, Progress, Proxies, Silent};
use prebake_testkit::http::Fault;

use crate::setup::{FILE, Setup, fetcher, options};

/// Long enough that a test which waits for it never ends in time.
const EVER: Duration = Duration::from_hours(10);

fn patient() -> Options {
    Options {
        read_timeout: EVER,
        slow_window: EVER,
        backoff: EVER,
        max_backoff: EVER,
        lock_timeout: EVER,
        ..options()
    }
}

/// Pulls the token when the first bytes came, or when a try failed.
struct Pulling {
    cancel: Cancel,
    at_bytes: bool,
}

impl Progress for Pulling {
    fn position(&self, _: usize, bytes: u64, _: Option<u64>) {
        if self.at_bytes && bytes > 0 {
            self.cancel.cancel();
        }
    }

    fn retry(&self, _: usize, _: &str, _: &str, _: Duration) {
        self.cancel.cancel();
    }
}

/// Says when the work began, or when so many bytes came.
struct Telling {
    sender: mpsc::Sender<()>,
    at: Option<u64>,
}

impl Progress for Telling {
    fn start(&self, _: usize, _: &str, _: Option<u64>) {
        if self.at.is_none() {
            self.sender.send(()).unwrap();
        }
    }

    fn position(&self, _: usize, bytes: u64, _: Option<u64>) {
        if self.at == Some(bytes) {
            self.sender.send(()).unwrap();
        }
    }
}

#[track_caller]
fn assert_cancelled(setup: &Setup, result: Result<prebake_fetch::Fetched, FetchError>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert_eq!(error.to_string(), "cancelled");
    setup.assert_nothing_left();
    setup.server.clear_faults();
    setup.fetch(&setup.pinned()).unwrap();
    setup.assert_only_the_file();
}

#[test]
fn in_the_middle_of_a_transfer() {
    let setup = Setup::new();
    let cancel = Cancel::default();
    let fetcher = fetcher(
        setup.cache(),
        patient(),
        &Proxies::default(),
        cancel.clone(),
    );
    let pulling = Pulling {
        cancel,
        at_bytes: true,
    };
    let result = fetcher.fetch_one(&setup.pinned(), &pulling);
    assert_cancelled(&setup, result);
}

#[test]
fn while_waiting_for_the_next_try() {
    let setup = Setup::new();
    setup.server.fault(FILE, Fault::Status(500));
    let cancel = Cancel::default();
    let fetcher = fetcher(
        setup.cache(),
        patient(),
        &Proxies::default(),
        cancel.clone(),
    );
    let pulling = Pulling {
        cancel,
        at_bytes: false,
    };
    let result = fetcher.fetch_one(&setup.pinned(), &pulling);
    assert_cancelled(&setup, result);
}

#[test]
fn while_the_server_is_silent() {
    let setup = Setup::new();
    setup.server.fault(FILE, Fault::Stall(70_000));
    let cancel = Cancel::default();
    let fetcher = fetcher(
        setup.cache(),
        patient(),
        &Proxies::default(),
        cancel.clone(),
    );
    let (sender, receiver) = mpsc::channel();
    let telling = Telling {
        sender,
        at: Some(70_000),
    };
    let wanted = setup.pinned();
    let result = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fetcher.fetch_one(&wanted, &telling));
        receiver.recv().unwrap();
        // All that will ever come is there, and the fetcher reads on.
        cancel.cancel();
        fetching.join().unwrap()
    });
    assert_cancelled(&setup, result);
}

#[test]
fn while_another_process_has_the_lock() {
    let setup = Setup::new();
    let folder = setup.root().join("v1/lock");
    fs_err::create_dir_all(&folder).unwrap();
    let path = folder.join(setup.sha256().to_string());
    let lock = fs_err::File::create(&path).unwrap();
    lock.lock().unwrap();
    let cancel = Cancel::default();
    let fetcher = fetcher(
        setup.cache(),
        patient(),
        &Proxies::default(),
        cancel.clone(),
    );
    let (sender, receiver) = mpsc::channel();
    let telling = Telling { sender, at: None };
    let wanted = setup.pinned();
    let result = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fetcher.fetch_one(&wanted, &telling));
        receiver.recv().unwrap();
        cancel.cancel();
        fetching.join().unwrap()
    });
    drop(lock);
    fs_err::remove_file(path).unwrap();
    assert_cancelled(&setup, result);
}

#[test]
fn before_it_began_and_with_many_files() {
    let setup = Setup::new();
    let cancel = Cancel::default();
    cancel.cancel();
    let fetcher = fetcher(setup.cache(), patient(), &Proxies::default(), cancel);
    let error = fetcher
        .fetch(&vec![setup.pinned(); 20], &Silent)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert_eq!(setup.server.requests(), []);
    let result = fetcher.fetch_one(&setup.pinned(), &Silent);
    assert_cancelled(&setup, result);
}
