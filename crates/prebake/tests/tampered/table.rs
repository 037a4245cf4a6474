//! A table to bake on: a small mirror on a server, a recipe, and what must come of it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prebake::recipe::Recipe;
use prebake::{BuildOptions, Built, Cancel, Context, Error, HostOptions, Silent, build};
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::Server;
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use prebake_testkit::package::PackageBuilder;
use tempfile::TempDir;

use crate::mutation::{Chance, Mutation};

/// Where the server has the base.
pub(crate) const BASE: &str = "/v3.99/releases/x86_64/alpine-minirootfs-3.99.0-x86_64.tar.gz";
/// Where it has the index.
pub(crate) const INDEX: &str = "/v3.99/main/x86_64/APKINDEX.tar.gz";
/// Where it has a package that the recipe asks for.
pub(crate) const TOOL: &str = "/v3.99/main/x86_64/tool-1.0-r0.apk";
/// Where it has a package that the other depends on.
pub(crate) const DATA: &str = "/v3.99/main/x86_64/data-2.0-r0.apk";
/// What stands where the output goes.
const OLD: &[u8] = b"an older output";

/// A folder with a recipe, beside a mirror.
pub(crate) struct Table {
    pub(crate) server: Server,
    pub(crate) mirror: Mirror,
    folder: TempDir,
    /// The output without any change, from an empty cache.
    pub(crate) good: Vec<u8>,
    /// The file with the key of what is kept from bake to bake; without one nothing is.
    pub(crate) seal: Option<&'static str>,
    /// How many changes were refused and how many changed nothing.
    counted: [usize; 2],
    seed: u64,
}

impl Table {
    /// Makes the mirror and the recipe, and bakes once: the lock and the cache are there.
    pub(crate) fn new(chance: &Chance) -> Self {
        let tool = PackageBuilder::new("tool", "1.0-r0")
            .depends(["data"])
            .program("usr/bin/tool", "#!/bin/sh\necho tool\n");
        let data = PackageBuilder::new("data", "2.0-r0")
            .file("usr/share/data/text", "some data\n".repeat(90))
            .file("etc/data.conf", "level = 1\n");
        let rival = PackageBuilder::new("rival", "1.0-r0").file("usr/bin/tool", "rival\n");
        let mirror = MirrorBuilder::new("v3.99")
            .base(BaseBuilder::new("x86_64", "3.99.0"))
            .package("main", tool)
            .package("main", data)
            .package("main", rival)
            .build();
        let server = Server::start_folder(mirror.root());
        let mut table = Self::empty(chance, server, mirror);
        table.write_recipe(&table.mirror.key_file());
        table.good = table.bake(false).unwrap();
        table
    }

    /// Bakes `recipe` once, which uses `mirror` as it likes.
    pub(crate) fn with_recipe(chance: &Chance, mirror: Mirror, recipe: &str) -> Self {
        let mut table = Self::empty(chance, Server::start(), mirror);
        table.write("prebake.toml", recipe.as_bytes());
        table.good = table.bake(false).unwrap();
        table
    }

    /// Serves a folder and bakes once the recipe that `recipe` returns for the server's URL.
    pub(crate) fn beside(chance: &Chance, root: &Path, recipe: impl Fn(&str) -> String) -> Self {
        let server = Server::start_folder(root);
        let url = server.url("");
        let mut table = Self::empty(chance, server, MirrorBuilder::new("v3.99").build());
        table.write("prebake.toml", recipe(&url).as_bytes());
        table.good = table.bake(false).unwrap();
        table
    }

    fn empty(chance: &Chance, server: Server, mirror: Mirror) -> Self {
        Self {
            server,
            mirror,
            folder: folder(),
            good: Vec::new(),
            seal: None,
            counted: [0; 2],
            seed: chance.seed(),
        }
    }

    /// Writes the recipe with this file as the repository's key.
    pub(crate) fn write_recipe(&self, key: &Path) {
        let url = self.server.url("");
        let recipe = format!(
            "name = \"r\"\narch = \"x86_64\"\npackages = [\"tool\"]\nmirrors = [\"{url}\"]\n\
             [base]\nrelease = \"3.99.0\"\n\
             [[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = [{:?}]\n\
             [[output]]\npath = \"r.tar.gz\"\n",
            key.display().to_string(),
        );
        self.write("prebake.toml", recipe.as_bytes());
    }

