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
    giver: usize,
    given: usize,
    triggered: usize,
}

impl Search<'_, '_> {
    /// Discovers a name and everything behind it. Names are numbered when all behind them are,
    /// so that a dependency comes before what depends on it.
    ///
    /// The stack is kept by hand: a chain of dependencies may be as long as an index.
    pub(super) fn discover(&mut self, name: NameId) -> Result<(), TooMuchWork> {
        let mut stack = Vec::new();
        self.enter(name, &mut stack);
        while let Some(frame) = stack.last_mut() {
            self.step()?;
            let name = frame.name;
            let providers = self.providers(name);
            if let Some(provider) = providers.get(frame.provider) {
                let package = provider.package;
                if frame.dependency == 0 {
                    if self.packages[package].discovered {
                        frame.provider += 1;
                        continue;
                    }
                    self.read(package);
                }
                let depends = &self.packages[package].depends;
                if let Some(wanted) = depends.get(frame.dependency) {
                    frame.dependency += 1;
                    let next = wanted.name;
                    self.enter(next, &mut stack);
                } else {
                    frame.provider += 1;
                    frame.dependency = 0;
                }
            } else if let Some(provider) = providers.get(frame.giver) {
                let package = self.package(provider.package);
                let given = match frame.given {
                    0 => Some(package.name),
                    at => package.provides.get(at - 1).map(|given| given.0),
                };
                // What a provided name triggers shows only if the name itself was not met before.
                let hidden = |given: NameId| given != package.name && self.names[given].discovered;
                match given {
                    Some(given) if frame.triggered > 0 || !hidden(given) => {
                        if let Some(next) = self.install_if_of(given).get(frame.triggered) {
                            frame.triggered += 1;
                            self.enter(*next, &mut stack);
                        } else {
                            frame.given += 1;
                            frame.triggered = 0;
                        }
                    }
                    Some(_) => frame.given += 1,
                    None => {
                        frame.giver += 1;
                        frame.given = 0;
                    }
                }
            } else {
                self.next_order += 1;
                self.names[name].order = self.next_order;
                stack.pop();
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
            giver: 0,
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
