//! The process that holds an instance that runs: outside of it, so that nothing in it can be in
//! its way, and apart from the program that has it, so that it outlives that and can clean up.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, setsid, umask,
};

use super::first::{self, Beginning};
use super::scene::{self, COPY, Layers, UPPER, WORK};
use super::store;
use super::visitor::{self, Visit};
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::guest_root::ALL_IDS;
use crate::linux::process::Process;
use crate::linux::stage::Failure;
use crate::linux::{copy_tree, descriptors, guest_root, id_map, passing, remove, wire};
use crate::sandbox::Machine;

/// The namespaces that an instance has of its own, beside that of users.
pub(super) const NAMESPACES: i32 = libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// What a holder is told: to end all and leave the files, to end all and take them away, that the
/// files are to stay whatever happens, and to hand out a piece of the host's file system.
pub(super) const STOP: u8 = 1;
pub(super) const REMOVE: u8 = 2;
pub(super) const KEEP: u8 = 3;
pub(super) const SHARE: u8 = 4;
pub(super) const SHARE_READ_ONLY: u8 = 5;
/// To begin what serves a request with the host's network.
pub(super) const VISIT: u8 = 6;

/// What it says: that it is done (at the beginning also with which ids, and whether the tree was
/// copied), or why not.
pub(super) const DONE: u8 = 0;
pub(super) const FAILED: u8 = 1;

/// What a holder begins with.
#[derive(Debug)]
pub(super) struct Holding {
    /// Where the one that has the instance speaks to it.
    pub(super) control: OwnedFd,
    /// Where that one speaks to the instance's first process.
    pub(super) orders: OwnedFd,
    /// The process that has the instance.
    pub(super) owner: OwnedFd,
    /// The lock, which is held as long as this is.
    pub(super) lock: OwnedFd,
    pub(super) folder: PathBuf,
    /// The tree of its identity; none for one that has a copy.
    pub(super) tree: Option<PathBuf>,
    pub(super) hostname: String,
    pub(super) full_root: bool,
    pub(super) kept: bool,
    /// The machine whose programs it runs, and what they are run by where the host does not.
    pub(super) machine: Machine,
    pub(super) emulator: Option<PathBuf>,
    #[cfg(target_pointer_width = "64")]
    pub(super) filter: Option<Filter>,
}

pub(super) fn main(holding: Holding) -> i32 {
    let Holding {
        control,
        orders,
        owner,
        lock,
        ..
    } = &holding;
    descriptors::close_all_but(&[control.as_fd(), orders.as_fd(), owner.as_fd(), lock.as_fd()]);
    match begin(holding) {
        Ok(holder) => holder.serve(),
        Err(code) => code,
    }
}

fn begin(holding: Holding) -> Result<Holder, i32> {
    let Ok(control) = holding.control.try_clone() else {
        return Err(1);
    };
    prepare(holding).map_err(|(doing, error)| {
        let mut message = vec![FAILED];
        let said = wire::put_bytes(&mut message, doing.as_bytes())
            .and_then(|()| wire::put_io_error(&mut message, &error))
            .and_then(|()| passing::send(&control, &message, &[]));
        1 + i32::from(said.is_err())
    })
}

fn prepare(holding: Holding) -> Result<Holder, Failure> {
    let fail = |doing| move |error: Errno| (doing, io::Error::from(error));
    let failed = |doing| move |error: io::Error| (doing, error);
    descriptors::silence().map_err(failed("open /dev/null"))?;
    let _ = rustix::thread::set_name(c"prebake-holder");
    // A terminal's signals are for the caller, whose end is this one's.
    setsid().map_err(fail("begin a session"))?;
    umask(Mode::empty());
    ignore_broken_pipes();
    limit_processes();
    let all = if holding.full_root {
        ALL_IDS
    } else {
        let all = guest_root::become_root(&holding.control).map_err(failed("make namespaces"))?;
        // The first process begins as this one is, and this one must see it until it hides.
        set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(fail("be seen"))?;
        all
    };
    let disk = holding.folder.join("disk");
    forget_volatile(&disk);
    let begun = begin_first(&holding, all, holding.tree.as_deref());
    let ((init, namespaces), copied) = match (begun, &holding.tree) {
        (Err((scene::OVERLAY, _)), Some(tree)) => {
            copy(tree, &disk).map_err(failed("copy the tree"))?;
            (begin_first(&holding, all, None)?, true)
        }
        (begun, tree) => (begun?, tree.is_none()),
    };
    let Holding {
        control,
        owner,
        lock,
        folder,
        full_root,
        kept,
        ..
    } = holding;
    let message = [DONE, all, u8::from(copied)];
    passing::send(&control, &message, &[]).map_err(failed("say that all is ready"))?;
    Ok(Holder {
        control,
        owner,
        _lock: lock,
        folder,
        full_root,
        kept,
        all,
        #[cfg(target_pointer_width = "64")]
        filter: holding.filter,
        init,
        namespaces,
        visitors: Vec::new(),
    })
}

