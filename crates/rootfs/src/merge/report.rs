//! What a merge has to say beside the tree.

use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;

/// What a merge has to say beside the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The scripts and triggers that were run, in apk's order.
    pub ran: Vec<Script>,
    /// The scripts that apk would have run and that were not, in apk's order.
    pub scripts: Vec<Script>,
    /// The triggers that apk would have run after them, in apk's order.
    pub triggers: Vec<Trigger>,
    /// Files that were put aside as `….apk-new`, because what is there is protected.
    pub new_files: Vec<GuestPath>,
    /// What a person should look at, in words.
    pub warnings: Vec<String>,
}

/// A script that was run, or was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The package, `name-version`.
    pub package: String,
    /// Which of its scripts.
    pub kind: ScriptKind,
}

/// A trigger that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The package, `name-version`.
    pub package: String,
    /// The directories that it would have been told of, sorted.
    pub directories: Vec<GuestPath>,
}
