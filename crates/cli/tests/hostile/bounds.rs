//! Files of a person's own disk and of a mirror that are larger than what is read of their kind.

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
    let output = larder.kitchen.run(&["build"]);
    assert_ne!(output.code, Some(0), "{words:?}");
    let said = output
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(!larder.kitchen.path(OUTPUT).exists());
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
