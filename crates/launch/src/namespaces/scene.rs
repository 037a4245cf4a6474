//! What the programs of an instance see of a file system: its tree, with `/proc`, `/sys` and
//! `/dev` of its own, and nothing else.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};

use crate::linux::emulator;
use crate::linux::stage::Failure;
use crate::sandbox::Machine;

/// A directory that every host has, which is covered for a moment, in this mount namespace alone.
const COVERED: &str = "/dev";

/// The devices that programs expect and that give away nothing.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// What of `/proc` is the whole system's, and is not to be written to, whoever root is outside.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// What is the instance's own in that.
const WRITABLE: &str = "sys/net";

/// What of `/proc` tells of the whole system what is nobody's business.
const HIDDEN: [&str; 4] = ["kcore", "keys", "latency_stats", "timer_list"];

/// What of `/sys` does.
const HIDDEN_FOLDERS: [&str; 2] = ["firmware", "devices/virtual/powercap"];

/// The layers of an instance's tree, as mounts that are nowhere yet.
#[derive(Debug)]
pub(super) struct Layers {
    /// What all instances of an identity share; none where the instance has its own copy.
    pub(super) lower: Option<OwnedFd>,
    /// The instance's own: `upper` and `work` are in it, or `copy`.
    pub(super) own: OwnedFd,
    /// Whether what is written need not outlast the machine.
    pub(super) volatile: bool,
}

/// Where the overlay's own files are in [`Layers::own`], and a copy of the tree.
pub(super) const UPPER: &str = "upper";
pub(super) const WORK: &str = "work";
pub(super) const COPY: &str = "copy";

fn step<T>(doing: &'static str, result: rustix::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| (doing, error.into()))
}

/// Takes a copy of the mount at `path`, which can be mounted where this process has the right to.
pub(super) fn detached(path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags)
}

/// Tries to have a `/proc` of this process's namespaces.
pub(super) fn try_proc() -> rustix::io::Result<()> {
    new("proc", &[], MountAttrFlags::empty()).map(drop)
}

/// Has the kernel run programs of `machine` by `emulator` in this process's user namespace.
pub(super) fn emulate(machine: Machine, emulator: &Path) -> Result<(), Failure> {
    let table = new("binfmt_misc", &[], MountAttrFlags::empty());
    let table = step("register an emulator", table)?;
    emulator::register_in(&table, machine, emulator)
}

/// Takes a copy of the host's mount at `path`, and of those in it, to be shown in an instance. What
/// is root's outside is root's inside, if `users`, the instance's user namespace, has other ids and
/// the file system lets them be told apart by mount.
pub(super) fn shared(
    path: &Path,
    read_only: bool,
    users: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    let tree = detached(path, true)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if read_only {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    set_attributes(&tree, attributes, None, true)?;
    if users.is_some() {
        // Since Linux 5.12, for most file systems that have users. Else what is there is shown as
        // nobody's, and those may use it that anybody may.
        let _ = set_attributes(&tree, MountAttrFlags::MOUNT_ATTR_IDMAP, users, true);
    }
    Ok(tree)
}

/// Makes the tree the root of this process, with what belongs there, in the mount namespace of its
/// own that it must have. `all` says whether it has all ids. Returns `/proc`, whether the tree
/// shows it or not.
pub(super) fn enter(layers: &Layers, all: bool) -> Result<OwnedFd, Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step("make mounts private", mount_change("/", private))?;
    let devices = devices();
    let root = root(layers)?;
    step("show the tree", attach_over(&root, COVERED))?;
    let noexec = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = step("make /proc", new("proc", &[], noexec))?;
    if let Some(there) = directory(&root, "proc")? {
        step("show /proc", attach(&proc, there.as_fd()))?;
        restrict_proc(&proc, &devices)?;
    }
    let read_only = noexec | MountAttrFlags::MOUNT_ATTR_RDONLY;
    // Not every container lets one have a `sysfs`.
    if let Ok(sys) = new("sysfs", &[], read_only)
        && let Some(there) = directory(&root, "sys")?
    {
        step("show /sys", attach(&sys, there.as_fd()))?;
        for name in HIDDEN_FOLDERS {
            if let Ok(there) = below(&sys, name, OFlags::PATH | OFlags::DIRECTORY) {
                let nothing = new("tmpfs", &[("nr_inodes", "1")], read_only);
                let hidden = nothing.and_then(|nothing| attach(&nothing, there.as_fd()));
                step("hide a part of /sys", hidden)?;
            }
        }
    }
    if let Some(there) = directory(&root, "dev")? {
        fill_dev(there.as_fd(), &devices, all)?;
    }
    step("enter the tree", fchdir(&root))?;
    // Both in one directory: the old root comes to lie over the new one, and is taken off.
    step("change the root", pivot_root(".", "."))?;
    step("leave the old root", unmount(".", UnmountFlags::DETACH))?;
    step("enter the root", chdir("/"))?;
    // One that can be listed: the descriptor of a new mount only names it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::openat(&proc, ".", flags, Mode::empty());
    step("open /proc", proc)
}

/// Returns the tree, as a mount that is nowhere yet.
fn root(layers: &Layers) -> Result<OwnedFd, Failure> {
    // The kernel takes for a layer only what is mounted in this namespace.
    step("attach a layer", attach_over(&layers.own, COVERED))?;
    let own = |name: &str| format!("/proc/self/fd/{}/{name}", layers.own.as_raw_fd());
    let Some(lower) = &layers.lower else {
        return step("open the copy", detached(Path::new(&own(COPY)), false));
    };
    step("attach a layer", attach_over(lower, COVERED))?;
    let lower = format!("/proc/self/fd/{}", lower.as_raw_fd());
    let (upper, work) = (own(UPPER), own(WORK));
    let options = [
        ("source", "prebake"),
        ("lowerdir", &*lower),
        ("upperdir", &*upper),
        ("workdir", &*work),
        ("userxattr", ""),
        ("volatile", ""),
    ];
    let options = if layers.volatile {
        &options[..]
    } else {
        options.get(..5).unwrap_or_default()
    };
    let overlay = new("overlay", options, MountAttrFlags::MOUNT_ATTR_NODEV);
    step(OVERLAY, overlay)
}

