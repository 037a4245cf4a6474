//! Runs the real apk on a root of its own: the judge of what is correct.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::emulator::Emulator;
use crate::judge;
use crate::shared;

/// The real apk, and a root that it works on.
///
/// It sets owners, so that it wants to be run by root. By somebody else it runs in a user
/// namespace, where only the owners count that are mapped there.
#[derive(Debug)]
pub struct Oracle {
    program: PathBuf,
    folder: TempDir,
}

/// What `apk add` is told.
#[derive(Clone, Debug, Default)]
pub struct Add {
    packages: Vec<String>,
    repositories: Vec<String>,
    arch: Option<String>,
    keys: Option<PathBuf>,
    scripts: bool,
    emulator: Option<Emulator>,
    simulate: bool,
    more: Vec<String>,
}

/// What a run of apk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it ended with 0.
    pub success: bool,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// What apk did to one package, in the order it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `Installing`, `Upgrading`, `Purging` …
    pub verb: String,
    /// The package's name.
    pub name: String,
    /// What it says of the version: `1.0-r0`, or `1.0-r0 -> 1.1-r0`.
    pub version: String,
}

impl Add {
    /// Returns what adds `packages`, in apk's world syntax. Scripts are not run unless asked for.
    pub fn new<'a>(packages: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            packages: packages.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// Adds a package, in apk's world syntax.
    #[must_use]
    pub fn package(mut self, package: &str) -> Self {
        self.packages.push(package.to_owned());
        self
    }

    /// Adds a line of `repositories`, instead of those that the root names: an address or a
    /// folder, a tag before it or none.
    #[must_use]
    pub fn repository(mut self, line: impl fmt::Display) -> Self {
        self.repositories.push(line.to_string());
        self
    }

    /// Sets the architecture, instead of the root's.
    #[must_use]
    pub fn arch(mut self, arch: &str) -> Self {
        self.arch = Some(arch.to_owned());
        self
    }

    /// Sets the folder of trusted keys, instead of the root's `etc/apk/keys`.
    #[must_use]
    pub fn keys(mut self, folder: &Path) -> Self {
        self.keys = Some(folder.to_owned());
        self
    }

    /// Runs the packages' scripts, in a chroot with `/proc` and a few devices: see
    /// [`with_devices`].
    #[must_use]
    pub fn with_scripts(mut self) -> Self {
        self.scripts = true;
        self
    }

    /// Has the packages' programs, another machine's, run by `emulator`.
    #[must_use]
    pub fn emulated_by(mut self, emulator: &Emulator) -> Self {
        self.emulator = Some(emulator.clone());
        self
    }

    /// Says what would be done, and does nothing.
    #[must_use]
    pub fn simulate(mut self) -> Self {
        self.simulate = true;
        self
    }

    /// Adds an argument as it is: `--force-overwrite`, `--upgrade`, `--initdb` …
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.more.push(argument.to_owned());
        self
    }
}

impl Oracle {
    /// Returns the real apk on an empty root for the test `test`, or `None` where the test is
    /// skipped, as [`shared::oracle`] says.
    ///
    /// # Panics
    ///
    /// As [`shared::oracle`], or if no temporary folder can be made.
    pub fn empty(test: &str) -> Option<Self> {
        let program = shared::oracle(test)?;
        let folder = TempDir::with_prefix("prebake-oracle-").expect("a temporary folder");
        Some(Self { program, folder })
    }

    /// Returns the real apk on a root that holds what the base tarball `base` holds.
    ///
    /// # Panics
    ///
    /// As [`Oracle::empty`], or if GNU tar cannot unpack it.
    pub fn on_base(test: &str, base: &Path) -> Option<Self> {
        let oracle = Self::empty(test).filter(|_| judge::any_owner(test))?;
        judge::gnu_tar(test)?.unpack(base, &oracle.root());
        Some(oracle)
    }

    /// Returns the root's folder. It goes when this is dropped.
    pub fn root(&self) -> PathBuf {
        let root = self.folder.path().join("root");
        if !root.is_dir() {
            fs_err::create_dir_all(&root).expect("the root can be made");
        }
        root
    }

    /// Runs `apk add`.
    pub fn add(&self, add: &Add) -> Outcome {
        let mut arguments = vec!["--no-network".to_owned(), "--no-progress".to_owned()];
        let repositories = self.folder.path().join("repositories");
        if !add.repositories.is_empty() {
            let text = add.repositories.join("\n") + "\n";
            fs_err::write(&repositories, text).expect("the list of repositories can be written");
            arguments.push("--repositories-file".to_owned());
            arguments.push(repositories.to_string_lossy().into_owned());
        }
        if let Some(arch) = &add.arch {
            arguments.extend(["--arch".to_owned(), arch.clone()]);
        }
        if let Some(keys) = &add.keys {
            arguments.extend(["--keys-dir".to_owned(), keys.to_string_lossy().into_owned()]);
        }
        arguments.push("add".to_owned());
        if !add.scripts {
            arguments.push("--no-scripts".to_owned());
        }
        if add.simulate {
            arguments.push("--simulate".to_owned());
        }
        arguments.extend(add.more.iter().cloned());
        arguments.extend(add.packages.iter().cloned());
        if add.scripts {
            let mut command = match &add.emulator {
                Some(emulator) => emulator.with_devices(&self.program, &self.root()),
                None => with_devices(&self.program, &self.root()),
            };
            return Outcome::of(self.told(&mut command, &arguments));
        }
        self.run(&arguments)
    }

