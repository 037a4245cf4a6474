//! Recipes of a pull request: with `--untrusted` they reach nothing outside of their own folder,
//! and what is there is not shown.

use std::os::unix::fs::symlink;

use crate::stove::{OUTPUT, Stove, assert_says};

/// What lies beside the project and is none of a recipe's business.
const SECRET: &str = "the secret of this host";

/// A kitchen in a folder beside a secret; its recipe names only what lies in it.
struct Guest {
    stove: Stove,
    /// What the recipe is, with its key beside it.
    recipe: String,
    outside: tempfile::TempDir,
}

impl Guest {
    fn new() -> Self {
        let stove = Stove::new();
        let name = stove.mirror.key().file_name();
        let key = fs_err::read(stove.mirror.key_file()).unwrap();
        stove.kitchen.write(&format!("keys/{name}"), key);
        stove.recipe(
            &["tool"],
            &stove.url(),
            Some(format!("keys/{name}").as_ref()),
            "",
        );
        let recipe = fs_err::read_to_string(stove.kitchen.path("prebake.toml")).unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("secret"), SECRET).unwrap();
        Self {
            stove,
            recipe,
            outside,
        }
    }

    /// Returns the path of the secret.
    fn secret(&self) -> String {
        self.outside.path().join("secret").display().to_string()
    }

    /// Writes the recipe with something more at its end.
    fn with(&self, more: &str) {
        let recipe = format!("{}\n{more}\n", self.recipe);
        self.stove.kitchen.write("prebake.toml", recipe);
    }

    /// Checks that the recipe as it is now is refused when it is not trusted, by option and by
    /// variable, and that nothing was asked for or written.
    #[track_caller]
    fn assert_refused(&self, words: &[&str]) {
        self.stove.server.clear_requests();
        for command in ["lock", "build", "outdated"] {
            let by_option = self.stove.kitchen.run(&[command, "--untrusted"]);
            let mut by_variable = self.stove.kitchen.command(&[command]);
            by_variable.env("PREBAKE_UNTRUSTED", "1");
            let by_variable = crate::kitchen::Output::of(&mut by_variable);
            for output in [by_option, by_variable] {
                output.expect(2);
                assert_says(&output, words);
                assert!(!output.stderr.contains(SECRET), "{}", output.stderr);
            }
        }
        assert_eq!(self.stove.server.requests(), []);
        assert!(self.stove.output().is_none());
    }
}

#[test]
fn what_stays_in_its_folder_is_built() {
    let guest = Guest::new();
    let kitchen = &guest.stove.kitchen;
    kitchen.write("files/motd", "welcome");
    symlink("motd", kitchen.path("files/link")).unwrap();
    guest.with("[[file]]\npath = \"/etc/motd\"\nsource = \"./files/link\"");
    kitchen.run(&["lock", "--untrusted"]).expect(0);
    kitchen.run(&["build", "--untrusted", "--locked"]).expect(0);
    let strict = guest.stove.output();
    assert!(strict.is_some());
    kitchen.run(&["build"]).expect(0);
    assert!(guest.stove.output() == strict);
}

#[test]
fn files_of_the_host_stay_out() {
    let guest = Guest::new();
    let kitchen = &guest.stove.kitchen;
    symlink(guest.secret(), kitchen.path("link")).unwrap();
    symlink(guest.outside.path(), kitchen.path("folder")).unwrap();
    let project = kitchen.path("").canonicalize().unwrap();
    let up = format!("../{}/prebake.toml", project.file_name().unwrap().display());
    let secret = guest.secret();
    for path in [secret.as_str(), "link", "folder/secret", &up] {
        guest.with(&format!("[[file]]\npath = \"/stolen\"\nsource = {path:?}"));
        guest.assert_refused(&[
            &format!("`{path}` is not in the recipe's folder"),
            "--untrusted",
        ]);
        // A recipe that is trusted may.
        kitchen.run(&["lock"]).expect(0);
        fs_err::remove_file(kitchen.path("prebake.lock")).unwrap();
        let more = format!("[[repository]]\nurl = \"https://x.invalid\"\nkeys = [{path:?}]");
        guest.with(&more);
        guest.assert_refused(&[path]);
    }
    let more = "[[output]]\npath = \"../stolen.tar.gz\"\n";
    guest.with(more);
    guest.assert_refused(&["`../stolen.tar.gz` is not in the recipe's folder"]);
}

