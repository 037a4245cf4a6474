//! `prebake vendor`, judged by the real apk, which installs from the folder what it installs from
//! the mirror, by `sha256sum`, and by builds where nothing else is left.

mod kitchen;

use std::path::Path;

use kitchen::{Kitchen, Output};
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::Server;
use prebake_testkit::judge;
use prebake_testkit::key::SigningKey;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::real_mirror;
use prebake_testkit::tree::Dump;
use serde_json::Value;

const OUTPUT: &str = "rootfs.tar.gz";
const BASE: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";
const MAIN: &str = "v3.19/main/x86_64";

/// A recipe for `packages` on the real 3.19, from `mirrors`.
fn recipe(mirrors: &[&str], packages: &[&str], rest: &str) -> String {
    let others = mirrors[1..].iter().map(|url| format!("{url}/v3.19/main"));
    format!(
        "name = \"vendored\"\narch = \"x86_64\"\npackages = {packages:?}\nmirrors = {mirrors:?}\n{rest}\n\
         [base]\nrelease = \"3.19.4\"\n[[repository]]\nurl = \"{}/v3.19/main\"\nmirrors = {:?}\n\
         [[output]]\npath = \"{OUTPUT}\"\n",
        mirrors[0],
        others.collect::<Vec<_>>(),
    )
}

/// Returns what a command printed with `--json`.
fn json(output: &Output) -> Value {
    serde_json::from_str(&output.expect(0).stdout).expect("JSON")
}

fn paths(value: &Value, key: &str) -> Vec<String> {
    let paths = value[key].as_array().expect("a list");
    let text = |path: &Value| path.as_str().expect("a path").to_owned();
    paths.iter().map(text).collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs_err::read(path).expect("it is there")
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).expect("it can be made");
    for entry in fs_err::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs_err::copy(entry.path(), to).expect("it can be copied");
        }
    }
}

/// Returns another machine's folder with the recipe `text`, the lock and the record, and the
/// vendored folder `v`: no cache, no output.
fn fresh(kitchen: &Kitchen, text: &str) -> Kitchen {
    let fresh = Kitchen::new(text);
    for name in ["prebake.lock", "prebake.scripts"] {
        if kitchen.path(name).exists() {
            fresh.write(name, read(&kitchen.path(name)));
        }
    }
    copy(&kitchen.path("v"), &fresh.path("v"));
    fresh
}

fn same_output(one: &Kitchen, other: &Kitchen) {
    assert!(
        read(&one.path(OUTPUT)) == read(&other.path(OUTPUT)),
        "the two builds are not the same bytes"
    );
}

/// Has `sha256sum` check the list of a vendored folder.
fn check_sums(test: &str, folder: &Path) {
    let Some(sums) = judge::program(test, "sha256sum") else {
        return;
    };
    let mut command = sums.command();
    command.args(["--check", "--strict", "--quiet", "prebake.sha256"]);
    let output = Output::of(command.current_dir(folder));
    assert_eq!(output.expect(0).stdout, "");
}

