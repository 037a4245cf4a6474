//! Files of a person's own disk and of a mirror that are larger than what is read of their kind.

use std::fmt::Write as _;

use prebake::vendor::MAX_MANIFEST_BYTES;
use prebake_testkit::package::PackageBuilder;

use crate::kitchen::Output;
use crate::larder::{Larder, OUTPUT, tool};

/// Makes a file of zeros that takes no room.
fn sparse(larder: &Larder, name: &str, size: u64) {
    let path = larder.kitchen.path(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::File::create(path).unwrap().set_len(size).unwrap();
}

/// Returns the recipe with more at its end.
fn recipe(larder: &Larder, more: &str) -> String {
    let recipe = fs_err::read_to_string(larder.kitchen.path("prebake.toml")).unwrap();
    recipe + more
}

/// Builds, which must end with these words.
#[track_caller]
fn says(larder: &Larder, words: &[&str]) {
    fails(&larder.kitchen.run(&["build"]), words);
    assert!(!larder.kitchen.path(OUTPUT).exists());
}

/// Checks that a run failed with these words.
#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    assert!(
        !matches!(output.code, None | Some(0)),
        "{words:?}: {output:?}"
    );
    let said = output.stderr.split_whitespace().collect::<Vec<_>>();
    let said = said.join(" ");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

#[test]
fn files_on_the_host_are_so_large() {
    let larder = Larder::new();
    let good = recipe(&larder, "");
    // Just at its bound a recipe is one, with a long comment.
    let limit = usize::try_from(prebake::recipe::MAX_RECIPE_BYTES).unwrap();
    let filled = |size: usize| format!("{good}#{}\n", "x".repeat(size - good.len() - 2));
    larder.kitchen.write("prebake.toml", filled(limit));
    larder.kitchen.run(&["build"]).expect(0);
    fs_err::remove_file(larder.kitchen.path(OUTPUT)).unwrap();
    larder.kitchen.write("prebake.toml", filled(limit + 1));
    says(&larder, &["prebake.toml", "larger than 1048576 bytes"]);
    larder.kitchen.write("prebake.toml", &good);
    let lock = fs_err::read(larder.kitchen.path("prebake.lock")).unwrap();

    sparse(&larder, "prebake.lock", prebake::lock::MAX_LOCK_BYTES + 1);
    says(&larder, &["prebake.lock", "larger than 67108864 bytes"]);
    larder.kitchen.write("prebake.lock", lock);
    sparse(
        &larder,
        "prebake.scripts",
        prebake::scripts::MAX_RECORD_BYTES + 1,
    );
    says(&larder, &["prebake.scripts", "larger than 67108864 bytes"]);
    fs_err::remove_file(larder.kitchen.path("prebake.scripts")).unwrap();

    sparse(&larder, "huge", prebake::recipe::MAX_FILE_BYTES + 1);
    let file = "[[file]]\npath = \"/srv/huge\"\nsource = \"huge\"\n";
    larder.kitchen.write("prebake.toml", good.clone() + file);
    says(&larder, &["`huge`", "larger than 268435456 bytes"]);

    sparse(&larder, "dist/huge.apk", prebake::MAX_LOCAL_BYTES + 1);
    let local = good.replace("\"tool\"", "\"./dist/huge.apk\"");
    larder.kitchen.write("prebake.toml", local);
    says(&larder, &["huge.apk", "larger than 268435456 bytes"]);

    sparse(&larder, "keys/testkit.rsa.pub", (16 << 10) + 1);
    larder.kitchen.write("prebake.toml", &good);
    fs_err::remove_file(larder.kitchen.path("prebake.lock")).unwrap();
    says(&larder, &["testkit.rsa.pub", "larger than 16384 bytes"]);
}

