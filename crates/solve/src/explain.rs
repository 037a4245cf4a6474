//! Finding the reasons after a search has failed.

use prebake_apk::index::Stanza;

use crate::search::Search;
use crate::state::{Choice, Wanted};
use crate::universe::{NameId, PackageId, Provider};
use crate::why::{Candidate, Objection, Reason, Requirer, Unsatisfiable};

/// How deep the tree of reasons goes. What lies deeper is seldom the cause.
const MAX_DEPTH: usize = 4;
/// How many candidates of one name are looked at.
const MAX_CANDIDATES: usize = 12;
/// How many reasons are given for one failure.
const MAX_REASONS: usize = 20;
/// How many near names are offered, and how many letters they may be off.
const NEAR: (usize, usize) = (3, 2);

/// A dependency that counts, with who asks for it.
type Demand<'a> = (Option<PackageId>, Wanted<'a>);

struct Explain<'a, 's, 'u> {
    search: &'s Search<'a, 'u>,
    demands: Vec<Demand<'a>>,
}

/// Says what of all that was asked for cannot be had.
pub(crate) fn explain(search: &Search<'_, '_>) -> Unsatisfiable {
    let mut demands: Vec<Demand<'_>> = Vec::new();
    demands.extend(search.world.iter().map(|wanted| (None, *wanted)));
    let mut chosen: Vec<PackageId> = search
        .names
        .0
        .iter()
        .filter_map(|name| Some(name.choice.provider()?.package))
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    for package in chosen {
        let depends = &search.packages[package].depends;
        demands.extend(depends.iter().map(|wanted| (Some(package), *wanted)));
    }
    let explain = Explain { search, demands };
    // What is demanded of a name and not met; a shared name asks for a look at every provider.
    let mut broken: Vec<Demand<'_>> = explain
        .demands
        .iter()
        .filter(|(_, wanted)| !explain.is_met(wanted))
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
    fn is_met(&self, wanted: &Wanted<'a>) -> bool {
        match self.search.names[wanted.name].choice {
            Choice::Provider(provider) => self.search.satisfies(&wanted.dependency, provider),
            Choice::Open | Choice::Nobody => wanted.dependency.conflict,
        }
    }

    fn reason(&self, (requirer, wanted): Demand<'a>, depth: usize) -> Reason {
        let providers = self.search.providers(wanted.name);
        let candidates: Vec<_> = providers
            .iter()
            .take(MAX_CANDIDATES)
            .map(|provider| self.candidate(requirer, &wanted, *provider, depth))
            .collect();
        let near = if candidates.is_empty() {
            self.near(wanted.dependency.name)
        } else {
            Vec::new()
        };
        Reason {
            dependency: wanted.dependency.to_string(),
            requirer: self.requirer(requirer),
            candidates,
            near,
        }
    }

    fn candidate(
        &self,
        requirer: Option<PackageId>,
        wanted: &Wanted<'a>,
        provider: Provider<'a>,
        depth: usize,
    ) -> Candidate {
        let id = provider.package;
        let package = self.search.package(id);
        let state = &self.search.packages[id];
        let mut objections = Vec::new();
        if !self.search.satisfies(&wanted.dependency, provider) {
            objections.push(if wanted.dependency.conflict {
                Objection::Forbidden {
                    by: self.requirer(requirer),
                    dependency: wanted.dependency.to_string(),
                }
            } else {
                Objection::Version(provider.version.map(str::to_owned))
            });
        }
        if !package.installable {
            objections.push(Objection::Uninstallable);
        }
        if state.discovered
            && !state.pin_allowed
            && let Some(tag) = self.search.tag_with(id)
        {
            objections.push(Objection::Tag(tag.to_owned()));
        }
        let own = (package.name, Some(package.stanza.version()));
        for (name, version) in std::iter::once(own).chain(package.provides.iter().copied()) {
            self.object_to_name(id, name, version, wanted, &mut objections);
        }
        if provider.version.is_none()
            && package.stanza.provider_priority() == 0
            && self.search.names[package.name].requirers == 0
        {
            objections.push(Objection::NotByItself);
        }
        if depth < MAX_DEPTH {
            for needed in &state.depends {
                if !needed.dependency.conflict && !self.can_be_had(needed) {
                    let reason = self.reason((Some(id), *needed), depth + 1);
                    objections.push(Objection::Needs(Box::new(reason)));
                }
            }
        }
        Candidate {
            name: package.stanza.name().to_owned(),
            version: package.stanza.version().to_owned(),
            objections,
        }
    }

    /// Adds what speaks against a package because of one of its names.
    fn object_to_name(
        &self,
        id: PackageId,
        name: NameId,
        version: Option<&'a str>,
        wanted: &Wanted<'a>,
        objections: &mut Vec<Objection>,
    ) {
        let provider = Provider {
            package: id,
            version,
        };
        for (by, demand) in &self.demands {
            if demand.name == name
                && demand.dependency != wanted.dependency
                && !self.search.satisfies(&demand.dependency, provider)
            {
                objections.push(Objection::Forbidden {
                    by: self.requirer(*by),
                    dependency: demand.dependency.to_string(),
                });
            }
        }
        if let Some(holder) = self.search.names[name].choice.provider()
            && self.search.package(holder.package).name != self.search.package(id).name
            && (holder.version.is_some() || version.is_some())
        {
            objections.push(Objection::Taken {
                name: self.search.text(name).to_owned(),
                by: full_name(&self.search.package(holder.package).stanza),
            });
        }
    }

    fn can_be_had(&self, needed: &Wanted<'a>) -> bool {
        self.search.providers(needed.name).iter().any(|provider| {
            self.search.packages[provider.package].selectable
                && self.search.satisfies(&needed.dependency, *provider)
        })
    }

    fn requirer(&self, requirer: Option<PackageId>) -> Requirer {
        match requirer {
            None => Requirer::World,
            Some(id) => Requirer::Package(full_name(&self.search.package(id).stanza)),
        }
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

fn full_name(stanza: &Stanza<'_>) -> String {
    format!("{}-{}", stanza.name(), stanza.version())
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
