//! The folder with all that this backend keeps on the host: unpacked trees and instances.
//!
//! ```text
//! trees/IDENTITY/root        a rootfs, unpacked whole and synced; `new` while it is being made
//! instances/NAME/lock        locked while a process has the instance; its number is in it
//! instances/NAME/state       what is written down of it
//! instances/NAME/disk/       what its overlay keeps, which belongs to the instance's root
//! ```
//!
//! Locks are the kernel's (`flock`) and end with the processes that hold them. What is there and
//! not locked is left over, unless it is to be kept. `instances` itself is locked for the moment in
//! which an instance comes or is found to be left over.

use std::fs::Permissions;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use prebake_apk::digest::Sha256;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use super::scene::{COPY, UPPER, WORK};
use super::tree::ROOT;
use crate::launch_error::LaunchError;
use crate::linux::{guest_root, id_map, remove};
use crate::name::Name;

/// The most that is read of a file of ours, in bytes.
const MOST: u64 = 64 << 10;

/// The folder, and how its files are reached.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// Whether this process is root, and instances have ids of their own.
    pub(super) full_root: bool,
}

/// What is written down of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) identity: Sha256,
    pub(super) kept: bool,
    /// Whether it has a copy of the tree, and no overlay.
    pub(super) copied: bool,
    /// The architecture of its programs, by Alpine's name for it.
    pub(super) arch: String,
}

pub(super) fn host(doing: &str, path: &Path, source: io::Error) -> LaunchError {
    LaunchError::HostPath {
        doing: doing.to_owned(),
        path: path.to_owned(),
        source,
    }
}

