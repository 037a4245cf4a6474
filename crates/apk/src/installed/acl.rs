//! Owner, mode and extended attributes as the database writes them: `uid:gid:mode[:Q1…]`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::digest::Sha1;

/// Who owns a file or directory and what its mode is, as a package brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acl {
    /// The owner's number in the root filesystem.
    pub uid: u32,
    /// The group's number in the root filesystem.
    pub gid: u32,
    /// The permission bits, at most `0o7777`.
    pub mode: u32,
    /// The digest of the extended attributes, where there are any; see [`Acl::xattr_digest`].
    pub xattrs: Option<Sha1>,
}

impl Acl {
    /// What a directory has when the database says nothing: `0:0:755`.
    pub const DIRECTORY: Self = Self::root(0o755);
    /// What a file has when the database says nothing: `0:0:644`.
    pub const FILE: Self = Self::root(0o644);

    const fn root(mode: u32) -> Self {
        Self {
            uid: 0,
            gid: 0,
            mode,
            xattrs: None,
        }
    }

    /// Returns the digest that the database holds of extended attributes: the SHA-1 over them in
    /// the order of their names, each name and value with its length before it as 32 bits, most
    /// significant byte first. `None` where there are none.
    pub fn xattr_digest(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> Option<Sha1> {
        if xattrs.is_empty() {
            return None;
        }
        let mut bytes = Vec::new();
        for text in xattrs.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(text);
        }
        Some(Sha1::of(&bytes))
    }

    /// Reads `uid:gid:octal[:Q1…]`; `None` if it is something else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(text).ok()?.splitn(4, ':');
        let uid = parts.next()?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        let mode = u32::from_str_radix(parts.next()?, 8).ok()?;
        let xattrs = match parts.next() {
            Some(digest) => Some(Sha1::from_apk(digest.as_bytes()).ok()?),
            None => None,
        };
        (mode <= 0o7777).then_some(Self {
            uid,
            gid,
            mode,
            xattrs,
        })
    }

    /// Returns the text that [`Acl::parse`] reads.
    pub fn to_text(self) -> String {
        let mut text = format!("{}:{}:{:o}", self.uid, self.gid, self.mode);
        if let Some(digest) = self.xattrs {
            // Writing to a string cannot fail.
            let _ = write!(text, ":{}", digest.to_apk());
        }
        text
    }
}
