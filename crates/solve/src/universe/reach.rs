//! Finds what a world leads to, and makes a universe of it.
//!
//! A search follows references: from a name to its providers, and to what waits for it in an
//! `install_if`; from a package to all its names and to what it depends on or forbids. Whatever
//! can be reached that way from the world and the base is taken, which is more than any search
//! looks at, so that leaving out the rest changes no answer. What an `install_if` waits for is
//! named and not followed: it counts only if something else leads to it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use prebake_apk::dependency::{self, Dependency};
use prebake_apk::digest::Sha1;
use prebake_apk::index::Named;
use prebake_apk::version::{Dialect, is_valid};

use super::{Name, NameId, Package, PackageId, Place, Provider, Universe, table_order};
use crate::request::{MAX_REPOSITORIES, Repository, Request};
use crate::solution::Source;
use crate::state::Wanted;
use crate::table;

/// How much a universe has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the world and the base lead to.
    Reachable,
    /// Everything that there is.
    Everything,
}

/// What is known of a name beside what the universe has.
struct Reached {
    /// What its id is ordered by: the place that first has it, and its rank there.
    key: (u32, u32),
    /// Whether it is in the queue, or was.
    queued: bool,
    /// Whether the packages that it is the own name of were made.
    owned: bool,
}

struct Reach<'a, 'r> {
    universe: Universe<'a>,
    architectures: &'r [&'r str],
    names: Vec<Reached>,
    /// Of each name, its position in each place's directory, plus one; 0 where it is not there.
    positions: Vec<u32>,
    /// The place and position where each package first stands.
    first: Vec<(u32, u32)>,
    /// Whether what each package refers to was taken.
    followed: Vec<bool>,
    queue: Vec<NameId>,
    /// By place and position: the id of the package that first stands there, plus one.
    packages: Vec<Vec<u32>>,
    identities: HashMap<(NameId, Sha1), PackageId, BuildHasherDefault<DefaultHasher>>,
}

pub(super) fn universe<'a>(request: &Request<'a>, scope: Scope) -> Universe<'a> {
    let installed = request.installed.map(|index| (index, None));
    let repositories = request.repositories.iter().enumerate();
    let repositories =
        repositories.map(|(position, Repository { index, .. })| (*index, Some(position)));
    let places: Vec<_> = installed
        .into_iter()
        .chain(repositories)
        .map(|(index, repository)| Place::new(index, repository, request.dialect))
        .collect();
    let mut reach = Reach {
        packages: places
            .iter()
            .map(|place| vec![0; place.index.len()])
            .collect(),
        universe: Universe {
            packages: Vec::new(),
            names: Vec::new(),
            dialect: request.dialect,
            nothing: NameId(0),
            places,
            unknown: Vec::new(),
        },
        architectures: request.architectures,
        names: Vec::new(),
        positions: Vec::new(),
        first: Vec::new(),
        followed: Vec::new(),
        queue: Vec::new(),
        identities: HashMap::default(),
    };
    // No name in an index is empty or holds a space.
    reach.name(" ", (0, 0), &[]);
    for place in 0..reach.universe.places.len() {
        if scope == Scope::Everything || reach.is_base(place) {
            reach.enqueue_all(place);
        }
    }
    for dependency in request.world {
        let id = reach.find_or_add(dependency.name);
        reach.enqueue(id);
    }
    while let Some(id) = reach.queue.pop() {
        reach.expand(id);
    }
    reach.finish()
}

