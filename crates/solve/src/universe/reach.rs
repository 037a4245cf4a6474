//! Finds what a world leads to, and makes a universe of it.
//!
//! A search follows references: from a name to its providers, and to what waits for it in an
//! `install_if`; from a package to all its names and to what it depends on or forbids. Whatever
//! can be reached that way from the world and the base is taken, which is more than any search
//! looks at, so that leaving out the rest changes no answer. What an `install_if` waits for is
//! named and not followed: it counts only if something else leads to it, and until then most of
//! what waits for it is put off. Neither counts a name that
//! one package alone provides and nothing asks for, as most `cmd:` names are.

use std::collections::BTreeMap;

use prebake_apk::dependency::Dependency;
use prebake_apk::digest::Sha1;
use prebake_apk::index::{Giver, Link, Named, name_hash};
use prebake_apk::version::Dialect;

use super::{
    FORBIDDEN, Key, Name, NameId, Package, PackageId, Place, Provider, Run, Universe, Wanted,
    Written, named,
};
use crate::request::{Repository, Request};
use crate::table;

mod passed_over;
mod waiting;

/// How much a universe has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the world and the base lead to.
    Reachable,
    /// Everything that there is.
    Everything,
}

/// An index was read for another dialect than the request's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtherDialect;

/// How far a name is.
struct Reached {
    /// Whether it is in the queue, or was.
    queued: bool,
    /// Whether the packages that it is the own name of were made.
    owned: bool,
}

/// What a place's own numbers stand for: an id plus one, or 0 for none yet.
struct Ids {
    /// By position in the directory.
    names: Vec<u32>,
    /// By position in the index, of the packages that stand there first.
    packages: Vec<u32>,
}

struct Reach<'a, 'r> {
    /// All but its places.
    universe: Universe<'a>,
    places: &'r [Place<'a>],
    architectures: &'r [&'r str],
    names: Vec<Reached>,
    /// Whether what each package refers to was taken; and the packages in the order in which it was.
    is_followed: Vec<bool>,
    followed: Vec<PackageId>,
    /// The names that were passed over so far, by place and position.
    passed_over: Vec<(usize, usize)>,
    queue: Vec<NameId>,
    ids: Vec<Ids>,
    /// What waits for the names that were reached, by place and position; those among it that were
    /// put off; and the names, each with its stretch of the first.
    waiting: Vec<Key>,
    put_off: Vec<(usize, usize)>,
    awaited: Vec<(NameId, Run)>,
    /// For lists that are needed often and never long: the packages of a name and where they are,
    /// and what they are by identity.
    own: Vec<(usize, Giver)>,
    of_name: BTreeMap<Sha1, PackageId>,
}

