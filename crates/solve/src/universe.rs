//! Everything that a solve could choose from: names, packages, and which gives which.
//!
//! Of an index with tens of thousands of packages a world leads to a few thousand. Only those are
//! in a universe, unless all are asked for; see `reach`. The ids are in the order in which they
//! were reached, which means nothing. What has to have an order has a [`Key`]: where the base and
//! then each repository first has the name or the package, however much is left out.
//!
//! What belongs to names and packages is in a few long lists, not in many short ones: to ask the
//! system for memory is what a solve otherwise spends most of its time with.

use std::cmp::Reverse;

use prebake_apk::dependency::{Dependency, Operator};
use prebake_apk::digest::Sha1;
use prebake_apk::index::{Directory, Named, Stanza, TextAt};
use prebake_apk::version::Dialect;

use crate::request::Request;
use crate::solution::Source;

mod reach;

pub(crate) use reach::{OtherDialect, Scope};

/// A name's place in [`Universe::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameId(u32);

/// A package's place in [`Universe::packages`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// The place that first has something, and where there.
pub(crate) type Key = (u32, u32);

/// A stretch of a list.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    start: u32,
    end: u32,
}

impl Run {
    fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// A package under one of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) package: PackageId,
    /// Where the version that it has under that name is; `None` where a `provides` gives none.
    pub(crate) version: Option<TextAt>,
}

/// A dependency with its name looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: NameId,
    /// The place of its dependency in [`Universe::written`], plus one, and [`FORBIDDEN`]; 0 where
    /// all there is to it is the name.
    more: u32,
}

/// Set in a dependency that forbids what it names.
const FORBIDDEN: u32 = 1 << 31;

impl Wanted {
    /// Says whether whoever has the name will do.
    pub(crate) fn is_plain(self) -> bool {
        self.more == 0
    }

    /// Says whether it forbids what it names.
    pub(crate) fn is_conflict(self) -> bool {
        self.more & FORBIDDEN != 0
    }
}

/// A dependency that is more than a name.
#[derive(Clone, Copy, Debug)]
enum Written {
    /// The place in [`Universe::dependencies`].
    Read(u32),
    /// The place whose directory keeps it, and where.
    Kept(u32, TextAt),
}

/// A name that something provides or asks for.
#[derive(Debug)]
struct Name {
    key: Key,
    /// Its slot in apk's table of names.
    slot: u32,
    providers: Run,
    /// The names whose providers have this one in their `install_if`.
    install_if_of: Run,
}

impl Name {
    /// See [`Universe::table_order`].
    fn table_order(&self) -> (u32, Reverse<Key>) {
        (self.slot, Reverse(self.key))
    }
}

/// A package, which may stand in several repositories and be installed as well.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: NameId,
    version: Option<TextAt>,
    pub(crate) provider_priority: u32,
    provides: Run,
    depends: Run,
    install_if: Run,
    /// The place and position where it first stands.
    pub(crate) key: Key,
    /// The repositories that have it, one bit each.
    pub(crate) repositories: u64,
    /// Its position in the first of them.
    position: u32,
    /// Its position in the installed database.
    pub(crate) installed: Option<u32>,
    /// Whether this apk can install it at all.
    pub(crate) installable: bool,
}

impl Package {
    /// Returns where it stands: in the first repository that has it, or else in the base.
    pub(crate) fn source(&self) -> Source {
        match (self.repositories, self.installed) {
            (0, Some(position)) => Source::Installed(position as usize),
            _ => Source::Repository {
                repository: self.repositories.trailing_zeros() as usize,
                position: self.position as usize,
            },
        }
    }

    /// Returns where it stands in the base.
    pub(crate) fn installed(&self) -> Option<usize> {
        self.installed.map(|position| position as usize)
    }
}

/// The installed database, or the index of a repository.
#[derive(Debug)]
struct Place<'a> {
    directory: Directory<'a>,
    /// Its repository's position; `None` for the installed database.
    repository: Option<usize>,
}

/// Returns a name as a place has it.
fn named<'a>(
    positions: &[u32],
    places: &[Place<'a>],
    id: NameId,
    place: usize,
) -> Option<Named<'a>> {
    let position = positions.get(id.index() * places.len() + place)?;
    let position = position.checked_sub(1)?;
    places.get(place)?.directory.get(position as usize)
}

#[derive(Debug)]
pub(crate) struct Universe<'a> {
    pub(crate) packages: Vec<Package>,
    names: Vec<Name>,
    /// Of each name, its position in each place's directory, plus one; 0 where it is not there.
    positions: Vec<u32>,
    /// The names of the world that no place has.
    unknown: Vec<(&'a str, NameId)>,
    /// Who gives each name.
    providers: Vec<Provider>,
    /// What each name triggers.
    triggered: Vec<NameId>,
    /// What each package provides beside its own name, with the versions.
    provides: Vec<(NameId, Option<TextAt>)>,
    /// What each package depends on, forbids and waits for.
    wanted: Vec<Wanted>,
    written: Vec<Written>,
    /// Those of them that no place keeps in a form of its own.
    dependencies: Vec<Dependency<'a>>,
    /// The entries of the world in apk's order.
    pub(crate) world: Vec<Wanted>,
    /// The names of those entries that are additions.
    pub(crate) added: Vec<NameId>,
    pub(crate) dialect: Dialect,
    /// Stands for every name that nothing provides and the world does not have.
    pub(crate) nothing: NameId,
    /// The base first, then the repositories.
    places: Vec<Place<'a>>,
}

