//! `cargo xtask embed`: what carrying a rootfs costs whoever compiles the program.
//!
//! A package as a user's is built over and over by the real cargo, with a rootfs of incompressible
//! bytes, embedded and as a side car. Of each rustc that compiles the program itself the time and
//! the most memory are taken, and the build script is run alone: with nothing to do, and with
//! everything in the cache. GNU `time` measures; times are those of the processors, which hardly
//! depend on what else the machine does. The figures are in `docs/embed.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use prebake_testkit::mirror::MirrorBuilder;

/// How often each thing is measured.
const ROUNDS: usize = 5;

/// How often a bake is measured that has nothing but the cache: a large one takes long.
const BAKES: usize = 3;

/// How large the rootfs are, in bytes.
const SIZES: [u64; 2] = [4 << 20, 100 << 20];

/// Measures a program: appends seconds for itself, those of the system, and kilobytes to a file.
const WRAPPER: &str = "#!/bin/sh\nexec time -a -o \"$MEASURED\" -f '%U %S %M' \"$@\"\n";

/// What a run of a program took: seconds of processors, and kilobytes.
type Taken = (f64, u64);

const BUILD: &str = "fn main() {
    let placement = match std::env::var_os(\"SIDE_CAR\") {
        Some(_) => prebake_embed::Placement::SideCar,
        None => prebake_embed::Placement::Embedded,
    };
    println!(\"cargo::rerun-if-env-changed=SIDE_CAR\");
    prebake_embed::Bake::new(\"prebake.toml\").placement(placement).run();
}
";

const MAIN: &str = "fn main() {
    let rootfs = prebake_embed::include_rootfs!(\"measured\");
    println!(\"{} {}\", rootfs.identity(), rootfs.bytes().is_some());
}
";

/// A package that carries a rootfs.
struct Package {
    folder: PathBuf,
    is_release: bool,
    is_side_car: bool,
}

pub(crate) fn run() -> Result<(), String> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let checkout = checkout.canonicalize().map_err(text)?;
    let folder = checkout.join("target/embed-measure");
    let _ = fs_err::remove_dir_all(folder.join("src"));
    let _ = fs_err::remove_file(folder.join("prebake.lock"));
    write(&folder.join("Cargo.toml"), &manifest(&checkout))?;
    fs_err::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).map_err(text)?;
    write(&folder.join("build.rs"), BUILD)?;
    write(&folder.join("wrapper"), WRAPPER)?;
    let executable = Command::new("chmod")
        .args(["+x", "wrapper"])
        .current_dir(&folder)
        .status();
    executable.map_err(text)?;
    let mirror =
        MirrorBuilder::first_recipe("3.99.0", [std::env::consts::ARCH], "http://mirror").build();
    say(&format!("medians of {ROUNDS} runs\n"));
    for size in SIZES {
        write(
            &folder.join("prebake.toml"),
            &recipe(&mirror.url(), &mirror.key_file()),
        )?;
        fs_err::write(folder.join("blob"), noise(size)).map_err(text)?;
        for is_release in [false, true] {
            for is_side_car in [false, true] {
                let package = Package {
                    folder: folder.clone(),
                    is_release,
                    is_side_car,
                };
                let (rustc, memory) = package.compile()?;
                let [(idle, _), (cached, _)] = package.bake()?;
                say(&format!(
                    "{} MiB, {}, {}: rustc {rustc:.2} s, {} MB; build script {idle:.2} s with \
                     nothing to do, {cached:.2} s from the cache",
                    size >> 20,
                    if is_release { "release" } else { "debug" },
                    if is_side_car { "side car" } else { "embedded" },
                    memory / 1000,
                ));
            }
        }
    }
    fs_err::remove_file(folder.join("blob")).map_err(text)
}

impl Package {
    fn cargo(&self) -> Command {
        let mut command = crate::check::cargo(&["build", "--quiet"]);
        command.args(self.is_release.then_some("--release"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
                command.env_remove(name);
            }
        }
        if self.is_side_car {
            command.env("SIDE_CAR", "1");
        }
        command
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .env("PREBAKE_CACHE", self.folder.join("cache"))
            .env("CARGO_INCREMENTAL", "0")
            .env("MEASURED", self.folder.join("measured"))
            .env("RUSTC_WORKSPACE_WRAPPER", self.folder.join("wrapper"));
        command
    }

