//! What has to be done to one tree to have another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prebake_apk::path::GuestPath;

use super::{Node, NodeId, NodeKind, Tree};

/// A step from one tree to another, with the other's nodes.
#[derive(Clone, Copy, Debug)]
pub enum Difference<'t> {
    /// The name goes. A directory is empty by then.
    Remove(&'t GuestPath),
    /// The inode stays and gets this one's attributes, under all of its names.
    Attributes(&'t GuestPath, &'t Node),
    /// A new inode gets the name. Nothing has it by then.
    Make(&'t GuestPath, &'t Node),
    /// The inode of the second name gets the first one too. Nothing has that by then.
    Link(&'t GuestPath, &'t GuestPath),
}

impl Tree {
    /// Returns the steps that make `after` of this tree, in an order in which they can be taken:
    /// first what goes, the deepest first, then what is new, as [`Tree::in_order`] lists it, so
    /// that each source is read once and forwards. Contents are the same if their sizes and
    /// digests are.
    ///
    /// Whoever carries them out on a file system sets the times of directories again that names
    /// came to or left: those directories stand at the end as [`Difference::Attributes`].
    pub fn changes_to<'t>(&'t self, after: &'t Tree) -> Vec<Difference<'t>> {
        let kept = self.kept(after);
        let mut steps = Vec::new();
        let mut entered: BTreeSet<GuestPath> = BTreeSet::new();
        for path in self.names.keys().rev() {
            if !kept.contains_key(path) {
                steps.push(Difference::Remove(path));
                entered.extend(path.parent());
            }
        }
        // The name under which each inode is there already.
        let mut there: HashMap<NodeId, &GuestPath> = HashMap::new();
        for (path, name) in &after.names {
            if kept.contains_key(path) {
                there.entry(name.node).or_insert(path);
            }
        }
        let mut changed = BTreeSet::new();
        for (path, node, id) in after.in_order() {
            if let Some(before) = kept.get(path) {
                let same = self
                    .node(*before)
                    .is_some_and(|old| same_attributes(old, node));
                if !same && changed.insert(id) && !node.is_directory() {
                    steps.push(Difference::Attributes(path, node));
                } else if !same && node.is_directory() {
                    entered.insert(path.clone());
                }
                continue;
            }
            entered.extend(path.parent());
            if let Some(first) = there.get(&id) {
                steps.push(Difference::Link(path, first));
                continue;
            }
            there.insert(id, path);
            steps.push(Difference::Make(path, node));
            if node.is_directory() {
                entered.insert(path.clone());
            }
        }
        // A directory's own time comes last, for making what is in it changes it.
        for path in entered.iter().rev() {
            if let Some((path, name)) = after.names.get_key_value(path)
                && let Some(node) = after.node(name.node)
            {
                steps.push(Difference::Attributes(path, node));
            }
        }
        steps
    }

    /// Returns the names that keep their inode, with the inode of this tree: those that are of
    /// the same kind and content in both, one inode here for one there.
    fn kept<'t>(&'t self, after: &'t Tree) -> BTreeMap<&'t GuestPath, NodeId> {
        let mut forth: HashMap<NodeId, NodeId> = HashMap::new();
        let mut back: HashMap<NodeId, NodeId> = HashMap::new();
        let mut kept = BTreeMap::new();
        for (path, name) in &after.names {
            let Some(old) = self.names.get(path) else {
                continue;
            };
            let (Some(one), Some(other)) = (self.node(old.node), after.node(name.node)) else {
                continue;
            };
            if same_kind(&one.kind, &other.kind)
                && *forth.entry(old.node).or_insert(name.node) == name.node
                && *back.entry(name.node).or_insert(old.node) == old.node
            {
                kept.insert(path, old.node);
            }
        }
        kept
    }
}

fn same_kind(one: &NodeKind, other: &NodeKind) -> bool {
    match (one, other) {
        (NodeKind::File(one), NodeKind::File(other)) => {
            one.size == other.size && one.sha1 == other.sha1
        }
        _ => one == other,
    }
}

fn same_attributes(one: &Node, other: &Node) -> bool {
    (one.mode, one.uid, one.gid, one.mtime) == (other.mode, other.uid, other.gid, other.mtime)
        && one.xattrs == other.xattrs
}