#[test]
fn outputs_stay_in() {
    let guest = Guest::new();
    let kitchen = &guest.stove.kitchen;
    symlink(guest.outside.path(), kitchen.path("out")).unwrap();
    guest.with("");
    guest.assert_refused(&["`out/rootfs-x86_64.tar.gz` is not in the recipe's folder"]);
    fs_err::remove_file(kitchen.path("out")).unwrap();
    let outside = guest.outside.path().join("x.tar.gz");
    let absolute = outside.display().to_string();
    for path in [absolute.as_str(), "../x.tar.gz", "out/../../x.tar.gz"] {
        guest.with(&format!("[[output]]\npath = {path:?}"));
        guest.assert_refused(&[path]);
    }
    assert!(!outside.exists());
    // A link in the output's own place is replaced, and not followed.
    let target = guest.outside.path().join("target");
    fs_err::write(&target, "as it was").unwrap();
    kitchen.write("out/other", "");
    symlink(&target, kitchen.path(OUTPUT)).unwrap();
    guest.with("");
    kitchen.run(&["build"]).expect(0);
    assert_eq!(fs_err::read(&target).unwrap(), b"as it was");
    assert!(
        !fs_err::symlink_metadata(kitchen.path(OUTPUT))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn local_urls_are_refused() {
    let guest = Guest::new();
    let url = guest.stove.mirror.url();
    let http = guest.stove.url();
    for place in ["mirrors = [\"", "\nurl = \""] {
        let recipe = guest
            .recipe
            .replacen(&format!("{place}{http}"), &format!("{place}{url}"), 1);
        assert_ne!(recipe, guest.recipe);
        guest.stove.kitchen.write("prebake.toml", recipe);
        guest.assert_refused(&["is a place on this host", "--untrusted"]);
    }
}

#[test]
fn the_recipe_and_its_lock_are_no_links_to_elsewhere() {
    let guest = Guest::new();
    let kitchen = &guest.stove.kitchen;
    guest.with("");
    for name in ["prebake.lock", "prebake.scripts", "prebake.toml"] {
        drop(fs_err::remove_file(kitchen.path(name)));
        symlink(guest.secret(), kitchen.path(name)).unwrap();
        // Somebody who is trusted is shown what is wrong in it.
        let output = kitchen.run(&["build"]);
        assert!(output.stderr.contains(SECRET), "{name}: {}", output.stderr);
        guest.assert_refused(&[name, "it is a link that leads out of the recipe's folder"]);
        fs_err::remove_file(kitchen.path(name)).unwrap();
        guest.with("");
    }
}

#[test]
fn a_vendored_folder_shows_no_file_of_the_host() {
    let guest = Guest::new();
    let kitchen = &guest.stove.kitchen;
    guest.with("");
    kitchen.run(&["lock", "--untrusted"]).expect(0);
    kitchen.run(&["vendor", "--untrusted", "shelf"]).expect(0);
    // What looks like another recipe's lock there is read to keep what it names.
    symlink(guest.secret(), kitchen.path("shelf/locks/other.lock")).unwrap();
    let list = fs_err::read_to_string(kitchen.path("shelf/prebake.sha256")).unwrap();
    let sha256 = prebake_apk::digest::Sha256::of(SECRET.as_bytes());
    let more = format!("{list}{sha256}  locks/other.lock\n");
    kitchen.write("shelf/prebake.sha256", more);
    let output = kitchen.run(&["vendor", "--untrusted", "--prune", "shelf"]);
    assert_ne!(output.code, Some(0), "{output:?}");
    assert_says(&output, &["shelf/locks/other.lock", "a link"]);
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(SECRET), "{text}");
    }
    kitchen.run(&["vendor", "--untrusted", "shelf"]).expect(0);
}

#[test]
fn what_stands_for_the_release_leads_nowhere_else() {
    let guest = Guest::new();
    let kitchen = &guest.stove.kitchen;
    guest.with("[[output]]\npath = \"o{release}/r.tar.gz\"");
    kitchen.run(&["lock", "--untrusted"]).expect(0);
    let lock = fs_err::read_to_string(kitchen.path("prebake.lock")).unwrap();
    let release = "release = \"3.99.0\"";
    assert!(lock.contains(release), "{lock}");
    // A link of that name, which only the lock tells.
    symlink(guest.outside.path(), kitchen.path("o9.9")).unwrap();
    let linked = lock.replace(release, "release = \"9.9\"");
    kitchen.write("prebake.lock", linked);
    let output = kitchen.run(&["build", "--locked", "--untrusted"]);
    output.expect(2);
    assert_says(&output, &["`o9.9/r.tar.gz` is not in the recipe's folder"]);
    // A way out, which is none in any recipe.
    let up = format!("/../..{}/escaped", guest.outside.path().display());
    for release in [&up, "/../../escaped", "..", "9\\u001b"] {
        let led = lock.replace("3.99.0\"\nidentity", &format!("{release}\"\nidentity"));
        assert_ne!(led, lock);
        kitchen.write("prebake.lock", led);
        for options in [&["--untrusted"][..], &[]] {
            let output = kitchen.run(&[&["build", "--locked"][..], options].concat());
            output.expect(2);
            assert_says(&output, &["names the release, which is not known"]);
        }
    }
    let left = fs_err::read_dir(guest.outside.path()).unwrap();
    assert_eq!(left.count(), 1, "something was written there");
    kitchen.write("prebake.lock", &lock);
    kitchen.run(&["build", "--locked", "--untrusted"]).expect(0);
}

#[test]
fn an_audit_shows_no_file_of_the_host() {
    let guest = Guest::new();
    let kitchen = &guest.stove.kitchen;
    guest.with("");
    kitchen.run(&["build", "--untrusted"]).expect(0);
    fs_err::rename(kitchen.path(OUTPUT), kitchen.path("r.tar.gz")).unwrap();
    fs_err::copy(kitchen.path("prebake.lock"), kitchen.path("old.lock")).unwrap();
    kitchen
        .run(&["audit", "--untrusted", "--against", "old.lock"])
        .expect(0);
    symlink(guest.secret(), kitchen.path("old.scripts")).unwrap();
    symlink(guest.secret(), kitchen.path("link.lock")).unwrap();
    let says_nothing = |arguments: &[&str]| {
        let mut command = kitchen.command(arguments);
        command.env("PREBAKE_UNTRUSTED", "1");
        let output = crate::kitchen::Output::of(&mut command);
        output.expect(2);
        assert_says(&output, &["it is a link that leads out of"]);
        assert!(!output.stderr.contains(SECRET), "{}", output.stderr);
    };
    says_nothing(&["audit", "--against", "old.lock"]);
    says_nothing(&["audit", "--against", "link.lock"]);
    // Without a recipe the lock of the folder is read.
    fs_err::remove_file(kitchen.path("prebake.lock")).unwrap();
    symlink(guest.secret(), kitchen.path("prebake.lock")).unwrap();
    says_nothing(&["audit", "r.tar.gz"]);
    says_nothing(&["verify", "r.tar.gz"]);
    says_nothing(&["verify", "--lock", "link.lock", "r.tar.gz"]);
}
