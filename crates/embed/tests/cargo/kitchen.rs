//! A mirror on loopback, and a recipe that is baked from it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prebake::recipe::Recipe;
use prebake::vendor::vendor;
use prebake::{Cancel, Context, HostOptions, Silent};
use prebake_testkit::http::Server;
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use tempfile::TempDir;

use crate::package::Package;

/// The release that the mirror has.
pub(crate) const RELEASE: &str = "3.99.0";

/// A mirror on loopback, and a cache that begins empty.
#[derive(Debug)]
pub(crate) struct Kitchen {
    mirror: Mirror,
    pub(crate) server: Server,
    folder: TempDir,
}

impl Kitchen {
    pub(crate) fn new() -> Self {
        let mirror = MirrorBuilder::first_recipe(RELEASE, ["x86_64", "aarch64"], "http://mirror");
        let mirror = mirror.build();
        Self {
            server: Server::start_folder(mirror.root()),
            mirror,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Returns a folder for a cache.
    pub(crate) fn cache(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a recipe and the keys that it names; returns its text.
    pub(crate) fn recipe(&self, package: &Package, path: &str, name: &str) -> String {
        let folder = package.path(path);
        let folder = folder.parent().unwrap();
        fs_err::create_dir_all(folder.join("keys")).unwrap();
        let key = self.mirror.key_file();
        let key_name = key.file_name().unwrap().to_string_lossy().into_owned();
        fs_err::copy(&key, folder.join("keys").join(&key_name)).unwrap();
        let url = self.server.url("");
        let recipe = format!(
            "\
name = \"{name}\"
arch = [\"{}\"]
packages = [\"gcompat\", \"iptables\"]
mirrors = [\"{url}\"]

[base]
release = \"{RELEASE}\"

[[repository]]
url = \"{url}/v3.99/main\"
keys = [\"keys/{key_name}\"]
",
            std::env::consts::ARCH
        );
        package.write(path, &recipe);
        recipe
    }

    /// Puts what a package's lock names into a folder, as `prebake vendor` does, with a cache that has
    /// all of it.
    pub(crate) fn vendor(package: &Package, folder: &Path, cache: &str) {
        let recipe = Recipe::read(&package.path("prebake.toml")).unwrap();
        let context = Context::open(HostOptions {
            cache: Some(PathBuf::from(cache)),
            offline: true,
            threads: NonZeroUsize::MIN,
            reporter: Arc::new(Silent),
            cancel: Cancel::default(),
            environment: &|_| None,
        });
        vendor(&recipe, folder, false, &context.unwrap()).unwrap();
    }

    /// Returns how many requests there were, and forgets them.
    pub(crate) fn requests(&self) -> usize {
        let count = self.server.requests().len();
        self.server.clear_requests();
        count
    }
}
