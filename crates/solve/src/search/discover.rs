//! Finding what the world leads to, and in which order it is to be decided.

use prebake_apk::dependency;

use super::{Search, TooMuchWork};
use crate::state::Wanted;
use crate::universe::{NameId, PackageId};

/// A name whose surroundings are being discovered, and how far that is.
struct Frame {
    name: NameId,
    provider: usize,
    dependency: usize,
    given: usize,
    /// How many of the given name's own steps are done: entering it, unless it is the frame's own,
    /// and then each name that it triggers.
    triggered: usize,
}

impl Search<'_, '_> {
    /// Discovers a name and everything behind it, and numbers the names on the way back.
    ///
    /// Experiments told what is numbered before a name: what its providers depend on or forbid,
    /// and, for the packages that it is the own name of, what they provide and what all their names
    /// trigger, unless met before. The own name of a package that merely provides it is not.
    ///
    /// The stack is kept by hand: a chain of dependencies may be as long as an index.
    pub(super) fn discover(&mut self, name: NameId) -> Result<(), TooMuchWork> {
        let mut stack = Vec::new();
        self.enter(name, &mut stack);
        while let Some(frame) = stack.last_mut() {
            self.step()?;
            let name = frame.name;
            let providers = self.providers(name);
            let Some(provider) = providers.get(frame.provider) else {
                self.next_order += 1;
                self.names[name].order = self.next_order;
                stack.pop();
                continue;
            };
            let id = provider.package;
            let package = self.package(id);
            let own = package.name == name;
            if !self.packages[id].discovered {
                self.read(id);
            }
            let depends = &self.packages[id].depends;
            if let Some(wanted) = depends.get(frame.dependency) {
                frame.dependency += 1;
                let next = wanted.name;
                self.enter(next, &mut stack);
                continue;
            }
            let given = match frame.given {
                0 => Some(package.name),
                at => package.provides.get(at - 1).map(|given| given.0),
            }
            .filter(|_| own);
            let Some(given) = given else {
                frame.provider += 1;
                frame.dependency = 0;
                frame.given = 0;
                continue;
            };
            if frame.triggered == 0 && given != name {
                if self.names[given].discovered {
                    frame.given += 1;
                } else {
                    frame.triggered = 1;
                    self.enter(given, &mut stack);
                }
                continue;
            }
            let entered = usize::from(given != name);
            if let Some(next) = self.install_if_of(given).get(frame.triggered - entered) {
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
        if self.names[name].discovered {
            return;
        }
        self.names[name].discovered = true;
        stack.push(Frame {
            name,
            provider: 0,
            dependency: 0,
            given: 0,
            triggered: 0,
        });
    }

    /// Reads what a package depends on.
    fn read(&mut self, id: PackageId) {
        let package = self.package(id);
        let universe = self.universe;
        let wanted = |text| {
            dependency::list(text, universe.dialect)
                .map(|dependency| Wanted {
                    name: universe.find(dependency.name).unwrap_or(universe.nothing),
                    dependency,
                })
                .collect::<Vec<_>>()
        };
        let state = &mut self.packages[id];
        state.discovered = true;
        state.selectable = package.installable;
        state.allowed_pins = 1;
        state.preferred_pins = 1;
        state.depends = wanted(package.stanza.depends());
        state.install_if = wanted(package.stanza.install_if());
        state.trigger_failed = state.install_if.is_empty();
        let state = &self.packages[id];
        let may_be_triggered = !state.trigger_failed;
        self.update_pins(id);
        if may_be_triggered {
            for given in std::iter::once(package.name).chain(package.provides.iter().map(|p| p.0)) {
                self.names[given].may_be_triggered = true;
            }
        }
        for at in 0..self.packages[id].depends.len() {
            let Some(wanted) = self.packages[id].depends.get(at) else {
                break;
            };
            let name = wanted.name;
            for given in std::iter::once(package.name).chain(package.provides.iter().map(|p| p.0)) {
                let reverse = &mut self.names[name].reverse_depends;
                if reverse.last() != Some(&given) {
                    reverse.push(given);
                }
            }
        }
    }
}
