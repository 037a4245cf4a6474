//! A script that is in the tree while it runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use prebake_apk::path::GuestPath;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, statat, unlinkat, utimensat};
use rustix::io::Errno;

use super::agent::Agent;
use super::call::Script;
use super::census::open_directory;
use super::error::SandboxError;
use super::unpack::stamps;

/// A script in its place.
#[derive(Debug)]
pub(super) struct Placed {
    path: GuestPath,
    inode: u64,
    /// Directories that were made for it, the uppermost first.
    made: Vec<GuestPath>,
    /// The directory that was there, with the time it had before and has now.
    folder: GuestPath,
    times: [(i64, i64); 2],
}

impl Placed {
    pub(super) fn place(agent: &Agent, script: &Script) -> Result<Self, SandboxError> {
        Self::try_place(agent, script).map_err(|source| SandboxError::Script {
            path: script.path.clone(),
            source,
        })
    }

    fn try_place(agent: &Agent, script: &Script) -> io::Result<Self> {
        let root = agent.root.as_fd();
        let mut made = Vec::new();
        let mut folder = script.path.parent().ok_or(Errno::ISDIR)?;
        while let Err(error) = open_directory(root, folder.as_bytes()) {
            if error != Errno::NOENT {
                return Err(error.into());
            }
            made.insert(0, folder.clone());
            folder = folder.parent().ok_or(Errno::NOENT)?;
        }
        let before = time_of(&open_directory(root, folder.as_bytes())?)?;
        for path in &made {
            mkdirat(root, path.as_bytes(), Mode::from(0o755))?;
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(root, script.path.as_bytes(), flags, Mode::from(0o755))?;
        let inode = rustix::fs::fstat(&file)?.st_ino;
        io::Write::write_all(&mut std::fs::File::from(file), &script.content)?;
        let after = time_of(&open_directory(root, folder.as_bytes())?)?;
        Ok(Self {
            path: script.path.clone(),
            inode,
            made,
            folder,
            times: [before, after],
        })
    }

    /// Takes the script away, as if it had never been there. What the program did to it itself
    /// stays done.
    pub(super) fn remove(self, agent: &Agent) -> Result<(), SandboxError> {
        self.try_remove(agent)
            .map_err(|source| SandboxError::Kernel {
                doing: "take a script away".to_owned(),
                source,
            })
    }

    fn try_remove(&self, agent: &Agent) -> io::Result<()> {
        let root = agent.root.as_fd();
        let folder = match open_directory(root, self.folder.as_bytes()) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let [before, after] = self.times;
        let untouched = time_of(&folder)? == after;
        let (parent, name) = (self.path.parent().unwrap_or_default(), self.path.name());
        if let (Ok(parent), Some(name)) = (open_directory(root, parent.as_bytes()), name) {
            let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| stat.st_ino == self.inode) {
                unlinkat(&parent, name, AtFlags::empty())?;
            }
        }
        for path in self.made.iter().rev() {
            // Something may be in it now: then it stays, as it would have to.
            let _ = unlinkat(root, path.as_bytes(), AtFlags::REMOVEDIR);
        }
        if untouched {
            let times = stamps(before.0, before.1);
            utimensat(
                root,
                relative(&self.folder),
                &times,
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
        Ok(())
    }
}

fn relative(path: &GuestPath) -> &[u8] {
    match path.as_bytes() {
        b"" => b".",
        bytes => bytes,
    }
}

fn time_of(folder: &OwnedFd) -> io::Result<(i64, i64)> {
    let stat = rustix::fs::fstat(folder)?;
    Ok((stat.st_mtime as i64, stat.st_mtime_nsec as i64))
}
