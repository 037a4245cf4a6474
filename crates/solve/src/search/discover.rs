//! Finding what the world leads to, and in which order it is to be decided.

use super::{Search, TooMuchWork};
use crate::state::GivenBy;
use crate::universe::{NameId, PackageId, Provider};
use crate::world::compare_names;

/// A name whose surroundings are being discovered, and how far that is.
struct Frame {
    name: NameId,
    /// The greatest height of what its providers depend on or forbid, as far as that is looked
    /// at, and one more.
    height: u32,
    provider: usize,
    dependency: usize,
    given: usize,
    /// The own names of those that merely provide it, once its height is known.
    owners: Option<Vec<NameId>>,
    /// How many of the names that the given one triggers are done.
    triggered: usize,
}

impl Search<'_, '_> {
    /// Discovers a name and everything behind it, and finds how high names stand on the way back.
    ///
    /// Experiments told what is discovered before a name is done: what its providers depend on or
    /// forbid and, for the packages that it is the own name of, what their names trigger, unless
    /// those names were met before. After it, in the order of the alphabet, come the own names of
    /// the packages that merely provide it. Where names lead back to each other, that order matters.
    ///
    /// The stack is kept by hand: a chain of dependencies may be as long as an index.
    pub(super) fn discover(&mut self, name: NameId) -> Result<(), TooMuchWork> {
        let universe = self.universe;
        let mut stack = Vec::new();
        self.enter(name, &mut stack);
        while let Some(frame) = stack.last_mut() {
            self.step()?;
            let name = frame.name;
            let providers = self.providers(name);
            let Some(provider) = providers.get(frame.provider) else {
                if frame.owners.is_none() {
                    self.marks[name].height = frame.height;
                }
                let owners = frame.owners.get_or_insert_with(|| {
                    let mut owners: Vec<_> = providers
                        .iter()
                        .map(|provider| universe.package(provider.package).name)
                        .filter(|owner| *owner != name)
                        .collect();
                    // Taken from the end.
                    owners.sort_by(|a, b| compare_names(universe.text(*b), universe.text(*a)));
                    owners
                });
                match owners.pop() {
                    Some(owner) => self.enter(owner, &mut stack),
                    None => {
                        stack.pop();
                    }
                }
                continue;
            };
            let id = provider.package;
            let package = self.package(id);
            let own = package.name == name;
            if !self.packages[id].discovered {
                self.read(id);
            }
            let depends = universe.depends(id);
            let mut next = None;
            while let Some(wanted) = depends.get(frame.dependency) {
                let mark = self.marks[wanted.name];
                if !mark.discovered {
                    // It is looked at again when it is done and its height is known.
                    next = Some(wanted.name);
                    break;
                }
                self.step()?;
                frame.dependency += 1;
                frame.height = frame.height.max(mark.height + 1);
            }
            if let Some(next) = next {
                self.enter(next, &mut stack);
                continue;
            }
            let given = match frame.given {
                0 => Some(package.name),
                at => universe.provides(id).get(at - 1).map(|given| given.0),
            }
            .filter(|_| own);
            let Some(given) = given else {
                frame.provider += 1;
                frame.dependency = 0;
                frame.given = 0;
                continue;
            };
            if given != name && frame.triggered == 0 && self.marks[given].discovered {
                frame.given += 1;
                continue;
            }
            if let Some(next) = self.install_if_of(given).get(frame.triggered) {
                frame.triggered += 1;
                self.enter(*next, &mut stack);
            } else {
                frame.given += 1;
                frame.triggered = 0;
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: NameId, stack: &mut Vec<Frame>) {
        if std::mem::replace(&mut self.marks[name].discovered, true) {
            return;
        }
        stack.push(Frame {
            name,
            height: 0,
            provider: 0,
            dependency: 0,
            given: 0,
            owners: None,
            triggered: 0,
        });
    }

    /// Finds whose packages give a name.
    pub(super) fn given_by(&mut self, name: NameId) -> GivenBy {
        if let Some(given_by) = self.names[name].given_by {
            return given_by;
        }
        let given_by = self.find_given_by(name);
        self.names[name].given_by = Some(given_by);
        given_by
    }

    fn find_given_by(&self, name: NameId) -> GivenBy {
        let providers = self.providers(name);
        let is_own = |provider: &Provider| self.package(provider.package).name == name;
        if providers.iter().all(is_own) {
            GivenBy::OwnPackages
        } else if providers.iter().any(is_own) {
            GivenBy::Both
        } else {
            GivenBy::Others
        }
    }

    /// Takes in what a package depends on.
    fn read(&mut self, id: PackageId) {
        let universe = self.universe;
        let package = universe.package(id);
        let state = &mut self.packages[id];
        state.discovered = true;
        state.selectable = package.installable;
        state.allowed_pins = 1;
        state.preferred_pins = 1;
        let may_be_triggered = !universe.install_if(id).is_empty();
        state.trigger_failed = !may_be_triggered;
        if package.installed.is_some() {
            self.update_pins(id);
        } else {
            // It may come from what is open to all, and no more.
            let state = &mut self.packages[id];
            let untagged = self.pin_repositories.first();
            state.pin_preferred =
                untagged.is_some_and(|untagged| package.repositories & untagged != 0);
            state.pin_allowed = state.pin_preferred;
        }
        if may_be_triggered {
            let provides = universe.provides(id).iter().map(|given| given.0);
            for given in std::iter::once(package.name).chain(provides) {
                self.marks[given].may_be_triggered = true;
            }
        }
    }
}
