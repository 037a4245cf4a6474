//! A kitchen beside a small mirror on a server that can misbehave, and what must hold there after
//! every failure: outputs old or new and whole, a cache without a wrong byte, no left-overs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};

use prebake_apk::digest::Sha256;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::Server;
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use prebake_testkit::package::PackageBuilder;

use crate::kitchen::{Kitchen, Output};

/// Where the server has the base.
pub(crate) const BASE: &str = "/v3.99/releases/x86_64/alpine-minirootfs-3.99.0-x86_64.tar.gz";
/// Where it has the index.
pub(crate) const INDEX: &str = "/v3.99/main/x86_64/APKINDEX.tar.gz";
/// Where it has a package that the recipe asks for.
pub(crate) const TOOL: &str = "/v3.99/main/x86_64/tool-1.0-r0.apk";
/// Where it has a package that the other depends on, the largest file.
pub(crate) const DATA: &str = "/v3.99/main/x86_64/data-2.0-r0.apk";
/// Every input of the recipe.
pub(crate) const INPUTS: [&str; 4] = [BASE, INDEX, TOOL, DATA];
/// The recipe's output.
pub(crate) const OUTPUT: &str = "out/rootfs-x86_64.tar.gz";
/// What stands there before the first build of some tests.
pub(crate) const OLD: &[u8] = b"an older output";

/// A kitchen, a mirror and a server for it.
#[derive(Debug)]
pub(crate) struct Stove {
    pub(crate) kitchen: Kitchen,
    pub(crate) server: Server,
    pub(crate) mirror: Mirror,
}

impl Stove {
    /// Returns a kitchen whose recipe wants `tool`, which depends on 64 KiB of `data`.
    pub(crate) fn new() -> Self {
        Self::with_data(64 << 10)
    }

    /// Returns one where `data` holds this many bytes that do not compress.
    pub(crate) fn with_data(bytes: usize) -> Self {
        let tool = PackageBuilder::new("tool", "1.0-r0")
            .depends(["data"])
            .program("usr/bin/tool", "#!/bin/sh\necho tool\n");
        let data = PackageBuilder::new("data", "2.0-r0")
            .file("usr/share/data/noise", noise(bytes))
            .file("etc/data.conf", "level = 1\n");
        let rival = PackageBuilder::new("rival", "1.0-r0")
            .depends(["!tool"])
            .file("usr/bin/rival", "rival\n");
        let mirror = MirrorBuilder::new("v3.99")
            .base(BaseBuilder::new("x86_64", "3.99.0"))
            .package("main", tool)
            .package("main", data)
            .package("main", rival)
            .build();
        let server = Server::start_folder(mirror.root());
        let kitchen = Kitchen::new("");
        let stove = Self {
            kitchen,
            server,
            mirror,
        };
        stove.cook(&["tool"]);
        stove
    }

    /// Writes the recipe for these packages.
    pub(crate) fn cook(&self, packages: &[&str]) {
        self.recipe(packages, &self.url(), Some(&self.mirror.key_file()), "");
    }

    /// Writes the recipe, with the mirror at `url` and `more` as lines of its [[repository]].
    pub(crate) fn recipe(&self, packages: &[&str], url: &str, key: Option<&Path>, more: &str) {
        let mut text = format!(
            "name = \"rootfs\"\narch = [\"x86_64\"]\npackages = {packages:?}\n\
             mirrors = [\"{url}\"]\n\n[base]\nrelease = \"3.99.0\"\n\n\
             [[repository]]\nurl = \"{url}/v3.99/main\"\n{more}\n"
        );
        if let Some(key) = key {
            writeln!(text, "keys = [{:?}]", key.display().to_string()).unwrap();
        }
        text.push_str("\n[[output]]\npath = \"out/{name}-{arch}.tar.gz\"\n");
        self.kitchen.write("prebake.toml", text);
    }

    /// Returns the mirror's address.
    pub(crate) fn url(&self) -> String {
        self.server.url("")
    }

    /// Returns a file of the mirror.
    pub(crate) fn file(&self, path: &str) -> Vec<u8> {
        fs_err::read(self.mirror.root().join(&path[1..])).unwrap()
    }

    /// Puts an older output where the build will write.
    pub(crate) fn put_old(&self) {
        self.kitchen.write(OUTPUT, OLD);
    }

