//! The operators of a dependency.

use std::cmp::Ordering;
use std::fmt;

use crate::version::Comparison;

/// How a dependency's version is held against a provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// No operator: anything of the name will do, with a version or without.
    Any,
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `~` and `~=`: equal as far as the dependency's version goes.
    Fuzzy,
    /// `<~`
    LessOrFuzzy,
    /// `>~`
    GreaterOrFuzzy,
    /// `<=>`, with or without `~`: any version, but there must be one.
    Versioned,
    /// `><` (or `<>`): the package of exactly this identity.
    Identity,
}

/// Says whether a byte is one that operators are written with.
pub(super) fn is_sign(byte: u8) -> bool {
    matches!(byte, b'<' | b'=' | b'>' | b'~')
}

impl Operator {
    /// Reads a run of `<`, `=`, `>` and `~`. Their order and repetition mean nothing.
    pub(super) fn from_signs(signs: &str) -> Self {
        let has = |sign| signs.as_bytes().contains(&sign);
        let fuzzy = has(b'~');
        let equal = fuzzy || has(b'=');
        match (has(b'<'), equal, has(b'>')) {
            (false, false, false) => Self::Any,
            (true, false, true) => Self::Identity,
            (true, true, true) => Self::Versioned,
            (false, true, false) if fuzzy => Self::Fuzzy,
            (true, true, false) if fuzzy => Self::LessOrFuzzy,
            (false, true, true) if fuzzy => Self::GreaterOrFuzzy,
            (false, true, false) => Self::Equal,
            (true, true, false) => Self::LessOrEqual,
            (false, true, true) => Self::GreaterOrEqual,
            (true, false, false) => Self::Less,
            (false, false, true) => Self::Greater,
        }
    }

    pub(super) fn accepts(self, comparison: Comparison) -> bool {
        let Comparison { ordering, fuzzy } = comparison;
        match self {
            Self::Any | Self::Versioned => true,
            Self::Equal => ordering == Ordering::Equal,
            Self::Less => ordering == Ordering::Less,
            Self::LessOrEqual => ordering != Ordering::Greater,
            Self::Greater => ordering == Ordering::Greater,
            Self::GreaterOrEqual => ordering != Ordering::Less,
            Self::Fuzzy => fuzzy,
            Self::LessOrFuzzy => fuzzy || ordering == Ordering::Less,
            Self::GreaterOrFuzzy => fuzzy || ordering == Ordering::Greater,
            // Held against the identity, never against a version.
            Self::Identity => false,
        }
    }
}

impl fmt::Display for Operator {
    /// Writes apk's own spelling.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "",
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Fuzzy => "~",
            Self::LessOrFuzzy => "<~",
            Self::GreaterOrFuzzy => ">~",
            Self::Versioned => "<=>",
            Self::Identity => "><",
        })
    }
}
