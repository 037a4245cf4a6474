//! What the recipe changes in what the packages left: directories, links, removals.
//!
//! Links on the way to a path are followed, never out of the root; one at its end is what is meant.
//! What belongs to a package may be replaced or taken away, as an administrator might, and is noted
//! in the report: apk's database still lists it. apk's own files are apk's.

use prebake_apk::path::GuestPath;

use super::owners::{GROUP, PASSWD};
use super::{Merge, MergeError, Owner};
use crate::tree::{FileContent, Node, NodeId, NodeKind, ResolveError};

/// The places that only apk writes to.
const APKS_OWN: [&[u8]; 3] = [b"lib/apk/db", b"etc/apk/world", b"etc/apk/arch"];

/// Why the recipe cannot change the tree so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// It is a file of apk's own, or holds one.
    #[error("{0} is apk's own, and only apk's rules change it")]
    ApksOwn(GuestPath),
    /// There is nothing to change.
    #[error("there is no {0} in the rootfs")]
    Missing(GuestPath),
    /// A directory is to go with what is in it, and nobody said so.
    #[error("the directory {0} is not empty")]
    NotEmpty(GuestPath),
    /// A file or link would stand where a directory is, or at the root.
    #[error("{0} is a directory")]
    IsDirectory(GuestPath),
    /// A directory would stand where something else is.
    #[error("{0} is there, and not a directory")]
    NotDirectory(GuestPath),
    /// A path leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The rootfs's own files do not say what is asked of them.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

impl Merge {
    /// Returns a file's bytes, through links; nothing where there is none. It must be one of those
    /// that are held in memory ([`Merge::wants_inline`]).
    pub fn text(&self, path: &GuestPath) -> Result<Vec<u8>, MergeError> {
        self.read(path)
    }

    /// Says whether a package of that name is installed.
    pub fn is_installed(&self, name: &[u8]) -> bool {
        self.database.find(name).is_some()
    }

    /// Changes the content of a file, through links, and nothing else of it but its time; makes
    /// one of root's and `mode` where there is none.
    pub fn rewrite_file(
        &mut self,
        path: &GuestPath,
        content: Vec<u8>,
        mode: u32,
    ) -> Result<(), ChangeError> {
        let there = self.tree.resolve(path).ok();
        let id = there.and_then(|name| self.tree.id(&name));
        let content = NodeKind::File(FileContent::inline(content));
        let Some(old) = id.and_then(|id| self.tree.node_mut(id)) else {
            let place = self.generated_place();
            let name = self.with_parents(path, self.epoch, place)?;
            self.put(name, Node::new(content, mode, self.epoch, place), place);
            return Ok(());
        };
        if old.is_directory() {
            return Err(ChangeError::IsDirectory(path.clone()));
        }
        (old.kind, old.mtime) = (content, self.epoch);
        Ok(())
    }

    /// Makes a directory with those above it, or changes the mode and owner of the one that is
    /// there.
    pub fn add_directory(
        &mut self,
        path: &GuestPath,
        mode: u32,
        user: &Owner,
        group: &Owner,
    ) -> Result<(), ChangeError> {
        let uid = self.number(user, "user", PASSWD)?;
        let gid = self.number(group, "group", GROUP)?;
        // A directory may be a link's: the one that it leads to is meant.
        let real = match self.tree.resolve(path) {
            Ok(real) => real,
            Err(_) => self.tree.real_name(path).unwrap_or_else(|_| path.clone()),
        };
        self.refuse_apks_own(path, &real, false)?;
        if let Some(node) = self.tree.id(&real).and_then(|id| self.tree.node_mut(id)) {
            if !node.is_directory() {
                return Err(ChangeError::NotDirectory(path.clone()));
            }
            (node.mode, node.uid, node.gid) = (mode, uid, gid);
            self.leave_alone(&real);
            return Ok(());
        }
        let place = self.generated_place();
        let name = self.with_parents(path, self.epoch, place)?;
        let mut node = Node::new(NodeKind::Directory, mode, self.epoch, place);
        (node.uid, node.gid) = (uid, gid);
        self.put(name, node, place);
        Ok(())
    }

    /// Puts a symbolic link in place, whatever was there but a directory.
    pub fn add_symlink(&mut self, path: &GuestPath, target: &[u8]) -> Result<(), ChangeError> {
        let place = self.generated_place();
        let name = self.place_for(path)?;
        if let Some(NodeKind::Symlink(old)) = self.tree.get(&name).map(|node| &node.kind)
            && old == target
        {
            return Ok(());
        }
        self.note_replaced(path, &name);
        let kind = NodeKind::Symlink(target.to_vec());
        self.put(name, Node::new(kind, 0o777, self.epoch, place), place);
        Ok(())
    }

