//! Digests as Alpine and prebake write them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::Digest as _;

use crate::shown::shown;

/// A SHA-1 digest: what apk identifies packages and files by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha1([u8; 20]);

/// A SHA-256 digest: what prebake pins inputs and outputs by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

/// A text that was to be a digest and is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct DigestError {
    text: String,
    expected: &'static str,
}

impl Sha1 {
    /// Wraps the digest's 20 bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Returns the SHA-1 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha1::Sha1::digest(bytes).into())
    }

    /// Returns the digest's bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Reads apk's `Q1` form: `Q1` and the base64 of the 20 bytes, as in an index's `C:` and an
    /// installed database's `Z:`. `X1` and 40 hexadecimal digits mean the same (apk 3 writes it).
    pub fn from_apk(text: &[u8]) -> Result<Self, DigestError> {
        let decoded = match text {
            [b'Q', b'1', rest @ ..] if rest.len() == 28 => {
                let mut buffer = [0; 21];
                match BASE64.decode_slice(rest, &mut buffer) {
                    Ok(20) => buffer.first_chunk().copied(),
                    _ => None,
                }
            }
            [b'X', b'1', rest @ ..] => from_hex(rest),
            _ => None,
        };
        decoded.map(Self).ok_or_else(|| DigestError {
            text: shown(text),
            expected: "an apk checksum (`Q1` and 28 characters of base64)",
        })
    }

    /// Reads 40 hexadecimal digits.
    pub fn from_hex(text: &[u8]) -> Result<Self, DigestError> {
        from_hex(text).map(Self).ok_or_else(|| DigestError {
            text: shown(text),
            expected: "a SHA-1 (40 hexadecimal digits)",
        })
    }

    /// Returns apk's `Q1` form.
    pub fn to_apk(self) -> String {
        let mut text = String::with_capacity(30);
        text.push_str("Q1");
        BASE64.encode_string(self.0, &mut text);
        text
    }
}

impl Sha256 {
    /// Wraps the digest's 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Returns the digest's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Sha256 {
    type Err = DigestError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        from_hex(text.as_bytes())
            .map(Self)
            .ok_or_else(|| DigestError {
                text: shown(text),
                expected: "a SHA-256 (64 hexadecimal digits)",
            })
    }
}

fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apk_form_round_trips() {
        let text = b"Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=";
        let digest = Sha1::from_apk(text).unwrap();
        assert_eq!(digest.to_apk().as_bytes(), text);
        assert_eq!(
            Sha1::from_apk(format!("X1{digest}").as_bytes()).unwrap(),
            digest
        );
        assert_eq!(
            Sha1::from_hex(digest.to_string().as_bytes()).unwrap(),
            digest
        );
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in [
            "",
            "Q1",
            "Q2qKcZ+j23xssAXmgQhkOO8dHnbWw=",
            "Q1qKcZ+j23xssAXmgQhkOO8dHnbW==",
            "X1zz",
        ] {
            Sha1::from_apk(text.as_bytes()).unwrap_err();
        }
        "abc".parse::<Sha256>().unwrap_err();
        "g".repeat(64).parse::<Sha256>().unwrap_err();
    }
}
