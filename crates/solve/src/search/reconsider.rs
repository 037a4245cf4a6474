//! Looking at a name again after something it hangs on has changed.

use super::{Search, TooMuchWork};
use crate::state::Wanted;
use crate::universe::{NameId, PackageId};

impl<'a> Search<'a, '_> {
    /// Finds which providers are left for a name, and what all of them have in common: that much
    /// is certain before one of them is chosen.
    pub(super) fn reconsider(&mut self, name: NameId) -> Result<(), TooMuchWork> {
        let state = &mut self.names[name];
        if !state.choice.is_open() {
            return Ok(());
        }
        let dependencies = std::mem::take(&mut state.reevaluate_dependencies);
        let triggers = std::mem::take(&mut state.reevaluate_triggers);
        state.has_triggered = false;
        state.has_auto_selectable = false;
        let required = state.requirers > 0;
        let mut candidates = 0_u32;
        let mut first = None;
        let mut outside_pins = 0;
        for provider in self.providers(name) {
            self.step()?;
            let id = provider.package;
            self.packages[id].merged = false;
            if dependencies {
                self.check_dependencies(id)?;
            }
            if !self.packages[id].selectable {
                continue;
            }
            if triggers {
                self.check_trigger(id);
            }
            if self.packages[id].triggered {
                self.names[name].has_triggered = true;
                self.names[name].has_auto_selectable = true;
            } else if provider.version.is_some() || self.package(id).stanza.provider_priority() > 0
            {
                self.names[name].has_auto_selectable = true;
            }
            if !required {
                continue;
            }
            self.packages[id].merged = true;
            first.get_or_insert(id);
            candidates += 1;
            outside_pins += u32::from(!self.packages[id].pin_allowed);
            self.merge(id, candidates)?;
        }
        self.names[name].has_options = candidates > 1 || outside_pins > 0;
        if let Some(first) = first {
            self.take_what_is_common(first, candidates)?;
        }
        self.queue_open(name, true);
        Ok(())
    }

    /// Disqualifies a package with a dependency that nothing can satisfy any more.
    fn check_dependencies(&mut self, id: PackageId) -> Result<(), TooMuchWork> {
        if !self.packages[id].selectable {
            return Ok(());
        }
        for at in 0..self.packages[id].depends.len() {
            let Some(wanted) = self.packages[id].depends.get(at).copied() else {
                break;
            };
            self.step()?;
            if !self.can_be_met(&wanted)? {
                self.disqualify(id);
                break;
            }
        }
        Ok(())
    }

    fn can_be_met(&mut self, wanted: &Wanted<'a>) -> Result<bool, TooMuchWork> {
        if wanted.dependency.conflict {
            return Ok(match self.names[wanted.name].choice.provider() {
                Some(provider) => self.satisfies(&wanted.dependency, provider),
                None => true,
            });
        }
        if !self.names[wanted.name].choice.is_open() {
            return Ok(self.is_met_by_choice(wanted));
        }
        for provider in self.providers(wanted.name) {
            self.step()?;
            if self.packages[provider.package].selectable
                && self.satisfies(&wanted.dependency, *provider)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds whether a package's `install_if` has come true.
    fn check_trigger(&mut self, id: PackageId) {
        let state = &self.packages[id];
        if state.triggered || state.trigger_failed {
            return;
        }
        let mut triggered = true;
        let mut failed = false;
        for condition in &state.install_if {
            if self.names[condition.name].choice.is_open() {
                triggered = false;
            } else if !self.is_met_by_choice(condition) {
                triggered = false;
                failed = true;
                break;
            }
        }
        let state = &mut self.packages[id];
        state.triggered = triggered;
        state.trigger_failed = failed;
        if triggered {
            for at in 0..self.packages[id].install_if.len() {
                let Some(condition) = self.packages[id].install_if.get(at) else {
                    break;
                };
                if let Some(provider) = self.names[condition.name].choice.provider() {
                    self.inherit_pins(id, Some(provider.package), None);
                }
            }
        }
    }

    /// Counts what a candidate asks for and gives. A name counts as common only as long as every
    /// candidate so far had it.
    fn merge(&mut self, id: PackageId, candidates: u32) -> Result<(), TooMuchWork> {
        for at in 0..self.packages[id].depends.len() {
            let Some(wanted) = self.packages[id].depends.get(at).copied() else {
                break;
            };
            self.step()?;
            if wanted.dependency.conflict {
                continue;
            }
            let asked = &mut self.names[wanted.name].merge_asked;
            if candidates == 1 || *asked == candidates - 1 {
                *asked = candidates;
            }
        }
        let package = self.package(id);
        for given in std::iter::once(package.name).chain(package.provides.iter().map(|p| p.0)) {
            let count = &mut self.names[given].merge_given;
            if candidates == 1 || *count == candidates - 1 {
                *count = candidates;
            }
        }
        Ok(())
    }

    /// Asks for what every candidate asks for, and for what every candidate is.
    fn take_what_is_common(
        &mut self,
        first: PackageId,
        candidates: u32,
    ) -> Result<(), TooMuchWork> {
        for at in 0..self.packages[first].depends.len() {
            let Some(wanted) = self.packages[first].depends.get(at).copied() else {
                break;
            };
            self.step()?;
            let state = &mut self.names[wanted.name];
            if !wanted.dependency.conflict
                && state.merge_asked == candidates
                && state.requirers == 0
            {
                state.requirers = 1;
                self.became_required(wanted.name);
            }
        }
        let package = self.package(first);
        for given in std::iter::once(package.name).chain(package.provides.iter().map(|p| p.0)) {
            let state = &mut self.names[given];
            if state.merge_given == candidates && state.requirers == 0 {
                state.requirers = 1;
                self.became_required(given);
            }
        }
        Ok(())
    }
}
