//! What every call promises, seen from inside a real Alpine.
#![cfg(target_os = "linux")]

mod bounds;
#[path = "../support/instance.rs"]
mod instance;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use instance::{Home, shell, shell_ok};
use prebake_launch::sandbox::NotRun;
use prebake_launch::{
    Access, Backend, Command, Host, Image, LaunchError, Name, Output, Rootfs, State, Status, Stdio,
    examine,
};

#[test]
fn an_instance_is_made_used_and_removed() {
    let Some(home) = Home::new("an_instance_is_made_used_and_removed") else {
        return;
    };
    let one = home.import("one");
    one.create_dir("/var/data/job").unwrap();
    one.create_dir("/var/data").unwrap();
    assert_eq!(
        shell_ok(&one, "stat -c '%a %U:%G %F' /var/data /var/data/job"),
        "755 root:root directory\n755 root:root directory\n"
    );
    assert_eq!(
        shell_ok(&one, "id -u; hostname; pwd; cat /etc/alpine-release"),
        "0\none\n/\n3.19.4\n"
    );
    let listed = home.host.instances().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name.as_str(), "one");
    assert_eq!(listed[0].backend, Backend::Namespaces);
    assert_eq!(listed[0].identity.as_ref(), Some(home.rootfs.identity()));
    assert_eq!(listed[0].holder, Some(std::process::id()));
    assert!(!listed[0].kept);
    one.remove().unwrap();
    assert!(home.left().is_empty(), "{:?}", home.left());
    assert_eq!(home.host.instances().unwrap(), []);
    // Dropped is removed, too.
    drop(home.import("one"));
    assert!(home.left().is_empty(), "{:?}", home.left());
}

#[test]
fn programs_end_as_they_end() {
    let Some(home) = Home::new("programs_end_as_they_end") else {
        return;
    };
    let one = home.import("one");
    let status = |line: &str| one.command("sh").args(["-c", line]).status().unwrap();
    assert_eq!(status("true"), Status::Exited(0));
    assert_eq!(status("exit 7"), Status::Exited(7));
    assert_eq!(status("kill -9 $$"), Status::Signalled(9));
    assert_eq!(status("kill -15 $$"), Status::Signalled(15));
    let why = |program: &str| match one.command(program).status().unwrap_err() {
        LaunchError::NotRun {
            program: p, why, ..
        } => {
            assert_eq!(p, program);
            why
        }
        other => panic!("{other:?}"),
    };
    assert!(matches!(why("nothing"), NotRun::Missing));
    assert!(matches!(why("/bin/nothing"), NotRun::Missing));
    shell_ok(
        &one,
        "cd /tmp; echo '#!/no/such' > script; echo true > plain; echo true > none
         chmod +x script plain",
    );
    match why("/tmp/script") {
        NotRun::NoInterpreter(Some(name)) => assert_eq!(name, "/no/such"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(why("/tmp/plain"), NotRun::Format));
    match why("/tmp/none") {
        NotRun::Other(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        }
        other => panic!("{other:?}"),
    }
    // What is refused leaves the instance as it was.
    assert_eq!(shell_ok(&one, "echo here"), "here\n");
}

#[test]
fn streams_are_what_was_asked_for() {
    let Some(home) = Home::new("streams_are_what_was_asked_for") else {
        return;
    };
    let one = home.import("one");
    let mut child = one
        .command("cat")
        .stdin(Stdio::Piped)
        .stdout(Stdio::Piped)
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"through").unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    drop(child.stdin.take());
    let mut through = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut through).unwrap();
    assert_eq!(through, "through");
    assert_eq!(child.wait().unwrap(), Status::Exited(0));
    assert_eq!(child.wait().unwrap(), Status::Exited(0));

    let output = shell(&one, "echo out; echo err >&2; cat; exit 3");
    let expected = Output {
        status: Status::Exited(3),
        stdout: b"out\n".to_vec(),
        stderr: b"err\n".to_vec(),
        truncated: false,
    };
    assert_eq!(output, expected);

    let path = home.folder.path().join("written");
    let mut command = one.command("sh");
    command.args(["-c", "cat; echo more; echo lost >&2"]);
    fs_err::write(home.folder.path().join("read"), "read\n").unwrap();
    let file = |options: &mut std::fs::OpenOptions, name: &str| {
        Stdio::File(options.open(home.folder.path().join(name)).unwrap())
    };
    let mut options = std::fs::OpenOptions::new();
    command
        .stdin(file(options.clone().read(true), "read"))
        .stdout(file(options.write(true).create(true), "written"))
        .stderr(Stdio::Null);
    assert_eq!(command.status().unwrap(), Status::Exited(0));
    assert_eq!(fs_err::read_to_string(path).unwrap(), "read\nmore\n");
    // Nothing of this process's is open in there but the streams.
    assert_eq!(
        shell_ok(&one, "ls -l /proc/self/fd | grep -c ' [0-9]* ->'"),
        "3\n"
    );
}