/// The step that says that there is no overlay to be had.
pub(super) const OVERLAY: &str = "mount an overlay";

/// Makes a file system, mounted nowhere yet. An option without a value is a flag.
pub(super) fn new(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(&context, *name)?;
        } else {
            fsconfig_set_string(&context, *name, *value)?;
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Mounts `tree` on what `there` is.
pub(super) fn attach(tree: &OwnedFd, there: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", there, "", flags)
}

fn attach_over(tree: &OwnedFd, path: &str) -> rustix::io::Result<()> {
    move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Opens a name of a directory that is no link.
fn below(root: &OwnedFd, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, name, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Opens a directory of the tree's root, which is made if it is not there; `None` where something
/// else is, which is the tree's own affair.
fn directory(root: &OwnedFd, name: &'static str) -> Result<Option<OwnedFd>, Failure> {
    match rustix::fs::mkdirat(root, name, Mode::from(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(("make a directory", error.into())),
    }
    match below(root, name, OFlags::PATH | OFlags::DIRECTORY) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(("open a directory", error.into())),
    }
}

/// Takes copies of the host's devices, while they can be seen. A host without one has none to give.
fn devices() -> Vec<(&'static str, OwnedFd)> {
    let device = |name: &'static str| {
        let device = detached(Path::new(&format!("/dev/{name}")), false);
        Some((name, device.ok()?))
    };
    DEVICES.into_iter().filter_map(device).collect()
}

fn restrict_proc(proc: &OwnedFd, devices: &[(&str, OwnedFd)]) -> Result<(), Failure> {
    let cover = |name: &str, tree: rustix::io::Result<OwnedFd>| {
        let there = below(proc, name, OFlags::PATH)?;
        attach(&tree?, there.as_fd())
    };
    let copy = |name: &str| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(proc, name, flags)
    };
    let net = copy(WRITABLE);
    for name in READ_ONLY {
        let read_only = copy(name).and_then(|tree| {
            set_attributes(&tree, MountAttrFlags::MOUNT_ATTR_RDONLY, None, false)?;
            Ok(tree)
        });
        match cover(name, read_only) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(("restrict /proc", error.into())),
        }
    }
    if net.is_ok() {
        step("restrict /proc", cover(WRITABLE, net))?;
    }
    let null = devices.iter().find(|(name, _)| *name == "null");
    for name in HIDDEN {
        if let Some((_, null)) = null
            && let Ok(there) = below(proc, name, OFlags::PATH)
        {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH;
            let hidden = open_tree(null, "", flags);
            let hidden = hidden.and_then(|hidden| attach(&hidden, there.as_fd()));
            step("hide a part of /proc", hidden)?;
        }
    }
    Ok(())
}

/// Adds attributes to a mount, and if asked to those in it; for a mount with other ids, those that
/// a user namespace has.
#[expect(unsafe_code, reason = "mount_setattr")]
fn set_attributes(
    tree: &OwnedFd,
    attributes: MountAttrFlags,
    users: Option<BorrowedFd<'_>>,
    recursive: bool,
) -> rustix::io::Result<()> {
    /// `struct mount_attr` of the kernel: what to set, what to clear, propagation, user namespace.
    #[repr(C)]
    struct MountAttr([u64; 4]);
    let attributes = [
        u64::from(attributes.bits()),
        0,
        0,
        users.map_or(0, |users| users.as_raw_fd() as u64),
    ];
    let attributes = MountAttr(attributes);
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty string and the structure is of the size that is given; the
    // call reads both and keeps neither.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttr>(),
        )
    };
    if set == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error().raw_os_error();
    Err(Errno::from_raw_os_error(error.unwrap_or(libc::EIO)))
}

fn fill_dev(there: BorrowedFd<'_>, devices: &[(&str, OwnedFd)], all: bool) -> Result<(), Failure> {
    let no_files = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = [("mode", "0755"), ("size", "64k"), ("nr_inodes", "64")];
    let dev = step("make /dev", new("tmpfs", &options, no_files))?;
    step("show /dev", attach(&dev, there))?;
    for (name, device) in devices {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dev, *name, flags, Mode::from(0o666));
        let file = step("make a device", file)?;
        step("show a device", attach(device, file.as_fd()))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        step("link a device", rustix::fs::symlinkat(target, &dev, name))?;
    }
    // In Alpine's table of groups, as in others, 5 is `tty`.
    let terminals = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    let terminals = if all { &terminals[..] } else { &terminals[..2] };
    let pts = new("devpts", terminals, no_files);
    let memory = [("mode", "1777"), ("size", "64m")];
    let memory = new(
        "tmpfs",
        &memory,
        no_files | MountAttrFlags::MOUNT_ATTR_NODEV,
    );
    for (name, tree) in [("pts", pts), ("shm", memory)] {
        let tree = step("make a part of /dev", tree)?;
        let made = rustix::fs::mkdirat(&dev, name, Mode::from(0o755));
        step("make a directory", made)?;
        let there = step("open a directory", below(&dev, name, OFlags::PATH))?;
        step("show a part of /dev", attach(&tree, there.as_fd()))?;
    }
    Ok(())
}
