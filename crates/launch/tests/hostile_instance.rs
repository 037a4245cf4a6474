//! Programs that want more than they are given: neither the host nor another instance is harmed,
//! and the instance itself is of further use.
//!
//! For what no shell can try the test begins itself again inside, with the host's libraries.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![expect(unsafe_code, reason = "system calls that are to be refused")]

#[path = "support/instance.rs"]
mod instance;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use instance::{Home, shell, shell_ok};
use prebake_apk::digest::Sha256;
use prebake_launch::{Access, Instance, LaunchError, Output, Status};

/// Says that this is the run inside.
const INSIDE: &str = "PREBAKE_TEST_INSIDE";

struct World {
    home: Home,
    good: Instance,
    bad: Instance,
    before: BTreeMap<PathBuf, String>,
}

impl World {
    fn new(test: &str) -> Option<Self> {
        let home = Home::new(test)?;
        let (good, bad) = (home.import("good"), home.import("bad"));
        shell_ok(&good, "echo mine > /srv/mine");
        let before = tree(&home);
        assert!(before.len() > 400, "{}", before.len());
        Some(Self {
            home,
            good,
            bad,
            before,
        })
    }

    /// Looks whether all is as it was, and nothing is left in the end.
    fn check(self) {
        assert_eq!(shell_ok(&self.bad, "echo of use"), "of use\n");
        assert_eq!(shell_ok(&self.good, "cat /srv/mine"), "mine\n");
        assert_eq!(tree(&self.home), self.before);
        assert_eq!(self.home.again().swept(), [], "neither is left over");
        self.bad.remove().unwrap();
        self.good.remove().unwrap();
        assert!(self.home.left().is_empty(), "{:?}", self.home.left());
    }
}

/// Returns all that is in the unpacked tree, and what each is, as far as this user can tell.
fn tree(home: &Home) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut pending = vec![home.folder.path().join("trees")];
    while let Some(path) = pending.pop() {
        let stat = fs_err::symlink_metadata(&path).unwrap();
        let what = if stat.is_dir() {
            let entries = fs_err::read_dir(&path).into_iter().flatten();
            pending.extend(entries.map(|entry| entry.unwrap().path()));
            String::new()
        } else if stat.is_file() {
            fs_err::read(&path)
                .map_or_else(|_| String::new(), |bytes| Sha256::of(&bytes).to_string())
        } else {
            format!("{:?}", fs_err::read_link(&path).ok())
        };
        let facts = format!(
            "{:o} {}:{} {} {} {}.{} {what}",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.nlink(),
            stat.size(),
            stat.mtime(),
            stat.ctime_nsec(),
        );
        all.insert(path, facts);
    }
    all
}

