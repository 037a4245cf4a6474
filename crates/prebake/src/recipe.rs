//! The recipe: `prebake.toml`, what a person writes.
//!
//! A recipe says what is wanted and nothing about how it was found: that is the
//! [lock](crate::lock)'s. Paths in a recipe are relative to the recipe's folder. An unknown key,
//! a wrong type or an unknown architecture is a [`Problem`] that names its place and, where one
//! is near, the right word.

mod account;
mod confine;
mod digest;
mod etc;
mod files;
mod local;
mod parse;
mod placed;
mod service;

use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;

use crate::arch::Arch;
use crate::audit::Policy;
use crate::document::{At, DocumentError, Problem};
use crate::template::Template;

pub use self::account::{FIRST_ORDINARY_ID, Group, HOME_MODE, PrimaryGroup, User};
pub(crate) use self::confine::check_lock as check_untrusted_lock;
pub use self::etc::{Etc, MAX_HOSTNAME, MAX_NAMESERVERS, Resolv};
pub use self::local::LocalPackage;
pub(crate) use self::local::{is_package_file, local_path};
pub use self::placed::{Directory, Link, LinkTarget, Remove};
pub use self::service::Service;
pub use prebake_image::encoding::{Encoding, Format, Level};

/// The root of Alpine's own mirror, which a recipe without `mirrors` is fetched from.
pub const ALPINE_MIRROR: &str = "https://dl-cdn.alpinelinux.org/alpine";

/// The name a recipe has where none is given.
pub const RECIPE_FILE: &str = "prebake.toml";

/// The longest recipe read, in bytes. Real ones are a few hundred.
pub const MAX_RECIPE_BYTES: u64 = 1 << 20;

/// The largest file of a recipe that is read into the rootfs, in bytes: it is held in memory.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// What a person asked for.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The recipe's own file.
    pub path: PathBuf,
    /// The recipe's text, for messages that point into it.
    pub text: String,
    /// What the rootfs is called.
    pub name: String,
    /// The architectures to bake for, each once, in the recipe's order.
    pub arches: Vec<Arch>,
    /// What to install, in apk's world syntax, as written.
    pub packages: Vec<At<String>>,
    /// Packages that lie beside the recipe.
    pub locals: Vec<LocalPackage>,
    /// What to start from.
    pub base: Base,
    /// Roots of Alpine mirrors, the first one preferred; where `base.release` and the default
    /// repositories are found.
    pub mirrors: Vec<String>,
    /// The folder that `prebake vendor` fills and every bake looks into first, joined to the
    /// recipe's.
    pub vendor: Option<PathBuf>,
    /// Repositories in order of preference. Empty: main and community of the base's branch.
    pub repositories: Vec<Repository>,
    /// Packages, or `base` for the base, that may bring what is otherwise refused: devices, and
    /// names that are no UTF-8 or are one name on hosts that do not tell case apart.
    pub unusual: Vec<At<String>>,
    /// Which scripts of packages count.
    pub scripts: Scripts,
    /// Groups that are to be there.
    pub groups: Vec<Group>,
    /// Users that are to be there.
    pub users: Vec<User>,
    /// Services that are to start.
    pub services: Vec<Service>,
    /// Files added after all packages.
    pub files: Vec<File>,
    /// Links added after them.
    pub links: Vec<Link>,
    /// Directories made before them.
    pub directories: Vec<Directory>,
    /// What goes before anything of the recipe's own comes.
    pub removals: Vec<Remove>,
    /// What the host is told of itself.
    pub etc: Etc,
    /// What must not be in the rootfs: `prebake audit` holds it against this.
    pub audit: Policy,
    /// What to write. Never empty.
    pub outputs: Vec<Output>,
    /// The folder that nothing may lead out of, where nobody has looked at the recipe.
    pub(crate) confined: Option<PathBuf>,
}

/// Which scripts of packages count.
#[derive(Clone, Debug)]
pub struct Scripts {
    /// None does.
    pub skip: bool,
    /// These do not.
    pub skipped: Vec<SkippedScript>,
}

/// A script whose effect the recipe does without.
#[derive(Clone, Debug)]
pub struct SkippedScript {
    /// The name of the package that brings it.
    pub package: At<String>,
    /// Which of its scripts; `None` for all of them.
    pub kind: Option<ScriptKind>,
}

impl Scripts {
    /// Says whether the recipe does without that script.
    pub fn skips(&self, package: &[u8], kind: ScriptKind) -> bool {
        self.skip || self.skipped.iter().any(|skipped| skipped.is(package, kind))
    }
}

impl SkippedScript {
    /// Says whether this is that script.
    pub fn is(&self, package: &[u8], kind: ScriptKind) -> bool {
        self.package.value.as_bytes() == package && self.kind.is_none_or(|own| own == kind)
    }
}

