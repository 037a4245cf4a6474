//! Where a sandbox stands: a `tmpfs` that is all its processes have of a file system.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use rustix::process::{chdir, pivot_root};

/// A step that failed: what was to be done, and what the kernel says.
pub(crate) type Failure = (&'static str, io::Error);

/// Where the tree is that programs have for their root.
pub(crate) const ROOT: &str = "/root";
/// Where the host's `/proc` is. The kernel gives a new one only to who can see one already.
const HOST_PROC: &str = "/host-proc";
/// Where a run has its own.
const GUEST_PROC: &str = "/guest-proc";
/// Where the host's devices are.
const DEVICES: &str = "/dev";
/// What is touched to read the file system's clock.
pub(crate) const PROBE: &str = "/probe";

/// What tables of mounts say that a sandbox's file systems are of.
const NAME: &str = "prebake";

/// The devices that programs expect and that give away nothing.
const DEVICE_NAMES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// The files that the stage itself needs of the `tmpfs`, directories included, and some more.
const OWN_FILES: u64 = 64;

/// The space that the stage itself may need, in bytes.
const OWN_BYTES: u64 = 64 << 10;

/// The size of `/dev` and of `/dev/shm`, in bytes.
const DEV_BYTES: (u64, u64) = (64 << 10, 64 << 20);

fn step<T>(doing: &'static str, result: rustix::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| (doing, error.into()))
}

/// Leaves the host's file system for a new `tmpfs` of `bytes` bytes and `files` files, in the
/// mount namespace of its own that the process must have. `before_leaving` is called with both at
/// hand, the new one at the path it is given.
pub(crate) fn enter(
    bytes: u64,
    files: u64,
    before_leaving: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // Any directory that every system has will do: it is seen by this process only.
    let at = "/proc";
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step("make mounts private", mount_change("/", private))?;
    let host_proc = step(
        "open /proc",
        rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
    )?;
    let options = format!(
        "mode=0755,size={},nr_inodes={}\0",
        bytes.saturating_add(OWN_BYTES),
        files.saturating_add(OWN_FILES)
    );
    let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).ok();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    step("mount a tmpfs", mount(NAME, at, "tmpfs", flags, options))?;
    for name in [ROOT, HOST_PROC, GUEST_PROC, DEVICES] {
        step(
            "make a directory",
            rustix::fs::mkdir(format!("{at}{name}"), Mode::from(0o755)),
        )?;
    }
    make_file(&format!("{at}{PROBE}"))?;
    // The path of a descriptor below the `/proc` that is now hidden leads to the very mount.
    let magic = format!("{at}{HOST_PROC}");
    step("keep /proc", bind_descriptor(&host_proc, &magic))?;
    for name in DEVICE_NAMES {
        let there = format!("{at}{DEVICES}/{name}");
        make_file(&there)?;
        if mount_bind(format!("/dev/{name}"), &*there).is_err() {
            // A host without this device: the sandbox has none either.
            step("remove a file", rustix::fs::unlink(&*there))?;
        }
    }
    before_leaving(at)?;
    step("enter the tmpfs", chdir(at))?;
    leave_the_rest()
}

/// Binds the mount that `from` was opened on over `to`.
fn bind_descriptor(from: &OwnedFd, to: &str) -> rustix::io::Result<()> {
    use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
    let tree = open_tree(
        from,
        "",
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE,
    )?;
    move_mount(tree, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Makes the working directory, a mount point, the root, and unmounts all that is outside.
fn leave_the_rest() -> Result<(), Failure> {
    // Both in one directory: the old root comes to lie over the new one, and is taken off.
    step("change the root", pivot_root(".", "."))?;
    step("leave the old root", unmount(".", UnmountFlags::DETACH))?;
    step("enter the root", chdir("/"))
}

fn make_file(path: &str) -> Result<(), Failure> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::from(0o600));
    step("make a file", file).map(drop)
}

/// Makes the tree the root of this process, the first of a run in process and mount namespaces of
/// its own, with `/proc` and `/dev` where it has directories for them. Returns its own `/proc`,
/// which it has whether the tree shows it or not.
pub(crate) fn enter_tree() -> Result<OwnedFd, Failure> {
    // Read-only as a whole and by itself: so no other mount of it that somebody might make can
    // be more.
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    step(
        "mount /proc",
        mount("proc", GUEST_PROC, "proc", flags, None),
    )?;
    let read = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let proc = step(
        "open /proc",
        rustix::fs::open(GUEST_PROC, read, Mode::empty()),
    )?;
    step("bind the tree", mount_bind(ROOT, ROOT))?;
    if is_directory(&format!("{ROOT}/proc")) {
        step("show /proc", mount_bind(GUEST_PROC, format!("{ROOT}/proc")))?;
    }
    if is_directory(&format!("{ROOT}/dev")) {
        fill_dev(&format!("{ROOT}/dev"))?;
    }
    step("enter the tree", chdir(ROOT))?;
    leave_the_rest()?;
    Ok(proc)
}

/// Says whether there is a directory and no link to one. Nobody else changes the tree now.
fn is_directory(path: &str) -> bool {
    let stat = rustix::fs::statat(CWD, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

fn fill_dev(at: &str) -> Result<(), Failure> {
    let (own, shm) = DEV_BYTES;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_tmpfs(
        at,
        flags,
        &format!("mode=0755,size={own},nr_inodes={OWN_FILES}\0"),
    )?;
    for name in DEVICE_NAMES {
        let from = format!("{DEVICES}/{name}");
        if rustix::fs::access(&*from, rustix::fs::Access::EXISTS).is_ok() {
            let there = format!("{at}/{name}");
            make_file(&there)?;
            step("bind a device", mount_bind(&*from, &*there))?;
        }
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        step(
            "link a device",
            rustix::fs::symlink(target, format!("{at}/{name}")),
        )?;
    }
    let there = format!("{at}/shm");
    step(
        "make a directory",
        rustix::fs::mkdir(&*there, Mode::from(0o755)),
    )?;
    let flags = flags | MountFlags::NODEV;
    mount_tmpfs(
        &there,
        flags,
        &format!("mode=1777,size={shm},nr_inodes=1024\0"),
    )
}

fn mount_tmpfs(at: &str, flags: MountFlags, options: &str) -> Result<(), Failure> {
    let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).ok();
    step("mount a tmpfs", mount(NAME, at, "tmpfs", flags, options))
}

/// Opens the tree for the process that holds the stage.
pub(crate) fn open_tree_root() -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    step(
        "open the tree",
        rustix::fs::open(ROOT, flags, Mode::empty()),
    )
}

/// Returns the file system's clock as `stat` shows it, by touching [`PROBE`].
pub(crate) fn clock() -> io::Result<(i64, i64)> {
    let now = rustix::fs::Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    let times = rustix::fs::Timestamps {
        last_access: now,
        last_modification: now,
    };
    rustix::fs::utimensat(CWD, PROBE, &times, rustix::fs::AtFlags::empty())?;
    let stat = rustix::fs::stat(PROBE)?;
    Ok((stat.st_ctime as i64, stat.st_ctime_nsec as i64))
}

/// Says whether the file system that `root` is on has no room left: of bytes or of files.
pub(crate) fn is_full(root: impl AsFd) -> bool {
    rustix::fs::fstatfs(root).is_ok_and(|stat| stat.f_bavail == 0 || stat.f_ffree == 0)
}
