//! Whose owner and mode a directory gets.
//!
//! Measured on apk 2.14.4. A directory that was there and belonged to no package keeps what it
//! has, in this run of apk whatever comes. One that packages had before keeps what it has if that
//! is not what they gave it. Every other gets what its packages together give it: of those with
//! the lowest owner and then the lowest group, the bits that all of them set.
//!
//! That is done once, after the last package and before the triggers. Until then a new directory
//! is root's and has the mode that the package which made it wants, without set-id bits; scripts
//! of packages see that, and what they make of it does not last. What a trigger makes of it does.

use std::collections::BTreeMap;

use prebake_apk::installed::{Acl, Stanza};
use prebake_apk::path::GuestPath;
use prebake_apk::version::Dialect;

use super::state::PackageId;
use super::{Merge, MergeError};
use crate::tree::{Node, NodeKind, Place};

/// The bits of a mode that mkdir(2) of Linux sets.
const MADE_MODE: u32 = 0o1777;

/// What is known of a directory that a package came to or left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touched {
    /// Whether its owner and mode follow those of its packages.
    follows: bool,
}

impl Merge {
    /// Notes that a package is about to come to or to leave a directory. One that is not there is
    /// made, if a package comes; what is in its place otherwise stays.
    pub(super) fn touch(&mut self, path: &GuestPath, make: Option<(u32, i64, Place)>) {
        self.visited.insert(path.clone());
        if path.is_root() {
            return;
        }
        let wanted = self.wanted(path);
        let real = self.tree.resolve(path).ok();
        let there = real.as_ref().and_then(|path| self.tree.get(path));
        let same = there.zip(wanted).is_some_and(|(node, acl)| {
            node.is_directory() && (node.mode, node.uid, node.gid) == (acl.mode, acl.uid, acl.gid)
        });
        let mut follows = same;
        // What a script removed after it was made, apk does not make again: the next file in it
        // is an error.
        if let (None, Some((mode, mtime, place))) = (there, make)
            && !self.touched.contains_key(path)
        {
            // As mkdir has it: not over a link that leads nowhere, not where the parent is none.
            let name = self.tree.real_name(path);
            if let Ok(name) = name.map_err(MergeError::from)
                && self.tree.get(&name).is_none()
            {
                self.put(
                    name,
                    Node::new(NodeKind::Directory, mode & MADE_MODE, mtime, place),
                    place,
                );
                follows = true;
                self.touched.remove(path);
            }
        }
        self.touched
            .entry(path.clone())
            .or_insert(Touched { follows });
    }

    /// Gives the touched directories the owner and mode that their packages want.
    pub(super) fn settle_directories(&mut self) {
        for (path, touched) in std::mem::take(&mut self.touched) {
            let (true, Some(wanted)) = (touched.follows, self.wanted(&path)) else {
                continue;
            };
            let id = self.tree.resolve(&path).ok();
            let id = id.and_then(|path| self.tree.id(&path));
            if let Some(node) = id.and_then(|id| self.tree.node_mut(id))
                && node.is_directory()
            {
                (node.mode, node.uid, node.gid) = (wanted.mode, wanted.uid, wanted.gid);
            }
        }
    }

    /// Lets a directory, by its real name, keep the owner and mode that it has.
    pub(super) fn leave_alone(&mut self, real: &GuestPath) {
        for (path, touched) in &mut self.touched {
            if self.tree.resolve(path).is_ok_and(|path| path == *real) {
                touched.follows = false;
            }
        }
    }

    /// Returns the owner and mode that a directory's packages together give it.
    fn wanted(&self, path: &GuestPath) -> Option<Acl> {
        let owners = self.database.directory(path)?;
        match self.dialect {
            Dialect::V2 => lowest(owners),
            Dialect::V3 => self.first_owner(owners),
        }
    }

    /// apk 3 (from the format notes): one package decides. The higher `replaces_priority`, then
    /// a package that is its own origin, then the first name.
    fn first_owner(&self, owners: &BTreeMap<PackageId, Acl>) -> Option<Acl> {
        let stanza = |id: PackageId| -> Option<&Stanza> {
            let pending = self.current.as_ref().filter(|pending| pending.id == id);
            pending
                .map(|pending| &pending.stanza)
                .or_else(|| self.database.stanza(id))
        };
        let rank = |id: PackageId| {
            let stanza = stanza(id)?;
            let main = stanza.origin.as_ref() == Some(&stanza.name);
            let priority = u32::MAX - stanza.replaces_priority;
            Some((priority, !main, &stanza.name))
        };
        let best = owners.iter().min_by_key(|(id, _)| rank(**id))?;
        Some(*best.1)
    }
}

/// apk 2.14.
fn lowest(owners: &BTreeMap<PackageId, Acl>) -> Option<Acl> {
    owners.values().copied().reduce(|best, acl| {
        match (acl.uid, acl.gid).cmp(&(best.uid, best.gid)) {
            std::cmp::Ordering::Less => acl,
            std::cmp::Ordering::Equal => Acl {
                mode: best.mode & acl.mode,
                ..best
            },
            std::cmp::Ordering::Greater => best,
        }
    })
}