#[test]
fn apk_and_prebake_take_from_it_what_they_take_from_the_mirror() {
    let test = "apk_and_prebake_take_from_it_what_they_take_from_the_mirror";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let server = Server::start_folder(&mirror);
    let url = server.url("").trim_end_matches('/').to_owned();
    // One whose script makes a user, where scripts can be run.
    let packages = [
        "jq",
        if judge::is_root() {
            "dhcpcd"
        } else {
            "openssh"
        },
    ];
    let kitchen = Kitchen::new(&recipe(&[&url], &packages, ""));
    kitchen.run(&["vendor", "v"]).expect(6);
    assert!(!kitchen.path("v").exists(), "nothing was there to vendor");
    kitchen.run(&["build"]).expect(0);
    server.clear_requests();
    let done = json(&kitchen.run(&["vendor", "v", "--json"]));
    assert_eq!(server.requests().len(), 0, "the cache has all of it");
    let vendored = kitchen.path("v");
    check_sums(test, &vendored);
    for file in [
        BASE,
        &format!("{MAIN}/APKINDEX.tar.gz"),
        &format!("{MAIN}/jq-1.7.1-r0.apk"),
    ] {
        assert!(paths(&done, "added").contains(&file.to_owned()), "{done}");
        assert!(
            read(&vendored.join(file)) == read(&mirror.join(file)),
            "{file}"
        );
    }
    let lock = read(&kitchen.path("prebake.lock"));
    assert!(read(&vendored.join("locks/vendored.lock")) == lock);
    if judge::is_root() {
        let record = read(&kitchen.path("prebake.scripts"));
        assert!(read(&vendored.join("locks/vendored.scripts")) == record);
    }
    assert_eq!(paths(&done, "missing_indexes"), Vec::<String>::new());
    assert_eq!(paths(&done, "not_in_index"), Vec::<String>::new());

    // The real apk, with the lines that were told, and no key but the folder's.
    let lines = paths(&done["repositories"], "x86_64");
    if let (Some(from_mirror), Some(from_folder)) = (
        Oracle::on_base(test, &mirror.join(BASE)),
        Oracle::on_base(test, &vendored.join(BASE)),
    ) {
        let repository = mirror.join("v3.19/main");
        let add = Add::new(packages).repository(repository.display());
        from_mirror.add(&add).expect_success();
        let add = lines.iter().fold(Add::new(packages), Add::repository);
        from_folder
            .add(&add.keys(&vendored.join("keys")))
            .expect_success();
        let dump = |oracle: &Oracle| {
            Some(Dump::of_directory(test, &oracle.root())?.without_times(|_, _| true))
        };
        if let (Some(one), Some(other)) = (dump(&from_mirror), dump(&from_folder)) {
            one.assert_same(&other);
        }
    }

    // A machine that never saw a mirror, by each way to say where the folder is.
    drop(server);
    let text = recipe(&[&url], &packages, "");
    let build = ["build", "--locked", "--offline"];
    let other = fresh(&kitchen, &text);
    let missing = other.run(&build);
    missing.expect(5);
    assert!(
        missing.stderr.contains("`prebake vendor DIR`"),
        "{}",
        missing.stderr
    );
    other
        .run(&[&build[..], &["--vendor", "v"]].concat())
        .expect(0);
    same_output(&kitchen, &other);

    let other = fresh(&kitchen, &text);
    let mut command = other.command(&build);
    Output::of(command.env("PREBAKE_VENDOR", "v")).expect(0);
    same_output(&kitchen, &other);

    let named = recipe(&[&url], &packages, "vendor = \"v\"");
    let other = fresh(&kitchen, &named);
    // With no route at all where that can be had, so that `--offline` need not be believed.
    let alone = judge::program(test, "unshare").filter(|_| judge::is_root());
    let mut command = match alone {
        Some(_) => other.started_by(&["unshare", "--net"], &["build", "--locked"]),
        None => other.command(&build),
    };
    Output::of(&mut command).expect(0);
    same_output(&kitchen, &other);

    // As one more mirror, of files and over HTTP.
    let other = fresh(&kitchen, &text);
    let file = format!("file://{}", other.path("v").display());
    other.write("prebake.toml", recipe(&[&url, &file], &packages, ""));
    other.run(&["build", "--locked", "--offline"]).expect(0);
    same_output(&kitchen, &other);
    let again = Server::start_folder(&other.path("v"));
    let served = again.url("").trim_end_matches('/').to_owned();
    let other = fresh(&kitchen, &recipe(&[&url, &served], &packages, ""));
    other.run(&["build", "--locked"]).expect(0);
    same_output(&kitchen, &other);
}

#[test]
fn a_rootfs_from_nothing_for_another_machine_is_all_there() {
    let test = "a_rootfs_from_nothing_for_another_machine_is_all_there";
    let key = "alpine-devel@lists.alpinelinux.org-58199dcc.rsa.pub";
    let base = "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    let Some(tar) = judge::gnu_tar(test) else {
        return;
    };
    let kitchen = Kitchen::new(&format!(
        "name = \"n\"\nscripts = \"skip\"\narch = \"aarch64\"\npackages = [\"alpine-base\"]\n\
         [base]\nscratch = true\napk = \"2.14\"\nkeys = [\"{key}\"]\n\
         [[repository]]\nurl = \"file://{0}/v3.13/main\"\n[[output]]\npath = \"{OUTPUT}\"\n",
        mirror.display()
    ));
    let archive = mirror.join(base).display().to_string();
    let pem = tar.run(["-xzOf", &archive, &format!("./etc/apk/keys/{key}")]);
    kitchen.write(key, pem.stdout);
    kitchen.run(&["lock"]).expect(0);
    let done = json(&kitchen.run(&["vendor", "v", "--json"]));
    check_sums(test, &kitchen.path("v"));
    // The URL is on none of the recipe's mirrors: its branch says where it goes.
    let lines = paths(&done["repositories"], "aarch64");
    assert_eq!(lines, [kitchen.path("v/v3.13/main").display().to_string()]);
    let Some(apk) = Oracle::empty(test).filter(|_| judge::any_owner(test)) else {
        return;
    };
    let add = Add::new(["alpine-base"])
        .repository(&lines[0])
        .arch("aarch64");
    let add = add.keys(&kitchen.path("v/keys")).argument("--initdb");
    apk.add(&add).expect_success();
    let installed = fs_err::read_to_string(apk.root().join("lib/apk/db/installed"));
    let installed = installed.expect("it is there");
    let packages = installed
        .lines()
        .filter(|line| line.starts_with("P:"))
        .count();
    let files = paths(&done, "added");
    let vendored = files
        .iter()
        .filter(|path| path.contains("/aarch64/") && path.contains("-r"))
        .count();
    assert_eq!(packages, vendored, "{files:?}");
}

