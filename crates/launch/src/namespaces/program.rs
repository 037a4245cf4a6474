//! How a process becomes a program: its user, its rights, its limits, its streams.

#![expect(unsafe_code, reason = "execve")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};
use rustix::pty::OpenptFlags;
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::request::{self, DONE, GO, Program, Refusal, WAITS};
use super::share;
use super::supervisor::Inside;
use super::user::{self, User};
use crate::command::Command;
use crate::linux::interpreter::why_not_run;
use crate::linux::process::{self, Process};
use crate::linux::{confine, descriptors, passing, usage};
use crate::sandbox::NotRun;

/// Where programs are looked for, unless the environment says otherwise.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file creation mask of a program.
const MASK: u32 = 0o022;

/// How many files a program may have open, unless the host allows less: what it has if it asks for
/// no more, and what it may raise that to.
const OPEN_FILES: (u64, u64) = (1024, 1 << 19);

/// How many more processes than the usual limit the kernel lets a user have: others of the instance
/// count with them, and what is over the limit is to be seen and ended. Who sets a limit gets that
/// very one, on top of those that are there.
const MORE_PROCESSES: u64 = 256;

/// What a process is about to become.
struct Becoming {
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    user: User,
    folder: Option<CString>,
    streams: [OwnedFd; 3],
    /// Its end of the terminal, if it is to have one.
    terminal: bool,
    waits: bool,
    /// How many processes the kernel lets the user have.
    processes: u64,
}

/// Where it failed to become a program.
#[derive(Clone, Copy)]
enum Step {
    Prepare,
    Folder,
    User,
    Run,
}

/// Begins the program, and tells the other end of `socket` so.
pub(super) fn begin(
    socket: &OwnedFd,
    inside: &Inside,
    program: Program,
    fds: Vec<OwnedFd>,
) -> Result<Process, Refusal> {
    let fail = |doing: &str, error: io::Error| Refusal::Failed(doing.to_owned(), error);
    let mut fds = fds.into_iter();
    let user = find_user(&program, inside)?;
    let (streams, terminal) = if program.terminal {
        let (ours, theirs) =
            open_terminal(&user).map_err(|error| fail("open a terminal", error))?;
        (three(theirs), Some(ours))
    } else {
        let streams = (fds.next(), fds.next(), fds.next());
        let (Some(input), Some(output), Some(errors)) = streams else {
            return Err(fail("take the streams", io::ErrorKind::InvalidData.into()));
        };
        (Ok([input, output, errors]), None)
    };
    let streams = streams.map_err(|error| fail("take the streams", error))?;
    share::show(&program, fds)?;
    let becoming = prepare(&program, user, streams, inside)?;
    let (status, say) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| fail("make a pipe", error.into()))?;
    let mut child = Process::clone_into(0, || {
        let (step, candidate, error) = becoming.become_program(inside, socket.as_fd());
        let number = error.raw_os_error().unwrap_or(libc::EIO);
        let said = [step as i32, candidate as i32, number];
        let said: Vec<u8> = said.into_iter().flat_map(i32::to_ne_bytes).collect();
        let _ = rustix::io::write(&say, &said);
        127
    })
    .map_err(|error| fail("begin a process", error))?;
    drop(say);
    let mut said = [0; 12];
    // At its end as soon as the program has begun.
    if matches!(rustix::io::read(&status, &mut said), Ok(12)) {
        child.wait();
        return Err(becoming.refusal(&program, said));
    }
    let answered = match &terminal {
        Some(terminal) => passing::send(socket, &[DONE], &[terminal.as_fd()]),
        None => request::answer(socket, DONE, |_| Ok(())),
    };
    // Nobody to tell is seen by who watches.
    let _ = answered;
    Ok(child)
}

fn three(fd: OwnedFd) -> io::Result<[OwnedFd; 3]> {
    Ok([fd.try_clone()?, fd.try_clone()?, fd])
}

