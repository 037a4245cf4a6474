//! Paths inside the root filesystem that is baked.

use std::fmt::{self, Write as _};

use crate::shown::steers;

use crate::limits::{MAX_DEPTH, MAX_NAME};

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
    /// It holds a control character, of ASCII or of Unicode (U+0080 to U+009F, which terminals
    /// obey too); the offset is in bytes.
    #[error("holds a control character at byte {0}")]
    Control(usize),
    /// It climbs or begins anew behind a `\`, which Windows takes for a `/`.
    #[error("has a `..` part or a drive behind or before a `\\`, which Windows takes for a `/`")]
    Backslash,
    /// One of its parts is longer than [`MAX_NAME`].
    #[error("has a part that is longer than {MAX_NAME} bytes")]
    PartTooLong,
    /// It has more parts than [`MAX_DEPTH`].
    #[error("has more than {MAX_DEPTH} parts")]
    TooDeep,
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
        if let Some(at) = control(name) {
            return Err(PathError::Control(at));
        }
        if !name.is_empty() {
            for (number, part) in name.split(|byte| *byte == b'/').enumerate() {
                match part {
                    b".." => return Err(PathError::Parent),
                    b"" | b"." => return Err(PathError::NotNormal),
                    _ if part.len() > MAX_NAME => return Err(PathError::PartTooLong),
                    _ if number >= MAX_DEPTH => return Err(PathError::TooDeep),
                    _ if leaves_on_windows(part) => return Err(PathError::Backslash),
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

/// Returns where the first control character is. Those of Unicode are two bytes in UTF-8.
fn control(name: &[u8]) -> Option<usize> {
    let ascii = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
    let unicode = |pair: &[u8]| matches!(pair, [0xc2, 0x80..=0x9f]);
    let first = name.iter().position(ascii);
    first.or_else(|| name.windows(2).position(unicode))
}

/// Says whether a part is a way out for whoever takes `\` for a `/`: `..\x`, `C:\x` or `\x`.
/// Other backslashes are plain in Linux, as in systemd's `dev-disk\x2d1.swap`.
fn leaves_on_windows(part: &[u8]) -> bool {
    let mut parts = part.split(|byte| *byte == b'\\');
    let Some(first) = parts.next().filter(|first| first.len() < part.len()) else {
        return false;
    };
    let drive = matches!(first, [letter, b':', ..] if letter.is_ascii_alphabetic());
    first.is_empty() || drive || first == b".." || parts.any(|part| part == b"..")
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
            ("a\u{7f}b", PathError::Control(1)),
            ("a\u{9b}2Jb", PathError::Control(1)),
            ("a/..\\b", PathError::Backslash),
            ("a\\..\\..\\b", PathError::Backslash),
            ("C:\\b", PathError::Backslash),
            ("a/\\b", PathError::Backslash),
        ] {
            assert_eq!(
                GuestPath::from_archive(name.as_bytes()),
                Err(why),
                "{name:?}"
            );
        }
    }

    #[test]
    fn lengths_and_depths_end_where_the_bounds_say() {
        let long = |length| "n".repeat(length);
        let deep = |depth| vec!["d"; depth].join("/");
        let path = |name: &str| GuestPath::from_relative(name.as_bytes());
        path(&long(MAX_NAME)).unwrap();
        assert_eq!(path(&long(MAX_NAME + 1)), Err(PathError::PartTooLong));
        path(&deep(MAX_DEPTH)).unwrap();
        assert_eq!(path(&deep(MAX_DEPTH + 1)), Err(PathError::TooDeep));
        let whole = format!("{}n", format!("{}/", long(127)).repeat(32));
        assert_eq!(whole.len(), GuestPath::MAX_LENGTH + 2);
        path(&whole[2..]).unwrap();
        assert_eq!(path(&whole[1..]), Err(PathError::TooLong));
        path("dev-disk\\x2d1.swap").unwrap();
        path("Foo::Bar.3pm").unwrap();
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
