//! The same recipe gives the same lock, the same identity and the same bytes, whoever bakes it,
//! where, when and with how many threads: judged by `cmp`, `sha256sum` and `gzip`.

#[expect(dead_code, reason = "the real apk has no say here")]
mod bakes;
mod kitchen;

use std::path::Path;

use bakes::{BAKES, Bake, Mirror, OUTPUT};
use kitchen::{Kitchen, Output};
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::Server;
use prebake_testkit::judge;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::found_or_skipped;
use prebake_testkit::tree::Dump;

/// What is different about a bake, and must not be seen in what it writes.
#[derive(Clone, Copy, Debug, Default)]
struct Circumstances<'a> {
    umask: &'a str,
    environment: &'a [(&'a str, &'a str)],
    arguments: &'a [&'a str],
}

const CIRCUMSTANCES: [Circumstances; 6] = [
    Circumstances {
        umask: "022",
        environment: &[("TZ", "UTC"), ("LC_ALL", "C")],
        arguments: &["--threads", "1"],
    },
    Circumstances {
        umask: "077",
        environment: &[("TZ", "Asia/Kathmandu"), ("LANG", "tr_TR.UTF-8")],
        arguments: &["--threads", "2"],
    },
    Circumstances {
        umask: "000",
        environment: &[("TZ", "America/St_Johns"), ("LC_ALL", "ar_EG.UTF-8")],
        arguments: &["--threads", "3"],
    },
    Circumstances {
        umask: "027",
        environment: &[("TZ", "XYZ-23:59:59"), ("LANG", "ja_JP.eucJP")],
        arguments: &["--threads", "16"],
    },
    Circumstances {
        umask: "022",
        environment: &[("PREBAKE_THREADS", "3"), ("SOURCE_DATE_EPOCH", "1")],
        arguments: &[],
    },
    Circumstances {
        umask: "022",
        environment: &[("PREBAKE_THREADS", "16"), ("HOME", "/nonexistent")],
        arguments: &["--quiet"],
    },
];

/// What a bake left.
#[derive(Debug)]
struct Baked {
    kitchen: Kitchen,
    lock: String,
}

impl Baked {
    fn new(kitchen: Kitchen, built: &Output) -> Self {
        built.expect(0);
        let lock = fs_err::read_to_string(kitchen.path("prebake.lock"));
        let lock = lock.expect("the lock was written");
        Self { kitchen, lock }
    }

    /// Checks that the other bake locked the same and wrote the same `outputs`.
    #[track_caller]
    fn assert_same(&self, test: &str, outputs: &[&str], other: &Self, what: &str) {
        assert_eq!(self.lock, other.lock, "{what}");
        for output in outputs {
            let (one, two) = (self.kitchen.path(output), other.kitchen.path(output));
            same_bytes(test, &one, &two, what);
        }
    }
}

/// Checks by `cmp` that two files are the same.
#[track_caller]
fn same_bytes(test: &str, one: &Path, other: &Path, what: &str) {
    let Some(cmp) = judge::program(test, "cmp") else {
        return;
    };
    let (one, other) = (one.to_string_lossy(), other.to_string_lossy());
    let outcome = cmp.run([&*one, &*other]);
    assert!(outcome.success, "{what}: {outcome:?}");
}

/// Bakes in `kitchen` under `circumstances`.
fn bake(kitchen: Kitchen, circumstances: &Circumstances<'_>) -> Baked {
    let Circumstances {
        umask,
        environment,
        arguments,
    } = circumstances;
    let line = format!("umask {umask}; exec \"$0\" \"$@\"");
    let arguments = [&["build"], *arguments].concat();
    let mut command = kitchen.started_by(&["sh", "-c", &line], &arguments);
    command.envs(environment.iter().copied());
    let built = Output::of(&mut command);
    Baked::new(kitchen, &built)
}

#[test]
fn circumstances_change_nothing() {
    check_under("circumstances_change_nothing", &BAKES[0], &CIRCUMSTANCES);
}

/// The larger the tree, the more blocks the threads share out.
#[test]
fn threads_change_nothing_of_a_larger_tree() {
    let test = "threads_change_nothing_of_a_larger_tree";
    check_under(test, &BAKES[1], &CIRCUMSTANCES[..4]);
}

