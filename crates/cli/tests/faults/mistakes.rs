//! Mistakes in a recipe and on the command line, as people and as scripts see them.

use serde_json::Value;

use crate::kitchen::Kitchen;
use crate::stove::assert_says;

/// A recipe with one mistake on its third line, and what is said of it.
const MISTAKES: [(&str, &str, &str); 8] = [
    ("pakages = [\"jq\"]", "unknown key `pakages`", "packages"),
    (
        "packages = \"jq\"",
        "`packages` must be a list of strings",
        "",
    ),
    (
        "packages = [\"jq<\"]",
        "`jq<` is not a dependency",
        "jq>=1.7",
    ),
    ("packages = [\"jq\" \"bc\"]", "", ""),
    (
        "packages = [\"jq\"]\nrelase = 1",
        "unknown key `relase`",
        "",
    ),
    ("packages = [1]", "packages", ""),
    (
        "packages = [\"jq\"]\nmirrors = [\"ftp://x/y\"]",
        "ftp://x/y",
        "http",
    ),
    ("packages = [\"jq bc\"]", "`jq bc`", "apk add"),
];

fn recipe(line: &str) -> String {
    format!(
        "name = \"r\"\narch = [\"x86_64\"]\n{line}\n[base]\nrelease = \"3.99.0\"\n\
         [[output]]\npath = \"r.tar.gz\"\n"
    )
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    for (line, message, hint) in MISTAKES {
        let kitchen = Kitchen::new(&recipe(line));
        let at = 2 + line.lines().count();
        for command in ["build", "lock"] {
            let output = kitchen.run(&[command]);
            output.expect(2);
            let place = format!("[prebake.toml:{at}:");
            let shown = line.lines().last().unwrap();
            assert_says(&output, &[&place, shown, message, hint]);
        }
    }
}

#[test]
fn scripts_get_json() {
    for (line, message, hint) in MISTAKES {
        let kitchen = Kitchen::new(&recipe(line));
        let output = kitchen.run(&["build", "--json"]);
        output.expect(2);
        let error = &json(&output.stdout)["error"];
        assert_eq!(error["code"], 2);
        let problem = &error["problems"][0];
        assert_eq!(problem["file"], "prebake.toml");
        assert_eq!(problem["line"], 2 + line.lines().count());
        assert!(problem["column"].as_u64().is_some_and(|column| column > 0));
        let said = problem["message"].as_str().unwrap();
        assert!(said.contains(message), "{said}");
        let whole = format!("{said} {}", problem["hint"]);
        assert!(whole.contains(hint), "{whole}");
    }
    // What is no mistake of the recipe has a message and hints.
    let kitchen = Kitchen::new(&recipe("packages = [\"jq\"]"));
    let output = kitchen.run(&["build", "--json", "--locked"]);
    output.expect(6);
    let error = &json(&output.stdout)["error"];
    assert_eq!(error["code"], 6);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("there is no lock"), "{message}");
    assert_eq!(error["problems"], Value::Array(Vec::new()));
    assert!(error["hints"][0].as_str().unwrap().contains("prebake lock"));
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_mistake_is_told_at_once() {
    let kitchen = Kitchen::new("nam = \"r\"\narch = [\"x86\", \"amd64\"]\n[bas]\n");
    let output = kitchen.run(&["build"]);
    output.expect(2);
    let words = ["prebake.toml:1:", "prebake.toml:2:", "prebake.toml:3:"];
    assert_says(&output, &words);
}

#[test]
fn files_that_are_not_there() {
    let kitchen = Kitchen::new("");
    fs_err::remove_file(kitchen.path("prebake.toml")).unwrap();
    for arguments in [
        &["build"][..],
        &["lock"],
        &["lock", "--check"],
        &["build", "elsewhere/prebake.toml"],
        &["verify", "rootfs.tar.gz"],
        &["inspect", "rootfs.tar.gz"],
    ] {
        let output = kitchen.run(arguments);
        output.expect(2);
        assert_says(&output, &["error: failed to read", "No such file"]);
    }
}

#[test]
fn wrong_words_on_the_command_line() {
    let kitchen = Kitchen::new(&recipe("packages = [\"jq\"]"));
    for (arguments, word) in [
        (&["biuld"][..], "build"),
        (&["build", "--treads", "1"], "--threads"),
        (&["build", "--threads", "0"], "--threads"),
        (&["lock", "--check", "--upgrade"], "--upgrade"),
        (&["build", "--arch", "riscv64"], "x86_64"),
        (&[], "Usage"),
    ] {
        let output = kitchen.run(arguments);
        output.expect(2);
        assert_says(&output, &[word]);
    }
}

#[test]
fn init_overwrites_nothing() {
    let kitchen = Kitchen::new("mine");
    let output = kitchen.run(&["init"]);
    output.expect(2);
    assert_says(&output, &["prebake.toml", "overwrites nothing"]);
    let left = fs_err::read_to_string(kitchen.path("prebake.toml")).unwrap();
    assert_eq!(left, "mine");
}
