//! Package indexes, and the package stanzas of an installed database.
//!
//! Both are lines of `X:value` with an empty line after each package. An [`Index`] keeps the text
//! in one piece and, of each package, where its parts are; what a solver does not look at is read
//! only when asked for. Judged by what the real apk 2.14.4 makes of the same texts.

use std::sync::OnceLock;

use memchr::memchr;

use crate::digest::Sha1;
use crate::limits::MAX_INDEX_PACKAGES;
use crate::shown::shown;
use crate::version::Dialect;
use parsed::Parsed;
use tables::Tables;

mod directory;
mod name_hash;
mod origin;
mod parsed;
mod stanza;
mod tables;

pub use directory::{Directory, Giver, Link, Named, Referring};
pub use name_hash::name_hash;
pub use origin::Origin;
pub use stanza::Stanza;
pub use tables::TextAt;

/// The packages of one index or of one installed database.
#[derive(Clone)]
pub struct Index(Form);

/// What an index was read from. Boxed, for both are large.
#[derive(Clone)]
enum Form {
    Text(Box<Text>),
    Parsed(Box<Parsed>),
}

#[derive(Clone)]
struct Text {
    all: String,
    records: Vec<Record>,
    /// Who gives which name, as apk 2.14 and as apk 3.0 read it.
    directories: [OnceLock<Tables>; 2],
}

/// Where a stanza's parts are in the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    stanza: Range,
    name: Range,
    version: Range,
    architecture: Range,
    depends: Range,
    provides: Range,
    install_if: Range,
    identity: Option<Sha1>,
    provider_priority: u32,
    line: u32,
    unknown_field: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    start: u32,
    end: u32,
}

/// Why a text is not an index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It is longer than [`Index::MAX_LENGTH`].
    #[error("the index is longer than {} bytes", Index::MAX_LENGTH)]
    TooLong,
    /// It has more packages than [`MAX_INDEX_PACKAGES`].
    #[error("the index has more than {MAX_INDEX_PACKAGES} packages")]
    TooManyPackages,
    /// A line is not of the form `X:value`.
    #[error("line {line} is not of the form `X:value`")]
    BadLine {
        /// The line, counted from 1.
        line: u32,
    },
    /// A package has no `P:` or no `V:` or no `C:`.
    #[error("the package at line {line} has no `{field}:` line")]
    Missing {
        /// The line that the package begins at, counted from 1.
        line: u32,
        /// The letter that is missing.
        field: char,
    },
    /// A checksum or number cannot be read.
    #[error("line {line} holds `{value}`, which is not {expected}")]
    BadValue {
        /// The line, counted from 1.
        line: u32,
        /// What stands there.
        value: String,
        /// What belongs there.
        expected: &'static str,
    },
}

impl Index {
    /// The longest text taken, in bytes. Alpine's largest index has 8 million, the database of a
    /// full desktop some ten; positions are kept in 32 bits.
    pub const MAX_LENGTH: usize = 64 << 20;

    /// Reads the text of an `APKINDEX` or of a `lib/apk/db/installed`.
    ///
    /// Of an installed database the lines about files are passed over. Bytes that are not UTF-8,
    /// which only descriptions hold, become U+FFFD.
    pub fn parse(text: Vec<u8>) -> Result<Self, IndexError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(IndexError::TooLong);
        }
        let text = match String::from_utf8(text) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        let records = records(&text)?;
        Ok(Self(Form::Text(Box::new(Text {
            all: text,
            records,
            directories: Default::default(),
        }))))
    }

    /// Returns the number of packages.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Text(text) => text.records.len(),
            Form::Parsed(parsed) => parsed.len(),
        }
    }

    /// Says whether there is no package.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the package at a position, counted from 0 in the order of the text.
    pub fn get(&self, position: usize) -> Option<Stanza<'_>> {
        Some(match &self.0 {
            Form::Text(text) => text.stanza(text.records.get(position)?),
            Form::Parsed(parsed) => {
                Stanza::new(stanza::Form::Parsed(parsed.packages().get(position)?))
            }
        })
    }

    /// Returns who gives which name, as `dialect` has it; `None` of a parsed form that was made for
    /// another one. Of a text the first call of each dialect finds it out, which takes longer than
    /// reading the index did; the others cost nothing.
    pub fn directory(&self, dialect: Dialect) -> Option<Directory<'_>> {
        match &self.0 {
            Form::Text(text) => Some(text.directory(dialect)),
            Form::Parsed(parsed) => (parsed.dialect == dialect).then(|| parsed.directory()),
        }
    }

    /// Returns every package in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = Stanza<'_>> {
        (0..self.len()).filter_map(|position| self.get(position))
    }

    fn text(&self) -> Option<&Text> {
        match &self.0 {
            Form::Text(text) => Some(text),
            Form::Parsed(_) => None,
        }
    }

    fn parsed(&self) -> Option<&Parsed> {
        match &self.0 {
            Form::Text(_) => None,
            Form::Parsed(parsed) => Some(parsed),
        }
    }
}

impl From<Parsed> for Index {
    fn from(parsed: Parsed) -> Self {
        Self(Form::Parsed(Box::new(parsed)))
    }
}

impl Text {
    fn stanza<'a>(&'a self, record: &'a Record) -> Stanza<'a> {
        Stanza::new(stanza::Form::Text {
            text: &self.all,
            record,
        })
    }

