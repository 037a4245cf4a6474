//! What scripts do and what is found of it afterwards, with a real kernel and Alpine's busybox.
#![cfg(target_os = "linux")]

#[path = "support/alpine.rs"]
mod alpine;

use std::io::Write as _;

use alpine::{Alpine, told};
use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;
use prebake_launch::sandbox::{
    Call, Found, Kind, Limits, Machine, Refused, Sandbox, SandboxError, Script, Status, Unavailable,
};
use prebake_testkit::archive::{Archive, Flavour};
use prebake_testkit::judge;
use prebake_testkit::member::Member;

#[test]
fn nothing_changes_where_nothing_is_done() {
    let Some(mut alpine) =
        Alpine::with("nothing_changes_where_nothing_is_done", &Limits::default())
    else {
        return;
    };
    let finished = alpine.shell("echo out; echo err >&2; exit 3");
    assert_eq!(finished.status, Status::Exited(3));
    assert_eq!(String::from_utf8_lossy(&finished.output), "out\nerr\n");
    assert_eq!(finished.refused, Vec::<Refused>::new());
    alpine.shell_ok("cat /etc/passwd >/dev/null; ls -lR / >/dev/null; > /dev/shm/x; true");
    assert_eq!(alpine.changes(), Vec::<Found>::new());
}

#[test]
fn each_change_is_found_and_no_other() {
    let Some(mut alpine) = Alpine::with("each_change_is_found_and_no_other", &Limits::default())
    else {
        return;
    };
    alpine.shell_ok(
        "set -e; mkdir -p /srv/a/b; cd /srv/a; echo 1 > file; ln file second; ln -s file link
         mkfifo fifo; chown 8:12 file; chmod 4711 file; chown -h 1:2 link; mkdir /srv/dir
         cd ..; for i in 1 2 3 4 5 6 7; do echo $i > $i; done; ln 1 one; mkdir d; echo > d/f
         touch -d @1000000000 1 2 3 4 5 6 7 one d/f d . a",
    );
    assert_eq!(
        told(&alpine.changes()),
        "srv directory 0755 0:0 @
         srv/1 file 0644 0:0 2 @
         srv/2 file 0644 0:0 2 @
         srv/3 file 0644 0:0 2 @
         srv/4 file 0644 0:0 2 @
         srv/5 file 0644 0:0 2 @
         srv/6 file 0644 0:0 2 @
         srv/7 file 0644 0:0 2 @
         srv/a directory 0755 0:0 @
         srv/a/b directory 0755 0:0
         srv/a/fifo fifo 0644 0:0
         srv/a/file file 4711 8:12 2
         srv/a/link symlink file 0777 1:2
         srv/a/second = srv/a/file
         srv/d directory 0755 0:0 @
         srv/d/f file 0644 0:0 1 @
         srv/dir directory 0755 0:0
         srv/one = srv/1"
    );
    assert_eq!(told(&alpine.changes()), "", "they are told once");
    // From here on each keeps its size and time, so that only looking closely tells.
    alpine.shell_ok(
        "set -e; cd /srv
         echo A > one            # in place, of a file with two names
         echo B > 2; touch -d @1000000000 2
         touch -d @1000000000 1
         chmod 600 3; chown 5 4; mv 5 five; rm 6
         rm 7; mkdir 7
         rm -r d; ln -s a d      # a link to a directory in the place of one
         rm -r a/b; echo > a/b   # a file in the place of a directory
         mv dir moved
         chmod 700 /home; chmod 755 /home
         touch -d @1000000000 . a 7",
    );
    assert_eq!(
        told(&alpine.changes()),
        "srv/1 file 0644 0:0 2 @
         srv/2 file 0644 0:0 2 @
         srv/3 file 0600 0:0 2 @
         srv/4 file 0644 5:0 2 @
         srv/5 gone
         srv/6 gone
         srv/7 directory 0755 0:0 @
         srv/a/b file 0644 0:0 1
         srv/d symlink a 0777 0:0
         srv/d/f gone
         srv/dir gone
         srv/five file 0644 0:0 2 @
         srv/moved directory 0755 0:0
         srv/one = srv/1"
    );
    // A link to what lies in a directory that was moved is still a link.
    alpine.shell_ok("cd /srv; mkdir in; echo > in/f; ln in/f linked; touch -d @1 .");
    alpine.changes();
    alpine.shell_ok("cd /srv; mv in out; touch -d @1 .");
    assert_eq!(
        told(&alpine.changes()),
        "srv/in gone
         srv/in/f gone
         srv/linked file 0644 0:0 1
         srv/out directory 0755 0:0
         srv/out/f = srv/linked"
    );
}

