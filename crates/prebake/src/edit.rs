//! Changes to the recipe's own text: packages that are added or removed, all else left alone.

use prebake_apk::dependency::Dependency;
use prebake_apk::version::Dialect;
use toml_edit::{Array, DocumentMut, Item, Value};

use crate::error::Error;
use crate::recipe::Recipe;
use crate::world;

/// A change to a recipe's `packages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The entry came.
    Added(String),
    /// The entry took the place of the second, which has the same name.
    Replaced(String, String),
    /// The entry went.
    Removed(String),
    /// It was as it should be.
    Unchanged(String),
}

/// Returns the recipe's text with `entries` among its packages, and what changed. An entry
/// replaces one of its name; comments, order and layout stay.
pub fn add(recipe: &Recipe, entries: &[String]) -> Result<(String, Vec<Edit>), Error> {
    for entry in entries {
        world::check_entry(entry).map_err(|message| Error::BadEntry {
            message,
            hint: world::ENTRY_HINT,
        })?;
    }
    edit(recipe, |packages| {
        let mut edits = Vec::new();
        for entry in entries {
            let same = position(packages, name(entry));
            edits.push(
                match same.and_then(|at| Some((at, packages.get(at)?.as_str()?.to_owned()))) {
                    Some((_, old)) if old == *entry => Edit::Unchanged(old),
                    Some((at, old)) => {
                        packages.replace(at, entry.as_str());
                        Edit::Replaced(entry.clone(), old)
                    }
                    None => {
                        push(packages, entry);
                        Edit::Added(entry.clone())
                    }
                },
            );
        }
        Ok(edits)
    })
}

/// Returns the recipe's text without the packages of these names, and what changed.
pub fn remove(recipe: &Recipe, names: &[String]) -> Result<(String, Vec<Edit>), Error> {
    edit(recipe, |packages| {
        let mut edits = Vec::new();
        for wanted in names {
            let Some(at) = position(packages, name(wanted)) else {
                let own: Vec<_> = packages.iter().filter_map(Value::as_str).collect();
                let near = crate::document::nearest(wanted, own.iter().map(|entry| name(entry)));
                return Err(Error::NotAsked {
                    name: wanted.clone(),
                    near: near.map(str::to_owned),
                });
            };
            let gone = packages.remove(at);
            edits.push(Edit::Removed(gone.as_str().unwrap_or_default().to_owned()));
        }
        Ok(edits)
    })
}

fn edit(
    recipe: &Recipe,
    change: impl FnOnce(&mut Array) -> Result<Vec<Edit>, Error>,
) -> Result<(String, Vec<Edit>), Error> {
    let unreadable = |message: String| Error::from(recipe.problem(0..0, message, None));
    let mut document: DocumentMut = recipe
        .text
        .parse()
        .map_err(|error: toml_edit::TomlError| unreadable(error.to_string()))?;
    let item = document
        .entry("packages")
        .or_insert_with(|| Item::Value(Array::new().into()));
    let packages = item
        .as_array_mut()
        .ok_or_else(|| unreadable("`packages` is no list".to_owned()))?;
    let edits = change(packages)?;
    Ok((document.to_string(), edits))
}

/// Adds an entry in the layout that the list has: on a line of its own where the others are.
fn push(packages: &mut Array, entry: &str) {
    let layout = packages.iter().last().map(|last| last.decor().clone());
    let mut value = Value::from(entry);
    if let Some(layout) = layout {
        let prefix = layout
            .prefix()
            .and_then(|prefix| prefix.as_str())
            .unwrap_or_default();
        // A comment before the last entry is that entry's.
        let prefix: String = if prefix.contains('#') {
            let indent = prefix.rsplit('\n').next().unwrap_or_default();
            format!("\n{indent}")
        } else if packages.len() == 1 && prefix.is_empty() {
            " ".to_owned()
        } else {
            prefix.to_owned()
        };
        value.decor_mut().set_prefix(prefix);
    }
    packages.push_formatted(value);
}

fn position(packages: &Array, wanted: &str) -> Option<usize> {
    packages
        .iter()
        .position(|value| value.as_str().is_some_and(|entry| name(entry) == wanted))
}

/// Returns the name that an entry is about.
fn name(entry: &str) -> &str {
    Dependency::parse(entry, Dialect::V3).map_or(entry, |dependency| dependency.name)
}
