//! The records of a pax header.

use std::collections::BTreeMap;

use super::TarErrorKind;
use crate::shown::shown;

/// The key of the checksum that apk's packages carry.
const CHECKSUM: &[u8] = b"APK-TOOLS.checksum.SHA1";
/// What keys of extended attributes begin with; the name follows, the value is raw.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// What a pax header says about the next entry. Records that are none of these are ignored, as
/// every tar program does: `atime` and `ctime`, comments, device numbers of the host.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) user: Option<Vec<u8>>,
    pub(super) group: Option<Vec<u8>>,
    pub(super) mtime: Option<i64>,
    pub(super) checksum: Option<Vec<u8>>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Records {
    /// Reads records, each of which is `<length> <key>=<value>\n`, the length counting all of it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, TarErrorKind> {
        let mut records = Self::default();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let (length, key, value) = record(rest).ok_or(TarErrorKind::Record { at })?;
            records.take(key, value)?;
            at += length;
        }
        Ok(records)
    }

    /// Says whether no record changes an entry.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            path,
            link_path,
            size,
            uid,
            gid,
            user,
            group,
            mtime,
            checksum,
            xattrs,
        } = self;
        let texts = [path, link_path, user, group, checksum];
        texts.iter().all(|text| text.is_none())
            && (size, uid, gid, mtime) == (&None, &None, &None, &None)
            && xattrs.is_empty()
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarErrorKind> {
        let wrong = || TarErrorKind::RecordValue { key: shown(key) };
        let same = match key {
            b"path" => once(&mut self.path, name(value).ok_or_else(wrong)?),
            b"linkpath" => once(&mut self.link_path, name(value).ok_or_else(wrong)?),
            b"size" => once(&mut self.size, decimal(value).ok_or_else(wrong)?),
            b"uid" => once(&mut self.uid, id(value).ok_or_else(wrong)?),
            b"gid" => once(&mut self.gid, id(value).ok_or_else(wrong)?),
            b"uname" => once(&mut self.user, value.to_vec()),
            b"gname" => once(&mut self.group, value.to_vec()),
            b"mtime" => once(&mut self.mtime, seconds(value).ok_or_else(wrong)?),
            CHECKSUM => once(&mut self.checksum, value.to_vec()),
            b"SCHILY.realsize" | b"SUN.holesdata" => return Err(TarErrorKind::Sparse),
            _ if key.starts_with(b"GNU.sparse.") => return Err(TarErrorKind::Sparse),
            _ => match key.strip_prefix(XATTR) {
                Some(b"") => return Err(wrong()),
                Some(name) => match self.xattrs.insert(name.to_vec(), value.to_vec()) {
                    Some(before) => before == value,
                    None => true,
                },
                None => true,
            },
        };
        if same {
            Ok(())
        } else {
            Err(TarErrorKind::ContradictoryRecords { key: shown(key) })
        }
    }
}

/// Splits the first record off `rest`: its length with all that belongs to it, key and value.
fn record(rest: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let space = memchr::memchr(b' ', rest)?;
    let length = usize::try_from(decimal(rest.get(..space)?)?).ok()?;
    let (newline, body) = rest.get(space + 1..length)?.split_last()?;
    let equals = memchr::memchr(b'=', body)?;
    let (key, value) = body.split_at_checked(equals)?;
    (*newline == b'\n' && !key.is_empty() && !key.contains(&0)).then_some((
        length,
        key,
        value.get(1..)?,
    ))
}

/// Keeps `value` and says whether it does not contradict the one before.
fn once<T: PartialEq>(slot: &mut Option<T>, value: T) -> bool {
    if let Some(before) = slot {
        return *before == value;
    }
    *slot = Some(value);
    true
}

/// A path is not empty and, as everywhere in Unix, ends at a NUL: one inside would make readers
/// differ.
fn name(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty() && !value.contains(&0)).then(|| value.to_vec())
}

fn id(value: &[u8]) -> Option<u32> {
    decimal(value).and_then(|id| u32::try_from(id).ok())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'9' => value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0'))),
        _ => None,
    })
}

/// Reads seconds with an optional fraction, which is dropped as apk does: towards the past.
fn seconds(value: &[u8]) -> Option<i64> {
    let (negative, value) = match value {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, value),
    };
    let (whole, fraction) = match memchr::memchr(b'.', value) {
        Some(dot) => (value.get(..dot)?, value.get(dot + 1..)?),
        None => (value, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole = i64::try_from(decimal(whole)?).ok()?;
    if !negative {
        return Some(whole);
    }
    let partly = fraction.iter().any(|digit| *digit != b'0');
    whole.checked_neg()?.checked_sub(i64::from(partly))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One record with its length before it.
    fn record(text: &str) -> String {
        let mut length = text.len() + 3;
        while format!("{length} {text}\n").len() != length {
            length += 1;
            assert!(length < text.len() + 9, "no length fits {text:?}");
        }
        format!("{length} {text}\n")
    }

    fn parse(texts: &[&str]) -> Result<Records, TarErrorKind> {
        let all: String = texts.iter().map(|text| record(text)).collect();
        Records::parse(all.as_bytes())
    }

    #[test]
    fn records_are_read() {
        let records = parse(&[
            "path=a",
            "uid=7000",
            "mtime=-1.500000",
            "SCHILY.xattr.user.a=\n",
            "SCHILY.xattr.user.b=x=\0y",
            "SCHILY.xattr.user.c=",
            "unknown=1",
        ])
        .unwrap();
        assert_eq!(records.path.as_deref(), Some(&b"a"[..]));
        assert_eq!(records.uid, Some(7000));
        assert_eq!(records.mtime, Some(-2));
        assert_eq!(records.xattrs[&b"user.a"[..]], b"\n");
        assert_eq!(records.xattrs[&b"user.b"[..]], b"x=\0y");
        assert_eq!(records.xattrs[&b"user.c"[..]], b"");
        assert!(!records.is_empty());
        assert!(parse(&["comment=text"]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in [
            "8 path=a\n",
            "11 path=a\n",
            "999 path=a\n",
            " path=a\n",
            "-9 path=a\n",
            "+9 path=a\n",
            "0 path=a\n",
            "9 path=aa",
            "7 path\n",
            "5 =a\n",
            "99999999999999999999999 path=a\n",
            "9 path=a\n\0",
        ] {
            assert!(
                matches!(
                    Records::parse(text.as_bytes()),
                    Err(TarErrorKind::Record { .. })
                ),
                "{text:?}"
            );
        }
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        for text in [
            "path=",
            "path=a\0",
            "size=a",
            "size=-1",
            "size=",
            "uid=4294967296",
            "mtime=x",
            "mtime=1.5x",
            "SCHILY.xattr.=",
        ] {
            assert!(
                matches!(parse(&[text]), Err(TarErrorKind::RecordValue { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn contradictions_are_refused() {
        parse(&["path=a", "path=a"]).unwrap();
        for pair in [
            ["path=a", "path=b"],
            ["size=1", "size=2"],
            ["SCHILY.xattr.user.a=1", "SCHILY.xattr.user.a=2"],
        ] {
            assert!(
                matches!(parse(&pair), Err(TarErrorKind::ContradictoryRecords { .. })),
                "{pair:?}"
            );
        }
        assert!(matches!(
            parse(&["GNU.sparse.major=1"]),
            Err(TarErrorKind::Sparse)
        ));
    }
}