fn find_user(program: &Program, inside: &Inside) -> Result<User, Refusal> {
    let asked = program.user.as_deref();
    let Some(user) = user::find(asked) else {
        return Err(Refusal::InGuest(
            "find the user".to_owned(),
            asked.unwrap_or_default().as_bytes().to_vec(),
            io::ErrorKind::NotFound.into(),
        ));
    };
    if !inside.all && (user.uid, user.gid) != (0, 0) {
        return Err(Refusal::Unsupported(
            format!("the user {}", asked.unwrap_or_default()),
            "this user of the host has one id to give, which is root's inside; install `uidmap` \
             (or `shadow-uidmap`) and have ranges in /etc/subuid and /etc/subgid"
                .to_owned(),
        ));
    }
    Ok(user)
}

/// Opens a terminal of the instance's own: the end that is the host's, and the program's.
fn open_terminal(user: &User) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let ours = rustix::fs::open("/dev/ptmx", flags, Mode::empty())?;
    rustix::pty::unlockpt(&ours)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
    if user.uid != 0 {
        rustix::fs::fchown(&theirs, Some(Uid::from_raw(user.uid)), None)?;
    }
    Ok((ours, theirs))
}

fn prepare(
    program: &Program,
    user: User,
    streams: [OwnedFd; 3],
    inside: &Inside,
) -> Result<Becoming, Refusal> {
    let text = |bytes: Vec<u8>| {
        CString::new(bytes).map_err(|error| Refusal::NotRun(NotRun::Other(error.into())))
    };
    let environment = environment(program, &user);
    let path = environment.iter().find(|(name, _)| name == b"PATH");
    let path = path.map_or(PATH, |(_, path)| path);
    let candidates = if program.path.contains(&b'/') {
        vec![program.path.clone()]
    } else {
        let folders = path.split(|byte| *byte == b':');
        let folders = folders.filter(|folder| !folder.is_empty());
        folders
            .map(|folder| [folder, b"/", &program.path].concat())
            .collect()
    };
    let more = if program.processes.0 == u64::from(Command::PROCESSES) {
        MORE_PROCESSES
    } else {
        usage::of_namespace(inside.proc.as_fd()).threads + 1
    };
    let mut arguments = vec![program.path.clone()];
    arguments.extend(program.arguments.iter().cloned());
    let variable = |(name, value): (Vec<u8>, Vec<u8>)| text([&name[..], b"=", &value].concat());
    Ok(Becoming {
        candidates: candidates.into_iter().map(text).collect::<Result<_, _>>()?,
        arguments: arguments.into_iter().map(text).collect::<Result<_, _>>()?,
        environment: environment
            .clone()
            .into_iter()
            .map(variable)
            .collect::<Result<_, _>>()?,
        folder: program.folder.clone().map(text).transpose()?,
        user,
        streams,
        terminal: program.terminal,
        waits: program.waits,
        processes: program.processes.0.saturating_add(more),
    })
}

/// Returns the variables that a program of this user has, each once.
fn environment(program: &Program, user: &User) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut set = |name: &[u8], value: Option<&[u8]>| {
        all.retain(|(other, _)| other != name);
        if let Some(value) = value {
            all.push((name.to_vec(), value.to_vec()));
        }
    };
    if !program.bare {
        set(b"PATH", Some(PATH));
        set(b"HOME", Some(&user.home));
        set(b"SHELL", Some(&user.shell));
        for name in [b"USER".as_slice(), b"LOGNAME"] {
            set(name, Some(&user.name[..]).filter(|name| !name.is_empty()));
        }
        for (name, value) in &program.base {
            set(name, Some(value));
        }
    }
    for (name, value) in &program.environment {
        set(name, value.as_deref());
    }
    all
}

impl Becoming {
    /// Becomes the program. Returns only if that is not to be: where it failed, with which of the
    /// candidates, and why.
    fn become_program(&self, inside: &Inside, socket: BorrowedFd<'_>) -> (Step, usize, io::Error) {
        if let Err(error) = self.prepare(socket) {
            return (Step::Prepare, 0, error);
        }
        if let Err(error) = self.take_user() {
            return (Step::User, 0, error);
        }
        let folder = self.folder.as_deref().unwrap_or(c"/");
        if let Err(error) = rustix::process::chdir(folder) {
            return (Step::Folder, 0, error.into());
        }
        if let Err(error) = self.confine(inside) {
            return (Step::Prepare, 0, error);
        }
        let arguments = pointers(&self.arguments);
        let environment = pointers(&self.environment);
        let mut why = (Step::Run, 0, io::Error::from_raw_os_error(libc::ENOENT));
        for (index, candidate) in self.candidates.iter().enumerate() {
            // SAFETY: both arrays end with a null pointer, and all strings outlive the call.
            unsafe {
                libc::execve(candidate.as_ptr(), arguments.as_ptr(), environment.as_ptr());
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {
                    // One that is there lacks its interpreter.
                    if rustix::fs::access(candidate, rustix::fs::Access::EXISTS).is_ok() {
                        return (Step::Run, index, error);
                    }
                }
                // Another one of that name may be for this user.
                Some(libc::EACCES) => why = (Step::Run, index, error),
                _ => return (Step::Run, index, error),
            }
        }
        why
    }

