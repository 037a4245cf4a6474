//! From downloaded packages to a tarball: ours against the plain way in Go, and against the real
//! apk with tar and gzip.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use prebake::arch::Arch;
use prebake::lock::{Lock, LockedRootfs};
use prebake_testkit::shared::shared;
use tempfile::TempDir;

use super::goals::Goals;
use super::{instructions, interleave_rounds, milliseconds, say, sizes, text, under};

/// The plain way, which is built on the spot.
const PLAIN: &str = include_str!("plain.go");

/// What is left out of the mirror's packages: seven that need one which it lacks, as the real apk
/// says of each, and one that another forbids.
const LEFT_OUT: [&str; 8] = [
    "chrony",
    "ifupdown-ng-wifi",
    "iw",
    "libc-dev",
    "libffi-dev",
    "network-extras",
    "usbutils",
    "vlan",
];

/// The lanes that goals are about.
const GO: &str = "the plain way, in Go";
const COLD: &str = "prebake, downloads cached, no segments";
const ONE: &str = "prebake, all but one package cached";
const WARM: &str = "prebake, everything cached";
const CURRENT: &str = "prebake, nothing to do";
const COPY: &str = "cp of the output";
const TRUE: &str = "true";

/// What is baked.
pub(super) struct Dish {
    title: &'static str,
    /// What goals call it.
    name: &'static str,
    branch: &'static str,
    release: &'static str,
    repositories: &'static [&'static str],
    packages: Vec<String>,
    /// The keys in the mirror's `keys` that the base does not carry.
    keys: &'static [&'static str],
    /// The package without which the dish is baked first, to see what one package costs.
    last: Option<&'static str>,
    rounds: usize,
    /// How many times faster than Go's way, with nothing and with everything kept.
    goals: (f64, f64),
}

/// A folder with a recipe, its lock, and a cache with all that the lock names.
pub(super) struct Kitchen<'a> {
    folder: TempDir,
    shared: &'a Path,
    prebake: PathBuf,
    dish: &'a Dish,
    /// The base, then the packages in apk's order.
    inputs: Vec<PathBuf>,
}

pub(super) fn bench(goals: &mut Goals) -> Result<(), String> {
    let mirror = shared().ok_or("there is no ../shared: nothing to bake")?;
    let tools = TempDir::new().map_err(text)?;
    let plain = build_plain(tools.path())?;
    let url = format!("file://{}", shown(mirror.join("alpine")));
    for dish in [Dish::recipe(), Dish::many(&mirror)?] {
        let kitchen = Kitchen::open(&dish, &mirror, &url)?;
        kitchen.compare(plain.as_deref(), goals)?;
        if let Ok(go) = fs_err::metadata(kitchen.path("plain.tar.gz")) {
            sizes::compare(&kitchen, go.len(), goals)?;
        }
    }
    Ok(())
}

impl Dish {
    /// The recipe that prebake was made for.
    fn recipe() -> Self {
        Self {
            title: "the recipe, gcompat and iptables on 3.20.3",
            name: "recipe",
            branch: "v3.20",
            release: "3.20.3",
            repositories: &["main"],
            packages: vec!["gcompat".to_owned(), "iptables".to_owned()],
            keys: &["fixture-20260101.rsa.pub", "zhangyoufu.rsa.pub"],
            last: None,
            rounds: 15,
            goals: (4.0, 40.0),
        }
    }

    /// Every package of the mirror that has its dependencies there.
    pub(super) fn many(shared: &Path) -> Result<Self, String> {
        Ok(Self {
            title: "all of the mirror that can be installed, on 3.19.4",
            name: "130 packages",
            branch: "v3.19",
            release: "3.19.4",
            repositories: &["main", "community"],
            packages: names(&shared.join("alpine/v3.19/main/x86_64"))?,
            keys: &[],
            last: Some("jq"),
            rounds: 9,
            goals: (6.0, 60.0),
        })
    }
}

