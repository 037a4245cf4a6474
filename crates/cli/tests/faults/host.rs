//! A host that does not play along: a full disk, folders that may not be written, things in the
//! way, nobody who reads what is printed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use prebake_testkit::shared::found_or_skipped;

use crate::kitchen::Output;
use crate::stove::{OLD, OUTPUT, Stove, assert_says, finish};

/// Runs `script` in user and mount namespaces of its own, in the kitchen's folder, with the
/// program as `$1`. `None` where the host does not allow that.
pub(crate) fn within_namespace(test: &str, stove: &Stove, script: &str) -> Option<Output> {
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    let allowed = allowed.is_ok_and(|output| output.status.success());
    found_or_skipped(allowed.then_some(()), test, "user and mount namespaces")?;
    let script = format!("set -e; run() {{ \"$0\" build || code=$?; }}; code=0; {script}");
    let starter = ["unshare", "-rm", "sh", "-c", &script];
    Some(Output::of(&mut stove.kitchen.started_by(&starter, &[])))
}

#[test]
fn a_full_disk_under_the_output() {
    let stove = Stove::new();
    let good = stove.bake();
    stove.put_old();
    // The old output has room and the new one has not. Then there is room.
    let script = "
        mount -t tmpfs -o size=32k none out
        printf 'an older output' > out/rootfs-x86_64.tar.gz
        run; echo \"$code\"; ls -A out; cat out/*; echo
        mount -o remount,size=16m out
        code=0; run; echo \"$code\"; ls -A out; cp out/* new";
    let Some(output) = within_namespace("a_full_disk_under_the_output", &stove, script) else {
        return;
    };
    output.expect(0);
    let name = OUTPUT.trim_start_matches("out/");
    let old = std::str::from_utf8(OLD).unwrap();
    let printed = format!("7\n{name}\n{old}\n{OUTPUT}\n0\n{name}\n");
    assert_eq!(output.stdout, printed, "{}", output.stderr);
    let told = format!("error: failed to write `{OUTPUT}`\n");
    for word in [&told, "No space left on device", "hint: make room"] {
        assert!(output.stderr.contains(word), "{}", output.stderr);
    }
    assert!(fs_err::read(stove.kitchen.path("new")).unwrap() == good);
    assert_eq!(stove.output().as_deref(), Some(OLD));
    stove.assert_recovers(&good);
}

#[test]
fn a_full_disk_under_the_cache() {
    let stove = Stove::new();
    let good = stove.bake();
    stove.forget();
    stove.put_old();
    let script = "
        mkdir cache; mount -t tmpfs -o size=60k none cache
        run; echo \"$code\"; find cache -path '*/tmp/*' -o -path '*/lock/*'
        mount -o remount,size=16m cache
        code=0; run; echo \"$code\"; find cache -path '*/tmp/*' -o -path '*/lock/*'";
    let Some(output) = within_namespace("a_full_disk_under_the_cache", &stove, script) else {
        return;
    };
    output.expect(0);
    assert_eq!(
        output.stdout,
        format!("7\n{OUTPUT}\n0\n"),
        "{}",
        output.stderr
    );
    for word in ["no space left for the cache at `", "hint: make room there"] {
        assert!(output.stderr.contains(word), "{}", output.stderr);
    }
    assert!(stove.output().is_some_and(|bytes| bytes == good));
    stove.assert_recovers(&good);
}

/// Runs a command as nobody.
const STARTER: &[&str] = &[
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

/// Returns what makes a command run as somebody who may not write everywhere: nothing where the
/// tests run as such. `None` if that cannot be had.
pub(crate) fn as_nobody(test: &str, folder: &Path) -> Option<&'static [&'static str]> {
    let probe = folder.join("probe");
    let is_root = fs_err::write(&probe, "").is_ok();
    drop(fs_err::remove_file(probe));
    if !is_root {
        return Some(&[]);
    }
    let tried = Command::new("setpriv")
        .args(&STARTER[1..])
        .arg("true")
        .status();
    let works = tried.is_ok_and(|status| status.success());
    found_or_skipped(works.then_some(STARTER), test, "setpriv")
}

