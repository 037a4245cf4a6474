//! Names that one package alone provides.
//!
//! Most `cmd:` names are such, and no other package asks for them: a choice has nothing to do with
//! them. Each is passed over until something leads to it.

use super::Reach;
use crate::universe::{NameId, Run, Universe};

/// Set in an id that stands for a name that was passed over.
const PASSED_OVER: u32 = 1 << 31;

impl Reach<'_, '_> {
    /// Says whether a name that was not reached is one package's only, and no package waits for it.
    pub(super) fn is_given_once(&self, place: usize, at: usize) -> bool {
        let reached = self.ids.get(place).and_then(|ids| ids.names.get(at));
        let directory = self.places.get(place).map(|place| &place.directory);
        let named = directory.and_then(|directory| directory.get(at));
        let mut others = self.places.iter().enumerate();
        named.is_some_and(|named| {
            reached == Some(&0)
                && named.givers().len() == 1
                && named.waiting().len() == 0
                && others.all(|(other, there)| {
                    other == place || there.directory.find_same(&named).is_none()
                })
        })
    }

    /// Passes over the name at a position, and returns what stands for it among what its package
    /// provides until all is settled.
    pub(super) fn pass_over(&mut self, place: usize, at: usize) -> NameId {
        let number = self.passed_over.len() as u32;
        self.passed_over.push((place, at));
        NameId(PASSED_OVER | number)
    }

    /// Puts names that were passed over, and that something led to later, where they belong among
    /// what their packages provide; takes out the others.
    pub(super) fn settle_passed_over(&mut self) {
        let Universe {
            packages, provides, ..
        } = &mut self.universe;
        let mut end = 0;
        for id in &self.followed {
            let Some(package) = packages.get_mut(id.index()) else {
                continue;
            };
            let first = end;
            for from in package.provides.start..package.provides.end {
                let Some((mut name, version)) = provides.get(from as usize).copied() else {
                    break;
                };
                if name.0 & PASSED_OVER != 0 {
                    let number = (name.0 & !PASSED_OVER) as usize;
                    let known = self.passed_over.get(number);
                    let id = known.and_then(|(place, at)| self.ids.get(*place)?.names.get(*at));
                    let Some(id) = id.and_then(|id| id.checked_sub(1)) else {
                        continue;
                    };
                    name = NameId(id);
                }
                if let Some(to) = provides.get_mut(end as usize) {
                    *to = (name, version);
                }
                end += 1;
            }
            package.provides = Run { start: first, end };
        }
        provides.truncate(end as usize);
    }
}
