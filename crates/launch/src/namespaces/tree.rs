//! Unpacks a rootfs, once for all instances of its identity.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;
use prebake_apk::gzip;
use rustix::fs::{Mode, OFlags};
use sha2::Digest as _;

use super::store::{Store, host, lock_folder, open_folder};
use crate::driver::Progress;
use crate::launch_error::LaunchError;
use crate::linux::{guest_root, passing, wire};
use crate::rootfs::Rootfs;
use crate::sandbox::SandboxError;
use crate::sandbox::intended::Intentions;
use crate::sandbox::unpack::{Unpack, chain};

/// How much is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// How many bytes are unpacked between two words about it.
const TELL: u64 = 4 << 20;

/// What the process that unpacks says: how far it is, that it is done, what hinders it.
const AT: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

/// The name of a tree in its folder, and of one that is being made.
pub(super) const ROOT: &str = "root";
const NEW: &str = "new";

/// Returns where the tree of this identity is, if it is there.
pub(super) fn of(store: &Store, identity: &Sha256) -> PathBuf {
    store.trees().join(identity.to_string()).join(ROOT)
}

/// Returns where the tree of `rootfs` is, and unpacks it if it is not there.
pub(super) fn provide(
    store: &Store,
    rootfs: &Rootfs,
    progress: Progress<'_>,
) -> Result<PathBuf, LaunchError> {
    let folder = store.trees().join(rootfs.identity().to_string());
    let root = folder.join(ROOT);
    if root.is_dir() {
        return Ok(root);
    }
    let fail = |error| host("unpack to", &folder, error);
    fs_err::create_dir_all(&folder).map_err(fail)?;
    let _lock = lock_folder(&folder).map_err(fail)?;
    // Another import may have unpacked it while this one waited.
    if root.is_dir() {
        return Ok(root);
    }
    store.remove_in(&folder, &[NEW.as_bytes()]).map_err(fail)?;
    let made = make(store, rootfs, &folder, progress);
    if made.is_err() {
        let _ = store.remove_in(&folder, &[NEW.as_bytes()]);
        let _ = fs_err::remove_dir(&folder);
    }
    made.map(|()| root)
}

fn make(
    store: &Store,
    rootfs: &Rootfs,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<(), LaunchError> {
    let new = folder.join(NEW);
    let on_host = |error| host("unpack to", &new, error);
    let unpack = |source| LaunchError::Unpack {
        name: rootfs.name().to_owned(),
        source,
    };
    fs_err::create_dir(&new).map_err(on_host)?;
    if store.full_root {
        let root = Some(crate::linux::id_map::ROOT_OUTSIDE);
        std::os::unix::fs::chown(&new, root, root).map_err(on_host)?;
    }
    let tree = open_folder(&new).map_err(on_host)?;
    // Opened here, where its path means what the caller means.
    let archive = rootfs.open().map_err(unpack)?;
    let (mut child, connection, _) = guest_root::run(move |parent| {
        let result = unpack_into(&tree, archive, parent);
        let said = match result {
            Ok((identity, length)) => {
                let mut message = vec![DONE];
                message.extend_from_slice(identity.as_bytes());
                message.extend_from_slice(&length.to_ne_bytes());
                passing::send(parent, &message, &[])
            }
            Err(error) => {
                let mut message = vec![FAILED];
                let put = wire::put_io_error(&mut message, &error);
                put.and_then(|()| passing::send(parent, &message, &[]))
            }
        };
        i32::from(said.is_err())
    })
    .map_err(|source| LaunchError::Host {
        doing: "make a user namespace; `prebake doctor` says what it takes".to_owned(),
        source,
    })?;
    let all = rootfs.about().unpacked;
    let found = loop {
        let message = passing::receive(&connection).map_err(on_host)?;
        let Some((message, _)) = message else {
            let died = io::Error::other("the process that unpacks was killed");
            return Err(unpack(died));
        };
        let (kind, rest) = message.split_first().unwrap_or((&FAILED, &[]));
        match (*kind, rest) {
            (AT, rest) => {
                let at = rest.try_into().map_or(0, u64::from_ne_bytes);
                progress(at.min(all), all);
            }
            (DONE, rest) => {
                let digest = rest.get(..32).and_then(|bytes| bytes.try_into().ok());
                break Sha256::new(digest.unwrap_or_default());
            }
            (_, mut rest) => {
                let error = wire::io_error(&mut rest).unwrap_or_else(|error| error);
                return Err(unpack(error));
            }
        }
    };
    child.wait();
    if found != *rootfs.identity() {
        return Err(LaunchError::WrongIdentity {
            name: rootfs.name().to_owned(),
            expected: *rootfs.identity(),
            found,
        });
    }
    // Once for all its files: a tree with this name is complete, whatever happens to the machine.
    let folder_fd = open_folder(folder).map_err(on_host)?;
    let synced = rustix::fs::syncfs(&folder_fd).map_err(io::Error::from);
    synced.map_err(on_host)?;
    fs_err::rename(&new, folder.join(ROOT)).map_err(on_host)?;
    let synced = rustix::fs::fsync(&folder_fd).map_err(io::Error::from);
    synced.map_err(on_host)
}

/// Unpacks, in a process that is root of the ids that the files belong to. Returns the identity of
/// the whole stream and its length.
fn unpack_into(
    tree: &OwnedFd,
    archive: Box<dyn Read + Send>,
    parent: &OwnedFd,
) -> io::Result<(Sha256, u64)> {
    let mut archive = BufReader::with_capacity(BUFFER, archive);
    // A tar that nobody compressed is no worse.
    let compressed = archive.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let stream: Box<dyn Read> = if compressed {
        Box::new(gzip::Reader::new(archive))
    } else {
        Box::new(archive)
    };
    let mut hashed = Hashed {
        inner: stream,
        hasher: sha2::Sha256::new(),
        length: 0,
        told: 0,
        parent,
    };
    let root = rustix::fs::openat(
        tree,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    rustix::fs::fchmod(&root, Mode::from(0o755))?;
    let mut intentions = Intentions::default();
    let mut buffered = BufReader::with_capacity(BUFFER, &mut hashed);
    let mut unpack = Unpack::new(root.as_fd(), &mut intentions, u64::MAX, u64::MAX);
    let unpacked = unpack.archive(&mut buffered);
    let unpacked = unpacked.and_then(|()| unpack.finish());
    unpacked.map_err(|error| match error {
        SandboxError::TreeTooLarge { .. } => io::ErrorKind::StorageFull.into(),
        other => io::Error::other(chain(&other)),
    })?;
    // What stands behind the archive's end counts too.
    io::copy(&mut buffered, &mut io::sink())?;
    drop(buffered);
    let identity: [u8; 32] = hashed.hasher.finalize().into();
    Ok((Sha256::new(identity), hashed.length))
}

/// Reads, and says how far it is and what it has read.
struct Hashed<'a> {
    inner: Box<dyn Read>,
    hasher: sha2::Sha256,
    length: u64,
    told: u64,
    parent: &'a OwnedFd,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.length += count as u64;
        if self.length - self.told >= TELL {
            self.told = self.length;
            let mut message = vec![AT];
            message.extend_from_slice(&self.length.to_ne_bytes());
            passing::send(self.parent, &message, &[])?;
        }
        Ok(count)
    }
}
