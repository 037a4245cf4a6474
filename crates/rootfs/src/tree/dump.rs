//! A tree as text, a line a name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prebake_apk::path::GuestPath;

use super::{Node, NodeId, NodeKind, Tree};

impl Tree {
    /// Returns the tree as text for people and tests: a line a name, sorted by name, with
    /// `path type mode uid:gid mtime`, then the size and SHA-1 of a file, the target of a link or
    /// the numbers of a device, then extended attributes, then `=` and the first of the names if
    /// there are several. Bytes that are not plain text are escaped as in a Rust string.
    pub fn dump(&self) -> String {
        let mut first: BTreeMap<NodeId, &GuestPath> = BTreeMap::new();
        let mut count: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (path, name) in &self.names {
            first.entry(name.node).or_insert(path);
            *count.entry(name.node).or_default() += 1;
        }
        let mut text = String::new();
        for (path, name) in &self.names {
            let Some(node) = self.node(name.node) else {
                continue;
            };
            text.push_str(&line(path, node));
            if count.get(&name.node).is_some_and(|names| *names > 1)
                && let Some(path) = first.get(&name.node)
            {
                let _ = write!(text, " =/{}", path.as_bytes().escape_ascii());
            }
            text.push('\n');
        }
        text
    }
}

/// Returns a node's line, without the names it shares its inode with. Writing to a string cannot
/// fail, so the results are dropped.
fn line(path: &GuestPath, node: &Node) -> String {
    let letter = match node.kind {
        NodeKind::File(_) => 'f',
        NodeKind::Directory => 'd',
        NodeKind::Symlink(_) => 'l',
        NodeKind::CharDevice(_) => 'c',
        NodeKind::BlockDevice(_) => 'b',
        NodeKind::Fifo => 'p',
    };
    let mut line = format!(
        "/{} {letter} {:04o} {}:{} {}",
        path.as_bytes().escape_ascii(),
        node.mode,
        node.uid,
        node.gid,
        node.mtime
    );
    let _ = match &node.kind {
        NodeKind::File(file) => write!(line, " {} {}", file.size, file.sha1),
        NodeKind::Symlink(target) => write!(line, " -> {}", target.escape_ascii()),
        NodeKind::CharDevice(device) | NodeKind::BlockDevice(device) => {
            write!(line, " {},{}", device.major, device.minor)
        }
        NodeKind::Directory | NodeKind::Fifo => Ok(()),
    };
    for (name, value) in &node.xattrs {
        let _ = write!(line, " {}={}", name.escape_ascii(), value.escape_ascii());
    }
    line
}
