//! Tries what instances take, in a process that leaves nothing.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, Mode};
use rustix::mount::{MountAttrFlags, MoveMountFlags, move_mount};

use super::holder::NAMESPACES;
use super::scene;
use crate::linux::process::Process;
use crate::linux::{guest_root, passing, wire};

/// What was found: what the kernel says where it refuses.
#[derive(Debug)]
pub(super) struct Found {
    /// Whether all ids are there, or root's alone.
    pub(super) all: bool,
    pub(super) others: Option<io::Error>,
    pub(super) proc: Option<io::Error>,
    pub(super) overlay: Option<io::Error>,
}

/// Tries; the error is that of the user namespace.
pub(super) fn run() -> io::Result<Found> {
    let (mut child, connection, all) = guest_root::run(|parent| {
        let (others, proc) = others();
        let mut message = vec![0];
        for result in [others, proc, overlay()] {
            let put = match result {
                Ok(()) => wire::put_number(&mut message, 0),
                Err(error) => {
                    let number = error.raw_os_error().unwrap_or(libc::EIO);
                    wire::put_number(&mut message, number as u64)
                }
            };
            if put.is_err() {
                return 1;
            }
        }
        i32::from(passing::send(parent, &message, &[]).is_err())
    })?;
    let message = passing::receive(&connection)?;
    child.wait();
    let (message, _) = message.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut rest = message.get(1..).unwrap_or_default();
    let mut next = || -> io::Result<Option<io::Error>> {
        let number = wire::number(&mut rest)? as i32;
        Ok((number != 0).then(|| io::Error::from_raw_os_error(number)))
    };
    Ok(Found {
        all,
        others: next()?,
        proc: next()?,
        overlay: next()?,
    })
}

/// Tries the other namespaces, and a `/proc` in them.
fn others() -> (io::Result<()>, io::Result<()>) {
    let child = Process::clone_into(NAMESPACES, || match scene::try_proc() {
        Ok(()) => 0,
        Err(error) => error.raw_os_error(),
    });
    match child {
        Err(error) => (Err(error), Ok(())),
        Ok(mut child) => {
            use crate::linux::process::Ended;
            let proc = match child.wait() {
                Some(Ended::Exited(0)) => Ok(()),
                Some(Ended::Exited(number)) => Err(io::Error::from_raw_os_error(number)),
                _ => Err(io::Error::from_raw_os_error(libc::EIO)),
            };
            (Ok(()), proc)
        }
    }
}

/// Tries an overlay on a `tmpfs`, in this process's own mount namespace.
fn overlay() -> io::Result<()> {
    let at = Path::new("/dev");
    let stage = scene::new("tmpfs", &[], MountAttrFlags::empty())?;
    move_mount(&stage, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    for name in ["lower", "upper", "work"] {
        rustix::fs::mkdir(at.join(name), Mode::from(0o755))?;
    }
    let options = [
        ("lowerdir", "/dev/lower"),
        ("upperdir", "/dev/upper"),
        ("workdir", "/dev/work"),
        ("userxattr", ""),
    ];
    scene::new("overlay", &options, MountAttrFlags::empty())?;
    Ok(())
}
