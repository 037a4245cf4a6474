//! Several processes on one cache, processes that are killed, and hosts that do not play along.
//! The child process is this very program, running its one test [`child`].

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use prebake_apk::digest::Sha256;
use prebake_fetch::{Cache, Cancel, Options, Progress, Proxies, Wanted};
use prebake_testkit::http::Fault;

use crate::setup::{self, FILE, SIZE, Setup, options};

/// A process that fetches the setup's file.
pub(crate) struct Child {
    command: Command,
}

/// What it said.
pub(crate) struct Output(std::process::Output);

const CACHE: &str = "CHILD_CACHE";
const URL: &str = "CHILD_URL";
const SHA256: &str = "CHILD_SHA256";
/// Whether to fetch [`FILES`] files from below the URL.
const MANY: &str = "CHILD_MANY";

/// How many files a child fetches as a build does.
const FILES: usize = 20;

/// The content of one of them.
fn file(number: usize) -> Vec<u8> {
    setup::bytes(1000 + number)
}

impl Child {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self::with_program(std::env::current_exe().unwrap(), &[]).of(setup)
    }

    /// A child that some other program starts.
    fn with_program(program: impl AsRef<OsStr>, arguments: &[OsString]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args([
                "--exact",
                "processes::child",
                "--nocapture",
                "--test-threads=1",
            ])
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .env_remove("https_proxy")
            .env_remove("HTTPS_PROXY")
            .env_remove("all_proxy")
            .env_remove("ALL_PROXY")
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command }
    }

    fn of(self, setup: &Setup) -> Self {
        self.variable(CACHE, setup.root())
            .variable(URL, setup.server.url(FILE))
            .variable(SHA256, setup.sha256().to_string())
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn run(mut self) -> Output {
        Output(self.command.output().unwrap())
    }
}

