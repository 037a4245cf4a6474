//! What is different between two points in time.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;

use prebake_apk::path::GuestPath;
use rustix::fs::{FileType, readlinkat};

use super::census::{self, Census, Fact};
use super::error::SandboxError;
use super::found::{Found, Kind, Node};
use super::intended::{Intended, Intentions};
use super::limits::Limits;

/// Tells `tell` what is different in the tree at `root`, sorted by path.
pub(super) fn compare(
    root: BorrowedFd<'_>,
    before: &Census,
    now: &Census,
    intentions: &Intentions,
    tell: &mut dyn FnMut(Found) -> Result<(), SandboxError>,
) -> Result<(), SandboxError> {
    let differs = |path: &[u8], fact: &Fact| {
        !before
            .get(path)
            .is_some_and(|before| fact.is_unchanged(before))
    };
    // All names of a file are told if one is, or a link to it would be told as a file.
    let linked: HashSet<u64> = now
        .iter()
        .filter(|(path, fact)| fact.links > 1 && !fact.is_directory() && differs(path, fact))
        .map(|(_, fact)| fact.inode)
        .collect();
    let mut first_names: HashMap<u64, GuestPath> = HashMap::new();
    let mut room = Limits::CHANGES;
    for (path, state) in merged(before, now) {
        let Some(fact) = state else {
            tell(Found::Gone(guest_path(path)?))?;
            continue;
        };
        if !differs(path, fact) && !linked.contains(&fact.inode) {
            continue;
        }
        let guest = guest_path(path)?;
        let kind = match first_names.get(&fact.inode) {
            Some(first) if !fact.is_directory() => Kind::Hardlink(first.clone()),
            _ => kind(root, path, fact, &mut room)?,
        };
        first_names
            .entry(fact.inode)
            .or_insert_with(|| guest.clone());
        let node = node(fact, kind, intentions.of(fact));
        tell(Found::There(guest, node))?;
    }
    Ok(())
}

/// Returns all paths of both, in order, with what is there now.
fn merged<'a>(
    before: &'a Census,
    now: &'a Census,
) -> impl Iterator<Item = (&'a [u8], Option<&'a Fact>)> {
    let mut gone = before
        .keys()
        .filter(|path| !now.contains_key(*path))
        .peekable();
    let mut there = now.iter().peekable();
    std::iter::from_fn(move || {
        let first_gone = match (gone.peek(), there.peek()) {
            (Some(gone), Some((path, _))) => *gone < *path,
            (gone, _) => gone.is_some(),
        };
        if first_gone {
            return gone.next().map(|path| (path.as_slice(), None));
        }
        there
            .next()
            .map(|(path, fact)| (path.as_slice(), Some(fact)))
    })
}

fn guest_path(path: &[u8]) -> Result<GuestPath, SandboxError> {
    GuestPath::from_relative(path).map_err(|error| SandboxError::Name {
        name: path.to_vec(),
        why: format!("it {error}"),
    })
}

fn kind(
    root: BorrowedFd<'_>,
    path: &[u8],
    fact: &Fact,
    room: &mut u64,
) -> Result<Kind, SandboxError> {
    let too_much = || SandboxError::TooMuchChanged {
        limit: Limits::CHANGES,
    };
    let fail = |source| SandboxError::Kernel {
        doing: "read what was changed".to_owned(),
        source,
    };
    Ok(match fact.file_type() {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            let target = readlinkat(root, path, Vec::new());
            Kind::Symlink(target.map_err(|error| fail(error.into()))?.into_bytes())
        }
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice | FileType::BlockDevice => {
            // The kernel lets a user namespace make one kind only: the overlay file system's
            // mark of a removed name, 0:0.
            Kind::CharDevice(prebake_apk::entry::Device { major: 0, minor: 0 })
        }
        FileType::RegularFile | FileType::Unknown => {
            let content = census::read(root, path, *room).map_err(fail)?;
            let content = content.ok_or_else(too_much)?;
            *room -= content.len() as u64;
            Kind::File(content)
        }
    })
}

fn node(fact: &Fact, kind: Kind, intended: Option<&Intended>) -> Node {
    let mut node = Node {
        kind,
        mode: fact.mode & 0o7777,
        uid: fact.uid,
        gid: fact.gid,
        mtime: fact.mtime,
        xattrs: fact.xattrs.clone(),
    };
    if let Some(intended) = intended {
        if let Some((uid, gid)) = intended.owner {
            (node.uid, node.gid) = (uid, gid);
        }
        if let (Some((device, block)), Kind::File(_)) = (intended.device, &node.kind) {
            node.kind = if block {
                Kind::BlockDevice(device)
            } else {
                Kind::CharDevice(device)
            };
        }
        node.xattrs.extend(intended.xattrs.clone());
    }
    node
}
