//! gzip members: what is made of them does not depend on the pieces they come in.

use std::io::{self, BufRead, Read, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use prebake_apk::gzip::{GzipError, Member, Reader, Tap};

use crate::feed::Feed;
use crate::odd::Odd;
use crate::tame::tame;

/// How much is read of a file at most: a bomb of one kilobyte holds a megabyte.
const MOST: u64 = 1 << 20;

#[derive(Default)]
struct Kept(Vec<u8>);

impl Tap for Kept {
    fn take(&mut self, compressed: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(compressed);
        Ok(())
    }
}

/// Reads a file of members.
pub(crate) fn gzip(data: &[u8]) {
    let mut feed = Feed::new(data);
    let how = feed.byte();
    if how & 1 == 0 {
        read(feed.rest(), how, None);
    } else {
        // Members that are good, and what may stand behind them.
        let mut content = Vec::new();
        let mut file = Vec::new();
        for _ in 0..=(how >> 1) % 4 {
            let one = feed.slice();
            content.extend_from_slice(one);
            file.extend_from_slice(&compress(one, how >> 3));
        }
        let behind = feed.rest();
        file.extend_from_slice(behind);
        read(&file, how, behind.is_empty().then_some(&content));
    }
}

/// Compresses to one member; level 0 stores.
pub(crate) fn compress(content: &[u8], level: u8) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::new(u32::from(level % 10)));
    let written = writer.write_all(content).and_then(|()| writer.finish());
    written.expect("memory takes whatever is written")
}

fn read(file: &[u8], seed: u8, expected: Option<&Vec<u8>>) {
    let whole = all(Reader::new(file), file.len());
    let pieces = all(Reader::new(Odd::new(file, seed)), file.len());
    match (&whole, &pieces) {
        (Ok(one), Ok(other)) => assert_eq!(one, other, "other pieces, other content"),
        // Of apk 3's format as much is known as stands in the first piece.
        (Err(one), Err(other)) => assert_eq!(kind(one), kind(other)),
        (one, other) => panic!("{one:?} whole, and {other:?} in pieces"),
    }
    if let Some(expected) = expected {
        assert_eq!(whole.as_ref(), Ok(expected));
    }
    // One member at a time, with an eye on what is taken.
    let mut rest = file;
    let mut content = Vec::new();
    loop {
        let mut member = Member::new(rest, Kept::default());
        let good = (&mut member).take(MOST).read_to_end(&mut content).is_ok();
        let taken = member.compressed_length() as usize;
        let finished = member.is_finished();
        let (behind, kept) = member.into_parts();
        assert!(kept.0 == rest[..taken], "the tap saw something else");
        assert!(behind == &rest[taken..], "more was taken than looked at");
        assert!(good || !finished);
        rest = behind;
        if !finished || rest.is_empty() || content.len() as u64 > MOST {
            break;
        }
    }
    if let Ok(whole) = &whole
        && (whole.len() as u64) < MOST
    {
        assert_eq!(*whole, content);
    }
}

fn all(reader: Reader<impl BufRead>, length: usize) -> Result<Vec<u8>, GzipError> {
    let mut content = Vec::new();
    match reader.take(MOST).read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(error) => {
            let error: GzipError = error.downcast().expect("slices and pipes do not fail");
            tame(&error);
            if let GzipError::Damaged { offset, .. } = error {
                assert!(offset <= length as u64, "{offset} of {length}");
            }
            Err(error)
        }
    }
}

/// Of a file that is damaged and cut off either may be said: the one that is come upon first, which
/// depends on the pieces.
fn kind(error: &GzipError) -> u8 {
    match error {
        GzipError::Magic | GzipError::Adb => 0,
        _ => 1,
    }
}
