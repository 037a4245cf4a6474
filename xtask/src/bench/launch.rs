//! From an import to the end of a first instruction: ours against what else starts a program in
//! a tree, and against installing the packages into each fresh instance.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prebake::arch::Arch;
use prebake::recipe::Recipe;
use prebake::{Cancel, Context, HostOptions, Silent, Upgrade};
use prebake_launch::{About, Backend, Host, Image, Name, Rootfs, Settings};
use prebake_testkit::http::Server;
use prebake_testkit::shared::shared;
use tempfile::TempDir;

use super::{ROUNDS, interleave, median, milliseconds, say, text};

/// What is installed: into the rootfs once, or in the old way into each instance.
struct Sample {
    branch: &'static str,
    release: &'static str,
    repositories: &'static [&'static str],
    packages: &'static [&'static str],
    /// The keys in the mirror's `keys` that the base does not carry.
    keys: &'static [&'static str],
}

/// The recipe that prebake was made for, from an index of a few packages.
const MISSION: Sample = Sample {
    branch: "v3.20",
    release: "3.20.3",
    repositories: &["main"],
    packages: &["gcompat", "iptables"],
    keys: &["fixture-20260101.rsa.pub", "zhangyoufu.rsa.pub"],
};

/// As many packages, from the indexes that a release of Alpine has: 23,030 packages.
const WHOLE: Sample = Sample {
    branch: "v3.19",
    release: "3.19.4",
    repositories: &["main", "community"],
    packages: &["jq", "sfdisk"],
    keys: &[],
};

/// How often packages are installed in the old way, which takes long.
const OLD_ROUNDS: usize = 5;

pub(super) fn bench() -> Result<(), String> {
    let mirror = shared().ok_or("there is no ../shared: nothing to launch")?;
    let mirror = mirror.join("alpine");
    let server = Server::start_folder(&mirror);
    let folder = TempDir::new().map_err(text)?;
    let rootfs = bake(&MISSION, &mirror, &server, folder.path())?;
    let tree = folder.path().join("tree");
    fs_err::create_dir(&tree).map_err(text)?;
    works_or_says(Command::new("tar").args(["-xzf", &path(&rootfs.file), "-C", &path(&tree)]))?;
    let own = std::env::current_exe().map_err(text)?;
    let ours = || launch(&own, folder.path(), &rootfs);
    // The first import unpacks; what is measured is every later one.
    let first = Instant::now();
    works_or_says(&mut ours())?;
    let first = first.elapsed();
    let hand = || {
        let mut command = Command::new("unshare");
        command.args(["-Umnpiu", "--fork", "--map-root-user", "chroot"]);
        command.args([path(&tree).as_str(), "/bin/true"]);
        command
    };
    let bwrap = || {
        let mut command = Command::new("bwrap");
        command.args(["--unshare-all", "--bind", &path(&tree), "/"]);
        command.args(["--proc", "/proc", "--dev", "/dev", "/bin/true"]);
        command
    };
    let podman = || {
        let mut command = Command::new("podman");
        command.args(["run", "--rm", "--network=none", "--runtime=runc"]);
        command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
        command.args(["--rootfs", &path(&tree), "/bin/true"]);
        command
    };
    let peers: [(&str, &dyn Fn() -> Command); 4] = [
        ("prebake: a process that does, and removes", &ours),
        ("unshare and chroot by hand", &hand),
        ("bwrap --unshare-all", &bwrap),
        ("podman run --rootfs", &podman),
    ];
    let (there, absent): (Vec<_>, Vec<_>) =
        peers.into_iter().partition(|(_, lane)| works(&mut lane()));
    let lanes: Vec<_> = there.iter().map(|(_, lane)| *lane).collect();
    let times = interleave(&lanes)?;
    let inside = inside(&ours)?;
    let old = old_way(&MISSION, &mirror, &server)?;
    say(
        "\nlaunch: gcompat and iptables on 3.20.3, a program begun in a fresh instance, to its end",
    );
    let line = |name, time| self::line(name, time, inside);
    line("prebake: import and run", inside);
    for ((name, _), time) in there.iter().zip(times) {
        line(name, time);
    }
    for (name, _) in absent {
        say(&format!("    {name:<42} does not run here"));
    }
    line("apk add into the instance, no more", old);
    line("prebake's first import, which unpacks", first);

    let folder = TempDir::new().map_err(text)?;
    let rootfs = bake(&WHOLE, &mirror, &server, folder.path())?;
    let ours = || launch(&own, folder.path(), &rootfs);
    works_or_says(&mut ours())?;
    let inside = self::inside(&ours)?;
    let old = old_way(&WHOLE, &mirror, &server)?;
    say("\nlaunch: jq and sfdisk on 3.19.4, with the indexes that Alpine has");
    self::line("prebake: import and run", inside, inside);
    self::line("apk add into the instance, no more", old, inside);
    Ok(())
}

fn line(name: &str, time: Duration, ours: Duration) {
    let ratio = time.as_secs_f64() / ours.as_secs_f64();
    say(&format!(
        "    {name:<42}{:8.1} ms   {ratio:6.2} times ours",
        milliseconds(time)
    ));
}

/// Returns the process that imports a rootfs, runs a program and removes the instance.
fn launch(own: &Path, folder: &Path, rootfs: &Baked) -> Command {
    let mut command = Command::new(own);
    command.args(["bench-child", "launch"]);
    command.args([folder, &*rootfs.file]);
    command.args([&rootfs.identity, &rootfs.unpacked]);
    command
}

