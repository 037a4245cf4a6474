//! What the driver of WSL does inside the guest, by a real Alpine on this host's own kernel.
//!
//! The fake `wsl.exe` runs each distribution in namespaces as WSL 2 does, so that the driver's
//! scripts are read by the real BusyBox and change real mounts. That takes root of Linux.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[expect(dead_code, reason = "it has more than this needs")]
#[path = "support/wsl_world.rs"]
mod wsl_world;

use std::io::Read as _;
use std::process::Command;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use prebake_apk::digest::Sha256;
use prebake_launch::{
    Access, Image, Instance, LaunchError, Network, Output, Rootfs, Status, Stdio,
};
use prebake_testkit::shared::{found_or_skipped, real_mirror};

use self::wsl_world::{World, about};

/// An instance with Alpine in it, in a world that goes with it.
struct Alpine {
    instance: Instance,
    world: World,
}

impl Alpine {
    /// Imports it; `None`, said on stderr, where this host cannot.
    fn new(test: &str) -> Option<Self> {
        let mirror = real_mirror(test)?;
        let mut probe = Command::new("unshare");
        probe.args(["--mount", "--pid", "--fork", "true"]);
        let is_root = probe.status().is_ok_and(|status| status.success());
        found_or_skipped(is_root.then_some(()), test, "root and `unshare`")?;
        let image = "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz";
        let image = mirror.join(image);
        let mut stream = Vec::new();
        let file = fs_err::File::open(&image).unwrap();
        MultiGzDecoder::new(file).read_to_end(&mut stream).unwrap();
        let mut about = about(b"");
        about.identity = Sha256::of(&stream);
        about.unpacked = stream.len() as u64;
        let rootfs = Rootfs::new(about, Image::File(image));
        let world = World::new("kernel");
        fs_err::create_dir_all(world.path("drive-c/Windows")).unwrap();
        fs_err::create_dir_all(world.path("drive-c/data")).unwrap();
        fs_err::write(world.path("drive-c/data/file"), "of windows").unwrap();
        let host = world.host();
        let instance = host.import(&"alpine".parse().unwrap(), &rootfs).unwrap();
        Some(Self { instance, world })
    }

    fn shell(&self, script: &str) -> prebake_launch::Command {
        let mut command = self.instance.command("sh");
        command.args(["-c", script]);
        command
    }

    /// Runs a script to its end and returns what it wrote to standard output.
    fn said(&self, script: &str) -> String {
        said(self.shell(script).output().unwrap())
    }
}

fn said(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status, errors.as_str()), (Status::Exited(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_program_has_what_was_asked_for_and_nothing_else() {
    let Some(alpine) = Alpine::new("a_program_has_what_was_asked_for") else {
        return;
    };
    let mut env = alpine.instance.command("env");
    let seen = said(env.output().unwrap());
    let mut lines: Vec<_> = seen.lines().collect();
    lines.sort_unstable();
    let own = [
        "HOME=/root",
        "LOGNAME=root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SHELL=/bin/sh",
        "USER=root",
    ];
    assert_eq!(lines, own);
    let mut env = alpine.instance.command("/usr/bin/env");
    env.env_clear().env("A", "").env("B", "c d=\"$e\"");
    assert_eq!(said(env.output().unwrap()), "A=\nB=c d=\"$e\"\n");

    alpine.instance.create_dir("/srv/a b/c").unwrap();
    alpine.instance.create_dir("/srv/a b/c").unwrap();
    let mut script =
        alpine.shell("id -un; id -gn; pwd; echo $HOME $USER; umask; stat -c '%a %u' .");
    script.user("guest").current_dir("/srv/a b/c");
    let seen = said(script.output().unwrap());
    assert_eq!(
        seen,
        "guest\nusers\n/srv/a b/c\n/dev/null guest\n0022\n755 0\n"
    );
    for user in ["405", "405:100"] {
        let mut script = alpine.shell("id -u; id -g");
        assert_eq!(said(script.user(user).output().unwrap()), "405\n100\n");
    }
    // What a shell would change stays as it is.
    let words = ["$HOME", "`id`", "a  b", "", "*", "\\", "\"", "'"];
    let mut print = alpine.instance.command("printf");
    print.arg("%s\\n").args(words);
    let seen = said(print.output().unwrap());
    assert_eq!(seen, words.map(|word| format!("{word}\n")).concat());
}

#[test]
fn what_cannot_begin_says_so_and_codes_are_the_programs_own() {
    let Some(alpine) = Alpine::new("what_cannot_begin") else {
        return;
    };
    let instance = &alpine.instance;
    let shown =
        |command: &mut prebake_launch::Command| alpine.world.shown(&command.output().unwrap_err());
    let mut share = instance.command("sh");
    share.share(r"C:\nothing", "/a", Access::ReadOnly);
    let in_a_file = instance.create_dir("/etc/passwd/a").unwrap_err();
    let all = [
        shown(&mut instance.command("nothing")),
        shown(&mut instance.command("/etc/passwd")),
        shown(instance.command("sh").env("PATH", "/nowhere")),
        shown(instance.command("sh").user("nobody-knows")),
        shown(instance.command("sh").user("405:5")),
        shown(instance.command("sh").current_dir("/nothing")),
        shown(&mut share),
        alpine.world.shown(&in_a_file),
    ];
    insta::assert_snapshot!(all.join("\n"));
    for code in [0, 1, 125, 126, 127, 255] {
        let status = alpine.shell(&format!("exit {code}")).status().unwrap();
        assert_eq!(status, Status::Exited(code));
    }
    let output = alpine.shell("echo x >&2; kill -9 $$").output().unwrap();
    assert_eq!(
        (output.status.code(), &output.stderr[..]),
        (137, &b"x\n"[..])
    );
}

#[test]
fn without_a_network_there_is_a_loopback_of_the_instance_alone() {
    let Some(alpine) = Alpine::new("without_a_network") else {
        return;
    };
    let namespace = "readlink /proc/self/ns/net";
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    let one = alpine.said(namespace);
    assert_ne!(one.trim(), ours.to_str().unwrap());
    assert_eq!(alpine.said(namespace), one, "programs share it");
    let links = alpine.said("ip -o link | cut -d: -f2,3");
    assert_eq!(
        links,
        " lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN qlen 1000\\    link/loopback 00\n"
    );
    assert_eq!(alpine.said("ip route"), "");
    let mut host = alpine.shell(namespace);
    host.network(Network::Host);
    assert_eq!(said(host.output().unwrap()).trim(), ours.to_str().unwrap());
    // Many at the very first, when there is none yet.
    alpine.instance.stop().unwrap();
    let seen = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| alpine.said(namespace)))
            .collect();
        let seen = threads.into_iter().map(|thread| thread.join().unwrap());
        seen.collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(seen.len(), 1);
}

