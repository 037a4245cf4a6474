//! Chooses the packages that apk would choose, in the order in which apk would install them, or
//! says why there are none.
//!
//! This is a resolver of one kind only: given a world, indexes and what a base has installed, it
//! answers as `apk add` does, down to the choices that a cleverer resolver would make otherwise.
//! It is judged by the real apk 2.14.4. It reads no file and knows nothing of downloads.
//!
//! From the bottom up: `universe` knows which package gives which name, `search` decides names
//! one after another, `order` puts the chosen packages into apk's order, `explain` finds why there
//! are none.

mod explain;
mod order;
mod request;
mod search;
mod solution;
mod state;
mod table;
mod universe;
mod why;
mod world;

pub use request::{MAX_REPOSITORIES, Repository, Request};
pub use solution::{Change, ChangeKind, Solution, Source};
pub use why::{Candidate, Need, Objection, Reason, Requirer, SolveError, Unsatisfiable};
pub use world::world;

use search::{Search, TooMuchWork};
use universe::{OtherDialect, Scope, Universe};

/// The most steps that [`solve`] takes before it gives up; a step is a look at one dependency or
/// provider. The largest real worlds (every `-doc` package of a release) take a fiftieth of it.
pub const MAX_STEPS: u64 = 200_000_000;

/// Finds the packages that satisfy a world.
///
/// The same request gives the same answer, in whichever order its world is. No request keeps it
/// busy forever: it gives up after [`MAX_STEPS`] and says so.
pub fn solve(request: &Request<'_>) -> Result<Solution, SolveError> {
    solve_within(request, MAX_STEPS)
}

/// As [`solve`], with a bound of one's own on the steps that the search may take.
pub fn solve_within(request: &Request<'_>, max_steps: u64) -> Result<Solution, SolveError> {
    if request.repositories.len() > MAX_REPOSITORIES {
        return Err(SolveError::TooManyRepositories(request.repositories.len()));
    }
    for dependency in request.world {
        let known = |tag| {
            request
                .repositories
                .iter()
                .any(|known| known.tag == Some(tag))
        };
        if dependency.tag.is_some_and(|tag| !known(tag)) {
            return Err(SolveError::UnknownTag {
                dependency: dependency.to_string(),
            });
        }
    }
    let other = |OtherDialect| SolveError::OtherDialect;
    let universe = Universe::new(request, Scope::Reachable).map_err(other)?;
    let mut search = searched(&universe, request, max_steps)?;
    if search.failed {
        // To say why not takes what else there is: names that are near to a wrong one.
        let universe = Universe::new(request, Scope::Everything).map_err(other)?;
        let search = searched(&universe, request, max_steps)?;
        return Err(SolveError::Unsatisfiable(explain::explain(&search)));
    }
    Ok(order::Order::new(&mut search).solution())
}

fn searched<'a, 'u>(
    universe: &'u Universe<'a>,
    request: &Request<'a>,
    max_steps: u64,
) -> Result<Search<'a, 'u>, SolveError> {
    let mut search = Search::new(universe, request, max_steps);
    search
        .run()
        .map_err(|TooMuchWork| SolveError::TooMuchWork(max_steps))?;
    Ok(search)
}
