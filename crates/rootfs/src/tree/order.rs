//! The order in which a tree is written.

use std::collections::BTreeSet;

use prebake_apk::path::GuestPath;

use super::{Node, NodeId, Place, Tree};

impl Tree {
    /// Returns every name with its inode, in the order in which to write them: the root, then
    /// the base's entries as the base has them, each package's in turn, and last what was made
    /// here. A directory comes before what is in it. Of several names of one inode the one that
    /// comes first stands where its content is, so every source is read once and forwards.
    pub fn in_order(&self) -> impl Iterator<Item = (&GuestPath, &Node, NodeId)> {
        let mut listed = BTreeSet::new();
        let mut order = Vec::with_capacity(self.names.len());
        for path in self.by_place() {
            self.list(path, &mut listed, &mut order);
        }
        order.into_iter().filter_map(|path| {
            let name = self.names.get(path)?;
            Some((path, self.node(name.node)?, name.node))
        })
    }

    /// Returns the names by where they came from.
    fn by_place(&self) -> Vec<&GuestPath> {
        let mut names: Vec<_> = self
            .names
            .iter()
            .map(|(path, name)| (name.node, name.place, path))
            .collect();
        names.sort_unstable();
        let mut previous = None;
        let mut placed: Vec<(Place, &GuestPath)> = Vec::with_capacity(names.len());
        for (node, place, path) in names {
            // The first that is left of a node's names carries its content, wherever that
            // name itself came from.
            let first = previous.replace(node) != Some(node);
            let content = self.node(node).filter(|_| first).map(|node| node.place);
            placed.push((content.unwrap_or(place), path));
        }
        placed.sort_unstable();
        placed.into_iter().map(|(_, path)| path).collect()
    }

    /// Lists `path`, with those of its parents before it that are not listed yet.
    fn list<'a>(
        &'a self,
        path: &'a GuestPath,
        listed: &mut BTreeSet<&'a GuestPath>,
        order: &mut Vec<&'a GuestPath>,
    ) {
        let mut missing = vec![path];
        let mut parent = path.parent();
        while let Some(directory) = parent {
            let Some((name, _)) = self.names.get_key_value(&directory) else {
                break;
            };
            if listed.contains(name) {
                break;
            }
            missing.push(name);
            parent = directory.parent();
        }
        for name in missing.into_iter().rev() {
            if listed.insert(name) {
                order.push(name);
            }
        }
    }
}
