//! The process that holds an instance that runs: outside of it, so that nothing in it can be in
//! its way, and apart from the program that has it, so that it outlives that and can clean up.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid, umask};

use super::first::{self, Beginning};
use super::scene::{self, COPY, Layers, UPPER, WORK};
use super::store;
#[cfg(target_pointer_width = "64")]
use crate::linux::filter::Filter;
use crate::linux::guest_root::ALL_IDS;
use crate::linux::process::Process;
use crate::linux::stage::Failure;
use crate::linux::{descriptors, guest_root, id_map, passing, remove, wire};

/// The namespaces that an instance has of its own, beside that of users.
const NAMESPACES: i32 = libc::CLONE_NEWPID
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

/// What it says: that it is done, or why not.
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
    let control = match holding.control.try_clone() {
        Ok(control) => control,
        Err(_) => return Err(1),
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
        guest_root::become_root(&holding.control).map_err(failed("make namespaces"))?
    };
    let detached = |doing, path: &std::path::Path| {
        scene::detached(path, false).map_err(|error| (doing, io::Error::from(error)))
    };
    let lower = match &holding.tree {
        Some(tree) => Some(detached("open the tree", tree)?),
        None => None,
    };
    let disk = holding.folder.join("disk");
    let layers = Layers {
        lower,
        own: detached("open the instance's disk", &disk)?,
        volatile: !holding.kept,
    };
    let (ours, theirs) = passing::messages().map_err(failed("make a socket"))?;
    let Holding {
        control,
        orders,
        owner,
        lock,
        folder,
        hostname,
        full_root,
        kept,
        ..
    } = holding;
    let beginning = Beginning {
        layers,
        hostname,
        orders,
        holder: theirs,
        #[cfg(target_pointer_width = "64")]
        filter: holding.filter,
    };
    let users = if full_root { libc::CLONE_NEWUSER } else { 0 };
    // What it begins with is dropped here when the closure is: only the child holds it then.
    let init = Process::clone_into(NAMESPACES | users, move || first::main(beginning));
    let init = init.map_err(failed("clone"))?;
    if full_root {
        id_map::give_as_root(init.pid()).map_err(failed("map ids"))?;
    }
    passing::send(&ours, &[all], &[]).map_err(failed("begin the first process"))?;
    match passing::receive(&ours).map_err(failed("begin the first process"))? {
        Some((message, _)) if message == [0] => {}
        Some((message, _)) => {
            let mut rest = message.get(1..).unwrap_or_default();
            let doing = wire::text(&mut rest).unwrap_or_default();
            let error = wire::io_error(&mut rest).unwrap_or_else(|error| error);
            return Err((known(&doing), error));
        }
        None => {
            let died = io::Error::other("it was killed");
            return Err(("begin the first process", died));
        }
    }
    passing::send(&control, &[DONE, all], &[]).map_err(failed("say that all is ready"))?;
    Ok(Holder {
        control,
        owner,
        _lock: lock,
        folder,
        full_root,
        kept,
        init,
    })
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
    init: Process,
}

impl Holder {
    fn serve(mut self) -> i32 {
        loop {
            let mut fds = [
                PollFd::new(&self.control, PollFlags::IN),
                PollFd::new(&self.owner, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return self.end(!self.kept),
            }
            let [asked, died] = fds.map(|fd| !fd.revents().is_empty());
            if asked {
                match passing::receive(&self.control) {
                    Ok(Some((message, _))) => {
                        let (kind, rest) = message.split_first().unwrap_or((&STOP, &[]));
                        match *kind {
                            STOP => return self.end(false),
                            REMOVE => return self.end(true),
                            KEEP => self.kept = true,
                            SHARE => self.share(rest, false),
                            SHARE_READ_ONLY => self.share(rest, true),
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
        if !remove {
            return 0;
        }
        let disk = self.folder.join("disk");
        let removed = store::open_folder(&disk).and_then(|disk| {
            for name in [UPPER, WORK, COPY] {
                remove::remove(disk.as_fd(), name.as_bytes())?;
            }
            Ok(())
        });
        super::groups::remove_of(&disk);
        let removed = removed.and_then(|()| store::remove_rest(&self.folder));
        debug_assert!(self.full_root || rustix::process::geteuid().is_root());
        i32::from(removed.is_err())
    }

    /// Hands out a copy of the mount at a path of the host.
    fn share(&self, path: &[u8], read_only: bool) {
        use std::os::unix::ffi::OsStrExt as _;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        let shared = scene::shared(path, read_only);
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
