//! Holds packages at their locked versions while others come, go and move on.
//!
//! An index has only the newest version of each package, so what it says of a held package is
//! replaced by what the package's own file says of itself.

use prebake_fetch::Blob;

use crate::error::Error;
use crate::lock::LockedPackage;
use crate::package_file;

/// A package that stays at its version.
#[derive(Debug)]
pub(crate) struct Held {
    name: String,
    url: String,
    stanza: Vec<u8>,
}

impl Held {
    /// Reads what the package that `locked` names says of itself.
    pub(crate) fn read(locked: &LockedPackage, blob: &Blob) -> Result<Self, Error> {
        let package = package_file::open(locked, blob)?;
        Ok(Self {
            name: locked.name.clone(),
            url: locked.url.clone(),
            stanza: match &locked.index_stanza {
                Some(text) => text.clone().into_bytes(),
                None => package_file::own_stanza(locked, &package).to_text(),
            },
        })
    }
}

/// Returns the text of the index in `folder` with what it has of the held packages replaced by
/// what they are held at.
pub(crate) fn versions(index: &[u8], folder: &str, held: &[Held]) -> Vec<u8> {
    let is_held = |stanza: &[u8]| {
        let name = field(stanza, b"P:").unwrap_or_default();
        held.iter().any(|held| held.name.as_bytes() == name)
    };
    let is_here = |held: &&Held| {
        let rest = held.url.strip_prefix(folder);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let kept = held
        .iter()
        .filter(is_here)
        .map(|held| held.stanza.as_slice());
    let mut text = Vec::with_capacity(index.len());
    for stanza in stanzas(index).filter(|one| !is_held(one)).chain(kept) {
        text.extend_from_slice(stanza.trim_ascii_end());
        text.extend_from_slice(b"\n\n");
    }
    text
}

/// Returns the paragraphs of an index.
fn stanzas(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .unwrap_or(rest.len());
        let (stanza, after) = rest.split_at(end);
        rest = after;
        Some(stanza)
    })
}

fn field<'a>(stanza: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    stanza
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_packages_take_the_place_of_the_indexs_own() {
        let index = b"C:1\nP:a\nV:2\n\nC:2\nP:b\nV:2\n\n\n";
        let held = Held {
            name: "a".to_owned(),
            url: "file:///m/x86_64/a-1.apk".to_owned(),
            stanza: b"C:0\nP:a\nV:1\n".to_vec(),
        };
        let held = [held];
        let here = versions(index, "file:///m/x86_64", &held);
        assert_eq!(here, b"C:2\nP:b\nV:2\n\nC:0\nP:a\nV:1\n\n");
        let elsewhere = versions(index, "file:///m/x86", &held);
        assert_eq!(elsewhere, b"C:2\nP:b\nV:2\n\n");
        assert_eq!(versions(b"", "", &[]), b"");
    }
}
