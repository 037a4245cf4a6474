//! A tree in memory as a [`Dump`], to be held against one that others read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prebake_rootfs::tree::{NodeId, NodeKind, Tree};

use super::{Dump, Node};

impl Dump {
    /// Returns what a baked tree holds.
    pub fn of_tree(tree: &Tree) -> Self {
        let mut names: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
        for (path, _, id) in tree.in_order() {
            names.entry(id).or_default().push(absolute(path.as_bytes()));
        }
        for names in names.values_mut() {
            names.sort();
        }
        let line = |(path, node, id): (_, &prebake_rootfs::Node, NodeId)| {
            let (kind, size, what) = match &node.kind {
                NodeKind::File(file) => ('f', file.size, file.sha1.to_string()),
                NodeKind::Directory => ('d', 0, "-".to_owned()),
                NodeKind::Symlink(target) => ('l', 0, escape(target)),
                NodeKind::CharDevice(device) => {
                    ('c', 0, format!("{}:{}", device.major, device.minor))
                }
                NodeKind::BlockDevice(device) => {
                    ('b', 0, format!("{}:{}", device.major, device.minor))
                }
                NodeKind::Fifo => ('p', 0, "-".to_owned()),
            };
            let xattrs: Vec<String> = node
                .xattrs
                .iter()
                .map(|(name, value)| format!("{}={}", escape(name), hexadecimal(value)))
                .collect();
            let same_as = names.get(&id).filter(|names| names.len() > 1);
            let node = Node {
                kind,
                mode: node.mode,
                uid: node.uid,
                gid: node.gid,
                size,
                mtime: node.mtime,
                what,
                xattrs: or_dash(xattrs.join(",")),
                same_as: same_as.map_or_else(|| "-".to_owned(), |names| names[0].clone()),
            };
            (path, node)
        };
        let lines = tree.in_order().map(|(path, node, id)| {
            let path = absolute(path.as_bytes());
            line((path, node, id))
        });
        Self(lines.collect())
    }
}

fn absolute(path: &[u8]) -> String {
    format!("/{}", escape(path))
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// Writes bytes as `dump.py` does.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' | 0..=0x20 | 0x7f.. => {
                write!(text, "\\x{byte:02x}").expect("a String takes whatever is written");
            }
            _ => text.push(char::from(*byte)),
        }
    }
    text
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes whatever is written");
        text
    })
}
