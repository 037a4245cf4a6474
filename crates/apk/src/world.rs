//! What was asked for, `etc/apk/world`: a dependency a line, sorted by the packages' names.

use crate::installed::compare_names;

/// Returns the dependencies in a world file's text, or in any text with white space between.
pub fn parse(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(u8::is_ascii_whitespace)
        .filter(|entry| !entry.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// Returns the file's text for `dependencies` in any order. Of several on one name the last
/// stays, which is what `apk add` does with a name it already has.
pub fn to_text(dependencies: &[Vec<u8>]) -> Vec<u8> {
    let mut sorted: Vec<&Vec<u8>> = Vec::new();
    for dependency in dependencies {
        sorted.retain(|earlier| name(earlier) != name(dependency));
        sorted.push(dependency);
    }
    sorted.sort_by(|one, other| compare_names(name(one), name(other)));
    if sorted.is_empty() {
        // As `apk del` of all there is and `apk --initdb add` of nothing leave it.
        return b"\n".to_vec();
    }
    let mut text = Vec::new();
    for dependency in sorted {
        text.extend_from_slice(dependency);
        text.push(b'\n');
    }
    text
}

/// Returns the name in a dependency: what is before a tag or a version, after a `!`.
pub fn name(dependency: &[u8]) -> &[u8] {
    let rest = dependency.strip_prefix(b"!").unwrap_or(dependency);
    let end = rest.iter().position(|byte| b"<>=~@".contains(byte));
    rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_apk() {
        // As `apk add a_ B 'a>0' a-b '!zz' v` left it.
        let world = parse(b"a_ B a>0 a-b !zz v");
        assert_eq!(to_text(&world), b"a>0\na-b\na_\nB\nv\n!zz\n");
        assert_eq!(to_text(&parse(b"A a a@t")), b"A\na@t\n");
        assert_eq!(to_text(&[]), b"\n");
    }
}
