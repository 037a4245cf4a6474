//! What a solve comes to.

/// Where a package stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// In the installed database of the base, at this position.
    Installed(usize),
    /// In a repository.
    Repository {
        /// The repository's position in the request.
        repository: usize,
        /// The package's position in its index.
        position: usize,
    },
}

/// One step from the base to what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub kind: ChangeKind,
    /// The package that comes; `None` for a removal. Of one that stands in several repositories,
    /// the first that has it.
    pub package: Option<Source>,
    /// The position in the installed database of the package that goes or stays.
    pub installed: Option<usize>,
    /// The repository tag, as its position among [`Solution::tags`], that the installed database
    /// has to name (`s:`); `None` for a package that needs no pin.
    pub tag: Option<usize>,
}

/// What a [`Change`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A package comes whose name was not there.
    Install,
    /// A newer version takes a package's place.
    Upgrade,
    /// An older version takes a package's place.
    Downgrade,
    /// Another build of the same version takes a package's place.
    Replace,
    /// A package stays, but its repository tag changes.
    Retag,
    /// A package goes.
    Remove,
}

/// The packages that satisfy a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// What to do, in the order in which apk does it.
    pub changes: Vec<Change>,
    /// What is there in the end: first what stays of the base, in the order of its installed
    /// database, then what comes, in the order of the changes.
    pub packages: Vec<Source>,
    /// The same packages in the order in which apk goes through them when it runs triggers: from
    /// each entry of the sorted world downwards, what stays among what comes.
    pub order: Vec<Source>,
    /// The tags of the request's repositories, in the order in which they first occur.
    pub tags: Vec<String>,
}