/// An instance's first process, and its namespaces.
type Begun = (Process, Vec<OwnedFd>);

/// Begins the instance's first process over the tree at `tree`, or over the instance's copy, and
/// waits until it is ready.
fn begin_first(holding: &Holding, all: u8, tree: Option<&Path>) -> Result<Begun, Failure> {
    let failed = |doing| move |error: io::Error| (doing, error);
    let detached = |doing, path: &Path| {
        scene::detached(path, false).map_err(|error| (doing, io::Error::from(error)))
    };
    let (ours, theirs) = passing::messages().map_err(failed("make a socket"))?;
    let beginning = Beginning {
        layers: Layers {
            lower: tree
                .map(|tree| detached("open the tree", tree))
                .transpose()?,
            own: detached("open the instance's disk", &holding.folder.join("disk"))?,
            volatile: !holding.kept,
        },
        hostname: holding.hostname.clone(),
        orders: holding
            .orders
            .try_clone()
            .map_err(failed("share a socket"))?,
        holder: theirs,
        machine: holding.machine,
        emulator: holding.emulator.clone(),
        #[cfg(target_pointer_width = "64")]
        filter: holding.filter.clone(),
    };
    let users = if holding.full_root {
        libc::CLONE_NEWUSER
    } else {
        0
    };
    // What it begins with is dropped here when the closure is: only the child holds it then.
    let init = Process::clone_into(NAMESPACES | users, move || first::main(beginning));
    let init = init.map_err(failed("clone"))?;
    if holding.full_root {
        id_map::give_as_root(init.pid()).map_err(failed("map ids"))?;
    }
    let namespaces = visitor::namespaces(init.pid(), holding.full_root);
    let namespaces = namespaces.map_err(failed("open the instance's namespaces"))?;
    passing::send(&ours, &[all], &[]).map_err(failed("begin the first process"))?;
    match passing::receive(&ours).map_err(failed("begin the first process"))? {
        Some((message, _)) if message == [0] => Ok((init, namespaces)),
        Some((message, _)) => {
            let mut rest = message.get(1..).unwrap_or_default();
            let doing = wire::text(&mut rest).unwrap_or_default();
            let error = wire::io_error(&mut rest).unwrap_or_else(|error| error);
            Err((known(&doing), error))
        }
        None => {
            let died = io::Error::other("it was killed");
            Err(("begin the first process", died))
        }
    }
}

/// Removes the sign of an overlay that was mounted to last no longer than the machine, and which
/// therefore no overlay may use again: the machine has lasted, or the instance was to be kept and
/// what is there of it is all there is.
fn forget_volatile(disk: &Path) {
    let work = store::open_folder(&disk.join(WORK).join("work"));
    if let Ok(work) = work {
        let _ = remove::remove(work.as_fd(), b"incompat");
    }
}

/// Has what was written outlast the machine, which an overlay that was not meant to has not seen
/// to.
fn settle(disk: &Path) {
    if let Ok(folder) = store::open_folder(disk) {
        let _ = rustix::fs::syncfs(folder);
    }
    forget_volatile(disk);
}

/// Gives the instance a copy of the tree, where there is no overlay.
fn copy(tree: &Path, disk: &Path) -> io::Result<()> {
    let (tree, disk) = (store::open_folder(tree)?, store::open_folder(disk)?);
    rustix::fs::mkdirat(&disk, COPY, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let copied = rustix::fs::openat(&disk, COPY, flags, Mode::empty())?;
    copy_tree::copy(tree.as_fd(), copied.as_fd())
}

/// Returns a step of the first process by its text, which comes over a connection.
fn known(doing: &str) -> &'static str {
    if doing == scene::OVERLAY {
        return scene::OVERLAY;
    }
    String::leak(doing.to_owned())
}