/// A lock that this process has. It ends when this is dropped, and not only when every process
/// that was forked meanwhile has closed its copy of the descriptor.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of `file`, or returns `None` if somebody has it.
    fn try_take(file: File) -> io::Result<Option<Self>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns another descriptor of the lock, for a process that is to hold it too.
    pub(super) fn share(&self) -> io::Result<OwnedFd> {
        self.0.file().as_fd().try_clone_to_owned()
    }

    /// Writes into it that this process has it.
    pub(super) fn sign(&self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let text = format!("{:<10}\n", std::process::id());
        self.0.file().write_all_at(text.as_bytes(), 0)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            full_root: id_map::is_full_root(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn trees(&self) -> PathBuf {
        self.folder.join("trees")
    }

    pub(super) fn instances(&self) -> PathBuf {
        self.folder.join("instances")
    }

    pub(super) fn instance(&self, name: &Name) -> PathBuf {
        self.instances().join(name.as_str())
    }

    /// Makes what is not there. Nobody but the owner has any business in it: there are programs
    /// with set-id bits in a tree.
    pub(super) fn make(&self) -> Result<(), LaunchError> {
        for folder in [self.trees(), self.instances()] {
            if !folder.is_dir() {
                private_folder(&folder).map_err(|error| host("make the folder", &folder, error))?;
            }
        }
        Ok(())
    }

    /// Makes the instance's folder and locks it.
    pub(super) fn create(
        &self,
        name: &Name,
        state: &State,
        tree: &Path,
    ) -> Result<Lock, LaunchError> {
        let path = self.instance(name);
        let fail = |error| host("make the instance", &path, error);
        let all = lock_folder(&self.instances()).map_err(fail)?;
        if path.exists() {
            let taken = || LaunchError::NameTaken { name: name.clone() };
            // Left over since this process began: nobody has it.
            let lock = match self.left_over(name) {
                Ok(Some(lock)) => lock,
                Ok(None) => return Err(taken()),
                Err(error) => return Err(fail(error)),
            };
            self.remove(name)?;
            drop(lock);
        }
        fs_err::create_dir(&path).map_err(fail)?;
        let made = self.fill(&path, state, tree);
        drop(all);
        made.map_err(|error| {
            // What is left of it is found by the next start.
            let _ = self.remove(name);
            fail(error)
        })
    }

    fn fill(&self, path: &Path, state: &State, tree: &Path) -> io::Result<Lock> {
        fs_err::set_permissions(path, Permissions::from_mode(0o700))?;
        let lock = Lock::try_take(open_lock(path)?)?;
        let lock = lock.ok_or(io::ErrorKind::WouldBlock)?;
        write_state(path, state, false)?;
        let disk = path.join("disk");
        // The instance's root directory is what the upper layer's is.
        let root = fs_err::metadata(tree)?;
        for (folder, mode) in [
            (disk.clone(), 0o700),
            (disk.join(UPPER), root.mode() & 0o7777),
            (disk.join(WORK), 0o700),
        ] {
            fs_err::create_dir(&folder)?;
            fs_err::set_permissions(&folder, Permissions::from_mode(mode))?;
            if self.full_root {
                let root = Some(id_map::ROOT_OUTSIDE);
                std::os::unix::fs::chown(&folder, root, root)?;
            }
        }
        // An overlay's root is its upper layer's: users other than root enter it too.
        let root = self.trees().join(state.identity.to_string()).join(ROOT);
        let permissions = fs_err::metadata(root)?.permissions();
        fs_err::set_permissions(disk.join(UPPER), permissions)?;
        Ok(lock)
    }

    /// Locks an instance that is there.
    pub(super) fn take(&self, name: &Name) -> Result<(Lock, State), LaunchError> {
        let path = self.instance(name);
        let fail = |error| host("open the instance", &path, error);
        let not_there = || LaunchError::NotThere { name: name.clone() };
        if !path.is_dir() {
            return Err(not_there());
        }
        let all = lock_folder(&self.instances()).map_err(fail)?;
        if !path.is_dir() {
            return Err(not_there());
        }
        let lock = open_lock(&path).and_then(Lock::try_take).map_err(fail)?;
        let lock = lock.ok_or_else(|| LaunchError::InUse {
            name: name.clone(),
            holder: holder(&path),
        })?;
        drop(all);
        let state = read_state(&path).filter(|state| state.kept);
        Ok((lock, state.ok_or_else(not_there)?))
    }

    /// Locks an instance that nobody has and nobody wants; `None` if somebody does.
    fn left_over(&self, name: &Name) -> io::Result<Option<Lock>> {
        let path = self.instance(name);
        let Some(lock) = Lock::try_take(open_lock(&path)?)? else {
            return Ok(None);
        };
        let kept = read_state(&path).is_some_and(|state| state.kept);
        Ok((!kept).then_some(lock))
    }

    /// Returns the names of all instances, in their order, and what is written down of each.
    pub(super) fn list(&self) -> Result<Vec<(Name, Option<State>)>, LaunchError> {
        let folder = self.instances();
        let fail = |error| host("list the instances in", &folder, error);
        let entries = match fs_err::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let Some(name) = name.to_str().and_then(|name| name.parse::<Name>().ok()) else {
                continue;
            };
            let state = read_state(&self.instance(&name));
            all.push((name, state));
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }

    /// Returns the process that has an instance, if one does.
    pub(super) fn holder_of(&self, name: &Name) -> Option<u32> {
        let path = self.instance(name);
        let lock = File::open(path.join("lock")).ok()?;
        // To ask is to lock for a moment, which whoever makes or takes one could take for theirs.
        let _all = lock_folder(&self.instances()).ok()?;
        match Lock::try_take(lock) {
            Ok(Some(_)) => None,
            _ => holder(&path),
        }
    }

    /// Removes what dead processes have left, and returns the names of the instances among it.
    pub(super) fn sweep(&self) -> Result<Vec<Name>, LaunchError> {
        let mut found = Vec::new();
        let listed = self.list()?;
        if !listed.is_empty() {
            let folder = self.instances();
            let all = lock_folder(&folder).map_err(|error| host("lock", &folder, error))?;
            for (name, _) in listed {
                if let Ok(Some(lock)) = self.left_over(&name) {
                    found.push((name, lock));
                }
            }
            drop(all);
        }
        for (name, _) in &found {
            self.remove(name)?;
        }
        self.sweep_trees();
        Ok(found.into_iter().map(|(name, _)| name).collect())
    }

    /// Removes trees that somebody began to unpack and did not end. One that cannot be removed is
    /// tried again by who unpacks it.
    fn sweep_trees(&self) {
        let Ok(entries) = fs_err::read_dir(self.trees()) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if !path.join("new").exists() {
                continue;
            }
            let Ok(folder) = File::open(&path) else {
                continue;
            };
            let Ok(Some(_lock)) = Lock::try_take(folder) else {
                continue;
            };
            if path.join("new").exists() {
                let _ = self.remove_in(&path, &[b"new"]);
                let _ = fs_err::remove_dir(&path);
            }
        }
    }

    /// Removes an instance's folder. Its lock is held by this process, and nothing runs in it.
    pub(super) fn remove(&self, name: &Name) -> Result<(), LaunchError> {
        let path = self.instance(name);
        let fail = |error| host("remove", &path, error);
        super::groups::remove_of(&path);
        if path.join("disk").exists() {
            let disk = path.join("disk");
            self.remove_in(&disk, &[UPPER.as_bytes(), WORK.as_bytes(), COPY.as_bytes()])
                .map_err(fail)?;
        }
        remove_rest(&path).map_err(fail)
    }

    /// Removes names of a folder that belong to an instance's ids.
    pub(super) fn remove_in(&self, folder: &Path, names: &[&[u8]]) -> io::Result<()> {
        let folder = open_folder(folder)?;
        let all = || -> io::Result<()> {
            for name in names {
                remove::remove(folder.as_fd(), name)?;
            }
            Ok(())
        };
        if self.full_root || all().is_ok() {
            return all();
        }
        // What belongs to the other ids that this user was given.
        let (mut child, ..) = guest_root::run(|_| match all() {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
        })?;
        match child.wait() {
            Some(crate::linux::process::Ended::Exited(0)) => Ok(()),
            Some(crate::linux::process::Ended::Exited(number)) => {
                Err(io::Error::from_raw_os_error(number))
            }
            _ => Err(io::Error::other("the process that should do it was killed")),
        }
    }
}

