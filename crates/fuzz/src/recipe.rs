//! Recipes: every mistake has a place in the text, and an edit changes what it says and no more.

use std::path::Path;

use prebake::document::DocumentError;
use prebake::edit;
use prebake::recipe::Recipe;

use crate::tame::{assert_tame, tame};

/// Reads a recipe.
pub(crate) fn recipe(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let path = Path::new("prebake.toml");
    let recipe = match Recipe::parse(path, text.to_owned()) {
        Ok(recipe) => recipe,
        Err(error) => return refused(&error, text),
    };
    assert_eq!(recipe.text, text);
    assert!(!recipe.outputs.is_empty() && !recipe.arches.is_empty());
    for package in &recipe.packages {
        assert!(text.get(package.span.clone()).is_some());
    }
    let paths = recipe.files.iter().map(|file| &file.path);
    for path in paths.chain(recipe.directories.iter().map(|one| &one.path)) {
        assert!(!path.value.is_root());
        assert!(text.get(path.span.clone()).is_some());
    }
    edited(&recipe);
}

/// Adds a package and takes it away again.
fn edited(recipe: &Recipe) {
    let name = "zz-new".to_owned();
    if recipe.packages.iter().any(|one| one.value.contains(&name)) {
        return;
    }
    let before: Vec<_> = recipe.packages.iter().map(|one| &one.value).collect();
    let Ok((added, _)) = edit::add(recipe, std::slice::from_ref(&name)) else {
        return;
    };
    let with = Recipe::parse(&recipe.path, added).expect("an edited recipe is one");
    assert_eq!(with.packages.len(), before.len() + 1);
    assert!(with.packages.iter().any(|one| one.value == name));
    assert_eq!(with.files.len(), recipe.files.len());
    let (removed, _) = edit::remove(&with, &[name]).expect("what was added can go");
    let without = Recipe::parse(&recipe.path, removed).expect("an edited recipe is one");
    let after: Vec<_> = without.packages.iter().map(|one| &one.value).collect();
    assert_eq!(after, before);
}

/// Holds a refusal to pointing into the text, in words.
pub(crate) fn refused(error: &DocumentError, text: &str) {
    assert!(!error.problems.is_empty(), "refused without a word");
    for problem in &error.problems {
        assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
        let (line, column) = error.position(problem);
        assert!(line >= 1 && column >= 1);
        assert!(line <= text.split('\n').count());
        assert_tame(&problem.message);
        assert!(
            problem.message.len() < 1000,
            "{} bytes",
            problem.message.len()
        );
        assert_tame(problem.hint.as_deref().unwrap_or_default());
    }
    if error.problems.len() == 1 {
        tame(error);
    }
}