impl<'a> Reach<'a, '_> {
    fn is_base(&self, place: usize) -> bool {
        let place = self.universe.places.get(place);
        place.is_some_and(|place| place.repository.is_none())
    }

    fn enqueue_all(&mut self, place: usize) {
        let count = self.universe.places.get(place);
        for at in 0..count.map_or(0, |place| place.directory.len()) {
            if let Some(id) = self.name_at(place, at) {
                self.enqueue(id);
            }
        }
    }

    /// Adds a name, with its position in each place's directory, plus one.
    fn name(&mut self, text: &'a str, key: (u32, u32), positions: &[u32]) -> NameId {
        let id = NameId(self.names.len() as u32);
        let missing = self.universe.places.len() - positions.len();
        self.positions.extend_from_slice(positions);
        self.positions.extend(std::iter::repeat_n(0, missing));
        self.universe.names.push(Name {
            text,
            slot: table::slot(text.as_bytes()),
            providers: Vec::new(),
            install_if_of: Vec::new(),
        });
        self.names.push(Reached {
            key,
            queued: false,
            owned: false,
        });
        id
    }

    /// Returns the id of the name at a position of a place's directory.
    fn name_at(&mut self, place: usize, at: usize) -> Option<NameId> {
        let here = self.universe.places.get(place)?;
        if let Some(id) = here.names.get(at)?.checked_sub(1) {
            return Some(NameId(id));
        }
        let named = here.directory.get(at)?;
        let text = named.text();
        let mut key = None;
        let mut positions = [0; MAX_REPOSITORIES + 1];
        let id = NameId(self.names.len() as u32);
        let places = self.universe.places.iter_mut().zip(&mut positions);
        let mut count = 0;
        for (number, (other, position)) in places.enumerate() {
            count = number + 1;
            let found = if number == place {
                Some(at)
            } else {
                other.directory.find(text)
            };
            if let Some(found) = found
                && let Some(slot) = other.names.get_mut(found)
            {
                *slot = id.0 + 1;
                *position = found as u32 + 1;
                let rank = other.directory.get(found).map_or(0, |named| named.rank());
                key.get_or_insert((number as u32 + 1, rank));
            }
        }
        Some(self.name(text, key?, positions.get(..count)?))
    }

    /// Returns a name as a place has it.
    fn named(&self, id: NameId, place: usize) -> Option<Named<'a>> {
        let places = self.universe.places.len();
        let position = self
            .positions
            .get(id.index() * places + place)?
            .checked_sub(1)?;
        self.universe
            .places
            .get(place)?
            .directory
            .get(position as usize)
    }

    /// Returns the id of a name that some place has.
    fn find(&mut self, text: &str) -> Option<NameId> {
        for place in 0..self.universe.places.len() {
            if let Some(at) = self.universe.places.get(place)?.directory.find(text) {
                return self.name_at(place, at);
            }
        }
        let mut unknown = self.universe.unknown.iter();
        unknown.find(|(name, _)| *name == text).map(|(_, id)| *id)
    }

    fn find_or_add(&mut self, text: &'a str) -> NameId {
        self.find(text).unwrap_or_else(|| {
            let id = self.name(text, (u32::MAX, self.universe.unknown.len() as u32), &[]);
            self.universe.unknown.push((text, id));
            id
        })
    }

    fn enqueue(&mut self, id: NameId) {
        if let Some(reached) = self.names.get_mut(id.index())
            && !std::mem::replace(&mut reached.queued, true)
        {
            self.queue.push(id);
        }
    }

    /// Takes all that a name leads to.
    fn expand(&mut self, id: NameId) {
        let mut providers = Vec::new();
        let mut waiting = Vec::new();
        for place in 0..self.universe.places.len() {
            let Some(named) = self.named(id, place) else {
                continue;
            };
            for giver in named.givers() {
                if let Some(package) = self.package_at(place, giver.package) {
                    providers.push(Provider {
                        package,
                        version: giver.version,
                    });
                }
            }
            for position in named.waiting() {
                waiting.extend(self.package_at(place, position));
            }
        }
        for provider in &providers {
            self.follow(provider.package);
        }
        let mut triggered = Vec::new();
        for package in waiting {
            self.follow(package);
            if let Some(package) = self.universe.packages.get(package.index()) {
                triggered.push(package.name);
                triggered.extend(package.provides.iter().map(|(given, _)| *given));
            }
        }
        if let Some(name) = self.universe.names.get_mut(id.index()) {
            name.providers = providers;
            name.install_if_of = triggered;
        }
    }

    /// Returns the package that first stands at a position of a place; `None` where an earlier
    /// place, or an earlier position of this one, has the same package.
    fn package_at(&mut self, place: usize, position: usize) -> Option<PackageId> {
        if let Some(id) = self.package_id(place, position) {
            return Some(id);
        }
        let here = self.universe.places.get(place)?;
        let at = here.directory.find(here.index.get(position)?.name())?;
        let name = self.name_at(place, at)?;
        if !std::mem::replace(&mut self.names.get_mut(name.index())?.owned, true) {
            self.make_owned(name);
        }
        self.package_id(place, position)
    }

    fn package_id(&self, place: usize, position: usize) -> Option<PackageId> {
        let id = self.packages.get(place)?.get(position)?;
        Some(PackageId(id.checked_sub(1)?))
    }

    /// Makes the packages that a name is the own name of, each once however many places have it.
    fn make_owned(&mut self, name: NameId) {
        for place in 0..self.universe.places.len() {
            let (Some(named), Some(here)) =
                (self.named(name, place), self.universe.places.get(place))
            else {
                continue;
            };
            let (index, bit) = (here.index, here.bit);
            for giver in named.givers().filter(|giver| giver.own) {
                let Some(stanza) = index.get(giver.package) else {
                    continue;
                };
                let next = PackageId(self.universe.packages.len() as u32);
                let key = (name, stanza.identity());
                let id = *self.identities.entry(key).or_insert(next);
                let source = self.universe.places[place].source(giver.package);
                if id == next {
                    if let Some(slot) = self
                        .packages
                        .get_mut(place)
                        .and_then(|ids| ids.get_mut(giver.package))
                    {
                        *slot = id.0 + 1;
                    }
                    self.first.push((place as u32, giver.package as u32));
                    self.followed.push(false);
                    self.universe.packages.push(Package {
                        stanza,
                        name,
                        provides: Vec::new(),
                        depends: Vec::new(),
                        install_if: Vec::new(),
                        repositories: 0,
                        source,
                        installed: None,
                        installable: !stanza.has_unknown_field(),
                    });
                }
                let Some(package) = self.universe.packages.get_mut(id.index()) else {
                    continue;
                };
                match source {
                    Source::Installed(position) => package.installed = Some(position),
                    Source::Repository { .. } if package.repositories == 0 => {
                        package.source = source;
                    }
                    Source::Repository { .. } => {}
                }
                package.repositories |= bit;
            }
        }
    }

    /// Takes all that a package refers to.
    fn follow(&mut self, id: PackageId) {
        let Some(followed) = self.followed.get_mut(id.index()) else {
            return;
        };
        if std::mem::replace(followed, true) {
            return;
        }
        let Some(package) = self.universe.packages.get(id.index()) else {
            return;
        };
        let (stanza, name) = (package.stanza, package.name);
        let dialect = self.universe.dialect;
        self.enqueue(name);
        let mut provides = Vec::new();
        for provided in dependency::list(stanza.provides(), dialect) {
            let given = self.find_or_add(provided.name);
            self.enqueue(given);
            let version = !provided.version.is_empty();
            provides.push((given, version.then_some(provided.version)));
        }
        let mut depends = Vec::new();
        let mut dependencies = stanza.dependencies(dialect);
        for dependency in dependencies.by_ref() {
            let wanted = self.wanted(dependency);
            self.enqueue(wanted.name);
            depends.push(wanted);
        }
        let conditions = dependency::list(stanza.install_if(), dialect);
        let install_if = conditions.map(|condition| self.wanted(condition)).collect();
        let installable = match dialect {
            Dialect::V2 => true,
            Dialect::V3 => {
                let architecture = stanza.architecture();
                is_valid(stanza.version(), dialect)
                    && !dependencies.is_malformed()
                    && (matches!(architecture, "" | "noarch" | "all")
                        || self.architectures.contains(&architecture))
            }
        };
        if let Some(package) = self.universe.packages.get_mut(id.index()) {
            package.provides = provides;
            package.depends = depends;
            package.install_if = install_if;
            package.installable &= installable;
        }
    }

    fn wanted(&mut self, dependency: Dependency<'a>) -> Wanted<'a> {
        Wanted {
            name: self.find(dependency.name).unwrap_or(self.universe.nothing),
            dependency,
        }
    }

    /// Renumbers names and packages into their lasting order.
    fn finish(self) -> Universe<'a> {
        let Self {
            mut universe,
            names,
            first,
            ..
        } = self;
        let new_names = positions(&names, |name| name.key);
        let new_packages = positions(&first, |first| *first);
        let name = |id: NameId| NameId(new_names.get(id.index()).copied().unwrap_or_default());
        let package =
            |id: PackageId| PackageId(new_packages.get(id.index()).copied().unwrap_or_default());
        universe.names = permuted(universe.names, &new_names);
        universe.packages = permuted(universe.packages, &new_packages);
        for place in &mut universe.places {
            for slot in place.names.iter_mut().filter(|slot| **slot != 0) {
                *slot = name(NameId(*slot - 1)).0 + 1;
            }
        }
        for (_, id) in &mut universe.unknown {
            *id = name(*id);
        }
        for package in &mut universe.packages {
            package.name = name(package.name);
            package
                .provides
                .iter_mut()
                .for_each(|given| given.0 = name(given.0));
            let wanted = package.depends.iter_mut().chain(&mut package.install_if);
            wanted.for_each(|wanted| wanted.name = name(wanted.name));
        }
        for named in &mut universe.names {
            for provider in &mut named.providers {
                provider.package = package(provider.package);
            }
            named
                .install_if_of
                .iter_mut()
                .for_each(|id| *id = name(*id));
            named.install_if_of.sort_unstable();
            named.install_if_of.dedup();
        }
        sort_triggered(&mut universe.names);
        universe.nothing = name(universe.nothing);
        universe
    }
}

