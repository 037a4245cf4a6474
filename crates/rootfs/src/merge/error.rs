//! Why a merge cannot go on.

use prebake_apk::installed::InstalledError;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_apk::scripts::ScriptsError;
use prebake_apk::triggers::TriggersError;

use super::base::MAX_INLINE_TOTAL;
use crate::tree::ResolveError;

/// Why a merge cannot go on. Packages are named `name-version`.
///
/// Where apk would print an error, leave the file out, and exit with 1, this is what a bake gets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Two packages bring one file, and neither may replace the other's.
    #[error("{new} brings {path}, which belongs to {owner}; neither `replaces` the other")]
    Conflict {
        /// The file.
        path: GuestPath,
        /// The package that came second.
        new: String,
        /// The package that had it.
        owner: String,
    },
    /// A file would stand where a directory is.
    #[error("{package} brings the file {path}, where a directory is")]
    FileOverDirectory {
        /// The file.
        path: GuestPath,
        /// Who brings it.
        package: String,
    },
    /// A file's directory leads nowhere.
    #[error("{package} brings {path}, whose directory cannot be used")]
    Unreachable {
        /// The file.
        path: GuestPath,
        /// Who brings it.
        package: String,
        /// Why not.
        #[source]
        source: ResolveError,
    },
    /// A package has a file without its directory.
    #[error("{package} brings {path} without the directory that it is in")]
    NoDirectory {
        /// The file.
        path: GuestPath,
        /// Who brings it.
        package: String,
    },
    /// A package has one file twice.
    #[error("{package} brings {path} twice")]
    Twice {
        /// The file.
        path: GuestPath,
        /// Who brings it.
        package: String,
    },
    /// A hard link names no file that came before it in the same archive.
    #[error("{package} has the hard link {path} to {target}, which is no file before it")]
    LinkTarget {
        /// The link.
        path: GuestPath,
        /// What it names.
        target: GuestPath,
        /// Who brings it; `the base` for the base.
        package: String,
    },
    /// A regular file came without its content.
    #[error("the content of {path} was not handed in")]
    NoContent {
        /// The file.
        path: GuestPath,
    },
    /// A package's file has no checksum of its own. apk 2.14 takes it with a warning and fails in
    /// the end, apk 3 leaves it out.
    #[error("{package} brings {path} without a checksum")]
    NoChecksum {
        /// The file.
        path: GuestPath,
        /// Who brings it.
        package: String,
    },
    /// A file that the merge must read is not held in memory.
    #[error("the content of {path} is needed to go on, and was not handed in inline")]
    NotInline {
        /// The file.
        path: GuestPath,
    },
    /// The files that the merge must read are over [`MAX_INLINE_TOTAL`].
    #[error(
        "the files that have to be read, of which {path} is the last, have more than \
         {MAX_INLINE_TOTAL} bytes together"
    )]
    TooMuchInline {
        /// The file that is too much.
        path: GuestPath,
    },
    /// Something of the base's is in the way of its own entry.
    #[error("the base's entry {path} does not fit what came before it: {problem}")]
    BaseEntry {
        /// The entry.
        path: GuestPath,
        /// Why not.
        problem: &'static str,
    },
    /// A path of the base or the recipe leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A key has a name that no file can have.
    #[error("a key cannot have the name `{name}` in /etc/apk/keys")]
    KeyName {
        /// The name.
        name: String,
    },
    /// The base's database of packages cannot be read.
    #[error("the base's lib/apk/db/installed cannot be read")]
    Installed(#[source] InstalledError),
    /// The base's database of triggers cannot be read.
    #[error("the base's lib/apk/db/triggers cannot be read")]
    Triggers(#[source] TriggersError),
    /// The base's scripts cannot be read.
    #[error("the base's lib/apk/db/scripts.tar cannot be read")]
    Scripts(#[source] ScriptsError),
    /// A package that is to be removed is not there.
    #[error("{name} is not installed")]
    NotInstalled {
        /// The package's name.
        name: String,
    },
    /// A user or group of the recipe is not in the root filesystem.
    #[error("there is no {kind} `{name}` in {file}")]
    UnknownOwner {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
        /// Where it was looked for.
        file: &'static str,
    },
    /// What a script is said to have changed does not fit the tree that it ran on.
    #[error("{package}.{kind} cannot have changed {path} as recorded: {problem}")]
    Change {
        /// The package, `name-version`.
        package: String,
        /// Which of its scripts.
        kind: ScriptKind,
        /// What was to change.
        path: GuestPath,
        /// Why it cannot.
        problem: &'static str,
    },
    /// The calls came in an order that makes no sense.
    #[error("{0}")]
    Order(&'static str),
}