    fn prepare(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        setsid()?;
        let [input, output, errors] = &self.streams;
        descriptors::become_streams([input.as_fd(), output.as_fd(), errors.as_fd()])?;
        if self.terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        if self.waits {
            // The kernel tells the other end which process this is.
            passing::send(socket, &[WAITS], &[])?;
            match passing::receive_byte(socket)? {
                Some((GO, _)) => {}
                _ => return Err(io::ErrorKind::Interrupted.into()),
            }
        }
        rustix::process::umask(Mode::from_raw_mode(MASK));
        let (usual, most) = OPEN_FILES;
        limit(Resource::Nproc, self.processes, self.processes)?;
        limit(Resource::Nofile, usual, most)?;
        limit(Resource::Core, 0, u64::MAX)?;
        confine::leave_bounds(confine::INSTANCE)
    }

    fn take_user(&self) -> io::Result<()> {
        let User {
            uid, gid, groups, ..
        } = &self.user;
        let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
        match set_thread_groups(&groups) {
            Ok(()) => {}
            // Where the user has one id only, nobody may set groups.
            Err(rustix::io::Errno::PERM | rustix::io::Errno::INVAL) if *uid == 0 => {}
            Err(error) => return Err(error.into()),
        }
        let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
        set_thread_res_gid(gid, gid, gid)?;
        Ok(set_thread_res_uid(uid, uid, uid)?)
    }

    fn confine(&self, inside: &Inside) -> io::Result<()> {
        let kept = if self.user.uid == 0 {
            confine::INSTANCE
        } else {
            rustix::thread::CapabilitySet::empty()
        };
        confine::limit_rights(kept)?;
        #[cfg(target_pointer_width = "64")]
        if let Some(filter) = &inside.filter {
            filter.install()?;
        }
        // Nothing of this program's is the new one's, and the new one begins with all signals.
        process::default_signals();
        Ok(())
    }

    /// Turns what the process said into what the caller is told.
    fn refusal(&self, program: &Program, said: [u8; 12]) -> Refusal {
        let number = |at: usize| {
            let bytes = said.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            i32::from_ne_bytes(bytes.unwrap_or_default())
        };
        let error = io::Error::from_raw_os_error(number(8));
        let is = |step: Step| number(0) == step as i32;
        if is(Step::Run) {
            let candidate = self.candidates.get(number(4) as usize);
            let candidate = candidate.map_or(c"", CString::as_c_str);
            return Refusal::NotRun(why_not_run(CWD, candidate.to_bytes(), error));
        }
        if is(Step::Folder) {
            let folder = program.folder.clone().unwrap_or_else(|| b"/".to_vec());
            return Refusal::InGuest("enter the directory".to_owned(), folder, error);
        }
        if is(Step::User) {
            let user = program.user.clone().unwrap_or_default();
            return Refusal::InGuest("become the user".to_owned(), user.into_bytes(), error);
        }
        Refusal::Failed("confine a program".to_owned(), error)
    }
}

/// Sets a limit, and no more than what the host allows.
fn limit(resource: Resource, usual: u64, most: u64) -> io::Result<()> {
    let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let bound = |limit: u64| Some(limit.min(allowed)).filter(|limit| *limit != u64::MAX);
    Ok(setrlimit(
        resource,
        Rlimit {
            current: bound(usual),
            maximum: bound(most),
        },
    )?)
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = strings.iter().map(|text| CStr::as_ptr(text));
    pointers.chain([std::ptr::null()]).collect()
}
