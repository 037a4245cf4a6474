//! A package that comes: its entries are staged, and put in place when it is whole.

use std::collections::HashMap;
use std::sync::Arc;

use prebake_apk::digest::Sha1;
use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::installed::{Acl, Stanza};
use prebake_apk::package::{self, ScriptKind};
use prebake_apk::path::GuestPath;
use prebake_apk::pkginfo::PkgInfo;
use prebake_apk::version::Dialect;

use super::base::node_kind;
use super::replaces::{self, Verdict};
use super::state::{Owned, PackageId};
use super::{Merge, MergeError};
use crate::tree::{FileContent, Node, NodeId, NodeKind, Place, SourceId};

/// A package that is to be installed.
#[derive(Clone, Debug)]
pub struct NewPackage {
    /// Its fields, as the database will have them: those of the index, with `replaces` and
    /// `replaces_priority` of the package and the tag of the repository.
    pub stanza: Stanza,
    /// Its scripts.
    pub scripts: Vec<(ScriptKind, Arc<[u8]>)>,
    /// The directories that its trigger watches.
    pub triggers: Vec<Vec<u8>>,
}

/// A package that is being installed.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) id: PackageId,
    pub(super) stanza: Stanza,
    pub(super) scripts: Vec<(ScriptKind, Arc<[u8]>)>,
    pub(super) triggers: Vec<Vec<u8>>,
    /// The version that it takes the place of.
    pub(super) old: Option<PackageId>,
    pub(super) directories: Vec<PendingDirectory>,
    /// Where in `directories` each is.
    index: HashMap<GuestPath, usize>,
    /// The inodes that hard links may name, by the archive's names.
    staged: HashMap<GuestPath, (NodeId, Option<Sha1>)>,
}

/// A directory of it.
#[derive(Clone, Debug)]
pub(super) struct PendingDirectory {
    pub(super) path: GuestPath,
    pub(super) acl: Acl,
    pub(super) files: Vec<PendingFile>,
}

/// A file, link, device or pipe of it.
#[derive(Clone, Debug)]
pub(super) struct PendingFile {
    pub(super) name: Vec<u8>,
    pub(super) acl: Acl,
    pub(super) checksum: Option<Sha1>,
    pub(super) node: NodeId,
    pub(super) place: Place,
    /// The checksum that the database had of what is in its place.
    pub(super) previous: Option<Sha1>,
}

/// Whether a package gets a file.
enum Claim {
    /// It does.
    Granted {
        /// The checksum that the database has of what is there.
        previous: Option<Sha1>,
    },
    /// Its owner keeps it.
    Denied,
}

impl NewPackage {
    /// Puts together what an index says of a package (`stanza`) and what the package itself does.
    ///
    /// apk never opens a package whose installed size is 0: it has no files, scripts or
    /// triggers then, and replaces nothing.
    pub fn new(mut stanza: Stanza, info: &PkgInfo, scripts: &[package::Script]) -> Self {
        if stanza.installed_size == 0 {
            return Self {
                stanza,
                scripts: Vec::new(),
                triggers: Vec::new(),
            };
        }
        stanza.replaces = info.replaces.join(" ").into_bytes();
        stanza.replaces_priority = info.replaces_priority;
        let scripts = scripts
            .iter()
            .map(|script| (script.kind, Arc::from(script.bytes.as_slice())))
            .collect();
        let triggers = info.triggers.iter();
        Self {
            stanza,
            scripts,
            triggers: triggers.map(|text| text.clone().into_bytes()).collect(),
        }
    }
}

impl Pending {
    /// Returns the directory of that path, new if there is none; the number is its place.
    fn directory(&mut self, path: &GuestPath) -> usize {
        *self.index.entry(path.clone()).or_insert_with(|| {
            self.directories.push(PendingDirectory {
                path: path.clone(),
                acl: Acl::DIRECTORY,
                files: Vec::new(),
            });
            self.directories.len() - 1
        })
    }
}