#[test]
fn users_environment_and_folder_are_what_was_asked_for() {
    let Some(home) = Home::new("users_environment_and_folder_are_what_was_asked_for") else {
        return;
    };
    let one = home.import("one");
    assert_eq!(
        shell_ok(&one, "env | grep -v -e ^SHLVL= -e ^PWD= | sort"),
        "HOME=/root\nLOGNAME=root\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         SHELL=/bin/ash\nUSER=root\n"
    );
    let text = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        text(
            one.command("env")
                .env("B", "2")
                .env("A", "=")
                .env("B", "3")
                .env_remove("HOME")
                .env_remove("PATH")
        ),
        "SHELL=/bin/ash\nUSER=root\nLOGNAME=root\nA==\nB=3\n"
    );
    assert_eq!(
        text(one.command("/usr/bin/env").env_clear().env("X", "y")),
        "X=y\n"
    );
    shell_ok(
        &one,
        "mkdir -p /opt/own; printf '#!/bin/sh\\necho own\\n' > /opt/own/prog
         chmod +x /opt/own/prog",
    );
    assert_eq!(
        text(one.command("prog").env("PATH", "/no:/opt/own")),
        "own\n"
    );
    assert_eq!(
        text(one.command("pwd").current_dir("/usr/lib")),
        "/usr/lib\n"
    );
    let error = one.command("pwd").current_dir("/no").output().unwrap_err();
    assert_eq!(error.to_string(), "cannot enter the directory /no in one");

    let all_ids = !home.host.notes().iter().any(|note| note.contains("uidmap"));
    let id = "id -u; id -g; id -G; echo $HOME $USER $SHELL; grep -h ^Cap /proc/self/status";
    let asked = |user: &str| {
        let mut command = one.command("sh");
        command.args(["-c", id]).user(user).output()
    };
    if !all_ids {
        let error = asked("nobody").unwrap_err().to_string();
        assert!(error.contains("uidmap"), "{error}");
        return;
    }
    let shown = |user: &str| String::from_utf8(asked(user).unwrap().stdout).unwrap();
    let none = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n";
    let nobody = shown("nobody");
    assert!(
        nobody.starts_with("65534\n65534\n65534\n/ nobody /sbin/nologin\n"),
        "{nobody}"
    );
    assert!(nobody.contains(none), "{nobody}");
    assert!(shown("guest").starts_with("405\n100\n100\n/dev/null guest"));
    assert!(shown("1000:7").starts_with("1000\n7\n7\n/ "));
    let root = shown("root");
    assert!(
        root.starts_with("0\n0\n0 1 2 3 4 6 10 11 20 26 27\n/root root /bin/ash\n"),
        "{root}"
    );
    // None of CAP_SYS_ADMIN (bit 21), CAP_SYS_PTRACE (19) or CAP_SYS_MODULE (16).
    assert!(root.contains("CapEff:\t00000000a80435fb\n"), "{root}");
    let error = asked("somebody").unwrap_err();
    assert_eq!(error.to_string(), "cannot find the user somebody in one");
    let error = asked("70000").unwrap_err();
    assert_eq!(error.to_string(), "cannot become the user 70000 in one");
}

