//! The house's own rules, held over its sources.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::{Path, PathBuf};

/// The crates that are functions of what they are given.
const PURE: [&str; 4] = ["apk", "solve", "rootfs", "image"];

/// What those may not name outside of tests: it reads the host, the clock or chance.
const IMPURE: [&str; 9] = [
    "std::fs",
    "fs_err",
    "std::env",
    "std::net",
    "std::path",
    "std::process",
    "std::time",
    "SystemTime",
    "RandomState",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns every Rust source below `folder`, with its path from there.
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
    assert!(!found.is_empty(), "{} has no sources", folder.display());
    found
}

#[test]
fn pure_crates_read_nothing_of_the_host() {
    for name in PURE {
        for (path, text) in sources(&root().join("crates").join(name).join("src")) {
            // Unit tests stand at the end of a file and may read the judges' data.
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (number, line) in code.lines().enumerate() {
                let code = line.split("//").next().unwrap();
                for word in IMPURE {
                    let at = format!("{}:{}", path.display(), number + 1);
                    assert!(!code.contains(word), "{at} names `{word}`");
                }
            }
        }
    }
}

#[test]
fn files_do_one_thing() {
    for folder in ["crates", "examples", "xtask"] {
        for (path, text) in sources(&root().join(folder)) {
            assert!(
                text.len() <= 30_000,
                "{} has {} bytes",
                path.display(),
                text.len()
            );
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let vague = ["utils", "util", "common", "helpers", "misc", "types"];
            assert!(
                !vague.contains(&stem.as_str()),
                "{} is named for nothing",
                path.display()
            );
        }
    }
    let map = fs_err::read(root().join("ARCHITECTURE.md")).unwrap();
    assert!(map.len() <= 8192, "ARCHITECTURE.md has {} bytes", map.len());
}

#[test]
fn every_dependency_has_its_line() {
    let manifest = fs_err::read_to_string(root().join("Cargo.toml")).unwrap();
    let listed = fs_err::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let dependencies = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let names = dependencies.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<_> = names
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let own = name.starts_with("prebake");
        assert!(
            own || listed.contains(&format!("`{name}`")),
            "docs/dependencies.md lacks {name}"
        );
    }
}

#[test]
fn every_promise_has_its_test() {
    let text = fs_err::read_to_string(root().join("SECURITY.md")).unwrap();
    let named = text.lines().filter_map(|line| {
        let test = line.strip_prefix("- `crates/")?;
        test.split('`').next()?.split_once(": ")
    });
    let mut count = 0;
    for (file, test) in named {
        let source = fs_err::read_to_string(root().join("crates").join(file)).unwrap();
        let is_there = source.contains(&format!("fn {test}("));
        assert!(
            is_there,
            "SECURITY.md names `{test}`, which is not in crates/{file}"
        );
        count += 1;
    }
    // Each section but the first two makes promises.
    for section in text.split("\n## ").skip(3) {
        let title = section.lines().next().unwrap();
        assert!(
            section.contains("\n- `crates/"),
            "\"{title}\" names no test"
        );
    }
    assert!(count >= 40, "only {count}");
}