    /// Returns the path of a file beside the recipe.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs_err::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs_err::read(self.path(name)).unwrap()
    }

    /// Returns a file of the mirror.
    pub(crate) fn file(&self, path: &str) -> Vec<u8> {
        fs_err::read(self.mirror.root().join(&path[1..])).unwrap()
    }

    /// Takes the cache away and, `with` the lock, that too.
    pub(crate) fn forget(&self, with_lock: bool) {
        drop(fs_err::remove_dir_all(self.path("cache")));
        if with_lock {
            drop(fs_err::remove_file(self.path("prebake.lock")));
        }
    }

    /// Bakes over an older output and returns the new one, or all that the error says.
    pub(crate) fn bake(&self, locked: bool) -> Result<Vec<u8>, String> {
        self.write("r.tar.gz", OLD);
        let built = self.try_bake(locked);
        let output = self.read("r.tar.gz");
        built.map(|_| output.clone()).map_err(|error| {
            assert!(output == OLD, "it failed, and the output changed");
            told(&error)
        })
    }

    /// Bakes over whatever output is there; says whether it was written, and fails the test
    /// unless it is the good one now.
    #[track_caller]
    pub(crate) fn rewrites(&self) -> bool {
        let built = self.try_bake(true).unwrap();
        assert!(self.read("r.tar.gz") == self.good, "another output");
        built.outputs.iter().any(|output| output.written)
    }

    fn try_bake(&self, locked: bool) -> Result<Built, Error> {
        let recipe = Recipe::read(&self.path("prebake.toml"))?;
        let context = Context::open(HostOptions {
            cache: Some(self.path("cache")),
            offline: false,
            threads: NonZeroUsize::MIN,
            reporter: Arc::new(Silent),
            cancel: Cancel::default(),
            environment: &|name| {
                let is_temporary = ["TMPDIR", "TMP", "TEMP"].contains(&name);
                match self.seal {
                    Some(seal) if name == "PREBAKE_SEAL" => Some(self.path(seal).into()),
                    // Where no key can be, nothing is kept.
                    None if is_temporary => Some("nowhere".into()),
                    _ => None,
                }
            },
        })?;
        let options = BuildOptions {
            locked,
            arches: recipe.arches.clone(),
        };
        build(&recipe, &options, &context)
    }

    /// Bakes with `mutation` in `what`, and fails the test unless that is refused with all of one
    /// of `names` in the error, or makes no difference. Returns whether it was refused.
    #[track_caller]
    pub(crate) fn judge(
        &mut self,
        what: &str,
        mutation: &Mutation,
        locked: bool,
        names: &[&str],
    ) -> bool {
        let about = format!("{what}, {} (PREBAKE_SEED={})", mutation.what, self.seed);
        match self.bake(locked) {
            Ok(output) => {
                assert!(output == self.good, "{about}: builds something else");
                self.counted[1] += 1;
                false
            }
            Err(error) => {
                let named = names.iter().any(|name| error.contains(name));
                assert!(named, "{about}: the error names none of {names:?}: {error}");
                self.counted[0] += 1;
                true
            }
        }
    }

    /// Checks that all is well without any change.
    #[track_caller]
    pub(crate) fn assert_good(&self, locked: bool) {
        assert!(self.bake(locked).unwrap() == self.good);
    }

    /// Says how many changes there were, and fails the test if they are fewer than `least` or
    /// nearly all made no difference.
    pub(crate) fn finish(self, test: &str, least: usize) {
        let [refused, harmless] = self.counted;
        println!("{test}: {refused} refused, {harmless} without effect");
        assert!(refused + harmless >= least, "only {refused} + {harmless}");
    }
}

/// Returns a folder in memory where there is one: thousands of synced files are slow elsewhere.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let inside = tempfile::Builder::new()
        .prefix("prebake-tampered-")
        .tempdir_in(memory);
    inside.unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Returns all that an error says: itself, its causes, its hints.
pub(crate) fn told(error: &Error) -> String {
    let mut text = match error.document() {
        Some(document) => format!("{}: {error}", document.path.display()),
        None => error.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text += "\n  caused by: ";
        text += &source.to_string();
        cause = source.source();
    }
    for hint in error.hints() {
        text += "\nhint: ";
        text += &hint;
    }
    text
}
