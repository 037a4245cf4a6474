//! Lists of dependencies, as a line of a package or an index holds them.

use super::Dependency;
use crate::version::Dialect;

/// Iterates over the dependencies of a list; made by [`list`].
#[derive(Clone, Debug)]
pub struct Dependencies<'a> {
    rest: &'a str,
    dialect: Dialect,
    malformed: bool,
}

/// Reads a list of dependencies that spaces or newlines part.
///
/// As in apk 2.14, the first malformed one ends the list: it and what comes after it are dropped,
/// and [`Dependencies::is_malformed`] says so afterwards.
pub fn list(text: &str, dialect: Dialect) -> Dependencies<'_> {
    Dependencies {
        rest: text,
        dialect,
        malformed: false,
    }
}

impl Dependencies<'_> {
    /// Says whether the iteration ended at a malformed dependency.
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }
}

impl<'a> Iterator for Dependencies<'a> {
    type Item = Dependency<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.malformed {
            return None;
        }
        // Indexes hold hundreds of thousands of these, so bytes are looked at and not characters.
        let separates = |byte: &u8| matches!(byte, b' ' | b'\n');
        let bytes = self.rest.as_bytes();
        let start = bytes.iter().position(|byte| !separates(byte))?;
        let length = bytes.iter().skip(start).position(separates);
        let end = length.map_or(bytes.len(), |length| start + length);
        let word = self.rest.get(start..end)?;
        self.rest = self.rest.get(end..)?;
        let dependency = Dependency::read_word(word, self.dialect).ok();
        self.malformed = dependency.is_none();
        dependency
    }
}
