//! The README's way to a first program, copied from there, built and run.

use prebake_launch::{Host, Settings};
use prebake_testkit::http::Server;
use prebake_testkit::shared::{found_or_skipped, real_mirror};

use crate::package::{Package, run};

/// What of the README's recipe is not beside the checkout, and what is there in its place.
const THERE: [(&str, &str); 2] = [
    ("[\"x86_64\", \"aarch64\"]", "[\"x86_64\"]"),
    ("\"3.21.3\"", "\"3.20.3\""),
];

#[test]
fn the_readmes_three_two_and_ten_lines_run() {
    let test = "the_readmes_three_two_and_ten_lines_run";
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = fs_err::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("## In your program").unwrap();
    let blocks: Vec<_> = section.split("```").skip(1).step_by(2).collect();
    let code = |block: &str| block.split_once('\n').unwrap().1.to_owned();
    let [manifest, script, program] = [0, 1, 2].map(|number: usize| code(blocks[number]));
    // Headings, closing brackets and empty lines are not counted.
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && *line != "}" && !line.starts_with('['))
            .count()
    };
    assert_eq!(
        [&manifest, &script, &program].map(|text| lines(text)),
        [3, 2, 10]
    );
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let instances = tempfile::tempdir().unwrap();
    let settings = Settings {
        folder: Some(instances.path().to_owned()),
        ..Settings::default()
    };
    let runs_here = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let host = Host::detect_with(&settings).ok().filter(|_| runs_here);
    if found_or_skipped(host, test, "namespaces on x86_64 Linux").is_none() {
        return;
    }

    let package = Package::new("readme");
    let head =
        "[package]\nname = \"readme\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    package.write("Cargo.toml", &format!("{head}{manifest}"));
    package.write("build.rs", &script);
    package.write("src/main.rs", &program);
    let (_, own) = readme
        .split_once("writes a recipe, `prebake.toml`:")
        .unwrap();
    let mut recipe = code(own.split("```").nth(1).unwrap());
    for (there, here) in THERE {
        assert!(recipe.contains(there), "{there} in {recipe}");
        recipe = recipe.replace(there, here);
    }
    let server = Server::start_folder(&mirror);
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let keys = ["zhangyoufu.rsa.pub", "fixture-20260101.rsa.pub"].map(|key| {
        fs_err::copy(mirror.join("keys").join(key), package.path(key)).unwrap();
        key
    });
    let recipe = format!(
        "mirrors = [\"{url}\"]\n{recipe}\n[[repository]]\nurl = \"{url}/v3.20/main\"\nkeys = {keys:?}\n"
    );
    package.write("prebake.toml", &recipe);
    let cache = tempfile::tempdir().unwrap();
    let mut command = package.command(&["run", "--quiet"]);
    command
        .env("PREBAKE_CACHE", cache.path())
        .env("PREBAKE_INSTANCES", instances.path());
    let output = run(command);
    assert_eq!(output.stdout, "3.20.3\n", "{output:?}");
    assert!(output.success, "{output:?}");
    let left = fs_err::read_dir(instances.path().join("instances")).unwrap();
    assert_eq!(left.count(), 0);
}
