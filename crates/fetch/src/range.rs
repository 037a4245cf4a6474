//! `Content-Range`, the server's word on which bytes it sends (RFC 9110, section 14.4).

/// The meaning of `bytes FIRST-LAST/TOTAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The first byte's offset.
    pub(crate) first: u64,
    /// The whole file's size, where the server knows it (`*` where not).
    pub(crate) total: Option<u64>,
    /// How many bytes follow.
    pub(crate) length: u64,
}

impl ContentRange {
    /// Reads the header's value. `None` for anything malformed, for ranges that end before they
    /// begin and for ranges that reach beyond the total.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("bytes")?;
        let (range, total) = rest.strip_prefix(' ')?.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        let length = last.checked_sub(first)?.checked_add(1)?;
        if total.is_some_and(|total| last >= total) {
            return None;
        }
        Some(Self {
            first,
            total,
            length,
        })
    }
}

/// Reads plain digits; `u64::from_str` alone would take a sign as well.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_rfc_shows() {
        assert_eq!(
            ContentRange::parse("bytes 42-1233/1234"),
            Some(ContentRange {
                first: 42,
                total: Some(1234),
                length: 1192
            })
        );
        assert_eq!(
            ContentRange::parse("bytes 42-1233/*"),
            Some(ContentRange {
                first: 42,
                total: None,
                length: 1192
            })
        );
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for text in [
            "",
            "bytes",
            "bytes */1234",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "bytes 0-9",
            "bytes -9/10",
            "bytes +1-9/10",
            "bytes 0-18446744073709551615/*",
            "bytes 0-99999999999999999999/*",
            "octets 0-9/10",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }
}
