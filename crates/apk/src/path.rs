//! Paths inside the root filesystem that is baked.

use std::fmt::{self, Write as _};

use crate::shown::steers;

/// A path inside a root filesystem: bytes, relative to its root, `/` between the parts.
///
/// It is never a [`std::path::Path`]: that means something else on every host, and nothing in a
/// guest may ever reach a host's path functions. A value is always normal: no empty part, no `.`
/// or `..`, no NUL, no leading or trailing `/`. The root itself is the empty path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct GuestPath(Box<[u8]>);

/// Why bytes are not a [`GuestPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It has a `..` part.
    #[error("has a `..` part")]
    Parent,
    /// It begins with `/` where a relative name belongs.
    #[error("is absolute")]
    Absolute,
    /// It has a `.` part that is not a leading `./`, or an empty part.
    #[error("has an empty or `.` part")]
    NotNormal,
    /// It holds a control character; the offset is in bytes.
    #[error("holds a control character at byte {0}")]
    Control(usize),
    /// It is longer than [`GuestPath::MAX_LENGTH`].
    #[error("is longer than {} bytes", GuestPath::MAX_LENGTH)]
    TooLong,
}

impl GuestPath {
    /// The longest path taken, in bytes: Linux's own `PATH_MAX`, less its final NUL.
    pub const MAX_LENGTH: usize = 4095;

    /// Returns the root of the filesystem.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a name as archives hold it: `usr/bin/env`, `./usr/bin/env`, `usr/` or `.`.
    pub fn from_archive(name: &[u8]) -> Result<Self, PathError> {
        if name.first() == Some(&b'/') {
            return Err(PathError::Absolute);
        }
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let name = match name {
            b"." => b"",
            _ => name.strip_prefix(b"./").unwrap_or(name),
        };
        Self::from_relative(name)
    }

    /// Reads an absolute path as people write it: `/etc/hosts`.
    pub fn from_absolute(name: &[u8]) -> Result<Self, PathError> {
        let name = name.strip_prefix(b"/").ok_or(PathError::NotNormal)?;
        Self::from_relative(name.strip_suffix(b"/").unwrap_or(name))
    }

    /// Reads a path that is relative to the root and already normal; empty for the root.
    pub fn from_relative(name: &[u8]) -> Result<Self, PathError> {
        if name.len() > Self::MAX_LENGTH {
            return Err(PathError::TooLong);
        }
        if let Some(at) = name.iter().position(|byte| *byte < 0x20 || *byte == 0x7f) {
            return Err(PathError::Control(at));
        }
        if !name.is_empty() {
            for part in name.split(|byte| *byte == b'/') {
                match part {
                    b".." => return Err(PathError::Parent),
                    b"" | b"." => return Err(PathError::NotNormal),
                    _ => {}
                }
            }
        }
        Ok(Self(name.into()))
    }

    /// Returns the path without a leading `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Says whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the parts from the root down; none for the root.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
    }

    /// Returns the last part; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.parts().next_back()
    }

    /// Returns the directory that holds this; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Some(Self(self.0.get(..end).unwrap_or_default().into()))
    }

    /// Returns this path with one more part. `name` must be a normal part.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self::from_relative(&bytes)
    }
}

/// As people are shown it: what is not UTF-8 becomes U+FFFD, and what would steer a terminal an
/// escape.
impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        for char in String::from_utf8_lossy(&self.0).chars() {
            if steers(char) {
                write!(f, "{}", char.escape_default())?;
            } else {
                f.write_char(char)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"/{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_names_become_normal() {
        for (name, path) in [
            ("usr/bin", "/usr/bin"),
            ("./usr/", "/usr"),
            ("./", "/"),
            (".", "/"),
            ("", "/"),
            ("a b", "/a b"),
        ] {
            assert_eq!(
                GuestPath::from_archive(name.as_bytes())
                    .unwrap()
                    .to_string(),
                path,
                "{name:?}"
            );
        }
    }

    #[test]
    fn what_leaves_the_root_is_refused() {
        for (name, why) in [
            ("/etc", PathError::Absolute),
            ("../etc", PathError::Parent),
            ("a/../b", PathError::Parent),
            ("a//b", PathError::NotNormal),
            ("a/./b", PathError::NotNormal),
            ("a\nb", PathError::Control(1)),
            ("a\0b", PathError::Control(1)),
        ] {
            assert_eq!(
                GuestPath::from_archive(name.as_bytes()),
                Err(why),
                "{name:?}"
            );
        }
    }

    #[test]
    fn parents_and_parts() {
        let path = GuestPath::from_absolute(b"/usr/bin/env").unwrap();
        assert_eq!(path.name(), Some(&b"env"[..]));
        assert_eq!(path.parent().unwrap().to_string(), "/usr/bin");
        assert_eq!(path.parent().unwrap().join(b"env").unwrap(), path);
        assert_eq!(GuestPath::root().parent(), None);
        assert_eq!(path.parts().count(), 3);
        assert_eq!(GuestPath::root().parts().count(), 0);
    }
}
