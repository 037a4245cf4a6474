//! A kitchen whose mirror holds whatever a test puts there, signed by a key that the recipe trusts.

use prebake_apk::digest::Sha256;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::Server;
use prebake_testkit::key::{Algorithm, SigningKey};
use prebake_testkit::package::{Package, PackageBuilder};
use prebake_testkit::stanza::{index_archive, index_text};

use crate::kitchen::{Kitchen, Output};

/// The package that recipes ask for.
pub(crate) const TOOL: &str = "tool";
/// Where the output is.
pub(crate) const OUTPUT: &str = "rootfs.tar.gz";

/// A kitchen and a server.
pub(crate) struct Larder {
    pub(crate) kitchen: Kitchen,
    pub(crate) server: Server,
    pub(crate) key: SigningKey,
}

impl Larder {
    /// Returns one with an honest base, an honest `tool` and a recipe that asks for it.
    pub(crate) fn new() -> Self {
        let larder = Self {
            kitchen: Kitchen::new(""),
            server: Server::start(),
            key: SigningKey::named("testkit"),
        };
        larder
            .kitchen
            .write("keys/testkit.rsa.pub", larder.key.public_pem());
        larder.serve(&[tool().build(&larder.key)]);
        larder.start_from(&larder.base().build(), "");
        larder
    }

    /// Returns an honest base, to which more can be added.
    pub(crate) fn base(&self) -> BaseBuilder {
        BaseBuilder::new("x86_64", "3.99.0").key(&self.key)
    }

    /// Serves a base, and writes the recipe that pins it; `more` goes on top of it.
    pub(crate) fn start_from(&self, base: &[u8], more: &str) {
        self.server.put("/base.tar.gz", base);
        let recipe = format!(
            "name = \"rootfs\"\narch = \"x86_64\"\npackages = [\"{TOOL}\"]\nscripts = \"skip\"\n{more}\n\
             [base]\nurl = \"{}\"\nsha256 = \"{}\"\n\
             [[repository]]\nurl = \"{}\"\nkeys = [\"keys/testkit.rsa.pub\"]\n\
             [[output]]\npath = \"{OUTPUT}\"\n",
            self.server.url("/base.tar.gz"),
            Sha256::of(base),
            self.server.url("/main"),
        );
        self.kitchen.write("prebake.toml", recipe);
    }

    /// Serves these packages with an index of them.
    pub(crate) fn serve(&self, packages: &[Package]) {
        for package in packages {
            let path = format!("/main/x86_64/{}", package.file_name());
            self.server.put(&path, &package.bytes());
        }
        self.serve_index(&index_text(packages));
    }

    /// Serves an index of that text, signed.
    pub(crate) fn serve_index(&self, text: &str) {
        let index = index_archive(text, "main", &[(&self.key, Algorithm::Rsa)]);
        self.server.put("/main/x86_64/APKINDEX.tar.gz", &index);
    }

    /// Builds, which must fail with these words and write nothing.
    #[track_caller]
    pub(crate) fn refuses(&self, words: &[&str]) -> Output {
        let output = self.kitchen.run(&["build"]);
        assert!(
            matches!(output.code, Some(3 | 4)),
            "{words:?}: {:?}\n{}",
            output.code,
            output.stderr
        );
        let said = output
            .stderr
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        for word in words {
            assert!(said.contains(word), "no {word:?} in: {said}");
        }
        // Nothing in a message can make a terminal do anything.
        let control = |char: char| char.is_control() && char != '\n';
        assert!(!output.stderr.contains(control), "{:?}", output.stderr);
        for name in ["prebake.lock", OUTPUT] {
            assert!(!self.kitchen.path(name).exists(), "{words:?}: {name}");
        }
        output
    }
}

/// Returns the honest package.
pub(crate) fn tool() -> PackageBuilder {
    PackageBuilder::new(TOOL, "1.0-r0").program("usr/bin/tool", "#!/bin/sh\n")
}

/// Returns the package with another data member.
pub(crate) fn with_data(mut package: Package, data: Vec<u8>) -> Package {
    package.data = data;
    package
}

/// Returns the package with another control member.
pub(crate) fn with_control(mut package: Package, control: Vec<u8>) -> Package {
    package.control = control;
    package
}
