//! One package of an index.

use super::{Range, Record};
use crate::dependency::{self, Dependencies};
use crate::digest::Sha1;
use crate::version::Dialect;

/// One package as an index or an installed database describes it.
#[derive(Clone, Copy)]
pub struct Stanza<'a> {
    text: &'a str,
    record: &'a Record,
}

impl<'a> Stanza<'a> {
    pub(super) fn new(text: &'a str, record: &'a Record) -> Self {
        Self { text, record }
    }

    fn slice(&self, range: Range) -> &'a str {
        self.text
            .get(range.start as usize..range.end as usize)
            .unwrap_or_default()
    }

    /// Returns the name (`P:`).
    pub fn name(&self) -> &'a str {
        self.slice(self.record.name)
    }

    /// Returns the version (`V:`).
    pub fn version(&self) -> &'a str {
        self.slice(self.record.version)
    }

    /// Returns the architecture (`A:`); empty where there is none.
    pub fn architecture(&self) -> &'a str {
        self.slice(self.record.architecture)
    }

    /// Returns the identity (`C:`).
    pub fn identity(&self) -> Sha1 {
        // `Index::parse` refuses a stanza without one.
        self.record.identity.unwrap_or(Sha1::new([0; 20]))
    }

    /// Returns the text of the dependencies (`D:`); see [`dependency::list`].
    pub fn depends(&self) -> &'a str {
        self.slice(self.record.depends)
    }

    /// Reads the dependencies (`D:`).
    pub fn dependencies(&self, dialect: Dialect) -> Dependencies<'a> {
        dependency::list(self.depends(), dialect)
    }

    /// Returns the text of what is provided (`p:`) beside the own name.
    pub fn provides(&self) -> &'a str {
        self.slice(self.record.provides)
    }

    /// Returns the text of what lets this be installed by itself (`i:`).
    pub fn install_if(&self) -> &'a str {
        self.slice(self.record.install_if)
    }

    /// Returns the priority among providers of one name (`k:`); 0 where there is none.
    pub fn provider_priority(&self) -> u32 {
        self.record.provider_priority
    }

    /// Returns the text of what is replaced (`r:`), of an installed database only.
    pub fn replaces(&self) -> &'a str {
        self.field('r').unwrap_or_default()
    }

    /// Returns the priority of the replacing (`q:`), of an installed database only.
    pub fn replaces_priority(&self) -> u32 {
        self.number('q') as u32
    }

    /// Returns the package file's size in bytes (`S:`); 0 where there is none.
    pub fn size(&self) -> u64 {
        self.number('S')
    }

    /// Returns the installed size in bytes (`I:`); 0 where there is none, or nothing to install.
    pub fn installed_size(&self) -> u64 {
        self.number('I')
    }

    /// Returns the name of what it was built from (`o:`).
    pub fn origin(&self) -> Option<&'a str> {
        self.field('o')
    }

    /// Returns the repository tag that it was installed with (`s:`), of an installed database only.
    pub fn repository_tag(&self) -> Option<&'a str> {
        self.field('s')
    }

    /// Says whether there is a field with an unknown uppercase letter, which makes a package one
    /// that this apk cannot install.
    pub fn has_unknown_field(&self) -> bool {
        self.record.unknown_field
    }

    /// Returns the line that it begins at, counted from 1.
    pub fn line(&self) -> u32 {
        self.record.line
    }

    /// Returns the whole text, without the empty line after it.
    pub fn text(&self) -> &'a str {
        self.slice(self.record.stanza)
    }

    /// Returns the value of the first line with a letter: `T`, `U`, `L`, `o`, `m`, `t`, `c` …
    pub fn field(&self, letter: char) -> Option<&'a str> {
        self.text()
            .lines()
            .find_map(|line| line.strip_prefix(letter)?.strip_prefix(':'))
    }

    fn number(&self, letter: char) -> u64 {
        self.field(letter)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }
}

impl std::fmt::Debug for Stanza<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stanza({}-{})", self.name(), self.version())
    }
}
