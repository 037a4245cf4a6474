//! The parsed form of an index as somebody may have written it who can write to the cache: it
//! leads to nothing worse than a wrong answer, and is never taken for another index's.

use prebake_apk::index::{Index, Link};
use prebake_apk::version::Dialect;

use crate::feed::Feed;
use crate::index::{DIALECTS, origin};

/// The length of the footer, and where in it the number of names and the parts' lengths stand.
const FOOTER: usize = 132;
const KNOWN: usize = 84;
const LENGTHS: usize = 88;
/// The size of what each part but the last holds; of the pool's and the last's bytes.
const ITEMS: [usize; 10] = [1, 4, 4, 4, 16, 8, 4, 64, 4, 1];
/// How much of it is walked.
const MOST: usize = 2000;

/// Reads a form that has the right frame around whatever the bytes say.
pub(crate) fn parsed_index(data: &[u8]) {
    let mut feed = Feed::new(data);
    let how = feed.byte();
    let dialect = DIALECTS[usize::from(how & 1)];
    let sha256 = origin().sha256;
    let bytes = if how & 2 == 0 {
        framed(&mut feed, dialect)
    } else {
        feed.rest().to_vec()
    };
    let Some((index, found)) = Index::from_parsed(bytes, sha256, dialect) else {
        return;
    };
    assert_eq!(found.sha256, sha256);
    walk(&index, dialect);
    let other = Index::parse(b"C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1\n".to_vec());
    let other = other.expect("the text is an index");
    if index.is_parsed_form_of(&other, &found) {
        assert_eq!(index.len(), 1);
    }
}

/// Puts the footer behind the bytes: a number of names, nine lengths, and all its own.
fn framed(feed: &mut Feed<'_>, dialect: Dialect) -> Vec<u8> {
    let known = feed.word();
    let mut lengths = [0_usize; 10];
    for length in &mut lengths {
        *length = usize::from(u16::from_le_bytes([feed.byte(), feed.byte()]));
    }
    let mut rest = feed.rest();
    let mut body = Vec::new();
    for (length, item) in lengths.iter_mut().zip(ITEMS) {
        *length = (*length).min(rest.len()) / item * item;
        let (part, behind) = rest.split_at(*length);
        body.extend_from_slice(part);
        rest = behind;
    }
    frame(body, known, &lengths, dialect)
}

fn frame(mut body: Vec<u8>, known: u32, lengths: &[usize; 10], dialect: Dialect) -> Vec<u8> {
    let mut footer = footer(dialect);
    footer[KNOWN..LENGTHS].copy_from_slice(&known.to_le_bytes());
    for (place, length) in footer[LENGTHS..].chunks_exact_mut(4).zip(lengths) {
        let length = u32::try_from(*length).expect("it came of 16 bits");
        place.copy_from_slice(&length.to_le_bytes());
    }
    body.extend_from_slice(&footer[..FOOTER - 4]);
    let mut crc = flate2::Crc::new();
    crc.update(&body);
    body.extend_from_slice(&crc.sum().to_le_bytes());
    body
}

/// Returns the footer of some index's form.
fn footer(dialect: Dialect) -> Vec<u8> {
    let text = b"C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1\n".to_vec();
    let index = Index::parse(text).expect("the text is an index");
    let form = index.to_parsed(&origin(), dialect);
    let mut form = form.expect("it was read from a text");
    form.split_off(form.len() - FOOTER)
}

/// Returns a seed: what [`parsed_index`] makes `form` of.
pub(crate) fn unframed(form: &[u8], dialect: Dialect) -> Vec<u8> {
    let (body, footer) = form.split_at(form.len() - FOOTER);
    let mut seed = vec![u8::from(dialect == Dialect::V3)];
    seed.extend_from_slice(&footer[KNOWN..LENGTHS]);
    for length in footer[LENGTHS..FOOTER - 4].chunks_exact(4) {
        seed.extend_from_slice(&length[..2]);
    }
    seed.extend_from_slice(body);
    seed
}

/// Asks the index everything that can be asked.
fn walk(index: &Index, dialect: Dialect) {
    let mut seen = 0;
    for stanza in index.iter().take(MOST) {
        let texts = [stanza.name(), stanza.version(), stanza.architecture()];
        seen += texts.iter().map(|text| text.len()).sum::<usize>();
        seen += stanza.identity().as_bytes().len() + stanza.text().len();
        let _ = (stanza.size(), stanza.provider_priority(), stanza.line());
        let _ = (stanza.has_unknown_field(), stanza.field('T'));
    }
    let directory = index.directory(dialect).expect("it is this dialect's");
    assert!(directory.len() <= directory.positions());
    for position in 0..directory.positions().min(MOST) {
        let named = directory.get(position).expect("it has a position");
        seen += named.text().len();
        let found = directory.find(named.text());
        assert!(found.is_none_or(|found| found < directory.positions()));
        let _ = directory.find_same(&named);
        for giver in named.givers().take(MOST) {
            seen += giver.version.map_or(0, |at| directory.text(at).len());
        }
        seen += named.waiting().take(MOST).sum::<usize>() & 1;
    }
    for position in 0..index.len().min(MOST) {
        let package = directory.package(position);
        let _ = (package.name(), package.is_sound());
        for (_, version) in package.provides().take(MOST) {
            seen += version.map_or(0, |at| directory.text(at).len());
        }
        let links = package.depends().take(MOST);
        for link in links.chain(package.install_if().take(MOST)) {
            if let Link::Kept { at, .. } = link {
                seen += usize::from(directory.dependency(at).is_some());
            }
        }
    }
    assert!(seen < usize::MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_the_one_that_is_read() {
        for seed in crate::seeds::seeds("parsed_index") {
            let mut feed = Feed::new(&seed);
            let dialect = DIALECTS[usize::from(feed.byte() & 1)];
            let form = framed(&mut feed, dialect);
            let (index, found) = Index::from_parsed(form, origin().sha256, dialect)
                .expect("a seed has the form's frame");
            assert_eq!((index.len(), found), (2, origin()));
        }
    }
}