/// Has a broken pipe be an error, in this process and those it begins. A program has it otherwise
/// again.
#[expect(unsafe_code, reason = "signal")]
fn ignore_broken_pipes() {
    // SAFETY: to ignore a signal runs nothing.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Has the kernel keep half of the machine's processes out of the reach of an instance, whatever
/// users it has: a user namespace is bound as a whole by the limit that its maker has at that
/// moment (`set_userns_rlimit_max`, since Linux 5.14).
fn limit_processes() {
    let number = |path: &str| {
        let text = fs_err::read_to_string(path).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let pids = number("/proc/sys/kernel/pid_max").unwrap_or(1 << 15);
    let threads = number("/proc/sys/kernel/threads-max").unwrap_or(u64::MAX);
    let half = pids.min(threads) / 2;
    let now = getrlimit(Resource::Nproc);
    let _ = setrlimit(
        Resource::Nproc,
        Rlimit {
            current: Some(now.current.map_or(half, |limit| limit.min(half))),
            maximum: now.maximum,
        },
    );
}

#[derive(Debug)]
struct Holder {
    control: OwnedFd,
    owner: OwnedFd,
    _lock: OwnedFd,
    folder: PathBuf,
    full_root: bool,
    kept: bool,
    all: u8,
    #[cfg(target_pointer_width = "64")]
    filter: Option<Filter>,
    init: Process,
    namespaces: Vec<OwnedFd>,
    /// Those that have gone into the instance from outside.
    visitors: Vec<Process>,
}

impl Holder {
    fn serve(mut self) -> i32 {
        loop {
            let mut fds = vec![
                PollFd::new(&self.control, PollFlags::IN),
                PollFd::new(&self.owner, PollFlags::IN),
            ];
            let visitors = self.visitors.iter();
            fds.extend(visitors.map(|visitor| PollFd::new(visitor, PollFlags::IN)));
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return self.end(!self.kept),
            }
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let (asked, died) = (ready.next() == Some(true), ready.next() == Some(true));
            let gone: Vec<bool> = ready.collect();
            let mut gone = gone.into_iter();
            // One that has ended is reaped when it is dropped.
            self.visitors.retain(|_| gone.next() != Some(true));
            if asked {
                match passing::receive(&self.control) {
                    Ok(Some((message, fds))) => {
                        let (kind, rest) = message.split_first().unwrap_or((&STOP, &[]));
                        match *kind {
                            STOP => return self.end(false),
                            REMOVE => return self.end(true),
                            KEEP => self.kept = true,
                            SHARE => self.share(rest, false),
                            SHARE_READ_ONLY => self.share(rest, true),
                            VISIT => self.visit(fds),
                            _ => {}
                        }
                        continue;
                    }
                    Ok(None) | Err(_) => return self.end(!self.kept),
                }
            }
            if died {
                return self.end(!self.kept);
            }
        }
    }

    /// Ends all that runs in the instance, and if asked to takes its files away.
    fn end(&mut self, remove: bool) -> i32 {
        self.init.kill();
        self.init.wait();
        self.visitors.clear();
        super::groups::remove_of(&self.folder);
        let disk = self.folder.join("disk");
        if !remove {
            if self.kept {
                settle(&disk);
            }
            return 0;
        }
        let removed = store::open_folder(&disk).and_then(|disk| {
            for name in [UPPER, WORK, COPY] {
                remove::remove(disk.as_fd(), name.as_bytes())?;
            }
            Ok(())
        });
        let removed = removed.and_then(|()| store::remove_rest(&self.folder));
        i32::from(removed.is_err())
    }

    /// Begins what serves a request in the instance, with the host's network.
    fn visit(&mut self, fds: Vec<OwnedFd>) {
        let Some(socket) = fds.into_iter().next() else {
            return;
        };
        let (namespaces, all) = (&self.namespaces, self.all);
        #[cfg(target_pointer_width = "64")]
        let filter = self.filter.clone();
        let visitor = Process::clone_into(0, move || {
            visitor::main(Visit {
                socket,
                namespaces,
                all: all == ALL_IDS,
                #[cfg(target_pointer_width = "64")]
                filter,
            })
        });
        // Without a process for it the connection ends, and the other end sees it.
        self.visitors.extend(visitor.ok());
    }

    /// Hands out a copy of the mount at a path of the host.
    fn share(&self, path: &[u8], read_only: bool) {
        use std::os::unix::ffi::OsStrExt as _;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        // An ordinary user's instance has that user for its root: there is nothing to tell apart.
        let users = format!("/proc/{}/ns/user", self.init.pid().as_raw_pid());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let users = rustix::fs::open(users, flags, Mode::empty());
        let users = users.ok().filter(|_| self.full_root);
        let shared = scene::shared(path, read_only, users.as_ref().map(|users| users.as_fd()));
        let said = match shared {
            Ok(tree) => passing::send(&self.control, &[DONE], &[tree.as_fd()]),
            Err(error) => {
                let mut message = vec![FAILED];
                let put = wire::put_io_error(&mut message, &error);
                put.and_then(|()| passing::send(&self.control, &message, &[]))
            }
        };
        // Nobody to tell is seen by who serves.
        let _ = said;
    }
}
