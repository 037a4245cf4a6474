//! Everything that a solve could choose from: names, packages, and which gives which.
//!
//! Of an index with tens of thousands of packages a world leads to a few thousand. Only those are
//! in a universe, unless all are asked for; see `reach`. The ids are in the order in which
//! the base and then each repository first has the name or the package, and so are the same
//! relative to each other however much is left out.

use std::cmp::Reverse;

use prebake_apk::index::{Directory, Index, Stanza};
use prebake_apk::version::Dialect;

use crate::request::Request;
use crate::solution::Source;
use crate::state::Wanted;

mod reach;

pub(crate) use reach::Scope;

/// A name's place in [`Universe::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(u32);

/// A package's place in [`Universe::packages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackageId(u32);

impl NameId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl PackageId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A package under one of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provider<'a> {
    pub(crate) package: PackageId,
    /// The version it has under that name; `None` where a `provides` gives none.
    pub(crate) version: Option<&'a str>,
}

/// A name that something provides or asks for.
#[derive(Debug)]
pub(crate) struct Name<'a> {
    pub(crate) text: &'a str,
    /// Its slot in apk's table of names.
    slot: u32,
    pub(crate) providers: Vec<Provider<'a>>,
    /// The names whose providers have this one in their `install_if`.
    pub(crate) install_if_of: Vec<NameId>,
}

/// A package, which may stand in several repositories and be installed as well.
#[derive(Debug)]
pub(crate) struct Package<'a> {
    pub(crate) stanza: Stanza<'a>,
    pub(crate) name: NameId,
    /// The names that it provides beside its own, with their versions.
    pub(crate) provides: Vec<(NameId, Option<&'a str>)>,
    /// What it depends on, and what it forbids.
    pub(crate) depends: Vec<Wanted<'a>>,
    /// What lets it be installed by itself.
    pub(crate) install_if: Vec<Wanted<'a>>,
    /// The repositories that have it, one bit each.
    pub(crate) repositories: u64,
    /// Where it stands in the first of them.
    pub(crate) source: Source,
    /// Its position in the installed database.
    pub(crate) installed: Option<usize>,
    /// Whether this apk can install it at all.
    pub(crate) installable: bool,
}

/// Orders names as apk's table of names holds them, which shows wherever apk goes through the
/// names that hang on one name: by slot, the later name of one slot first.
pub(crate) fn table_order(names: &[Name<'_>], id: NameId) -> (u32, Reverse<NameId>) {
    (
        names.get(id.index()).map_or(0, |name| name.slot),
        Reverse(id),
    )
}

/// The installed database, or the index of a repository.
#[derive(Debug)]
struct Place<'a> {
    index: &'a Index,
    directory: Directory<'a>,
    /// The bit of its repository; none for the installed database.
    bit: u64,
    /// Its repository's position; `None` for the installed database.
    repository: Option<usize>,
    /// By position in the directory: the id of the name, plus one; 0 where it has none.
    names: Vec<u32>,
}

impl<'a> Place<'a> {
    fn new(index: &'a Index, repository: Option<usize>, dialect: Dialect) -> Self {
        let directory = index.directory(dialect);
        Self {
            index,
            directory,
            bit: repository.map_or(0, |repository| 1 << repository),
            repository,
            names: vec![0; directory.len()],
        }
    }

    fn source(&self, position: usize) -> Source {
        match self.repository {
            None => Source::Installed(position),
            Some(repository) => Source::Repository {
                repository,
                position,
            },
        }
    }
}

#[derive(Debug)]
pub(crate) struct Universe<'a> {
    pub(crate) packages: Vec<Package<'a>>,
    pub(crate) names: Vec<Name<'a>>,
    pub(crate) dialect: Dialect,
    /// Stands for every name that nothing provides and the world does not have.
    pub(crate) nothing: NameId,
    /// The base first, then the repositories.
    places: Vec<Place<'a>>,
    /// The names of the world that no place has.
    unknown: Vec<(&'a str, NameId)>,
}

impl<'a> Universe<'a> {
    /// Puts together what a request could choose from.
    pub(crate) fn new(request: &Request<'a>, scope: Scope) -> Self {
        reach::universe(request, scope)
    }

    /// Returns every package with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PackageId, &Package<'a>)> {
        (0..).map(PackageId).zip(&self.packages)
    }

    /// Returns the id of a name that something in the universe provides or asks for.
    pub(crate) fn find(&self, text: &str) -> Option<NameId> {
        for place in &self.places {
            if let Some(at) = place.directory.find(text) {
                let id = place.names.get(at)?.checked_sub(1)?;
                return Some(NameId(id));
            }
        }
        let mut unknown = self.unknown.iter();
        unknown.find(|(name, _)| *name == text).map(|(_, id)| *id)
    }
}