    /// Compiles the program; returns what that takes.
    fn compile(&self) -> Result<Taken, String> {
        let mut taken = Vec::new();
        for round in 0..=ROUNDS {
            let main = format!("// {round} {:?}\n{MAIN}", Instant::now());
            write(&self.folder.join("src/main.rs"), &main)?;
            let one = self.measured(self.cargo())?;
            // The first one compiles the build script too, and is not counted.
            taken.extend((round > 0).then_some(one));
        }
        Ok(median(taken))
    }

    /// Runs a command; returns what the last program in it took that was measured.
    fn measured(&self, command: Command) -> Result<Taken, String> {
        let file = self.folder.join("measured");
        let _ = fs_err::remove_file(&file);
        succeed(command)?;
        let lines = fs_err::read_to_string(file).map_err(text)?;
        let last = lines.lines().last().unwrap_or_default();
        let words: Vec<f64> = last
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        match words[..] {
            [own, system, memory] => Ok((own + system, memory as u64)),
            _ => Err(format!("GNU time said {last:?}")),
        }
    }

    /// Runs the build script with nothing to do, and with everything in the cache.
    fn bake(&self) -> Result<[Taken; 2], String> {
        let profile = if self.is_release { "release" } else { "debug" };
        let build = self.folder.join("target").join(profile).join("build");
        let (mut script, mut out) = (None, None);
        for entry in fs_err::read_dir(build).map_err(text)? {
            let path = entry.map_err(text)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("measured-") {
                let here = |name: &str| Some(path.join(name)).filter(|path| path.exists());
                script = script.or(here("build-script-build"));
                out = out.or(here("out"));
            }
        }
        let (script, out) = script.zip(out).ok_or("cargo has left no build script")?;
        let run = || {
            let mut command = Command::new(self.folder.join("wrapper"));
            command
                .arg(&script)
                .current_dir(&self.folder)
                .env("CARGO_MANIFEST_DIR", &self.folder)
                .env("CARGO_CFG_TARGET_ARCH", std::env::consts::ARCH)
                .env("CARGO_CFG_TARGET_ENDIAN", "little")
                .env("NUM_JOBS", "2")
                .env("OUT_DIR", &out)
                .env("PREBAKE_CACHE", self.folder.join("cache"))
                .env("MEASURED", self.folder.join("measured"))
                .envs(self.is_side_car.then_some(("SIDE_CAR", "1")))
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            self.measured(command)
        };
        let (mut idle, mut cached) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            idle.push(run()?);
        }
        for _ in 0..BAKES {
            fs_err::remove_dir_all(out.join("prebake")).map_err(text)?;
            cached.push(run()?);
        }
        Ok([median(idle), median(cached)])
    }
}

fn median(taken: Vec<Taken>) -> Taken {
    let (mut times, mut memories): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
    times.sort_by(f64::total_cmp);
    memories.sort_unstable();
    let middle = times.len() / 2;
    let time = times.get(middle).copied().unwrap_or_default();
    (time, memories.get(middle).copied().unwrap_or_default())
}

fn manifest(checkout: &Path) -> String {
    let path = |name: &str| checkout.join("crates").join(name).display().to_string();
    let (embed, launch) = (path("embed"), path("launch"));
    format!(
        "[package]\nname = \"measured\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nprebake-embed = {{ path = '{embed}' }}\n\
         prebake-launch = {{ path = '{launch}' }}\n\
         [build-dependencies]\nprebake-embed = {{ path = '{embed}', features = [\"build\"] }}\n"
    )
}

fn recipe(url: &str, key: &Path) -> String {
    format!(
        "name = \"measured\"\narch = [\"{}\"]\npackages = [\"gcompat\"]\nmirrors = [\"{url}\"]\n\
         [base]\nrelease = \"3.99.0\"\n\
         [[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = ['{}']\n\
         [[file]]\npath = \"/opt/blob\"\nsource = \"blob\"\n",
        std::env::consts::ARCH,
        key.display()
    )
}

/// Returns bytes that do not compress (Marsaglia's xorshift64).
fn noise(size: u64) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = (0..size / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}

fn succeed(mut command: Command) -> Result<(), String> {
    let status = command.status().map_err(text)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} failed: {status}"))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs_err::create_dir_all(folder)
        .and_then(|()| fs_err::write(path, text))
        .map_err(self::text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn say(line: &str) {
    println!("{line}");
}
