//! Packages of the base that go, and when.
//!
//! Found by experiment: first what goes and nothing else that goes depends on, together with what
//! it alone depended on by name; the rest where the world forbids it, or at the very end.

use super::Order;
use crate::solution::{Change, ChangeKind};
use crate::universe::{NameId, PackageId};

impl Order<'_, '_, '_> {
    /// Says whether a package of the base goes, its name being nobody's any more.
    fn goes(&self, id: PackageId) -> bool {
        let package = self.search.package(id);
        package.installed.is_some()
            && !self.gone.contains(&id)
            && self
                .search
                .chosen(package.name)
                .is_none_or(|chosen| self.search.package(chosen).name != package.name)
    }

    /// Removes what nothing else that goes depends on.
    pub(super) fn remove_unneeded(&mut self) {
        for position in 0..self.installed.len() {
            if let Some(id) = self.installed.get(position).copied()
                && self.goes(id)
                && self.dependents(id, false).is_empty()
            {
                self.remove(id);
            }
        }
    }

    /// Removes what goes and has a name that something forbids.
    pub(super) fn remove_named(&mut self, name: NameId) {
        for provider in self.search.providers(name) {
            if self.goes(provider.package) {
                self.remove(provider.package);
            }
        }
    }

    /// Removes all that is left.
    pub(super) fn remove_rest(&mut self) {
        for position in 0..self.installed.len() {
            if let Some(id) = self.installed.get(position).copied()
                && self.goes(id)
            {
                self.remove(id);
            }
        }
    }

    /// Removes a package after what hangs on it, and then what hung on it alone.
    fn remove(&mut self, id: PackageId) {
        // The stack is kept by hand: a base's dependencies may be as deep as it is large.
        let mut stack = vec![(id, false)];
        while let Some((id, dependents_done)) = stack.pop() {
            if !self.goes(id) {
                continue;
            }
            if !dependents_done {
                if self.waiting.insert(id) {
                    stack.push((id, true));
                    let dependents = self.dependents(id, true);
                    stack.extend(dependents.into_iter().rev().map(|other| (other, false)));
                }
                continue;
            }
            self.gone.insert(id);
            self.changes.push(Change {
                kind: ChangeKind::Remove,
                package: None,
                installed: self.search.package(id).installed(),
                tag: None,
            });
            let mut next = Vec::new();
            for at in 0..self.depends.get(&id).map_or(0, Vec::len) {
                let Some(name) = self.depends.get(&id).and_then(|list| list.get(at)).copied()
                else {
                    break;
                };
                for provider in self.search.providers(name) {
                    let other = provider.package;
                    if self.search.package(other).name == name
                        && self.goes(other)
                        && self.dependents(other, false).is_empty()
                    {
                        next.push((other, false));
                    }
                }
            }
            stack.extend(next.into_iter().rev());
        }
    }

    /// Returns the packages that go and depend on one that goes, or were triggered by it if that
    /// counts too.
    fn dependents(&self, id: PackageId, triggered: bool) -> Vec<PackageId> {
        let package = self.search.package(id);
        let has = |name: NameId| {
            name == package.name || self.search.provides(id).iter().any(|given| given.0 == name)
        };
        let names = |lists: &std::collections::BTreeMap<PackageId, Vec<NameId>>, other| {
            lists
                .get(&other)
                .is_some_and(|list| list.iter().any(|name| has(*name)))
        };
        self.installed
            .iter()
            .copied()
            .filter(|other| *other != id && self.goes(*other))
            .filter(|other| {
                names(&self.depends, *other) || triggered && names(&self.install_if, *other)
            })
            .collect()
    }
}
