//! Who depends on a name.

use super::Search;
use crate::universe::{NameId, PackageId};

/// Of each name the packages that depend on it or forbid it, among those that were discovered.
#[derive(Debug, Default)]
pub(super) struct ReverseDepends {
    packages: Vec<PackageId>,
    /// Where those of each name end.
    ends: Vec<u32>,
}

impl ReverseDepends {
    fn of(&self, name: NameId) -> &[PackageId] {
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let start = name.index().checked_sub(1).map_or(0, end);
        let packages = self.packages.get(start..end(name.index()));
        packages.unwrap_or_default()
    }
}

impl Search<'_, '_> {
    /// Finds who depends on whom, among what was discovered.
    pub(super) fn find_reverse_depends(&self) -> ReverseDepends {
        let universe = self.universe;
        let discovered = || {
            let packages = universe.iter().map(|(id, _)| id);
            packages.filter(|id| self.packages[*id].is_discovered())
        };
        let mut ends = vec![0_u32; universe.names().len() + 1];
        for wanted in discovered().flat_map(|id| universe.depends(id)) {
            if let Some(count) = ends.get_mut(wanted.name.index() + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let mut packages = vec![PackageId::default(); sum as usize];
        for id in discovered() {
            for wanted in universe.depends(id) {
                let Some(end) = ends.get_mut(wanted.name.index()) else {
                    break;
                };
                if let Some(slot) = packages.get_mut(*end as usize) {
                    *slot = id;
                }
                *end += 1;
            }
        }
        ReverseDepends { packages, ends }
    }

    /// Returns the names whose providers depend on a name or forbid it, in no order; some of them
    /// more than once.
    pub(super) fn reverse_depends(&self, name: NameId) -> impl Iterator<Item = NameId> {
        let universe = self.universe;
        self.reverse.of(name).iter().flat_map(move |package| {
            let given = universe.provides(*package).iter().map(|given| given.0);
            std::iter::once(universe.package(*package).name).chain(given)
        })
    }
}
