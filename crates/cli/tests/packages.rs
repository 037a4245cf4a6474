//! The commands about packages: who needs whom, what is newer, what comes and goes, and why a
//! recipe cannot be had. Over the full index of Alpine 3.19.

mod kitchen;

use kitchen::Kitchen;
use prebake_testkit::http::Server;
use prebake_testkit::shared::real_mirror;

/// Returns a kitchen with a recipe for `packages` on the real 3.19, and its mirror.
fn kitchen(test: &str, packages: &str) -> Option<(Kitchen, Server)> {
    let server = Server::start_folder(&real_mirror(test)?);
    let recipe = format!(
        "# A recipe with comments that stay.\n\
         name = \"packages\"\narch = \"x86_64\"\n\
         packages = [\n    {packages}\n]  # and here\nmirrors = [\"{}\"]\n\n\
         [base]\nrelease = \"3.19.4\"\n",
        server.url("").trim_end_matches('/')
    );
    Some((Kitchen::new(&recipe), server))
}

#[test]
fn why_and_tree_tell_what_brought_a_package() {
    let test = "why_and_tree_tell_what_brought_a_package";
    let Some((kitchen, _server)) = kitchen(test, "\"jq\", \"wget\"") else {
        return;
    };
    let mut said = Vec::new();
    for arguments in [
        &["why", "oniguruma"][..],
        &["why", "libcrypto3"],
        &["why", "jq"],
        &["why", "busybox-binsh"],
        &["tree"],
        &["tree", "--base"],
    ] {
        let output = kitchen.run(arguments);
        output.expect(0);
        said.push(format!(
            "$ prebake {}
{}
",
            arguments.join(" "),
            output.stdout
        ));
    }
    insta::assert_snapshot!(said.concat());
    let missing = kitchen.run(&["why", "onigurma"]);
    missing.expect(2);
    assert!(
        missing.stderr.contains("did you mean `oniguruma`?"),
        "{}",
        missing.stderr
    );
    let json = kitchen.run(&["why", "oniguruma", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json.expect(0).stdout).expect("JSON");
    assert_eq!(value[0]["chains"][0][1]["asks_for"], "so:libonig.so.5");
    let json = kitchen.run(&["tree", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json.expect(0).stdout).expect("JSON");
    assert_eq!(value[0]["packages"].as_array().map(Vec::len), Some(21));
}

#[test]
fn add_and_remove_keep_the_recipes_comments_and_order() {
    let test = "add_and_remove_keep_the_recipes_comments_and_order";
    let Some((kitchen, _server)) = kitchen(test, "\"wget\",  # fetches\n    \"jq\",") else {
        return;
    };
    let recipe = || fs_err::read_to_string(kitchen.path("prebake.toml")).expect("the recipe");
    let before = recipe();
    kitchen.run(&["add", "make", "jq>=1.7"]).expect(0);
    insta::assert_snapshot!(recipe().lines().take(8).collect::<Vec<_>>().join("\n"), @r#"
    # A recipe with comments that stay.
    name = "packages"
    arch = "x86_64"
    packages = [
        "wget",  # fetches
        "jq>=1.7",
        "make",
    ]  # and here
    "#);
    kitchen.run(&["lock", "--check"]).expect(0);
    kitchen.run(&["remove", "make"]).expect(0);
    kitchen.run(&["add", "jq"]).expect(0);
    assert_eq!(recipe(), before);
    kitchen.run(&["lock", "--check"]).expect(0);

    // What cannot be had changes neither the recipe nor the lock.
    let lock = fs_err::read(kitchen.path("prebake.lock")).expect("the lock");
    kitchen.run(&["add", "no-such-package"]).expect(4);
    kitchen.run(&["add", "not a package"]).expect(2);
    kitchen.run(&["remove", "make"]).expect(2);
    assert_eq!(recipe(), before);
    assert_eq!(
        fs_err::read(kitchen.path("prebake.lock")).expect("the lock"),
        lock
    );
    let json = kitchen.run(&["add", "make", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json.expect(0).stdout).expect("JSON");
    assert_eq!(value["edits"][0]["added"], "make");
    assert_eq!(value["changes"][0]["package"], "make");
}

#[test]
fn outdated_names_what_the_mirrors_have_newer() {
    use prebake_testkit::base::BaseBuilder;
    use prebake_testkit::mirror::MirrorBuilder;
    use prebake_testkit::package::PackageBuilder;

    let mirror = |kitchen: &Kitchen, version: &str| {
        let packages = [("tool", version), ("same", "1.0-r0"), ("gone", version)];
        let packages = packages
            .iter()
            .filter(|(name, version)| *name != "gone" || *version == "1.0-r0");
        let builder = MirrorBuilder::new("v3.99").base(BaseBuilder::new("x86_64", "3.99.0"));
        let builder = packages.fold(builder, |builder, (name, version)| {
            let package = PackageBuilder::new(name, version).file(&format!("usr/{name}"), version);
            builder.package_for("main", "x86_64", package)
        });
        let _ = fs_err::remove_dir_all(kitchen.path("mirror/v3.99/main"));
        builder.build_in(&kitchen.path("mirror"))
    };
    let kitchen = Kitchen::new("");
    let made = mirror(&kitchen, "1.0-r0");
    let server = Server::start_folder(&kitchen.path("mirror"));
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let key = made.key_file();
    kitchen.write(
        "prebake.toml",
        format!(
            "name = \"n\"\narch = \"x86_64\"\npackages = [\"tool\", \"same\", \"gone\"]\n\
             mirrors = [\"{url}\"]\n[base]\nrelease = \"3.99.0\"\n\
             [[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = [{:?}]\n",
            key.display().to_string()
        ),
    );
    kitchen.run(&["outdated"]).expect(6);
    kitchen.run(&["lock"]).expect(0);
    assert_eq!(kitchen.run(&["outdated"]).expect(0).stdout, "");
    mirror(&kitchen, "2.0-r0");
    insta::assert_snapshot!(kitchen.run(&["outdated"]).expect(0).stdout, @r"
    x86_64   gone 1.0-r0 -> gone; the mirrors dropped the locked one
    x86_64   tool 1.0-r0 -> 2.0-r0; the mirrors dropped the locked one
    ");
    let json = kitchen.run(&["outdated", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json.expect(0).stdout).expect("JSON");
    assert_eq!(value.as_array().map(Vec::len), Some(2));
    assert_eq!(value[1]["newest"], "2.0-r0");
}

/// Ten recipes that cannot be had, and what a person reads who has never seen apk.
#[test]
fn ten_recipes_that_cannot_be_had_say_why() {
    let test = "ten_recipes_that_cannot_be_had_say_why";
    let worlds = [
        "\"opensh\"",
        "\"jq>2\"",
        "\"git\", \"!zlib\"",
        "\"nginx\", \"!pcre\"",
        "\"so:libssl.so.1.1\"",
        "\"openssh\", \"!cmd:ssh\"",
        "\"musl<1.2\"",
        "\"git=2.43.0-r0\"",
        "\"docker-cli-compose>9\", \"podman\"",
        "\"jq@edge\"",
    ];
    let mut said = Vec::new();
    for world in worlds {
        let Some((kitchen, server)) = kitchen(test, world) else {
            return;
        };
        let output = kitchen.run(&["lock"]);
        let code = if world.contains('@') { 2 } else { 4 };
        output.expect(code);
        assert!(!kitchen.path("prebake.lock").exists());
        let stderr = output.stderr.replace(&server.url(""), "http://mirror/");
        said.push(format!("packages = [{world}]\n{stderr}\n"));
    }
    insta::assert_snapshot!(said.concat());
}