    /// Gives a file another name, whatever had it but a directory.
    pub fn add_hard_link(
        &mut self,
        path: &GuestPath,
        target: &GuestPath,
    ) -> Result<(), ChangeError> {
        let real = self.tree.real_name(target)?;
        let id = self.tree.id(&real);
        let id: NodeId = id.ok_or_else(|| ChangeError::Missing(target.clone()))?;
        if self.tree.node(id).is_some_and(Node::is_directory) {
            return Err(ChangeError::IsDirectory(target.clone()));
        }
        self.refuse_apks_own(target, &real, false)?;
        let place = self.generated_place();
        let name = self.place_for(path)?;
        if name != real {
            self.note_replaced(path, &name);
            self.tree.link(name, id, place);
        }
        Ok(())
    }

    /// Takes something away: a directory only if it is empty, or else with all that is in it where
    /// `recursive` says so.
    pub fn remove(&mut self, path: &GuestPath, recursive: bool) -> Result<(), ChangeError> {
        let name = self.tree.real_name(path)?;
        if name.is_root() {
            return Err(ChangeError::IsDirectory(path.clone()));
        }
        if self.tree.get(&name).is_none() {
            return Err(ChangeError::Missing(path.clone()));
        }
        self.refuse_apks_own(path, &name, true)?;
        let below: Vec<_> = self.tree.children(&name).cloned().collect();
        if !below.is_empty() && !recursive {
            return Err(ChangeError::NotEmpty(path.clone()));
        }
        let mut owned = self.package_of(path).or_else(|| self.package_of(&name));
        let mut more = 0_usize;
        for gone in &below {
            if let Some(package) = self.package_of(gone) {
                more += usize::from(owned.is_some());
                owned.get_or_insert(package);
            }
            self.tree.unlink(gone);
        }
        self.tree.unlink(&name);
        if let Some(package) = owned {
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.note(
                path,
                &format!("takes away {path}, a file of {package}{more}"),
            );
        }
        Ok(())
    }

    /// Returns the name at which something may be put for `path`, its directories made.
    pub(super) fn place_for(&mut self, path: &GuestPath) -> Result<GuestPath, ChangeError> {
        let place = self.generated_place();
        let name = self.with_parents(path, self.epoch, place)?;
        if name.is_root() || self.tree.get(&name).is_some_and(Node::is_directory) {
            return Err(ChangeError::IsDirectory(path.clone()));
        }
        self.refuse_apks_own(path, &name, true)?;
        Ok(name)
    }

    /// Notes that the recipe replaces a package's file.
    pub(super) fn note_replaced(&mut self, path: &GuestPath, name: &GuestPath) {
        if self.tree.get(name).is_none() {
            return;
        }
        if let Some(package) = self.package_of(path).or_else(|| self.package_of(name)) {
            self.note(path, &format!("replaces {path}, a file of {package}"));
        }
    }

    /// Notes what the recipe does to a package's files. What lies in `/etc` is an administrator's
    /// to change, for apk as well.
    fn note(&mut self, path: &GuestPath, what: &str) {
        if path.as_bytes().starts_with(b"etc/") {
            return;
        }
        let warning = format!(
            "the recipe {what}: the apk database still lists it, so `apk audit` shows it and `apk \
             fix` undoes it"
        );
        self.report.warnings.push(warning);
    }

    /// Returns the package that a file belongs to.
    fn package_of(&self, path: &GuestPath) -> Option<String> {
        let owned = self.database.owner(path)?;
        Some(self.database.stanza(owned.package)?.label())
    }

    /// Refuses what is apk's own, by any name, and with `holding` also a directory that holds such,
    /// or a link to one on apk's way there.
    pub(super) fn refuse_apks_own(
        &self,
        path: &GuestPath,
        real: &GuestPath,
        holding: bool,
    ) -> Result<(), ChangeError> {
        for own in APKS_OWN {
            let own = super::base::guest(own);
            let there = self.tree.resolve(&own).ok();
            for own in [Some(own), there].into_iter().flatten() {
                let within = real == &own || is_below(real, &own);
                if within || (holding && is_below(&own, real)) {
                    return Err(ChangeError::ApksOwn(path.clone()));
                }
            }
        }
        Ok(())
    }
}

fn is_below(path: &GuestPath, directory: &GuestPath) -> bool {
    let rest = path.as_bytes().strip_prefix(directory.as_bytes());
    rest.is_some_and(|rest| rest.first() == Some(&b'/'))
}
