//! A TOML document read strictly: what the recipe and the lock have in common.

mod problem;
mod table;

use std::path::Path;

use prebake_apk::shown::plain;
use toml::de::DeTable;

pub use self::problem::{DocumentError, Problem};
pub use self::table::At;
use self::table::LONGEST;
pub(crate) use self::table::{Item, Problems, Table, nearest};

/// Reads `text`, which `path` names in messages and `what` in words, by handing its top table to
/// `read`; fails with every problem that was reported on the way.
///
/// `read` returns `None` only where it reported one.
pub(crate) fn read<T>(
    what: &'static str,
    path: &Path,
    text: &str,
    known: &[&str],
    read: impl FnOnce(&Table<'_>, &Problems) -> Option<T>,
) -> Result<T, DocumentError> {
    let fail = |problems| {
        Err(DocumentError {
            what,
            path: path.to_owned(),
            text: text.to_owned(),
            problems,
        })
    };
    let document = match DeTable::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let message = plain(error.message(), LONGEST);
            let span = error.span().unwrap_or(0..0);
            return fail(vec![Problem {
                message,
                span,
                hint: None,
            }]);
        }
    };
    let problems = Problems::default();
    let top = Table::new(document.get_ref(), 0..0, what, known, &problems);
    let value = read(&top, &problems);
    let found = problems.into_sorted();
    match value {
        Some(value) if found.is_empty() => Ok(value),
        _ => fail(found),
    }
}