/// A mirror that was made here, and is served.
fn made(mirror: MirrorBuilder, folder: &Path) -> Server {
    let _ = fs_err::remove_dir_all(folder);
    mirror.build_in(folder);
    Server::start_folder(folder)
}

fn package(name: &str, version: &str, content: &str) -> PackageBuilder {
    PackageBuilder::new(name, version).file(&format!("usr/share/{name}"), content)
}

#[test]
fn equal_paths_tags_two_machines_and_local_packages_have_a_place_each() {
    let test = "equal_paths_tags_two_machines_and_local_packages_have_a_place_each";
    let kitchen = Kitchen::new("");
    let (ours, theirs) = (SigningKey::named("one"), SigningKey::named("two"));
    let arches = ["x86_64", "aarch64"];
    let mut alpine = MirrorBuilder::new("v3.99").key(&ours);
    let mut vendor = MirrorBuilder::new("v3.99").key(&theirs);
    for arch in arches {
        alpine = alpine.base(BaseBuilder::new(arch, "3.99.0"));
        alpine = alpine.package("main", package("a", "1.0-r0", arch).arch(arch));
        alpine = alpine.package("testing", package("t", "1.0-r0", arch).arch(arch));
        vendor = vendor.package("main", package("b", "1.0-r0", arch).arch(arch));
    }
    let alpine = made(alpine, &kitchen.path("alpine"));
    let vendor = made(vendor, &kitchen.path("vendor"));
    for arch in arches {
        let local = package("app", "1.0-r0", arch).arch(arch).build(&theirs);
        kitchen.write(&format!("dist/app-{arch}.apk"), local.bytes());
    }
    kitchen.write("one.rsa.pub", ours.public_pem());
    kitchen.write("two.rsa.pub", theirs.public_pem());
    let keys = [ours.file_name(), theirs.file_name()];
    kitchen.write(&keys[0], ours.public_pem());
    kitchen.write(&keys[1], theirs.public_pem());
    let (one, two) = (alpine.url(""), vendor.url(""));
    let (one, two) = (one.trim_end_matches('/'), two.trim_end_matches('/'));
    let text = format!(
        "name = \"n\"\narch = {arches:?}\n\
         packages = [\"a\", \"b\", \"t@tst\", \"./dist/app-{{arch}}.apk\"]\n\
         mirrors = [\"{one}\"]\n[base]\nrelease = \"3.99.0\"\n\
         [[repository]]\nurl = \"{two}/v3.99/main\"\nkeys = [\"{1}\"]\n\
         [[repository]]\nurl = \"{one}/v3.99/main\"\nkeys = [\"{0}\"]\n\
         [[repository]]\nurl = \"{one}/v3.99/testing\"\ntag = \"tst\"\nkeys = [\"{0}\"]\n\
         [[output]]\npath = \"{{arch}}.tar.gz\"\n",
        keys[0], keys[1],
    );
    kitchen.write("prebake.toml", &text);
    kitchen.run(&["build"]).expect(0);
    let done = json(&kitchen.run(&["vendor", "v", "--json"]));
    check_sums(test, &kitchen.path("v"));
    // What is below the recipe's mirror has its path; the other `v3.99/main` goes by its host.
    let host = two.trim_start_matches("http://").replace(':', "_");
    let folder = |path: &str| kitchen.path("v").join(path).display().to_string();
    let main = folder("v3.99/main");
    let lines = [
        folder(&format!("http/{host}/v3.99/main")),
        main.clone(),
        format!("@tst {}", folder("v3.99/testing")),
    ];
    let added = paths(&done, "added");
    for arch in arches {
        assert_eq!(paths(&done["repositories"], arch), lines);
        assert!(
            added.contains(&format!("local/{arch}/app-1.0-r0.apk")),
            "{added:?}"
        );
        let Some(apk) = Oracle::empty(test).filter(|_| judge::any_owner(test)) else {
            continue;
        };
        let local = folder(&format!("local/{arch}/app-1.0-r0.apk"));
        let add = Add::new(["a", "b", "t@tst", &local])
            .arch(arch)
            .argument("--initdb");
        let add = lines.iter().fold(add, Add::repository);
        apk.add(&add.keys(&kitchen.path("v/keys"))).expect_success();
        for name in ["a", "b", "t", "app"] {
            let found = apk.root().join("usr/share").join(name);
            assert_eq!(fs_err::read_to_string(found).expect("it is there"), arch);
        }
    }
    let outputs = arches.map(|arch| read(&kitchen.path(&format!("{arch}.tar.gz"))));
    drop((alpine, vendor));
    fs_err::remove_dir_all(kitchen.path("cache")).expect("it was there");
    kitchen
        .run(&["build", "--locked", "--offline", "--vendor", "v"])
        .expect(0);
    let again = arches.map(|arch| read(&kitchen.path(&format!("{arch}.tar.gz"))));
    assert!(outputs == again, "the two builds are not the same bytes");
}

