//! Other people's programs that judge what prebake writes.
//!
//! Each is `None` where the machine has it not: the test says so and passes, or fails where `CI`
//! is set.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use crate::oracle::{Outcome, as_root};
use crate::shared::{found_or_skipped, shared};

/// A program on this machine.
#[derive(Clone, Debug)]
pub struct Judge {
    command: Vec<PathBuf>,
    /// Where it was unpacked, if it was.
    #[expect(
        dead_code,
        reason = "held so that the folder goes with the last copy of this"
    )]
    folder: Option<Arc<TempDir>>,
}

/// Returns GNU tar.
pub fn gnu_tar(test: &str) -> Option<Judge> {
    let tar = find("tar").filter(|tar| tar.run(["--version"]).stdout.contains("GNU tar"));
    found_or_skipped(tar, test, "GNU tar")
}

/// Returns libarchive's tar.
pub fn bsdtar(test: &str) -> Option<Judge> {
    found_or_skipped(find("bsdtar"), test, "bsdtar")
}

/// Returns gzip.
pub fn gzip(test: &str) -> Option<Judge> {
    found_or_skipped(find("gzip"), test, "gzip")
}

/// Returns Python 3.
pub fn python(test: &str) -> Option<Judge> {
    found_or_skipped(find("python3"), test, "python3")
}

/// Returns OpenSSL's command.
pub fn openssl(test: &str) -> Option<Judge> {
    found_or_skipped(find("openssl"), test, "openssl")
}

/// Returns busybox: the machine's, else Alpine's own from the real mirror, through its loader.
pub fn busybox(test: &str) -> Option<Judge> {
    let busybox = find("busybox").or_else(alpine_busybox);
    found_or_skipped(busybox, test, "busybox")
}

/// Returns the busybox of Alpine's minirootfs 3.19.4.
fn alpine_busybox() -> Option<Judge> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return None;
    }
    let base = "alpine/v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";
    let base = shared()?.join(base);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut tar = find("tar")?.command();
    tar.args(["--no-same-owner", "-C"]).arg(folder.path());
    tar.arg("-xzf").arg(base).args(["./bin/busybox", "./lib"]);
    Outcome::of(&mut tar).success.then(|| Judge {
        command: vec![
            folder.path().join("lib/ld-musl-x86_64.so.1"),
            folder.path().join("bin/busybox"),
        ],
        folder: Some(Arc::new(folder)),
    })
}

/// Returns any other program by its name.
pub fn program(test: &str, name: &str) -> Option<Judge> {
    found_or_skipped(find(name), test, name)
}

/// Says whether the tests are run by root, whose files may have any owner.
pub fn is_root() -> bool {
    cfg!(unix) && find("id").is_some_and(|id| id.run(["-u"]).stdout.trim() == "0")
}

/// Says whether files can be given any owner here: by root, or in a user namespace with a range
/// of owners (which takes `newuidmap` and a line in `/etc/subuid`).
///
/// # Panics
///
/// If they cannot, and `CI` is set.
pub fn any_owner(test: &str) -> bool {
    let can = find("true").is_some_and(|program| {
        let mut command = program.command_as_root();
        command.output().is_ok_and(|output| output.status.success())
    });
    found_or_skipped(
        can.then_some(()),
        test,
        "root, or a user namespace with many owners",
    )
    .is_some()
}

/// Looks for `name` in `PATH`.
pub(crate) fn find(name: &str) -> Option<Judge> {
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())?;
    Some(Judge {
        command: vec![found],
        folder: None,
    })
}

impl Judge {
    /// Returns the command to which arguments can be added.
    pub fn command(&self) -> Command {
        let mut parts = self.command.iter();
        let mut command = Command::new(parts.next().expect("it has a program"));
        command.args(parts).env("LC_ALL", "C");
        command
    }

    /// Returns the command that runs as root, or in a user namespace whose root we are.
    pub fn command_as_root(&self) -> Command {
        let mut parts = self.command.iter();
        let mut command = as_root(parts.next().expect("it has a program"));
        command.args(parts).env("LC_ALL", "C");
        command
    }

    /// Runs it with these arguments.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
        Outcome::of(self.command().args(arguments))
    }

    /// Runs it with these arguments and `input` as standard input.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn feed<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, input: &[u8]) -> Outcome {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(input)
            .expect("a temporary file can be written");
        std::io::Seek::rewind(&mut file).expect("a temporary file can be read again");
        let mut command = self.command();
        Outcome::of(command.args(arguments).stdin(Stdio::from(file)))
    }

    /// Unpacks the tarball `archive` (compressed or not) into `folder`, with owners, modes, times
    /// and xattrs as it says, as root or in a user namespace. For GNU tar.
    ///
    /// # Panics
    ///
    /// If it complains.
    pub fn unpack(&self, archive: &Path, folder: &Path) {
        let mut command = self.command_as_root();
        command
            .args([
                "--numeric-owner",
                "--same-owner",
                "-p",
                "--xattrs",
                "--xattrs-include=*",
                "--warning=no-timestamp",
            ])
            .arg("-C")
            .arg(folder)
            .arg("-xf")
            .arg(archive);
        let outcome = Outcome::of(&mut command);
        assert!(
            outcome.success && outcome.stderr.is_empty(),
            "{} cannot be unpacked: {}",
            archive.display(),
            outcome.stderr
        );
    }
}
