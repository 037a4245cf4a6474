//! One package of an index.

use super::{Range, Record, parsed, slice};
use crate::dependency::{self, Dependencies};
use crate::digest::Sha1;
use crate::version::Dialect;

/// One package as an index or an installed database describes it.
#[derive(Clone, Copy)]
pub struct Stanza<'a>(Form<'a>);

#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    Text { text: &'a str, record: &'a Record },
    Parsed(parsed::Package<'a>),
}

impl<'a> Stanza<'a> {
    pub(super) fn new(form: Form<'a>) -> Self {
        Self(form)
    }

    /// Returns a part of the text; nothing where there is no text.
    fn part(&self, part: impl Fn(&Record) -> Range) -> &'a str {
        match self.0 {
            Form::Text { text, record } => slice(text, part(record)),
            Form::Parsed(_) => "",
        }
    }

    /// Returns the name (`P:`).
    pub fn name(&self) -> &'a str {
        match self.0 {
            Form::Text { text, record } => slice(text, record.name),
            Form::Parsed(package) => package.name_text(),
        }
    }

    /// Returns the version (`V:`).
    pub fn version(&self) -> &'a str {
        match self.0 {
            Form::Text { text, record } => slice(text, record.version),
            Form::Parsed(package) => package.version(),
        }
    }

    /// Returns the architecture (`A:`); empty where there is none.
    pub fn architecture(&self) -> &'a str {
        match self.0 {
            Form::Text { text, record } => slice(text, record.architecture),
            Form::Parsed(package) => package.architecture(),
        }
    }

    /// Returns the identity (`C:`).
    pub fn identity(&self) -> Sha1 {
        match self.0 {
            // `Index::parse` refuses a stanza without one.
            Form::Text { record, .. } => record.identity.unwrap_or(Sha1::new([0; 20])),
            Form::Parsed(package) => package.identity(),
        }
    }

    /// Returns the text of the dependencies (`D:`); see [`dependency::list`].
    pub fn depends(&self) -> &'a str {
        self.part(|record| record.depends)
    }

    /// Reads the dependencies (`D:`).
    pub fn dependencies(&self, dialect: Dialect) -> Dependencies<'a> {
        dependency::list(self.depends(), dialect)
    }

    /// Returns the text of what is provided (`p:`) beside the own name.
    pub fn provides(&self) -> &'a str {
        self.part(|record| record.provides)
    }

    /// Returns the text of what lets this be installed by itself (`i:`).
    pub fn install_if(&self) -> &'a str {
        self.part(|record| record.install_if)
    }

    /// Returns the priority among providers of one name (`k:`); 0 where there is none.
    pub fn provider_priority(&self) -> u32 {
        match self.0 {
            Form::Text { record, .. } => record.provider_priority,
            Form::Parsed(package) => package.provider_priority(),
        }
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
        match self.0 {
            Form::Text { .. } => self.number('S'),
            Form::Parsed(package) => package.size(),
        }
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
        match self.0 {
            Form::Text { record, .. } => record.unknown_field,
            Form::Parsed(package) => package.has_unknown_field(),
        }
    }

    /// Returns the line that it begins at, counted from 1.
    pub fn line(&self) -> u32 {
        match self.0 {
            Form::Text { record, .. } => record.line,
            Form::Parsed(package) => package.line(),
        }
    }

    /// Returns the whole text, without the empty line after it.
    pub fn text(&self) -> &'a str {
        self.part(|record| record.stanza)
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
