//! Why a world cannot be satisfied.

/// Why there is no [`Solution`](crate::Solution).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// Nothing fits; the value says why.
    #[error("no set of packages satisfies the world")]
    Unsatisfiable(Unsatisfiable),
    /// The request has more than [`MAX_REPOSITORIES`](crate::MAX_REPOSITORIES) repositories.
    #[error("there are {0} repositories, more than {max}", max = crate::MAX_REPOSITORIES)]
    TooManyRepositories(usize),
    /// The search was given up after its bound on work, some hundred times that of a real world.
    #[error("the search was given up after {0} steps")]
    TooMuchWork(u64),
}

/// The reasons for which a world cannot be satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsatisfiable {
    /// One reason for each name that cannot be had.
    pub reasons: Vec<String>,
}
