//! Reads one TOML table strictly: each key is known, each value has its type, each mistake has
//! a place.

use std::cell::RefCell;
use std::ops::Range;

use prebake_apk::shown::plain;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// A value and where it stands in the document's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands, in bytes.
    pub span: Range<usize>,
}

/// How much is said of one mistake, in characters: a value that it quotes may be of any length.
pub(super) const LONGEST: usize = 600;

/// Collects mistakes while the rest is still read, so that one run names them all.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(crate) fn add(&self, span: &Range<usize>, message: impl Into<String>) {
        self.push(span, message.into(), None);
    }

    pub(crate) fn add_with_hint(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(span, message.into(), Some(hint.into()));
    }

    fn push(&self, span: &Range<usize>, message: String, hint: Option<String>) {
        self.0.borrow_mut().push(Problem {
            message: plain(&message, LONGEST),
            span: span.clone(),
            hint: hint.map(|hint| plain(&hint, LONGEST)),
        });
    }

    pub(crate) fn into_sorted(self) -> Vec<Problem> {
        let mut problems = self.0.into_inner();
        problems.sort_by_key(|problem| problem.span.start);
        problems
    }
}

/// An element of a list that may hold texts and tables.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Text(At<String>),
    Table(Table<'a>),
}

/// A table whose keys were checked against the ones it may have.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    entries: &'a DeTable<'a>,
    /// The table's header, or the whole value where it has none.
    pub(crate) span: Range<usize>,
    problems: &'a Problems,
}

