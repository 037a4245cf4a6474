//! Who depends on a name.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Search;
use crate::universe::{NameId, PackageId, Universe};

/// Of each name the names whose providers depend on it or forbid it. Few are ever asked for, so
/// that they are put together only then.
#[derive(Debug, Default)]
pub(super) struct ReverseDepends {
    /// The packages that depend on each name.
    packages: Vec<PackageId>,
    /// Where those of each name end.
    ends: Vec<u32>,
    /// Where the names are in `names` that were asked for.
    known: BTreeMap<NameId, (u32, u32)>,
    names: Vec<NameId>,
}

impl ReverseDepends {
    /// Returns the places, for [`ReverseDepends::get`], of the names that depend on one, each once
    /// and in apk's order.
    pub(super) fn of(&mut self, name: NameId, universe: &Universe<'_>) -> Range<usize> {
        let (start, end) = *self.known.entry(name).or_insert_with(|| {
            let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
            let start = name.index().checked_sub(1).map_or(0, end);
            let packages = self.packages.get(start..end(name.index()));
            let mut names = Vec::new();
            for package in packages.unwrap_or_default() {
                names.push(universe.package(*package).name);
                names.extend(universe.provides(*package).iter().map(|given| given.0));
            }
            names.sort_unstable();
            names.dedup();
            names.sort_by_cached_key(|name| universe.table_order(*name));
            let start = self.names.len() as u32;
            self.names.append(&mut names);
            (start, self.names.len() as u32)
        });
        start as usize..end as usize
    }

    pub(super) fn get(&self, at: usize) -> Option<NameId> {
        self.names.get(at).copied()
    }
}

impl Search<'_, '_> {
    /// Finds who depends on whom, among what was discovered.
    pub(super) fn find_reverse_depends(&self) -> ReverseDepends {
        let universe = self.universe;
        let discovered = || {
            let packages = universe.iter().map(|(id, _)| id);
            packages.filter(|id| self.packages[*id].discovered)
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
        ReverseDepends {
            packages,
            ends,
            known: BTreeMap::new(),
            names: Vec::new(),
        }
    }
}
