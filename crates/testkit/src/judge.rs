//! Other people's programs that judge what prebake writes.
//!
//! Each is `None` where the machine has it not: the test says so and passes, or fails where `CI`
//! is set.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::oracle::{Outcome, as_root};
use crate::shared::found_or_skipped;

/// A program on this machine.
#[derive(Clone, Debug)]
pub struct Judge {
    command: Vec<PathBuf>,
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

/// Returns any other program by its name.
pub fn program(test: &str, name: &str) -> Option<Judge> {
    found_or_skipped(find(name), test, name)
}

/// Says whether the tests are run by root, whose files may have any owner.
pub fn is_root() -> bool {
    cfg!(unix) && find("id").is_some_and(|id| id.run(["-u"]).stdout.trim() == "0")
}

/// Looks for `name` in `PATH`.
fn find(name: &str) -> Option<Judge> {
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())?;
    Some(Judge {
        command: vec![found],
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
