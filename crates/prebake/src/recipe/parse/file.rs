//! `[[file]]`: files of the recipe's own.

use super::Reader;
use super::word::mode;
use crate::document::Table;
use crate::recipe::{File, FileContent};

/// A file that a recipe adds is readable by all and writable by root, unless it says otherwise.
const DEFAULT_FILE_MODE: u32 = 0o644;

impl Reader<'_> {
    pub(super) fn file(&self, table: &Table<'_>) -> Option<File> {
        let path = self.path(table, "path", "where the file goes in the rootfs");
        let content = table.string("content");
        let source = table.string("source");
        let content = match (table.has("content"), table.has("source")) {
            (true, false) => content.map(|text| FileContent::Text(text.value)),
            (false, true) => source.map(|at| FileContent::Source {
                path: self.folder.join(&at.value),
                at,
            }),
            (true, true) => {
                self.problems
                    .add(&table.key_span("source"), "both `content` and `source`");
                None
            }
            (false, false) => {
                self.problems.add_with_hint(
                    &table.span,
                    "`[[file]]` has neither `content` nor `source`",
                    "the text itself, or a file beside the recipe",
                );
                None
            }
        };
        let mode = mode(table, "mode", DEFAULT_FILE_MODE);
        let (user, group) = self.owner(table)?;
        Some(File {
            path: path?,
            content: content?,
            mode: mode?,
            user,
            group,
        })
    }
}
