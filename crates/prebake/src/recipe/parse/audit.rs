//! `[audit]`: what must not be in the rootfs.

use super::Reader;
use crate::audit::{Allowance, AllowanceError, Kind, Policy, UnknownKind};
use crate::document::{At, Table};

const AUDIT: &[&str] = &["deny", "allow"];

impl Reader<'_> {
    pub(super) fn audit(&self, top: &Table<'_>) -> Policy {
        let Some(table) = top.table("audit", "[audit]", AUDIT) else {
            return Policy::default();
        };
        let deny = table.strings("deny");
        let deny = deny.iter().filter_map(|word| match word.value.parse() {
            Ok(kind) => Some(kind),
            Err(unknown) => {
                self.unknown_kind(word, &unknown);
                None
            }
        });
        let allow = table.strings("allow");
        let allow = allow.iter().filter_map(|text| {
            match text.value.parse::<Allowance>() {
                Ok(allowed) => return Some(allowed),
                Err(AllowanceError::Kind(unknown)) => self.unknown_kind(text, &unknown),
                Err(AllowanceError::Form(_)) => self.problems.add_with_hint(
                    &text.span,
                    format!("`{}` does not say what may be found", text.value),
                    "write KIND:SUBJECT, as in `setuid:/bin/bbsuid`",
                ),
            }
            None
        });
        Policy {
            deny: deny.collect(),
            allow: allow.collect(),
        }
    }

    fn unknown_kind(&self, word: &At<String>, unknown: &UnknownKind) {
        let hint = unknown.near.map_or_else(
            || format!("there are {}", Kind::ALL.map(Kind::name).join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let message = format!("`{}` is no kind of finding", unknown.word);
        self.problems.add_with_hint(&word.span, message, hint);
    }
}
