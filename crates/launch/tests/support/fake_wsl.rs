//! A `wsl.exe` that behaves as the real one is documented to, for the tests of the driver.
//!
//! It has no arguments of its own: a test puts it into a folder by itself, and what is in that
//! folder is its world.
//!
//! ```text
//! wsl.exe          this program
//! behaviour        words that change what it does, see [`Behaviour`]
//! calls            what it was called with, a line a call
//! distributions/   a file for each, with the folder that its disk is in
//! ```
//!
//! What is imitated, and where it is said:
//!
//! - text is UTF-16LE without a mark unless the environment has `WSL_UTF8=1` (release notes of
//!   WSL 0.64), and lines end in CR LF;
//! - a failure of its own is the exit code -1, so that it can be told from those of Linux, and its
//!   message is on standard output, with a code that is not translated (source of WSL 2);
//! - `--import` makes the last folder of the place and puts `ext4.vhdx` into it, `--list --quiet`
//!   lists names alone, `--unregister` removes all, and in the newest versions does nothing where
//!   it cannot ask, unless there is a `--force` ("Basic commands for WSL");
//! - `--help` ends with -1 (microsoft/WSL issue 6192);
//! - where WSL is not installed there is a `wsl.exe` all the same, which says so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::exit,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test that calls it"
)]

#[path = "fake_wsl/guest.rs"]
mod guest;
#[path = "fake_wsl/said.rs"]
mod said;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::exit;

use self::said::Said;

/// The exit code of a failure of `wsl.exe` itself. Linux hosts cut it to 255.
const FAILED: i32 = -1;

/// The folder that all is in.
struct World {
    folder: PathBuf,
    words: Vec<String>,
    said: Said,
}

impl World {
    fn find() -> Self {
        let program = std::env::current_exe().expect("it has a path");
        let folder = program.parent().expect("it is in a folder").to_owned();
        let words = fs_err::read_to_string(folder.join("behaviour")).unwrap_or_default();
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        let said = Said::new(&words);
        Self {
            folder,
            words,
            said,
        }
    }

    /// Says whether the test asked for this: `old`, `hang`, `no-force`, `fail:--import:CODE`.
    fn is(&self, word: &str) -> bool {
        self.words.iter().any(|other| other == word)
    }

    /// Returns what stands behind `NAME:` in the behaviour.
    fn value(&self, name: &str) -> Option<&str> {
        let mut words = self.words.iter();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix(':'))
    }

    fn record(&self, arguments: &[OsString]) {
        let mut options = fs_err::OpenOptions::new();
        let mut calls = options
            .create(true)
            .append(true)
            .open(self.folder.join("calls"))
            .unwrap();
        // One write, so that those of several processes do not mix.
        calls
            .write_all(format!("{arguments:?}\n").as_bytes())
            .unwrap();
    }

    fn distribution(&self, name: &str) -> PathBuf {
        self.folder.join("distributions").join(name)
    }

    /// Ends as `wsl.exe` does where it fails itself.
    fn fail(&self, message: &str, code: &str) -> ! {
        self.said.line(message);
        if !code.is_empty() {
            self.said.line(&format!("Fehlercode: {code}"));
        }
        exit(FAILED)
    }

    fn find_distribution(&self, name: &str) -> PathBuf {
        let path = self.distribution(name);
        if !path.is_file() {
            self.fail(
                "Es ist keine Distribution mit dem angegebenen Namen vorhanden.",
                "Wsl/Service/WSL_E_DISTRO_NOT_FOUND",
            );
        }
        PathBuf::from(fs_err::read_to_string(path).unwrap())
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let world = World::find();
    world.record(&arguments);
    assert_eq!(
        std::env::var("WSL_UTF8").as_deref(),
        Ok("1"),
        "it is asked for UTF-8"
    );
    assert!(std::env::var_os("WSLENV").is_none(), "nothing is shared");
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.to_str().expect("Unicode"))
        .collect();
    if world.is("hang") || world.value("hang").is_some_and(|word| words[0] == word) {
        loop {
            std::thread::park();
        }
    }
    if world.is("not-installed") {
        world.said.line(
            "Das Windows-Subsystem für Linux ist nicht installiert. Sie können es installieren, \
             indem Sie „wsl.exe --install“ ausführen.",
        );
        exit(1);
    }
    if let Some(code) = world.value(&format!("fail:{}", words[0])) {
        world.fail("Etwas ging schief.", code);
    }
    match words[..] {
        ["--version"] if world.is("inbox") || world.is("wsl1") || world.is("old") => {
            world.fail("Ungültige Befehlszeilenoption: --version", "");
        }
        ["--version"] => {
            world.said.line("WSL-Version: 2.6.1.0");
            world.said.line("Kernelversion: 6.6.87.2-1");
        }
        ["--help"] => help(&world),
        ["--status"] => status(&world),
        ["--list", "--quiet"] => list(&world),
        ["--import", name, folder, file, "--version", "2"] => {
            import(&world, name, Path::new(folder), Path::new(file));
        }
        ["--terminate", name] => {
            world.find_distribution(name);
            guest::end(&world, name);
            world.said.line("Der Vorgang wurde erfolgreich beendet.");
        }
        ["--unregister", name, ref rest @ ..] => unregister(&world, name, rest),
        ["-d", name, "-u", user, "--exec", ref command @ ..] => {
            assert_eq!(user, "root");
            let disk = world.find_distribution(name);
            guest::run(&world, name, &disk, command)
        }
        _ => world.fail(&format!("Ungültige Befehlszeilenoption: {}", words[0]), ""),
    }
}

