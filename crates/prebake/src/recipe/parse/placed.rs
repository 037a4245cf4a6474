//! `[[link]]`, `[[dir]]` and `[[remove]]`: changes to what the packages leave.

use super::Reader;
use super::word::mode;
use crate::document::{At, Table};
use crate::recipe::{Directory, Link, LinkTarget, Remove};

/// A directory that a recipe adds is anybody's to enter, unless it says otherwise.
const DEFAULT_DIRECTORY_MODE: u32 = 0o755;

impl Reader<'_> {
    pub(super) fn link(&self, table: &Table<'_>) -> Option<Link> {
        let path = self.path(table, "path", "where the link goes in the rootfs");
        let target = table.required_string("target", "what the link leads to");
        let target = if table.flag("hard")? {
            LinkTarget::Hard(self.any_path(target)?)
        } else {
            LinkTarget::Symbolic(target.filter(|target| self.is_link_text(target))?.value)
        };
        Some(Link {
            path: path?,
            target,
        })
    }

    fn is_link_text(&self, target: &At<String>) -> bool {
        // Linux takes no longer one.
        let good = !target.value.is_empty()
            && target.value.len() <= prebake_apk::path::GuestPath::MAX_LENGTH
            && !target.value.contains(char::is_control);
        if !good {
            self.problems
                .add(&target.span, "`target` is nothing that a link can lead to");
        }
        good
    }

    pub(super) fn directory(&self, table: &Table<'_>) -> Option<Directory> {
        let path = self.path(table, "path", "where the directory is in the rootfs");
        let mode = mode(table, "mode", DEFAULT_DIRECTORY_MODE);
        let (user, group) = self.owner(table)?;
        Some(Directory {
            path: path?,
            mode: mode?,
            user,
            group,
        })
    }

    pub(super) fn remove(&self, table: &Table<'_>) -> Option<Remove> {
        let path = self.path(table, "path", "what goes from the rootfs");
        let recursive = table.flag("recursive")?;
        Some(Remove {
            path: path?,
            recursive,
        })
    }
}