/// Builds the plain way with the Go that is here; `None` where there is none.
fn build_plain(folder: &Path) -> Result<Option<PathBuf>, String> {
    let source = folder.join("plain.go");
    fs_err::write(&source, PLAIN).map_err(text)?;
    let program = folder.join("plain");
    let mut go = Command::new("go");
    go.arg("build").arg("-o").arg(&program).arg(&source);
    match go.output() {
        Err(_) => Ok(None),
        Ok(output) if output.status.success() => Ok(Some(program)),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Returns the names of the packages in a folder that all their dependencies are beside.
fn names(folder: &Path) -> Result<Vec<String>, String> {
    let mut names = BTreeSet::new();
    for entry in fs_err::read_dir(folder).map_err(text)? {
        let file = entry.map_err(text)?.file_name();
        let file = file.to_string_lossy().into_owned();
        // A file is called `NAME-VERSION-rRELEASE.apk`, and a version has no hyphen.
        let stem = file.strip_suffix(".apk").map(|stem| stem.rsplitn(3, '-'));
        if let Some(name) = stem.and_then(|mut words| words.nth(2))
            && !LEFT_OUT.contains(&name)
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names.into_iter().collect())
}

impl<'a> Kitchen<'a> {
    /// Writes the recipe, locks it with the mirror at `url`, and finds out which files a bake takes.
    pub(super) fn open(dish: &'a Dish, shared: &'a Path, url: &str) -> Result<Self, String> {
        let folder = TempDir::new().map_err(text)?;
        let keys = dish.keys.iter();
        let keys: Vec<_> = keys
            .map(|key| shared.join("alpine/keys").join(key).display().to_string())
            .collect();
        let Dish {
            packages, release, ..
        } = dish;
        let mut recipe = format!(
            "name = \"bench\"\narch = [\"x86_64\"]\nmirrors = [{url:?}]\npackages = {packages:?}\n\
             [base]\nrelease = {release:?}\n[[output]]\npath = \"out.tar.gz\"\n"
        );
        for repository in dish.repositories {
            let url = format!("{url}/{}/{repository}", dish.branch);
            // Writing to a `String` cannot fail.
            let _ = write!(recipe, "[[repository]]\nurl = {url:?}\nkeys = {keys:?}\n");
        }
        fs_err::write(folder.path().join("prebake.toml"), recipe).map_err(text)?;
        let mut kitchen = Self {
            folder,
            shared,
            prebake: crate::target_folder().join("release/prebake"),
            dish,
            inputs: Vec::new(),
        };
        succeed(&mut kitchen.prebake(&["lock"]))?;
        let locked = kitchen.lock()?;
        let base = locked.base.as_ref().map(|base| base.url.as_str());
        let urls = base
            .into_iter()
            .chain(locked.packages().map(|one| one.url.as_str()));
        kitchen.inputs = urls
            .map(|url| PathBuf::from(url.strip_prefix("file://").unwrap_or(url)))
            .collect();
        Ok(kitchen)
    }

    /// Returns what the lock says of the one architecture.
    pub(super) fn lock(&self) -> Result<LockedRootfs, String> {
        let path = self.path("prebake.lock");
        let lock = fs_err::read_to_string(&path).map_err(text)?;
        let lock = Lock::parse(&path, &lock).map_err(text)?;
        let locked = lock.rootfs(Arch::X86_64).cloned();
        locked.ok_or_else(|| "nothing was locked".to_owned())
    }

    /// Returns what goals call the dish.
    pub(super) fn name(&self) -> &str {
        self.dish.name
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns `prebake ARGUMENTS…`, in this folder and with its own cache.
    pub(super) fn prebake(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.prebake);
        command.args(arguments).current_dir(self.folder.path());
        command.env("PREBAKE_CACHE", self.path("cache"));
        command
    }
}

impl Kitchen<'_> {
    /// Runs every way in turn, and says what each took.
    fn compare(&self, plain: Option<&Path>, goals: &mut Goals) -> Result<(), String> {
        let cold = || {
            self.forget_what_was_made();
            self.remove("out.tar.gz");
            self.prebake(&["build", "--locked"])
        };
        let warm = || {
            self.remove("out.tar.gz");
            self.prebake(&["build", "--locked"])
        };
        let without = self.bake_without_last()?;
        let one = || {
            self.remove("out.tar.gz");
            let cache = self.path("cache");
            let _ = fs_err::remove_dir_all(&cache);
            let mut copy = Command::new("cp");
            copy.arg("-a").args(&without).arg(&cache);
            // What it cannot copy is missed by what is measured, which fails then.
            let _ = copy.status();
            self.prebake(&["build", "--locked"])
        };
        let current = || self.prebake(&["build", "--locked"]);
        let copy = || {
            self.remove("copy.tar.gz");
            let mut command = Command::new("cp");
            command.arg(self.path("out.tar.gz"));
            command.arg(self.path("copy.tar.gz"));
            command
        };
        let nothing = || Command::new("true");
        let go = || {
            let mut command = Command::new(plain.unwrap_or(Path::new("plain")));
            command.arg(self.path("plain.tar.gz")).args(&self.inputs);
            command
        };
        let apk = || self.apk_tar_gzip();
        let mut lanes: Vec<(&str, &dyn Fn() -> Command)> = Vec::new();
        if plain.is_some() {
            lanes.push((GO, &go));
        }
        lanes.extend([
            ("apk add, tar, gzip", &apk as &dyn Fn() -> Command),
            (COLD, &cold),
        ]);
        if without.is_some() {
            lanes.push((ONE, &one));
        }
        lanes.extend([
            (WARM, &warm as &dyn Fn() -> Command),
            (CURRENT, &current),
            (COPY, &copy),
            (TRUE, &nothing),
        ]);
        let run: Vec<_> = lanes.iter().map(|(_, lane)| *lane).collect();
        let times = interleave_rounds(&run, self.dish.rounds)?;
        let first = times.first().copied().unwrap_or_default();
        say(&format!(
            "\nbake: {} ({} packages), medians of {} rounds",
            self.dish.title,
            self.inputs.len() - 1,
            self.dish.rounds
        ));
        let mut measured = BTreeMap::new();
        for ((name, lane), time) in lanes.iter().zip(times) {
            let peak = peak(&lane())?;
            measured.insert(*name, (time, peak));
            // Go's runtime does not run there, and what a shell starts is not counted.
            let ours = name.starts_with("prebake").then(|| instructions(&lane()));
            let count = ours.flatten().map_or_else(String::new, |count| {
                format!("   {:6} million instructions", count / 1_000_000)
            });
            say(&format!(
                "    {name:<40}{:8.1} ms   {:7.1} times faster   peak {peak:4} MiB{count}",
                milliseconds(time),
                first.as_secs_f64() / time.as_secs_f64()
            ));
        }
        for name in ["plain.tar.gz", "apk.tar.gz", "out.tar.gz"] {
            if let Ok(file) = fs_err::metadata(self.path(name)) {
                say(&format!("    {name:<40}{:8} bytes", file.len()));
            }
        }
        self.goals(&measured, goals);
        Ok(())
    }

    /// Says how far the goals are met, by the time and the peak in MiB of each lane.
    fn goals(&self, measured: &BTreeMap<&str, (Duration, u64)>, goals: &mut Goals) {
        let time = |lane| measured.get(lane).map(|(time, _)| time.as_secs_f64());
        let Dish { name, .. } = self.dish;
        let work = |what: &str| format!("{name}, {what}");
        if let (Some(go), Some(cold), Some(warm)) = (time(GO), time(COLD), time(WARM)) {
            let (wanted_cold, wanted_warm) = self.dish.goals;
            let unit = "times faster than Go";
            goals.at_least(&work("no segments"), wanted_cold, go / cold, unit);
            goals.at_least(&work("everything cached"), wanted_warm, go / warm, unit);
        }
        if let (Some(warm), Some(copy)) = (time(WARM), time(COPY)) {
            goals.at_most(&work("everything cached"), 3.0, warm / copy, "times `cp`");
        }
        if let (Some(current), Some(nothing)) = (time(CURRENT), time(TRUE)) {
            let more = (current - nothing) * 1000.0;
            goals.at_most(&work("nothing to do"), 5.0, more, "ms more than `true`");
        }
        if let (Some(one), Some(cold)) = (time(ONE), time(COLD)) {
            let part = format!("{:.0} % of the cold bake", one / cold * 100.0);
            goals.shown(&work("one changed"), "what that package costs", part);
        }
        if let Some((_, peak)) = measured.get(COLD) {
            // Some tens of MiB are exact as a floating point number.
            let peak = f64::from(u32::try_from(*peak).unwrap_or(u32::MAX));
            goals.at_most(&work("peak memory"), 48.0, peak, "MiB");
        }
    }

    /// Bakes the dish without its last package into a cache that has all downloads, and returns
    /// that cache.
    fn bake_without_last(&self) -> Result<Option<PathBuf>, String> {
        let Some(last) = self.dish.last else {
            return Ok(None);
        };
        let folder = self.path("without");
        fs_err::create_dir(&folder).map_err(text)?;
        let cache = folder.join("cache");
        succeed(
            Command::new("cp")
                .arg("-a")
                .arg(self.path("cache"))
                .arg(&cache),
        )?;
        let recipe = fs_err::read_to_string(self.path("prebake.toml")).map_err(text)?;
        let recipe = recipe.replacen(&format!("{last:?}, "), "", 1);
        fs_err::write(folder.join("prebake.toml"), recipe).map_err(text)?;
        let mut build = self.prebake(&["build"]);
        succeed(build.current_dir(&folder).env("PREBAKE_CACHE", &cache))?;
        Ok(Some(cache))
    }

    /// Returns the real apk in a fresh root, and what makes a tarball of that.
    fn apk_tar_gzip(&self) -> Command {
        let root = self.path("root");
        // It may not be there yet.
        let _ = fs_err::remove_dir_all(&root);
        let mut add = format!(
            "set -e; mkdir root; tar -xzf '{}' -C root; ",
            self.inputs.first().map_or_else(String::new, shown)
        );
        let alpine = self.shared.join("alpine");
        for key in self.dish.keys {
            let _ = write!(
                add,
                "cp '{}' root/etc/apk/keys; ",
                shown(alpine.join("keys").join(key))
            );
        }
        let _ = write!(
            add,
            "'{}' --root root --arch x86_64 --no-cache --no-network --repositories-file /dev/null",
            shown(self.shared.join("oracle/apk"))
        );
        for repository in self.dish.repositories {
            let _ = write!(
                add,
                " -X '{}'",
                shown(alpine.join(self.dish.branch).join(repository))
            );
        }
        let _ = write!(add, " add {}; ", self.dish.packages.join(" "));
        add += "tar -C root -czf apk.tar.gz .";
        let mut command = Command::new("sh");
        command.args(["-c", &add]).current_dir(self.folder.path());
        command
    }

    pub(super) fn forget_what_was_made(&self) {
        forget_what_was_made(self.folder.path());
    }

    pub(super) fn remove(&self, name: &str) {
        // It may not be there yet.
        let _ = fs_err::remove_file(self.path(name));
    }
}

/// Returns the most memory that a command held, in MiB; 0 where GNU time is not here.
pub(super) fn peak(command: &Command) -> Result<u64, String> {
    let mut time = Command::new("/usr/bin/time");
    time.args(["--quiet", "--format=%M"]);
    let mut time = under(time, command);
    let Ok(output) = time.stdout(Stdio::null()).output() else {
        return Ok(0);
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let kilobytes = said.lines().last().unwrap_or_default().trim();
    let kilobytes: u64 = kilobytes.parse().map_err(|_| format!("{time:?}: {said}"))?;
    Ok(kilobytes / 1024)
}

/// Takes out of the cache in a kitchen what was made of downloads. It is removed only with the
/// kitchen: a file system that has just freed hundreds of files is slow at making new ones for some
/// seconds, and a cache that never had them knows nothing of that.
pub(super) fn forget_what_was_made(kitchen: &Path) {
    let Ok(folders) = fs_err::read_dir(kitchen.join("cache/v1")) else {
        return;
    };
    let gone = kitchen.join("gone");
    // It may be there already.
    let _ = fs_err::create_dir(&gone);
    for folder in folders.flatten() {
        let name = folder.file_name();
        if name != "sha256" && name != "url" {
            let count = fs_err::read_dir(&gone).map_or(0, Iterator::count);
            // What stays is seen by its time.
            let _ = fs_err::rename(folder.path(), gone.join(count.to_string()));
        }
    }
}

/// Runs a command to its end.
pub(super) fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed: {said}"))
}

fn shown(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}