/// A recipe for packages of a mirror that was made here.
fn of_made(url: &str, packages: &[&str]) -> String {
    let key = SigningKey::named("testkit").file_name();
    let url = url.trim_end_matches('/');
    format!(
        "name = \"n\"\narch = \"x86_64\"\npackages = {packages:?}\nmirrors = [\"{url}\"]\n\
         vendor = \"v\"\n[base]\nrelease = \"3.99.0\"\n\
         [[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = [\"{key}\"]\n\
         [[output]]\npath = \"{OUTPUT}\"\n"
    )
}

fn mirror(packages: &[(&str, &str)]) -> MirrorBuilder {
    let mirror = MirrorBuilder::new("v3.99").base(BaseBuilder::new("x86_64", "3.99.0"));
    packages.iter().fold(mirror, |mirror, (name, version)| {
        mirror.package("main", package(name, version, version))
    })
}

fn with_key(kitchen: &Kitchen) {
    let key = SigningKey::named("testkit");
    kitchen.write(&key.file_name(), key.public_pem());
}

#[test]
fn a_second_run_mends_adds_and_prunes_and_touches_nothing_of_others() {
    let test = "a_second_run_mends_adds_and_prunes_and_touches_nothing_of_others";
    let kitchen = Kitchen::new("");
    with_key(&kitchen);
    let server = made(
        mirror(&[("a", "1.0-r0"), ("b", "1.0-r0")]),
        &kitchen.path("mirror"),
    );
    let url = server.url("");
    kitchen.write("prebake.toml", of_made(&url, &["a", "b"]));
    kitchen.run(&["lock"]).expect(0);
    kitchen.write("v/README", "ours");
    let first = json(&kitchen.run(&["vendor", "--json"]));
    let (a, b) = (
        "v3.99/main/x86_64/a-1.0-r0.apk",
        "v3.99/main/x86_64/b-1.0-r0.apk",
    );
    let in_v = |path: &str| kitchen.path("v").join(path);
    let whole = read(&in_v(a));

    // Nothing to do is nothing done: not a file is written anew.
    let before = fs_err::metadata(in_v("prebake.sha256")).expect("it is there");
    let second = json(&kitchen.run(&["vendor", "--json"]));
    for key in ["added", "replaced", "mended", "removed", "unnamed"] {
        assert_eq!(paths(&second, key), Vec::<String>::new(), "{key}");
    }
    assert_eq!(second["files"], first["files"]);
    let after = fs_err::metadata(in_v("prebake.sha256")).expect("it is there");
    assert_eq!(before.modified().ok(), after.modified().ok());

    // A damaged file is never baked from, and mended; one that went comes back.
    fs_err::write(in_v(a), b"damaged").expect("it can be written");
    fs_err::remove_file(in_v(b)).expect("it was there");
    fs_err::remove_dir_all(kitchen.path("cache")).expect("it was there");
    let offline = kitchen.run(&["build", "--locked", "--offline"]);
    offline.expect(5);
    assert!(
        offline.stderr.contains("a-1.0-r0.apk` is damaged"),
        "{}",
        offline.stderr
    );
    let mended = json(&kitchen.run(&["vendor", "--json"]));
    assert_eq!(paths(&mended, "mended"), [a]);
    assert_eq!(paths(&mended, "added"), [b]);
    assert!(read(&in_v(a)) == whole);
    check_sums(test, &in_v(""));

    // What no lock names any longer stays until somebody says otherwise.
    kitchen.write("prebake.toml", of_made(&url, &["a"]));
    kitchen.run(&["lock"]).expect(0);
    let less = json(&kitchen.run(&["vendor", "--json"]));
    assert_eq!(paths(&less, "unnamed"), [b]);
    assert_eq!(paths(&less, "replaced"), ["locks/n.lock"]);
    assert!(in_v(b).exists());
    // Another recipe's lock in the folder names it, and so it stays even then.
    let other = of_made(&url, &["b"]).replace("\"n\"", "\"other\"");
    kitchen.write("other.toml", other);
    kitchen.run(&["lock", "other.toml"]).expect(0);
    kitchen.run(&["vendor", "--recipe", "other.toml"]).expect(0);
    let pruned = json(&kitchen.run(&["vendor", "--prune", "--json"]));
    assert_eq!(paths(&pruned, "removed"), Vec::<String>::new());
    fs_err::remove_file(in_v("locks/other.lock")).expect("it was there");
    let pruned = json(&kitchen.run(&["vendor", "--prune", "--json"]));
    assert_eq!(paths(&pruned, "removed"), [b]);
    assert!(!in_v(b).exists());
    assert_eq!(
        fs_err::read_to_string(in_v("README")).expect("ours"),
        "ours"
    );
    check_sums(test, &in_v(""));

    // What prebake did not put there is in nobody's way by force.
    kitchen.write("prebake.toml", of_made(&url, &["a", "b"]));
    kitchen.run(&["lock"]).expect(0);
    let list = read(&in_v("prebake.sha256"));
    fs_err::write(in_v(b), b"ours too").expect("it can be written");
    let refused = kitchen.run(&["vendor"]);
    refused.expect(7);
    assert!(
        refused.stderr.contains("b-1.0-r0.apk` is there already"),
        "{}",
        refused.stderr
    );
    assert!(read(&in_v("prebake.sha256")) == list, "nothing was changed");
    assert_eq!(fs_err::read_to_string(in_v(b)).expect("ours"), "ours too");
    fs_err::remove_file(in_v(b)).expect("it was there");
    #[cfg(unix)]
    {
        // Nor does a link lead out of the folder, neither to write nor to remove.
        let outside = kitchen.path("outside");
        fs_err::rename(in_v("v3.99"), &outside).expect("it can be moved");
        std::os::unix::fs::symlink(&outside, in_v("v3.99")).expect("a link");
        let refused = kitchen.run(&["vendor", "--prune"]);
        refused.expect(7);
        assert!(refused.stderr.contains("a link"), "{}", refused.stderr);
        fs_err::remove_file(in_v("v3.99")).expect("it was there");
        fs_err::rename(&outside, in_v("v3.99")).expect("it can be moved");
    }
    kitchen.run(&["vendor"]).expect(0);
    // A list that leads out of the folder is refused before anything of it is believed.
    let victim = kitchen.path("victim");
    fs_err::write(&victim, b"x").expect("it can be written");
    let sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    fs_err::write(in_v("prebake.sha256"), format!("{sum}  ../victim\n")).expect("written");
    let refused = kitchen.run(&["vendor", "--prune"]);
    refused.expect(2);
    assert!(refused.stderr.contains("line 1 of `"), "{}", refused.stderr);
    assert!(victim.exists());
}

