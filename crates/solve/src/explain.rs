//! Finding the reasons after a search has failed.

use std::collections::{BTreeMap, BTreeSet};

use prebake_apk::dependency::Dependency;
use prebake_apk::index::TextAt;

use crate::search::Search;
use crate::state::Choice;
use crate::universe::{NameId, PackageId, Provider, Wanted};
use crate::why::{Candidate, Need, Objection, Reason, Requirer, Unsatisfiable};

/// How deep the tree of reasons goes. What lies deeper is seldom the cause.
const MAX_DEPTH: usize = 4;
/// How many candidates of one name are looked at.
const MAX_CANDIDATES: usize = 12;
/// How many reasons are given for one failure.
const MAX_REASONS: usize = 20;
/// How many candidates are looked at in all: what has to do with everything explains nothing, and
/// without a bound a tree of reasons grows with each level.
const MAX_LOOKS: usize = 200;
/// How many things are said against one candidate, and how many of those that need it are named.
const MAX_OBJECTIONS: usize = 5;
const MAX_NEEDS: usize = 3;
/// How many near names are offered, and how many letters they may be off.
const NEAR: (usize, usize) = (3, 2);

/// A dependency that counts, with who asks for it.
type Demand = (Option<PackageId>, Wanted);

struct Explain<'a, 's, 'u> {
    search: &'s Search<'a, 'u>,
    demands: Vec<Demand>,
    /// The demands of each name, as places in `demands`.
    of_name: BTreeMap<NameId, Vec<usize>>,
    /// What was explained: a name, and who asks for it.
    explained: BTreeSet<(Option<PackageId>, NameId)>,
    /// How many more candidates may be looked at.
    looks_left: usize,
}

/// Says what of all that was asked for cannot be had.
pub(crate) fn explain(search: &Search<'_, '_>) -> Unsatisfiable {
    let mut demands: Vec<Demand> = Vec::new();
    demands.extend(search.world.iter().map(|wanted| (None, *wanted)));
    let mut chosen: Vec<PackageId> = search
        .names
        .known()
        .filter_map(|name| Some(name.choice.provider()?.package))
        .collect();
    chosen.sort_unstable_by_key(|id| search.package(*id).key);
    chosen.dedup();
    for package in chosen {
        let depends = search.depends(package);
        demands.extend(depends.iter().map(|wanted| (Some(package), *wanted)));
    }
    let mut of_name: BTreeMap<NameId, Vec<usize>> = BTreeMap::new();
    for (at, (_, wanted)) in demands.iter().enumerate() {
        of_name.entry(wanted.name).or_default().push(at);
    }
    let mut explain = Explain {
        search,
        demands,
        of_name,
        explained: BTreeSet::new(),
        looks_left: MAX_LOOKS,
    };
    // What is demanded of a name and not met; a shared name asks for a look at every provider.
    let mut broken: Vec<Demand> = explain
        .demands
        .iter()
        .filter(|(_, wanted)| !explain.is_met(*wanted))
        .copied()
        .collect();
    if broken.is_empty() {
        // Every demand is met, but not by packages that may be there together.
        broken = explain
            .demands
            .iter()
            .filter(|(_, wanted)| {
                search.names[wanted.name]
                    .choice
                    .provider()
                    .is_some_and(|provider| {
                        let state = &search.packages[provider.package];
                        !state.selectable || !state.pin_allowed
                    })
            })
            .copied()
            .collect();
    }
    broken.truncate(MAX_REASONS);
    let reasons = broken
        .into_iter()
        .map(|demand| explain.reason(demand, 0))
        .collect();
    Unsatisfiable { reasons }
}

impl<'a> Explain<'a, '_, '_> {
    fn is_met(&self, wanted: Wanted) -> bool {
        match self.search.names[wanted.name].choice {
            Choice::Provider(provider) => self.search.satisfies(wanted, provider),
            Choice::Open | Choice::Nobody => wanted.is_conflict(),
        }
    }

