//! A folder with a fake `wsl.exe`, and a host that uses it.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use prebake_apk::digest::Sha256;
use prebake_launch::{About, Backend, Finding, Host, Image, LaunchError, Rootfs, Settings};
use tempfile::TempDir;

/// The folder. Its programs end with it.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    /// Makes one in which `wsl.exe` behaves so.
    pub(crate) fn new(behaviour: &str) -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let program = world.settings().wsl.unwrap();
        let fake = fake();
        if std::fs::hard_link(&fake, &program).is_err() {
            fs_err::copy(&fake, &program).unwrap();
        }
        world.behave(behaviour);
        world
    }

    /// Has `wsl.exe` behave so from now on.
    pub(crate) fn behave(&self, behaviour: &str) {
        fs_err::write(self.path("behaviour"), behaviour).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            folder: Some(self.path("instances")),
            wsl: Some(self.path("wsl.exe")),
            wsl_patience: None,
        }
    }

    /// As [`World::settings`], with little patience.
    pub(crate) fn impatient(&self) -> Settings {
        Settings {
            wsl_patience: Some(Duration::from_secs(2)),
            ..self.settings()
        }
    }

    pub(crate) fn host(&self) -> Host {
        Host::with(Backend::Wsl, &self.settings()).unwrap()
    }

    /// Returns what was found out about WSL, and nothing else.
    pub(crate) fn finding(settings: &Settings) -> Finding {
        let mut findings = prebake_launch::examine(settings);
        findings.retain(|finding| finding.backend == Backend::Wsl);
        findings.pop().unwrap()
    }

    /// Registers a distribution that is not ours, or takes one away, as a user would.
    pub(crate) fn register(&self, name: &str) {
        fs_err::create_dir_all(self.path("distributions")).unwrap();
        let disk = self.path("elsewhere");
        fs_err::create_dir_all(&disk).unwrap();
        let path = self.path("distributions").join(name);
        fs_err::write(path, disk.to_str().unwrap()).unwrap();
    }

    /// Lists the distributions.
    pub(crate) fn registered(&self) -> Vec<String> {
        names(&self.path("distributions"))
    }

    /// Lists what is left of instances on the disk.
    pub(crate) fn left(&self) -> Vec<String> {
        names(&self.path("instances/wsl/instances"))
    }

    /// Returns what `wsl.exe` was called with since the last time that this was asked.
    pub(crate) fn calls(&self) -> String {
        let calls = fs_err::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs_err::remove_file(self.path("calls"));
        self.plain(&calls)
    }

    /// Returns text without what differs from run to run and from host to host.
    pub(crate) fn plain(&self, text: &str) -> String {
        let folder = self.folder.path().to_str().unwrap();
        let shown = format!("{folder:?}");
        let text = text.replace(shown.trim_matches('"'), "WORLD");
        let text = text.replace(folder, "WORLD");
        text.replace(r"\\", "/")
            .replace("WORLD\\", "WORLD/")
            .replace(std::env::consts::ARCH, "ARCH")
    }

    /// Shows an error with all that it was caused by.
    pub(crate) fn shown(&self, error: &LaunchError) -> String {
        let first: &dyn std::error::Error = error;
        let all = std::iter::successors(Some(first), |error| error.source());
        let all: Vec<_> = all.map(ToString::to_string).collect();
        self.plain(&all.join(": "))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in self.registered() {
            let mut wsl = std::process::Command::new(self.path("wsl.exe"));
            wsl.args(["--terminate", &name]).env("WSL_UTF8", "1");
            let _ = wsl.stdout(std::process::Stdio::null()).status();
        }
    }
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Returns the fake, which cargo puts beside the tests' own folder.
fn fake() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(std::path::Path::parent).unwrap();
    let name = format!("fake-wsl{}", std::env::consts::EXE_SUFFIX);
    let fake = folder.join("examples").join(name);
    // `cargo test --test NAME` does not build it. Where its sources are older it is no stale one.
    let built = fs_err::metadata(&fake).and_then(|file| file.modified());
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support");
    let is_new = ["fake_wsl.rs", "fake_wsl/guest.rs", "fake_wsl/said.rs"]
        .iter()
        .filter_map(|name| std::fs::metadata(sources.join(name)).ok()?.modified().ok())
        .all(|changed| built.as_ref().is_ok_and(|built| *built >= changed));
    assert!(
        built.is_ok() && is_new,
        "{} is missing or old: `cargo build -p prebake-launch --example fake-wsl`",
        fake.display()
    );
    fake
}

/// Returns a rootfs of these bytes, for this machine.
pub(crate) fn rootfs(stream: &[u8]) -> Rootfs {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(stream).unwrap();
    let bytes = gzip.finish().unwrap().leak();
    Rootfs::new(about(stream), Image::Embedded(bytes))
}

/// Returns what a rootfs of these bytes says of itself.
pub(crate) fn about(stream: &[u8]) -> About {
    About {
        name: Cow::Borrowed("test"),
        release: Cow::Borrowed("3.20.3"),
        arch: Cow::Borrowed(std::env::consts::ARCH),
        identity: Sha256::of(stream),
        unpacked: stream.len() as u64,
        packages: Cow::Borrowed(&[]),
    }
}