#[test]
fn a_mirror_that_moved_on_leaves_the_locked_index_or_none() {
    let kitchen = Kitchen::new("");
    with_key(&kitchen);
    let old = made(
        mirror(&[("a", "1.0-r0"), ("b", "1.0-r0")]),
        &kitchen.path("mirror"),
    );
    let url = old.url("");
    kitchen.write("prebake.toml", of_made(&url, &["a"]));
    kitchen.run(&["build"]).expect(0);
    let output = read(&kitchen.path(OUTPUT));
    let index = "v3.99/main/x86_64/APKINDEX.tar.gz";
    let locked = read(&kitchen.path("mirror").join(index));

    // The mirror has a newer index; the cache has the locked one, and so has the folder.
    let newer = kitchen.path("newer");
    mirror(&[("a", "1.0-r0"), ("b", "2.0-r0")]).build_in(&newer);
    let new = read(&newer.join(index));
    old.put(&format!("/{index}"), &new);
    kitchen.run(&["vendor"]).expect(0);
    assert!(read(&kitchen.path("v").join(index)) == locked);

    // With neither there is none, in so many words, and never another one.
    fs_err::remove_dir_all(kitchen.path("cache")).expect("it was there");
    fs_err::remove_dir_all(kitchen.path("v")).expect("it was there");
    let said = kitchen.run(&["vendor"]);
    let told = &said.expect(0).stderr;
    assert!(
        told.contains("the index `v3.99/main/x86_64/APKINDEX.tar.gz` of the lock"),
        "{told}"
    );
    assert!(told.contains("prebake lock --upgrade"), "{told}");
    assert!(!kitchen.path("v").join(index).exists());
    let done = json(&kitchen.run(&["vendor", "--json"]));
    assert_eq!(done["missing_indexes"][0]["path"], index);
    // A bake needs none.
    drop(old);
    fs_err::remove_dir_all(kitchen.path("cache")).expect("it was there");
    kitchen.run(&["build", "--locked", "--offline"]).expect(0);
    assert!(read(&kitchen.path(OUTPUT)) == output);
}