pub(super) fn universe<'a>(
    request: &Request<'a>,
    scope: Scope,
) -> Result<Universe<'a>, OtherDialect> {
    let installed = request.installed.map(|index| (index, None));
    let repositories = request.repositories.iter().enumerate();
    let repositories =
        repositories.map(|(position, Repository { index, .. })| (*index, Some(position)));
    let mut places = Vec::new();
    let mut ids = Vec::new();
    for (index, repository) in installed.into_iter().chain(repositories) {
        let directory = index.directory(request.dialect).ok_or(OtherDialect)?;
        let mut known = Ids {
            names: Vec::new(),
            packages: Vec::new(),
        };
        // Written to once all over: memory that is only said to be empty would be got twice, for
        // reading and then for writing, and that takes longer.
        known.names.resize(directory.positions(), 0);
        known.packages.resize(index.len(), 0);
        ids.push(known);
        places.push(Place {
            directory,
            repository,
        });
    }
    // There cannot be more. What of it is not used is never touched, and so costs nothing; to grow
    // would mean to copy.
    let most_names = ids.iter().map(|ids| ids.names.len()).sum();
    let most_packages = ids.iter().map(|ids| ids.packages.len()).sum();
    let mut reach = Reach {
        universe: Universe {
            packages: Vec::with_capacity(most_packages),
            names: Vec::with_capacity(most_names),
            positions: Vec::with_capacity(most_names * places.len()),
            unknown: Vec::new(),
            providers: Vec::with_capacity(most_names),
            triggered: Vec::new(),
            provides: Vec::with_capacity(most_names),
            // Alpine's packages have some four dependencies each.
            wanted: Vec::with_capacity(most_packages * 4),
            written: Vec::with_capacity(most_packages),
            dependencies: Vec::new(),
            world: Vec::new(),
            added: Vec::new(),
            dialect: request.dialect,
            nothing: NameId(0),
            places: Vec::new(),
        },
        places: &places,
        architectures: request.architectures,
        names: Vec::with_capacity(most_names),
        is_followed: Vec::with_capacity(most_packages),
        followed: Vec::with_capacity(most_packages),
        passed_over: Vec::new(),
        queue: Vec::new(),
        ids,
        waiting: Vec::new(),
        put_off: Vec::new(),
        awaited: Vec::new(),
        own: Vec::new(),
        of_name: BTreeMap::new(),
    };
    // No name in an index is empty or holds a space.
    reach.name_nowhere((0, 0), " ");
    for place in 0..places.len() {
        if scope == Scope::Everything || reach.is_base(place) {
            reach.enqueue_all(place);
        }
    }
    let mut world: Vec<_> = request.world.iter().collect();
    for dependency in &world {
        let id = reach.find_or_add(dependency.name);
        reach.enqueue(id);
    }
    crate::world::sort_by_name(&mut world, |dependency| **dependency);
    for dependency in world {
        let name = reach.find_or_add(dependency.name);
        let wanted = reach.written(name, *dependency);
        reach.universe.world.push(wanted);
    }
    for dependency in request.added.iter().filter(|added| !added.conflict) {
        let name = reach.find_or_add(dependency.name);
        reach.universe.added.push(name);
    }
    while let Some(id) = reach.queue.pop() {
        reach.expand(id);
    }
    reach.settle_waiting();
    reach.settle_passed_over();
    let universe = reach.universe;
    Ok(Universe { places, ..universe })
}

