//! Runs a program inside an unpacked root filesystem, in namespaces of its own: what a launcher
//! would do, done by `unshare` of util-linux.

use std::path::{Path, PathBuf};

use crate::judge::{self, Judge};
use crate::oracle::{Outcome, with_devices};
use crate::shared::found_or_skipped;

/// The search path that apk gives to scripts.
const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A root filesystem in a folder, to run programs in.
///
/// Each run has fresh mount, process and network namespaces, `/proc`, and nothing of the host's
/// environment; a user namespace as well where the tests are not run by root.
#[derive(Clone, Debug)]
pub struct Sandbox {
    unshare: Judge,
    root: PathBuf,
}

impl Sandbox {
    /// Returns the sandbox around the folder `root` for the test `test`; `None`, said on stderr,
    /// where the machine has no namespaces for us or no `unshare`.
    ///
    /// # Panics
    ///
    /// Where it has not, and `CI` is set.
    pub fn new(test: &str, root: &Path) -> Option<Self> {
        let sandbox = judge::find("unshare").map(|unshare| Self {
            unshare,
            root: PathBuf::from("/"),
        });
        let works = sandbox.filter(|sandbox| {
            let mut command = sandbox.command();
            Outcome::of(command.arg("true")).success
        });
        let sandbox = found_or_skipped(works, test, "`unshare` and namespaces")?;
        Some(Self {
            root: root.to_owned(),
            ..sandbox
        })
    }

    /// Runs a program by its path inside, with arguments.
    ///
    /// # Panics
    ///
    /// If `unshare` cannot be started.
    pub fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Outcome {
        let mut unshare = self.command();
        unshare.arg("--mount-proc");
        unshare.arg(format!("--root={}", self.root.display()));
        Outcome::of(unshare.arg("--").args(command))
    }

    /// Runs a line of shell inside, by its own `/bin/sh`: several commands in one network.
    ///
    /// # Panics
    ///
    /// If `unshare` cannot be started.
    pub fn shell(&self, line: &str) -> Outcome {
        self.run(["/bin/sh", "-c", line])
    }

    /// Runs a line of shell inside as [`Sandbox::shell`] does, with a few devices as well, and the
    /// host's folder `media`, read-only, at `/media`: a mirror to add packages from.
    ///
    /// # Panics
    ///
    /// If the sandbox cannot be started.
    pub fn shell_with_media(&self, media: &Path, line: &str) -> Outcome {
        const MEDIA: &str = r#"set -e
mount --bind -o ro "$1" "$2/media"
exec chroot "$2" /bin/sh -c "$3""#;
        let mut command = with_devices(Path::new("sh"), &self.root);
        command
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .args(["-c", MEDIA, "sh"])
            .arg(media)
            .arg(&self.root)
            .arg(line);
        Outcome::of(&mut command)
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.unshare.command_as_root();
        command
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .args(["--mount", "--pid", "--fork", "--net"]);
        command
    }
}

/// Builds a program against the host's glibc, dynamically linked, that writes `text` and a
/// newline. Returns `None`, said on stderr, without gcc or on a host that has another libc.
///
/// # Panics
///
/// If gcc is there and does not build it, or is missing and `CI` is set.
pub fn glibc_program(test: &str, text: &str, path: &Path) -> Option<()> {
    let gcc = judge::program(test, "gcc")?;
    let libc = gcc.run(["-dumpmachine"]).stdout;
    found_or_skipped(libc.trim().ends_with("-gnu").then_some(()), test, "glibc")?;
    let source = format!("#include <stdio.h>\nint main(void) {{ puts({text:?}); return 0; }}\n");
    let path = path.to_string_lossy();
    let built = gcc.feed(["-x", "c", "-o", &path, "-"], source.as_bytes());
    built.expect_success();
    Some(())
}
