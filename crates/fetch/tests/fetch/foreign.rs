//! Servers that others wrote: Python's, which knows `If-Modified-Since` and no ranges.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use prebake_fetch::{Kind, Origin, Wanted};

use crate::setup::Setup;

/// Python's server, stopped when dropped.
struct Python {
    process: Child,
    url: String,
}

impl Python {
    /// Serves `folder`; `None` where there is no Python.
    fn start(folder: &std::path::Path) -> Option<Self> {
        let mut command = Command::new("python3");
        command
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "python3: {error}");
                println!("skipped: python3: {error}");
                return None;
            }
        };
        // Serving HTTP on 127.0.0.1 port 40000 (http://127.0.0.1:40000/) ...
        let mut line = String::new();
        let said = process.stdout.as_mut().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let port = line
            .split(" port ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let url = format!("http://127.0.0.1:{}", port.unwrap());
        Some(Self { process, url })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn python_serves_and_is_understood() {
    let setup = Setup::new();
    let folder = tempfile::TempDir::new().unwrap();
    fs_err::write(folder.path().join("file.apk"), &setup.content).unwrap();
    let Some(python) = Python::start(folder.path()) else {
        return;
    };
    let pinned = Wanted {
        urls: vec![format!("{}/file.apk", python.url)],
        ..setup.pinned()
    };
    setup.fetch(&pinned).unwrap();
    setup.assert_only_the_file();

    let current = Wanted {
        sha256: None,
        ..pinned.clone()
    };
    let fetched = setup.fetch(&current).unwrap();
    assert_eq!(fetched.origin, Origin::Downloaded);
    let fetched = setup.fetch(&current).unwrap();
    assert_eq!(fetched.origin, Origin::Unchanged);

    let gone = Wanted {
        urls: vec![format!("{}/none", python.url)],
        ..current.clone()
    };
    assert_eq!(setup.fetch(&gone).unwrap_err().kind(), Kind::NotFound);

    // Broken off by one server, gone on with by another that knows no ranges.
    let other = Setup::new();
    other.server.fault(
        crate::setup::FILE,
        prebake_testkit::http::Fault::Truncate(1000),
    );
    let mut wanted = other.pinned();
    wanted.urls.extend(pinned.urls);
    other.fetch(&wanted).unwrap();
    other.assert_only_the_file();
}