    fn tables(&self, dialect: Dialect) -> &Tables {
        let [v2, v3] = &self.directories;
        let tables = match dialect {
            Dialect::V2 => v2,
            Dialect::V3 => v3,
        };
        tables.get_or_init(|| tables::build(&self.all, &self.records, dialect))
    }

    fn directory(&self, dialect: Dialect) -> Directory<'_> {
        let tables = self.tables(dialect);
        let packages = directory::Packages::Text {
            text: &self.all,
            records: &self.records,
            dialect,
        };
        Directory::new(tables.view(), packages, tables.names.len())
    }
}

fn slice(text: &str, range: Range) -> &str {
    text.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({} packages)", self.len())
    }
}

/// Finds every stanza.
fn records(text: &str) -> Result<Vec<Record>, IndexError> {
    let bytes = text.as_bytes();
    // Alpine's stanzas have some 400 bytes each.
    let mut records = Vec::with_capacity((bytes.len() / 400).min(MAX_INDEX_PACKAGES));
    let mut record: Option<Record> = None;
    let mut number = 0;
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        number += 1;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        let start = at;
        at += length + 1;
        if line.is_empty() {
            if let Some(mut done) = record.take() {
                done.stanza.end = start as u32;
                records.push(done.checked()?);
            }
            continue;
        }
        let [letter, b':', value @ ..] = line else {
            return Err(IndexError::BadLine { line: number });
        };
        let range = Range {
            start: (start + 2) as u32,
            end: (start + length) as u32,
        };
        if record.is_none() && records.len() == MAX_INDEX_PACKAGES {
            return Err(IndexError::TooManyPackages);
        }
        let record = record.get_or_insert_with(|| Record {
            line: number,
            stanza: Range {
                start: start as u32,
                end: 0,
            },
            ..Record::default()
        });
        match letter {
            b'P' => record.name = range,
            b'V' => record.version = range,
            b'A' => record.architecture = range,
            b'D' => record.depends = range,
            b'p' => record.provides = range,
            b'i' => record.install_if = range,
            b'C' => {
                record.identity = Some(
                    Sha1::from_apk(value)
                        .map_err(|_| bad_value(number, value, "an apk checksum"))?,
                );
            }
            b'k' => record.provider_priority = decimal(value, number)?,
            b'a'..=b'z' | b'S' | b'I' | b'T' | b'U' | b'L' | b'F' | b'M' | b'R' | b'Z' => {}
            _ => record.unknown_field = true,
        }
    }
    if let Some(mut done) = record {
        done.stanza.end = bytes.len() as u32;
        records.push(done.checked()?);
    }
    Ok(records)
}

impl Record {
    fn checked(self) -> Result<Self, IndexError> {
        let field = match self {
            Self {
                name: Range { end: 0, .. },
                ..
            } => 'P',
            Self {
                version: Range { end: 0, .. },
                ..
            } => 'V',
            Self { identity: None, .. } => 'C',
            _ => return Ok(self),
        };
        Err(IndexError::Missing {
            line: self.line,
            field,
        })
    }
}

fn bad_value(line: u32, value: &[u8], expected: &'static str) -> IndexError {
    IndexError::BadValue {
        line,
        value: shown(value),
        expected,
    }
}

fn decimal(value: &[u8], line: u32) -> Result<u32, IndexError> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| bad_value(line, value, "a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1-r0\nA:noarch\nS:10\nI:20\n\
        T:an a\no:base\nk:7\nD:b so:c>=1\np:d=1 e\ni:f g\nr:h\nq:3\ns:edge\n\n\
        C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:b\nV:2\nF:usr\nM:0:0:700\nR:x\na:0:0:755\nZ:Q1x=";

    #[test]
    fn fields() {
        let index = Index::parse(TEXT.into()).unwrap();
        assert_eq!(index.len(), 2);
        let a = index.get(0).unwrap();
        assert_eq!(
            (a.name(), a.version(), a.architecture()),
            ("a", "1-r0", "noarch")
        );
        assert_eq!((a.size(), a.installed_size()), (10, 20));
        assert_eq!((a.depends(), a.provides()), ("b so:c>=1", "d=1 e"));
        assert_eq!((a.install_if(), a.replaces()), ("f g", "h"));
        assert_eq!((a.provider_priority(), a.replaces_priority()), (7, 3));
        assert_eq!(
            (a.origin(), a.repository_tag()),
            (Some("base"), Some("edge"))
        );
        assert_eq!(a.identity().to_apk(), "Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=");
        assert_eq!(a.line(), 1);
        let b = index.get(1).unwrap();
        assert_eq!((b.name(), b.origin(), b.depends()), ("b", None, ""));
        assert!(!b.has_unknown_field());
        assert_eq!(b.line(), 17);
        assert!(index.get(2).is_none());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, error) in [
            ("P:a\nhello\n", IndexError::BadLine { line: 2 }),
            (
                "\n\nP:a\nV:1\n\n",
                IndexError::Missing {
                    line: 3,
                    field: 'C',
                },
            ),
            (
                "V:1\n",
                IndexError::Missing {
                    line: 1,
                    field: 'P',
                },
            ),
            (
                "P:a\nk:x\n",
                IndexError::BadValue {
                    line: 2,
                    value: "x".into(),
                    expected: "a number",
                },
            ),
        ] {
            assert_eq!(Index::parse(text.into()).unwrap_err(), error, "{text:?}");
        }
    }
}
