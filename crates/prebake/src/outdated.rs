//! The lock held against what the mirrors have now.

use prebake_apk::index::Index;
use prebake_apk::version::{self, Dialect};

use crate::arch::Arch;
use crate::build;
use crate::context::Context;
use crate::error::Error;
use crate::lock::LockedRootfs;
use crate::recipe::Recipe;
use crate::repositories::{Moment, Reading, Repositories};
use crate::world;

/// A locked package and what the mirrors have of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// For which architecture.
    pub arch: Arch,
    /// Its name.
    pub package: String,
    /// The lock's version, or the base's.
    pub locked: String,
    /// The newest version that the mirrors have; `None` if they have none.
    pub newest: Option<String>,
    /// Whether it is the base's and the lock leaves it as it is.
    pub in_base: bool,
    /// Whether the mirrors still have the locked build; where not, only the cache does.
    pub available: bool,
}

/// Asks the mirrors for their indexes and returns each package of the rootfs for which they have
/// something else than the lock.
pub fn outdated(
    recipe: &Recipe,
    locked: &LockedRootfs,
    context: &Context,
) -> Result<Vec<Outdated>, Error> {
    let (facts, baked) = build::locked::bake_locked(recipe, locked, context)?;
    let dialect = world::dialect(&facts);
    let places = recipe.places(locked.arch)?;
    let repositories = Repositories {
        recipe,
        places: &places,
        before: Some(locked),
        may_be_older: false,
        base: &facts,
        context,
    };
    let opened = repositories
        .open(Moment::Current, &[], Reading::Signed)?
        .unwrap_or_default();
    let indexes: Vec<_> = opened.iter().map(|opened| &opened.index).collect();
    let installed =
        Index::parse(baked.installed().to_vec()).map_err(|source| Error::IndexText {
            url: format!("the database of {}", locked.arch),
            source,
        })?;
    let mut outdated = Vec::new();
    for package in installed.iter() {
        let is_locked = locked
            .packages()
            .any(|one| one.identity == package.identity());
        // No mirror has what lies beside the recipe.
        let mut locals = locked.packages().filter(|one| one.local);
        if locals.any(|one| one.identity == package.identity()) {
            continue;
        }
        let here = indexes.iter().flat_map(|index| index.iter());
        let of_name: Vec<_> = here.filter(|one| one.name() == package.name()).collect();
        let newest = of_name
            .iter()
            .map(prebake_apk::index::Stanza::version)
            .reduce(|best, one| newer(best, one, dialect));
        let available = of_name
            .iter()
            .any(|one| one.identity() == package.identity());
        // What only the base has, at whatever version, is as it should be.
        let is_newer = newest
            .is_some_and(|newest| newer(package.version(), newest, dialect) != package.version());
        if is_newer || (is_locked && !available) {
            outdated.push(Outdated {
                arch: locked.arch,
                package: package.name().to_owned(),
                locked: package.version().to_owned(),
                newest: newest.map(str::to_owned),
                in_base: !is_locked,
                available,
            });
        }
    }
    Ok(outdated)
}

/// Returns the newer of two versions, the first where they are equal.
fn newer<'a>(one: &'a str, other: &'a str, dialect: Dialect) -> &'a str {
    if version::compare(one, other, dialect).is_lt() {
        other
    } else {
        one
    }
}
