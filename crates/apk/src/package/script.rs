//! A package's scripts.

use std::fmt;

/// A script that a package brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// When it wants to run.
    pub kind: ScriptKind,
    /// The program: a shell script, as a rule.
    pub bytes: Vec<u8>,
    /// Its permission bits in the control member.
    pub mode: u32,
    /// The time of its last change, in seconds since 1970.
    pub mtime: i64,
}

/// When a script wants to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScriptKind {
    /// Before the files are there.
    PreInstall,
    /// After the files are there.
    PostInstall,
    /// Before the files go.
    PreDeinstall,
    /// After the files went.
    PostDeinstall,
    /// Before another version's files replace those that are there.
    PreUpgrade,
    /// After another version's files replaced those that were there.
    PostUpgrade,
    /// After directories changed that the package watches.
    Trigger,
}

impl ScriptKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDeinstall,
        Self::PostDeinstall,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::Trigger,
    ];

    /// Returns apk's name of the kind, such as `post-install`: the control member's file has it
    /// behind a `.`, and so does a file in the database of scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDeinstall => "pre-deinstall",
            Self::PostDeinstall => "post-deinstall",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::Trigger => "trigger",
        }
    }

    /// Returns the kind of that name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }
}

impl fmt::Display for ScriptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
