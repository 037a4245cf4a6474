//! Lists of dependencies, as a line of a package or an index holds them.

use super::Dependency;
use crate::version::Dialect;

/// Iterates over the dependencies of a list; made by [`list`].
#[derive(Clone, Debug)]
pub struct Dependencies<'a> {
    words: std::str::Split<'a, [char; 2]>,
    dialect: Dialect,
    malformed: bool,
}

/// Reads a list of dependencies that spaces or newlines part.
///
/// As in apk 2.14, the first malformed one ends the list: it and what comes after it are dropped,
/// and [`Dependencies::is_malformed`] says so afterwards.
pub fn list(text: &str, dialect: Dialect) -> Dependencies<'_> {
    Dependencies {
        words: text.split([' ', '\n']),
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
        let word = self.words.find(|word| !word.is_empty())?;
        let dependency = Dependency::read(word, self.dialect).ok();
        self.malformed = dependency.is_none();
        dependency
    }
}