#[test]
fn what_is_put_there_is_what_is_seen() {
    let test = "what_is_put_there_is_what_is_seen";
    let Some(mut alpine) = Alpine::with(test, &Limits::default()) else {
        return;
    };
    alpine.shell_ok("echo keep > /srv/keep; ln /srv/keep /srv/other; touch -d @5 /srv /var/mail");
    let mut archive = Archive::new(Flavour::Gnu);
    for member in [
        Member::directory("opt/new").mode(0o2750).ids(0, 12),
        Member::file("opt/new/file", "content")
            .mode(0o4755)
            .ids(8, 12),
        Member::hardlink("opt/new/link", "opt/new/file"),
        Member::symlink("opt/new/symlink", "/nowhere"),
        Member::file("srv/keep", "new"),
        Member::file("etc/motd", "hello\n"),
    ] {
        archive.push(&member);
    }
    let archive = archive.padded();
    let gone: Vec<_> = ["etc/apk", "etc/issue", "not/there", "root"]
        .map(|path| GuestPath::from_relative(path.as_bytes()).unwrap())
        .into();
    alpine
        .0
        .update(&gone, &mut |out| out.write_all(&archive))
        .unwrap();
    assert_eq!(
        alpine.shell_ok(
            "cd /opt/new; stat -c '%n %A %u:%g %h' . file link symlink; cat link; echo
             cat /srv/keep; echo; cat /srv/other /etc/motd; stat -c '%h %Y' /srv/other /srv
             test ! -e /etc/apk -a ! -e /etc/issue -a ! -e /root"
        ),
        ". drwxr-s--- 0:12 2\nfile -rwsr-xr-x 8:12 2\nlink -rwsr-xr-x 8:12 2\n\
         symlink lrwxrwxrwx 0:0 1\ncontent\nnew\nkeep\nhello\n1 5\n2 5\n"
            .replace(
                "1 5\n2 5\n",
                &format!(
                    "1 {}\n2 5\n",
                    alpine.shell_ok("stat -c %Y /srv/other").trim()
                )
            )
    );
    assert_eq!(told(&alpine.changes()), "", "an update is no change");
}

