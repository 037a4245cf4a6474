//! `packages`: what to install.

use super::Reader;
use crate::document::At;

impl Reader<'_> {
    pub(super) fn packages(&self, packages: &[At<String>]) {
        let mut names = Vec::new();
        for package in packages {
            match crate::world::check_entry(&package.value) {
                Err(message) => {
                    let hint = crate::world::ENTRY_HINT;
                    self.problems.add_with_hint(&package.span, message, hint);
                }
                // Of two entries of one name apk keeps the last, which nobody means.
                Ok(name) if names.contains(&name) => {
                    self.problems
                        .add(&package.span, format!("`{name}` is named twice"));
                }
                Ok(name) => names.push(name),
            }
        }
    }
}
