//! What can go wrong between a recipe and its outputs.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_apk::index::IndexError;
use prebake_apk::key::KeyError;
use prebake_apk::package::{PackageError, ScriptKind};
use prebake_apk::path::GuestPath;
use prebake_apk::signature::{IndexFileError, SignatureError};
use prebake_apk::tar::TarError;
use prebake_fetch::{
    CacheError, FetchError, Kind as FetchKind, Problem, RemoteError, TransportError,
};
use prebake_image::ImageError;
use prebake_rootfs::MergeError;
use prebake_solve::{SolveError, Unsatisfiable};

use crate::arch::Arch;
use crate::document::DocumentError;
use crate::recipe::Recipe;
use crate::scripts::ScriptError;
use crate::vendor::VendorError;

/// Why a recipe did not become a rootfs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe or the lock is wrong; its message names each place.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A file that a person wrote or named cannot be read.
    #[error("failed to read {what} `{}`", path.display())]
    ReadFile {
        /// What it was to be.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that is named as a key is none.
    #[error("`{path}` is not a usable public key")]
    Key {
        /// The file.
        path: String,
        /// Why not.
        source: KeyError,
    },
    /// Something could not be had.
    #[error("failed to fetch what is needed")]
    Fetch(#[source] FetchError),
    /// The cache cannot be used.
    #[error("failed to use the cache")]
    Cache(#[source] CacheError),
    /// The network cannot be used at all: a proxy's address is wrong, say.
    #[error("failed to set up the network")]
    Network(#[source] TransportError),
    /// What was asked for as a shared cache is none.
    #[error("failed to set up the shared cache")]
    Remote(#[source] RemoteError),
    /// An index is not one, or nobody trusted signed it.
    #[error("failed to trust the index `{url}`")]
    Index {
        /// Where it came from.
        url: String,
        /// Why.
        source: IndexFileError,
    },
    /// An index is signed, and cannot be read all the same.
    #[error("failed to read the index `{url}`")]
    IndexText {
        /// Where it came from.
        url: String,
        /// Why.
        source: IndexError,
    },
    /// An index was made before the one that the lock has of the same repository.
    #[error("the index `{url}` is of {found}, but the lock has a newer one, of {locked}")]
    OlderIndex {
        /// Where it came from.
        url: String,
        /// When the one that came was made, and what it calls itself.
        found: String,
        /// The same of the lock's.
        locked: String,
    },
    /// A base is not a base.
    #[error("failed to read the base `{url}`")]
    Base {
        /// Where it came from.
        url: String,
        /// Why.
        source: TarError,
    },
    /// A file of a base cannot be read, or is too large.
    #[error("failed to read {path} of the base `{url}`")]
    BaseContent {
        /// Where it came from.
        url: String,
        /// Which file.
        path: GuestPath,
        /// Why.
        source: io::Error,
    },
    /// A file of a package cannot be read, or does not hold what it must.
    #[error("failed to read {path} of the package `{package}` from `{url}`")]
    PackageContent {
        /// Its name and version.
        package: String,
        /// Where it came from.
        url: String,
        /// Which file.
        path: GuestPath,
        /// Why.
        source: io::Error,
    },
    /// A package does not hold what it must.
    #[error("failed to verify the package `{package}` from `{url}`")]
    Package {
        /// Its name and version.
        package: String,
        /// Where it came from.
        url: String,
        /// Why.
        source: PackageError,
    },
    /// A package or a base brings something that is hardly ever meant well, and that the recipe does
    /// not allow it.
    #[error("`{input}` brings {path}, which is refused: {reason}")]
    Unusual {
        /// The package, `name-version`, or the base's URL.
        input: String,
        /// What the recipe would have to name.
        name: String,
        /// The entry.
        path: GuestPath,
        /// What it is, and why that is refused.
        reason: String,
    },
    /// An input says one thing where the index or the lock says another.
    #[error("`{input}` has {what} {found}, but {authority} says {expected}")]
    Mismatch {
        /// The URL or file.
        input: String,
        /// Which property.
        what: &'static str,
        /// What it has.
        found: String,
        /// Who knows better.
        authority: &'static str,
        /// What it should have.
        expected: String,
    },
    /// The packages cannot be merged into one tree.
    #[error("failed to merge the packages for {arch}")]
    Merge {
        /// For which architecture.
        arch: Arch,
        /// Why.
        source: MergeError,
    },
    /// What a package's script does is not known, or must not be.
    #[error("failed to apply the {script} script of `{package}` for {arch}")]
    Script {
        /// For which architecture.
        arch: Arch,
        /// Whose script it is, `name-version`.
        package: String,
        /// Which of its scripts.
        script: ScriptKind,
        /// Why.
        source: ScriptError,
    },
    /// The record of what scripts did is not the one that the lock names.
    #[error("the record `{}` is not the lock's for {arch}: {what}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// For which architecture.
        arch: Arch,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file is not the rootfs that it seems to be.
    #[error("failed to read the rootfs `{}`", path.display())]
    Rootfs {
        /// Which.
        path: PathBuf,
        /// Why.
        source: MergeError,
    },
    /// No choice of packages is what the recipe asks for.
    #[error(
        "no choice of packages for {arch} satisfies the recipe{}",
        Indented(&why.display("the recipe"))
    )]
    Unsatisfiable {
        /// For which architecture.
        arch: Arch,
        /// Whether packages were held at the versions of the lock.
        held: bool,
        /// Why: a tree of reasons.
        why: Box<Unsatisfiable>,
    },
    /// The choice of packages was not made.
    #[error("failed to choose the packages for {arch}")]
    Solve {
        /// For which architecture.
        arch: Arch,
        /// Why.
        source: SolveError,
    },
    /// There is no lock, and none may be written.
    #[error("there is no lock `{}`", .0.display())]
    NoLock(PathBuf),
    /// There is a lock, and it is not this recipe's.
    #[error("the lock `{}` is not current: {reason}", path.display())]
    NotCurrent {
        /// The lock.
        path: PathBuf,
        /// What changed.
        reason: String,
    },
    /// A text on the command line is no world entry.
    #[error("{message}")]
    BadEntry {
        /// What is wrong with it.
        message: String,
        /// What to write.
        hint: &'static str,
    },
    /// A package is to go from the recipe, which does not name it.
    #[error("the recipe does not name `{name}`")]
    NotAsked {
        /// The package.
        name: String,
        /// One that the recipe names, if it is near.
        near: Option<String>,
    },
    /// A package is asked about that is not in the rootfs.
    #[error("there is no package `{name}` in the rootfs for {arch}")]
    NoSuchPackage {
        /// The package.
        name: String,
        /// For which architecture.
        arch: Arch,
        /// One that is there, if it is near.
        near: Option<String>,
    },
    /// Somebody asked for an architecture that the recipe does not have.
    #[error("the recipe is not for `{arch}` but for {known}")]
    NotInRecipe {
        /// What was asked for.
        arch: String,
        /// What there is.
        known: String,
        /// What was meant, if that can be guessed.
        near: Option<&'static str>,
    },
    /// A bake did not give what the lock promises.
    #[error("the rootfs for {arch} has the identity {found}, but the lock says {expected}")]
    Identity {
        /// For which architecture.
        arch: Arch,
        /// What came out.
        found: Sha256,
        /// What should have.
        expected: Sha256,
    },
    /// A tree could not be written as an image.
    #[error("failed to write the image `{}`", path.display())]
    Image {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
    /// A file could not be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A vendored folder cannot be filled or used.
    #[error(transparent)]
    Vendor(#[from] VendorError),
    /// A file to look at is nothing that is known here.
    #[error("`{}` is {what}", path.display())]
    NotKnown {
        /// Which.
        path: PathBuf,
        /// What it is instead, as far as that can be said.
        what: String,
    },
    /// A file that was to be a rootfs is none.
    #[error("`{}` is {what}", path.display())]
    NotRootfs {
        /// Which.
        path: PathBuf,
        /// What it is instead, as far as that can be said.
        what: String,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What sort of failure an [`Error`] is: what a program does about it depends on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The recipe, the lock or a file they name is wrong: a person has to change it.
    Recipe,
    /// A hash or a signature does not hold, or a file from outside is malformed.
    Integrity,
    /// No choice of packages satisfies the recipe, or they do not fit together.
    Unsatisfiable,
    /// Something could not be fetched.
    Network,
    /// The lock is not the recipe's.
    NotCurrent,
    /// A package's script cannot be run, or does what it must not.
    Script,
    /// Something could not be written.
    Write,
    /// Somebody asked to stop.
    Interrupted,
    /// Anything else.
    Other,
}

impl Error {
    pub(crate) fn recipe_file(path: &Path, source: io::Error) -> Self {
        Self::ReadFile {
            what: "the recipe",
            path: path.to_owned(),
            source,
        }
    }

    /// Returns an error that points at where `recipe` names a file that cannot be read.
    pub(crate) fn named_file(recipe: &Recipe, span: Range<usize>, source: io::Error) -> Self {
        recipe
            .problem(span, format!("failed to read this file: {source}"), None)
            .into()
    }

    /// Returns the document that is wrong, where that is what failed.
    pub fn document(&self) -> Option<&DocumentError> {
        match self {
            Self::Document(error) => Some(error),
            _ => None,
        }
    }

    /// Returns what sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Document(_)
            | Self::Key { .. }
            | Self::ReadFile { .. }
            | Self::NotKnown { .. }
            | Self::NotInRecipe { .. }
            | Self::BadEntry { .. }
            | Self::Remote(_)
            | Self::NotAsked { .. }
            | Self::NoSuchPackage { .. } => ErrorKind::Recipe,
            Self::Fetch(error) => match error.kind() {
                FetchKind::Integrity => ErrorKind::Integrity,
                FetchKind::Cache => ErrorKind::Write,
                FetchKind::Cancelled => ErrorKind::Interrupted,
                _ => ErrorKind::Network,
            },
            Self::Vendor(error) => match error {
                VendorError::InTheWay { .. } => ErrorKind::Write,
                VendorError::Changed(_) => ErrorKind::Other,
                _ => ErrorKind::Recipe,
            },
            Self::Cache(_) | Self::Write { .. } => ErrorKind::Write,
            Self::Network(_) => ErrorKind::Network,
            Self::Index { .. }
            | Self::OlderIndex { .. }
            | Self::IndexText { .. }
            | Self::Base { .. }
            | Self::Rootfs { .. }
            | Self::NotRootfs { .. }
            | Self::BaseContent { .. }
            | Self::PackageContent { .. }
            | Self::Package { .. }
            | Self::Mismatch { .. }
            | Self::Unusual { .. }
            | Self::Identity { .. } => ErrorKind::Integrity,
            Self::Merge { .. } | Self::Unsatisfiable { .. } | Self::Solve { .. } => {
                ErrorKind::Unsatisfiable
            }
            Self::NoLock(_)
            | Self::NotCurrent { .. }
            | Self::Record { .. }
            | Self::Script {
                source: ScriptError::NotRecorded,
                ..
            } => ErrorKind::NotCurrent,
            Self::Script { .. } => ErrorKind::Script,
            Self::Image { source, .. } => image_kind(source),
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// Returns what a person can do about it, in order of promise.
    pub fn hints(&self) -> Vec<String> {
        let hint = |text: &str| vec![text.to_owned()];
        match self {
            Self::Fetch(error) => match error.kind() {
                FetchKind::NotFound if is_base(error) => hint(
                    "is there such a release for this architecture? Alpine's are listed on its \
                     mirrors under `releases/`",
                ),
                FetchKind::NotFound => hint(
                    "a mirror drops superseded packages within weeks; `prebake lock --upgrade` \
                     moves on to what it has now, `mirrors` in the recipe names others",
                ),
                FetchKind::Integrity => hint(
                    "what the server sent is not what the lock or the index names: a mirror that is behind, or \
                     somebody in between; `prebake lock --upgrade` moves on if that is intended",
                ),
                FetchKind::Offline => hint(
                    "run it once without `--offline`; for machines without a network `prebake \
                     vendor DIR` keeps all that the lock names, and `--vendor DIR` takes it from \
                     there",
                ),
                FetchKind::Cache => match error {
                    FetchError::Cache(error) => cache_hints(error),
                    _ => Vec::new(),
                },
                FetchKind::Network => hint(network_hint(error)),
                _ => Vec::new(),
            },
            Self::Index {
                source: IndexFileError::Signature(error),
                ..
            } => match error {
                SignatureError::UnknownKey { .. } => hint(
                    "if you trust that key, name its file in `keys` of the recipe's [[repository]]",
                ),
                SignatureError::Unsigned => {
                    hint("an index without a signature is never taken; sign it with `abuild-sign`")
                }
                _ => hint(
                    "the index was changed on its way, or the key of that name is another one: \
                     try another mirror, and compare the key files",
                ),
            },
            Self::OlderIndex { .. } => hint(
                "a mirror that lags behind has caught up soon: try again later, or another one; \
                 `prebake lock --allow-older-index` takes it, with whatever has been mended since",
            ),
            Self::ReadFile {
                what: "the recipe",
                source,
                ..
            } if source.kind() == io::ErrorKind::NotFound => {
                hint("`prebake init` writes one to start from")
            }
            Self::BadEntry { hint: text, .. } => hint(text),
            Self::NotInRecipe {
                near: Some(near), ..
            } => vec![format!("did you mean `{near}`?")],
            Self::NotAsked {
                near: Some(near), ..
            }
            | Self::NoSuchPackage {
                near: Some(near), ..
            } => {
                vec![format!("did you mean `{near}`?")]
            }
            Self::NoLock(_) => hint("run `prebake lock` and commit what it writes"),
            Self::NotCurrent { .. } => hint("run `prebake lock`, and commit what it writes"),
            Self::Identity { .. } => hint(
                "the inputs are the lock's, so the lock was changed, or another version of prebake \
                 wrote it: take it back from version control, or run `prebake lock --upgrade`",
            ),
            Self::Write { source, .. }
            | Self::Image {
                source: ImageError::Output(source),
                ..
            } => write_hints(source),
            Self::Cache(error) => cache_hints(error),
            Self::Index { .. }
            | Self::IndexText { .. }
            | Self::Base { .. }
            | Self::BaseContent { .. }
            | Self::Package { .. }
            | Self::PackageContent { .. } => hint(
                "the file is damaged, or was changed on its way: try another mirror, and tell \
                 whoever keeps this one",
            ),
            Self::Unusual { name, .. } => vec![format!(
                "if it is meant to be there, and nobody unpacks the rootfs on such a host, allow it: \
                 `unusual = [\"{name}\"]` at the top of the recipe"
            )],
            Self::Mismatch { .. } => hint(
                "one of the two was changed: take the lock back from version control, or run \
                 `prebake lock --upgrade` if the change is meant",
            ),
            Self::Unsatisfiable { held, .. } => {
                let change =
                    "change `packages` or the versions they ask for, or add a [[repository]]";
                let upgrade = "packages of the lock were held at their versions; `prebake lock \
                     --upgrade` moves on to what the mirrors have now";
                let hints = [Some(change), held.then_some(upgrade)];
                hints.into_iter().flatten().map(str::to_owned).collect()
            }
            Self::Script { source, .. } => source.hints(),
            Self::Record { .. } => hint(
                "the two are committed together: take both back from version control, or run \
                 `prebake lock`",
            ),
            Self::Vendor(error) => error.hint().map(str::to_owned).into_iter().collect(),
            Self::Network(_) => hint("check the proxy variables"),
            Self::Remote(_) => {
                hint("check `--remote-cache`, `PREBAKE_REMOTE_CACHE` and the store's own variables")
            }
            Self::Key { .. } => {
                hint("a key is a PEM file that begins `-----BEGIN PUBLIC KEY-----`")
            }
            _ => Vec::new(),
        }
    }
}

/// Returns what to do about a server that could not be reached or did not do its work.
fn network_hint(error: &FetchError) -> &'static str {
    let FetchError::Failed(failures) = error else {
        return CHECK;
    };
    let tried = failures.iter().flat_map(|failure| &failure.tried);
    let hints = tried.map(|tried| match &tried.problem {
        Problem::Transport(TransportError::Tls(_)) => {
            "this host does not trust the server's certificate: check the URL and the clock; where a \
             proxy opens TLS, `SSL_CERT_FILE` names its authority"
        }
        Problem::Page | Problem::WrongSize { html: true, .. } | Problem::WrongHash { html: true, .. } => {
            "this network wants something first: open the URL in a browser, or use another network"
        }
        Problem::RetryAfter { .. } => {
            "the server wants to be left alone for a while; `mirrors` in the recipe names others"
        }
        _ => CHECK,
    });
    let mut hints = hints;
    let first = hints.next().unwrap_or(CHECK);
    // Where several things went wrong, nothing is said about one of them.
    if hints.all(|hint| hint == first) {
        first
    } else {
        CHECK
    }
}

/// What to do where nothing more is known.
const CHECK: &str = "check the network, the proxy variables, and the URL";

/// Says whether what is not there is a base.
fn is_base(error: &FetchError) -> bool {
    match error {
        FetchError::Failed(failures) => failures
            .iter()
            .any(|failure| failure.label.contains("minirootfs")),
        _ => false,
    }
}

/// Returns what to do where a file could not be written.
fn write_hints(error: &io::Error) -> Vec<String> {
    let text = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, and run it again: nothing is lost"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "allow writing to that folder, or write somewhere else"
        }
        io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists => "move away what is there, or write somewhere else",
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

/// Returns what to do where the cache failed.
fn cache_hints(error: &CacheError) -> Vec<String> {
    let text = match error {
        CacheError::Full { .. } => {
            "make room there, or name another folder by `--cache` or `PREBAKE_CACHE`"
        }
        CacheError::Read { .. }
        | CacheError::Write { .. }
        | CacheError::ReadOnly { .. }
        | CacheError::NoHome => {
            "name a folder that you may write to by `--cache` or `PREBAKE_CACHE`"
        }
        CacheError::Damaged { .. } | CacheError::Missing { .. } => {
            "run it again: what the cache lost is fetched anew"
        }
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

/// Writes a text of several lines below what stands before.
struct Indented<T>(T);

impl<T: fmt::Display> fmt::Display for Indented<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        text.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

fn image_kind(error: &ImageError) -> ErrorKind {
    match error {
        ImageError::Output(_) => ErrorKind::Write,
        _ => ErrorKind::Integrity,
    }
}
