//! Packages that use this crate as anybody would, built by the real cargo.
//!
//! They live in a folder of their own below the target folder, with a target folder that they
//! share and that is not the one of whoever runs the tests. Their dependencies are vendored, by
//! `cargo vendor`, once; what is not published yet comes from this checkout by `[patch]`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What would change a build from outside the test; none of it reaches cargo.
const NOT_INHERITED: [&str; 6] = ["PREBAKE_", "CARGO_", "RUSTC", "RUST_", "HTTP", "http"];

/// The crates of this checkout that a user names or that those need.
const CRATES: [(&str, &str); 8] = [
    ("prebake", "prebake"),
    ("prebake-apk", "apk"),
    ("prebake-embed", "embed"),
    ("prebake-fetch", "fetch"),
    ("prebake-image", "image"),
    ("prebake-launch", "launch"),
    ("prebake-rootfs", "rootfs"),
    ("prebake-solve", "solve"),
];

/// The three lines of a user's manifest.
pub(crate) const DEPENDENCIES: &str = "\
[dependencies]
prebake-embed = \"0.1\"
prebake-launch = \"0.1\"
[build-dependencies]
prebake-embed = { version = \"0.1\", features = [\"build\"] }
";

/// A package, at a path that is the same in every run, so that what it depends on stays built.
#[derive(Debug)]
pub(crate) struct Package {
    name: String,
    pub(crate) folder: PathBuf,
}

/// What a run of cargo came to.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Package {
    /// Makes an empty package anew. No two tests have one of the same name.
    pub(crate) fn new(name: &str) -> Self {
        let folder = base().join("packages").join(name);
        let _ = fs_err::remove_dir_all(&folder);
        fs_err::create_dir_all(&folder).unwrap();
        let package = Self {
            name: name.to_owned(),
            folder: folder.canonicalize().unwrap(),
        };
        for out in package.outs() {
            fs_err::remove_dir_all(out).unwrap();
        }
        let _ = fs_err::remove_file(programs().join(format!("{name}.rootfs.tar.gz")));
        package
    }

    /// Makes a package whose program says what its rootfs is, as one whose recipe is called as the
    /// package is.
    pub(crate) fn telling(name: &str) -> Self {
        let package = Self::new(name);
        package.write("Cargo.toml", &manifest(name));
        package.write(
            "build.rs",
            &build_script("prebake_embed::bake(\"prebake.toml\")"),
        );
        package.write("src/main.rs", &program(name));
        package
    }

    /// Returns a file's path.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Returns the folders of its build scripts: one with `out` in it, and one without.
    pub(crate) fn outs(&self) -> Vec<PathBuf> {
        let Ok(all) = fs_err::read_dir(programs().join("build")) else {
            return Vec::new();
        };
        let start = format!("{}-", self.name);
        all.map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&start))
            .map(|entry| entry.path())
            .collect()
    }

    /// Returns what a bake has left: `NAME.ENDING` in `OUT_DIR`.
    pub(crate) fn baked(&self, ending: &str) -> PathBuf {
        self.out(&format!("prebake/{}.{ending}", self.name))
    }

    /// Returns a file that its build script has left in `OUT_DIR`.
    pub(crate) fn out(&self, file: &str) -> PathBuf {
        let file = format!("out/{file}");
        let found = self.outs().into_iter().map(|out| out.join(&file));
        let found: Vec<_> = found.filter(|path| path.exists()).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    /// Prepares cargo in the package.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(&self.folder);
        command.args(arguments);
        command
    }

    /// Runs cargo in the package, with these variables.
    pub(crate) fn cargo(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        run(command)
    }

    /// Builds and runs the program; returns what it said.
    pub(crate) fn told(&self, variables: &[(&str, &str)]) -> String {
        let output = self.cargo(&["run", "--quiet"], variables);
        assert!(output.success, "{output:?}");
        output.stdout
    }

    /// Builds, which must fail; returns what was said.
    pub(crate) fn refused(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.cargo(&[&["build"], arguments].concat(), variables);
        assert!(!output.success, "{output:?}");
        output.stderr
    }

    /// Builds; returns whether its build script ran.
    pub(crate) fn is_baked_again(&self, variables: &[(&str, &str)]) -> bool {
        let output = self.cargo(&["build", "-vv"], variables);
        assert!(output.success, "{output:?}");
        let begins = format!("[{} ", self.name);
        let fresh = format!("Fresh {} ", self.name);
        let lines = output.stderr.lines().chain(output.stdout.lines());
        let runs = lines
            .clone()
            .any(|line| line.starts_with(&begins) && line.contains("rerun-if-changed"));
        assert!(
            runs || lines.clone().any(|line| line.contains(&fresh)),
            "{output:?}"
        );
        runs
    }
}

