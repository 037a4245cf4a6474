//! What is kept from bake to bake: nothing is believed without its seal, and any bytes behind one
//! are what they say or nothing.

use prebake::fuzzing;

use crate::feed::Feed;

/// Reads a listing, an assembly, or an entry with its seal.
pub(crate) fn kept(data: &[u8]) {
    let (how, rest) = data.split_first().unwrap_or((&0, &[]));
    match how % 3 {
        0 => {
            if let Some((written, count)) = fuzzing::listing(rest) {
                // What is made of it is bounded by what is read.
                assert!(count <= rest.len());
                assert_eq!(fuzzing::listing(&written), Some((written, count)));
            }
        }
        1 => {
            if let Some(written) = fuzzing::assembly(rest) {
                assert_eq!(fuzzing::assembly(&written), Some(written));
            }
        }
        _ => sealed(Feed::new(rest)),
    }
}

fn sealed(mut feed: Feed<'_>) {
    let (key, other) = (feed.slice(), feed.slice());
    let name = String::from_utf8_lossy(feed.slice()).into_owned();
    let (at, turned) = (feed.word() as usize, feed.byte() | 1);
    let content = feed.rest();
    // What is believed is what this key would seal, to the byte. That nothing else is ever found
    // cannot be asked here: a fuzzer knows the key, and sees the seal that its bytes are held against.
    let exact = |bytes: &[u8]| {
        if let (Some(content), _) = fuzzing::seal(key, &name, bytes) {
            assert_eq!(fuzzing::seal(key, &name, &content).1, bytes);
        }
    };
    exact(content);
    let (_, sealed) = fuzzing::seal(key, &name, content);
    let believe = |key: &[u8], name: &str, bytes: &[u8]| fuzzing::seal(key, name, bytes).0;
    assert_eq!(believe(key, &name, &sealed).as_deref(), Some(content));
    assert_eq!(believe(key, &format!("{name}x"), &sealed), None);
    // A key of HMAC is as long as one of its blocks, behind which zeros count for nothing.
    let padded = |key: &[u8]| {
        let length = key.len().max(64);
        let mut key = key.to_vec();
        key.resize(length, 0);
        key
    };
    if key.len() <= 64 && other.len() <= 64 && padded(key) != padded(other) {
        assert_eq!(believe(other, &name, &sealed), None);
    }
    let mut changed = sealed.clone();
    let at = at % changed.len();
    changed[at] ^= turned;
    assert_eq!(believe(key, &name, &changed), None);
    exact(&sealed[..at]);
    exact(&sealed[at + 1..]);
}
