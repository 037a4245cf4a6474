//! Holds packages at their locked versions while others move on.

use crate::lock::LockedRootfs;

/// Returns `index` with what it has of each package that `locked` installs and `names` does not
/// name replaced by what `old`, the index that it was locked from, has of it.
pub(crate) fn versions(
    index: &[u8],
    old: Option<&[u8]>,
    locked: &LockedRootfs,
    names: &[String],
) -> Vec<u8> {
    let held = |stanza: &[u8]| {
        let name = field(stanza, b"P:").unwrap_or_default();
        let is_named = names.iter().any(|moving| moving.as_bytes() == name);
        !is_named
            && locked
                .packages()
                .any(|package| package.name.as_bytes() == name)
    };
    let is_locked = |stanza: &[u8]| {
        let identity = field(stanza, b"C:").unwrap_or_default();
        locked
            .packages()
            .any(|package| package.identity.to_apk().as_bytes() == identity)
    };
    let mut text = Vec::with_capacity(index.len());
    let kept = stanzas(old.unwrap_or_default()).filter(|one| held(one) && is_locked(one));
    for stanza in stanzas(index).filter(|one| !held(one)).chain(kept) {
        text.extend_from_slice(stanza);
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
    fn paragraphs_and_fields() {
        let text = b"C:1\nP:a\n\nC:2\nP:b\n\n\n";
        let all: Vec<_> = stanzas(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(field(all[1], b"P:"), Some(&b"b"[..]));
        assert_eq!(stanzas(b"").count(), 0);
        assert_eq!(stanzas(b"P:x").collect::<Vec<_>>(), [b"P:x"]);
    }
}