#[test]
fn a_program_finds_what_programs_expect() {
    let Some(home) = Home::new("a_program_finds_what_programs_expect") else {
        return;
    };
    let one = home.import("one");
    assert_eq!(
        shell_ok(
            &one,
            "set -e
             cd /dev; ls; echo > null; head -c 3 zero | wc -c; head -c 2 urandom | wc -c
             ! echo 2> /dev/null > full; echo x > shm/f; readlink fd; test -c ptmx
             stat -c %a shm pts/ptmx"
        ),
        "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n\
         3\n2\n/proc/self/fd\n1777\n666\n"
    );
    assert_eq!(
        shell_ok(&one, "head -1 /proc/1/status; ls /sys | grep -x class"),
        "Name:\tprebake-init\nclass\n"
    );
    let seen = shell_ok(&one, "ps -o pid,comm; cat /proc/self/mountinfo");
    assert!(
        !seen.contains("/tmp/.tmp"),
        "the host is not to be seen: {seen}"
    );
    assert_eq!(
        shell_ok(
            &one,
            "ip -o link | wc -l; ip -o addr show lo | grep -c 127.0.0.1"
        ),
        "1\n1\n"
    );
    let route = shell_ok(&one, "ip route add 10.9.9.0/24 dev lo; ip route");
    assert_eq!(route.trim(), "10.9.9.0/24 dev lo scope link");
    assert_eq!(
        shell_ok(
            &one,
            "ping -c 1 -w 5 127.0.0.1 | grep -c '0% packet loss'; echo 1 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward"
        ),
        "1\n1\n"
    );
}

#[test]
fn programs_share_what_an_instance_has_and_no_more() {
    let Some(home) = Home::new("programs_share_what_an_instance_has_and_no_more") else {
        return;
    };
    let (one, other) = (home.import("one"), home.import("other"));
    shell_ok(
        &one,
        "echo mine > /srv/file; ip addr add 10.1.1.1/32 dev lo",
    );
    assert_eq!(
        shell_ok(&one, "cat /srv/file; ip -o addr show lo | grep -c 10.1.1.1"),
        "mine\n1\n"
    );
    assert_eq!(
        shell_ok(
            &other,
            "ls /srv; ip -o addr show lo | grep -c 10.1.1.1 || true"
        ),
        "0\n"
    );
    // A daemon outlives the program that began it, and is seen by the next.
    let output = shell(
        &one,
        "setsid sleep 1234 > /dev/null 2>&1 < /dev/null & echo $!",
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shell_ok(&one, "pgrep -f '^sleep 1234' | wc -l"), "1\n");
    assert_eq!(shell_ok(&other, "pgrep -f '^sleep 1234' | wc -l"), "0\n");
    one.stop().unwrap();
    assert_eq!(
        shell_ok(&one, "pgrep -f '^sleep 1234' | wc -l; cat /srv/file"),
        "0\nmine\n"
    );
}

#[test]
fn a_killed_program_takes_along_all_it_began() {
    let Some(home) = Home::new("a_killed_program_takes_along_all_it_began") else {
        return;
    };
    let one = home.import("one");
    let begin = || {
        let mut child = one
            .command("sh")
            .args([
                "-c",
                "trap '' TERM INT HUP; (setsid sh -c 'sleep 4321 & setsid sleep 4321' &)
                 sleep 4321 & until test $(pgrep -f '^sleep 4321' | wc -l) = 3; do :; done
                 echo ready; wait",
            ])
            .stdout(Stdio::Piped)
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        child
    };
    let left = "pgrep -f '^sleep 4321' | wc -l";
    let mut child = begin();
    child.kill().unwrap();
    assert_eq!(shell_ok(&one, left), "0\n");
    assert_eq!(child.wait().unwrap(), Status::Signalled(9));
    child.kill().unwrap();
    // From another thread, while one waits.
    let mut child = begin();
    let killer = child.killer();
    let thread = std::thread::spawn(move || killer.kill().unwrap());
    assert_eq!(child.wait().unwrap(), Status::Signalled(9));
    thread.join().unwrap();
    assert_eq!(shell_ok(&one, left), "0\n");
    // Dropped is killed.
    drop(begin());
    assert_eq!(shell_ok(&one, left), "0\n");
    // So is who takes too long, also where it has ended itself and left something behind.
    for line in ["sleep 4321", "setsid sleep 4321 &"] {
        let mut command = one.command("sh");
        let limit = Duration::from_millis(300);
        command.args(["-c", line]).time_limit(limit);
        match command.output().unwrap_err() {
            LaunchError::TimedOut { limit: told, .. } => assert_eq!(told, limit),
            other => panic!("{other:?}"),
        }
        assert_eq!(shell_ok(&one, left), "0\n", "{line}");
    }
}

