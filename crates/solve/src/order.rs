//! The order in which the chosen packages are installed.
//!
//! From each entry of the sorted world downwards: what a package depends on comes before it, and
//! what its arrival triggers (`install_if`) right after it. What nothing leads to any more goes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use prebake_apk::version::compare;

mod removal;

use crate::search::Search;
use crate::solution::{Change, ChangeKind, Solution, Source};
use crate::universe::{NameId, PackageId, Wanted};

/// A package on its way into the order, and how far its surroundings are.
struct Frame {
    package: PackageId,
    dependency: usize,
    recorded: bool,
    given: usize,
    triggered: usize,
}

pub(crate) struct Order<'a, 's, 'u> {
    search: &'s mut Search<'a, 'u>,
    changes: Vec<Change>,
    /// All packages, also those that stay.
    walked: Vec<Source>,
    stack: Vec<Frame>,
    /// The packages of the base, in the order of its database.
    installed: Vec<PackageId>,
    /// What each of them depends on, conflicts aside.
    depends: BTreeMap<PackageId, Vec<NameId>>,
    /// What let each of them be installed by itself.
    install_if: BTreeMap<PackageId, Vec<NameId>>,
    /// Those that were removed.
    gone: BTreeSet<PackageId>,
    /// Those whose dependents were looked at.
    waiting: BTreeSet<PackageId>,
}

impl<'a, 's, 'u> Order<'a, 's, 'u> {
    pub(crate) fn new(search: &'s mut Search<'a, 'u>) -> Self {
        let universe = search.universe;
        let names = |list: &[Wanted]| {
            let needed = list.iter().filter(|wanted| !wanted.is_conflict());
            needed.map(|wanted| wanted.name).collect::<Vec<_>>()
        };
        let installed = universe.iter();
        let installed = installed.filter_map(|(id, package)| Some((package.installed?, id)));
        let mut installed: Vec<_> = installed.collect();
        installed.sort_unstable();
        let installed: Vec<_> = installed.into_iter().map(|(_, id)| id).collect();
        let mut depends = BTreeMap::new();
        let mut install_if = BTreeMap::new();
        for id in &installed {
            depends.insert(*id, names(universe.depends(*id)));
            install_if.insert(*id, names(universe.install_if(*id)));
        }
        Self {
            search,
            changes: Vec::new(),
            walked: Vec::new(),
            stack: Vec::new(),
            installed,
            depends,
            install_if,
            gone: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Returns what is to be done.
    pub(crate) fn solution(mut self) -> Solution {
        self.remove_unneeded();
        for at in 0..self.search.world.len() {
            if let Some(wanted) = self.search.world.get(at).copied() {
                if wanted.is_conflict() {
                    self.remove_named(wanted.name);
                } else {
                    self.enter(wanted.name);
                    self.walk();
                }
            }
        }
        self.remove_rest();
        let universe = self.search.universe;
        for id in self.installed.clone() {
            let name = self.search.package(id).name;
            self.enter(name);
            self.walk();
        }
        let mut stays = Vec::new();
        for id in &self.installed {
            let package = universe.package(*id);
            if self.search.chosen(package.name) == Some(*id)
                && let Some(position) = package.installed()
            {
                stays.push(Source::Installed(position));
            }
        }
        let comes = self.changes.iter().filter_map(|change| change.package);
        Solution {
            packages: stays.into_iter().chain(comes).collect(),
            changes: self.changes,
            order: self.walked,
            tags: self.search.tags().iter().map(ToString::to_string).collect(),
        }
    }

    fn enter(&mut self, name: NameId) {
        if std::mem::replace(&mut self.search.names[name].in_changes, true) {
            return;
        }
        let Some(package) = self.search.chosen(name) else {
            return;
        };
        if !std::mem::replace(&mut self.search.packages[package].in_changes, true) {
            // Who stands for a name that several share does not matter once one of them is there.
            for (given, _) in self.search.provides(package) {
                self.search.names[*given].in_changes = true;
            }
            self.stack.push(Frame {
                package,
                dependency: 0,
                recorded: false,
                given: 0,
                triggered: 0,
            });
        }
    }

    fn walk(&mut self) {
        while let Some(frame) = self.stack.last_mut() {
            let package = frame.package;
            let depends = self.search.depends(package);
            if let Some(wanted) = depends.get(frame.dependency) {
                frame.dependency += 1;
                // A conflict with one version lets another come first, as a dependency would.
                let name = wanted.name;
                self.enter(name);
                continue;
            }
            if !std::mem::replace(&mut frame.recorded, true) {
                self.record(package);
                continue;
            }
            let described = self.search.package(package);
            let given = match frame.given {
                0 => Some(described.name),
                at => self
                    .search
                    .provides(package)
                    .get(at - 1)
                    .map(|given| given.0),
            };
            let Some(given) = given else {
                self.stack.pop();
                continue;
            };
            if let Some(triggered) = self.search.install_if_of(given).get(frame.triggered) {
                frame.triggered += 1;
                if self.is_ready(*triggered) {
                    self.enter(*triggered);
                }
            } else {
                frame.given += 1;
                frame.triggered = 0;
            }
        }
    }

    /// Says whether all that triggers a name's package is there, or on its way there. Whether that
    /// is what the package was chosen for does not matter, and neither does whether the chosen one
    /// has any condition at all: it is enough that another package of its name has.
    fn is_ready(&self, name: NameId) -> bool {
        let Some(package) = self.search.chosen(name) else {
            return false;
        };
        let conditions = self.search.install_if(package);
        conditions.iter().all(|condition| {
            self.search.is_met_by_choice(*condition)
                && self
                    .search
                    .chosen(condition.name)
                    .is_none_or(|chosen| self.search.packages[chosen].in_changes)
        })
    }

    fn record(&mut self, id: PackageId) {
        let package = self.search.package(id);
        let universe = self.search.universe;
        let tag = self.search.tag_of(id);
        let source = package
            .installed()
            .map_or(package.source(), Source::Installed);
        self.walked.push(source);
        let old = self
            .search
            .providers(package.name)
            .iter()
            .map(|provider| provider.package)
            .find(|other| {
                let other = universe.package(*other);
                other.name == package.name && other.installed.is_some()
            });
        let (kind, installed) = match old {
            None => (ChangeKind::Install, None),
            Some(old) if old == id => {
                let stanza = universe.stanza(id);
                let old_tag = stanza.and_then(|stanza| stanza.repository_tag());
                let new_tag = tag.and_then(|tag| self.search.tags().get(tag).copied());
                if old_tag == new_tag {
                    return;
                }
                (ChangeKind::Retag, package.installed())
            }
            Some(old_id) => {
                let old = universe.package(old_id);
                let ordering = compare(
                    universe.version(id),
                    universe.version(old_id),
                    universe.dialect,
                );
                let kind = match ordering {
                    Ordering::Greater => ChangeKind::Upgrade,
                    Ordering::Less => ChangeKind::Downgrade,
                    Ordering::Equal => ChangeKind::Replace,
                };
                (kind, old.installed())
            }
        };
        self.changes.push(Change {
            kind,
            package: Some(package.source()).filter(|_| kind != ChangeKind::Retag),
            installed,
            tag,
        });
    }
}
