//! Recipes as people write them, right and wrong.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::Path;

use prebake::arch::Arch;
use prebake::recipe::{ALPINE_MIRROR, FileContent, Recipe};

const DESIGN: &str = r#"
name = "ephemerd-rootfs"
arch = ["x86_64", "aarch64"]
packages = ["gcompat", "iptables"]

[base]
release = "3.21.3"

[[repository]]
url = "https://dl-cdn.alpinelinux.org/alpine/v3.21/main/"
keys = ["keys/extra.rsa.pub"]

[[file]]
path = "/etc/wsl.conf"
content = "[boot]\nsystemd = false\n"

[[output]]
path = "embed/{name}-{release}-{arch}.tar.gz"
"#;

fn parse(text: &str) -> Result<Recipe, String> {
    Recipe::parse(Path::new("dir/prebake.toml"), text.to_owned()).map_err(|error| error.to_string())
}

#[test]
fn the_designs_recipe_is_read() {
    let recipe = parse(DESIGN).unwrap();
    assert_eq!(recipe.name, "ephemerd-rootfs");
    assert_eq!(recipe.arches, [Arch::X86_64, Arch::Aarch64]);
    assert_eq!(recipe.packages.len(), 2);
    assert_eq!(recipe.mirrors, [ALPINE_MIRROR]);
    assert_eq!(
        recipe.repositories[0].url.value,
        "https://dl-cdn.alpinelinux.org/alpine/v3.21/main"
    );
    let file = &recipe.files[0];
    assert_eq!(
        (file.mode, file.user.as_str(), file.group.as_str()),
        (0o644, "0", "0")
    );
    assert!(matches!(&file.content, FileContent::Text(text) if text.starts_with("[boot]\n")));
    assert_eq!(recipe.lock_path(), Path::new("dir/prebake.lock"));
}

#[test]
fn unusual_packages_are_named() {
    let recipe = parse(&format!("unusual = [\"perl\", \"base\"]\n{DESIGN}")).unwrap();
    assert!(recipe.is_unusual("perl") && recipe.is_unusual("base"));
    assert!(!recipe.is_unusual("iptables"));
    for wrong in ["", "perl=5", "a b", "p@edge", "a/b"] {
        let error = parse(&format!("unusual = [\"{wrong}\"]\n{DESIGN}")).unwrap_err();
        assert!(
            error.contains(&format!("`{wrong}` is not the name of a package")),
            "{error}"
        );
    }
}

/// Replaces `from` in the design's recipe and returns what is said of the result.
#[track_caller]
fn said(from: &str, to: &str) -> String {
    assert!(DESIGN.contains(from), "{from:?} is not in the recipe");
    parse(&DESIGN.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn every_mistake_names_its_line_and_the_right_word() {
    let mistakes = [
        ("packages =", "pakages ="),
        ("release =", "relase ="),
        ("[[repository]]", "[[repositories]]"),
        ("content =", "contents ="),
        ("[\"x86_64\", \"aarch64\"]", "[\"x86-64\", \"arm64\"]"),
        ("[\"x86_64\", \"aarch64\"]", "[\"x86_46\", \"sparc\"]"),
        ("[\"x86_64\", \"aarch64\"]", "[]"),
        ("[\"x86_64\", \"aarch64\"]", "5"),
        ("arch = [\"x86_64\", \"aarch64\"]\n", ""),
        ("\"x86_64\", \"aarch64\"", "\"x86_64\", \"x86_64\""),
        ("\"ephemerd-rootfs\"", "\"../up\""),
        ("\"gcompat\"", "\"gcompat\", \"gcompat\""),
        ("\"gcompat\"", "\"jq >= 1\""),
        ("\"gcompat\"", "7"),
        ("\"3.21.3\"", "\"v3.21.3\""),
        ("\"3.21.3\"", "3.21"),
        (
            "release = \"3.21.3\"",
            "url = \"https://example.com/base.tar.gz\"",
        ),
        (
            "release = \"3.21.3\"",
            "release = \"3.21.3\"\nsha256 = \"abc\"",
        ),
        ("release = \"3.21.3\"", ""),
        ("https://dl-cdn", "ftp://dl-cdn"),
        ("/etc/wsl.conf", "etc/wsl.conf"),
        ("/etc/wsl.conf", "/etc/../wsl.conf"),
        (
            "path = \"/etc/wsl.conf\"",
            "path = \"/etc/wsl.conf\"\nmode = 644",
        ),
        (
            "path = \"/etc/wsl.conf\"",
            "path = \"/etc/wsl.conf\"\nmode = \"0999\"",
        ),
        (
            "path = \"/etc/wsl.conf\"",
            "path = \"/etc/wsl.conf\"\nsource = \"a\"",
        ),
        (
            "path = \"/etc/wsl.conf\"",
            "path = \"/etc/wsl.conf\"\nowner = \"a b\"",
        ),
        ("-{arch}.tar.gz", ".tar.gz"),
        ("{release}", "{relase}"),
        (".tar.gz\"", ".zip\""),
        ("name = \"ephemerd-rootfs\"", "name = \"ephemerd-rootfs"),
    ];
    let said: Vec<_> = mistakes
        .iter()
        .map(|(from, to)| format!("{to}\n    {}", said(from, to).replace('\n', "\n    ")))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn all_mistakes_are_named_in_one_run() {
    let error = parse("nme = \"x\"\narch = \"amd64\"\n[base]\n").unwrap_err();
    insta::assert_snapshot!(error, @r#"
    dir/prebake.toml:1:1: unknown key `nme` in the recipe (did you mean `name`?)
    dir/prebake.toml:1:1: `name` is missing: what the rootfs is called, as in `name = "ci-rootfs"`
    dir/prebake.toml:2:8: unknown architecture `amd64` (did you mean `x86_64`?)
    dir/prebake.toml:3:1: `[base]` has neither `release` nor `url` (an official release, as in `release = "3.21.3"`, or `url` and `sha256`)
    "#);
}

/// Found by the fuzz targets: a quoted key or word may hold an escape sequence, and be long.
#[test]
fn what_a_mistake_quotes_steers_no_terminal_and_fills_no_screen() {
    let wild = format!("\\u001b[2J\\u009b\\u202e{}", "x".repeat(5000));
    for (from, to) in [
        ("packages =", format!("\"{wild}\" =")),
        ("\"x86_64\", \"aarch64\"", format!("\"{wild}\"")),
        ("\"gcompat\"", format!("\"{wild} 1\"")),
        ("\"3.21.3\"", format!("\"{wild}\"")),
        ("\"/etc/wsl.conf\"", format!("\"/etc/{wild}\"")),
        ("{arch}", format!("{{{wild}}}")),
    ] {
        let said = said(from, &to);
        assert!(
            !said.contains(|c: char| c != '\n' && c.is_control()),
            "{said:?}"
        );
        assert!(!said.contains('\u{202e}'), "{said:?}");
        assert!(said.len() < 9000, "{} bytes", said.len());
    }
}