/// Bakes real packages under each of the circumstances and holds each bake against the first.
fn check_under(test: &str, recipe: &Bake, circumstances: &[Circumstances<'_>]) {
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let mut first: Option<Baked> = None;
    for circumstances in circumstances {
        let baked = bake(recipe.kitchen(&mirror), circumstances);
        if let Some(first) = &first {
            first.assert_same(test, &[OUTPUT], &baked, &format!("{circumstances:?}"));
        } else {
            first = Some(baked);
        }
    }
}

#[test]
fn the_identity_is_that_of_the_uncompressed_stream() {
    let test = "the_identity_is_that_of_the_uncompressed_stream";
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let kitchen = BAKES[0].kitchen(&mirror);
    let built = kitchen.run(&["build", "--json"]);
    let baked = Baked::new(kitchen, &built);
    let result: serde_json::Value = serde_json::from_str(&built.stdout).expect("it is JSON");
    let output = &result["outputs"][0];
    let identity = output["identity"].as_str().expect("it has an identity");
    assert!(
        baked.lock.contains(&format!("identity = \"{identity}\"\n")),
        "{identity}: {}",
        baked.lock
    );

    let (gzip, sum) = (judge::gzip(test), judge::program(test, "sha256sum"));
    let (Some(gzip), Some(sum)) = (gzip, sum) else {
        return;
    };
    let path = baked.kitchen.path(OUTPUT);
    let path = path.to_string_lossy();
    let digest = |path: &str| sum.run([path]).expect_success().stdout[..64].to_owned();
    assert_eq!(output["sha256"], digest(&path).as_str());
    gzip.run(["-d", &path]).expect_success();
    assert_eq!(identity, digest(path.trim_end_matches(".gz")));
}

#[test]
fn the_cache_and_the_way_to_the_recipe_change_nothing() {
    let test = "the_cache_and_the_way_to_the_recipe_change_nothing";
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let recipe = &BAKES[0];
    let cold = recipe.kitchen(&mirror);
    let built = cold.run(&["build"]);
    let cold = Baked::new(cold, &built);

    // From the lock alone, with nothing in the cache.
    let locked = recipe.kitchen(&mirror);
    locked.write("prebake.lock", &cold.lock);
    let built = locked.run(&["build", "--locked"]);
    let locked = Baked::new(locked, &built);
    cold.assert_same(test, &[OUTPUT], &locked, "from the lock, with a cold cache");

    // With a full cache and without the lock, from another folder, over the old output.
    let warm = locked.kitchen;
    fs_err::remove_file(warm.path("prebake.lock")).expect("the lock can be removed");
    let path = warm.path("prebake.toml");
    let mut command = warm.command(&["build", &path.to_string_lossy()]);
    let built = Output::of(command.current_dir("/"));
    let warm = Baked::new(warm, &built);
    cold.assert_same(test, &[OUTPUT], &warm, "with a warm cache and no lock");

    // Once more with everything there, and no mirror any longer.
    drop(mirror);
    let offline = warm.kitchen;
    fs_err::remove_file(offline.path(OUTPUT)).expect("the output can be removed");
    let built = offline.run(&["build", "--offline", "--locked"]);
    let offline = Baked::new(offline, &built);
    cold.assert_same(test, &[OUTPUT], &offline, "offline");
}

#[test]
fn the_user_changes_nothing() {
    let test = "the_user_changes_nothing";
    let Some(mirror) = Mirror::serve(test) else {
        return;
    };
    let recipe = &BAKES[0];
    let own = recipe.kitchen(&mirror);
    let built = own.run(&["build"]);
    let own = Baked::new(own, &built);

    let other = recipe.kitchen(&mirror);
    let starter: &[&str] = if judge::is_root() {
        let (cp, chown, setpriv) = (
            judge::program(test, "cp"),
            judge::program(test, "chown"),
            judge::program(test, "setpriv"),
        );
        let (Some(cp), Some(chown), Some(_)) = (cp, chown, setpriv) else {
            return;
        };
        // Nobody may not enter the folder that cargo builds in: there is a copy in the kitchen.
        // Another process makes it: a child that another test forks just now would have open for
        // writing what this one has, and the kernel runs no program that somebody may write.
        let copy = other.path("prebake").display().to_string();
        cp.run([env!("CARGO_BIN_EXE_prebake"), &copy])
            .expect_success();
        let folder = other.path("");
        chown
            .run(["-R", "65534:65534", &folder.to_string_lossy()])
            .expect_success();
        &[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "sh",
            "-c",
            "test $(id -u) = 65534 && exec ./prebake \"$@\"",
        ]
    } else {
        // We are nobody much: the other is root, if only in a namespace.
        let Some(unshare) = judge::program(test, "unshare") else {
            return;
        };
        let can = unshare.run(["--user", "--map-root-user", "--", "true"]);
        if found_or_skipped(can.success.then_some(()), test, "user namespaces").is_none() {
            return;
        }
        &["unshare", "--user", "--map-root-user", "--"]
    };
    let built = Output::of(&mut other.started_by(starter, &["build"]));
    let other = Baked::new(other, &built);
    own.assert_same(test, &[OUTPUT], &other, "another user");
}

/// A recipe for two architectures that adds files of its own.
fn two_machines(url: &str) -> String {
    format!(
        "\
name = \"two\"
arch = [\"x86_64\", \"aarch64\"]
packages = [\"tool\"]
mirrors = [{url:?}]

[base]
release = \"3.99.0\"

[[repository]]
url = \"{url}/v3.99/main\"
keys = [\"keys/testkit.rsa.pub\"]

[[file]]
path = \"/etc/wsl.conf\"
content = \"[boot]\\nsystemd = false\\n\"

[[file]]
path = \"/srv/deep/er/secret\"
source = \"files/secret\"
mode = \"4750\"
owner = \"nobody:wheel\"

[[file]]
path = \"/etc/motd\"
content = \"baked\\n\"
mode = \"600\"
owner = \"daemon:42\"

[[output]]
path = \"out/{{name}}-{{release}}-{{arch}}.tar.gz\"
"
    )
}

#[test]
fn files_of_the_recipe_are_applied_for_every_machine() {
    let test = "files_of_the_recipe_are_applied_for_every_machine";
    let mut mirror = MirrorBuilder::new("v3.99");
    for arch in ["x86_64", "aarch64"] {
        let tool = PackageBuilder::new("tool", "1.0-r0")
            .arch(arch)
            .file("usr/share/tool/arch", arch);
        mirror = mirror
            .base(BaseBuilder::new(arch, "3.99.0"))
            .package("main", tool);
    }
    let mirror = mirror.build();
    let server = Server::start_folder(mirror.root());
    let key = fs_err::read(mirror.key_file()).expect("the key is there");
    let outputs = [
        "out/two-3.99.0-x86_64.tar.gz",
        "out/two-3.99.0-aarch64.tar.gz",
    ];

    let mut first: Option<Baked> = None;
    for circumstances in &CIRCUMSTANCES {
        let kitchen = Kitchen::new(&two_machines(&server.url("")));
        kitchen.write("keys/testkit.rsa.pub", &key);
        // The mode, owner and time of the file on this host are its own business.
        kitchen.write("files/secret", "of the recipe\n");
        let baked = bake(kitchen, circumstances);
        if let Some(first) = &first {
            first.assert_same(test, &outputs, &baked, &format!("{circumstances:?}"));
        } else {
            first = Some(baked);
        }
    }

    let first = first.expect("it was baked");
    for (output, arch) in outputs.iter().zip(["x86_64", "aarch64"]) {
        first.kitchen.run(&["verify", output]).expect(0);
        let output = first.kitchen.path(output);
        // The second can be read by any user.
        let trees = [
            Dump::of_unpacked(test, &output),
            Dump::of_tarball(test, &output),
        ];
        for tree in trees.into_iter().flatten() {
            let facts = |path: &str| {
                let node = tree.at(path);
                (node.kind, node.mode, node.uid, node.gid, node.size)
            };
            assert_eq!(facts("/etc/wsl.conf"), ('f', 0o644, 0, 0, 23));
            assert_eq!(facts("/etc/motd"), ('f', 0o600, 2, 42, 6));
            assert_eq!(facts("/srv/deep/er/secret"), ('f', 0o4750, 65534, 10, 14));
            assert_eq!(facts("/srv/deep/er"), ('d', 0o755, 0, 0, 0));
            let size = u64::try_from(arch.len()).expect("it is short");
            let node = facts("/usr/share/tool/arch");
            assert_eq!(node, ('f', 0o644, 0, 0, size));
        }
    }
}
