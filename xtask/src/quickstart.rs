//! Bakes the example recipe from whatever mirror there is, and says what it did.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::Server;
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::shared;

/// Alpine's CDN, which is used where it answers.
const CDN_HOST: &str = "dl-cdn.alpinelinux.org";

/// How long the CDN may take to answer before another mirror is taken.
const CDN_PATIENCE: Duration = Duration::from_secs(3);

/// What the recipe is called; the outputs are named for it.
const NAME: &str = "quickstart";

/// Where the recipe's inputs come from.
enum Source {
    Cdn,
    /// The small real mirror beside the checkout, served on loopback.
    Shared(PathBuf, Server),
    /// A mirror made just now, served on loopback.
    Made(Box<Mirror>, Server),
}

pub(crate) fn run() -> Result<(), String> {
    let folder = crate::target_folder().join("quickstart");
    // Begins from nothing each time, but for the cache of downloads.
    let _ = fs_err::remove_dir_all(folder.join("embed"));
    let _ = fs_err::remove_file(folder.join("prebake.lock"));
    fs_err::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;

    let source = Source::find();
    say(&format!("mirror:  {}", source.describe()));
    let recipe = folder.join("prebake.toml");
    let text = source.recipe(&folder)?;
    fs_err::write(&recipe, &text).map_err(|error| error.to_string())?;
    say(&format!("recipe:  {}\n", recipe.display()));
    for line in text.lines() {
        say(&format!("    {line}"));
    }

    let program = program()?;
    say("\n$ prebake build");
    let start = Instant::now();
    prebake(&program, &folder, &["build"])?;
    say(&format!("    took {:.2} s", start.elapsed().as_secs_f64()));
    let output = fs_err::read_dir(folder.join("embed"))
        .map_err(|error| error.to_string())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .min()
        .ok_or("the build wrote nothing")?;
    let relative = output
        .strip_prefix(&folder)
        .unwrap_or(&output)
        .display()
        .to_string();
    say(&format!("\n$ prebake verify {relative}"));
    prebake(&program, &folder, &["verify", &relative])?;
    say(&format!("\n$ prebake inspect {relative}"));
    prebake(&program, &folder, &["inspect", &relative])?;
    let (program, recipe) = (program.display(), recipe.display());
    match source {
        Source::Cdn => say("\nnext: change the recipe, and run"),
        _ => say("\nthe mirror ends here; what it gave is in the cache, so this still works:"),
    }
    say(&format!(
        "    PREBAKE_CACHE={} {program} build {recipe}",
        folder.join("cache").display()
    ));
    Ok(())
}

impl Source {
    fn find() -> Self {
        if cdn_answers() {
            return Self::Cdn;
        }
        let beside = shared().map(|shared| shared.join("alpine"));
        if let Some(mirror) = beside.filter(|mirror| mirror.is_dir()) {
            let server = Server::start_folder(&mirror);
            Self::Shared(mirror, server)
        } else {
            let mirror = made_mirror();
            let server = Server::start_folder(mirror.root());
            Self::Made(Box::new(mirror), server)
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Cdn => format!("Alpine's CDN, {CDN_HOST}"),
            Self::Shared(folder, server) => format!(
                "Alpine's CDN does not answer; {} on {}",
                folder.display(),
                server.url("")
            ),
            Self::Made(_, server) => format!(
                "Alpine's CDN does not answer and there is no ../shared/alpine; one made by the \
                 testkit, on {}",
                server.url("")
            ),
        }
    }

