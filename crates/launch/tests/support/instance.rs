//! Instances of a real Alpine, in a folder of their own.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_launch::{About, Backend, Host, Image, Instance, Name, Output, Rootfs, Settings};
use prebake_testkit::shared::{found_or_skipped, real_mirror};

pub(crate) const V3_19: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

/// Names a minirootfs to take in place of the one beside the checkout, for a test that begins itself
/// again as a user who cannot see that.
pub(crate) const ALPINE: &str = "PREBAKE_TEST_ALPINE";

/// Returns Alpine's own minirootfs as a rootfs to import.
pub(crate) fn alpine(test: &str) -> Option<Rootfs> {
    if let Some(path) = std::env::var_os(ALPINE) {
        return Some(rootfs(Path::new(&path)));
    }
    let path = real_mirror(test)?.join(V3_19);
    Some(rootfs(&path))
}

/// Returns the `tar` or `tar.gz` at a path as a rootfs to import.
pub(crate) fn rootfs(path: &Path) -> Rootfs {
    let tar = read(path);
    let about = About {
        name: "alpine".into(),
        release: "3.19.4".into(),
        arch: "x86_64".into(),
        identity: Sha256::of(&tar),
        unpacked: tar.len() as u64,
        packages: Vec::new().into(),
    };
    Rootfs::new(about, Image::File(path.to_owned()))
}

/// Returns the tar stream of a `tar` or `tar.gz`.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let bytes = fs_err::read(path).expect("it is there");
    if !bytes.starts_with(b"\x1f\x8b") {
        return bytes;
    }
    let mut tar = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(&bytes[..]);
    decoder.read_to_end(&mut tar).expect("a gzip file");
    tar
}

/// A folder for instances, and what is needed to have some there.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) rootfs: Rootfs,
    pub(crate) host: Host,
}

impl Home {
    /// Returns a new one; `None`, said on stderr, where there are no namespaces or no Alpine.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let rootfs = alpine(test)?;
        let folder = tempfile::tempdir().expect("a folder");
        let host = host(test, folder.path())?;
        Some(Self {
            folder,
            rootfs,
            host,
        })
    }

    pub(crate) fn import(&self, name: &str) -> Instance {
        let name: Name = name.parse().expect("a name");
        self.host.import(&name, &self.rootfs).expect("an instance")
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(self.folder.path())
    }

    pub(crate) fn again(&self) -> Host {
        Host::with(Backend::Namespaces, &self.settings()).expect("it is there")
    }

    /// Returns what is in the folder of instances.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let entries = fs_err::read_dir(self.folder.path().join("instances")).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }
}

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        folder: Some(folder.to_owned()),
        ..Settings::default()
    }
}

/// Returns this backend, with its files in `folder`.
pub(crate) fn host(test: &str, folder: &Path) -> Option<Host> {
    let host = match Host::with(Backend::Namespaces, &settings(folder)) {
        Ok(host) => Some(host),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{test}: {error:?}");
            None
        }
    };
    found_or_skipped(host, test, "namespaces")
}

/// Runs a line of the instance's shell.
pub(crate) fn shell(instance: &Instance, line: &str) -> Output {
    let mut command = instance.command("/bin/sh");
    command.args(["-c", line]).output().expect("it runs")
}

/// Runs a line of the instance's shell that must succeed, and returns what it writes.
#[track_caller]
pub(crate) fn shell_ok(instance: &Instance, line: &str) -> String {
    let output = shell(instance, line);
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}
