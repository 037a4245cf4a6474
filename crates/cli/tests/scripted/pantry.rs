//! A kitchen on the real base of Alpine 3.19, beside a made-up mirror whose packages have scripts.

use std::path::PathBuf;

use prebake_testkit::judge;
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::real_mirror;

use crate::kitchen::{Kitchen, Output};

/// The recipe's output.
pub(crate) const OUTPUT: &str = "rootfs.tar.gz";
/// The recipe's lock.
pub(crate) const LOCK: &str = "prebake.lock";
/// What the scripts did, beside it.
pub(crate) const RECORD: &str = "prebake.scripts";

/// A kitchen, the mirror of its packages and the mirror of its base.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) kitchen: Kitchen,
    pub(crate) mirror: Mirror,
    real: PathBuf,
}

/// Returns a package with one script, whose text is all but the first line.
pub(crate) fn package(name: &str, kind: &str, text: &str) -> PackageBuilder {
    let text = format!("#!/bin/sh\n{text}\n");
    PackageBuilder::new(name, "1.0-r0").script(kind, &text)
}

impl Scripted {
    /// Returns a kitchen whose mirror has `packages`; its recipe is still to be written. `None`,
    /// said on stderr, where there is no base or no sandbox.
    pub(crate) fn new(
        test: &str,
        packages: impl IntoIterator<Item = PackageBuilder>,
    ) -> Option<Self> {
        let real = real_mirror(test)?;
        judge::any_owner(test).then_some(())?;
        Some(Self {
            kitchen: Kitchen::new(""),
            mirror: mirror(packages),
            real,
        })
    }

    /// Writes the recipe for these packages; `rest` stands at its end.
    pub(crate) fn cook(&self, packages: &[&str], rest: &str) {
        self.cook_for(&["x86_64"], packages, "", rest);
    }

    /// Writes the recipe for these architectures and packages; `first` stands at its beginning.
    pub(crate) fn cook_for(&self, arches: &[&str], packages: &[&str], first: &str, rest: &str) {
        // The newer one is there for both.
        let release = if arches.len() > 1 { "3.20.3" } else { "3.19.4" };
        let real = format!("file://{}", self.real.display());
        let key = self.mirror.key_file().display().to_string();
        let recipe = format!(
            "name = \"r\"\narch = {arches:?}\npackages = {packages:?}\nmirrors = [{real:?}]\n{first}\n\
             [base]\nrelease = \"{release}\"\n\
             [[repository]]\nurl = \"{}/v3.99/main\"\nkeys = [{key:?}]\n\
             [[output]]\npath = \"{}\"\n{rest}",
            self.mirror.url(),
            if arches.len() > 1 {
                "{arch}.tar.gz"
            } else {
                OUTPUT
            },
        );
        self.kitchen.write("prebake.toml", recipe);
    }

    /// Runs `prebake`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.kitchen.run(arguments)
    }

    /// Returns the lock, the record and the output, which are all there.
    pub(crate) fn files(&self) -> [Vec<u8>; 3] {
        [LOCK, RECORD, OUTPUT].map(|file| self.read(file).expect("it is there"))
    }

    /// Takes the lock, the record and the output away, where they are.
    pub(crate) fn forget_all(&self) {
        for file in [LOCK, RECORD, OUTPUT] {
            self.forget(file);
        }
    }

    /// Returns a file's content, where there is one.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs_err::read(self.kitchen.path(name)).ok()
    }

    /// Returns the record's text.
    pub(crate) fn record(&self) -> String {
        let bytes = self.read(RECORD).expect("there is a record");
        String::from_utf8(bytes).expect("it is a text")
    }

    /// Takes a file away, where there is one.
    pub(crate) fn forget(&self, name: &str) {
        drop(fs_err::remove_file(self.kitchen.path(name)));
    }
}

/// Makes a mirror with these packages.
pub(crate) fn mirror(packages: impl IntoIterator<Item = PackageBuilder>) -> Mirror {
    let empty = MirrorBuilder::new("v3.99").repository("main", "x86_64");
    let noarch = packages.into_iter().map(|package| package.arch("noarch"));
    let full = noarch.fold(empty, |mirror, package| {
        let mirror = mirror.package_for("main", "aarch64", package.clone());
        mirror.package_for("main", "x86_64", package)
    });
    full.build()
}
