//! Finding what the world leads to, and in which order it is to be decided.

use super::{Search, TooMuchWork};
use crate::state::GivenBy;
use crate::universe::{NameId, PackageId, Provider};

/// A name whose surroundings are being discovered, and how far that is.
struct Frame {
    name: NameId,
    /// The provider whose dependencies are looked at, and which of them.
    provider: usize,
    dependency: usize,
    /// The provider whose names are looked at, and which of them: its own one first, then those that
    /// it provides.
    giver: usize,
    given: usize,
    /// How many of the names that the given one triggers are done.
    triggered: usize,
}

impl Search<'_, '_> {
    /// Discovers a name and everything behind it, and finds how high names stand on the way back.
    ///
    /// Experiments told in which order that is. First comes what its providers depend on or forbid;
    /// then what their own names trigger, and the names that they provide unless those were met
    /// before (`triggered-by-a-name-met-before`). What a package depends on is gone through once:
    /// met again by another of its names, while that is under way, it is passed over
    /// (`met-by-what-it-provides`). So of a package that merely provides a name, the own name is not
    /// discovered by that, and nothing triggers it (`owner-is-not-triggered`). Where names lead back
    /// to each other, that order matters.
    ///
    /// The stack is kept by hand: a chain of dependencies may be as long as an index.
    pub(super) fn discover(&mut self, name: NameId) -> Result<(), TooMuchWork> {
        let mut stack = Vec::new();
        self.enter(name, &mut stack);
        while let Some(frame) = stack.last_mut() {
            let providers = self.providers(frame.name);
            if let Some(provider) = providers.get(frame.provider) {
                self.step()?;
                if let Some(next) = self.next_dependency(frame, provider.package)? {
                    self.enter(next, &mut stack);
                } else {
                    frame.provider += 1;
                    frame.dependency = 0;
                }
            } else if let Some(provider) = providers.get(frame.giver) {
                // Passing over a provider is part of the step that its dependencies took.
                if let Some(next) = self.next_triggered(frame, provider.package)? {
                    self.enter(next, &mut stack);
                } else {
                    self.packages[provider.package].triggers_followed = true;
                    frame.giver += 1;
                    frame.given = 0;
                }
            } else {
                stack.pop();
            }
        }
        Ok(())
    }

    /// Returns the next name that a package depends on or forbids and that was not met before. The
    /// height of the names that it passes adds to that of the package, and so of the frame's name.
    fn next_dependency(
        &mut self,
        frame: &mut Frame,
        id: PackageId,
    ) -> Result<Option<NameId>, TooMuchWork> {
        if !self.packages[id].is_discovered() {
            self.read(id, frame.name);
        }
        let is_met_here = self.packages[id].met_by == Some(frame.name);
        let depends = self.universe.depends(id);
        while is_met_here && let Some(wanted) = depends.get(frame.dependency) {
            let mark = self.marks[wanted.name];
            if !mark.discovered {
                // It is looked at again when it is done and its height is known.
                return Ok(Some(wanted.name));
            }
            self.step()?;
            frame.dependency += 1;
            let height = &mut self.packages[id].height;
            *height = (*height).max(mark.height + 1);
        }
        let height = &mut self.marks[frame.name].height;
        *height = (*height).max(self.packages[id].height);
        Ok(None)
    }

    /// Returns the next name that is triggered by a name of a package, if that was not gone through
    /// to its end before.
    fn next_triggered(
        &mut self,
        frame: &mut Frame,
        id: PackageId,
    ) -> Result<Option<NameId>, TooMuchWork> {
        let package = self.package(id);
        let begins = frame.given == 0 && frame.triggered == 0;
        if begins && self.packages[id].triggers_followed {
            return Ok(None);
        }
        loop {
            let given = match frame.given {
                0 => package.name,
                at => match self.provides(id).get(at - 1) {
                    Some((given, _)) => *given,
                    None => return Ok(None),
                },
            };
            let is_passed_over =
                given != package.name && frame.triggered == 0 && self.marks[given].discovered;
            let triggered = self.install_if_of(given).get(frame.triggered);
            if let Some(next) = triggered.filter(|_| !is_passed_over) {
                self.step()?;
                frame.triggered += 1;
                return Ok(Some(*next));
            }
            frame.given += 1;
            frame.triggered = 0;
        }
    }

    fn enter(&mut self, name: NameId, stack: &mut Vec<Frame>) {
        if !std::mem::replace(&mut self.marks[name].discovered, true) {
            stack.push(Frame {
                name,
                provider: 0,
                dependency: 0,
                giver: 0,
                given: 0,
                triggered: 0,
            });
        }
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
    fn read(&mut self, id: PackageId, met_by: NameId) {
        let universe = self.universe;
        let package = universe.package(id);
        let state = &mut self.packages[id];
        state.met_by = Some(met_by);
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