    fn reason(&mut self, (requirer, wanted): Demand, depth: usize) -> Reason {
        let search = self.search;
        self.explained.insert((requirer, wanted.name));
        let dependency = search.universe.dependency(wanted);
        let mut providers: Vec<_> = search.providers(wanted.name).to_vec();
        if wanted.is_conflict() {
            // Of what is forbidden only that matters which is there nevertheless.
            let there = search.chosen(wanted.name);
            providers.retain(|provider| Some(provider.package) == there);
        }
        let near = if providers.is_empty() {
            self.near(dependency.name)
        } else {
            Vec::new()
        };
        let shown = providers.len().min(MAX_CANDIDATES).min(self.looks_left);
        self.looks_left -= shown;
        let more = providers.len() - shown;
        providers.truncate(shown);
        let candidates = providers
            .into_iter()
            .map(|provider| self.candidate(wanted, provider, depth))
            .collect();
        Reason {
            dependency: dependency.to_string(),
            requirer: self.requirer(requirer),
            candidates,
            more,
            near,
        }
    }

    fn candidate(&mut self, wanted: Wanted, provider: Provider, depth: usize) -> Candidate {
        let search = self.search;
        let id = provider.package;
        let package = search.package(id);
        let state = &search.packages[id];
        let mut objections = Vec::new();
        let is_meant = search.satisfies(wanted, provider);
        if wanted.is_conflict() {
            return Candidate {
                name: search.text(package.name).to_owned(),
                version: search.universe.version(id).to_owned(),
                needs: self.needs(id),
                objections,
            };
        }
        if !is_meant {
            objections.push(Objection::Version(
                search
                    .universe
                    .provided_version(provider)
                    .map(str::to_owned),
            ));
        }
        if !package.installable {
            objections.push(Objection::Uninstallable);
        }
        if state.is_discovered()
            && !state.pin_allowed
            && let Some(tag) = search.tag_with(id)
        {
            objections.push(Objection::Tag(tag.to_owned()));
        }
        let own = (package.name, self.search.universe.own(id).version);
        for (name, version) in std::iter::once(own).chain(self.search.provides(id).iter().copied())
        {
            if objections.len() >= MAX_OBJECTIONS {
                break;
            }
            self.object_to_name(id, name, version, wanted, &mut objections);
        }
        if provider.version.is_none()
            && package.provider_priority == 0
            && search.names[package.name].requirers == 0
        {
            objections.push(Objection::NotByItself);
        }
        for needed in search.depends(id) {
            if depth >= MAX_DEPTH || objections.len() >= MAX_OBJECTIONS || self.looks_left == 0 {
                break;
            }
            if needed.is_conflict() || self.can_be_had(*needed) {
                continue;
            }
            objections.push(if self.explained.contains(&(Some(id), needed.name)) {
                Objection::NeedsAsSaid(search.universe.dependency(*needed).to_string())
            } else {
                Objection::Needs(Box::new(self.reason((Some(id), *needed), depth + 1)))
            });
        }
        Candidate {
            name: search.text(package.name).to_owned(),
            version: search.universe.version(id).to_owned(),
            needs: Vec::new(),
            objections,
        }
    }

    /// Finds who needs a package that was chosen: the nearest few, each up to the world.
    fn needs(&self, id: PackageId) -> Vec<Need> {
        let mut needs = Vec::new();
        for (requirer, dependency) in self.asks_for(id) {
            if needs.len() >= MAX_NEEDS {
                break;
            }
            let mut by = Vec::new();
            let mut seen = vec![id];
            let mut next = requirer;
            while let Some(package) = next {
                by.push(self.full_name(package));
                if seen.contains(&package) || by.len() > MAX_DEPTH {
                    break;
                }
                seen.push(package);
                let asks: Vec<_> = self.asks_for(package).collect();
                let world = asks.iter().find(|(requirer, _)| requirer.is_none());
                next = match world.or(asks.first()) {
                    Some((requirer, _)) => *requirer,
                    None => break,
                };
            }
            needs.push(Need {
                dependency: dependency.to_string(),
                by,
                by_world: next.is_none(),
            });
        }
        needs
    }