fn help(world: &World) {
    world.said.line("Verwendung: wsl.exe [Argument]");
    world.said.line("    --exec, -e <CommandLine>");
    if !world.is("old") {
        world
            .said
            .line("    --import <Distro> <InstallLocation> <FileName>");
        if !world.is("wsl1") {
            world.said.line("    --set-version <Distro> <Version>");
        }
    }
    exit(FAILED);
}

fn status(world: &World) {
    world.said.line("Standardversion: 2");
    if world.is("no-machines") {
        world.said.line(
            "WSL2 kann nicht gestartet werden, da die Virtualisierung auf diesem Computer nicht \
             aktiviert ist. Weitere Informationen: https://aka.ms/enablevirtualization",
        );
    }
}

fn list(world: &World) {
    let Ok(entries) = fs_err::read_dir(world.folder.join("distributions")) else {
        return;
    };
    for entry in entries {
        world
            .said
            .line(entry.unwrap().file_name().to_str().unwrap());
    }
}

fn import(world: &World, name: &str, folder: &Path, file: &Path) {
    let registered = world.distribution(name);
    fs_err::create_dir_all(registered.parent().unwrap()).unwrap();
    let begun = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&registered);
    if begun.is_err() {
        world.fail(
            "Eine Distribution mit dem angegebenen Namen ist bereits vorhanden.",
            "Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS",
        );
    }
    // The folder above it has to be there.
    let made = fs_err::create_dir(folder);
    assert!(made.is_ok() || folder.is_dir(), "{made:?}");
    let start = fs_err::read(file).expect("the image is there");
    assert!(start.starts_with(&[0x1f, 0x8b]), "a gzip file");
    fs_err::write(folder.join("ext4.vhdx"), b"a disk").unwrap();
    fs_err::write(&registered, folder.to_str().unwrap()).unwrap();
    if world.is("hang-in-import") {
        loop {
            std::thread::park();
        }
    }
    if let Some(code) = world.value("fail-late") {
        world.fail("Etwas ging spät schief.", code);
    }
    guest::unpack(world, folder, file);
    world.said.line("Der Vorgang wurde erfolgreich beendet.");
}

fn unregister(world: &World, name: &str, rest: &[&str]) {
    world.said.line("Registrierung wird aufgehoben.");
    let is_forced = rest == ["--force"];
    if world.is("asks") && !is_forced {
        // It cannot ask, as its input is no terminal.
        exit(FAILED);
    }
    if world.is("no-force") && is_forced {
        world.fail("Ungültige Befehlszeilenoption: --force", "");
    }
    let disk = world.find_distribution(name);
    guest::end(world, name);
    let _ = fs_err::remove_dir_all(disk);
    fs_err::remove_file(world.distribution(name)).unwrap();
    world.said.line("Der Vorgang wurde erfolgreich beendet.");
}