#[test]
fn every_mirror_is_tried_by_hash() {
    let kitchen = Kitchen::new("");
    with_key(&kitchen);
    let whole = [("a", "1.0-r0"), ("b", "1.0-r0")];
    let good = made(mirror(&whole), &kitchen.path("good"));
    let first = made(mirror(&whole), &kitchen.path("first"));
    let gone = made(mirror(&whole), &kitchen.path("gone"));
    // Rebuilt under one version; the base as well, and one byte longer.
    let rebuilt = mirror(&[("b", "1.0-r0")]).package("main", package("a", "1.0-r0", "other"));
    let rebuilt = made(rebuilt, &kitchen.path("rebuilt"));
    let urls = [&first, &gone, &rebuilt, &good].map(|server| server.url(""));
    let urls = urls.each_ref().map(|url| url.trim_end_matches('/'));
    let key = SigningKey::named("testkit").file_name();
    let others = urls[1..].iter().map(|url| format!("{url}/v3.99/main"));
    kitchen.write(
        "prebake.toml",
        format!(
            "name = \"n\"\narch = \"x86_64\"\npackages = [\"a\", \"b\"]\nmirrors = {urls:?}\n\
             [base]\nrelease = \"3.99.0\"\n[[repository]]\nurl = \"{}/v3.99/main\"\n\
             mirrors = {:?}\nkeys = [\"{key}\"]\n[[output]]\npath = \"{OUTPUT}\"\n",
            urls[0],
            others.collect::<Vec<_>>(),
        ),
    );
    kitchen.run(&["build"]).expect(0);
    let output = read(&kitchen.path(OUTPUT));
    let base = "/v3.99/releases/x86_64/alpine-minirootfs-3.99.0-x86_64.tar.gz";
    let package = "/v3.99/main/x86_64/a-1.0-r0.apk";
    // A folder is served until its files go; a file that was put goes before it.
    fs_err::remove_dir_all(kitchen.path("gone")).expect("it was there");
    fs_err::remove_dir_all(kitchen.path("first")).expect("it was there");
    let longer = [read(&kitchen.path("good").join(&base[1..])), vec![0]].concat();
    rebuilt.put(base, &longer);
    let forget = || fs_err::remove_dir_all(kitchen.path("cache")).expect("it was there");
    forget();
    kitchen.run(&["build", "--locked"]).expect(0);
    assert!(read(&kitchen.path(OUTPUT)) == output);
    for path in [base, package] {
        for server in [&first, &gone, &rebuilt, &good] {
            assert_eq!(
                server.count(path),
                1 + usize::from(server.address() == first.address()),
                "{path}"
            );
        }
    }

    // With the last one gone too each says why not.
    fs_err::remove_dir_all(kitchen.path("good")).expect("it was there");
    forget();
    let failed = kitchen.run(&["build", "--locked"]);
    failed.expect(3);
    for (url, why) in urls.iter().zip(["404", "404", "and should", "404"]) {
        for path in [base, package] {
            let start = format!("{url}{path}: ");
            let line = failed.stderr.lines().find(|line| line.contains(&start));
            let line = line.unwrap_or_else(|| panic!("{start} is not in\n{}", failed.stderr));
            assert!(line.contains(why), "{line}");
        }
    }
}
