//! Dependencies: `[!]name[@tag][operator version]`, as worlds and packages hold them.
//!
//! Judged by the real apk 2.14.4, which says of each text whether it is one and what it matches.

use std::fmt;

use crate::digest::Sha1;
use crate::shown::shown;
use crate::version::{self, Dialect};

mod list;
mod operator;

pub use list::{Dependencies, list};
pub use operator::Operator;

/// One dependency, borrowed from the text that it was read from.
///
/// ```
/// use prebake_apk::dependency::Dependency;
/// use prebake_apk::version::Dialect;
///
/// let dependency = Dependency::parse("nftables@edge>=1.1", Dialect::V2)?;
/// assert_eq!((dependency.name, dependency.tag), ("nftables", Some("edge")));
/// assert_eq!(dependency.to_string(), "nftables@edge>=1.1");
/// # Ok::<(), prebake_apk::dependency::DependencyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency<'a> {
    /// Whether it forbids what it names (`!name`).
    pub conflict: bool,
    /// The name of a package, or one that packages provide: `so:libz.so.1`, `cmd:jq`, `/bin/sh`.
    pub name: &'a str,
    /// The repository tag that the name is pinned to (`name@tag`); of use in a world only.
    pub tag: Option<&'a str>,
    /// How the version is held against a provider's.
    pub operator: Operator,
    /// The version; for [`Operator::Identity`] a checksum; empty for [`Operator::Any`].
    pub version: &'a str,
}

/// Why a text is not a [`Dependency`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a dependency: {problem}", shown(.text))]
pub struct DependencyError {
    /// The whole text.
    pub text: String,
    /// What is wrong with it.
    pub problem: DependencyProblem,
}

/// What is wrong with a dependency's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DependencyProblem {
    /// It is empty or holds a space, so it is none or several.
    #[error("it is not one word")]
    NotOneWord,
    /// An operator has no version behind it.
    #[error("there is no version after the operator")]
    NoVersion,
    /// The version is not one that apk knows.
    #[error("its version is not one that apk can read")]
    BadVersion,
}

impl<'a> Dependency<'a> {
    /// Reads one dependency.
    pub fn parse(text: &'a str, dialect: Dialect) -> Result<Self, DependencyError> {
        Self::read(text, dialect).map_err(|problem| DependencyError {
            text: text.to_owned(),
            problem,
        })
    }

    /// Returns the dependency on a name in any version.
    pub fn on(name: &'a str) -> Self {
        Self {
            conflict: false,
            name,
            tag: None,
            operator: Operator::Any,
            version: "",
        }
    }

    /// Says whether it is on a name in any version, and nothing more.
    pub fn is_plain(&self) -> bool {
        *self == Self::on(self.name)
    }

    pub(crate) fn read(text: &'a str, dialect: Dialect) -> Result<Self, DependencyProblem> {
        if text.is_empty() || text.contains([' ', '\n']) {
            return Err(DependencyProblem::NotOneWord);
        }
        Self::read_word(text, dialect)
    }

    /// Reads one dependency from a text that is known to be one word.
    fn read_word(text: &'a str, dialect: Dialect) -> Result<Self, DependencyProblem> {
        let (conflict, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let signs_at = text.bytes().position(operator::is_sign);
        let (name, rest) = signs_at
            .and_then(|at| text.split_at_checked(at))
            .unwrap_or((text, ""));
        let signs = rest.bytes().take_while(|byte| operator::is_sign(*byte));
        let (signs, version) = rest.split_at_checked(signs.count()).unwrap_or((rest, ""));
        let operator = Operator::from_signs(signs);
        match operator {
            Operator::Any if name.len() == text.len() => {}
            _ if version.is_empty() => return Err(DependencyProblem::NoVersion),
            Operator::Identity => {}
            _ if version::is_valid(version, dialect) => {}
            _ => return Err(DependencyProblem::BadVersion),
        }
        let tag_at = name.bytes().position(|byte| byte == b'@');
        let (name, tag) = match tag_at.and_then(|at| Some((name.get(..at)?, name.get(at + 1..)?))) {
            Some((name, tag)) => (name, Some(tag)),
            None => (name, None),
        };
        Ok(Self {
            conflict,
            name,
            tag,
            operator,
            version,
        })
    }

    /// Says whether a provider satisfies this dependency.
    ///
    /// The provider is known to have the name; `provided` is the version it has under that name,
    /// `None` where a `provides` gives none, and `identity` the identity of its package. For a
    /// conflict the answer is turned round: `true` when the provider is *not* what is forbidden.
    pub fn is_satisfied_by(
        &self,
        provided: Option<&str>,
        identity: &Sha1,
        dialect: Dialect,
    ) -> bool {
        let matches = match (self.operator, provided) {
            (Operator::Any, _) => true,
            (Operator::Identity, _) => {
                Sha1::from_apk(self.version.as_bytes()).is_ok_and(|wanted| wanted == *identity)
            }
            (_, None) => false,
            (operator, Some(provided)) => {
                operator.accepts(version::relate(provided, self.version, dialect))
            }
        };
        matches != self.conflict
    }
}

impl fmt::Display for Dependency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conflict {
            f.write_str("!")?;
        }
        f.write_str(self.name)?;
        if let Some(tag) = self.tag {
            write!(f, "@{tag}")?;
        }
        write!(f, "{}{}", self.operator, self.version)
    }
}