#[test]
fn attributes_and_devices_are_kept() {
    let test = "attributes_and_devices_are_kept";
    let Some(mut alpine) = Alpine::with(test, &Limits::default()) else {
        return;
    };
    // `cap_net_raw=ep` in the second version of the kernel's `vfs_cap_data`.
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let archive = Archive::of(
        Flavour::Posix,
        &[
            Member::file("srv/marked", "x")
                .xattr("user.note", "hello")
                .xattr("security.capability", capability),
            Member::directory("srv/dev"),
            Member::char_device("srv/dev/null", 1, 3).mode(0o666),
            Member::block_device("srv/disk", 8, 0).ids(0, 6),
            Member::fifo("srv/fifo").mode(0o620),
        ],
    );
    let archive = archive.padded();
    let mut put = |out: &mut dyn std::io::Write| out.write_all(&archive);
    alpine.0.update(&[], &mut put).unwrap();
    alpine.shell_ok("chmod 700 /srv/marked; mv /srv/dev /srv/moved");
    let changes = alpine.changes();
    let node = |path: &str| {
        let found = changes
            .iter()
            .find(|found| found.path().as_bytes() == path.as_bytes());
        match found {
            Some(Found::There(_, node)) => node.clone(),
            other => panic!("{path}: {other:?}"),
        }
    };
    let marked = node("srv/marked");
    assert_eq!(marked.mode, 0o700);
    assert_eq!(marked.xattrs.len(), 2, "{marked:?}");
    assert_eq!(marked.xattrs[&b"user.note"[..]], b"hello");
    assert_eq!(marked.xattrs[&b"security.capability"[..]], capability);
    let device = node("srv/moved/null");
    let null = Device { major: 1, minor: 3 };
    assert_eq!((device.kind, device.mode), (Kind::CharDevice(null), 0o666));
    alpine.shell_ok("rm /srv/moved/null");
    assert_eq!(told(&alpine.changes()[1..]), "srv/moved/null gone");
    alpine.shell_ok("chmod 600 /srv/disk");
    let error = alpine.0.changes().unwrap_err();
    assert!(
        matches!(&error, SandboxError::OwnerUnknown { path } if path.as_bytes() == b"srv/disk")
    );
}

#[test]
fn a_script_is_there_while_it_runs() {
    let Some(mut alpine) = Alpine::with("a_script_is_there_while_it_runs", &Limits::default())
    else {
        return;
    };
    let name = b"lib/apk/exec/x-1.post-install";
    let call = Call {
        program: name.to_vec(),
        arguments: vec![b"/lib/apk/exec/x-1.post-install".to_vec(), b"1-r0".to_vec()],
        hostname: b"made-up".to_vec(),
        environment: vec![(b"ONLY".to_vec(), b"this one".to_vec())],
        script: Some(Script {
            path: GuestPath::from_relative(name).unwrap(),
            content:
                b"#!/bin/sh\necho \"$0 $*\"; /bin/hostname; pwd; umask; id -u; /bin/stat -c %a $0\n\
                      read x || echo no input; /bin/busybox env | /bin/grep -v -e PWD -e SHLVL"
                    .to_vec(),
        }),
    };
    let finished = alpine.0.run(&call).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&finished.output),
        "lib/apk/exec/x-1.post-install 1-r0\nmade-up\n/\n0022\n0\n755\nno input\nONLY=this one\n"
    );
    assert_eq!(told(&alpine.changes()), "");
    alpine.shell_ok("rm -r /lib/apk");
    alpine.changes();
    assert!(alpine.0.run(&call).unwrap().succeeded());
    assert_eq!(told(&alpine.changes()), "", "folders come and go with it");
    alpine.shell_ok("mkdir -p /lib/apk/exec/x-1.post-install");
    let error = alpine.0.run(&call).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot put the script at /lib/apk/exec/x-1.post-install"
    );
}

#[test]
fn a_tree_that_does_not_fit_is_refused() {
    let test = "a_tree_that_does_not_fit_is_refused";
    let Some(tar) = alpine::base(test, alpine::V3_19) else {
        return;
    };
    for (disk, files) in [(1 << 20, 1 << 20), (1 << 30, 100)] {
        let limits = Limits {
            disk,
            files,
            ..Limits::default()
        };
        let Some(mut sandbox) = alpine::sandbox(test, &limits) else {
            return;
        };
        let error = sandbox
            .update(&[], &mut |out| out.write_all(&tar))
            .unwrap_err();
        assert!(
            matches!(error, SandboxError::TreeTooLarge { .. }),
            "{error:?}"
        );
    }
    let Some(mut sandbox) = alpine::sandbox(test, &Limits::default()) else {
        return;
    };
    let error = sandbox.update(&[], &mut |out| {
        out.write_all(&tar[..100_000])?;
        Err(std::io::Error::other("no more"))
    });
    assert!(matches!(error, Err(SandboxError::Archive(_))), "{error:?}");
}

