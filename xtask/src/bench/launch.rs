//! From an import to the end of a first instruction: ours against what else starts a program in
//! a tree, and against installing the packages into each fresh instance.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prebake::arch::Arch;
use prebake::recipe::Recipe;
use prebake::{Cancel, Context, HostOptions, Silent, Upgrade};
use prebake_launch::{About, Backend, Host, Image, Name, Rootfs, Settings};
use prebake_testkit::http::Server;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::shared::shared;
use tempfile::TempDir;

use super::{interleave, median, milliseconds, say};

/// What the rootfs has beside the base.
const PACKAGES: [&str; 2] = ["gcompat", "iptables"];
/// Who signed them.
const KEYS: [&str; 2] = ["fixture-20260101.rsa.pub", "zhangyoufu.rsa.pub"];
const BASE: &str = "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz";

/// How often packages are installed in the old way, which takes long.
const OLD_ROUNDS: usize = 5;

pub(super) fn bench() -> Result<(), String> {
    let mirror = shared().ok_or("there is no ../shared: nothing to launch")?;
    let mirror = mirror.join("alpine");
    let folder = TempDir::new().map_err(text)?;
    let server = Server::start_folder(&mirror);
    let rootfs = bake(&mirror, &server, folder.path())?;
    let tree = folder.path().join("tree");
    fs_err::create_dir(&tree).map_err(text)?;
    let tar = Command::new("tar")
        .args(["-xzf", &path(&rootfs.file), "-C", &path(&tree)])
        .status();
    if !tar.map_err(text)?.success() {
        return Err("tar cannot unpack the rootfs".to_owned());
    }
    let own = std::env::current_exe().map_err(text)?;
    let ours = || {
        let mut command = Command::new(&own);
        command.args(["bench-child", "launch"]);
        command.args([folder.path(), &*rootfs.file]);
        command.args([&rootfs.identity, &rootfs.unpacked]);
        command
    };
    // The first import unpacks; what is measured is every later one.
    let first = Instant::now();
    if !ours().status().map_err(text)?.success() {
        return Err("the first instance failed".to_owned());
    }
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
        ("prebake: import, run, remove", &ours),
        ("unshare and chroot by hand", &hand),
        ("bwrap --unshare-all", &bwrap),
        ("podman run --rootfs", &podman),
    ];
    let (there, absent): (Vec<_>, Vec<_>) =
        peers.into_iter().partition(|(_, lane)| works(&mut lane()));
    let lanes: Vec<_> = there.iter().map(|(_, lane)| *lane).collect();
    let times = interleave(&lanes)?;
    let old = old_way(&mirror, &server)?;
    say(
        "\nlaunch: gcompat and iptables on 3.20.3, a program begun in a fresh instance, to its end",
    );
    let ours = times.first().copied().unwrap_or_default();
    let line = |name: &str, time: Duration| {
        let ratio = time.as_secs_f64() / ours.as_secs_f64();
        say(&format!(
            "    {name:<36}{:8.1} ms   {ratio:6.2} times ours",
            milliseconds(time)
        ));
    };
    for ((name, _), time) in there.iter().zip(times) {
        line(name, time);
    }
    for (name, _) in absent {
        say(&format!("    {name:<36} does not run here"));
    }
    line("apk add into the instance, no more", old);
    line("prebake's first import, which unpacks", first);
    Ok(())
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
    let instance = host
        .import(&Name::unique("bench"), &rootfs)
        .map_err(chain)?;
    let status = instance.command("/bin/true").status().map_err(chain)?;
    instance.remove().map_err(chain)?;
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

/// A baked rootfs.
struct Baked {
    file: PathBuf,
    identity: String,
    unpacked: String,
}

fn bake(mirror: &Path, server: &Server, folder: &Path) -> Result<Baked, String> {
    let keys: Vec<_> = KEYS
        .map(|name| path(&mirror.join("keys").join(name)))
        .into();
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let recipe = format!(
        "name = \"bench\"\narch = [\"x86_64\"]\npackages = {PACKAGES:?}\nmirrors = [{url:?}]\n\
         [base]\nrelease = \"3.20.3\"\n\
         [[repository]]\nurl = \"{url}/v3.20/main\"\nkeys = {keys:?}\n\
         [[output]]\npath = \"unused.tar.gz\"\n"
    );
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
fn old_way(mirror: &Path, server: &Server) -> Result<Duration, String> {
    let add = Add::new(PACKAGES)
        .repository(server.url("v3.20/main"))
        .keys(&mirror.join("keys"));
    let mut times = Vec::new();
    for _ in 0..OLD_ROUNDS {
        let fresh = Oracle::on_base("bench", &mirror.join(BASE)).ok_or("there is no oracle")?;
        let start = Instant::now();
        fresh.add(&add).expect_success();
        times.push(start.elapsed());
    }
    Ok(median(times))
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
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
