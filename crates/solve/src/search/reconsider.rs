//! Looking at a name again after something it hangs on has changed.

use super::{Search, TooMuchWork};
use crate::universe::{NameId, PackageId, Wanted};

impl Search<'_, '_> {
    /// Finds which providers are left for a name, and what all of them have in common: that much
    /// is certain before one of them is chosen.
    pub(super) fn reconsider(&mut self, name: NameId) -> Result<(), TooMuchWork> {
        let state = &mut self.names[name];
        if !state.choice.is_open() {
            return Ok(());
        }
        let triggers = std::mem::take(&mut state.reevaluate_triggers);
        state.has_triggered = false;
        let required = state.requirers > 0;
        let mark = &mut self.marks[name];
        let dependencies = std::mem::take(&mut mark.reevaluate_dependencies);
        self.names[name].is_settled = self.is_settled(name);
        self.merging += 1;
        let mut candidates = 0_u32;
        let mut first = None;
        let mut outside_pins = 0;
        for provider in self.providers(name) {
            self.step()?;
            let id = provider.package;
            if required {
                self.packages[id].merged = false;
            }
            if dependencies {
                self.check_dependencies(id)?;
            }
            if !self.packages[id].selectable {
                continue;
            }
            if triggers {
                self.check_trigger(id);
            }
            let triggered = self.packages[id].triggered;
            if triggered {
                self.names[name].has_triggered = true;
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
            self.take_what_is_common(name, first, candidates)?;
        }
        self.queue_open(name);
        Ok(())
    }

    /// Says whether all that may have a say in a name have spoken: no name that is asked for and
    /// undecided has a provider that depends on it or forbids it, be that the name itself.
    fn is_settled(&self, name: NameId) -> bool {
        self.reverse_depends(name).all(|reverse| {
            let state = &self.names[reverse];
            !state.is_asked_for || !state.choice.is_open()
        })
    }

    /// Disqualifies a package with a dependency that nothing can satisfy any more.
    fn check_dependencies(&mut self, id: PackageId) -> Result<(), TooMuchWork> {
        if !self.packages[id].selectable {
            return Ok(());
        }
        for wanted in self.depends(id) {
            self.step()?;
            if !self.can_be_met(*wanted)? {
                self.disqualify(id);
                break;
            }
        }
        Ok(())
    }

    fn can_be_met(&mut self, wanted: Wanted) -> Result<bool, TooMuchWork> {
        let state = &self.names[wanted.name];
        if !state.choice.is_open() {
            return Ok(self.is_met_by_choice(wanted));
        }
        // What nobody asks for may be forbidden; what is asked for has to have a provider that is
        // not (`forbidden-but-asked-for`).
        if wanted.is_conflict() && state.requirers == 0 {
            return Ok(true);
        }
        for provider in self.providers(wanted.name) {
            self.step()?;
            if self.packages[provider.package].selectable && self.satisfies(wanted, *provider) {
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
        for condition in self.install_if(id) {
            if self.names[condition.name].choice.is_open() {
                triggered = false;
            } else if !self.is_met_by_choice(*condition) {
                triggered = false;
                failed = true;
                break;
            }
        }
        let state = &mut self.packages[id];
        state.triggered = triggered;
        state.trigger_failed = failed;
        if triggered {
            for condition in self.install_if(id) {
                if let Some(provider) = self.names[condition.name].choice.provider() {
                    self.inherit_pins(id, Some(provider.package), None);
                }
            }
        }
    }

    /// Counts what a candidate asks for and gives. A name counts as common only as long as every
    /// candidate so far had it.
    fn merge(&mut self, id: PackageId, candidates: u32) -> Result<(), TooMuchWork> {
        for wanted in self.depends(id) {
            self.step()?;
            if wanted.is_conflict() {
                continue;
            }
            let asked = &mut self.names[wanted.name].merge_asked;
            asked.add(self.merging, candidates);
        }
        let package = self.package(id);
        let own = (package.name, self.universe.own(id).version);
        for (given, version) in self.provides(id).iter().copied().chain([own]) {
            let state = &mut self.names[given];
            state.merge_given.add(self.merging, candidates);
            if version.is_none() {
                state.merge_shared = self.merging;
            }
        }
        Ok(())
    }

    /// Asks for what every candidate asks for. What every candidate gives is theirs: whoever else
    /// gives it, and not this name, is out.
    fn take_what_is_common(
        &mut self,
        name: NameId,
        first: PackageId,
        candidates: u32,
    ) -> Result<(), TooMuchWork> {
        for wanted in self.depends(first) {
            self.step()?;
            let state = &mut self.names[wanted.name];
            if !wanted.is_conflict()
                && state.merge_asked.is(self.merging, candidates)
                && state.requirers == 0
            {
                state.requirers = 1;
                self.became_required(wanted.name);
            }
        }
        if candidates == 1 {
            self.narrow(first)?;
        }
        let own = self.package(first).name;
        let provided = self.provides(first).iter().map(|given| given.0);
        let is_shared = self.providers(name).iter().any(|provider| {
            provider.version.is_none() && self.packages[provider.package].selectable
        });
        for given in std::iter::once(own).chain(provided) {
            if given == name || !self.names[given].merge_given.is(self.merging, candidates) {
                continue;
            }
            // Where a candidate gives it without a version, be it one of several
            // (`common-shared-by-one`), packages that provide anything without one stay, for
            // whatever reason (`beside-shared`). An own name counts as such where a candidate gives
            // the name in question without a version (`own-name-beside-shared`).
            let may_share = if given == own {
                is_shared
            } else {
                self.names[given].merge_shared == self.merging
            };
            for other in self.providers(given) {
                self.step()?;
                let stays = may_share && self.shares(other.package);
                if !stays && !self.gives(other.package, name) {
                    self.disqualify(other.package);
                }
            }
        }
        Ok(())
    }

    /// Takes out what the only candidate for a name cannot do with. It does so by what it depends
    /// on; what it forbids goes only once it is chosen (`single-narrows`). What it needs may be
    /// decided before it, and may come from where the candidate may (`pins-around-a-circle`).
    fn narrow(&mut self, only: PackageId) -> Result<(), TooMuchWork> {
        for wanted in self.depends(only) {
            if wanted.is_conflict() {
                continue;
            }
            for provider in self.providers(wanted.name) {
                self.step()?;
                if self.satisfies(*wanted, *provider) {
                    self.inherit_pins(provider.package, Some(only), None);
                } else if provider.package != only {
                    self.disqualify(provider.package);
                }
            }
        }
        Ok(())
    }

    /// Says whether a package provides anything without a version.
    fn shares(&self, id: PackageId) -> bool {
        self.provides(id).iter().any(|given| given.1.is_none())
    }

    /// Says whether a package has a name, as its own or provided.
    fn gives(&self, id: PackageId, name: NameId) -> bool {
        let package = self.package(id);
        package.name == name || self.provides(id).iter().any(|given| given.0 == name)
    }
}