#[test]
fn a_foreign_machine_runs_by_its_emulator() {
    let test = "a_foreign_machine_runs_by_its_emulator";
    let base_name = "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz";
    let Some(tar) = alpine::base(test, base_name) else {
        return;
    };
    let machine = Machine::of_alpine("aarch64").unwrap();
    let mut sandbox = match Sandbox::start(&Limits::default(), machine) {
        Ok(sandbox) => sandbox,
        Err(SandboxError::Unavailable(
            why @ (Unavailable::NoEmulator { .. } | Unavailable::NoRegistration { .. }),
        )) => {
            let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
            return;
        }
        Err(other) => panic!("{other:?}"),
    };
    sandbox.update(&[], &mut |out| out.write_all(&tar)).unwrap();
    let finished = sandbox.run(&Alpine::call(
        "uname -m; adduser -D somebody; ls /usr/bin | wc -l",
    ));
    let finished = finished.unwrap();
    let output = String::from_utf8_lossy(&finished.output);
    assert!(
        finished.succeeded() && output.starts_with("aarch64\n"),
        "{finished:?}"
    );
    let changes = sandbox.changes().unwrap();
    let shadow = changes
        .iter()
        .find(|found| found.path().as_bytes() == b"etc/shadow");
    assert!(
        matches!(shadow, Some(Found::There(_, node)) if matches!(node.kind, Kind::File(_)) && node.gid == 42),
        "{changes:?}"
    );
}

#[test]
fn many_at_once_do_not_meet() {
    let test = "many_at_once_do_not_meet";
    let threads: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                let mut alpine = Alpine::with(test, &Limits::default())?;
                let line =
                    format!("echo {number} > /srv/mine; test $(ls /srv | wc -l) = 1; test $(ps | wc -l) -le 6");
                assert_eq!(alpine.shell_ok(&line), "");
                assert_eq!(alpine.changes().len(), 2);
                Some(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn what_only_a_program_can_call_is_refused() {
    let test = "what_only_a_program_can_call_is_refused";
    let (Some(gcc), Some(mut alpine)) = (
        judge::program(test, "gcc"),
        Alpine::with(test, &Limits::default()),
    ) else {
        return;
    };
    // Prints what the kernel says to each: EPERM is 1.
    let source = r#"
        #include <errno.h>
        #include <stdio.h>
        #include <sys/socket.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        #define SAY(call) do { errno = 0; long r = call; printf("%d ", r < 0 ? errno : 0); } while (0)
        int main(void) {
            SAY(socket(40, SOCK_STREAM, 0)); /* AF_VSOCK */
            SAY(socket(38, SOCK_SEQPACKET, 0)); /* AF_ALG */
            SAY(syscall(SYS_keyctl, 0, -3, 1, 0, 0));
            SAY(syscall(SYS_ptrace, 0, 0, 0, 0));
            SAY(syscall(SYS_bpf, 0, 0, 0));
            SAY(syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
            SAY(syscall(SYS_unshare, 0x10000000));
            SAY(syscall(SYS_clone, 0x10000000 | 17, 0, 0, 0, 0)); /* CLONE_NEWUSER: no space */
            SAY(syscall(SYS_mount, 0, 0, 0, 0, 0));
            SAY(socket(AF_UNIX, SOCK_STREAM, 0));
            return 0;
        }"#;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let path = program.to_string_lossy();
    gcc.feed(["-static", "-x", "c", "-o", &path, "-"], source.as_bytes())
        .expect_success();
    let call = Call {
        program: b"/tmp/program".to_vec(),
        arguments: vec![b"program".to_vec()],
        script: Some(Script {
            path: GuestPath::from_relative(b"tmp/program").unwrap(),
            content: fs_err::read(&program).unwrap(),
        }),
        ..Call::default()
    };
    let finished = alpine.0.run(&call).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&finished.output),
        "1 1 1 1 1 1 1 28 1 0 "
    );
}
