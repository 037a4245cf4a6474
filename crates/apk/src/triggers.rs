//! The triggers that installed packages have, `lib/apk/db/triggers`.
//!
//! A line a package: its identity, then the directories it watches, with `*`, `?` and `[…]`
//! within a part. Lines stand in the order in which apk holds the packages.

use crate::digest::Sha1;

/// The watched directories of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The package's identity.
    pub identity: Sha1,
    /// Patterns of absolute directories, one space between them.
    pub patterns: Vec<u8>,
}

/// A line that is no trigger; it counts from 1.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the database of triggers does not begin with an identity")]
pub struct TriggersError {
    line: usize,
}

/// Reads the file's text.
pub fn parse(text: &[u8]) -> Result<Vec<Trigger>, TriggersError> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            let end = line.iter().position(|byte| *byte == b' ');
            let (identity, patterns) = line.split_at(end.unwrap_or(line.len()));
            Ok(Trigger {
                identity: Sha1::from_apk(identity)
                    .map_err(|_| TriggersError { line: index + 1 })?,
                patterns: patterns.trim_ascii().to_vec(),
            })
        })
        .collect()
}

/// Returns the file's text.
pub fn to_text(triggers: &[Trigger]) -> Vec<u8> {
    let mut text = Vec::new();
    for trigger in triggers {
        text.extend_from_slice(trigger.identity.to_apk().as_bytes());
        text.push(b' ');
        text.extend_from_slice(&trigger.patterns);
        text.push(b'\n');
    }
    text
}
