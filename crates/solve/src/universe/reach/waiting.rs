//! What waits for names in its `install_if`.
//!
//! Most of it is documentation, completions and the like: packages that provide and depend on
//! nothing, whose name nobody else has or waits for. Beside the package that each belongs to they
//! wait for a name that says whether such things are wanted (`docs`), to which most often nothing
//! leads. Then they cannot come by themselves, and where they stand among other names makes no
//! difference to any. So they are put off until all else is reached.

use prebake_apk::index::Link;

use super::{Name, NameId, PackageId, Reach, Run, run};

impl Reach<'_, '_> {
    /// Follows what waits for a name, or puts it off.
    pub(super) fn follow_waiting(&mut self, id: NameId, waiting: Run) {
        if waiting.start == waiting.end {
            return;
        }
        self.awaited.push((id, waiting));
        for at in waiting.start..waiting.end {
            let Some((place, position)) = self.waiting(at) else {
                break;
            };
            if self.is_alone(place, position) {
                self.put_off.push((place, position));
            } else if let Some(package) = self.package_at(place, position) {
                self.follow(package);
            }
        }
    }

    fn waiting(&self, at: u32) -> Option<(usize, usize)> {
        let (place, position) = self.waiting.get(at as usize)?;
        Some((*place as usize, *position as usize))
    }

    /// Says whether nothing but what a package waits for has to do with it, as far as is known.
    fn is_alone(&self, place: usize, position: usize) -> bool {
        let here = self.places.get(place);
        here.is_some_and(|here| {
            let referring = here.directory.package(position);
            referring.depends().next().is_none()
                && referring.provides().next().is_none()
                && referring
                    .name()
                    .is_some_and(|name| self.is_given_once(place, name))
        })
    }

    /// Follows what was put off and all of whose conditions were reached, and finds out what each
    /// name triggers.
    pub(super) fn settle_waiting(&mut self) {
        for (place, position) in std::mem::take(&mut self.put_off) {
            if self.may_come(place, position)
                && let Some(package) = self.package_at(place, position)
            {
                self.follow(package);
            }
        }
        // That leads to their own names, for which nothing waits.
        while let Some(id) = self.queue.pop() {
            self.expand(id);
        }
        let mut triggered = Vec::new();
        for (id, waiting) in std::mem::take(&mut self.awaited) {
            for at in waiting.start..waiting.end {
                let position = self.waiting(at);
                let package = position.and_then(|(place, at)| self.package_id(place, at));
                let followed = package.filter(|package| self.is_followed(*package));
                let universe = &self.universe;
                let described = followed.and_then(|package| universe.packages.get(package.index()));
                if let Some(described) = described {
                    // Of what may be triggered no name is passed over.
                    let given = described.provides.of(&universe.provides);
                    let given = given.iter().map(|(given, _)| *given);
                    triggered.extend(std::iter::once(described.name).chain(given).map(|given| {
                        let order = universe.names.get(given.index()).map(Name::table_order);
                        (order, given)
                    }));
                }
            }
            triggered.sort_unstable();
            triggered.dedup();
            let universe = &mut self.universe;
            let first = universe.triggered.len();
            universe
                .triggered
                .extend(triggered.drain(..).map(|(_, given)| given));
            let install_if_of = run(first, &universe.triggered);
            if let Some(name) = universe.names.get_mut(id.index()) {
                name.install_if_of = install_if_of;
            }
        }
    }

    /// Says whether every name that a package waits for was reached: one that was not is nobody's.
    fn may_come(&self, place: usize, position: usize) -> bool {
        let here = self.places.get(place);
        here.is_some_and(|here| {
            let mut conditions = here.directory.package(position).install_if();
            conditions.all(|condition| match condition {
                Link::Plain(at)
                | Link::Kept { name: at, .. }
                | Link::Written { name: Some(at), .. } => self.is_reached(place, at),
                Link::Written { name: None, .. } => true,
            })
        })
    }

    fn is_reached(&self, place: usize, at: usize) -> bool {
        let id = self.ids.get(place).and_then(|ids| ids.names.get(at));
        let id = id.and_then(|id| id.checked_sub(1));
        let reached = id.and_then(|id| self.names.get(id as usize));
        reached.is_some_and(|reached| reached.queued)
    }

    fn is_followed(&self, package: PackageId) -> bool {
        self.is_followed.get(package.index()) == Some(&true)
    }
}