    /// Returns who asks for what a chosen package gives, and by which dependency.
    fn asks_for(
        &self,
        id: PackageId,
    ) -> impl Iterator<Item = (Option<PackageId>, Dependency<'a>)> + '_ {
        let package = self.search.package(id);
        let own = (package.name, self.search.universe.own(id).version);
        let given = std::iter::once(own).chain(self.search.provides(id).iter().copied());
        given.flat_map(move |(name, version)| {
            let provider = Provider {
                package: id,
                version,
            };
            let demands = self.of_name.get(&name).into_iter().flatten();
            demands
                .filter_map(|at| self.demands.get(*at))
                .filter(move |(requirer, demand)| {
                    *requirer != Some(id)
                        && !demand.is_conflict()
                        && self.search.satisfies(*demand, provider)
                })
                .map(|(requirer, demand)| (*requirer, self.search.universe.dependency(*demand)))
        })
    }

    /// Adds what speaks against a package because of one of its names.
    fn object_to_name(
        &self,
        id: PackageId,
        name: NameId,
        version: Option<TextAt>,
        wanted: Wanted,
        objections: &mut Vec<Objection>,
    ) {
        let provider = Provider {
            package: id,
            version,
        };
        let demands = self.of_name.get(&name).into_iter().flatten();
        for (by, demand) in demands.filter_map(|at| self.demands.get(*at)) {
            if objections.len() < MAX_OBJECTIONS
                && self.search.universe.dependency(*demand)
                    != self.search.universe.dependency(wanted)
                && !self.search.satisfies(*demand, provider)
            {
                objections.push(Objection::Forbidden {
                    by: self.requirer(*by),
                    dependency: self.search.universe.dependency(*demand).to_string(),
                });
            }
        }
        if let Some(holder) = self.search.names[name].choice.provider()
            && self.search.package(holder.package).name != self.search.package(id).name
            && (holder.version.is_some() || version.is_some())
        {
            objections.push(Objection::Taken {
                name: self.search.text(name).to_owned(),
                by: self.full_name(holder.package),
            });
        }
    }

    fn can_be_had(&self, needed: Wanted) -> bool {
        self.search.providers(needed.name).iter().any(|provider| {
            self.search.packages[provider.package].selectable
                && self.search.satisfies(needed, *provider)
        })
    }

    fn requirer(&self, requirer: Option<PackageId>) -> Requirer {
        match requirer {
            None => Requirer::World,
            Some(id) => Requirer::Package(self.full_name(id)),
        }
    }

    fn full_name(&self, id: PackageId) -> String {
        let package = self.search.package(id);
        format!(
            "{}-{}",
            self.search.text(package.name),
            self.search.universe.version(id)
        )
    }

    /// Finds names that differ from a missing one by a letter or two.
    fn near(&self, missing: &str) -> Vec<String> {
        let (count, most) = NEAR;
        let mut near: Vec<(usize, &str)> = self
            .search
            .provided_names()
            .filter_map(|name| Some((distance(missing, name, most)?, name)))
            .collect();
        near.sort_unstable();
        near.truncate(count);
        near.into_iter().map(|(_, name)| name.to_owned()).collect()
    }
}

/// Returns how many letters have to be put in, left out or changed to make one name of the other,
/// if that is at most `most`.
fn distance(left: &str, right: &str, most: usize) -> Option<usize> {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len().abs_diff(right.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.iter().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(right) {
            let changed = diagonal + usize::from(from != to);
            diagonal = *cell;
            before = changed.min(diagonal + 1).min(before + 1);
            *cell = before;
        }
    }
    row.last().copied().filter(|distance| *distance <= most)
}
