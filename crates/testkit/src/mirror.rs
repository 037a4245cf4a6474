//! Makes a whole Alpine mirror in a folder: bases, signed indexes and packages, laid out as
//! Alpine's CDN lays them out below `/alpine/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use tempfile::TempDir;

use crate::base::BaseBuilder;
use crate::key::{Algorithm, SigningKey};
use crate::member::Member;
use crate::package::{Package, PackageBuilder};
use crate::stanza::{index_archive_at, index_text};

/// A mirror to be made.
#[derive(Clone, Debug)]
pub struct MirrorBuilder {
    branch: String,
    key: SigningKey,
    algorithm: Algorithm,
    index_time: i64,
    bases: Vec<BaseBuilder>,
    /// By the repository's name and the architecture.
    repositories: BTreeMap<(String, String), Vec<PackageBuilder>>,
}

/// A mirror that was made. Its folder goes when this is dropped, unless it was made elsewhere.
#[derive(Debug)]
pub struct Mirror {
    root: PathBuf,
    branch: String,
    key: SigningKey,
    packages: BTreeMap<(String, String), Vec<Package>>,
    /// Held so that it is removed with this.
    folder: Option<TempDir>,
}

impl MirrorBuilder {
    /// Returns a mirror of the branch (`v3.99`) that holds nothing and is signed by the key
    /// `testkit`.
    pub fn new(branch: &str) -> Self {
        Self {
            branch: branch.to_owned(),
            key: SigningKey::named("testkit"),
            algorithm: Algorithm::Rsa,
            index_time: Member::MTIME,
            bases: Vec::new(),
            repositories: BTreeMap::new(),
        }
    }

    /// Sets the key that signs indexes and packages.
    #[must_use]
    pub fn key(mut self, key: &SigningKey) -> Self {
        self.key = key.clone();
        self
    }

    /// Sets how indexes are signed.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets when the indexes were made, in seconds since 1970; 0 as of a tool that writes no time.
    #[must_use]
    pub fn index_time(mut self, time: i64) -> Self {
        self.index_time = time;
        self
    }

    /// Adds a base below `releases/`. It gets the mirror's key.
    #[must_use]
    pub fn base(mut self, base: BaseBuilder) -> Self {
        self.bases.push(base.key(&self.key));
        self
    }

    /// Adds a package to the repository (`main`, `community` …) of its architecture.
    #[must_use]
    pub fn package(self, repository: &str, package: PackageBuilder) -> Self {
        let arch = package.arch.clone();
        self.package_for(repository, &arch, package)
    }

    /// Adds a package to the repository of `arch`, whatever it says its own architecture is, as a
    /// `noarch` package lies in every one.
    #[must_use]
    pub fn package_for(mut self, repository: &str, arch: &str, package: PackageBuilder) -> Self {
        let place = (repository.to_owned(), arch.to_owned());
        self.repositories.entry(place).or_default().push(package);
        self
    }

    /// Adds a repository without packages.
    #[must_use]
    pub fn repository(mut self, repository: &str, arch: &str) -> Self {
        let place = (repository.to_owned(), arch.to_owned());
        self.repositories.entry(place).or_default();
        self
    }

    /// Makes the mirror in a temporary folder.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn build(&self) -> Mirror {
        let folder = TempDir::with_prefix("prebake-mirror-").expect("a temporary folder");
        let mut mirror = self.build_in(folder.path());
        mirror.folder = Some(folder);
        mirror
    }

    /// Makes the mirror in a folder, which stays.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn build_in(&self, root: &Path) -> Mirror {
        let branch = root.join(&self.branch);
        for base in &self.bases {
            let folder = branch.join("releases").join(base.arch());
            let bytes = base.build();
            let name = base.file_name();
            let sum = format!("{}  {name}\n", Sha256::of(&bytes));
            write(&folder.join(&name), &bytes);
            write(&folder.join(format!("{name}.sha256")), sum.as_bytes());
        }
        let mut packages = BTreeMap::new();
        for ((repository, arch), builders) in &self.repositories {
            let folder = branch.join(repository).join(arch);
            let mut made: Vec<Package> = builders
                .iter()
                .map(|builder| builder.build(&self.key))
                .collect();
            made.sort_by(|a, b| a.name().cmp(b.name()));
            for package in &made {
                write(&folder.join(package.file_name()), &package.bytes());
            }
            let index = index_archive_at(
                self.index_time,
                &index_text(&made),
                &format!("{repository} of {}", self.branch),
                &[(&self.key, self.algorithm)],
            );
            write(&folder.join("APKINDEX.tar.gz"), &index);
            packages.insert((repository.clone(), arch.clone()), made);
        }
        write(
            &root.join("keys").join(self.key.file_name()),
            self.key.public_pem().as_bytes(),
        );
        Mirror {
            root: root.to_owned(),
            branch: self.branch.clone(),
            key: self.key.clone(),
            packages,
            folder: None,
        }
    }
}

impl Mirror {
    /// Returns the folder that stands for the CDN's `/alpine/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the branch: `v3.99`.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// Returns the key that signed everything.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Returns the folder that holds the key's public half, for apk's `--keys-dir`.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Returns the public key's file.
    pub fn key_file(&self) -> PathBuf {
        self.keys().join(self.key.file_name())
    }

    /// Returns a repository's folder, above its architectures: what `etc/apk/repositories` names.
    pub fn repository(&self, repository: &str) -> PathBuf {
        self.root.join(&self.branch).join(repository)
    }

    /// Returns the file of a base.
    pub fn base(&self, release: &str, arch: &str) -> PathBuf {
        let name = BaseBuilder::new(arch, release).file_name();
        let releases = self.root.join(&self.branch).join("releases");
        releases.join(arch).join(name)
    }

    /// Returns the file of a repository's index.
    pub fn index(&self, repository: &str, arch: &str) -> PathBuf {
        self.repository(repository)
            .join(arch)
            .join("APKINDEX.tar.gz")
    }

    /// Returns the packages of a repository, sorted by name; none if there is no such repository.
    pub fn packages(&self, repository: &str, arch: &str) -> &[Package] {
        let place = (repository.to_owned(), arch.to_owned());
        self.packages.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Returns the file of a package.
    ///
    /// # Panics
    ///
    /// If the repository has no package called `name`.
    pub fn package(&self, repository: &str, arch: &str, name: &str) -> PathBuf {
        let packages = self.packages(repository, arch);
        let package = packages.iter().find(|package| package.name() == name);
        let package = package.expect("the mirror was made with this package");
        self.repository(repository)
            .join(arch)
            .join(package.file_name())
    }

    /// Returns the mirror's address for programs that read local files: `file:///…`.
    pub fn url(&self) -> String {
        let path = self.root.to_string_lossy().replace('\\', "/");
        format!("file:///{}", path.trim_start_matches('/'))
    }
}

fn write(path: &Path, bytes: &[u8]) {
    let folder = path.parent().expect("it lies in a folder");
    fs_err::create_dir_all(folder).expect("the mirror's folder can be made");
    fs_err::write(path, bytes).expect("the mirror can be written");
}
