//! A digest of everything about a tree that a program inside could see.

use std::collections::HashMap;

use prebake_apk::digest::Sha256;
use sha2::Digest as _;

use super::{Node, NodeId, NodeKind, Tree};

/// What the canonical bytes begin with; the number goes up when they change.
const HEAD: &[u8] = b"prebake tree 1\n";

impl Tree {
    /// Returns the SHA-256 of the tree: of its names, kinds, modes, owners, times, extended
    /// attributes, hard links, link targets, device numbers and contents. Where contents are, and
    /// in which order things came, does not count.
    ///
    /// It is that of these bytes, where a number has eight bytes, the highest first, and a text
    /// is the number of its bytes and the bytes: the line `prebake tree 1`; the number of names;
    /// then for each name, sorted by its bytes: the name; the number, counted from 0, of the
    /// first name that its inode has; and, if that is this one, a letter (`f` file, `d`
    /// directory, `l` symbolic link, `c` and `b` devices, `p` named pipe), mode, owner, group,
    /// time; of a file its size and the 20 bytes of its SHA-1, of a link its target, of a device
    /// major and minor; the number of extended attributes, and of each, by name, name and value.
    pub fn digest(&self) -> Sha256 {
        let mut hash = sha2::Sha256::new();
        hash.update(HEAD);
        number(&mut hash, self.names.len());
        let mut first: HashMap<NodeId, usize> = HashMap::new();
        for (index, (path, name)) in self.names.iter().enumerate() {
            text(&mut hash, path.as_bytes());
            let own = *first.entry(name.node).or_insert(index);
            number(&mut hash, own);
            if let (true, Some(node)) = (own == index, self.node(name.node)) {
                update(&mut hash, node);
            }
        }
        Sha256::new(hash.finalize().into())
    }
}

fn update(hash: &mut sha2::Sha256, node: &Node) {
    let letter = match node.kind {
        NodeKind::File(_) => b"f",
        NodeKind::Directory => b"d",
        NodeKind::Symlink(_) => b"l",
        NodeKind::CharDevice(_) => b"c",
        NodeKind::BlockDevice(_) => b"b",
        NodeKind::Fifo => b"p",
    };
    hash.update(letter);
    for number in [node.mode, node.uid, node.gid] {
        hash.update(u64::from(number).to_be_bytes());
    }
    hash.update(node.mtime.to_be_bytes());
    match &node.kind {
        NodeKind::File(file) => {
            hash.update(file.size.to_be_bytes());
            hash.update(file.sha1.as_bytes());
        }
        NodeKind::Symlink(target) => text(hash, target),
        NodeKind::CharDevice(device) | NodeKind::BlockDevice(device) => {
            hash.update(u64::from(device.major).to_be_bytes());
            hash.update(u64::from(device.minor).to_be_bytes());
        }
        NodeKind::Directory | NodeKind::Fifo => {}
    }
    number(hash, node.xattrs.len());
    for (name, value) in &node.xattrs {
        text(hash, name);
        text(hash, value);
    }
}

fn number(hash: &mut sha2::Sha256, number: usize) {
    hash.update((number as u64).to_be_bytes());
}

fn text(hash: &mut sha2::Sha256, text: &[u8]) {
    number(hash, text.len());
    hash.update(text);
}