/// Puts the names that one triggers into apk's order.
fn sort_triggered(names: &mut [Name<'_>]) {
    for at in 0..names.len() {
        let Some(name) = names
            .get_mut(at)
            .filter(|name| name.install_if_of.len() > 1)
        else {
            continue;
        };
        let mut list = std::mem::take(&mut name.install_if_of);
        list.sort_by_cached_key(|id| table_order(names, *id));
        if let Some(name) = names.get_mut(at) {
            name.install_if_of = list;
        }
    }
}

/// Returns where each item goes when they are put in the order of their keys.
fn positions<T, K: Ord>(items: &[T], key: impl Fn(&T) -> K) -> Vec<u32> {
    let mut order: Vec<u32> = (0..items.len() as u32).collect();
    order.sort_unstable_by_key(|at| items.get(*at as usize).map(&key));
    let mut positions = vec![0; items.len()];
    for (position, at) in (0..).zip(order) {
        if let Some(slot) = positions.get_mut(at as usize) {
            *slot = position;
        }
    }
    positions
}

/// Puts each item where it goes.
fn permuted<T>(items: Vec<T>, positions: &[u32]) -> Vec<T> {
    let mut slots: Vec<Option<T>> = items.iter().map(|_| None).collect();
    for (item, position) in items.into_iter().zip(positions) {
        if let Some(slot) = slots.get_mut(*position as usize) {
            *slot = Some(item);
        }
    }
    slots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use prebake_apk::index::Index;

    use super::*;
    use crate::order::Order;
    use crate::searched;
    use crate::solution::Solution;

    /// A generator of numbers (Lehmer's), the same on every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0 * 48_271 % 0x7fff_ffff;
            self.0 % bound
        }

        fn words(&mut self, most: u64, words: &[&str]) -> String {
            let count = self.below(most + 1);
            let word = |_| words[self.below(words.len() as u64) as usize];
            (0..count).map(word).collect::<Vec<_>>().join(" ")
        }
    }

    fn index(numbers: &mut Numbers) -> Index {
        let mut text = String::new();
        for _ in 0..3 + numbers.below(8) {
            let checksum = numbers.below(9);
            let name = ["a", "b", "c", "d", "e", "f", "g"][numbers.below(7) as usize];
            let version = 1 + numbers.below(3);
            let asked = [
                "a", "b", "c", "d>1", "so:x", "so:y=1", "!e", "z", "!so:z", "f",
            ];
            let given = ["so:x", "so:x=1", "so:y=1", "so:z", "a", "v=2"];
            let awaited = ["a", "b", "so:x", "v", "!c"];
            let depends = numbers.words(3, &asked);
            let provides = numbers.words(2, &given);
            let install_if = numbers.words(numbers.0 % 3, &awaited);
            write!(
                text,
                "C:Q1qKcZ+j23xssAXmgQhkOO8dHn{checksum}Ww=\nP:{name}\nV:{version}\nD:{depends}\n\
                 p:{provides}\ni:{install_if}\n\n"
            )
            .unwrap();
        }
        Index::parse(text.into_bytes()).unwrap()
    }

    fn solution(request: &Request<'_>, scope: Scope) -> Option<Solution> {
        let universe = Universe::new(request, scope);
        let mut search = searched(&universe, request, crate::MAX_STEPS).unwrap();
        (!search.failed).then(|| Order::new(&mut search).solution())
    }

    #[test]
    fn what_nothing_leads_to_changes_nothing() {
        let mut numbers = Numbers(7);
        let (mut solved, mut left_out) = (0, 0);
        for _ in 0..3000 {
            let (one, two, base) = (
                index(&mut numbers),
                index(&mut numbers),
                index(&mut numbers),
            );
            let repositories = [&one, &two].map(|index| Repository { index, tag: None });
            let world = numbers.words(3, &["a", "b>1", "c", "so:x", "!d", "v", "nowhere"]);
            let dialect = [Dialect::V2, Dialect::V3][numbers.below(2) as usize];
            let world: Vec<_> = dependency::list(&world, dialect).collect();
            let request = Request {
                world: &world,
                repositories: &repositories,
                installed: (numbers.below(2) == 1).then_some(&base),
                dialect,
                architectures: &[],
                upgrade: false,
            };
            let some = solution(&request, Scope::Reachable);
            assert_eq!(some, solution(&request, Scope::Everything), "{request:?}");
            solved += u32::from(some.is_some());
            let count = |scope| Universe::new(&request, scope).packages.len();
            left_out += count(Scope::Everything) - count(Scope::Reachable);
        }
        assert!(solved > 500 && left_out > 5000, "{solved} {left_out}");
    }
}
