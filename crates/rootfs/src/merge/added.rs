//! Files that the recipe itself brings.

use std::sync::Arc;

use prebake_apk::path::GuestPath;

use super::owners::{GROUP, NameFile, PASSWD};
use super::{ChangeError, Merge, MergeError};
use crate::tree::{FileContent, Node, NodeKind};

/// A user or group as a recipe names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// By number.
    Id(u32),
    /// By name, which the root filesystem's own `passwd` or `group` must have.
    Name(String),
}

impl Merge {
    /// Puts a file in place, whatever was there but a directory. Missing directories above it
    /// are made, root's and 0755; symbolic links above it are followed, never one in its place.
    pub fn add_file(
        &mut self,
        path: &GuestPath,
        content: impl Into<Arc<[u8]>>,
        mode: u32,
        user: &Owner,
        group: &Owner,
    ) -> Result<(), ChangeError> {
        let uid = self.number(user, "user", PASSWD)?;
        let gid = self.number(group, "group", GROUP)?;
        let name = self.place_for(path)?;
        self.note_replaced(path, &name);
        let place = self.generated_place();
        let content = NodeKind::File(FileContent::inline(content));
        let mut node = Node::new(content, mode, self.epoch, place);
        (node.uid, node.gid) = (uid, gid);
        self.put(name, node, place);
        Ok(())
    }

    pub(super) fn number(
        &self,
        owner: &Owner,
        kind: &'static str,
        file: NameFile,
    ) -> Result<u32, MergeError> {
        let name = match owner {
            Owner::Id(number) => return Ok(*number),
            Owner::Name(name) => name,
        };
        // As the files are by now: packages and earlier files of the recipe may have changed them.
        let number = self.look_up(file, name.as_bytes())?;
        number.ok_or_else(|| MergeError::UnknownOwner {
            kind,
            name: name.clone(),
            file: file.path,
        })
    }
}
