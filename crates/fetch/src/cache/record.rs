//! What a URL held when it was last asked.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use prebake_apk::digest::Sha256;

use super::open_regular;
use crate::Validators;

/// The largest record that is read, in bytes; real ones have some hundred.
const MAX_RECORD: u64 = 64 * 1024;

/// The first line; the number changes when the lines' meaning does.
const FIRST_LINE: &str = "prebake-url 1";

/// A note on one URL. It is no proof of anything: a wrong one can make prebake take an older
/// file, which the signature checks above judge as they would the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The first of the URLs that the file was wanted by.
    pub(crate) url: String,
    /// The one of them that answered.
    pub(crate) from: String,
    /// The content.
    pub(crate) sha256: Sha256,
    /// What to ask with the next time.
    pub(crate) validators: Validators,
}

impl Record {
    /// Reads the record at `path`; a missing, damaged or foreign one is none.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        let file = open_regular(path).ok()?;
        file.take(MAX_RECORD).read_to_string(&mut text).ok()?;
        Self::parse(&text)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut field = |name: &str| {
            let (found, value) = lines.next()?.split_once(' ')?;
            (found == name).then(|| value.to_owned())
        };
        let url = field("url")?;
        let from = field("from")?;
        let sha256 = field("sha256")?.parse().ok()?;
        let some = |value: String| (!value.is_empty()).then_some(value);
        let etag = some(field("etag")?);
        let last_modified = some(field("last-modified")?);
        lines.next().is_none().then_some(Self {
            url,
            from,
            sha256,
            validators: Validators {
                etag,
                last_modified,
            },
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        writeln!(f, "url {}", self.url)?;
        writeln!(f, "from {}", self.from)?;
        writeln!(f, "sha256 {}", self.sha256)?;
        let shown = |value: &Option<String>| value.clone().unwrap_or_default();
        writeln!(f, "etag {}", shown(&self.validators.etag))?;
        writeln!(f, "last-modified {}", shown(&self.validators.last_modified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        for (etag, last_modified) in [(None, None), (Some("\"a b\""), Some("Wed, 01 Jan 2025"))] {
            let record = Record {
                url: "https://a/x y".to_owned(),
                from: "https://b/x".to_owned(),
                sha256: Sha256::of(b"x"),
                validators: Validators {
                    etag: etag.map(str::to_owned),
                    last_modified: last_modified.map(str::to_owned),
                },
            };
            let text = record.to_string();
            assert_eq!(Record::parse(&text), Some(record));
            for cut in 0..text.len() {
                assert_eq!(Record::parse(&text[..cut]), None, "cut at {cut}");
            }
        }
    }
}