impl Output {
    fn text(&self) -> String {
        let text = [self.0.stdout.as_slice(), &self.0.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }

    #[track_caller]
    pub(crate) fn assert_fetched(&self, setup: &Setup) {
        let text = self.text();
        assert!(text.contains("child: fetched"), "{text}");
        setup.assert_only_the_file();
    }

    #[track_caller]
    pub(crate) fn assert_failed(&self, setup: &Setup, reason: &str) {
        let text = self.text();
        assert!(text.contains("child: failed"), "{text}");
        assert!(text.contains(reason), "{text}");
        setup.assert_nothing_left();
    }
}

/// Says each step, so that the parent can choose its moment.
struct Saying;

impl Progress for Saying {
    fn position(&self, _: usize, bytes: u64, _: Option<u64>) {
        println!("child: at {bytes}");
    }
}

/// Fetches what the environment says and tells how it went. Without anything in the environment
/// it is a test like any other, of its own server.
#[test]
fn child() {
    let (root, wanted, _setup) = if let Some(root) = std::env::var_os(CACHE) {
        let wanted = Wanted {
            sha256: Some(std::env::var(SHA256).unwrap().parse().unwrap()),
            ..Wanted::new("file.apk", std::env::var(URL).unwrap())
        };
        (PathBuf::from(root), wanted, None)
    } else {
        let setup = Setup::new();
        (setup.root(), setup.pinned(), Some(setup))
    };
    // The harness has begun a line already.
    println!();
    let proxies = Proxies::from_environment(|name| std::env::var_os(name));
    let options = Options {
        // With one request in five failing, and 32 processes that wait for one.
        tries: 20,
        lock_timeout: Duration::from_hours(1),
        ..options()
    };
    let fetcher = setup::fetcher(Cache::open(root), options, &proxies, Cancel::default());
    let result = if std::env::var_os(MANY).is_some() {
        let below = wanted.urls.concat();
        let wanted: Vec<Wanted> = (0..FILES)
            .map(|number| Wanted {
                sha256: Some(Sha256::of(&file(number))),
                ..Wanted::new("file", format!("{below}{number}"))
            })
            .collect();
        let all = fetcher.fetch(&wanted, &Saying);
        all.map(|fetched| fetched.into_iter().next_back().unwrap())
    } else {
        fetcher.fetch_one(&wanted, &Saying)
    };
    match result {
        Ok(fetched) => {
            let content = fetched.blob.read_verified(u64::MAX).unwrap();
            println!("child: fetched {} bytes", content.len());
        }
        Err(error) => {
            println!("child: failed {:?}: {error}", error.kind());
            let cause = std::error::Error::source(&error);
            println!("child: because {cause:?}");
            assert!(std::env::var_os(CACHE).is_some(), "{error}");
        }
    }
}

#[test]
fn many_processes_download_a_file_once() {
    let setup = Setup::new();
    // Slow enough that they all come while the first is at it, and with one failure on the way.
    setup
        .server
        .fault_next(FILE, [Fault::Truncate(50_000), Fault::Slow(2_000_000)]);
    let children: Vec<_> = (0..32)
        .map(|_| Child::new(&setup).command.spawn().unwrap())
        .collect();
    let outputs: Vec<Output> = children
        .into_iter()
        .map(|child| Output(child.wait_with_output().unwrap()))
        .collect();
    for output in outputs {
        output.assert_fetched(&setup);
    }
    assert_eq!(setup.server.count(FILE), 2);
}

#[test]
fn many_builds_at_once_download_each_file_once_from_a_bad_server() {
    let setup = Setup::new();
    for number in 0..FILES {
        setup.server.put(&format!("/many/{number}"), &file(number));
    }
    setup.server.fault_every(5, Fault::Status(503));
    let children: Vec<_> = (0..32)
        .map(|_| {
            let child = Child::new(&setup).variable(URL, setup.server.url("/many/"));
            child.variable(MANY, "1").command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = Output(child.wait_with_output().unwrap());
        let text = output.text();
        assert!(text.contains("child: fetched"), "{text}");
    }
    // Every request but the one in five that failed brought a file.
    let asked = setup.server.requests().len();
    assert_eq!(asked - asked / 5, FILES);
    assert_eq!(setup.files().len(), FILES);
}

#[test]
fn a_killed_process_leaves_nothing_that_the_next_does_not_remove() {
    for at in [0, 1, 65_536, 100_000, SIZE as u64 - 1] {
        let setup = Setup::new();
        setup.server.fault_next(FILE, [Fault::Stall(at)]);
        let mut child = Child::new(&setup).command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let moment = format!("child: at {at}");
        said.map(Result::unwrap)
            .find(|line| *line == moment)
            .expect("the child gets as far as that");
        child.kill().unwrap();
        child.wait().unwrap();
        let left = setup.files();
        let begun = left.iter().any(|name| name.starts_with("v1/tmp/"));
        assert!(begun, "{left:?}");
        assert_eq!(setup.cache().get(&setup.sha256()).unwrap(), None);
        // The next start cleans up, and the file comes.
        Child::new(&setup).run().assert_fetched(&setup);
    }
}

/// Runs a child within a new user and mount namespace after `prepare`, a shell script that sees
/// the cache's folder as `$1`. `None` where the host does not allow that.
#[cfg(target_os = "linux")]
fn within_namespace(setup: &Setup, prepare: &str) -> Option<Output> {
    fs_err::create_dir_all(setup.root()).unwrap();
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        let text = "skipped: no user and mount namespaces here";
        assert!(std::env::var_os("CI").is_none(), "{text}");
        println!("{text}");
        return None;
    }
    let script = format!("set -e; {prepare}; shift; exec \"$@\"");
    let arguments = [
        "-rm".into(),
        "sh".into(),
        "-c".into(),
        script.into(),
        "sh".into(),
        setup.root().into_os_string(),
        std::env::current_exe().unwrap().into_os_string(),
    ];
    Some(Child::with_program("unshare", &arguments).of(setup).run())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_clear_error() {
    let setup = Setup::new();
    // Room for the folders and a part of the file.
    let prepare = "mount -t tmpfs -o size=200k none \"$1\"";
    let Some(output) = within_namespace(&setup, prepare) else {
        return;
    };
    output.assert_failed(
        &setup,
        "child: failed Cache: no space left for the cache at `",
    );
    // With room again it works.
    setup.fetch(&setup.pinned()).unwrap();
    setup.assert_only_the_file();
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_cache_is_a_clear_error_on_writing() {
    let setup = Setup::new();
    let prepare = "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"";
    let Some(output) = within_namespace(&setup, prepare) else {
        return;
    };
    output.assert_failed(&setup, "child: failed Cache: the cache at `");
    assert!(output.text().contains("` is read-only"));
    assert_eq!(setup.server.requests(), []);
    // Reading from it is fine.
    setup.fetch(&setup.pinned()).unwrap();
    setup.server.clear_requests();
    let output = within_namespace(&setup, prepare).unwrap();
    output.assert_fetched(&setup);
    assert_eq!(setup.server.requests(), []);
}