    /// Builds, and returns the output's bytes.
    #[track_caller]
    pub(crate) fn bake(&self) -> Vec<u8> {
        self.kitchen.run(&["build"]).expect(0);
        self.output().expect("a build writes its output")
    }

    /// Returns the output's bytes, where there is one.
    pub(crate) fn output(&self) -> Option<Vec<u8>> {
        fs_err::read(self.kitchen.path(OUTPUT)).ok()
    }

    /// Checks that a failure left an older output as it was, and no other trace.
    #[track_caller]
    pub(crate) fn assert_old(&self) {
        assert_eq!(self.output().as_deref(), Some(OLD), "the output changed");
        self.assert_clean();
    }

    /// Checks that no file is left over, and that every file of the cache is what its name says.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let left = left_overs(&self.kitchen);
        assert_eq!(left, Vec::<String>::new(), "left over");
        assert_eq!(wrong_blobs(&self.kitchen), Vec::<String>::new());
    }

    /// Forgets everything but the recipe: the cache, the lock and the outputs.
    pub(crate) fn forget(&self) {
        for name in ["cache", "out"] {
            drop(fs_err::remove_dir_all(self.kitchen.path(name)));
        }
        drop(fs_err::remove_file(self.kitchen.path("prebake.lock")));
        self.server.clear_requests();
    }

    /// Checks that the server's next good answers are all it takes for a good build.
    #[track_caller]
    pub(crate) fn assert_works_again(&self) {
        self.server.clear_faults();
        let good = self.bake();
        self.assert_recovers(&good);
    }

    /// Checks that everything is well again: a build writes `good`, and it verifies.
    #[track_caller]
    pub(crate) fn assert_recovers(&self, good: &[u8]) {
        self.server.clear_faults();
        assert!(self.bake() == good, "the next build writes something else");
        self.kitchen.run(&["verify", OUTPUT]).expect(0);
        self.assert_clean();
    }
}

/// Returns the temporary files and locks in a kitchen.
pub(crate) fn left_overs(kitchen: &Kitchen) -> Vec<String> {
    let mut left = files(&kitchen.path(""));
    let tmp = |name: &String| name.contains("v1/tmp/") || name.contains("v1/lock/");
    left.retain(|name| is_part(name) || tmp(name));
    left
}

/// Says whether a file is one that is being written and has no name of its own yet.
pub(crate) fn is_part(name: &str) -> bool {
    Path::new(name).extension() == Some("part".as_ref())
}

/// Returns the files of a kitchen's cache whose content is not what their name says.
pub(crate) fn wrong_blobs(kitchen: &Kitchen) -> Vec<String> {
    let root = kitchen.path("cache/v1/sha256");
    let mut blobs = files(&root);
    blobs.retain(|name| {
        let bytes = fs_err::read(root.join(name)).unwrap();
        !name.ends_with(&Sha256::of(&bytes).to_string())
    });
    blobs
}

/// Returns the names of all files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        // A folder may go while another process works in it.
        for entry in fs_err::read_dir(&next).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if let Ok(name) = entry.path().strip_prefix(folder) {
                names.push(name.display().to_string());
            }
        }
    }
    names.sort();
    names
}

/// Starts `prebake ARGUMENTS…` with its outputs caught.
pub(crate) fn start(kitchen: &Kitchen, arguments: &[&str]) -> Child {
    let mut command = kitchen.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until `happened`, which the child must live to see.
#[cfg(unix)]
#[track_caller]
pub(crate) fn until(child: &mut Child, happened: impl Fn() -> bool) {
    while !happened() {
        let ended = child.try_wait().unwrap();
        assert_eq!(ended, None, "it ended before it got that far");
        std::thread::yield_now();
    }
}

/// Sends a signal, by its name.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let number = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", name, &number])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits for a child's end.
pub(crate) fn finish(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Checks that an error says all of this.
#[track_caller]
pub(crate) fn assert_says(output: &Output, words: &[&str]) {
    for word in words {
        let said = output.stderr.contains(word);
        assert!(said, "no `{word}` in:\n{}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    assert_eq!(output.stdout, "", "an error is no data");
}

/// Returns bytes that do not compress, always the same.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Returns `bytes` with one bit of the byte at `at` turned round.
pub(crate) fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x10;
    bytes
}
