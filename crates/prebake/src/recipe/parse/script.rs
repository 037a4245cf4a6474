//! `scripts` and `[[script]]`: which scripts of packages count.

use prebake_apk::package::ScriptKind;

use super::{Reader, all};
use crate::document::{At, Table, nearest};
use crate::recipe::{Scripts, SkippedScript};

const SCRIPT: &[&str] = &["package", "script", "skip"];

/// What `scripts` may be.
const WORDS: [&str; 2] = ["record", "skip"];

impl Reader<'_> {
    pub(super) fn scripts(&self, top: &Table<'_>) -> Scripts {
        let word = top.string("scripts").filter(|word| self.is_word(word));
        Scripts {
            skip: word.is_some_and(|word| word.value == "skip"),
            skipped: all(top, "script", SCRIPT, |table| self.script(table)),
        }
    }

    fn script(&self, table: &Table<'_>) -> Option<SkippedScript> {
        let package = table.required_string("package", "the name of the package that brings it");
        let kind = match table.string("script") {
            None => None,
            Some(name) => Some(self.script_kind(&name)?),
        };
        if !table.flag("skip")? {
            self.problems.add_with_hint(
                &table.span,
                "a [[script]] that says nothing of the script",
                "write `skip = true` to do without its effect",
            );
        }
        Some(SkippedScript {
            package: package?,
            kind,
        })
    }

    fn script_kind(&self, name: &At<String>) -> Option<ScriptKind> {
        let kind = ScriptKind::from_name(name.value.as_bytes());
        if kind.is_none() {
            let names = ScriptKind::ALL.map(ScriptKind::name);
            let hint = nearest(&name.value, names.into_iter()).map_or_else(
                || format!("packages have {}", names.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("`{}` is no script of packages", name.value);
            self.problems.add_with_hint(&name.span, message, hint);
        }
        kind
    }

    fn is_word(&self, word: &At<String>) -> bool {
        let good = WORDS.contains(&word.value.as_str());
        if !good {
            let message = format!("`scripts` cannot be `{}`", word.value);
            let hint = "`record` runs them once, while the lock is made; `skip` does without";
            self.problems.add_with_hint(&word.span, message, hint);
        }
        good
    }
}