#[test]
fn shares_are_seen_and_no_more_is_done_with_them_than_allowed() {
    let Some(home) = Home::new("shares_are_seen_and_no_more_is_done_with_them_than_allowed") else {
        return;
    };
    let one = home.import("one");
    let shared = tempfile::tempdir().unwrap();
    let path = |name: &str| shared.path().join(name);
    fs_err::create_dir(path("inner")).unwrap();
    fs_err::write(path("inner/file"), "of the host\n").unwrap();
    fs_err::write(path("one"), "one file\n").unwrap();
    let mut command = one.command("sh");
    let output = command
        .args([
            "-c",
            "cat /data/deep/inner/file /etc/single; echo new > /rw/file || exit 1
             ! echo x > /data/deep/inner/file; ! touch /data/deep/new; ! rm /etc/single
             ! echo x > /etc/single; ! mount -o remount,rw /data/deep",
        ])
        .share(shared.path(), "/data/deep", Access::ReadOnly)
        .share(path("one"), "/etc/single", Access::ReadOnly)
        .share(path("inner"), "/rw", Access::ReadWrite)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"of the host\none file\n");
    assert_eq!(fs_err::read_to_string(path("inner/file")).unwrap(), "new\n");
    assert_eq!(fs_err::read_to_string(path("one")).unwrap(), "one file\n");
    // Only that program saw it; the places stay.
    assert_eq!(
        shell_ok(&one, "ls /data/deep /rw; cat /etc/single"),
        "/data/deep:\n\n/rw:\n"
    );
    // A link in the guest leads nowhere but in the guest.
    shell_ok(&one, "mkdir /real; ln -s ../../../../../real /way");
    let mut command = one.command("ls");
    let output = command
        .arg("/real/x")
        .share(path("inner"), "/way/x", Access::ReadOnly)
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"file\n", "{output:?}");
    let mut command = one.command("true");
    let error = command.share(path("no"), "/x", Access::ReadOnly).status();
    assert!(
        matches!(&error, Err(LaunchError::HostPath { path, .. }) if path.ends_with("no")),
        "{error:?}"
    );
    for bad in ["x", "/../x", "/"] {
        let mut command = one.command("true");
        let error = command.share(shared.path(), bad, Access::ReadOnly).status();
        assert!(error.is_err(), "{bad}");
    }
}

