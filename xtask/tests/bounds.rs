//! `docs/bounds.md` holds every bound of the sources, with its value and tests that are there.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns every Rust source below `folder`.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs_err::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// Returns the value of an expression of numbers, `*` and `<<`.
fn value(expression: &str) -> Option<u64> {
    let expression = expression.trim();
    if let Some((left, right)) = expression.rsplit_once("<<") {
        return Some(value(left)? << value(right)?);
    }
    let mut product = 1_u64;
    for factor in expression.split('*') {
        product = product.checked_mul(factor.trim().replace('_', "").parse().ok()?)?;
    }
    Some(product)
}

/// The defaults that bound time and more, by their files: `field: value` in a `Default`.
const DEFAULTS: [&str; 2] = ["fetch/src/options.rs", "launch/src/sandbox/limits.rs"];

/// Returns a default's value, times in milliseconds; `None` of what is no number.
fn default(expression: &str) -> Option<u64> {
    for (unit, milliseconds) in [("millis", 1), ("secs", 1000), ("mins", 60_000)] {
        if let Some(number) = expression.strip_prefix(&format!("Duration::from_{unit}(")) {
            return Some(value(number.trim_end_matches(')'))? * milliseconds);
        }
    }
    value(expression)
}

/// Adds the defaults of the sources, `crate::module::field`.
fn add_defaults(bounds: &mut BTreeMap<String, u64>) {
    for path in DEFAULTS {
        let text = fs_err::read_to_string(root().join("crates").join(path)).unwrap();
        let defaults = text.split_once("fn default() -> Self {").unwrap().1;
        let module = path
            .trim_end_matches(".rs")
            .replace("/src/", "::")
            .replace('/', "::");
        for line in defaults.lines() {
            let field = line.trim().trim_end_matches(',').split_once(": ");
            if let Some((field, number)) = field.and_then(|(field, it)| Some((field, default(it)?)))
            {
                bounds.insert(format!("{module}::{field}"), number);
            }
        }
    }
}

/// Returns the bounds of the sources, `crate::module::NAME`, with their values: what is called `MAX_…`,
/// `MIN_…` or `FREE_…`.
fn bounds() -> BTreeMap<String, u64> {
    let mut bounds = BTreeMap::new();
    for entry in fs_err::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if name == "testkit" {
            continue;
        }
        for (path, text) in sources(&folder.join("src")) {
            let code = text.split("#[cfg(test)]").next().unwrap();
            for line in code.lines() {
                let line = line.trim().trim_start_matches("pub(super) ");
                let line = line
                    .trim_start_matches("pub(crate) ")
                    .trim_start_matches("pub ");
                let Some((constant, rest)) = line
                    .strip_prefix("const ")
                    .and_then(|line| line.split_once(':'))
                else {
                    continue;
                };
                if !["MAX_", "MIN_", "FREE_"]
                    .iter()
                    .any(|start| constant.starts_with(start))
                {
                    continue;
                }
                let expression = rest.split_once('=').unwrap().1.trim_end_matches(';');
                let number = value(expression)
                    .unwrap_or_else(|| panic!("{}: what is {expression}?", path.display()));
                let module = path
                    .strip_prefix(folder.join("src"))
                    .unwrap()
                    .with_extension("");
                let module = module.to_string_lossy().replace(['/', '\\'], "::");
                let module = module.trim_start_matches("lib");
                let module = [&name, module].into_iter().filter(|part| !part.is_empty());
                let module = module.collect::<Vec<_>>().join("::");
                bounds.insert(format!("{module}::{constant}"), number);
            }
        }
    }
    bounds
}

#[test]
fn the_table_of_bounds_is_true() {
    let table = fs_err::read_to_string(root().join("docs/bounds.md")).unwrap();
    let mut bounds = bounds();
    add_defaults(&mut bounds);
    assert!(bounds.len() > 30, "{bounds:?}");
    let mut tests = String::new();
    for folder in ["crates", "xtask"] {
        for (_, text) in sources(&root().join(folder)) {
            tests.push_str(&text);
        }
    }
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, number, what, named] = cells[..] else {
            panic!("not four cells: {line}");
        };
        assert!(!what.is_empty(), "{line}");
        let name = name.trim_matches('`');
        let number: u64 = number.replace(',', "").parse().unwrap();
        let real = bounds.remove(name);
        assert_eq!(real, Some(number), "{name} in docs/bounds.md");
        for test in named.split(", ").filter(|test| *test != "–") {
            let test = test.trim_matches('`');
            assert!(
                tests.contains(&format!("fn {test}(")),
                "{name}: no test `{test}`"
            );
        }
    }
    assert!(bounds.is_empty(), "not in docs/bounds.md: {bounds:?}");
}
