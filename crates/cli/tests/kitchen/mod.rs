//! A folder to cook in: a recipe, a cache of its own, and the real `prebake` to run there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What would change a run from outside the test; none of it reaches the program.
const NOT_INHERITED: [&str; 22] = [
    "PREBAKE_CACHE",
    "PREBAKE_INSTANCES",
    "PREBAKE_NETWORK_TIMEOUT",
    "PREBAKE_OFFLINE",
    "PREBAKE_REMOTE_CACHE",
    "PREBAKE_REMOTE_CACHE_WRITE",
    "PREBAKE_SEAL",
    "PREBAKE_THREADS",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ENDPOINT_URL",
    "PREBAKE_UNTRUSTED",
    "PREBAKE_VENDOR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
];

/// A folder with a recipe and a cache. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Kitchen {
    folder: TempDir,
}

/// What a run of `prebake` came to.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
}

impl Kitchen {
    /// Returns a kitchen whose `prebake.toml` is `recipe`.
    pub(crate) fn new(recipe: &str) -> Self {
        let folder = TempDir::with_prefix("prebake-kitchen-").expect("a temporary folder");
        let kitchen = Self { folder };
        kitchen.write("prebake.toml", recipe);
        kitchen
    }

    /// Returns the path of `name` in the kitchen: `prebake.lock`, `cache`, an output …
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders it lies in.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let parent = path.parent().expect("it lies in the kitchen");
        fs_err::create_dir_all(parent).expect("the kitchen's folders can be made");
        fs_err::write(&path, content).expect("the kitchen can be written");
    }

    /// Returns the command `prebake ARGUMENTS…`, in this folder and with its own cache.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.started_by(&[], arguments)
    }

    /// Returns the same command as the last arguments of another program, `setpriv` or `sh`.
    pub(crate) fn started_by(&self, starter: &[&str], arguments: &[&str]) -> Command {
        let mut words = starter.iter().map(OsStr::new).collect::<Vec<_>>();
        words.push(Path::new(env!("CARGO_BIN_EXE_prebake")).as_os_str());
        words.extend(arguments.iter().map(OsStr::new));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(self.folder.path());
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command.env("PREBAKE_CACHE", self.path("cache"));
        command.env("PREBAKE_INSTANCES", self.path("instances"));
        command.env("PREBAKE_SEAL", self.path("seal"));
        command
    }

    /// Runs `prebake ARGUMENTS…`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Output::of(&mut self.command(arguments))
    }
}

impl Output {
    /// Runs `command` to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output();
        let output = output.unwrap_or_else(|error| panic!("{command:?} cannot run: {error}"));
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code, and returns this.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "standard output:\n{}\nstandard error:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}
