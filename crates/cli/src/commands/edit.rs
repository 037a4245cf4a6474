//! `prebake add` and `prebake remove`: change the recipe's packages and lock again.

use prebake::edit::{self, Edit};
use prebake::recipe::Recipe;
use prebake::{Error, Upgrade, update_lock, write_file};
use serde_json::json;

use crate::arguments::{EditArguments, Global};
use crate::{exit_code, output, session};

type Change = fn(&Recipe, &[String]) -> Result<(String, Vec<Edit>), Error>;

pub(crate) fn add(arguments: &EditArguments, global: &Global) -> Result<u8, Error> {
    run(arguments, global, edit::add)
}

pub(crate) fn remove(arguments: &EditArguments, global: &Global) -> Result<u8, Error> {
    run(arguments, global, edit::remove)
}

fn run(arguments: &EditArguments, global: &Global, change: Change) -> Result<u8, Error> {
    let recipe = session::recipe(&arguments.recipe.recipe, &arguments.recipe.host)?;
    let (text, edits) = change(&recipe, &arguments.packages)?;
    let changed = Recipe::parse(&recipe.path, text.clone())?;
    let context = session::open(&arguments.recipe.host, global)?;
    // The recipe is only written when what it asks for can be had.
    let locked = update_lock(&changed, &Upgrade::Keep, &context)?;
    drop(context);
    if text != recipe.text {
        let path = &recipe.path;
        write_file(path, text.as_bytes())?;
    }
    if global.json {
        output::json(&json!({
            "recipe": recipe.path.display().to_string(),
            "edits": edits.iter().map(|edit| match edit {
                Edit::Added(entry) => json!({ "added": entry }),
                Edit::Replaced(entry, old) => json!({ "added": entry, "removed": old }),
                Edit::Removed(entry) => json!({ "removed": entry }),
                Edit::Unchanged(entry) => json!({ "unchanged": entry }),
            }).collect::<Vec<_>>(),
            "changes": super::lock::changes_json(&locked.changes),
        }));
        return Ok(exit_code::SUCCESS);
    }
    for edit in &edits {
        output::line(&match edit {
            Edit::Added(entry) => format!("+ {entry}"),
            Edit::Replaced(entry, old) => format!("~ {old} -> {entry}"),
            Edit::Removed(entry) => format!("- {entry}"),
            Edit::Unchanged(entry) => format!("= {entry}"),
        });
    }
    if global.is_watched() {
        super::lock::tell_changes(&locked.changes);
    }
    Ok(exit_code::SUCCESS)
}
