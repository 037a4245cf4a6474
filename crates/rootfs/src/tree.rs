//! The tree: names, and the inodes that they are names of.

mod difference;
mod digest;
mod dump;
mod order;
mod resolve;
mod twins;

use std::collections::BTreeMap;
use std::sync::Arc;

use prebake_apk::digest::Sha1;
use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;

pub use difference::Difference;
pub use resolve::{MAX_LINKS, ResolveError};

/// Where contents come from: 0 is the base, `n` the `n`-th change, be it a package that came or
/// one that went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

impl SourceId {
    /// The base's archive.
    pub const BASE: Self = Self(0);
    /// No archive: what the merge made itself. It comes after every other.
    pub const GENERATED: Self = Self(u32::MAX);
}

/// Where a file's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Here.
    Inline(Arc<[u8]>),
    /// In a source's uncompressed archive.
    Source {
        /// Which.
        source: SourceId,
        /// How many bytes of the archive come before.
        offset: u64,
    },
}

/// A file's bytes: where they are, how many, and what their digest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// Where they are.
    pub content: Content,
    /// How many there are.
    pub size: u64,
    /// Their SHA-1, as apk's database wants it.
    pub sha1: Sha1,
}

impl FileContent {
    /// Returns content that is held in memory.
    pub fn inline(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            size: bytes.len() as u64,
            sha1: Sha1::of(&bytes),
            content: Content::Inline(bytes),
        }
    }

    /// Returns the bytes if they are held in memory.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Inline(bytes) => Some(bytes),
            Content::Source { .. } => None,
        }
    }
}

/// An inode: everything about a file but its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// The permission bits, at most `0o7777`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last change, in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    place: Place,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File(FileContent),
    /// A directory.
    Directory,
    /// A symbolic link to any text.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// Where something came from: the source, and its position among the source's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: SourceId,
    pub(crate) position: u64,
}

/// Tells one inode of a [`Tree`] from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// A name and the inode that it is a name of.
#[derive(Clone, Copy, Debug)]
struct Name {
    node: NodeId,
    place: Place,
}

/// A root filesystem.
///
/// The root itself is always there. A name's parent is always there and a directory.
#[derive(Clone, Debug)]
pub struct Tree {
    names: BTreeMap<GuestPath, Name>,
    nodes: Vec<Node>,
}

impl Node {
    /// Returns an inode of that kind, owned by root.
    pub(crate) fn new(kind: NodeKind, mode: u32, mtime: i64, place: Place) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: BTreeMap::new(),
            place,
        }
    }

    /// Returns where it came from.
    pub fn source(&self) -> SourceId {
        self.place.source
    }

    /// Says whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory)
    }

    /// Says whether it is a device.
    pub fn is_device(&self) -> bool {
        matches!(
            self.kind,
            NodeKind::CharDevice(_) | NodeKind::BlockDevice(_)
        )
    }

    /// Returns a regular file's content.
    pub fn file(&self) -> Option<&FileContent> {
        match &self.kind {
            NodeKind::File(file) => Some(file),
            _ => None,
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Tree {
    /// Returns a tree that holds only a root of mode 0755.
    pub(crate) fn new(mtime: i64) -> Self {
        let place = Place {
            source: SourceId::BASE,
            position: 0,
        };
        let mut tree = Self {
            names: BTreeMap::new(),
            nodes: Vec::new(),
        };
        let root = tree.add_node(Node::new(NodeKind::Directory, 0o755, mtime, place));
        tree.names
            .insert(GuestPath::root(), Name { node: root, place });
        tree
    }

    /// Returns what has that very name; links on the way are not followed.
    pub fn get(&self, path: &GuestPath) -> Option<&Node> {
        self.node(self.id(path)?)
    }

    /// Returns what `path` leads to, as a program inside would see it: links are followed, also
    /// the last, and never out of the root. `None` if there is nothing.
    pub fn follow(&self, path: &GuestPath) -> Option<&Node> {
        let path = self.resolve(path).ok()?;
        self.get(&path)
    }

    /// Returns the content of the file that `path` leads to, if it is held in memory.
    pub fn inline(&self, path: &GuestPath) -> Option<&[u8]> {
        self.follow(path)?.file()?.bytes()
    }

    /// Returns how many names there are, that of the root included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Says whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.names.len() <= 1
    }

    /// Returns the inode of that very name.
    pub(crate) fn id(&self, path: &GuestPath) -> Option<NodeId> {
        self.names.get(path).map(|name| name.node)
    }

    /// Returns an inode.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// Returns an inode to be changed.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id.0)
    }

    /// Adds an inode that has no name yet.
    pub(crate) fn add_node(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// Gives an inode a name, which it takes from whatever had it. The parent must be a
    /// directory, and what had the name must be none.
    pub(crate) fn link(&mut self, path: GuestPath, node: NodeId, place: Place) {
        self.names.insert(path, Name { node, place });
    }

    /// Takes a name away; nothing happens if it is none.
    pub(crate) fn unlink(&mut self, path: &GuestPath) {
        self.names.remove(path);
    }

    /// Says whether there is anything below `path`.
    pub(crate) fn has_children(&self, path: &GuestPath) -> bool {
        self.children(path).next().is_some()
    }

    /// Returns all names below `path`, at any depth.
    pub(crate) fn children<'a>(
        &'a self,
        path: &'a GuestPath,
    ) -> impl Iterator<Item = &'a GuestPath> {
        // Names sort by their bytes, so whatever begins with `path/` stands together.
        let mut prefix = path.as_bytes().to_vec();
        if !path.is_root() {
            prefix.push(b'/');
        }
        let from = path.clone();
        self.names
            .range(from..)
            .map(|(name, _)| name)
            .skip_while({
                let prefix = prefix.clone();
                move |name| name.as_bytes() < prefix.as_slice() || *name == path
            })
            .take_while(move |name| name.as_bytes().starts_with(&prefix))
    }
}