#[test]
fn a_base_is_so_large() {
    let larder = Larder::new();
    sparse(&larder, "base.tar.gz", prebake::MAX_BASE_BYTES + 1);
    let url = larder.server.url("/base.tar.gz");
    let good = recipe(&larder, "");
    let path = larder.kitchen.path("base.tar.gz");
    let file = format!("file://{}", path.display());
    larder
        .kitchen
        .write("prebake.toml", good.replace(&url, &file));
    says(&larder, &["base.tar.gz", "1073741824"]);
}

#[test]
fn a_package_is_as_large_as_its_index_says() {
    let larder = Larder::new();
    let package = tool().build(&larder.key);
    larder.serve(std::slice::from_ref(&package));
    let path = format!("/main/x86_64/{}", package.file_name());
    larder
        .server
        .put(&path, &[package.bytes(), vec![0]].concat());
    let size = package.bytes().len().to_string();
    larder.refuses(&["tool-1.0-r0.apk", &size]);
}

#[test]
fn the_list_of_a_vendored_folder_is_so_large() {
    let larder = Larder::new();
    larder.kitchen.run(&["lock"]).expect(0);
    larder.kitchen.run(&["vendor", "shelf"]).expect(0);
    let file = "shelf/prebake.sha256";
    let good = fs_err::read(larder.kitchen.path(file)).unwrap();
    sparse(&larder, file, MAX_MANIFEST_BYTES + 1);
    let words = &["prebake.sha256", "larger than 16777216 bytes"];
    for arguments in [
        &["build", "--offline", "--vendor", "shelf"][..],
        &["vendor", "shelf"],
    ] {
        fails(&larder.kitchen.run(arguments), words);
    }
    larder.kitchen.write(file, good);
    let arguments = &["build", "--offline", "--vendor", "shelf"];
    larder.kitchen.run(arguments).expect(0);
}

#[test]
fn what_an_audit_reads_is_so_large() {
    const MAX_TEXT: u64 = 4 << 20;
    let larder = Larder::new();
    let good = recipe(&larder, "");
    // Not zeros, which no reader of an archive would inflate this many of.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 28) as u8
    };
    let text: Vec<u8> = (0..=MAX_TEXT).map(|_| noise()).collect();
    let file = |path: &str, size: u64| {
        let text = &text[..usize::try_from(size).unwrap()];
        larder.kitchen.write(&size.to_string(), text);
        format!("[[file]]\npath = \"{path}\"\nsource = \"{size}\"\n")
    };
    let table = file("/etc/crontabs/root", MAX_TEXT);
    larder.kitchen.write("prebake.toml", good.clone() + &table);
    larder.kitchen.run(&["build"]).expect(0);
    larder.kitchen.run(&["audit"]).expect(0);
    let table = file("/etc/crontabs/root", MAX_TEXT + 1);
    larder.kitchen.write("prebake.toml", good.clone() + &table);
    larder.kitchen.run(&["build"]).expect(0);
    let words = &["/etc/crontabs/root", "larger than 4194304 bytes"];
    fails(&larder.kitchen.run(&["audit"]), words);
    fails(&larder.kitchen.run(&["audit", OUTPUT]), words);
    // Nine folders, as anybody's may have one, with 36 MiB together.
    let keys = (0..9).map(|number| file(&format!("/home/{number}/.ssh/authorized_keys"), MAX_TEXT));
    let keys: Vec<_> = keys.collect();
    larder
        .kitchen
        .write("prebake.toml", good.clone() + &keys[..7].concat());
    larder.kitchen.run(&["build"]).expect(0);
    larder.kitchen.run(&["audit", OUTPUT]).expect(0);
    larder.kitchen.write("prebake.toml", good + &keys.concat());
    larder.kitchen.run(&["build"]).expect(0);
    let words = &[
        "/.ssh/authorized_keys",
        "larger than 33554432 bytes together",
    ];
    fails(&larder.kitchen.run(&["audit", OUTPUT]), words);
}

