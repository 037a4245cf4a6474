//! `prebake init`: a recipe to start from.

use std::fmt::Write as _;

use prebake::recipe::{ALPINE_MIRROR, RECIPE_FILE, Recipe};
use prebake::{Error, write_file};
use serde_json::json;

use crate::arguments::{Global, InitArguments};
use crate::{exit_code, output};

pub(crate) fn run(arguments: &InitArguments, global: &Global) -> Result<u8, Error> {
    let path = if arguments.recipe.is_dir() {
        arguments.recipe.join(RECIPE_FILE)
    } else {
        arguments.recipe.clone()
    };
    if path.exists() {
        return Err(Error::NotKnown {
            path,
            what: "already there; `init` overwrites nothing".to_owned(),
        });
    }
    let text = recipe_text(arguments, &path);
    // What is written must be a recipe, whatever was given on the command line.
    Recipe::parse(&path, text.clone())?;
    write_file(&path, text.as_bytes())?;
    if global.json {
        output::json(&json!({ "recipe": path.display().to_string() }));
    } else {
        output::line(&path.display().to_string());
        if global.is_watched() {
            output::notice("next: edit it, then `prebake build`");
        }
    }
    Ok(exit_code::SUCCESS)
}

fn recipe_text(arguments: &InitArguments, path: &std::path::Path) -> String {
    let folder = std::path::absolute(path).ok();
    let name = folder
        .as_deref()
        .and_then(|path| path.parent()?.file_name()?.to_str())
        .filter(|name| {
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        })
        .filter(|name| name.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .unwrap_or("rootfs");
    let list = |words: &[String]| {
        let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        format!("[{}]", quoted.join(", "))
    };
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write!(
        text,
        "\
name = {name:?}
arch = {arch}
# What `apk add` takes: \"jq\", \"jq>=1.7\", \"jq@edge\", \"!jq\".
packages = {packages}

[base]
release = {release:?}    # an official Alpine minirootfs

# Repositories instead of the release's own main and community:
# [[repository]]
# url = \"{ALPINE_MIRROR}/{branch}/main\"
# keys = [\"keys/extra.rsa.pub\"]

# Files of your own, added after the packages:
# [[file]]
# path = \"/etc/wsl.conf\"
# content = \"[boot]\\nsystemd = false\\n\"

[[output]]
path = \"{{name}}-{{release}}-{{arch}}.tar.gz\"
",
        arch = list(&arguments.arch),
        packages = list(&arguments.packages),
        release = arguments.release,
        branch = prebake::template::branch(&arguments.release),
    );
    text
}