pub(crate) fn manifest(name: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n\
         {DEPENDENCIES}"
    )
}

pub(crate) fn build_script(call: &str) -> String {
    format!("fn main() {{\n    {call};\n}}\n")
}

/// Returns a program that says what the rootfs of that name is.
pub(crate) fn program(name: &str) -> String {
    format!(
        "fn main() {{
    let rootfs: &'static prebake_embed::Rootfs = prebake_embed::include_rootfs!(\"{name}\");
    println!(\"{{}} {{}} {{}} {{}}\", rootfs.name(), rootfs.release(), rootfs.arch(), rootfs.identity());
    for package in rootfs.packages() {{
        println!(\"{{}}-{{}}\", package.name, package.version);
    }}
    if let Some(file) = rootfs.file() {{
        println!(\"{{}}\", file.display());
    }}
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut rootfs.open().unwrap(), &mut bytes).unwrap();
    println!(\"{{}} bytes\", bytes.len());
}}
"
    )
}

/// Returns the folder that all packages and what they share are in.
fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("embed");
        fs_err::create_dir_all(&base).unwrap();
        let base = base.canonicalize().unwrap();
        // Other test processes prepare the same folder.
        let lock = fs_err::File::create(base.join("lock")).unwrap();
        lock.file().lock().unwrap();
        prepare(&base);
        base
    })
}

/// Returns the folder that cargo puts the packages' programs into.
pub(crate) fn programs() -> PathBuf {
    base().join("target/debug")
}

/// Returns the folder that cargo takes published packages from.
pub(crate) fn vendored() -> PathBuf {
    base().join("vendor")
}

/// Vendors what this crate depends on, unless that has been done for this very lock.
fn prepare(base: &Path) {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let checkout = checkout.canonicalize().unwrap();
    let lock = fs_err::read_to_string(checkout.join("Cargo.lock")).unwrap();
    // At the end, among what build scripts depend on, what only the example has.
    let manifest = format!("{}serde_json = \"1\"\n", manifest("vendored"));
    let stamp = base.join("vendored.stamp");
    let wanted = format!("{manifest}{lock}");
    if fs_err::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
        return;
    }
    let patches = CRATES.map(|(name, folder)| {
        let path = checkout.join("crates").join(folder);
        format!("{name} = {{ path = '{}' }}\n", path.display())
    });
    let patches = format!("[patch.crates-io]\n{}", patches.concat());
    let _ = fs_err::remove_dir_all(base.join("vendor"));
    fs_err::create_dir_all(base.join(".cargo")).unwrap();
    fs_err::write(base.join(".cargo/config.toml"), &patches).unwrap();
    let package = base.join("packages/vendored");
    fs_err::create_dir_all(package.join("src")).unwrap();
    fs_err::write(package.join("Cargo.toml"), manifest).unwrap();
    fs_err::write(package.join("src/lib.rs"), "").unwrap();
    fs_err::write(package.join("Cargo.lock"), &lock).unwrap();
    let mut command = cargo_below(base, &package);
    command
        .arg("vendor")
        .arg("--quiet")
        .arg(base.join("vendor"));
    let output = run(command);
    assert!(output.success, "{output:?}");
    let config = format!(
        "{patches}[source.crates-io]\nreplace-with = 'vendored'\n[source.vendored]\n\
         directory = '{}'\n",
        base.join("vendor").display()
    );
    fs_err::write(base.join(".cargo/config.toml"), config).unwrap();
    fs_err::write(stamp, wanted).unwrap();
}

fn cargo(folder: &Path) -> Command {
    cargo_below(base(), folder)
}

fn cargo_below(base: &Path, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_foreign = NOT_INHERITED.iter().any(|start| text.starts_with(start));
        if is_foreign && text != "CARGO_HOME" {
            command.env_remove(&name);
        }
    }
    command
        .env("CARGO_TARGET_DIR", base.join("target"))
        // Rustup's own would ask for a home folder, which some of these have not.
        .env("RUSTC", Path::new(env!("CARGO")).with_file_name("rustc"))
        // Nobody debugs these, and without it they are built in half the time.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TERM_COLOR", "never");
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output {
        success: output.status.success(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