/// Removes what of an instance's folder is left when its disk is empty.
pub(super) fn remove_rest(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    gone(fs_err::remove_dir(path.join("disk")))?;
    for file in ["state", "state.new", super::groups::FILE, "lock"] {
        gone(fs_err::remove_file(path.join(file)))?;
    }
    gone(fs_err::remove_dir(path))
}

pub(super) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Makes a folder for its owner alone, and those above it for all to see.
fn private_folder(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs_err::create_dir_all(above)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Locks a folder until the returned value is dropped, and waits for that if need be.
pub(super) fn lock_folder(path: &Path) -> io::Result<Lock> {
    loop {
        let folder = File::open(path)?;
        match flock(&folder, FlockOperation::LockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        // Whoever had the lock may have removed it, and another one may be there by now.
        if fs_err::metadata(path).is_ok_and(|now| {
            folder
                .metadata()
                .is_ok_and(|this| (this.dev(), this.ino()) == (now.dev(), now.ino()))
        }) {
            return Ok(Lock(folder));
        }
        if !path.exists() {
            private_folder(path)?;
        }
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = fs_err::OpenOptions::new();

    let options = options.read(true).write(true).create(true).mode(0o600);
    options.open(path.join("lock"))
}

fn holder(path: &Path) -> Option<u32> {
    read_text(&path.join("lock"))?.trim().parse().ok()
}

fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

pub(super) fn read_state(path: &Path) -> Option<State> {
    let text = read_text(&path.join("state"))?;
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    Some(State {
        identity: value("identity")?.parse().ok()?,
        kept: value("kept") == Some("yes"),
        copied: value("copied") == Some("yes"),
        arch: value("arch")?.to_owned(),
    })
}

/// Writes down what an instance is, and if `lasting` so that it outlasts the machine.
pub(super) fn write_state(path: &Path, state: &State, lasting: bool) -> io::Result<()> {
    let said = |flag| if flag { "yes" } else { "no" };
    let text = format!(
        "identity={}\narch={}\nkept={}\ncopied={}\n",
        state.identity,
        state.arch,
        said(state.kept),
        said(state.copied)
    );
    let beside = path.join("state.new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    if lasting {
        file.sync_all()?;
    }
    fs_err::rename(beside, path.join("state"))?;
    if lasting {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}
