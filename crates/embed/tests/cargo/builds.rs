//! A package of one's own: baked once, offline, changed, misused.

use std::path::Path;

use crate::kitchen::{Kitchen, RELEASE};
use crate::package::{self, Package, build_script, program};

#[test]
fn a_rootfs_is_baked_once_and_again_when_it_changes() {
    let kitchen = Kitchen::new();
    let cache = kitchen.cache("cache");
    let variables = &[("PREBAKE_CACHE", &*cache)][..];
    let package = Package::telling("baked-once");
    let recipe = kitchen.recipe(&package, "prebake.toml", "baked-once");
    let told = package.told(variables);
    let arch = std::env::consts::ARCH;
    let begins = format!("baked-once {RELEASE} {arch} ");
    assert!(told.starts_with(&begins), "{told}");
    assert!(told.contains("\ngcompat-1.1.0-r4\n"), "{told}");
    let lock = fs_err::read_to_string(package.path("prebake.lock")).unwrap();
    assert!(lock.contains(told.split(' ').nth(3).unwrap().lines().next().unwrap()));
    let size = fs_err::metadata(package.baked("tar.gz")).unwrap().len();
    assert!(told.ends_with(&format!("{size} bytes\n")), "{told}");
    assert!(kitchen.requests() > 0);

    // The lock is newer than the build script's start, which is why it runs once more; it finds
    // all done.
    package.is_baked_again(variables);
    let baked = || {
        fs_err::metadata(package.baked("tar.gz"))
            .unwrap()
            .modified()
    };
    let before = baked().unwrap();
    assert!(!package.is_baked_again(variables));
    package.write("README.md", "nothing that a rootfs is made of");
    assert!(!package.is_baked_again(variables));
    assert_eq!(baked().unwrap(), before);
    assert_eq!(kitchen.requests(), 0);

    // A file that the recipe names, once it does.
    package.write("motd", "one");
    let file = "[[file]]\npath = \"/etc/motd\"\nsource = \"motd\"\n";
    package.write("prebake.toml", &format!("{recipe}{file}"));
    let one = package.told(variables);
    package.write("motd", "two");
    let two = package.told(variables);
    assert!(told != one && one != two && two != told, "{one}{two}");
    assert_ne!(baked().unwrap(), before);
    let updated = package.cargo(&["build"], variables);
    assert!(updated.success, "{updated:?}");

    // Back to what it was: the same bytes, and nothing to fetch but indexes.
    package.write("prebake.toml", &recipe);
    package.write("prebake.lock", &lock);
    kitchen.requests();
    assert_eq!(package.told(variables), told);
    assert_eq!(kitchen.requests(), 0);
}

