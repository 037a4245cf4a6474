//! Everything that a solve could choose from: names, packages, and which gives which.
//!
//! Building it reads the name, the `provides` and the `install_if` of every package, and nothing
//! else: dependencies are read when the search first meets a package.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use prebake_apk::dependency::{self, Operator};
use prebake_apk::digest::Sha1;
use prebake_apk::index::{Index, Stanza};
use prebake_apk::version::{Dialect, is_valid};

use crate::request::{Repository, Request};
use crate::solution::Source;
use crate::table;

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
    let text = names.get(id.index()).map_or("", |name| name.text);
    (table::slot(text.as_bytes()), Reverse(id))
}

type Lookup<'a> = HashMap<&'a str, NameId, BuildHasherDefault<DefaultHasher>>;

#[derive(Debug)]
pub(crate) struct Universe<'a> {
    pub(crate) packages: Vec<Package<'a>>,
    pub(crate) names: Vec<Name<'a>>,
    pub(crate) dialect: Dialect,
    /// Stands for every name that nothing provides and the world does not have.
    pub(crate) nothing: NameId,
    lookup: Lookup<'a>,
}

impl<'a> Universe<'a> {
    pub(crate) fn new(request: &Request<'a>) -> Self {
        let count = request.installed.map_or(0, Index::len)
            + request
                .repositories
                .iter()
                .map(|repository| repository.index.len())
                .sum::<usize>();
        let mut universe = Self {
            packages: Vec::with_capacity(count),
            names: Vec::with_capacity(4 * count),
            dialect: request.dialect,
            nothing: NameId(0),
            lookup: Lookup::with_capacity_and_hasher(4 * count, BuildHasherDefault::new()),
        };
        // No name in an index is empty or holds a space.
        universe.nothing = universe.intern(" ");
        let mut known: HashMap<(Sha1, &str), PackageId, BuildHasherDefault<DefaultHasher>> =
            HashMap::with_capacity_and_hasher(count, BuildHasherDefault::new());
        let installed = request.installed.iter().flat_map(|index| {
            index
                .iter()
                .enumerate()
                .map(|(position, stanza)| (stanza, Source::Installed(position), 0))
        });
        let available = request.repositories.iter().enumerate().flat_map(
            |(repository, Repository { index, .. })| {
                index.iter().enumerate().map(move |(position, stanza)| {
                    let source = Source::Repository {
                        repository,
                        position,
                    };
                    (stanza, source, 1_u64 << repository)
                })
            },
        );
        for (stanza, source, bit) in installed.chain(available) {
            let next = PackageId(universe.packages.len() as u32);
            let package = *known
                .entry((stanza.identity(), stanza.name()))
                .or_insert(next);
            if package == next {
                universe.add(stanza, source, request.architectures);
            }
            if let Some(package) = universe.packages.get_mut(package.index()) {
                if package.repositories == 0
                    && let Source::Repository { .. } = source
                {
                    package.source = source;
                }
                package.repositories |= bit;
                if let Source::Installed(position) = source {
                    package.installed = Some(position);
                }
            }
        }
        for dependency in request.world {
            universe.intern(dependency.name);
        }
        universe.sort_triggered();
        universe
    }

    fn add(&mut self, stanza: Stanza<'a>, source: Source, architectures: &[&str]) {
        let package = PackageId(self.packages.len() as u32);
        let name = self.intern(stanza.name());
        self.provide(name, package, Some(stanza.version()));
        let mut provides = Vec::new();
        for provided in dependency::list(stanza.provides(), self.dialect) {
            let given = self.intern(provided.name);
            let version = (provided.operator != Operator::Any).then_some(provided.version);
            self.provide(given, package, version);
            provides.push((given, version));
        }
        if !stanza.install_if().is_empty() {
            let conditions: Vec<_> = dependency::list(stanza.install_if(), self.dialect)
                .map(|condition| condition.name)
                .collect();
            for condition in conditions {
                let condition = self.intern(condition);
                for given in std::iter::once(name).chain(provides.iter().map(|(name, _)| *name)) {
                    if let Some(condition) = self.names.get_mut(condition.index())
                        && !condition.install_if_of.contains(&given)
                    {
                        condition.install_if_of.push(given);
                    }
                }
            }
        }
        let installable = match self.dialect {
            Dialect::V2 => !stanza.has_unknown_field(),
            Dialect::V3 => {
                let architecture = stanza.architecture();
                let mut dependencies = stanza.dependencies(self.dialect);
                dependencies.by_ref().for_each(drop);
                !stanza.has_unknown_field()
                    && is_valid(stanza.version(), self.dialect)
                    && !dependencies.is_malformed()
                    && (matches!(architecture, "" | "noarch" | "all")
                        || architectures.contains(&architecture))
            }
        };
        self.packages.push(Package {
            stanza,
            name,
            provides,
            repositories: 0,
            source,
            installed: None,
            installable,
        });
    }

    /// Puts the names that one triggers into apk's order.
    fn sort_triggered(&mut self) {
        let Self { names, .. } = self;
        let lists: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|(_, name)| name.install_if_of.len() > 1)
            .map(|(position, name)| {
                let mut list = name.install_if_of.clone();
                list.sort_by_cached_key(|id| table_order(names, *id));
                (position, list)
            })
            .collect();
        for (position, list) in lists {
            if let Some(name) = names.get_mut(position) {
                name.install_if_of = list;
            }
        }
    }

    fn provide(&mut self, name: NameId, package: PackageId, version: Option<&'a str>) {
        if let Some(name) = self.names.get_mut(name.index()) {
            name.providers.push(Provider { package, version });
        }
    }

    /// Returns the id of a name, making one where there is none yet.
    pub(crate) fn intern(&mut self, text: &'a str) -> NameId {
        let next = NameId(self.names.len() as u32);
        let name = *self.lookup.entry(text).or_insert(next);
        if name == next {
            self.names.push(Name {
                text,
                providers: Vec::new(),
                install_if_of: Vec::new(),
            });
        }
        name
    }

    /// Returns every package with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PackageId, &Package<'a>)> {
        (0..).map(PackageId).zip(&self.packages)
    }

    /// Returns the id of a name that something provides or asks for.
    pub(crate) fn find(&self, text: &str) -> Option<NameId> {
        self.lookup.get(text).copied()
    }
}