#[test]
fn an_entry_of_packages_is_so_long() {
    let larder = Larder::new();
    let good = recipe(&larder, "");
    let long = |length: usize| good.replace("\"tool\"", &format!("\"{}\"", "x".repeat(length)));
    larder.kitchen.write("prebake.toml", long(512));
    says(&larder, &["no package has this name"]);
    larder.kitchen.write("prebake.toml", long(513));
    says(&larder, &["prebake.toml", "longer than 512 bytes"]);
}

#[test]
fn a_server_may_be_silent_for_so_long() {
    let larder = Larder::new();
    for (seconds, is_too_long) in [("3600", false), ("3601", true), ("0", true)] {
        let mut command = larder.kitchen.command(&["build"]);
        let output = Output::of(command.env("PREBAKE_NETWORK_TIMEOUT", seconds));
        if is_too_long {
            let what = format!("the network timeout cannot be `{seconds}`");
            fails(&output, &[&what, "a number of seconds from 1 to 3600"]);
        } else {
            output.expect(0);
        }
    }
}

#[test]
fn repositories_are_so_many() {
    let larder = Larder::new();
    let index = prebake_testkit::stanza::index_archive(
        &prebake_testkit::stanza::index_text([&tool().build(&larder.key)]),
        "main",
        &[(&larder.key, prebake_testkit::key::Algorithm::Rsa)],
    );
    let mut more = String::new();
    for number in 1..64 {
        larder
            .server
            .put(&format!("/more{number}/x86_64/APKINDEX.tar.gz"), &index);
        let url = larder.server.url(&format!("/more{number}"));
        let _ = writeln!(
            more,
            "[[repository]]\nurl = \"{url}\"\nkeys = [\"keys/testkit.rsa.pub\"]"
        );
    }
    let good = recipe(&larder, &more);
    larder.kitchen.write("prebake.toml", &good);
    larder.kitchen.run(&["lock"]).expect(0);
    fs_err::remove_file(larder.kitchen.path("prebake.lock")).unwrap();
    let one = more.replace("/more1\"", "/more64\"");
    let one = one.lines().take(3).collect::<Vec<_>>().join("\n");
    larder.server.put("/more64/x86_64/APKINDEX.tar.gz", &index);
    larder.kitchen.write("prebake.toml", good + &one);
    says(&larder, &["65 repositories", "more than 64"]);
}

#[test]
fn chains_that_are_shown_are_so_many() {
    let larder = Larder::new();
    // Ten floors of two rooms each, and from each both of the next: 1,024 ways.
    let mut packages = vec![PackageBuilder::new("tool", "1.0-r0").depends(["a0", "b0"])];
    for floor in 0..10 {
        for room in ["a", "b"] {
            let next = if floor == 9 {
                vec!["ground".to_owned()]
            } else {
                ["a", "b"]
                    .map(|room| format!("{room}{}", floor + 1))
                    .to_vec()
            };
            let room = PackageBuilder::new(&format!("{room}{floor}"), "1.0-r0");
            packages.push(room.depends(next.iter().map(String::as_str)));
        }
    }
    packages.push(PackageBuilder::new("ground", "1.0-r0"));
    let packages: Vec<_> = packages
        .into_iter()
        .map(|one| one.build(&larder.key))
        .collect();
    larder.serve(&packages);
    larder.kitchen.run(&["lock"]).expect(0);
    let said = larder.kitchen.run(&["why", "ground"]);
    said.expect(0);
    assert!(said.stdout.contains("the first 1000 chains are shown"));
    assert_eq!(said.stdout.lines().count(), 1002, "{}", said.stdout);
}

#[test]
fn threads_are_so_many() {
    let larder = Larder::new();
    for threads in ["256", "100000", "18446744073709551615"] {
        drop(fs_err::remove_file(larder.kitchen.path(OUTPUT)));
        drop(fs_err::remove_dir_all(larder.kitchen.path("cache")));
        let arguments = &["build", "--threads", threads];
        larder.kitchen.run(arguments).expect(0);
    }
}
