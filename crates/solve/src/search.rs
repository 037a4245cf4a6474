//! The search: greedy, with every consequence of a choice drawn before the next one is made.
//!
//! apk never takes a choice back, so neither may this: a world that could be satisfied by
//! backtracking is unsatisfiable to both. A name is *decided* once; which name is decided next,
//! and which provider it gets, follows from what is known by then.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use prebake_apk::index::TextAt;

use crate::request::Request;
use crate::state::{Choice, NameMark, NameState, PackageState, QueueKey, Sparse, Table};
use crate::universe::{NameId, Package, PackageId, Provider, Universe, Wanted};

mod choose;
mod discover;
mod reconsider;
mod reverse;

use reverse::ReverseDepends;

/// The search took more steps than it was allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooMuchWork;

pub(crate) struct Search<'a, 'u> {
    pub(crate) universe: &'u Universe<'a>,
    pub(crate) marks: Table<NameMark>,
    pub(crate) names: Sparse<NameState>,
    pub(crate) packages: Table<PackageState>,
    pub(crate) world: &'u [Wanted],
    reverse: ReverseDepends,
    /// For a list that is needed often and never long.
    woken: Vec<NameId>,
    /// The tag of each pin bit above bit 0.
    tags: Vec<&'a str>,
    /// The repositories that each pin opens.
    pin_repositories: Vec<u64>,
    upgrade: bool,
    /// Whether something that was asked for cannot be had.
    pub(crate) failed: bool,
    dirty: VecDeque<NameId>,
    open: BTreeSet<(QueueKey, NameId)>,
    /// How many names were put into the queue of names to decide.
    found: u32,
    /// The number of the current merging.
    merging: u32,
    /// How many more steps it may take.
    steps_left: u64,
}

impl<'a, 'u> Search<'a, 'u> {
    pub(crate) fn new(universe: &'u Universe<'a>, request: &Request<'a>, max_steps: u64) -> Self {
        let mut tags: Vec<&str> = Vec::new();
        let mut pin_repositories = vec![0];
        for (position, repository) in request.repositories.iter().enumerate() {
            let pin = match repository.tag {
                None => 0,
                Some(tag) => {
                    tags.iter()
                        .position(|known| *known == tag)
                        .unwrap_or_else(|| {
                            tags.push(tag);
                            pin_repositories.push(0);
                            tags.len() - 1
                        })
                        + 1
                }
            };
            if let Some(repositories) = pin_repositories.get_mut(pin) {
                *repositories |= 1 << position;
            }
        }
        Self {
            universe,
            marks: Table(vec![NameMark::default(); universe.names().len()]),
            names: Sparse::new(universe.names().len()),
            packages: Table(vec![PackageState::default(); universe.packages.len()]),
            world: &universe.world,
            reverse: ReverseDepends::default(),
            woken: Vec::new(),
            tags,
            pin_repositories,
            upgrade: request.upgrade,
            failed: false,
            dirty: VecDeque::new(),
            open: BTreeSet::new(),
            found: 0,
            merging: 0,
            steps_left: max_steps,
        }
    }

    /// Decides every name that the world leads to.
    pub(crate) fn run(&mut self) -> Result<(), TooMuchWork> {
        for name in &self.universe.added {
            self.names[*name].is_added = true;
        }
        for wanted in self.world {
            self.discover(wanted.name)?;
        }
        self.reverse = self.find_reverse_depends();
        for wanted in self.world {
            self.constrain(None, *wanted)?;
        }
        loop {
            while let Some(name) = self.dirty.pop_front() {
                self.names[name].is_dirty = false;
                self.reconsider(name)?;
            }
            let Some((_, name)) = self.open.pop_first() else {
                return Ok(());
            };
            self.names[name].queued = None;
            self.choose(name)?;
        }
    }

    /// Returns the repositories' tags in the order in which they first occur.
    pub(crate) fn tags(&self) -> &[&'a str] {
        &self.tags
    }

    /// Returns the tag that an installed package has to carry: of the pins that it is here by, the
    /// one whose repository has it. What an untagged repository has carries none, whoever asks for it
    /// with which tag (`untagged-before-tagged`).
    pub(crate) fn tag_of(&self, package: PackageId) -> Option<usize> {
        let state = &self.packages[package];
        let repositories = self.package(package).repositories;
        let among = |pins: u64| {
            let mut of_pins = self.pin_repositories.iter().enumerate();
            of_pins.find(|(pin, of_pin)| pins & (1 << pin) != 0 && *of_pin & repositories != 0)
        };
        let untagged = 1;
        let (pin, _) = among(untagged)
            .or_else(|| among(state.preferred_pins))
            .or_else(|| among(state.allowed_pins))?;
        pin.checked_sub(1)
    }

