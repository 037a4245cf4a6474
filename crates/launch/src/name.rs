//! The names of instances.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::str::FromStr;

/// The name of an instance: what every backend takes for one.
///
/// Lower-case letters, digits, `-`, `_` and `.`, at most [`Name::LONGEST`], beginning with a
/// letter or a digit. Case is left out because Windows and macOS do not see it in file names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why something is no name of an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" cannot be an instance's name: it takes 1 to {} lower-case letters, digits, `-`, `_` \
     and `.`, a letter or digit first",
    text.escape_debug(), Name::LONGEST
)]
pub struct NameError {
    /// What was given.
    pub text: String,
}

impl Name {
    /// The longest, in bytes: what is left of a host name (64) when a backend adds nothing.
    pub const LONGEST: usize = 63;

    /// How many random hexadecimal digits make a name its own.
    const DIGITS: usize = 12;

    /// Returns a name that begins with `prefix` and that nobody else has: `PREFIX-0123456789ab`.
    /// What a name cannot hold of `prefix` becomes `-`, and what is too long is cut.
    pub fn unique(prefix: &str) -> Self {
        let mut name: String = prefix
            .chars()
            .map(|letter| letter.to_ascii_lowercase())
            .map(|letter| if is_inner(letter) { letter } else { '-' })
            .take(Self::LONGEST - 1 - Self::DIGITS)
            .collect();
        if !name.starts_with(is_first) {
            name.insert(0, 'i');
        }
        // The standard library's hasher is keyed by the system's random source.
        let number = RandomState::new().build_hasher().finish();
        name.truncate(Self::LONGEST - 1 - Self::DIGITS);
        let mask = (1_u64 << (4 * Self::DIGITS)) - 1;
        Self(format!(
            "{name}-{:0width$x}",
            number & mask,
            width = Self::DIGITS
        ))
    }

    /// Returns the name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_first(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit()
}

fn is_inner(letter: char) -> bool {
    is_first(letter) || matches!(letter, '-' | '_' | '.')
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=Self::LONGEST).contains(&text.len());
        if fits && text.starts_with(is_first) && text.chars().all(is_inner) {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names_are_what_every_backend_takes() {
        for good in ["a", "job-1", "0", "a.b_c"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            ".",
            "A",
            "a/b",
            "a b",
            "ä",
            "a\0",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn unique_names_are_names_and_differ() {
        for prefix in ["job", "", "Ä/..", &"x".repeat(200)] {
            let (one, other) = (Name::unique(prefix), Name::unique(prefix));
            assert_eq!(one.as_str().parse(), Ok(one.clone()));
            assert_ne!(one, other);
        }
    }
}