#[test]
fn names_are_taken_once() {
    let Some(home) = Home::new("names_are_taken_once") else {
        return;
    };
    let one = home.import("one");
    let name = one.name().clone();
    let taken = |host: &Host| match host.import(&name, &home.rootfs).unwrap_err() {
        LaunchError::NameTaken { name: told } => assert_eq!(told, name),
        other => panic!("{other:?}"),
    };
    taken(&home.host);
    taken(&home.again());
    assert_eq!(shell_ok(&one, "echo well"), "well\n");
    match home.host.open(&name).unwrap_err() {
        LaunchError::InUse { holder, .. } => assert_eq!(holder, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    match home.host.open(&"none".parse().unwrap()).unwrap_err() {
        LaunchError::NotThere { name } => assert_eq!(name.as_str(), "none"),
        other => panic!("{other:?}"),
    }
    one.remove().unwrap();
    drop(home.import("one"));
}

#[test]
fn a_kept_instance_is_there_again() {
    let Some(home) = Home::new("a_kept_instance_is_there_again") else {
        return;
    };
    let mut one = home.import("one");
    shell_ok(
        &one,
        "echo first > /srv/file; rm /etc/motd; sleep 99 > /dev/null 2>&1 &",
    );
    one.keep().unwrap();
    shell_ok(&one, "echo second >> /srv/file");
    drop(one);
    let host = home.again();
    assert_eq!(host.swept(), []);
    let listed = host.instances().unwrap();
    assert_eq!(
        (listed.len(), listed[0].kept, listed[0].holder),
        (1, true, None)
    );
    match host.import(&listed[0].name, &home.rootfs).unwrap_err() {
        LaunchError::NameTaken { .. } => {}
        other => panic!("{other:?}"),
    }
    for turn in 0..2 {
        let one = host.open(&listed[0].name).unwrap();
        assert_eq!(
            shell_ok(
                &one,
                "cat /srv/file; ls /etc/motd 2>&1; pgrep sleep; echo third >> /srv/file"
            ),
            [
                "first\nsecond\nls: /etc/motd: No such file or directory\n",
                "first\nsecond\nthird\nls: /etc/motd: No such file or directory\n"
            ][turn]
        );
        drop(one);
    }
    host.open(&listed[0].name).unwrap().remove().unwrap();
    assert!(home.left().is_empty(), "{:?}", home.left());
}

#[test]
fn what_is_no_rootfs_leaves_nothing() {
    let Some(home) = Home::new("what_is_no_rootfs_leaves_nothing") else {
        return;
    };
    let name: Name = "one".parse().unwrap();
    let trees = || {
        fs_err::read_dir(home.folder.path().join("trees"))
            .unwrap()
            .count()
    };
    let mut about = home.rootfs.about().clone();
    about.identity = prebake_apk::digest::Sha256::of(b"other");
    let wrong = Rootfs::new(about.clone(), home.rootfs.image().clone());
    match home.host.import(&name, &wrong).unwrap_err() {
        LaunchError::WrongIdentity {
            expected, found, ..
        } => {
            assert_eq!(expected, about.identity);
            assert_eq!(&found, home.rootfs.identity());
        }
        other => panic!("{other:?}"),
    }
    for image in [
        Image::Embedded(b"nothing of the kind"),
        Image::Embedded(b"\x1f\x8b\x08"),
        Image::File(home.folder.path().join("missing")),
    ] {
        match home
            .host
            .import(&name, &Rootfs::new(about.clone(), image))
            .unwrap_err()
        {
            LaunchError::Unpack { name, .. } => assert_eq!(name, "alpine"),
            other => panic!("{other:?}"),
        }
    }
    about.arch = "vax".into();
    let image = home.rootfs.image().clone();
    match home
        .host
        .import(&name, &Rootfs::new(about, image))
        .unwrap_err()
    {
        LaunchError::WrongMachine { arch, .. } => assert_eq!(arch, "vax"),
        other => panic!("{other:?}"),
    }
    assert_eq!(trees(), 0);
    assert!(home.left().is_empty(), "{:?}", home.left());
    // The right one is told of as it comes, and only the first time.
    let mut told = Vec::new();
    let mut tell = |at, all| told.push((at, all));
    drop(
        home.host
            .import_with(&name, &home.rootfs, &mut tell)
            .unwrap(),
    );
    drop(
        home.host
            .import_with(&name, &home.rootfs, &mut |_, _| panic!("again"))
            .unwrap(),
    );
    let all = home.rootfs.about().unpacked;
    assert!(
        told.is_sorted() && told.iter().all(|(at, of)| at <= of && *of == all),
        "{told:?}"
    );
    assert!(!told.is_empty());
    assert_eq!(trees(), 1);
}

#[test]
fn what_is_found_is_what_is_used() {
    let Some(home) = Home::new("what_is_found_is_what_is_used") else {
        return;
    };
    let before = home.left();
    let findings = examine(&home.settings());
    let found = findings
        .iter()
        .find(|one| one.backend == Backend::Namespaces)
        .unwrap();
    assert!(found.is_usable(), "{found:?}");
    assert!(found.checks.len() > 5, "{found:?}");
    let lacking = found
        .checks
        .iter()
        .filter(|check| check.state == State::Lacking);
    assert_eq!(lacking.count(), home.host.notes().len());
    assert_eq!(home.left(), before);
    // A folder that cannot be had is told, with what to do.
    let settings = instance::settings(std::path::Path::new("/dev/null/no"));
    let findings = examine(&settings);
    assert!(!findings[0].is_usable());
    match Host::with(Backend::Namespaces, &settings).unwrap_err() {
        LaunchError::HostPath { .. } => {}
        other => panic!("{other:?}"),
    }
}

/// Says that this is the run on a file system that cannot be an overlay's layer.
const NO_OVERLAY: &str = "PREBAKE_TEST_NO_OVERLAY";

#[test]
fn where_there_is_no_overlay_each_has_a_copy() {
    let test = "where_there_is_no_overlay_each_has_a_copy";
    let Some(home) = Home::new(test) else {
        return;
    };
    if std::env::var_os(NO_OVERLAY).is_some() {
        let notes = home.host.notes();
        assert!(notes.iter().any(|note| note.contains("copy")), "{notes:?}");
        let (mut one, other) = (home.import("one"), home.import("other"));
        let facts = "stat -c '%a %u:%g %Y %h' / /etc/shadow /bin/busybox /bin/sh /tmp";
        assert_eq!(shell_ok(&one, facts), shell_ok(&other, facts));
        assert!(
            shell_ok(&one, facts).contains("640 0:42 "),
            "{}",
            shell_ok(&one, facts)
        );
        shell_ok(&one, "echo mine > /etc/motd");
        assert!(!shell_ok(&other, "cat /etc/motd").contains("mine"));
        one.keep().unwrap();
        let name = one.name().clone();
        drop(one);
        let one = home.host.open(&name).unwrap();
        assert_eq!(shell_ok(&one, "cat /etc/motd"), "mine\n");
        one.remove().unwrap();
        other.remove().unwrap();
        assert!(home.left().is_empty(), "{:?}", home.left());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["lower", "upper", "work", "merged"] {
        fs_err::create_dir(folder.path().join(name)).unwrap();
    }
    let line = format!(
        "cd {} && mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work merged || exit 9
         TMPDIR=$PWD/merged exec \"$0\" --exact {test}",
        folder.path().display()
    );
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &line])
        .env(NO_OVERLAY, "1");
    let Ok(output) = command.arg(std::env::current_exe().unwrap()).output() else {
        let _ = writeln!(std::io::stderr(), "skipped: {test} needs unshare");
        return;
    };
    // An ordinary user mounts nothing.
    if home.host.notes().is_empty() || output.status.code() == Some(0) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said} {output:?}");
        assert!(said.contains("1 passed"), "{said}");
    }
}