    /// Returns what `apk audit --system` says of the root: what differs from its database.
    ///
    /// apk 2.14.4 opens FIFOs here and then waits for ever, so a root with one is ended as failed.
    pub fn audit(&self) -> Outcome {
        self.run(&["audit", "--system"])
    }

    /// Returns what `apk info -v` lists: each installed package and its version.
    pub fn info(&self) -> Outcome {
        self.run(&["info", "-v"])
    }

    /// Runs apk on the root with any arguments.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn run(&self, arguments: &[impl AsRef<str>]) -> Outcome {
        Outcome::of(self.told(&mut as_root(&self.program), arguments))
    }

    fn told<'c>(&self, command: &'c mut Command, arguments: &[impl AsRef<str>]) -> &'c mut Command {
        command.arg("--root").arg(self.root());
        command.args(arguments.iter().map(AsRef::as_ref))
    }

    /// Returns how apk orders two versions: `<`, `=`, `>`, or what else it says.
    pub fn compare_versions(&self, a: &str, b: &str) -> String {
        self.run(&["version", "-t", a, b]).stdout.trim().to_owned()
    }
}

impl Outcome {
    /// Runs `command`, with nothing of the locale.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.env("LC_ALL", "C").output();
        let output = output.unwrap_or_else(|error| panic!("{command:?} cannot run: {error}"));
        Self {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Returns what was done to packages, in order, from the lines `(1/6) Installing name (version)`.
    pub fn steps(&self) -> Vec<Step> {
        let line = |line: &str| {
            let (_, rest) = line.strip_prefix('(')?.split_once(") ")?;
            let (verb, rest) = rest.split_once(' ')?;
            let (name, version) = rest.split_once(" (")?;
            Some(Step {
                verb: verb.to_owned(),
                name: name.to_owned(),
                version: version.trim_end_matches(')').to_owned(),
            })
        };
        self.stdout.lines().filter_map(line).collect()
    }

    /// Returns what was installed, in order, as `name-version`.
    pub fn installed(&self) -> Vec<String> {
        let steps = self.steps().into_iter();
        steps
            .filter(|step| step.verb == "Installing")
            .map(|step| format!("{}-{}", step.name, step.version))
            .collect()
    }

    /// Returns the complaints: the lines that begin with `ERROR:` or `WARNING:`.
    pub fn complaints(&self) -> Vec<&str> {
        let lines = self.stderr.lines().chain(self.stdout.lines());
        lines
            .filter(|line| line.starts_with("ERROR:") || line.starts_with("WARNING:"))
            .collect()
    }

    /// Checks that this succeeded, and returns it.
    ///
    /// # Panics
    ///
    /// If it has not; with all it said.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "the check alone is worth a call"
    )]
    pub fn expect_success(self) -> Self {
        assert!(self.success, "{}{}", self.stdout, self.stderr);
        self
    }
}

/// How long a judge may take, in seconds. Real apk waits for ever where it meets a FIFO in an
/// audit; no honest run takes a tenth of this.
pub(crate) const PATIENCE: &str = "300";

/// Returns what starts `program` as root: itself, or in a user namespace whose root we are; and
/// ends it when [`PATIENCE`] does.
pub(crate) fn as_root(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", PATIENCE]);
    if !judge::is_root() {
        command.args(["unshare", "--user", "--map-root-user", "--map-auto", "--"]);
    }
    command.arg(program);
    command
}

/// Mounts what a script expects below the root `$1` and becomes the rest of its arguments.
///
/// In a bare chroot a script's `2>/dev/null` would make a regular file. What is mounted covers
/// the root's own `dev` and `proc` and is gone with the mount namespace. Where the root has devices
/// of its own (`apk --initdb` makes some), only those are covered: packages may put folders there.
pub(crate) const MOUNT: &str = r#"set -e
root=$1
shift
if [ -d "$root/proc" ]; then mount -t proc proc "$root/proc"; fi
if [ -d "$root/dev" ]; then
    own=no
    if [ -c "$root/dev/null" ]; then own=yes; else mount -t tmpfs -o mode=755 dev "$root/dev"; fi
    for name in null zero full random urandom; do
        if [ $own = no ]; then : > "$root/dev/$name"; fi
        if [ -e "$root/dev/$name" ]; then mount --bind "/dev/$name" "$root/dev/$name"; fi
    done
fi
exec "$@""#;

/// Returns what starts `program` as root, where the folder `root` has `/proc` and the devices
/// `null`, `zero`, `full`, `random` and `urandom` until it ends, and no network is to be had.
pub fn with_devices(program: &Path, root: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", PATIENCE, "unshare"]);
    if !judge::is_root() {
        command.args(["--user", "--map-root-user", "--map-auto"]);
    }
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--"]);
    command
        .args(["sh", "-c", MOUNT, "sh"])
        .arg(root)
        .arg(program);
    command
}