impl Merge {
    /// Begins a package. If one of its name is installed it takes that one's place.
    ///
    /// Returns the number that the handles of its contents must carry: changes count from 1, a
    /// removal is one too.
    pub fn begin_package(&mut self, package: NewPackage) -> Result<SourceId, MergeError> {
        let stanza = &package.stanza;
        let source = self.next_source(&stanza.name, stanza.label())?;
        let old = self.database.find(&package.stanza.name);
        let kind = match old {
            None => ScriptKind::PreInstall,
            Some(_) => ScriptKind::PreUpgrade,
        };
        let version = self.version(old);
        self.make_due(&package.stanza, version, &package.scripts, kind);
        self.current = Some(Pending {
            id: self.database.next_id(),
            stanza: package.stanza,
            scripts: package.scripts,
            triggers: package.triggers,
            old,
            directories: Vec::new(),
            index: HashMap::new(),
            staged: HashMap::new(),
        });
        Ok(source)
    }

    /// Returns an installed package's version.
    pub(super) fn version(&self, id: Option<PackageId>) -> Option<Vec<u8>> {
        Some(self.database.stanza(id?)?.version.clone())
    }

    /// Takes an entry of the package that has begun, in the order of its data; `file` is a
    /// regular file's content.
    pub fn package_entry(
        &mut self,
        entry: Entry,
        file: Option<FileContent>,
    ) -> Result<(), MergeError> {
        self.pass_over();
        self.count_inline(&entry.path, file.as_ref())?;
        let place = self.next_place();
        let mut pending = self.current.take().ok_or(NOT_BEGUN)?;
        let result = self.stage(&mut pending, entry, file, place);
        self.current = Some(pending);
        result
    }

    fn stage(
        &mut self,
        pending: &mut Pending,
        entry: Entry,
        file: Option<FileContent>,
        place: Place,
    ) -> Result<(), MergeError> {
        // apk takes what begins with a dot for its own members, and says nothing.
        if pending.stanza.installed_size == 0 || entry.path.as_bytes().starts_with(b".") {
            return Ok(());
        }
        let (uid, gid) = self.owner_of(&entry)?;
        let acl = Acl {
            uid,
            gid,
            mode: entry.mode,
            xattrs: Acl::xattr_digest(&entry.xattrs),
        };
        if entry.kind == EntryKind::Directory {
            self.touch(&entry.path, Some((entry.mode, entry.mtime, place)));
            self.database.add_directory(&entry.path, pending.id, acl);
            let index = pending.directory(&entry.path);
            if let Some(directory) = pending.directories.get_mut(index) {
                directory.acl = acl;
            }
            return Ok(());
        }
        let (Some(parent), Some(name)) = (entry.path.parent(), entry.path.name()) else {
            return Ok(());
        };
        if self.dialect == Dialect::V2 && name.starts_with(b".keep_") {
            return Ok(());
        }
        if !parent.is_root() && !pending.index.contains_key(&parent) {
            return Err(MergeError::NoDirectory {
                path: entry.path,
                package: pending.stanza.label(),
            });
        }
        let Claim::Granted { previous } = self.claim(pending, &entry.path)? else {
            return Ok(());
        };
        let (node, checksum) = self.stage_node(pending, &entry, file, acl, place)?;
        let owned = Owned {
            package: pending.id,
            checksum,
        };
        self.database.own(entry.path.clone(), owned);
        let name = name.to_vec();
        if parent.is_root() {
            self.touch(&parent, None);
        }
        let index = pending.directory(&parent);
        if let Some(directory) = pending.directories.get_mut(index) {
            directory.files.push(PendingFile {
                name,
                acl,
                checksum,
                node,
                place,
                previous,
            });
        }
        Ok(())
    }