    fn recipe(&self, folder: &Path) -> Result<String, String> {
        let key = |from: &Path| {
            let name = from
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            fs_err::create_dir_all(folder.join("keys"))
                .and_then(|()| fs_err::copy(from, folder.join("keys").join(&name)))
                .map_err(|error| error.to_string())?;
            Ok::<_, String>(format!("keys/{name}"))
        };
        let (arches, release, repository) = match self {
            Self::Cdn => (vec!["x86_64", "aarch64"], "3.21.3", None),
            Self::Shared(mirror, server) => {
                let keys = ["zhangyoufu.rsa.pub", "fixture-20260101.rsa.pub"];
                let keys = keys.map(|name| mirror.join("keys").join(name)).to_vec();
                (vec!["x86_64"], "3.20.3", Some((server, "v3.20/main", keys)))
            }
            Self::Made(mirror, server) => {
                let keys = vec![mirror.key_file()];
                (
                    vec!["x86_64", "aarch64"],
                    "3.99.0",
                    Some((server, "v3.99/main", keys)),
                )
            }
        };
        let arches = quoted(arches);
        let (mut mirrors, mut repositories) = (String::new(), String::new());
        if let Some((server, repository, files)) = repository {
            let url = server.url("");
            let url = url.trim_end_matches('/');
            let keys = files
                .iter()
                .map(|file| key(file))
                .collect::<Result<Vec<_>, _>>()?;
            let keys = quoted(keys);
            mirrors = format!("mirrors = [\"{url}\"]\n");
            repositories =
                format!("\n[[repository]]\nurl = \"{url}/{repository}\"\nkeys = [{keys}]\n");
        }
        Ok(format!(
            "\
name = \"{NAME}\"
arch = [{arches}]
packages = [\"gcompat\", \"iptables\"]
{mirrors}
[base]
release = \"{release}\"
{repositories}
[[file]]
path = \"/etc/wsl.conf\"
content = \"[boot]\\nsystemd = false\\n\"

[[output]]
path = \"embed/{{name}}-{{release}}-{{arch}}.tar.gz\"
"
        ))
    }
}

/// Returns words as TOML has them in a list.
fn quoted(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<_> = words
        .into_iter()
        .map(|word| format!("{:?}", word.as_ref()))
        .collect();
    words.join(", ")
}

/// Says whether the CDN answers a real request in time.
fn cdn_answers() -> bool {
    let answers = || -> std::io::Result<bool> {
        let end = Instant::now() + CDN_PATIENCE;
        // Looking up the name has no time limit of its own.
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send((CDN_HOST, 80).to_socket_addrs().map(Vec::from_iter)));
        let Ok(Ok(addresses)) = receive.recv_timeout(CDN_PATIENCE) else {
            return Ok(false);
        };
        let Some(address) = addresses.first() else {
            return Ok(false);
        };
        let left = || {
            end.saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1))
        };
        let mut stream = TcpStream::connect_timeout(address, left())?;
        stream.set_read_timeout(Some(left()))?;
        write!(stream, "HEAD /alpine/ HTTP/1.0\r\nHost: {CDN_HOST}\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.starts_with(b"HTTP/1.") && matches!(status[9], b'2' | b'3'))
    };
    answers().unwrap_or(false)
}

/// Makes a signed mirror that has the recipe's packages, as small stand-ins.
fn made_mirror() -> Mirror {
    let mut builder = MirrorBuilder::new("v3.99");
    for arch in ["x86_64", "aarch64"] {
        builder = builder
            .base(BaseBuilder::new(arch, "3.99.0"))
            .package_for(
                "main",
                arch,
                PackageBuilder::new("gcompat", "1.1.0-r4").depends(["musl-obstack"]),
            )
            .package_for(
                "main",
                arch,
                PackageBuilder::new("musl-obstack", "1.2.3-r2"),
            )
            .package_for(
                "main",
                arch,
                PackageBuilder::new("iptables", "1.8.11-r1").depends(["libmnl"]),
            )
            .package_for("main", arch, PackageBuilder::new("libmnl", "1.0.5-r2"));
    }
    builder.build()
}

/// Builds the program and returns where it is.
fn program() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "prebake-cli"])
        .status()
        .map_err(|error| format!("failed to start cargo: {error}"))?;
    if !status.success() {
        return Err("prebake does not build".to_owned());
    }
    let name = format!("prebake{}", std::env::consts::EXE_SUFFIX);
    let path = crate::target_folder().join("debug").join(name);
    path.canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn prebake(program: &Path, folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("PREBAKE_CACHE", folder.join("cache"))
        .status()
        .map_err(|error| format!("failed to start {}: {error}", program.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("prebake {arguments:?} failed: {status}"))
    }
}

#[expect(clippy::print_stderr, reason = "this is a program for people")]
fn say(line: &str) {
    eprintln!("{line}");
}