impl<'a> Reach<'a, '_> {
    fn is_base(&self, place: usize) -> bool {
        let place = self.places.get(place);
        place.is_some_and(|place| place.repository.is_none())
    }

    fn enqueue_all(&mut self, place: usize) {
        let count = self.places.get(place);
        for at in 0..count.map_or(0, |place| place.directory.len()) {
            if let Some(id) = self.name_at(place, at) {
                self.enqueue(id);
            }
        }
    }

    /// Adds a name whose positions in the places' directories are known.
    fn name(&mut self, key: Key, hash: u32) -> NameId {
        let id = NameId(self.names.len() as u32);
        self.universe.names.push(Name {
            key,
            slot: table::slot(hash),
            providers: Run::default(),
            install_if_of: Run::default(),
        });
        self.names.push(Reached {
            queued: false,
            owned: false,
        });
        id
    }

    /// Adds a name that no place has.
    fn name_nowhere(&mut self, key: Key, text: &str) -> NameId {
        let positions = &mut self.universe.positions;
        positions.extend(std::iter::repeat_n(0, self.places.len()));
        self.name(key, name_hash(text))
    }

    /// Returns the id of the name at a position of a place's directory: of one that is only
    /// depended on there, what it is elsewhere.
    #[inline]
    fn name_at(&mut self, place: usize, at: usize) -> Option<NameId> {
        match self.ids.get(place)?.names.get(at)?.checked_sub(1) {
            Some(id) => Some(NameId(id)),
            None => self.new_name_at(place, at),
        }
    }

    #[inline(never)]
    fn new_name_at(&mut self, place: usize, at: usize) -> Option<NameId> {
        let directory = &self.places.get(place)?.directory;
        let named = directory.get(at)?;
        if at < directory.len() {
            return Some(self.add(&named, (place, at)));
        }
        let id = self.find_same(place, &named);
        let id = id.or_else(|| self.unknown(named.text()));
        let id = id.unwrap_or(self.universe.nothing);
        if let Some(slot) = self
            .ids
            .get_mut(place)
            .and_then(|ids| ids.names.get_mut(at))
        {
            *slot = id.0 + 1;
        }
        Some(id)
    }

    /// Adds a name that some place has, at a position of one.
    fn add(&mut self, named: &Named<'a>, known: (usize, usize)) -> NameId {
        let id = NameId(self.names.len() as u32);
        let positions = &mut self.universe.positions;
        let mut key = None;
        for (number, (place, ids)) in (0..).zip(self.places.iter().zip(&mut self.ids)) {
            let found = if number == known.0 {
                Some(known.1)
            } else {
                place.directory.find_same(named)
            };
            let slot = found.and_then(|found| Some((found as u32, ids.names.get_mut(found)?)));
            positions.push(slot.map_or(0, |(found, slot)| {
                *slot = id.0 + 1;
                key.get_or_insert((number as u32 + 1, found));
                found + 1
            }));
        }
        // It is where it is known to be, so that there is a key.
        self.name(key.unwrap_or_default(), named.hash())
    }

    /// Returns the id of a name that is only depended on in a place and that another one has.
    fn find_same(&mut self, known: usize, named: &Named<'a>) -> Option<NameId> {
        for (place, here) in self.places.iter().enumerate() {
            if place == known {
                continue;
            }
            if let Some(at) = here.directory.find_same(named) {
                return self.name_at(place, at);
            }
        }
        None
    }

    /// Returns the id of a name that some place or the world has.
    fn find(&mut self, text: &str) -> Option<NameId> {
        for (place, here) in self.places.iter().enumerate() {
            if let Some(at) = here.directory.find(text) {
                return self.name_at(place, at);
            }
        }
        self.unknown(text)
    }

    fn unknown(&self, text: &str) -> Option<NameId> {
        let mut unknown = self.universe.unknown.iter();
        unknown.find(|(name, _)| *name == text).map(|(_, id)| *id)
    }

    fn find_or_add(&mut self, text: &'a str) -> NameId {
        self.find(text).unwrap_or_else(|| {
            let id = self.name_nowhere((u32::MAX, self.universe.unknown.len() as u32), text);
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

    fn named(&self, id: NameId, place: usize) -> Option<Named<'a>> {
        named(&self.universe.positions, self.places, id, place)
    }

    /// Takes all that a name leads to.
    fn expand(&mut self, id: NameId) {
        let first = self.universe.providers.len();
        let first_waiting = self.waiting.len();
        for place in 0..self.places.len() {
            let Some(named) = self.named(id, place) else {
                continue;
            };
            for giver in named.givers() {
                if let Some(package) = self.package_at(place, giver.package) {
                    self.universe.providers.push(Provider {
                        package,
                        version: giver.version,
                    });
                }
            }
            let waiting = named
                .waiting()
                .map(|position| (place as u32, position as u32));
            self.waiting.extend(waiting);
        }
        let providers = run(first, &self.universe.providers);
        for at in first..self.universe.providers.len() {
            if let Some(provider) = self.universe.providers.get(at) {
                self.follow(provider.package);
            }
        }
        let waiting = run(first_waiting, &self.waiting);
        self.follow_waiting(id, waiting);
        if let Some(name) = self.universe.names.get_mut(id.index()) {
            name.providers = providers;
        }
    }

    /// Returns the package that first stands at a position of a place; `None` where an earlier
    /// place, or an earlier position of this one, has the same package.
    fn package_at(&mut self, place: usize, position: usize) -> Option<PackageId> {
        if let Some(id) = self.package_id(place, position) {
            return Some(id);
        }
        let directory = &self.places.get(place)?.directory;
        let name = self.name_at(place, directory.package(position).name()?)?;
        if !std::mem::replace(&mut self.names.get_mut(name.index())?.owned, true) {
            self.make_owned(name);
        }
        self.package_id(place, position)
    }

    fn package_id(&self, place: usize, position: usize) -> Option<PackageId> {
        let id = self.ids.get(place)?.packages.get(position)?;
        Some(PackageId(id.checked_sub(1)?))
    }

    /// Makes the packages that a name is the own name of, each once however many places have it.
    fn make_owned(&mut self, name: NameId) {
        let mut own = std::mem::take(&mut self.own);
        for place in 0..self.places.len() {
            if let Some(named) = self.named(name, place) {
                let givers = named.givers().filter(|giver| giver.own);
                own.extend(givers.map(|giver| (place, giver)));
            }
        }
        // Most names have one package.
        let is_alone = own.len() == 1;
        self.of_name.clear();
        for (place, giver) in own.drain(..) {
            let Some(here) = self.places.get(place) else {
                continue;
            };
            let Some(stanza) = here.directory.package(giver.package).stanza() else {
                continue;
            };
            let next = PackageId(self.universe.packages.len() as u32);
            let id = if is_alone {
                next
            } else {
                *self.of_name.entry(stanza.identity()).or_insert(next)
            };
            let position = giver.package as u32;
            if id == next {
                let ids = self.ids.get_mut(place);
                if let Some(slot) = ids.and_then(|ids| ids.packages.get_mut(giver.package)) {
                    *slot = id.0 + 1;
                }
                self.is_followed.push(false);
                self.universe.packages.push(Package {
                    name,
                    version: giver.version,
                    provider_priority: stanza.provider_priority(),
                    provides: Run::default(),
                    depends: Run::default(),
                    install_if: Run::default(),
                    key: (place as u32, position),
                    repositories: 0,
                    position,
                    installed: None,
                    installable: !stanza.has_unknown_field(),
                });
            }
            let Some(package) = self.universe.packages.get_mut(id.index()) else {
                continue;
            };
            match here.repository {
                None => package.installed = Some(position),
                Some(repository) => {
                    if package.repositories == 0 {
                        package.position = position;
                    }
                    package.repositories |= 1 << repository;
                }
            }
        }
        self.own = own;
    }

    /// Takes all that a package refers to.
    fn follow(&mut self, id: PackageId) {
        let Some(is_followed) = self.is_followed.get_mut(id.index()) else {
            return;
        };
        if std::mem::replace(is_followed, true) {
            return;
        }
        self.followed.push(id);
        let Some(package) = self.universe.packages.get(id.index()) else {
            return;
        };
        let ((place, position), name) = (package.key, package.name);
        let (place, position) = (place as usize, position as usize);
        let Some(here) = self.places.get(place) else {
            return;
        };
        let referring = here.directory.package(position);
        self.enqueue(name);
        let first = self.universe.provides.len();
        // All names of what may be triggered count.
        let counts_all = referring.install_if().next().is_some();
        for (at, version) in referring.provides() {
            // So does it if a package provides anything without a version.
            let given = if !counts_all && version.is_some() && self.is_given_once(place, at) {
                self.pass_over(place, at)
            } else if let Some(given) = self.name_at(place, at) {
                self.enqueue(given);
                given
            } else {
                continue;
            };
            self.universe.provides.push((given, version));
        }
        let provides = run(first, &self.universe.provides);
        let first = self.universe.wanted.len();
        referring.depends().for_each(|link| {
            let wanted = self.wanted(place, link);
            self.enqueue(wanted.name);
            self.universe.wanted.push(wanted);
        });
        let depends = run(first, &self.universe.wanted);
        let first = self.universe.wanted.len();
        referring.install_if().for_each(|link| {
            let wanted = self.wanted(place, link);
            self.universe.wanted.push(wanted);
        });
        let install_if = run(first, &self.universe.wanted);
        let installable = match self.universe.dialect {
            Dialect::V2 => true,
            Dialect::V3 => {
                let stanza = referring.stanza();
                let architecture = stanza.map_or("", |stanza| stanza.architecture());
                referring.is_sound()
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

    /// Looks the name of a dependency up.
    #[inline]
    fn wanted(&mut self, place: usize, link: Link<'a>) -> Wanted {
        match link {
            Link::Plain(at) => {
                let name = self.name_at(place, at).unwrap_or(self.universe.nothing);
                if name != self.universe.nothing {
                    return plain(name);
                }
                let place = self.places.get(place);
                let named = place.and_then(|place| place.directory.get(at));
                let text = named.map_or("", |named| named.text());
                self.written(name, Dependency::on(text))
            }
            Link::Written { name, dependency } => {
                let name = name.and_then(|at| self.name_at(place, at));
                let find = || self.find(dependency.name);
                match name.or_else(find).unwrap_or(self.universe.nothing) {
                    name if name != self.universe.nothing && dependency.is_plain() => plain(name),
                    name => self.written(name, dependency),
                }
            }
            Link::Kept { name, conflict, at } => {
                let name = self.name_at(place, name).unwrap_or(self.universe.nothing);
                self.more(name, conflict, Written::Kept(place as u32, at))
            }
        }
    }

    fn written(&mut self, name: NameId, dependency: Dependency<'a>) -> Wanted {
        let dependencies = &mut self.universe.dependencies;
        let written = Written::Read(dependencies.len() as u32);
        dependencies.push(dependency);
        self.more(name, dependency.conflict, written)
    }

    fn more(&mut self, name: NameId, conflict: bool, written: Written) -> Wanted {
        self.universe.written.push(written);
        let flag = if conflict { FORBIDDEN } else { 0 };
        Wanted {
            name,
            more: self.universe.written.len() as u32 | flag,
        }
    }
}

/// A dependency on nothing but a name.
fn plain(name: NameId) -> Wanted {
    Wanted { name, more: 0 }
}

/// Returns the stretch of a list from a place to its end.
fn run<T>(start: usize, list: &[T]) -> Run {
    Run {
        start: start as u32,
        end: list.len() as u32,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use prebake_apk::dependency;
    use prebake_apk::digest::Sha256;
    use prebake_apk::index::{Index, Origin};

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
            // Nothing leads to the last two but the world, and what waits for them is put off.
            let name = ["a", "b", "c", "d", "e", "f", "g", "h", "k"][numbers.below(9) as usize];
            let version = 1 + numbers.below(3);
            let asked = [
                "a", "b", "c", "d>1", "so:x", "so:y=1", "!e", "z", "!so:z", "f",
            ];
            let given = ["so:x", "so:x=1", "so:y=1", "so:z", "a", "v=2"];
            let awaited = ["a", "b", "so:x", "v", "!c", "h", "h", "k"];
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
        // As documentation is: nothing refers to it, and it refers to nothing. But some of it, as
        // `-pyc` packages do, depends on something: even where it cannot come, that it is looked at
        // decides how high names in circles stand.
        for _ in 0..numbers.below(6) {
            let (checksum, number) = (numbers.below(9), numbers.below(20));
            let awaited = ["a", "b", "c", "d", "so:x", "h", "k", "nothing"];
            let install_if = format!(
                "{} {}",
                awaited[numbers.below(8) as usize],
                numbers.words(1, &awaited)
            );
            let asked = ["a", "b", "c", "d", "e", "f", "g", "so:x", "so:z", "!e"];
            let depends = numbers.words(numbers.0 % 4, &asked);
            write!(
                text,
                "C:Q1qKcZ+j23xssAXmgQhkOO8dHn{checksum}Ww=\nP:alone{number}\nV:1\nD:{depends}\n\
                 i:{install_if}\n\n"
            )
            .unwrap();
        }
        Index::parse(text.into_bytes()).unwrap()
    }

    /// Returns an index as it is read from its parsed form.
    fn parsed(index: &Index, dialect: Dialect) -> Index {
        let sha256 = Sha256::of(b"");
        let origin = Origin {
            sha256,
            fingerprint: sha256,
            key_name: String::new(),
            signers: Vec::new(),
            description: Vec::new(),
            made: None,
        };
        let bytes = index.to_parsed(&origin, dialect).unwrap();
        Index::from_parsed(bytes, sha256, dialect).unwrap().0
    }

    fn solution(request: &Request<'_>, scope: Scope) -> Option<Solution> {
        let universe = Universe::new(request, scope).unwrap();
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
            let world = numbers.words(3, &["a", "b>1", "c", "so:x", "!d", "v", "nowhere", "h"]);
            let dialect = [Dialect::V2, Dialect::V3][numbers.below(2) as usize];
            let world: Vec<_> = dependency::list(&world, dialect).collect();
            let request = Request {
                world: &world,
                added: world.get(numbers.below(3) as usize..).unwrap_or_default(),
                repositories: &repositories,
                installed: (numbers.below(2) == 1).then_some(&base),
                dialect,
                architectures: &[],
                upgrade: false,
            };
            let some = solution(&request, Scope::Reachable);
            assert_eq!(some, solution(&request, Scope::Everything), "{request:?}");
            let (one, two) = (parsed(&one, dialect), parsed(&two, dialect));
            let repositories = [&one, &two].map(|index| Repository { index, tag: None });
            let over_parsed = Request {
                repositories: &repositories,
                ..request
            };
            assert_eq!(
                some,
                solution(&over_parsed, Scope::Reachable),
                "{request:?}"
            );
            solved += u32::from(some.is_some());
            let count = |scope| Universe::new(&request, scope).unwrap().packages.len();
            left_out += count(Scope::Everything) - count(Scope::Reachable);
        }
        assert!(solved > 500 && left_out > 5000, "{solved} {left_out}");
    }
}
