//! What a script did, done to the tree. Every change is held against the tree as it is by then.

use prebake_apk::limits::MAX_LINK_TARGET;
use prebake_apk::path::GuestPath;

use super::Merge;
use crate::change::{Attributes, Change, Made};
use crate::tree::{Node, NodeId, NodeKind, Place};

impl Merge {
    /// Does one change, or says why it cannot be done.
    pub(super) fn change(&mut self, change: &Change, place: Place) -> Result<(), &'static str> {
        match change {
            Change::Remove { path } => self.remove_name(path),
            Change::Attributes { path, attributes } => {
                let id = self.tree.id(path).ok_or("it is not there")?;
                let node = self.tree.node_mut(id).ok_or("it is not there")?;
                check(attributes, &node.kind)?;
                set(node, attributes);
                Ok(())
            }
            Change::Make {
                path,
                kind,
                attributes,
            } => self.make(path, kind, attributes, place),
            Change::Link { path, to } => self.link_name(path, to, place),
        }
    }

    fn remove_name(&mut self, path: &GuestPath) -> Result<(), &'static str> {
        let there = self.tree.get(path).ok_or("it is not there")?;
        if path.is_root() {
            return Err("the root cannot go");
        }
        if there.is_directory() && self.tree.has_children(path) {
            return Err("it is a directory and not empty");
        }
        self.tree.unlink(path);
        Ok(())
    }

    fn make(
        &mut self,
        path: &GuestPath,
        made: &Made,
        attributes: &Attributes,
        place: Place,
    ) -> Result<(), &'static str> {
        self.check_name(path)?;
        let kind = match made {
            Made::File(content) => NodeKind::File(content.clone()),
            Made::Directory if self.tree.get(path).is_some() => {
                return Err("something is in the place of a directory");
            }
            Made::Directory => NodeKind::Directory,
            Made::Symlink(target) => {
                if target.is_empty() || target.len() > MAX_LINK_TARGET || target.contains(&0) {
                    return Err("it is a symbolic link to what is no path");
                }
                NodeKind::Symlink(target.clone())
            }
            Made::Fifo => NodeKind::Fifo,
            Made::CharDevice(device) => NodeKind::CharDevice(*device),
            Made::BlockDevice(device) => NodeKind::BlockDevice(*device),
        };
        check(attributes, &kind)?;
        let mut node = Node::new(kind, attributes.mode, attributes.mtime, place);
        set(&mut node, attributes);
        self.put(path.clone(), node, place);
        Ok(())
    }

    fn link_name(
        &mut self,
        path: &GuestPath,
        to: &GuestPath,
        place: Place,
    ) -> Result<(), &'static str> {
        self.check_name(path)?;
        let file = |id: &NodeId| self.tree.node(*id).is_some_and(|node| !node.is_directory());
        let id = self.tree.id(to).filter(file);
        let id = id.ok_or("it is a hard link to what is no file")?;
        self.tree.link(path.clone(), id, place);
        Ok(())
    }

    /// Checks that something can be made under a name.
    fn check_name(&self, path: &GuestPath) -> Result<(), &'static str> {
        // Names are real ones: what has a directory above it has no link above it.
        let above = path.parent().ok_or("the root is there")?;
        if !self.tree.get(&above).is_some_and(Node::is_directory) {
            return Err("what it is in is no directory, or reached by a symbolic link");
        }
        if self.tree.get(path).is_some_and(Node::is_directory) {
            return Err("a directory is in its place");
        }
        Ok(())
    }
}

/// Checks that a file system and an archive could hold the attributes.
fn check(attributes: &Attributes, kind: &NodeKind) -> Result<(), &'static str> {
    if attributes.mode > 0o7777 {
        return Err("its mode is none");
    }
    if matches!(kind, NodeKind::Symlink(_)) && attributes.mode != 0o777 {
        return Err("a symbolic link has no mode but 0777");
    }
    // A pax record ends an attribute's name at the first `=`.
    let strange = |name: &Vec<u8>| name.is_empty() || name.contains(&0) || name.contains(&b'=');
    if attributes.xattrs.keys().any(strange) {
        return Err("an extended attribute has a name that no archive can hold");
    }
    Ok(())
}

fn set(node: &mut Node, attributes: &Attributes) {
    node.mode = attributes.mode;
    (node.uid, node.gid) = (attributes.uid, attributes.gid);
    node.mtime = attributes.mtime;
    node.xattrs.clone_from(&attributes.xattrs);
}