/// Measures what a program that is running already waits for: from its call to the end of the
/// instance's first program.
fn inside(ours: &dyn Fn() -> Command) -> Result<Duration, String> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let output = ours().output().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let nanoseconds = said.trim().parse().map_err(text)?;
        times.push(Duration::from_nanos(nanoseconds));
    }
    Ok(median(times))
}

/// What the hidden arguments of a measured process ask for.
pub(super) fn child(arguments: &[String]) -> Result<(), String> {
    let [folder, file, identity, unpacked] = arguments else {
        return Err("launch FOLDER FILE IDENTITY LENGTH".to_owned());
    };
    let settings = Settings {
        folder: Some(Path::new(folder).join("instances")),
        ..Settings::default()
    };
    let about = About {
        name: "bench".into(),
        release: "3.20.3".into(),
        arch: "x86_64".into(),
        identity: identity.parse().map_err(text)?,
        unpacked: unpacked.parse().map_err(text)?,
        packages: Vec::new().into(),
    };
    let rootfs = Rootfs::new(about, Image::File(PathBuf::from(file)));
    let host = Host::with(Backend::Namespaces, &settings).map_err(chain)?;
    let start = Instant::now();
    let instance = host
        .import(&Name::unique("bench"), &rootfs)
        .map_err(chain)?;
    let status = instance.command("/bin/true").status().map_err(chain)?;
    let time = start.elapsed();
    instance.remove().map_err(chain)?;
    say(&time.as_nanos().to_string());
    if status.success() {
        return Ok(());
    }
    Err(format!("/bin/true: {status}"))
}

/// Says whether a peer is here and does what it is asked.
fn works(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs what must work.
fn works_or_says(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(text)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed: {said}"))
}

/// A baked rootfs.
struct Baked {
    file: PathBuf,
    identity: String,
    unpacked: String,
}

fn bake(sample: &Sample, mirror: &Path, server: &Server, folder: &Path) -> Result<Baked, String> {
    let keys = sample.keys.iter();
    let keys: Vec<_> = keys
        .map(|name| path(&mirror.join("keys").join(name)))
        .collect();
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let Sample {
        branch,
        release,
        packages,
        ..
    } = sample;
    let mut recipe = format!(
        "name = \"bench\"\narch = [\"x86_64\"]\npackages = {packages:?}\nmirrors = [{url:?}]\n\
         [base]\nrelease = {release:?}\n"
    );
    for repository in sample.repositories {
        let url = format!("{url}/{branch}/{repository}");
        // Writing to a `String` cannot fail.
        let _ = write!(recipe, "[[repository]]\nurl = {url:?}\nkeys = {keys:?}\n");
    }
    recipe += "[[output]]\npath = \"unused.tar.gz\"\n";
    let written = folder.join("prebake.toml");
    fs_err::write(&written, recipe).map_err(text)?;
    let context = Context::open(HostOptions {
        cache: Some(folder.join("cache")),
        offline: false,
        threads: std::num::NonZeroUsize::MIN,
        reporter: Arc::new(Silent),
        cancel: Cancel::default(),
        environment: &|_| None,
    })
    .map_err(chain)?;
    let recipe = Recipe::read(&written).map_err(chain)?;
    let locked = prebake::update_lock(&recipe, &Upgrade::Keep, &context).map_err(chain)?;
    let locked = locked
        .lock
        .rootfs(Arch::X86_64)
        .ok_or("nothing was locked")?;
    let file = folder.join("rootfs.tar.gz");
    let built = prebake::bake_to(&recipe, locked, &file, &context).map_err(chain)?;
    Ok(Baked {
        file,
        identity: built.identity.to_string(),
        unpacked: built.uncompressed_size.to_string(),
    })
}

/// Measures what installing the packages into each fresh instance takes, as it was done before:
/// the real apk, from a mirror as near as can be. The tree it goes into is not counted.
fn old_way(sample: &Sample, mirror: &Path, server: &Server) -> Result<Duration, String> {
    let apk = shared().ok_or("there is no ../shared")?.join("oracle/apk");
    let Sample {
        branch, release, ..
    } = sample;
    let base = format!("{branch}/releases/x86_64/alpine-minirootfs-{release}-x86_64.tar.gz");
    let base = path(&mirror.join(base));
    let mut times = Vec::new();
    for _ in 0..OLD_ROUNDS {
        let fresh = TempDir::new().map_err(text)?;
        works_or_says(Command::new("tar").args(["-xzf", &base, "-C", &path(fresh.path())]))?;
        for key in sample.keys {
            let to = fresh.path().join("etc/apk/keys").join(key);
            fs_err::copy(mirror.join("keys").join(key), to).map_err(text)?;
        }
        let mut add = Command::new(&apk);
        add.args(["--root", &path(fresh.path()), "--no-cache"]);
        add.args(["--repositories-file", "/dev/null"]);
        for repository in sample.repositories {
            let url = server.url(&format!("/{branch}/{repository}"));
            add.args(["--repository", &url]);
        }
        add.arg("add").args(sample.packages);
        let start = Instant::now();
        works_or_says(&mut add)?;
        times.push(start.elapsed());
    }
    Ok(median(times))
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn chain(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