#[test]
fn shares_are_seen_and_the_rest_of_windows_is_not() {
    let Some(alpine) = Alpine::new("shares_are_seen") else {
        return;
    };
    let look = "ls -A /mnt/c /run/WSL; cat /in/file /one; echo new >/out/new; echo x >/in/x";
    let mut script = alpine.shell(look);
    let output = script
        .share(r"C:\data", "/in", Access::ReadOnly)
        .share(r"C:\data", "/out", Access::ReadWrite)
        .share(r"C:\data\file", "/one", Access::ReadOnly)
        .output()
        .unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert_eq!(seen, "/mnt/c:\n\n/run/WSL:\nof windowsof windows");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("can't create /in/x: Read-only file system"),
        "{errors}"
    );
    let data = alpine.world.path("drive-c/data");
    assert_eq!(fs_err::read_to_string(data.join("new")).unwrap(), "new\n");
    assert!(!data.join("x").exists());
    // The shares are one program's; the places that were made for them stay.
    assert_eq!(
        alpine.said("ls -A /in /out; wc -c </one"),
        "/in:\n\n/out:\n0\n"
    );
}

#[test]
fn a_kill_finds_what_a_program_started_and_nothing_else() {
    let Some(alpine) = Alpine::new("a_kill_finds_what_a_program_started") else {
        return;
    };
    let mut other = alpine
        .instance
        .command("sleep")
        .arg("2000001")
        .spawn()
        .unwrap();
    let script = "sleep 2000002 & setsid sleep 2000003 & (sleep 2000004 &); echo on; wait";
    let mut tree = alpine.shell(script).stdout(Stdio::Piped).spawn().unwrap();
    let mut line = [0; 3];
    tree.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    // Each has begun when it is seen to run.
    let running = "ps -o args | grep -o '^sleep 200000.' | cut -c7- | sort | tr '\\n' ' '";
    let all = "2000001 2000002 2000003 2000004 ";
    let mut seen = String::new();
    for _ in 0..200 {
        seen = alpine.said(running);
        if seen == all {
            break;
        }
    }
    assert_eq!(seen, all);
    tree.kill().unwrap();
    assert_eq!(tree.wait().unwrap(), Status::Signalled(9));
    assert_eq!(alpine.said(running), "2000001 ");

    // In its time a program is ended too, and what it holds the pipes with.
    let mut slow = alpine.shell("sleep 2000005 & echo begun; sleep 2000006");
    let error = slow
        .time_limit(Duration::from_secs(1))
        .output()
        .unwrap_err();
    assert!(matches!(error, LaunchError::TimedOut { .. }), "{error}");
    assert_eq!(alpine.said(running), "2000001 ");

    alpine.instance.stop().unwrap();
    assert_eq!(other.wait().unwrap(), Status::Signalled(9));
    assert_eq!(alpine.said(running), "");
    // Nothing of the driver's own is left in the guest but what it made once.
    assert_eq!(
        alpine.said("ls /run/prebake | grep -vc net"),
        "1\n",
        "its own"
    );
}
