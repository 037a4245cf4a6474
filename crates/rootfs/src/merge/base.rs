//! The base: any root filesystem's archive.

use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::installed::{Installed, Stanza};
use prebake_apk::path::GuestPath;
use prebake_apk::scripts::PackageScripts;
use prebake_apk::version::Dialect;
use prebake_apk::{scripts, triggers, world};

use super::{Merge, MergeError};
use crate::tree::{FileContent, Node, NodeKind};

/// The most bytes of one file that should be handed in inline. Alpine's largest such file, the
/// database of a full desktop, has some ten million.
pub const MAX_INLINE: u64 = 24 << 20;

/// The most bytes of all such files together.
pub const MAX_INLINE_TOTAL: u64 = 32 << 20;

/// A file's name within its directory, and its bytes.
pub type NamedFile = (Vec<u8>, Vec<u8>);

/// What a base says of itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Base {
    /// `lib/apk/db/installed`; empty if there is none.
    pub installed: Vec<u8>,
    /// The dependencies in `etc/apk/world`.
    pub world: Vec<Vec<u8>>,
    /// The architecture in `etc/apk/arch`.
    pub arch: Option<String>,
    /// `etc/apk/repositories`; empty if there is none.
    pub repositories: Vec<u8>,
    /// The files in `etc/apk/keys` with their names, sorted.
    pub keys: Vec<NamedFile>,
    /// The Alpine release in `etc/alpine-release`.
    pub release: Option<String>,
    /// The version of the installed `apk-tools`.
    pub apk_version: Option<String>,
    /// Whose rules apply: those of the installed `apk-tools`, or of 2.14 if there is none.
    pub dialect: Option<Dialect>,
}

/// The files whose content the merge itself reads, or whoever looks at what scripts do.
const FILES: [&[u8]; 11] = [
    b"etc/apk/world",
    b"etc/apk/arch",
    b"etc/apk/repositories",
    b"etc/alpine-release",
    b"etc/busybox-paths.d/busybox",
    b"etc/passwd",
    b"etc/group",
    b"etc/shadow",
    b"etc/hosts",
    b"etc/os-release",
    b"usr/lib/os-release",
];

/// The directories whose files the merge itself reads. The database's own may be a link away.
const DIRECTORIES: [&[u8]; 4] = [
    b"lib/apk/db",
    b"usr/lib/apk/db",
    b"etc/apk/keys",
    b"etc/apk/protected_paths.d",
];

/// Returns a path of this source.
pub(super) fn guest(path: &[u8]) -> GuestPath {
    GuestPath::from_relative(path).unwrap_or_default()
}

impl Merge {
    /// Says whether the merge must have a file's content inline ([`crate::Content::Inline`]);
    /// no more than [`MAX_INLINE`] bytes of it should be.
    pub fn wants_inline(path: &GuestPath) -> bool {
        let parent = path.parent().unwrap_or_default();
        FILES.contains(&path.as_bytes()) || DIRECTORIES.contains(&parent.as_bytes())
    }

    /// Takes an entry of the base, in the order of its archive; `file` is a regular file's
    /// content. A later entry replaces an earlier one of its name, as when tar unpacks.
    pub fn base_entry(
        &mut self,
        entry: Entry,
        file: Option<FileContent>,
    ) -> Result<(), MergeError> {
        self.count_inline(&entry.path, file.as_ref())?;
        let place = self.next_place();
        let path = self.with_parents(&entry.path, entry.mtime, place)?;
        let bad = |problem| MergeError::BaseEntry {
            path: entry.path.clone(),
            problem,
        };
        let kind = match entry.kind {
            EntryKind::Hardlink(target) => {
                let name = self.tree.real_name(&target)?;
                let id = self.tree.id(&name);
                // Nothing in an honest archive has a second name of a device.
                let id = id.filter(|id| {
                    let node = self.tree.node(*id);
                    !node.is_some_and(|node| node.is_directory() || node.is_device())
                });
                let Some(id) = id else {
                    return Err(MergeError::LinkTarget {
                        path: entry.path,
                        target,
                        package: "the base".to_owned(),
                    });
                };
                if self.tree.get(&path).is_some_and(Node::is_directory) {
                    return Err(bad("a directory is in its place"));
                }
                self.tree.link(path, id, place);
                return Ok(());
            }
            kind => node_kind(kind, file, &entry.path)?,
        };
        let there = self.tree.id(&path);
        let is_directory = there
            .and_then(|id| self.tree.node(id))
            .is_some_and(Node::is_directory);
        let mut node = Node::new(kind, entry.mode, entry.mtime, place);
        node.uid = entry.uid;
        node.gid = entry.gid;
        node.xattrs = entry.xattrs;
        match (there, is_directory, node.is_directory()) {
            (Some(id), true, true) => {
                if let Some(directory) = self.tree.node_mut(id) {
                    *directory = node;
                }
            }
            (Some(_), true, false) if self.tree.has_children(&path) || path.is_root() => {
                return Err(bad("a directory is in its place"));
            }
            _ => {
                self.put(path, node, place);
            }
        }
        Ok(())
    }