#[test]
fn a_fork_bomb_ends() {
    let Some(world) = World::new("a_fork_bomb_ends") else {
        return;
    };
    let mut command = world.bad.command("sh");
    let bomb = "bomb() { bomb | bomb & }; bomb; while :; do sleep 1; done";
    command
        .args(["-c", bomb])
        .processes(150)
        .time_limit(Duration::from_secs(2));
    // It ends for its time, and all of it with it; or its first shell gives up, and the rest stays
    // within the limit until the instance is stopped.
    match command.status() {
        Ok(_) => {
            let left = shell_ok(&world.bad, "ls -d /proc/[0-9]* | wc -l");
            assert!(left.trim().parse::<u32>().unwrap() < 170, "{left}");
            world.bad.stop().unwrap();
        }
        Err(LaunchError::TimedOut { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
    let left = shell_ok(&world.bad, "ls -d /proc/[0-9]* | wc -l");
    assert!(left.trim().parse::<u32>().unwrap() < 10, "{left}");
    world.check();
}

#[test]
fn mounts_and_the_kernels_settings_are_out_of_reach() {
    let Some(world) = World::new("mounts_and_the_kernels_settings_are_out_of_reach") else {
        return;
    };
    let core_pattern = fs_err::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for line in [
        "mount -t tmpfs none /mnt",
        "mount -t proc none /mnt",
        "mount --bind /etc /mnt",
        "mount -o remount,rw /proc/sys",
        "umount /proc",
        "umount -l /dev",
        "unshare -r true",
        "unshare -m true",
        "nsenter -t 1 -m true",
        "hostname other",
        "! date -s 2001-01-01 2>&1 | grep -q 'not permitted'",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo x > /proc/sys/kernel/hostname",
        "echo 1 > /proc/sys/vm/drop_caches",
        "echo 100 > /proc/sys/user/max_user_namespaces",
        "echo b > /proc/sysrq-trigger",
        "echo 1 > /sys/kernel/profiling",
        "echo 1 > /proc/irq/default_smp_affinity",
        "mkdir /sys/fs/cgroup/own",
        "test -s /proc/kcore",
        "test -s /proc/keys",
        "ls /sys/firmware | grep .",
        "cat /proc/1/environ | grep .",
        "ls -l /proc/1/root/",
        "ls -l /proc/1/fd/",
        "cat /proc/1/mem",
        "mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk",
        "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
        "modprobe dummy",
        "reboot -f",
        "swapon /etc/passwd",
        "dmesg -c",
        "chroot /proc/1/root true",
        "ls /../../../root/wt || ls /proc/self/cwd/../../../../work",
    ] {
        let output = shell(&world.bad, line);
        assert!(!output.status.success(), "{line}: {output:?}");
    }
    let now = fs_err::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert_eq!(now, core_pattern);
    world.check();
}

#[test]
fn what_is_written_stays_in_the_instance() {
    let Some(world) = World::new("what_is_written_stays_in_the_instance") else {
        return;
    };
    shell_ok(
        &world.bad,
        "set +e; for f in $(find /etc /bin /sbin /lib -xdev -type f); do echo x >> $f; done
         for f in $(find /usr -xdev -type f); do chmod 777 $f; done; touch -d @1 /bin/busybox
         dd if=/dev/zero of=/srv/large bs=1M count=64 2>/dev/null; exit 0",
    );
    let World {
        home,
        good,
        bad,
        before,
    } = world;
    bad.remove().unwrap();
    let bad = home.import("bad");
    shell_ok(
        &bad,
        "rm -rf --no-preserve-root /etc /usr /lib /home /var 2>/dev/null; exit 0",
    );
    bad.remove().unwrap();
    let bad = home.import("bad");
    // What has no path that the kernel takes can be removed all the same.
    shell_ok(
        &bad,
        "cd /srv; deep=$(yes dddddd | head -n 500 | tr '\\n' /)
         mkdir -p one/$deep two/$deep; echo deep > two/$deep/file; chmod 0 two/$deep
         mv two one/$deep",
    );
    let world = World {
        home,
        good,
        bad,
        before,
    };
    world.check();
}

#[test]
fn output_without_end_is_cut() {
    let Some(world) = World::new("output_without_end_is_cut") else {
        return;
    };
    let line = format!(
        "head -c {} /dev/zero; head -c 5 /dev/zero >&2",
        Output::MOST + 9
    );
    let output = shell(&world.bad, &line);
    assert_eq!(output.status, Status::Exited(0));
    assert!(output.truncated);
    assert_eq!(
        (output.stdout.len() as u64, output.stderr.len()),
        (Output::MOST, 5)
    );
    world.check();
}

#[test]
fn who_kills_all_is_dead_too() {
    let Some(world) = World::new("who_kills_all_is_dead_too") else {
        return;
    };
    let mut other = world.bad.command("sleep").arg("1000").spawn().unwrap();
    let output = shell(&world.bad, "kill -9 -1; kill -9 1; sleep 1000");
    assert_eq!(output.status, Status::Signalled(9));
    assert_eq!(other.wait().unwrap(), Status::Signalled(9));
    assert_eq!(
        shell_ok(&world.bad, "head -1 /proc/1/status"),
        "Name:\tprebake-init\n"
    );
    // Whoever stops who watches over it is killed with all others.
    let mut command = world.bad.command("sh");
    command.args(["-c", "kill -STOP $PPID; setsid sleep 999 & sleep 1000"]);
    command.time_limit(Duration::from_millis(500));
    assert!(matches!(
        command.status(),
        Err(LaunchError::TimedOut { .. })
    ));
    assert_eq!(shell_ok(&world.bad, "pgrep -f '^sleep' | wc -l"), "0\n");
    world.check();
}

#[test]
fn the_kernel_refuses_what_only_its_masters_may() {
    let test = "the_kernel_refuses_what_only_its_masters_may";
    if std::env::var_os(INSIDE).is_some() {
        return try_all();
    }
    let Some(world) = World::new(test) else {
        return;
    };
    let exe = std::env::current_exe().unwrap();
    let mut command = world.bad.command("/test/it");
    command
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .share(exe, "/test/it", Access::ReadOnly);
    for folder in ["/lib64", "/lib/x86_64-linux-gnu"] {
        if Path::new(folder).is_dir() {
            command.share(folder, folder, Access::ReadOnly);
        }
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("tried 24"), "{said}");
    world.check();
}

/// Tries system calls that would let a program out, or at another's.
fn try_all() {
    let null = 0_usize;
    let mut byte = [0_u8; 1];
    let pieces = [byte.as_mut_ptr() as usize, 1];
    let pieces = pieces.as_ptr() as usize;
    let calls: [(&str, libc::c_long, [usize; 5]); 24] = [
        (
            "ptrace init",
            libc::SYS_ptrace,
            [libc::PTRACE_ATTACH as usize, 1, 0, 0, 0],
        ),
        (
            "ptrace its parent",
            libc::SYS_ptrace,
            [libc::PTRACE_ATTACH as usize, parent(), 0, 0, 0],
        ),
        (
            "read init's memory",
            libc::SYS_process_vm_readv,
            [1, pieces, 1, pieces, 1],
        ),
        (
            "take init's descriptors",
            libc::SYS_pidfd_getfd,
            [open_init(), 0, 0, 0, 0],
        ),
        (
            "open by handle",
            libc::SYS_open_by_handle_at,
            [libc::AT_FDCWD as usize, null, 0, 0, 0],
        ),
        (
            "a user namespace",
            libc::SYS_unshare,
            [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0],
        ),
        (
            "a mount namespace",
            libc::SYS_unshare,
            [libc::CLONE_NEWNS as usize, 0, 0, 0, 0],
        ),
        (
            "clone with users",
            libc::SYS_clone,
            [(libc::CLONE_NEWUSER | libc::SIGCHLD) as usize, 0, 0, 0, 0],
        ),
        (
            "clone with mounts",
            libc::SYS_clone,
            [(libc::CLONE_NEWNS | libc::SIGCHLD) as usize, 0, 0, 0, 0],
        ),
        (
            "setns",
            libc::SYS_setns,
            [open_init(), libc::CLONE_NEWNS as usize, 0, 0, 0],
        ),
        ("bpf", libc::SYS_bpf, [0, 0, 0, 0, 0]),
        ("a key", libc::SYS_add_key, [0, 0, 0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, 0, 0, 0, 0]),
        ("io_uring", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
        ("perf", libc::SYS_perf_event_open, [0, 0, 0, 0, 0]),
        (
            "fsopen",
            libc::SYS_fsopen,
            [c"tmpfs".as_ptr() as usize, 0, 0, 0, 0],
        ),
        (
            "open_tree",
            libc::SYS_open_tree,
            [libc::AT_FDCWD as usize, c"/".as_ptr() as usize, 1, 0, 0],
        ),
        (
            "pivot_root",
            libc::SYS_pivot_root,
            [c".".as_ptr() as usize, c".".as_ptr() as usize, 0, 0, 0],
        ),
        (
            "a module",
            libc::SYS_finit_module,
            [0, c"".as_ptr() as usize, 0, 0, 0],
        ),
        ("kexec", libc::SYS_kexec_load, [0, 0, 0, 0, 0]),
        (
            "reboot",
            libc::SYS_reboot,
            [0xfee1_dead, 672_274_793, 0x0123_4567, 0, 0],
        ),
        (
            "vsock",
            libc::SYS_socket,
            [libc::AF_VSOCK as usize, libc::SOCK_STREAM as usize, 0, 0, 0],
        ),
        (
            "alg",
            libc::SYS_socket,
            [
                libc::AF_ALG as usize,
                libc::SOCK_SEQPACKET as usize,
                0,
                0,
                0,
            ],
        ),
    ];
    let mut tried = 0;
    for (name, number, [a, b, c, d, e]) in calls {
        // SAFETY: each is refused, or what is tested does not hold; what has a
        // pointer has one to constant strings, or to memory that outlives the call.
        let result = unsafe { libc::syscall(number, a, b, c, d, e, 0_usize) };
        let error = std::io::Error::last_os_error();
        assert_eq!(result, -1, "{name} is not refused");
        let refused = [libc::EPERM, libc::ENOSPC, libc::ENOSYS];
        assert!(
            refused.contains(&error.raw_os_error().unwrap()),
            "{name}: {error}"
        );
        tried += 1;
    }
    let mut out = std::io::stdout();
    writeln!(out, "tried {tried}").unwrap();
}

fn parent() -> usize {
    std::os::unix::process::parent_id() as usize
}

fn open_init() -> usize {
    // SAFETY: it makes a descriptor of a process, and nothing else.
    unsafe { libc::syscall(libc::SYS_pidfd_open, 1, 0) as usize }
}
