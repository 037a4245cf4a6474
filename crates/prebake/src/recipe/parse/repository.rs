//! `[[repository]]`: where packages come from.

use super::Reader;
use super::word::without_slash;
use crate::document::{At, Table};
use crate::recipe::Repository;

impl Reader<'_> {
    pub(super) fn repository(&self, table: &Table<'_>) -> Option<Repository> {
        let url = table
            .required_string(
                "url",
                "the folder above the architecture's, as in apk's `repositories`",
            )
            .filter(|url| self.is_url(url));
        let tag = table.string("tag").and_then(|tag| {
            let word = tag.value.strip_prefix('@').unwrap_or(&tag.value);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
            if word.is_empty() || !word.chars().all(plain) {
                self.problems
                    .add(&tag.span, format!("`{}` is not a tag", tag.value));
                return None;
            }
            Some(word.to_owned())
        });
        let keys = self.keys(table);
        let mirrors = self.urls(&table.strings("mirrors"));
        let url = url.map(|url| At {
            value: without_slash(&url.value),
            span: url.span,
        })?;
        Some(Repository {
            url,
            tag,
            keys,
            mirrors,
        })
    }
}