    /// Returns the tag of a repository that has a package.
    pub(crate) fn tag_with(&self, package: PackageId) -> Option<&'a str> {
        let repositories = self.package(package).repositories;
        let pins = self.pin_repositories.iter().skip(1).zip(&self.tags);
        pins.filter(|(of_pin, _)| *of_pin & repositories != 0)
            .map(|(_, tag)| *tag)
            .next()
    }

    /// Returns a name's text.
    pub(crate) fn text(&self, name: NameId) -> &'a str {
        self.universe.text(name)
    }

    /// Returns every name that something provides.
    pub(crate) fn provided_names(&self) -> impl Iterator<Item = &'a str> {
        let names = self.universe.names();
        names
            .filter(|name| !self.providers(*name).is_empty())
            .map(|name| self.text(name))
    }

    /// Counts one step of work.
    fn step(&mut self) -> Result<(), TooMuchWork> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(TooMuchWork)?;
        Ok(())
    }

    pub(crate) fn providers(&self, name: NameId) -> &'u [Provider] {
        self.universe.providers(name)
    }

    pub(crate) fn install_if_of(&self, name: NameId) -> &'u [NameId] {
        self.universe.install_if_of(name)
    }

    pub(crate) fn package(&self, id: PackageId) -> &'u Package {
        self.universe.package(id)
    }

    pub(crate) fn provides(&self, id: PackageId) -> &'u [(NameId, Option<TextAt>)] {
        self.universe.provides(id)
    }

    /// Returns what a package depends on and forbids, if anything leads to it.
    pub(crate) fn depends(&self, id: PackageId) -> &'u [Wanted] {
        if self.packages[id].is_discovered() {
            self.universe.depends(id)
        } else {
            &[]
        }
    }

    /// Returns what lets a package be installed by itself, if anything leads to it.
    pub(crate) fn install_if(&self, id: PackageId) -> &'u [Wanted] {
        if self.packages[id].is_discovered() {
            self.universe.install_if(id)
        } else {
            &[]
        }
    }

    /// Says whether a provider gives what a dependency asks for.
    pub(crate) fn satisfies(&self, wanted: Wanted, provider: Provider) -> bool {
        self.universe.satisfies(wanted, provider)
    }

    /// Says whether what was decided on a name is what a dependency asks for.
    pub(crate) fn is_met_by_choice(&self, wanted: Wanted) -> bool {
        match self.names[wanted.name].choice.provider() {
            Some(provider) => self.satisfies(wanted, provider),
            None => wanted.is_conflict(),
        }
    }

    /// Draws the consequences of a dependency of a chosen package, or of the world.
    fn constrain(
        &mut self,
        requirer: Option<PackageId>,
        wanted: Wanted,
    ) -> Result<(), TooMuchWork> {
        let (name, conflict) = (wanted.name, wanted.is_conflict());
        if !conflict {
            let state = &mut self.names[name];
            state.requirers += 1;
            state.is_asked_for = true;
            // Another request changes neither what is left for the name nor its place in the queue
            // (`certain-stays-behind-the-world`).
            if state.requirers == 1 {
                self.became_required(name);
            }
        }
        if !self.names[name].choice.is_open() && !self.is_met_by_choice(wanted) {
            self.failed = true;
        }
        for provider in self.providers(name) {
            self.step()?;
            if self.satisfies(wanted, *provider) {
                if !conflict {
                    let tag = self.universe.dependency(wanted).tag;
                    self.inherit_pins(provider.package, requirer, tag);
                }
            } else {
                self.packages[provider.package].conflicts += 1;
                self.disqualify(provider.package);
            }
        }
        Ok(())
    }

    /// Takes a package out of the running.
    fn disqualify(&mut self, package: PackageId) {
        if !self.packages[package].selectable {
            return;
        }
        self.packages[package].selectable = false;
        let described = self.package(package);
        self.wake_reverse_depends(described.name);
        for (name, _) in self.provides(package) {
            self.wake_reverse_depends(*name);
        }
        self.wake_triggered(described.name);
        for (name, _) in self.provides(package) {
            self.wake_triggered(*name);
        }
    }

    /// A name is asked for, for the first time.
    fn became_required(&mut self, name: NameId) {
        self.queue_dirty(name);
        self.wake_triggered(name);
    }

    /// Has every name reconsidered whose providers depend on this one, in apk's order.
    fn wake_reverse_depends(&mut self, name: NameId) {
        let mut woken = std::mem::take(&mut self.woken);
        woken.extend(
            self.reverse_depends(name)
                .filter(|reverse| self.marks[*reverse].discovered),
        );
        // Of those that it makes no difference to there are many, and their order does not matter.
        woken.retain(|reverse| {
            self.marks[*reverse].reevaluate_dependencies = true;
            self.names[*reverse].may_be_dirty()
        });
        let universe = self.universe;
        woken.sort_unstable_by_key(|reverse| universe.table_order(*reverse));
        woken.dedup();
        for reverse in woken.drain(..) {
            self.queue_dirty(reverse);
        }
        self.woken = woken;
    }

    /// Has every name reconsidered whose providers have this one in their `install_if`.
    fn wake_triggered(&mut self, name: NameId) {
        for triggered in self.install_if_of(name) {
            let mark = self.marks[*triggered];
            if mark.discovered && mark.may_be_triggered {
                self.names[*triggered].reevaluate_triggers = true;
                self.queue_dirty(*triggered);
            }
        }
    }

    fn queue_dirty(&mut self, name: NameId) {
        if self.names[name].may_be_dirty() {
            self.names[name].is_dirty = true;
            self.dirty.push_back(name);
        }
    }

    /// Puts a name where it belongs in the queue of names to decide, or takes it out.
    fn queue_open(&mut self, name: NameId) {
        let height = self.marks[name].height;
        let given_by = self.given_by(name);
        let state = &mut self.names[name];
        let is_wanted = state.choice.is_open() && (state.requirers > 0 || state.has_triggered);
        if is_wanted && state.found == 0 {
            self.found += 1;
            state.found = self.found;
        }
        let key = is_wanted.then_some(
            if state.is_asked_for && state.is_settled && !state.has_options {
                QueueKey::Certain(Reverse(state.found))
            } else {
                QueueKey::Open {
                    is_beyond_added: !(state.is_added && state.is_asked_for),
                    given_by,
                    height: Reverse(height),
                    is_only_triggered: state.requirers == 0,
                    found: Reverse(state.found),
                }
            },
        );
        if state.queued == key {
            return;
        }
        if let Some(old) = std::mem::replace(&mut state.queued, key) {
            self.open.remove(&(old, name));
        }
        if let Some(new) = key {
            self.open.insert((new, name));
        }
    }

    /// Lets a package come from where what asks for it may come from.
    fn inherit_pins(
        &mut self,
        package: PackageId,
        requirer: Option<PackageId>,
        tag: Option<&'a str>,
    ) {
        let allowed = match requirer {
            Some(requirer) => self.packages[requirer].allowed_pins,
            None => 1 << self.pin(tag).unwrap_or(0),
        };
        let state = &mut self.packages[package];
        if requirer.is_some() && state.allowed_pins | allowed == state.allowed_pins {
            return;
        }
        state.allowed_pins |= allowed;
        if requirer.is_none() {
            // Only the world prefers; what a package draws in may come from its pins, no more.
            state.preferred_pins = allowed;
        }
        self.update_pins(package);
    }

    /// Returns the number of a tag's pin; `None` for a tag that no repository has.
    fn pin(&self, tag: Option<&str>) -> Option<usize> {
        let Some(tag) = tag else { return Some(0) };
        let position = self.tags.iter().position(|known| *known == tag)?;
        Some(position + 1)
    }

    fn update_pins(&mut self, package: PackageId) {
        let described = self.package(package);
        let open = |pins: u64| {
            self.pin_repositories
                .iter()
                .enumerate()
                .filter(|(pin, _)| pins & (1 << pin) != 0)
                .fold(0, |all, (_, repositories)| all | repositories)
        };
        // What is installed counts as being in the repositories that it once came from.
        let repositories = match described.installed {
            Some(_) => {
                let stanza = self.universe.stanza(package);
                let tag = stanza.and_then(|stanza| stanza.repository_tag());
                described.repositories | self.pin(tag).map_or(0, |pin| open(1 << pin))
            }
            None => described.repositories,
        };
        let state = &self.packages[package];
        let preferred = repositories & open(state.preferred_pins) != 0;
        let allowed = preferred
            || described.installed.is_some()
            || repositories & open(state.allowed_pins) != 0;
        let state = &mut self.packages[package];
        state.pin_preferred = preferred;
        state.pin_allowed = allowed;
    }

    fn decide(&mut self, name: NameId, choice: Choice) {
        self.names[name].choice = choice;
        self.queue_open(name);
    }
}