    /// Decides whether the package gets a file.
    fn claim(&mut self, pending: &Pending, path: &GuestPath) -> Result<Claim, MergeError> {
        let Some(owned) = self.database.owner(path) else {
            return Ok(Claim::Granted { previous: None });
        };
        let Some(owner) = self.database.stanza(owned.package) else {
            // Only the package itself is not among the installed ones.
            return Err(MergeError::Twice {
                path: path.clone(),
                package: pending.stanza.label(),
            });
        };
        match replaces::decide(owner, &pending.stanza, self.dialect) {
            Verdict::Conflict => Err(MergeError::Conflict {
                path: path.clone(),
                new: pending.stanza.label(),
                owner: owner.label(),
            }),
            Verdict::Leave => Ok(Claim::Denied),
            Verdict::Take => {
                if Some(owned.package) != pending.old {
                    self.database.forget_file(owned.package, path);
                }
                Ok(Claim::Granted {
                    previous: owned.checksum,
                })
            }
        }
    }

    /// Adds the inode of an entry, or finds that of a hard link.
    fn stage_node(
        &mut self,
        pending: &mut Pending,
        entry: &Entry,
        file: Option<FileContent>,
        acl: Acl,
        place: Place,
    ) -> Result<(NodeId, Option<Sha1>), MergeError> {
        if let EntryKind::Hardlink(target) = &entry.kind {
            let found = pending.staged.get(target).copied();
            let node = found.and_then(|(id, _)| self.tree.node_mut(id));
            let (Some((id, checksum)), Some(node)) = (found, node) else {
                return Err(MergeError::LinkTarget {
                    path: entry.path.clone(),
                    target: target.clone(),
                    package: pending.stanza.label(),
                });
            };
            link_changes(node, entry, acl);
            // A link may be linked to in turn.
            pending.staged.insert(entry.path.clone(), (id, checksum));
            return Ok((id, checksum));
        }
        let kind = node_kind(entry.kind.clone(), file, &entry.path)?;
        let checksum = match &kind {
            NodeKind::File(file) if entry.checksum.is_some() => Some(file.sha1),
            NodeKind::Symlink(target) if entry.checksum.is_some() => Some(Sha1::of(target)),
            NodeKind::File(_) | NodeKind::Symlink(_) => {
                return Err(MergeError::NoChecksum {
                    path: entry.path.clone(),
                    package: pending.stanza.label(),
                });
            }
            _ => None,
        };
        let mut node = Node::new(kind, entry.mode, entry.mtime, place);
        (node.uid, node.gid) = (acl.uid, acl.gid);
        if matches!(node.kind, NodeKind::Symlink(_)) {
            // A link has no mode of its own.
            node.mode = 0o777;
        } else {
            node.xattrs.clone_from(&entry.xattrs);
        }
        let links = matches!(node.kind, NodeKind::File(_));
        let id = self.tree.add_node(node);
        if links {
            let staged = (id, checksum);
            pending.staged.insert(entry.path.clone(), staged);
        }
        Ok((id, checksum))
    }
}

/// The calls came in the wrong order.
pub(super) const NOT_BEGUN: MergeError = MergeError::Order("no package has begun");

/// What apk does to an inode when it unpacks another name of it, as Linux carries it out: it
/// sets the owner, which takes the set-id bits away; sets the mode only if that has a set-id or
/// sticky bit; and sets the time and the extended attributes.
fn link_changes(node: &mut Node, entry: &Entry, acl: Acl) {
    const SET_UID: u32 = 0o4000;
    const SET_GID: u32 = 0o2000;
    const GROUP_EXECUTE: u32 = 0o010;
    (node.uid, node.gid) = (acl.uid, acl.gid);
    node.mode &= !SET_UID;
    if node.mode & GROUP_EXECUTE != 0 {
        node.mode &= !SET_GID;
    }
    if entry.mode & 0o7000 != 0 {
        node.mode = entry.mode;
    }
    node.mtime = entry.mtime;
    node.xattrs.extend(entry.xattrs.clone());
}
