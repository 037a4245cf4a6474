//! The world: what apk is asked to keep installed.

use prebake_apk::dependency::Dependency;
use prebake_apk::version::Dialect;
use prebake_rootfs::merge::Base;

use crate::document::nearest;
use crate::error::Error;
use crate::places::Place;
use crate::recipe::Recipe;

/// The longest world entry taken, in bytes.
const MAX_ENTRY: usize = 512;

/// What to say of an entry that is none.
pub(crate) const ENTRY_HINT: &str = "write what `apk add` takes: `jq`, `jq>=1.7`, `jq@edge`, `!jq`";

/// Reads a world entry, `[!]name[@tag][operator version]`, by the newest apk's rules; returns the
/// name.
pub(crate) fn check_entry(entry: &str) -> Result<&str, String> {
    if entry.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{entry}` holds a space"));
    }
    if entry.len() > MAX_ENTRY {
        return Err(format!("a package name is longer than {MAX_ENTRY} bytes"));
    }
    let dependency = Dependency::parse(entry, Dialect::V3).map_err(|error| error.to_string())?;
    Ok(dependency.name)
}

/// Refuses a package that is pinned to a tag which no repository of the recipe has.
pub(crate) fn check_tags(recipe: &Recipe, places: &[Place<'_>]) -> Result<(), Error> {
    for package in &recipe.packages {
        let entry = Dependency::parse(&package.value, Dialect::V3);
        let Some(tag) = entry.ok().and_then(|entry| entry.tag) else {
            continue;
        };
        let tags = || places.iter().filter_map(|place| place.tag);
        if !tags().any(|known| known == tag) {
            let hint = nearest(tag, tags()).map_or_else(
                || format!("add `tag = \"{tag}\"` to a [[repository]]"),
                |near| format!("did you mean `@{near}`?"),
            );
            let message = format!("no [[repository]] has the tag `{tag}`");
            return Err(recipe
                .problem(package.span.clone(), message, Some(hint))
                .into());
        }
    }
    Ok(())
}

/// A world, and those of it that are additions to the base's.
type Worlds<'a> = (Vec<Dependency<'a>>, Vec<Dependency<'a>>);

/// Returns the base's world with the recipe's packages, as `apk add` combines them, and what the
/// recipe adds; `locals` are the entries of those that lie beside the recipe.
pub(crate) fn of<'a>(
    recipe: &'a Recipe,
    locals: &'a [String],
    base: &'a [String],
    dialect: Dialect,
) -> Result<Worlds<'a>, Error> {
    // apk leaves out what it cannot read in a world that it did not write itself.
    let own = base
        .iter()
        .filter_map(|entry| Dependency::parse(entry, dialect).ok());
    let own: Vec<_> = own.collect();
    let mut added = Vec::new();
    for package in &recipe.packages {
        added.push(Dependency::parse(&package.value, dialect).map_err(|error| {
            let hint = Some(ENTRY_HINT.to_owned());
            recipe.problem(package.span.clone(), error.to_string(), hint)
        })?);
    }
    let locals = locals.iter().map(|entry| Dependency::parse(entry, dialect));
    added.extend(locals.filter_map(Result::ok));
    Ok((prebake_solve::world(&own, &added), added))
}

/// Returns the entries of a base's world as texts.
pub(crate) fn of_base(base: &Base) -> Vec<String> {
    base.world
        .iter()
        .map(|entry| String::from_utf8_lossy(entry).into_owned())
        .collect()
}

/// Returns the world's entries as the apk database has them.
pub(crate) fn combine(
    recipe: &Recipe,
    locals: &[String],
    base: &Base,
) -> Result<Vec<Vec<u8>>, Error> {
    let own = of_base(base);
    let (world, _) = of(recipe, locals, &own, dialect(base))?;
    Ok(world
        .iter()
        .map(|dependency| dependency.to_string().into_bytes())
        .collect())
}

/// Returns whose rules apply: those of the base's apk, or the newest's where it has none.
pub(crate) fn dialect(base: &Base) -> Dialect {
    base.dialect.unwrap_or(Dialect::V3)
}