/// All of the above, as `nobody`: with the ids that `newuidmap` gives, and with one id alone.
#[test]
fn an_ordinary_user_has_instances_too() {
    let test = "an_ordinary_user_has_instances_too";
    let Some(home) = Home::new(test) else {
        return;
    };
    let has = |program: &str| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
    };
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let is_root = status.contains("Uid:\t0\t");
    if !is_root || !["setpriv", "unshare", "newuidmap"].into_iter().all(has) {
        let needs = "root, setpriv, unshare and newuidmap";
        let _ = writeln!(std::io::stderr(), "skipped: {test} needs {needs}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let open = |name: &str, mode| {
        fs_err::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    fs_err::copy(std::env::current_exe().unwrap(), path("test")).unwrap();
    fs_err::copy(home.rootfs.file().unwrap(), path("rootfs")).unwrap();
    fs_err::create_dir(path("tmp")).unwrap();
    fs_err::write(path("none"), "").unwrap();
    fs_err::write(path("some"), "nobody:1000000:65536\n").unwrap();
    for (name, mode) in [(".", 0o755), ("rootfs", 0o644), ("tmp", 0o1777)] {
        open(name, mode);
    }
    for table in ["some", "none"] {
        let line = format!(
            "cd {} && for t in subuid subgid; do test ! -e /etc/$t || mount --bind {table} /etc/$t \
             || exit 9; done; exec setpriv --reuid 65534 --regid 65534 --clear-groups \
             ./test --skip {test} --test-threads 4",
            folder.path().display()
        );
        let output = std::process::Command::new("unshare")
            .args(["--mount", "sh", "-c", &line])
            .env(instance::ALPINE, path("rootfs"))
            .env("TMPDIR", path("tmp"))
            .env_remove("XDG_DATA_HOME")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{table}: {said}");
        assert!(said.contains("16 passed"), "{table}: {said}");
    }
    assert_eq!(fs_err::read_dir(path("tmp")).unwrap().count(), 0);
}