impl<'a> Table<'a> {
    /// Wraps `table`, which `name` calls in messages, and reports each key that is not `known`.
    pub(crate) fn new(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        name: &str,
        known: &[&str],
        problems: &'a Problems,
    ) -> Self {
        for key in table.keys() {
            let text: &str = key.get_ref();
            if !known.contains(&text) {
                let message = format!("unknown key `{text}` in {name}");
                let hint = nearest(text, known.iter().copied()).map_or_else(
                    || format!("known keys: {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                problems.add_with_hint(&key.span(), message, hint);
            }
        }
        Self {
            entries: table,
            span,
            problems,
        }
    }

    fn value(&self, key: &str) -> Option<(&'a DeValue<'a>, Range<usize>)> {
        self.entries
            .get(key)
            .map(|value| (value.get_ref(), value.span()))
    }

    pub(crate) fn wrong_type(&self, key: &str, span: &Range<usize>, wanted: &str, found: &str) {
        self.problems.add(
            span,
            format!("`{key}` must be {wanted}, not {}", with_article(found)),
        );
    }

    /// Says whether the table has `key` at all, whatever its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns where `key` itself stands.
    pub(crate) fn key_span(&self, key: &str) -> Range<usize> {
        self.entries
            .get_key_value(key)
            .map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    /// Returns where `key`'s value stands.
    pub(crate) fn value_span(&self, key: &str) -> Range<usize> {
        self.value(key)
            .map_or_else(|| self.span.clone(), |(_, span)| span)
    }

    /// Reads `key` as `true` or `false`, which it is where it is not there.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            None => Some(false),
            Some((DeValue::Boolean(flag), _)) => Some(*flag),
            Some((other, span)) => {
                self.wrong_type(key, &span, "`true` or `false`", other.type_str());
                None
            }
        }
    }

    pub(crate) fn string(&self, key: &str) -> Option<At<String>> {
        let (value, span) = self.value(key)?;
        match value {
            DeValue::String(text) => Some(At {
                value: text.to_string(),
                span,
            }),
            // A release or a version that looks like a number: `release = 3.20`.
            DeValue::Float(_) | DeValue::Integer(_) => {
                self.problems.add_with_hint(
                    &span,
                    format!(
                        "`{key}` must be a string, not {}",
                        with_article(value.type_str())
                    ),
                    "put it in quotes",
                );
                None
            }
            other => {
                self.wrong_type(key, &span, "a string", other.type_str());
                None
            }
        }
    }

    /// Reads `key` as a string that must be there; `why` ends the message where it is not.
    pub(crate) fn required_string(&self, key: &str, why: &str) -> Option<At<String>> {
        if !self.has(key) {
            self.problems
                .add(&self.span, format!("`{key}` is missing: {why}"));
        }
        self.string(key)
    }

    pub(crate) fn strings(&self, key: &str) -> Vec<At<String>> {
        let Some((value, span)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.wrong_type(key, &span, "a list of strings", value.type_str());
            return Vec::new();
        };
        let mut strings = Vec::with_capacity(items.len());
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => {
                    strings.push(At {
                        value: text.to_string(),
                        span: item.span(),
                    });
                }
                other => {
                    self.wrong_type(key, &item.span(), "a list of strings", other.type_str());
                }
            }
        }
        strings
    }

    /// Reads `key` as a list of strings and of tables, which `name` calls in messages.
    pub(crate) fn items(&self, key: &str, name: &str, known: &[&str]) -> Vec<Item<'a>> {
        let Some((value, span)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(values) = value else {
            self.wrong_type(key, &span, "a list of strings", value.type_str());
            return Vec::new();
        };
        let mut items = Vec::with_capacity(values.len());
        for item in values {
            let span = item.span();
            match item.get_ref() {
                DeValue::String(text) => items.push(Item::Text(At {
                    value: text.to_string(),
                    span,
                })),
                DeValue::Table(table) => {
                    let table = Table::new(table, span, name, known, self.problems);
                    items.push(Item::Table(table));
                }
                other => self.wrong_type(key, &span, "a list of strings", other.type_str()),
            }
        }
        items
    }

    /// Reads `key` as one string or a list of them.
    pub(crate) fn string_or_strings(&self, key: &str) -> Vec<At<String>> {
        match self.value(key) {
            Some((DeValue::String(text), span)) => vec![At {
                value: text.to_string(),
                span,
            }],
            Some(_) => self.strings(key),
            None => Vec::new(),
        }
    }

    pub(crate) fn table(&self, key: &str, name: &str, known: &[&str]) -> Option<Table<'a>> {
        let (value, span) = self.value(key)?;
        match value {
            DeValue::Table(table) => Some(Table::new(table, span, name, known, self.problems)),
            other => {
                self.wrong_type(key, &span, &format!("a table, {name}"), other.type_str());
                None
            }
        }
    }

    /// Reads `key` as a table from text to text, whatever its keys.
    pub(crate) fn string_map(&self, key: &str) -> Vec<(At<String>, At<String>)> {
        let Some((DeValue::Table(table), _)) = self.value(key) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (name, value) in table {
            match value.get_ref() {
                DeValue::String(text) => entries.push((
                    At {
                        value: name.get_ref().to_string(),
                        span: name.span(),
                    },
                    At {
                        value: text.to_string(),
                        span: value.span(),
                    },
                )),
                other => {
                    self.wrong_type(key, &value.span(), "a table of strings", other.type_str());
                }
            }
        }
        entries
    }

    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        matches!(self.value(key), Some((DeValue::Array(items), _)) if items.is_empty())
    }

    pub(crate) fn is_table(&self, key: &str) -> bool {
        matches!(self.value(key), Some((DeValue::Table(_), _)))
    }

    pub(crate) fn tables(&self, key: &str, name: &str, known: &[&str]) -> Vec<Table<'a>> {
        let Some((value, span)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.wrong_type(
                key,
                &span,
                &format!("a list of tables, {name}"),
                value.type_str(),
            );
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => {
                    tables.push(Table::new(table, item.span(), name, known, self.problems));
                }
                other => {
                    self.wrong_type(
                        key,
                        &item.span(),
                        &format!("a table, {name}"),
                        other.type_str(),
                    );
                }
            }
        }
        tables
    }

    /// Reads `key` as a whole number of 0 or more.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        let (value, span) = self.value(key)?;
        let number = match value {
            DeValue::Integer(number) if number.radix() == 10 => {
                number.as_str().replace('_', "").parse().ok()
            }
            _ => None,
        };
        if number.is_none() {
            self.wrong_type(key, &span, "a whole number of 0 or more", value.type_str());
        }
        number
    }

    /// Reads `key` as permission bits: `0o755`, or `"0755"` as `chmod` takes it.
    pub(crate) fn mode(&self, key: &str) -> Option<u32> {
        let (value, span) = self.value(key)?;
        let parsed = match value {
            DeValue::String(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8).ok(),
            DeValue::Integer(number) if number.radix() == 8 => {
                u32::from_str_radix(&number.as_str().replace('_', ""), 8).ok()
            }
            DeValue::Integer(number) => {
                self.problems.add_with_hint(
                    &span,
                    format!("`{key}` is not octal"),
                    format!("write `0o{0}` or `\"0{0}\"`", number.as_str()),
                );
                return None;
            }
            other => {
                self.wrong_type(key, &span, "a mode such as 0o755", other.type_str());
                return None;
            }
        };
        match parsed {
            Some(mode) if mode <= 0o7777 => Some(mode),
            _ => {
                self.problems
                    .add(&span, format!("`{key}` is not a mode between 0 and 0o7777"));
                None
            }
        }
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

/// Returns the word of `words` that `text` was most likely meant to be, if one is near enough.
pub(crate) fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    words
        .map(|word| (strsim::damerau_levenshtein(text, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len().min(text.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
