//! Deciding a name: which of its providers it gets.

use std::cmp::Ordering;

use prebake_apk::version::{Dialect, compare};

use super::{Search, TooMuchWork};
use crate::state::Choice;
use crate::universe::{NameId, PackageId, Provider};

impl Search<'_, '_> {
    /// Decides a name and draws the consequences.
    pub(super) fn choose(&mut self, name: NameId) -> Result<(), TooMuchWork> {
        let Some(chosen) = self.best(name)? else {
            if self.names[name].requirers > 0 {
                self.failed = true;
            }
            self.decide(name, Choice::Nobody);
            self.wake_reverse_depends(name);
            self.wake_triggered(name);
            return Ok(());
        };
        let id = chosen.package;
        let state = &self.packages[id];
        if !state.selectable || !state.pin_allowed {
            self.failed = true;
        }
        let package = self.package(id);
        self.assign(name, chosen)?;
        self.assign(package.name, self.universe.own(id))?;
        for (given, version) in self.provides(id) {
            self.assign(
                *given,
                Provider {
                    package: id,
                    version: *version,
                },
            )?;
        }
        for wanted in self.depends(id) {
            self.constrain(Some(id), *wanted)?;
        }
        Ok(())
    }

    /// Returns the provider that apk prefers.
    fn best(&mut self, name: NameId) -> Result<Option<Provider>, TooMuchWork> {
        let providers = self.providers(name);
        let required = self.names[name].requirers > 0;
        let mut best: Option<Provider> = None;
        for provider in providers {
            self.step()?;
            let state = &self.packages[provider.package];
            let package = self.package(provider.package);
            // What was triggered and is out by now is still taken, and fails.
            let is_triggered = state.triggered && state.pin_allowed;
            if !(required || is_triggered) {
                continue;
            }
            // A versionless `provides` says that a package would do, not that it should be taken.
            if provider.version.is_none()
                && package.provider_priority == 0
                && self.names[package.name].requirers == 0
            {
                continue;
            }
            if best.is_none_or(|best| self.prefer(*provider, best) == Ordering::Greater) {
                best = Some(*provider);
            }
        }
        Ok(best)
    }

    /// Orders two providers of one name; the greater one is taken.
    fn prefer(&self, a: Provider, b: Provider) -> Ordering {
        let (a_package, b_package) = (self.package(a.package), self.package(b.package));
        let (a_state, b_state) = (&self.packages[a.package], &self.packages[b.package]);
        let dialect = self.universe.dialect;
        let version = |provider| self.universe.provided_version(provider);
        let installed = || {
            a_package
                .installed
                .is_some()
                .cmp(&b_package.installed.is_some())
        };
        let priority = || {
            a_package
                .provider_priority
                .cmp(&b_package.provider_priority)
        };
        let order = a_state
            .selectable
            .cmp(&b_state.selectable)
            .then(a_state.merged.cmp(&b_state.merged))
            .then(b_state.conflicts.cmp(&a_state.conflicts))
            .then(a_state.pin_allowed.cmp(&b_state.pin_allowed))
            .then(a_state.pin_preferred.cmp(&b_state.pin_preferred))
            .then_with(|| {
                if self.upgrade {
                    Ordering::Equal
                } else {
                    installed()
                }
            })
            .then_with(|| match (version(a), version(b)) {
                (Some(a), Some(b)) => compare(a, b, dialect),
                // A provider without a version is neither older nor newer.
                _ => Ordering::Equal,
            })
            .then_with(|| {
                if a_package.name == b_package.name {
                    let own = |provider: Provider| self.universe.version(provider.package);
                    compare(own(a), own(b), dialect)
                } else {
                    Ordering::Equal
                }
            });
        let order = match dialect {
            Dialect::V2 => order.then_with(installed).then_with(priority),
            Dialect::V3 => order.then_with(priority).then_with(installed),
        };
        order.then_with(|| {
            // The lowest repository wins; a package that none has comes last.
            b_package
                .repositories
                .trailing_zeros()
                .cmp(&a_package.repositories.trailing_zeros())
        })
    }

    /// Gives a name to a provider, which takes the name from all others unless it is shared.
    fn assign(&mut self, name: NameId, provider: Provider) -> Result<(), TooMuchWork> {
        match self.names[name].choice {
            Choice::Provider(holder) if holder.package == provider.package => return Ok(()),
            Choice::Provider(holder) if holder.version.is_none() && provider.version.is_none() => {
                // Of those that share a name, the one that was decided first stands for it.
                return Ok(());
            }
            Choice::Provider(_) => {
                self.failed = true;
                return Ok(());
            }
            Choice::Nobody | Choice::Open => {}
        }
        self.decide(name, Choice::Provider(provider));
        for other in self.providers(name) {
            self.step()?;
            // Only those without a version share a name.
            let shared = provider.version.is_none() && other.version.is_none();
            if other.package != provider.package && !shared {
                self.disqualify(other.package);
            }
        }
        self.wake_reverse_depends(name);
        self.wake_triggered(name);
        Ok(())
    }

    /// Returns the package that a name was given to.
    pub(crate) fn chosen(&self, name: NameId) -> Option<PackageId> {
        Some(self.names[name].choice.provider()?.package)
    }
}