impl<'a> Universe<'a> {
    /// Puts together what a request could choose from.
    pub(crate) fn new(request: &Request<'a>, scope: Scope) -> Result<Self, OtherDialect> {
        reach::universe(request, scope)
    }

    /// Returns every package with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PackageId, &Package)> {
        (0..).map(PackageId).zip(&self.packages)
    }

    /// Returns the id of every name.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = NameId> + use<> {
        (0..self.names.len()).map(|at| NameId(at as u32))
    }

    fn name(&self, id: NameId) -> &Name {
        &self.names[id.index()]
    }

    pub(crate) fn package(&self, id: PackageId) -> &Package {
        &self.packages[id.index()]
    }

    /// Returns a name's text.
    pub(crate) fn text(&self, id: NameId) -> &'a str {
        let (place, rank) = self.name(id).key;
        match place.checked_sub(1) {
            // Nothing's.
            None => " ",
            Some(place) if place as usize >= self.places.len() => {
                let unknown = self.unknown.get(rank as usize);
                unknown.map_or("", |(text, _)| text)
            }
            Some(place) => {
                let named = self.named(id, place as usize);
                named.map_or("", |named| named.text())
            }
        }
    }

    /// Returns a name as a place has it.
    fn named(&self, id: NameId, place: usize) -> Option<Named<'a>> {
        named(&self.positions, &self.places, id, place)
    }

    /// Orders names as apk's table of names holds them, which shows wherever apk goes through the
    /// names that hang on one name: by slot, the later name of one slot first.
    pub(crate) fn table_order(&self, id: NameId) -> (u32, Reverse<Key>) {
        self.name(id).table_order()
    }

    /// Returns who gives a name: first what the base has, then the repositories in their order.
    pub(crate) fn providers(&self, id: NameId) -> &[Provider] {
        self.name(id).providers.of(&self.providers)
    }

    /// Returns the names whose providers have this one in their `install_if`, in apk's order.
    pub(crate) fn install_if_of(&self, id: NameId) -> &[NameId] {
        self.name(id).install_if_of.of(&self.triggered)
    }

    /// Returns the names that a package provides beside its own, with their versions.
    pub(crate) fn provides(&self, id: PackageId) -> &[(NameId, Option<TextAt>)] {
        self.package(id).provides.of(&self.provides)
    }

    /// Returns what a package depends on, and what it forbids.
    pub(crate) fn depends(&self, id: PackageId) -> &[Wanted] {
        self.package(id).depends.of(&self.wanted)
    }

    /// Returns what lets a package be installed by itself.
    pub(crate) fn install_if(&self, id: PackageId) -> &[Wanted] {
        self.package(id).install_if.of(&self.wanted)
    }

    /// Returns a dependency as it is written.
    pub(crate) fn dependency(&self, wanted: Wanted) -> Dependency<'a> {
        let written = (wanted.more & !FORBIDDEN).checked_sub(1);
        let dependency = match written.and_then(|at| self.written.get(at as usize)) {
            Some(Written::Read(at)) => self.dependencies.get(*at as usize).copied(),
            Some(Written::Kept(place, at)) => {
                let place = self.places.get(*place as usize);
                place.and_then(|place| place.directory.dependency(*at))
            }
            None => None,
        };
        dependency.unwrap_or_else(|| Dependency::on(self.text(wanted.name)))
    }

    /// Returns a package's own stanza where it first stands.
    pub(crate) fn stanza(&self, id: PackageId) -> Option<Stanza<'a>> {
        let (place, position) = self.package(id).key;
        let place = self.places.get(place as usize)?;
        place.directory.package(position as usize).stanza()
    }

    /// Says whether a provider gives what a dependency asks for.
    pub(crate) fn satisfies(&self, wanted: Wanted, provider: Provider) -> bool {
        if wanted.is_plain() {
            return true;
        }
        let dependency = self.dependency(wanted);
        let stanza = match dependency.operator {
            Operator::Identity => self.stanza(provider.package),
            // Nothing else is held against the identity.
            _ => None,
        };
        let identity = stanza.map_or(Sha1::new([0; 20]), |stanza| stanza.identity());
        dependency.is_satisfied_by(self.provided_version(provider), &identity, self.dialect)
    }

    /// Returns the version that a package has under a name.
    pub(crate) fn provided_version(&self, provider: Provider) -> Option<&'a str> {
        let (place, _) = self.package(provider.package).key;
        let place = self.places.get(place as usize)?;
        provider.version.map(|at| place.directory.text(at))
    }

    /// Returns a package under its own name.
    pub(crate) fn own(&self, id: PackageId) -> Provider {
        Provider {
            package: id,
            version: self.package(id).version,
        }
    }

    /// Returns a package's own version.
    pub(crate) fn version(&self, id: PackageId) -> &'a str {
        self.provided_version(self.own(id)).unwrap_or_default()
    }
}
