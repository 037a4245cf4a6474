//! `cargo xtask cross`: the Windows and the macOS build, on a Linux host.
//!
//! `../shared/tools/cross-setup.sh` makes a folder with a compiler for each target, a linker for
//! Windows and wine. wine is not Windows, and nothing of macOS can be linked or run; what is seen
//! is that all of it compiles, that tests pass as programs of Windows, and that the program bakes
//! the same bytes there as here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use prebake_testkit::http::Server;
use prebake_testkit::shared::shared;

use crate::check::step;

/// The target that is run.
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// The target that is only looked at.
const MACOS: &str = "aarch64-apple-darwin";

/// The tests that are run under wine: those that call no other program of Linux, and whose
/// recipes name no path of the host, which Windows writes with backslashes.
const TESTS: [&str; 12] = [
    "changes",
    "customising",
    "database",
    "golden",
    "http",
    "judged",
    "parsed",
    "recipe",
    "tree",
    "trees",
    "why",
    "wsl",
];

/// The unit test that asks rustc, a program of Linux.
const ASKS_RUSTC: &str = "each_target_has_the_port_that_runs_beside_it";

/// The recipe that both programs bake: the one of `cargo xtask quickstart`, by the small real
/// mirror.
const RECIPE: &str = "\
name = \"cross\"
arch = [\"x86_64\"]
packages = [\"gcompat\", \"iptables\"]
mirrors = [\"MIRROR\"]

[base]
release = \"3.20.3\"

[[repository]]
url = \"MIRROR/v3.20/main\"
keys = [\"keys/zhangyoufu.rsa.pub\", \"keys/fixture-20260101.rsa.pub\"]

[[file]]
path = \"/etc/wsl.conf\"
content = \"[boot]\\nsystemd = false\\n\"

[[output]]
path = \"embed/{name}-{release}-{arch}.tar.gz\"
";

/// The toolchain, and where it builds.
struct Cross {
    toolchain: PathBuf,
    target: PathBuf,
}

/// Does all of it. The arguments are the toolchain's folder and the one to build in; by default
/// `target/cross` and a folder in it.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let toolchain = match arguments.first() {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("target/cross"),
    };
    let toolchain = std::path::absolute(&toolchain).map_err(|error| error.to_string())?;
    let target = match arguments.get(1) {
        Some(folder) => std::path::absolute(folder).map_err(|error| error.to_string())?,
        None => toolchain.join("target"),
    };
    let shared = shared().ok_or("there is no ../shared")?;
    let mut setup = Command::new(shared.join("tools/cross-setup.sh"));
    step("toolchain", setup.arg(&toolchain))?;
    let cross = Cross { toolchain, target };

    let all = ["--workspace", "--all-targets", "--quiet"];
    step(
        "the workspace builds for Windows",
        cross.cargo("build", WINDOWS).args(all),
    )?;
    for target in [WINDOWS, MACOS] {
        let mut clippy = cross.cargo("clippy", target);
        step(
            &format!("clippy has nothing against it for {target}"),
            clippy.args(all).args(["--", "-Dwarnings"]),
        )?;
    }
    let mut tests = cross.cargo("test", WINDOWS);
    tests.args(["--workspace", "--lib"]);
    tests.args(TESTS.iter().flat_map(|name| ["--test", name]));
    tests.args(["--", "--skip", ASKS_RUSTC]);
    step("tests under wine", &mut tests)?;
    same_bytes(&cross, &shared.join("alpine"))
}

impl Cross {
    /// Returns a program that runs with the toolchain's environment, and nothing of the one that
    /// this program runs with: cargo tells its own kind which compiler to use.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-c", ". \"$0/env.sh\" && exec \"$@\""])
            .arg(&self.toolchain)
            .arg(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO") && text != "CARGO_HOME" || text.starts_with("RUST") {
                command.env_remove(&name);
            }
        }
        command
    }

    fn cargo(&self, verb: &str, target: &str) -> Command {
        let mut cargo = self.command("cargo");
        cargo.arg(verb).args(["--target", target, "--target-dir"]);
        cargo.arg(&self.target);
        // A judge that wine has not is said, and no failure.
        cargo.env_remove("CI");
        // insta asks cargo for this, and wine runs none.
        cargo.env("INSTA_WORKSPACE_ROOT", workspace());
        cargo.env("INSTA_UPDATE", "no");
        cargo
    }
}

