//! What is asked of the solver.

use prebake_apk::dependency::Dependency;
use prebake_apk::index::Index;
use prebake_apk::version::Dialect;

/// One package repository, read.
#[derive(Clone, Copy, Debug)]
pub struct Repository<'a> {
    /// Its packages.
    pub index: &'a Index,
    /// The tag that it carries, without the `@`: its packages are only for names pinned to it.
    pub tag: Option<&'a str>,
}

/// A world, and what there is to satisfy it with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What shall be there; see [`world`](crate::world()) for what `apk add` makes of additions.
    /// The order does not matter.
    pub world: &'a [Dependency<'a>],
    /// Those of the world that `apk add` would be given, as against what the base's world has
    /// anyway: their names are decided first. The order does not matter.
    pub added: &'a [Dependency<'a>],
    /// The repositories in the order of `/etc/apk/repositories`: the earlier one wins a tie.
    pub repositories: &'a [Repository<'a>],
    /// The installed database of the base; `None` to start from nothing.
    pub installed: Option<&'a Index>,
    /// Whose rules apply.
    pub dialect: Dialect,
    /// The architectures that a package may be of, beside `noarch` and `all`; of use in
    /// [`Dialect::V3`] only, since apk 2.14 takes any.
    pub architectures: &'a [&'a str],
    /// Whether packages of the base move on to what the repositories have, as `apk upgrade` does
    /// it; otherwise they stay as long as nothing asks for another version.
    pub upgrade: bool,
}

/// The most repositories that one request may have. apk 2.14 itself takes 32.
pub const MAX_REPOSITORIES: usize = 64;
