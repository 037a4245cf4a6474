//! The three bakes of real packages, each by `prebake` and by the real apk.

use std::path::{Path, PathBuf};

use prebake_testkit::http::Server;
use prebake_testkit::oracle::{Add, Oracle, Outcome};
use prebake_testkit::shared;

use crate::kitchen::Kitchen;

/// What is baked, from which base of the real mirror.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bake {
    branch: &'static str,
    release: &'static str,
    arch: &'static str,
    packages: &'static [&'static str],
    /// The keys that no base carries, in the mirror's `keys`.
    keys: &'static [&'static str],
    /// Whether scripts count, on both sides.
    scripts: bool,
}

/// The recipe that started it all, of packages signed by strangers to the base; one of many
/// packages; and one for another machine.
pub(crate) const BAKES: [Bake; 3] = [
    Bake {
        branch: "v3.20",
        release: "3.20.3",
        arch: "x86_64",
        packages: &["gcompat", "iptables"],
        keys: &["fixture-20260101.rsa.pub", "zhangyoufu.rsa.pub"],
        scripts: true,
    },
    Bake {
        branch: "v3.19",
        release: "3.19.4",
        arch: "x86_64",
        packages: &["openssh", "git", "jq", "e2fsprogs", "sfdisk"],
        keys: &[],
        scripts: true,
    },
    Bake {
        branch: "v3.13",
        release: "3.13.12",
        arch: "aarch64",
        packages: &["openssh"],
        keys: &[],
        scripts: false,
    },
];

/// Where the only output of each recipe lies in its kitchen.
pub(crate) const OUTPUT: &str = "out/rootfs.tar.gz";

/// The real mirror, served over HTTP.
#[derive(Debug)]
pub(crate) struct Mirror {
    folder: PathBuf,
    server: Server,
}

impl Mirror {
    /// Serves the real mirror for the test `test`; `None`, said on stderr, where there is none.
    pub(crate) fn serve(test: &str) -> Option<Self> {
        let folder = shared::real_mirror(test)?;
        let server = Server::start_folder(&folder);
        Some(Self { folder, server })
    }

    fn url(&self) -> String {
        self.server.url("")
    }
}

impl Bake {
    /// Returns a kitchen with its recipe and keys.
    pub(crate) fn kitchen(&self, mirror: &Mirror) -> Kitchen {
        let kitchen = Kitchen::new(&self.recipe(mirror));
        for key in self.keys {
            let pem = fs_err::read(mirror.folder.join("keys").join(key)).expect("the key is there");
            kitchen.write(&format!("keys/{key}"), pem);
        }
        kitchen
    }

    fn recipe(&self, mirror: &Mirror) -> String {
        let url = mirror.url();
        let keys: Vec<_> = self.keys.iter().map(|key| format!("keys/{key}")).collect();
        let Self {
            branch,
            release,
            arch,
            packages,
            scripts,
            ..
        } = self;
        let scripts = if *scripts { "record" } else { "skip" };
        format!(
            "\
name = \"rootfs\"
arch = [{arch:?}]
packages = {packages:?}
scripts = {scripts:?}
mirrors = [{url:?}]

[base]
release = {release:?}

[[repository]]
url = \"{url}/{branch}/main\"
keys = {keys:?}

[[output]]
path = {OUTPUT:?}
"
        )
    }

    /// Returns the real apk on a root that holds the same base, before anything was added.
    pub(crate) fn oracle(&self, test: &str, mirror: &Mirror) -> Option<Oracle> {
        let Self {
            branch,
            release,
            arch,
            ..
        } = self;
        let file = format!("alpine-minirootfs-{release}-{arch}.tar.gz");
        let base = mirror
            .folder
            .join(branch)
            .join("releases")
            .join(arch)
            .join(file);
        Oracle::on_base(test, &base)
    }

    /// Lets the real apk add the packages to its root; `--simulate` only says what it would do.
    pub(crate) fn add(&self, oracle: &Oracle, mirror: &Mirror, simulate: bool) -> Outcome {
        // apk finds no key in the base for the strangers' packages: it is given a folder of all.
        let keys = tempfile::tempdir().expect("a temporary folder");
        copy_files(&oracle.root().join("etc/apk/keys"), keys.path());
        for key in self.keys {
            let from = mirror.folder.join("keys").join(key);
            fs_err::copy(from, keys.path().join(key)).expect("the key can be copied");
        }
        let repository = mirror.folder.join(self.branch).join("main");
        let mut add = Add::new(self.packages.iter().copied())
            .repository(repository.display())
            .arch(self.arch)
            .keys(keys.path());
        if simulate {
            add = add.simulate();
        } else if self.scripts {
            add = add.with_scripts();
        }
        oracle.add(&add).expect_success()
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs_err::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let to = to.join(entry.file_name());
        fs_err::copy(entry.path(), to).expect("the file can be copied");
    }
}
