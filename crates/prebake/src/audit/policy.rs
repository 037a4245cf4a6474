//! What must not be in a rootfs, and what may all the same.

use std::fmt;
use std::str::FromStr;

use super::{Audit, Finding, Kind, UnknownKind};

/// What must not be in a rootfs, and what may all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Kinds of which nothing may be found.
    pub deny: Vec<Kind>,
    /// What may be found all the same.
    pub allow: Vec<Allowance>,
}

/// One thing that may be found: `setuid:/bin/bbsuid`. It is that very thing: no pattern, so that
/// nothing new slips through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Its kind.
    pub kind: Kind,
    /// The finding's subject, as it is listed.
    pub subject: String,
}

/// A text that is no allowance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// It has no `:`, or nothing behind it.
    #[error("`{0}` does not say what may be found: write KIND:SUBJECT, as in `setuid:/bin/bbsuid`")]
    Form(String),
    /// Its kind is none.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
}

impl FromStr for Allowance {
    type Err = AllowanceError;

    fn from_str(text: &str) -> Result<Self, AllowanceError> {
        match text.split_once(':') {
            Some((kind, subject)) if !subject.is_empty() => Ok(Self {
                kind: kind.parse()?,
                subject: subject.to_owned(),
            }),
            _ => Err(AllowanceError::Form(text.to_owned())),
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.subject)
    }
}

impl Allowance {
    /// Says whether this is what was found.
    pub fn is(&self, finding: &Finding) -> bool {
        self.kind == finding.kind && self.subject == finding.subject
    }
}

impl Policy {
    /// Says whether that must not be there.
    pub fn denies(&self, finding: &Finding) -> bool {
        self.deny.contains(&finding.kind) && !self.allow.iter().any(|allowed| allowed.is(finding))
    }

    /// Returns the allowances that none of `audits` has a use for: what they were for is gone.
    pub fn unused<'p>(&'p self, audits: &[Audit]) -> Vec<&'p Allowance> {
        let used = |allowed: &&Allowance| {
            let mut findings = audits.iter().flat_map(|audit| &audit.findings);
            findings.any(|finding| allowed.is(finding))
        };
        self.allow.iter().filter(|allowed| !used(allowed)).collect()
    }

    /// Returns the kinds that must not be there and that `audit` could not look for.
    pub fn undecided(&self, audit: &Audit) -> Vec<Kind> {
        let unknown = audit.unknown.iter().map(|unknown| unknown.kind);
        unknown.filter(|kind| self.deny.contains(kind)).collect()
    }
}