    /// Ends the base and reads what it says of itself. Without an apk database it is empty.
    pub fn base_done(&mut self) -> Result<Base, MergeError> {
        let text = |path: &[u8]| self.read(&guest(path));
        let line = |path: &[u8]| -> Result<Option<String>, MergeError> {
            let text = self.read(&guest(path))?;
            let line = String::from_utf8_lossy(text.trim_ascii()).into_owned();
            Ok((!line.is_empty()).then_some(line))
        };
        let mut base = Base {
            installed: text(b"lib/apk/db/installed")?,
            world: world::parse(&text(b"etc/apk/world")?),
            arch: line(b"etc/apk/arch")?,
            repositories: text(b"etc/apk/repositories")?,
            keys: self.read_directory(b"etc/apk/keys", b"")?,
            release: line(b"etc/alpine-release")?,
            apk_version: None,
            dialect: None,
        };
        let triggers = triggers::parse(&text(b"lib/apk/db/triggers")?);
        let scripts = scripts::parse(&text(b"lib/apk/db/scripts.tar")?);
        let lists = self.read_directory(b"etc/apk/protected_paths.d", b".list")?;
        let installed = Installed::parse(&base.installed).map_err(MergeError::Installed)?;
        let mut scripts = scripts.map_err(MergeError::Scripts)?;
        self.database.triggers = triggers.map_err(MergeError::Triggers)?;
        for package in installed.packages {
            let stanza = &package.stanza;
            if stanza.name == b"apk-tools" {
                let version = String::from_utf8_lossy(&stanza.version).into_owned();
                base.dialect = Some(dialect_of(&version));
                base.apk_version = Some(version);
            }
            let own = scripts
                .iter()
                .position(|scripts| scripts.identity == stanza.identity);
            let own = own.map(|index| scripts.swap_remove(index));
            // apk writes the time of the build, whatever it read.
            let mtime = self.build_time(stanza);
            let own = own.map(|own| PackageScripts { mtime, ..own });
            self.database.load(package, own);
        }
        for (_, list) in lists {
            self.protected.add(&list);
        }
        self.dialect = base.dialect.unwrap_or(self.dialect);
        Ok(base)
    }

    /// Returns the time that a package's scripts get in the database.
    pub(super) fn build_time(&self, stanza: &Stanza) -> u64 {
        match stanza.build_time {
            // apk takes the present time here.
            0 => u64::try_from(self.epoch).unwrap_or_default(),
            time => time,
        }
    }

    /// Returns a file's bytes; none if it is not there.
    pub(super) fn read(&self, path: &GuestPath) -> Result<Vec<u8>, MergeError> {
        let Some(file) = self.tree.follow(path).and_then(Node::file) else {
            return Ok(Vec::new());
        };
        let bytes = file
            .bytes()
            .ok_or_else(|| MergeError::NotInline { path: path.clone() })?;
        Ok(bytes.to_vec())
    }

    /// Returns the files in a directory whose names end so, sorted by name.
    fn read_directory(&self, path: &[u8], suffix: &[u8]) -> Result<Vec<NamedFile>, MergeError> {
        let Ok(directory) = self.tree.resolve(&guest(path)) else {
            return Ok(Vec::new());
        };
        let mut files = Vec::new();
        for child in self.tree.children(&directory) {
            let name = child.name().unwrap_or_default();
            let own = child.parent().as_ref() == Some(&directory);
            let file = self.tree.follow(child).and_then(Node::file);
            if own && name.ends_with(suffix) && file.is_some() {
                files.push((name.to_vec(), self.read(child)?));
            }
        }
        Ok(files)
    }
}

/// Returns the rules of a version of apk-tools: 3.0 is the first with the new ones.
fn dialect_of(version: &str) -> Dialect {
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(2);
    if major >= 3 { Dialect::V3 } else { Dialect::V2 }
}

/// Returns what a node of an entry is. The entry must be no hard link.
pub(super) fn node_kind(
    kind: EntryKind,
    file: Option<FileContent>,
    path: &GuestPath,
) -> Result<NodeKind, MergeError> {
    Ok(match kind {
        EntryKind::File => {
            let path = path.clone();
            NodeKind::File(file.ok_or(MergeError::NoContent { path })?)
        }
        EntryKind::Directory => NodeKind::Directory,
        EntryKind::Symlink(target) => NodeKind::Symlink(target),
        EntryKind::CharDevice(device) => NodeKind::CharDevice(device),
        EntryKind::BlockDevice(device) => NodeKind::BlockDevice(device),
        EntryKind::Fifo => NodeKind::Fifo,
        EntryKind::Hardlink(target) => {
            return Err(MergeError::LinkTarget {
                path: path.clone(),
                target,
                package: String::new(),
            });
        }
    })
}
