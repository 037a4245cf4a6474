//! From what is recorded of a script to changes of the tree that it is replayed in.

use prebake_apk::path::GuestPath;
use prebake_rootfs::change::{self, Change};
use prebake_rootfs::tree::{FileContent, Tree};

use super::record::{Attributes, Made, Recorded, Time, What};

/// Returns the changes, in the order in which they can be made; `epoch` is the time of what a
/// bake makes, in seconds since 1970.
///
/// A change that does not fit is left for the merge to refuse.
pub(crate) fn changes(recorded: &[Recorded], tree: &Tree, epoch: i64) -> Vec<Change> {
    let mut changes = Vec::new();
    // What is in a directory goes before it, and all that goes before anything comes.
    for change in recorded.iter().rev() {
        let goes = match &change.what {
            What::Gone => true,
            What::Made(made, _) => tree
                .get(&change.path)
                .is_some_and(|node| node.is_directory() != matches!(made, Made::Directory)),
            What::Link(_) => tree
                .get(&change.path)
                .is_some_and(prebake_rootfs::Node::is_directory),
            What::Attributes(_) => false,
        };
        if goes {
            let path = change.path.clone();
            changes.push(Change::Remove { path });
        }
    }
    for Recorded { path, what } in recorded {
        let path = path.clone();
        match what {
            What::Gone => {}
            What::Link(to) => {
                let to = to.clone();
                changes.push(Change::Link { path, to });
            }
            What::Attributes(recorded) => {
                let attributes = attributes(recorded, &path, tree, epoch);
                changes.push(Change::Attributes { path, attributes });
            }
            What::Made(made, recorded) => {
                let attributes = attributes(recorded, &path, tree, epoch);
                let kind = kind(made, &path, tree);
                changes.push(Change::Make {
                    path,
                    kind,
                    attributes,
                });
            }
        }
    }
    changes
}

fn kind(made: &Made, path: &GuestPath, tree: &Tree) -> change::Made {
    match made {
        Made::Appended(bytes) => {
            let before = tree.get(path).and_then(prebake_rootfs::Node::file);
            let before = before.and_then(FileContent::bytes).unwrap_or_default();
            change::Made::File(FileContent::inline([before, bytes].concat()))
        }
        Made::File(bytes) => change::Made::File(FileContent::inline(bytes.clone())),
        Made::SameAs(path) => {
            let file = tree.get(path).and_then(prebake_rootfs::Node::file);
            // The record's key covers the tree, so that the file is there; a record that was
            // tampered with ends at the identity.
            change::Made::File(file.cloned().unwrap_or_else(|| FileContent::inline([])))
        }
        Made::Directory => change::Made::Directory,
        Made::Symlink(target) => change::Made::Symlink(target.clone()),
        Made::Fifo => change::Made::Fifo,
        Made::CharDevice(device) => change::Made::CharDevice(*device),
        Made::BlockDevice(device) => change::Made::BlockDevice(*device),
    }
}

fn attributes(
    recorded: &Attributes,
    path: &GuestPath,
    tree: &Tree,
    epoch: i64,
) -> change::Attributes {
    change::Attributes {
        mode: recorded.mode,
        uid: recorded.uid,
        gid: recorded.gid,
        mtime: match recorded.time {
            Time::At(time) => time,
            Time::Now => epoch,
            Time::Kept => tree.get(path).map_or(epoch, |node| node.mtime),
        },
        xattrs: recorded.xattrs.clone(),
    }
}
