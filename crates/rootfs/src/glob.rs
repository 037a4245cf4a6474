//! Shell patterns within one part of a path: `*`, `?`, `[…]` and `\`.

/// Says whether a pattern matches a path, part by part: both have as many parts, and no wildcard
/// matches a `/`.
pub(crate) fn path_matches(pattern: &[u8], path: &[u8]) -> bool {
    let parts = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|byte| *byte == b'/')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (pattern, path) = (parts(pattern), parts(path));
    pattern.len() == path.len()
        && pattern
            .iter()
            .zip(&path)
            .all(|(pattern, part)| matches(pattern, part))
}

/// Says whether a pattern matches one part of a path.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on if what follows the latest `*` does not fit: its rest, and the text that
    // it has not swallowed yet. One such place is enough, so the time is bounded by the product
    // of the lengths.
    let mut retry: Option<(&[u8], &[u8])> = None;
    let (mut pattern, mut rest) = (pattern, text);
    loop {
        if let [b'*', after @ ..] = pattern {
            retry = Some((after, rest));
            pattern = after;
            continue;
        }
        match (one(pattern, rest.first().copied()), rest) {
            (Some(after), [_, tail @ ..]) => (pattern, rest) = (after, tail),
            _ if pattern.is_empty() && rest.is_empty() => return true,
            _ => match retry {
                Some((after, [_, tail @ ..])) => {
                    retry = Some((after, tail));
                    (pattern, rest) = (after, tail);
                }
                _ => return false,
            },
        }
    }
}

/// Returns what follows the first element of `pattern` if that matches `byte`.
fn one(pattern: &[u8], byte: Option<u8>) -> Option<&[u8]> {
    let byte = byte?;
    match pattern {
        [b'?', after @ ..] => Some(after),
        [b'[', set @ ..] => match bracket(set, byte) {
            Some((true, after)) => Some(after),
            Some((false, _)) => None,
            // A `[` that nothing closes is itself.
            None => (byte == b'[').then_some(set),
        },
        [b'\\', literal, after @ ..] | [literal, after @ ..] => (*literal == byte).then_some(after),
        [] => None,
    }
}

/// Reads what follows a `[`: whether `byte` is in the set, and what comes after the `]`.
fn bracket(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    let mut first = true;
    loop {
        match rest {
            [b']', after @ ..] if !first => return Some((found != negated, after)),
            [low, b'-', high, after @ ..] if *high != b']' => {
                found |= (*low..=*high).contains(&byte);
                rest = after;
            }
            [literal, after @ ..] => {
                found |= *literal == byte;
                rest = after;
            }
            [] => return None,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*.conf", "x.conf", true),
            ("a**b*c", "axbxxc", true),
            ("?", "", false),
            ("[a-d]", "c", true),
            ("[!a-d]", "c", false),
            ("[]x]", "]", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
        assert!(path_matches(b"/lib/modules/*", b"/lib/modules/6.1"));
        assert!(!path_matches(b"/lib/modules/*", b"/lib/modules/6.1/kernel"));
    }

    #[test]
    fn stars_take_no_exponential_time() {
        let pattern = b"*a".repeat(50);
        let text = b"a".repeat(4000);
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
    }
}