/// What a rootfs starts from.
#[derive(Clone, Debug)]
pub struct Base {
    /// Whether the rootfs starts from nothing, and what follows are its rules and keys alone.
    pub scratch: bool,
    /// Whose rules apply, instead of those of the apk that the base has; for a rootfs that starts
    /// from nothing the newest's.
    pub apk: Option<Dialect>,
    /// The release, as in `3.21.3`; needed where `url` is not given. From nothing it only names the
    /// branch of the default repositories.
    pub release: Option<At<String>>,
    /// A base tarball from elsewhere; may hold `{arch}` and `{release}`.
    pub url: Option<At<String>>,
    /// Other places of the tarball at `url`, each a whole URL with the same variables.
    pub mirrors: Vec<At<String>>,
    /// The base's SHA-256 for each architecture that the recipe names one for.
    pub sha256: Vec<(Arch, Sha256)>,
    /// Keys of the base that count although they are not Alpine's.
    pub keys: Vec<TrustedKey>,
}

/// A key that a recipe names.
#[derive(Clone, Debug)]
pub enum TrustedKey {
    /// A public key file; its name is the one that signatures use.
    File {
        /// The file, joined to the recipe's folder.
        path: PathBuf,
        /// Where the recipe names it.
        at: At<String>,
    },
    /// The SHA-256 of a key's DER form, for a key that the base brings.
    Fingerprint(Sha256),
}

/// Where packages come from.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The folder above the architecture's, without a trailing `/`.
    pub url: At<String>,
    /// The tag that a package's `@tag` names, without the `@`.
    pub tag: Option<String>,
    /// Keys that may sign this repository's index, beside the base's.
    pub keys: Vec<TrustedKey>,
    /// Other places of the same repository, tried in order when `url` fails.
    pub mirrors: Vec<String>,
}

/// A file that the recipe adds.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it goes.
    pub path: At<GuestPath>,
    /// What is in it.
    pub content: FileContent,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner: a name of the rootfs's own `passwd`, or a number.
    pub user: String,
    /// Its group: a name of the rootfs's own `group`, or a number.
    pub group: String,
}

/// Where a [`File`]'s bytes are.
#[derive(Clone, Debug)]
pub enum FileContent {
    /// In the recipe.
    Text(String),
    /// In a file beside it.
    Source {
        /// The file, joined to the recipe's folder.
        path: PathBuf,
        /// Where the recipe names it.
        at: At<String>,
    },
}

/// Something to write.
#[derive(Clone, Debug)]
pub struct Output {
    /// Where it goes, relative to the recipe's folder, one file for each architecture.
    pub path: At<Template>,
    /// What it is.
    pub format: Format,
    /// How small it is made.
    pub level: Level,
}

impl Output {
    /// Returns how it is compressed.
    pub fn encoding(&self) -> Encoding {
        Encoding {
            format: self.format,
            level: self.level,
        }
    }
}

/// The endings of a path that name a format.
pub const FORMATS: [(&str, Format); 4] = [
    (".tar.gz", Format::TarGz),
    (".tgz", Format::TarGz),
    (".tar.zst", Format::TarZst),
    (".tzst", Format::TarZst),
];

/// Returns the format that a path's ending names.
pub fn format_of(path: &str) -> Option<Format> {
    let mut formats = FORMATS.iter();
    formats
        .find(|(ending, _)| path.ends_with(ending))
        .map(|(_, format)| *format)
}

impl Recipe {
    /// Reads the recipe in the file `path`, or in the folder `path` under its usual name.
    pub fn read(path: &Path) -> Result<Self, crate::Error> {
        let path = Self::file(path);
        let text = crate::host_file::read_text(&path, MAX_RECIPE_BYTES)
            .map_err(|source| crate::Error::recipe_file(&path, source))?;
        Self::parse(&path, text).map_err(crate::Error::from)
    }

    /// Returns the recipe's file, where a folder may be named in its place.
    fn file(path: &Path) -> PathBuf {
        if path.is_dir() {
            path.join(RECIPE_FILE)
        } else {
            path.to_owned()
        }
    }

    /// Reads a recipe from its text. `path` names it in messages and is what its relative paths
    /// are relative to.
    pub fn parse(path: &Path, text: String) -> Result<Self, DocumentError> {
        parse::parse(path, text)
    }

    /// Returns the folder that the recipe's relative paths are relative to; empty for the working
    /// directory.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new(""),
        }
    }

    /// Returns where the recipe's lock is: beside it, with the ending `.lock`.
    pub fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    /// Says whether a package, or `base`, may bring what is otherwise refused.
    pub fn is_unusual(&self, name: &str) -> bool {
        self.unusual.iter().any(|unusual| unusual.value == name)
    }

    /// Returns an error that points at `span` of this recipe.
    pub fn problem(
        &self,
        span: std::ops::Range<usize>,
        message: String,
        hint: Option<String>,
    ) -> DocumentError {
        DocumentError {
            what: "the recipe",
            path: self.path.clone(),
            text: self.text.clone(),
            problems: vec![Problem {
                message,
                span,
                hint,
            }],
        }
    }
}