#[test]
fn nothing_is_fetched_offline() {
    let kitchen = Kitchen::new();
    let (full, empty) = (kitchen.cache("full"), kitchen.cache("empty"));
    let package = Package::telling("offline");
    kitchen.recipe(&package, "prebake.toml", "offline");
    let no_lock = package.refused(&["--offline"], &[("PREBAKE_CACHE", &empty)]);
    assert_eq!(kitchen.requests(), 0);
    if cfg!(target_os = "linux") {
        assert!(
            no_lock.contains("cargo was started with `--offline`"),
            "{no_lock}"
        );
    }
    assert!(no_lock.contains("there is no lock"), "{no_lock}");
    assert!(no_lock.contains("hint: run `prebake lock`"), "{no_lock}");
    let locked = [("PREBAKE_CACHE", &*full), ("PREBAKE_LOCKED", "1")];
    let no_lock = package.refused(&[], &locked);
    assert!(no_lock.contains("`PREBAKE_LOCKED` is set"), "{no_lock}");
    assert_eq!(kitchen.requests(), 0);

    let told = package.told(&[("PREBAKE_CACHE", &full)]);
    kitchen.requests();
    fs_err::remove_file(package.baked("tar.gz")).unwrap();
    let lock = fs_err::read_to_string(package.path("prebake.lock")).unwrap();
    let options: &[(&[&str], (&str, &str), &str)] = &[
        (&[], ("PREBAKE_OFFLINE", "1"), "`PREBAKE_OFFLINE` is set"),
        (
            &[],
            ("CARGO_NET_OFFLINE", "true"),
            "`CARGO_NET_OFFLINE` is set",
        ),
        (
            &["--offline"],
            ("A", ""),
            "cargo was started with `--offline`",
        ),
        (
            &["--frozen"],
            ("A", ""),
            "cargo was started with `--frozen`",
        ),
        (
            &["--config", "net.offline=true"],
            ("A", ""),
            "net.offline=true`",
        ),
    ];
    for (arguments, variable, why) in options {
        // What cargo was started with can be seen on Linux alone.
        if !cfg!(target_os = "linux") && !arguments.is_empty() {
            continue;
        }
        touch(&package, "prebake.toml");
        let said = package.refused(arguments, &[("PREBAKE_CACHE", &empty), *variable]);
        assert!(said.contains(why), "{why} in {said}");
        assert!(said.contains("gcompat-1.1.0-r4.apk"), "{said}");
        assert!(
            !said.contains("panicked") && !said.contains("Caused by"),
            "{said}"
        );
    }
    package.write(".cargo/config.toml", "[net]\noffline = true\n");
    let said = package.refused(&[], &[("PREBAKE_CACHE", &empty)]);
    assert!(said.contains("`net.offline` is set in `"), "{said}");
    assert_eq!(kitchen.requests(), 0);

    // With all of it in the cache, or in a folder that somebody filled, nothing is missing.
    assert_eq!(package.told(&[("PREBAKE_CACHE", &full)]), told);
    let filled = kitchen.cache("filled");
    Kitchen::vendor(&package, Path::new(&filled), &full);
    let script =
        format!("prebake_embed::Bake::new(\".\").vendor({filled:?}).cache({empty:?}).run()");
    package.write("build.rs", &build_script(&script));
    fs_err::remove_file(package.baked("tar.gz")).unwrap();
    assert_eq!(package.told(&[]), told);
    assert_eq!(kitchen.requests(), 0);
    assert_eq!(
        fs_err::read_to_string(package.path("prebake.lock")).unwrap(),
        lock
    );
}

fn touch(package: &Package, name: &str) {
    let path = package.path(name);
    let file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
}

#[test]
fn what_is_not_the_rootfs_does_not_compile() {
    let kitchen = Kitchen::new();
    let cache = kitchen.cache("cache");
    let variables = &[("PREBAKE_CACHE", &*cache)][..];
    let package = Package::telling("foreign");
    kitchen.recipe(&package, "prebake.toml", "foreign");
    let told = package.told(variables);
    package.told(variables);
    let (image, code) = (package.baked("tar.gz"), package.baked("rs"));
    let bytes = fs_err::read(&image).unwrap();
    let shorter = bytes.len() - 1;
    for (bytes, why) in [
        (Vec::new(), "the rootfs is empty"),
        (
            bytes[..shorter].to_vec(),
            "has not the length that was baked",
        ),
        (vec![b'x'; bytes.len()], "is no tar.gz"),
    ] {
        fs_err::write(&image, bytes).unwrap();
        let said = package.refused(&[], variables);
        assert!(said.contains(why) && said.contains("cargo clean"), "{said}");
    }
    fs_err::write(&image, &bytes).unwrap();
    let text = fs_err::read_to_string(&code).unwrap();
    let target = format!("target_arch = {:?}", std::env::consts::ARCH);
    assert!(text.contains(&target), "{text}");
    fs_err::write(&code, text.replace(&target, "target_arch = \"sparc\"")).unwrap();
    let said = package.refused(&[], variables);
    assert!(
        said.contains("the rootfs `foreign` was baked for"),
        "{said}"
    );
    fs_err::write(&code, text).unwrap();
    assert_eq!(package.told(variables), told);
    // Nor is what the recipe was called before.
    let recipe = kitchen.recipe(&package, "prebake.toml", "renamed");
    let said = package.refused(&[], variables);
    assert!(said.contains("prebake/foreign.rs"), "{said}");
    let back = recipe.replace("renamed", "foreign");
    package.write("prebake.toml", &back);
    assert_eq!(package.told(variables), told);
}

