//! The kinds of things that a reviewer wants to see.

use std::fmt;
use std::str::FromStr;

use crate::document::nearest;

/// A kind of finding: what `--deny` and an allowance name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Files with the setuid bit.
    Setuid,
    /// Files with the setgid bit.
    Setgid,
    /// Files with capabilities.
    Capabilities,
    /// What everybody may write to, and no sticky bit keeps others' files from being replaced.
    WorldWritable,
    /// Directories that everybody may write to, with the sticky bit, as `/tmp` is.
    WorldWritableSticky,
    /// Programs that somebody else than root may replace.
    WritablePrograms,
    /// Device nodes.
    Devices,
    /// Accounts that a password, or none at all, lets in.
    Passwords,
    /// Accounts with a shell.
    Shells,
    /// Accounts that are root under another name.
    RootAccounts,
    /// Keys that let somebody in over SSH.
    AuthorizedKeys,
    /// Rules of sudo and doas that ask for no password.
    NoPassword,
    /// What OpenRC and inetd start.
    Services,
    /// What init starts.
    Inittab,
    /// What cron starts.
    Cron,
    /// Keys and ids that should be different on every machine.
    HostIdentity,
    /// Packages that Alpine did not sign.
    Unsigned,
    /// Keys, not Alpine's, that apk inside the rootfs would believe.
    ApkKeys,
    /// Repositories that apk inside the rootfs would ask over plain HTTP or FTP.
    PlainHttp,
    /// Scripts of packages whose effect is in the rootfs.
    ScriptsRun,
    /// Scripts of packages whose effect is missing.
    ScriptsSkipped,
    /// Files of packages that are not what the package brought.
    Changed,
    /// Files that belong to no package.
    Unowned,
}

impl Kind {
    /// Every kind, in the order in which they are listed: what gives rights away first.
    pub const ALL: [Self; 23] = [
        Self::Setuid,
        Self::Setgid,
        Self::Capabilities,
        Self::WorldWritable,
        Self::WorldWritableSticky,
        Self::WritablePrograms,
        Self::Devices,
        Self::Passwords,
        Self::Shells,
        Self::RootAccounts,
        Self::AuthorizedKeys,
        Self::NoPassword,
        Self::Services,
        Self::Inittab,
        Self::Cron,
        Self::HostIdentity,
        Self::Unsigned,
        Self::ApkKeys,
        Self::PlainHttp,
        Self::ScriptsRun,
        Self::ScriptsSkipped,
        Self::Changed,
        Self::Unowned,
    ];

    /// Returns the word that `--deny` and recipes know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setuid => "setuid",
            Self::Setgid => "setgid",
            Self::Capabilities => "capabilities",
            Self::WorldWritable => "world-writable",
            Self::WorldWritableSticky => "world-writable-sticky",
            Self::WritablePrograms => "writable-programs",
            Self::Devices => "devices",
            Self::Passwords => "passwords",
            Self::Shells => "shells",
            Self::RootAccounts => "root-accounts",
            Self::AuthorizedKeys => "authorized-keys",
            Self::NoPassword => "no-password",
            Self::Services => "services",
            Self::Inittab => "inittab",
            Self::Cron => "cron",
            Self::HostIdentity => "host-identity",
            Self::Unsigned => "unsigned",
            Self::ApkKeys => "apk-keys",
            Self::PlainHttp => "plain-http",
            Self::ScriptsRun => "scripts-run",
            Self::ScriptsSkipped => "scripts-skipped",
            Self::Changed => "changed",
            Self::Unowned => "unowned",
        }
    }

    /// Returns what it is, for somebody who reads it for the first time.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Setuid => "run with the rights of their owner, whoever starts them",
            Self::Setgid => "run with the rights of their group, whoever starts them",
            Self::Capabilities => "get some of root's rights, whoever starts them",
            Self::WorldWritable => "every user may change them",
            Self::WorldWritableSticky => "every user may put files in them (usual for /tmp)",
            Self::WritablePrograms => "on root's PATH, and somebody else may change them",
            Self::Devices => "device nodes: hardware, or a part of the kernel",
            Self::Passwords => "accounts that a password lets in, or nothing at all",
            Self::Shells => "accounts that get a shell or a program at login",
            Self::RootAccounts => "accounts with root's id 0 that are not called root",
            Self::AuthorizedKeys => "keys that may log in over SSH",
            Self::NoPassword => "rules of sudo and doas that ask for no password",
            Self::Services => "start by themselves, with where they listen, if known",
            Self::Inittab => "run by init, apart from OpenRC, where it boots the system",
            Self::Cron => "run at set times, where a cron runs",
            Self::HostIdentity => "keys and ids that would be the same on all machines",
            Self::Unsigned => "packages, or the base, with no key of Alpine's for them",
            Self::ApkKeys => "not Alpine's, and `apk add` inside would believe them",
            Self::PlainHttp => "repositories that `apk` inside asks without encryption",
            Self::ScriptsRun => "of packages; they ran in a sandbox, and took effect",
            Self::ScriptsSkipped => "of packages; `apk add` would have run them",
            Self::Changed => "files that are not as their package brought them",
            Self::Unowned => "files that no package brought",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no kind of finding{}", .near.map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
pub struct UnknownKind {
    /// The word.
    pub word: String,
    /// The kind that was most likely meant.
    pub near: Option<&'static str>,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| UnknownKind {
            word: word.to_owned(),
            near: nearest(word, Self::ALL.into_iter().map(Self::name)),
        })
    }
}