/// Builds as somebody to whom the program and the kitchen are open, but for what is read-only.
pub(crate) fn build_as_nobody(stove: &Stove, starter: &[&str]) -> Output {
    // The checkout may lie where nobody else gets to. Another process copies: what this one has
    // open for writing, a child that another test forks just now has as well, and the kernel
    // runs no program that somebody may write.
    let program = stove.kitchen.path("prebake");
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_prebake")).arg(&program);
    Output::of(&mut copy).expect(0);
    let mut words = starter.to_vec();
    let program = program.display().to_string();
    words.extend([program.as_str(), "build"]);
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir(stove.kitchen.path(""))
        .env("PREBAKE_CACHE", stove.kitchen.path("cache"));
    Output::of(&mut command)
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn folders_that_may_not_be_written() {
    let stove = Stove::new();
    let good = stove.bake();
    stove.put_old();
    let out = stove.kitchen.path("out");
    set_mode(&out, 0o555);
    set_mode(&stove.kitchen.path(""), 0o755);
    // The mirror's key is named by its path, and lies in a folder of the tests' own.
    set_mode(stove.mirror.root(), 0o755);
    let test = "folders_that_may_not_be_written";
    let starter = as_nobody(test, &out);
    if let Some(starter) = starter {
        let output = build_as_nobody(&stove, starter);
        output.expect(7);
        let what = format!("error: failed to write `{OUTPUT}`\n");
        assert_says(
            &output,
            &[&what, "Permission denied", "hint: allow writing"],
        );
    }
    set_mode(&out, 0o755);
    stove.assert_old();
    // A cache that may only be read serves what it has …
    let cache = stove.kitchen.path("cache");
    if let Some(starter) = starter {
        for folder in ["", "v1", "v1/tmp", "v1/lock"] {
            set_mode(&cache.join(folder), 0o555);
        }
        set_mode(&out, 0o777);
        build_as_nobody(&stove, starter).expect(0);
        assert!(stove.output().is_some_and(|bytes| bytes == good));
        // … and says so where it would have to take something in.
        stove.put_old();
        drop(fs_err::remove_dir_all(cache.join("v1/sha256")));
        let output = build_as_nobody(&stove, starter);
        output.expect(7);
        assert_says(
            &output,
            &["` is read-only", "hint: name a folder", "--cache"],
        );
        for folder in ["", "v1", "v1/tmp", "v1/lock"] {
            set_mode(&cache.join(folder), 0o755);
        }
        set_mode(&out, 0o755);
        stove.assert_old();
    }
    stove.assert_recovers(&good);
}

#[test]
fn something_else_in_the_way() {
    let stove = Stove::new();
    let good = stove.bake();
    fs_err::remove_file(stove.kitchen.path(OUTPUT)).unwrap();
    fs_err::create_dir(stove.kitchen.path(OUTPUT)).unwrap();
    let output = stove.kitchen.run(&["build"]);
    output.expect(7);
    let what = format!("error: failed to write `{OUTPUT}`\n");
    assert_says(
        &output,
        &[&what, "there is a folder of that name", "hint: move"],
    );
    fs_err::remove_dir(stove.kitchen.path(OUTPUT)).unwrap();
    stove.assert_clean();
    // A file where the folder should be.
    fs_err::remove_dir(stove.kitchen.path("out")).unwrap();
    stove.kitchen.write("out", "a file");
    let output = stove.kitchen.run(&["build"]);
    output.expect(7);
    assert_says(&output, &[&what, "hint: move"]);
    fs_err::remove_file(stove.kitchen.path("out")).unwrap();
    // And one where the cache should be.
    drop(fs_err::remove_dir_all(stove.kitchen.path("cache")));
    stove.kitchen.write("cache", "a file");
    let output = stove.kitchen.run(&["build"]);
    output.expect(7);
    assert_says(&output, &["cache", "hint: name a folder"]);
    fs_err::remove_file(stove.kitchen.path("cache")).unwrap();
    stove.assert_recovers(&good);
}

#[test]
fn nobody_reads_what_is_printed() {
    let stove = Stove::new();
    stove.bake();
    for arguments in [
        &["build"][..],
        &["build", "--json"],
        &["inspect", "-l", OUTPUT],
    ] {
        // The reader is gone before anything is printed, as with `| head -0`.
        let mut command = stove.kitchen.command(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer).stderr(Stdio::piped());
        let output = finish(command.spawn().unwrap());
        output.expect(0);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        let mut command = stove.kitchen.command(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stderr(writer);
        Output::of(&mut command).expect(0);
    }
    // A result that could not be printed was not delivered.
    let Ok(full) = fs_err::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let mut command = stove.kitchen.command(&["inspect", OUTPUT]);
    command.stdout(full.into_parts().0).stderr(Stdio::piped());
    let output = finish(command.spawn().unwrap());
    output.expect(7);
    assert_says(
        &output,
        &["error: failed to write `standard output`", "No space"],
    );
}