#[test]
fn a_side_car_is_beside_the_program() {
    let kitchen = Kitchen::new();
    let cache = kitchen.cache("cache");
    let variables = &[("PREBAKE_CACHE", &*cache)][..];
    let package = Package::telling("side-car");
    kitchen.recipe(&package, "prebake.toml", "side-car");
    let script = "prebake_embed::Bake::new(\"prebake.toml\")
        .placement(prebake_embed::Placement::SideCar)
        .run()";
    package.write("build.rs", &build_script(script));
    let told = package.told(variables);
    let beside = package::programs().join("side-car.rootfs.tar.gz");
    assert!(told.contains(&beside.display().to_string()), "{told}");
    let bytes = fs_err::read(&beside).unwrap();
    assert_eq!(bytes, fs_err::read(package.baked("tar.gz")).unwrap());
    let program = package::programs().join(format!("side-car{}", std::env::consts::EXE_SUFFIX));
    assert!(fs_err::metadata(&program).unwrap().len() > 0);
    let inside = fs_err::read(program).unwrap();
    assert!(!inside.windows(64).any(|window| window == &bytes[..64]));
    // One that is lost comes back with the next run of the build script.
    fs_err::remove_file(&beside).unwrap();
    touch(&package, "prebake.toml");
    assert_eq!(package.told(variables), told);
}

#[test]
fn mistakes_are_told_by_place_and_remedy() {
    let kitchen = Kitchen::new();
    let cache = kitchen.cache("cache");
    let variables = &[("PREBAKE_CACHE", &*cache)][..];
    let package = Package::telling("mistaken");
    let said = package.refused(&[], variables);
    assert!(said.contains("failed to read the recipe `"), "{said}");
    let recipe = kitchen.recipe(&package, "prebake.toml", "mistaken");
    package.write("prebake.toml", &recipe.replace("packages =", "pakages ="));
    let said = package.refused(&[], variables);
    assert!(said.contains("prebake.toml:3:1: "), "{said}");
    assert!(said.contains("`packages`"), "{said}");
    let other = if cfg!(target_arch = "aarch64") {
        "x86_64"
    } else {
        "aarch64"
    };
    package.write(
        "prebake.toml",
        &recipe.replace(std::env::consts::ARCH, other),
    );
    let said = package.refused(&[], variables);
    let arch = std::env::consts::ARCH;
    assert!(
        said.contains(&format!("the recipe is not for `{arch}`")),
        "{said}"
    );
    assert!(
        said.contains(&format!("hint: add \"{arch}\" to `arch`")),
        "{said}"
    );
    assert_eq!(kitchen.requests(), 0);
    // And the name that a program asks for.
    package.write("prebake.toml", &recipe);
    package.write("src/main.rs", &program("other"));
    let said = package.refused(&[], variables);
    assert!(said.contains("prebake/other.rs"), "{said}");
}

#[test]
fn a_member_of_a_workspace_has_its_recipe_where_it_likes() {
    let kitchen = Kitchen::new();
    let cache = kitchen.cache("cache");
    let workspace = Package::new("workspace");
    workspace.write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
    );
    kitchen.recipe(&workspace, "image/guest.toml", "workspace");
    let manifest = package::manifest("member").replace("[workspace]\n", "");
    workspace.write("crates/member/Cargo.toml", &manifest);
    let script = "prebake_embed::bake(\"../../image/guest.toml\")";
    workspace.write("crates/member/build.rs", &build_script(script));
    workspace.write("crates/member/src/main.rs", &program("workspace"));
    let told = workspace.told(&[("PREBAKE_CACHE", &cache)]);
    assert!(told.starts_with("workspace "), "{told}");
    assert!(workspace.path("image/guest.lock").exists());
}

#[cfg(unix)]
#[test]
fn a_home_that_cannot_be_written_to_is_left_alone() {
    let kitchen = Kitchen::new();
    let package = Package::telling("homeless");
    kitchen.recipe(&package, "prebake.toml", "homeless");
    // Not even root makes a folder in `/dev/null`.
    let told = package.told(&[("HOME", "/dev/null"), ("XDG_CACHE_HOME", "")]);
    assert!(told.starts_with("homeless "), "{told}");
    assert!(package.out("prebake/cache/v1/sha256").is_dir());
}