fn workspace() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    folder.unwrap_or(Path::new("/")).to_owned()
}

/// Bakes one recipe by the program of Linux and by that of Windows, and compares.
fn same_bytes(cross: &Cross, mirror: &Path) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(&cargo);
    build.args(["build", "--quiet", "--package", "prebake-cli"]);
    step("the program of Linux", &mut build)?;
    let here = crate::target_folder().join("debug/prebake");
    let there = cross.target.join(WINDOWS).join("debug/prebake.exe");
    let server = Server::start_folder(mirror);
    let url = server.url("");
    let recipe = RECIPE.replace("MIRROR", url.trim_end_matches('/'));
    let work = tempfile::tempdir().map_err(|error| error.to_string())?;
    let linux = work.path().join("linux");
    let windows = work.path().join("windows");
    for folder in [&linux, &windows] {
        prepare(folder, &recipe, mirror).map_err(|error| error.to_string())?;
    }
    let on_linux = |verb: &[&str]| {
        let mut command = Command::new(&here);
        command.args(verb).current_dir(&linux);
        command.env("PREBAKE_CACHE", linux.join("cache"));
        command
    };
    let under_wine = |verb: &[&str]| {
        let mut command = cross.command("wine64");
        command.arg(&there).args(verb).current_dir(&windows);
        // wine shows the root of this host as drive Z.
        let mut cache = OsString::from("Z:");
        cache.push(windows.join("cache"));
        command.env("PREBAKE_CACHE", cache);
        command
    };
    step("lock on Linux", &mut on_linux(&["lock"]))?;
    // Scripts run on Linux alone; their record is the user's to hand on.
    let record = "prebake.scripts";
    if linux.join(record).is_file() {
        fs_err::copy(linux.join(record), windows.join(record))
            .map_err(|error| error.to_string())?;
    }
    step("lock under wine", &mut under_wine(&["lock"]))?;
    step("build on Linux", &mut on_linux(&["build"]))?;
    step("build under wine", &mut under_wine(&["build"]))?;
    let output = "embed/cross-3.20.3-x86_64.tar.gz";
    for file in ["prebake.lock", output] {
        let read = |folder: &Path| fs_err::read(folder.join(file)).map_err(|e| e.to_string());
        let bytes = read(&linux)?;
        if bytes != read(&windows)? {
            let kept = work.keep();
            return Err(format!("{file} differs in {}", kept.display()));
        }
        say(&format!("    {file}: the same {} bytes", bytes.len()));
    }
    // Each verifies what the other wrote.
    let swap = |from: &Path, to: &Path| fs_err::copy(from.join(output), to.join("other.tar.gz"));
    swap(&linux, &windows).map_err(|error| error.to_string())?;
    swap(&windows, &linux).map_err(|error| error.to_string())?;
    step(
        "verify on Linux",
        &mut on_linux(&["verify", "other.tar.gz"]),
    )?;
    step(
        "verify under wine",
        &mut under_wine(&["verify", "other.tar.gz"]),
    )
}

fn prepare(folder: &Path, recipe: &str, mirror: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(folder.join("keys"))?;
    for entry in fs_err::read_dir(mirror.join("keys"))? {
        let from = entry?.path();
        let name = from.file_name().unwrap_or_default();
        fs_err::copy(&from, folder.join("keys").join(name))?;
    }
    fs_err::write(folder.join("prebake.toml"), recipe)
}

#[expect(clippy::print_stderr, reason = "this is a program for people")]
fn say(line: &str) {
    eprintln!("{line}");
}
