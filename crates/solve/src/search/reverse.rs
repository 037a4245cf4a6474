//! Who depends on a name.

use super::Search;
use crate::table;
use crate::universe::{NameId, Universe};

/// Of each name the names whose providers depend on it or forbid it, each once and in apk's order.
#[derive(Debug, Default)]
pub(super) struct ReverseDepends {
    all: Vec<NameId>,
    /// Where those of each name begin and end.
    runs: Vec<(u32, u32)>,
}

impl ReverseDepends {
    pub(super) fn of(&self, name: NameId) -> &[NameId] {
        let run = self.runs.get(name.index());
        run.and_then(|(start, end)| self.all.get(*start as usize..*end as usize))
            .unwrap_or_default()
    }
}

impl Search<'_, '_> {
    /// Finds who depends on whom, among what was discovered.
    pub(super) fn reverse_depends(&self) -> ReverseDepends {
        let universe = self.universe;
        let wanted = |name: NameId| {
            let providers = universe.providers(name).iter();
            providers
                .map(|provider| provider.package)
                .filter(|package| self.packages[*package].discovered)
                .flat_map(|package| universe.depends(package))
                .map(|wanted| wanted.name)
        };
        let mut runs = vec![(0_u32, 0_u32); universe.names().len()];
        for wanted in universe.names().flat_map(wanted) {
            if let Some((_, count)) = runs.get_mut(wanted.index()) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for (start, end) in &mut runs {
            let count = std::mem::replace(end, sum);
            *start = sum;
            sum += count;
        }
        let mut all = vec![universe.nothing; sum as usize];
        // Names that are gone through in apk's order arrive in it everywhere.
        for name in in_table_order(universe) {
            for wanted in wanted(name) {
                let Some((start, end)) = runs.get_mut(wanted.index()) else {
                    break;
                };
                let last = all.get(*start as usize..*end as usize);
                if last.and_then(<[_]>::last) == Some(&name) {
                    continue;
                }
                if let Some(slot) = all.get_mut(*end as usize) {
                    *slot = name;
                }
                *end += 1;
            }
        }
        ReverseDepends { all, runs }
    }
}

/// Returns every name in the order of apk's table.
fn in_table_order(universe: &Universe<'_>) -> Vec<NameId> {
    let mut ends = vec![0_u32; table::SLOTS as usize + 1];
    let slot = |name| universe.table_order(name).0 as usize;
    for name in universe.names() {
        if let Some(count) = ends.get_mut(slot(name) + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut names = vec![universe.nothing; universe.names().len()];
    for name in universe.names() {
        if let Some(end) = ends.get_mut(slot(name)) {
            if let Some(place) = names.get_mut(*end as usize) {
                *place = name;
            }
            *end += 1;
        }
    }
    let mut start = 0;
    for end in ends {
        let end = end as usize;
        if let Some(same) = names.get_mut(start..end).filter(|same| same.len() > 1) {
            same.sort_unstable_by_key(|name| universe.table_order(*name));
        }
        start = end;
    }
    names
}
