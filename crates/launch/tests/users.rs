//! What an ordinary user gets: everything with `uidmap`, and an honest answer without.
//!
//! Run by root, the test begins itself again as `nobody`, with tables of subordinate ids of its
//! own in a mount namespace.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "support/alpine.rs"]
mod alpine;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use alpine::{Alpine, told};
use prebake_launch::sandbox::{
    Limits, Machine, Owners, Sandbox, SandboxError, Status, Unavailable,
};

/// Says which part a run of this test by itself has, and where the base is.
const PART: &str = "PREBAKE_TEST_USERS";

#[test]
fn an_ordinary_user_has_a_sandbox_too() {
    let test = "an_ordinary_user_has_a_sandbox_too";
    if let Ok(part) = std::env::var(PART) {
        let (owners, base) = part.split_once(' ').unwrap();
        if owners == "none" {
            return has_none();
        }
        let mut sandbox = alpine::sandbox(test, &Limits::default()).expect("namespaces");
        let tar = fs_err::read(base).unwrap();
        sandbox.update(&[], &mut |out| out.write_all(&tar)).unwrap();
        let mut alpine = Alpine(sandbox);
        match owners {
            "all" => has_all_owners(&mut alpine),
            _ => has_root_alone(&mut alpine),
        }
        return;
    }
    let (Some(tar), Some(_)) = (
        alpine::base(test, alpine::V3_19),
        Alpine::with(test, &Limits::default()),
    ) else {
        return;
    };
    let is_root = fs_err::read_to_string("/proc/self/status")
        .unwrap()
        .contains("Uid:\t0\t");
    if !is_root || !has("setpriv") || !has("unshare") {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {test} needs root, setpriv and unshare"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::copy(std::env::current_exe().unwrap(), path("test")).unwrap();
    fs_err::write(path("base.tar"), &tar).unwrap();
    fs_err::write(path("none"), "").unwrap();
    fs_err::write(path("some"), "somebody:1:2\nnobody:1000000:65536\n").unwrap();
    let run = |owners: &str, table: &str, user: &str| {
        let line = format!(
            "cd {0} && for table in subuid subgid; do test ! -e /etc/$table \
             || mount --bind {table} /etc/$table || exit 9; done; exec {user} ./test --exact {test} --nocapture",
            folder.path().display()
        );
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", &line])
            .env(PART, format!("{owners} {}", path("base.tar").display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{owners}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("1 passed"),
            "{output:?}"
        );
    };
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    run("root", "none", nobody);
    // Who is root of a namespace with one id has no more than that one to give.
    run(
        "root",
        "none",
        &format!("{nobody} unshare --user --map-root-user"),
    );
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces; exec ./test \"$@\"";
    let forbidden = format!("{nobody} unshare --user --map-root-user sh -c '{forbid}'");
    run("none", "none", &forbidden);
    if !has("newuidmap") {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {test} needs newuidmap for half of it"
        );
        return;
    }
    run("all", "some", nobody);
}

fn has_none() {
    let machine = Machine::of_alpine("x86_64").unwrap();
    match Sandbox::start(&Limits::default(), machine).unwrap_err() {
        SandboxError::Unavailable(why @ Unavailable::Namespaces { .. }) => {
            let text = why.to_string();
            assert!(text.contains("(cannot unshare)"), "{text}");
            assert!(text.contains("user.max_user_namespaces"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn has_all_owners(alpine: &mut Alpine) {
    assert_eq!(alpine.0.owners(), Owners::All);
    assert_eq!(
        alpine.shell_ok("stat -c %u:%g /etc/shadow; id -u; id -G"),
        "0:42\n0\n0\n"
    );
    assert_eq!(told(&alpine.changes()), "");
    alpine.shell_ok(
        "adduser -D somebody; su somebody -s /bin/sh -c 'echo > ~/mine'; rm /etc/*-
         echo > /srv/f; chown 65534:123 /srv/f; touch -d @1000000000 /etc /srv /home/*",
    );
    let all = told(&alpine.changes());
    for line in [
        "etc/shadow file 0640 0:42",
        "home/somebody directory 2755 1000:1000 @",
        "home/somebody/mine file 0644 1000:1000 1",
        "srv/f file 0644 65534:123 1",
    ] {
        assert!(all.contains(line), "{line} in {all}");
    }
}

fn has_root_alone(alpine: &mut Alpine) {
    assert_eq!(alpine.0.owners(), Owners::Root);
    assert_eq!(told(&alpine.changes()), "");
    let finished = alpine.shell("echo > /srv/f; chown 8 /srv/f");
    assert_eq!(finished.status, Status::Exited(1));
    let output = String::from_utf8_lossy(&finished.output);
    assert!(output.contains("Invalid argument"), "{output}");
    // What is theirs stays theirs, if what holds it is moved, and is told so.
    alpine.shell_ok("touch -d @1000000000 /srv; mv /var/empty /srv/empty; mv /var/spool /srv");
    let all = told(&alpine.changes());
    assert!(all.contains("srv/f file 0644 0:0 1"), "{all}");
    for line in [
        "chmod 600 /etc/shadow",
        "echo x >> /etc/shadow",
        "cp /etc/shadow /new; mv /new /etc/shadow",
        "mv /etc/shadow /etc/other",
    ] {
        let mut alpine = Alpine(alpine::sandbox("users", &Limits::default()).unwrap());
        let part = std::env::var(PART).unwrap();
        let tar = fs_err::read(part.split_once(' ').unwrap().1).unwrap();
        alpine
            .0
            .update(&[], &mut |out| out.write_all(&tar))
            .unwrap();
        alpine.shell_ok(line);
        match alpine.0.changes() {
            Err(SandboxError::OwnerUnknown { path }) => assert_eq!(path.to_string(), "/etc/shadow"),
            other => panic!("{line}: {other:?}"),
        }
    }
}
