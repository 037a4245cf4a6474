//! Makes version 2 packages: `gz(signature) || gz(control) || gz(data)`, signed, of any content.
//!
//! Judged by the real apk, which verifies, indexes and installs what is made here
//! (`tests/differential.rs`).

mod made;
mod pkginfo;

use crate::member::Member;

pub use made::Package;
pub(crate) use made::{sign, with_parents};

/// A package to be made.
///
/// What is not set has a value that a small, plain package would have.
#[derive(Clone, Debug)]
pub struct PackageBuilder {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) arch: String,
    pub(crate) description: String,
    pub(crate) url: String,
    pub(crate) license: String,
    pub(crate) origin: Option<String>,
    pub(crate) maintainer: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) build_date: i64,
    pub(crate) installed_size: Option<u64>,
    pub(crate) depends: Vec<String>,
    pub(crate) provides: Vec<String>,
    pub(crate) replaces: Vec<String>,
    pub(crate) install_if: Vec<String>,
    pub(crate) triggers: Vec<String>,
    pub(crate) replaces_priority: Option<u32>,
    pub(crate) provider_priority: Option<u32>,
    pub(crate) scripts: Vec<Member>,
    pub(crate) members: Vec<Member>,
    extra_info: Vec<String>,
    parents: bool,
    datahash: Datahash,
}

/// What `.PKGINFO` says of the data member's SHA-256.
#[derive(Clone, Debug)]
enum Datahash {
    Right,
    Missing,
    Claimed(String),
}

/// The fields that hold a list, set by one method each.
macro_rules! lists {
    ($($(#[$doc:meta])* $field:ident),* $(,)?) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $field<'a>(mut self, items: impl IntoIterator<Item = &'a str>) -> Self {
                self.$field.extend(items.into_iter().map(str::to_owned));
                self
            }
        )*
    };
}

impl PackageBuilder {
    /// The time of the build unless told: 2024-01-01, midnight.
    pub const BUILD_DATE: i64 = Member::MTIME;

    /// Returns an empty package for x86_64.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "x86_64".to_owned(),
            description: format!("{name}, made for a test"),
            url: "https://example.invalid/".to_owned(),
            license: "MIT".to_owned(),
            origin: None,
            maintainer: None,
            commit: None,
            build_date: Self::BUILD_DATE,
            installed_size: None,
            depends: Vec::new(),
            provides: Vec::new(),
            replaces: Vec::new(),
            install_if: Vec::new(),
            triggers: Vec::new(),
            replaces_priority: None,
            provider_priority: None,
            scripts: Vec::new(),
            members: Vec::new(),
            extra_info: Vec::new(),
            parents: true,
            datahash: Datahash::Right,
        }
    }

    lists! {
        /// Adds dependencies, in apk's syntax.
        depends,
        /// Adds what it provides: `name` or `name=version`.
        provides,
        /// Adds the packages whose files it may take over, in apk's syntax.
        replaces,
        /// Adds the conditions that together pull it in.
        install_if,
        /// Adds the directories that its trigger watches, as globs.
        triggers,
    }

    /// Sets the architecture: `x86_64`, `aarch64`, `noarch` …
    #[must_use]
    pub fn arch(mut self, arch: &str) -> Self {
        arch.clone_into(&mut self.arch);
        self
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, description: &str) -> Self {
        description.clone_into(&mut self.description);
        self
    }

    /// Sets the origin, the name of what it was built from.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    /// Sets the maintainer.
    #[must_use]
    pub fn maintainer(mut self, maintainer: &str) -> Self {
        self.maintainer = Some(maintainer.to_owned());
        self
    }

    /// Sets the commit it was built from.
    #[must_use]
    pub fn commit(mut self, commit: &str) -> Self {
        self.commit = Some(commit.to_owned());
        self
    }

    /// Sets the time of the build, in seconds since 1970.
    #[must_use]
    pub fn build_date(mut self, build_date: i64) -> Self {
        self.build_date = build_date;
        self
    }

    /// Sets the installed size in bytes. apk never opens a package whose size is 0.
    ///
    /// Unless set it is the contents' size and 4 KiB, or 0 for a package without members and
    /// scripts.
    #[must_use]
    pub fn installed_size(mut self, bytes: u64) -> Self {
        self.installed_size = Some(bytes);
        self
    }

    /// Sets the priority in a dispute over a file.
    #[must_use]
    pub fn replaces_priority(mut self, priority: u32) -> Self {
        self.replaces_priority = Some(priority);
        self
    }

    /// Sets the priority among providers of a name.
    #[must_use]
    pub fn provider_priority(mut self, priority: u32) -> Self {
        self.provider_priority = Some(priority);
        self
    }

    /// Adds a script. `kind` is `pre-install`, `post-install`, `pre-deinstall`,
    /// `post-deinstall`, `pre-upgrade`, `post-upgrade` or `trigger`.
    #[must_use]
    pub fn script(mut self, kind: &str, text: &str) -> Self {
        let script = Member::file(format!(".{kind}"), text).mode(0o755);
        self.scripts.push(script.mtime(self.build_date));
        self
    }

    /// Adds a regular file: mode 0644, owned by root.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.member(Member::file(path, content))
    }

    /// Adds a program: a regular file, mode 0755, owned by root.
    #[must_use]
    pub fn program(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.member(Member::file(path, content).mode(0o755))
    }

    /// Adds a directory: mode 0755, owned by root.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.member(Member::directory(path))
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.member(Member::symlink(path, target))
    }

    /// Adds one more name of a file that came before.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.member(Member::hardlink(path, target))
    }

    /// Adds anything.
    #[must_use]
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }

    /// Leaves out the directories that members lie in, unless they are added by hand. apk wants
    /// each before what lies in it, so they are put there otherwise.
    #[must_use]
    pub fn without_parents(mut self) -> Self {
        self.parents = false;
        self
    }

    /// Adds a line to `.PKGINFO`, as it is.
    #[must_use]
    pub fn info_line(mut self, line: &str) -> Self {
        self.extra_info.push(line.to_owned());
        self
    }

    /// Leaves the data's hash out of `.PKGINFO`.
    #[must_use]
    pub fn without_datahash(mut self) -> Self {
        self.datahash = Datahash::Missing;
        self
    }

    /// Lies about the data's hash.
    #[must_use]
    pub fn claimed_datahash(mut self, hash: &str) -> Self {
        self.datahash = Datahash::Claimed(hash.to_owned());
        self
    }

    /// Returns the installed size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.installed_size.unwrap_or_else(|| {
            if self.members.is_empty() && self.scripts.is_empty() {
                return 0;
            }
            let contents = self
                .members
                .iter()
                .map(|member| member.content.len() as u64);
            contents.sum::<u64>() + 4096
        })
    }
}
