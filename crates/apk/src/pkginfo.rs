//! What a package says about itself: the `.PKGINFO` file of its control member.
//!
//! Lines are `key = value`; `#` begins a comment; lists have one line for each element, but
//! `triggers`, which has one line for all. Unknown keys are ignored, as apk does, for newer
//! versions add some.

use crate::digest::Sha256;

/// A package's description of itself.
///
/// Texts are as they stand in the file; numbers that are missing are 0, as apk takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PkgInfo {
    /// `pkgname`
    pub name: String,
    /// `pkgver`, with its `-r` revision
    pub version: String,
    /// `pkgdesc`
    pub description: String,
    /// `url`
    pub url: String,
    /// `builddate`, in seconds since 1970
    pub build_date: i64,
    /// `size`: how much it takes when installed, in bytes. A package with 0 is never opened by apk.
    pub installed_size: u64,
    /// `arch`, which may be `noarch`
    pub arch: String,
    /// `origin`: the name of the source package; `None` where there is no such line
    pub origin: Option<String>,
    /// `commit` of the repository of build recipes; `None` where there is no such line
    pub commit: Option<String>,
    /// `maintainer`; `None` where there is no such line
    pub maintainer: Option<String>,
    /// `license`
    pub license: String,
    /// `depend`, one dependency each
    pub depends: Vec<String>,
    /// `provides`
    pub provides: Vec<String>,
    /// `replaces`
    pub replaces: Vec<String>,
    /// `replaces_priority`
    pub replaces_priority: u32,
    /// `install_if`
    pub install_if: Vec<String>,
    /// `provider_priority`
    pub provider_priority: u32,
    /// `triggers`: the patterns of directories that the package wants to hear of
    pub triggers: Vec<String>,
    /// `datahash`: the SHA-256 of the compressed data member
    pub data_hash: Option<Sha256>,
}

/// Why a `.PKGINFO` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PkgInfoError {
    /// A line is not UTF-8 or holds a control character, which no line of a database could keep.
    #[error("line {line} of .PKGINFO holds bytes that are no text")]
    Text {
        /// The line's number, from 1.
        line: usize,
    },
    /// A value is not what its key calls for.
    #[error("line {line} of .PKGINFO gives no valid `{key}`")]
    Value {
        /// The line's number, from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
    /// A key that must be there is not.
    #[error(".PKGINFO has no `{0}`")]
    Missing(&'static str),
}

impl PkgInfo {
    /// Reads a `.PKGINFO` file.
    pub fn parse(text: &[u8]) -> Result<Self, PkgInfoError> {
        let mut info = Self::default();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line_number = number + 1;
            if line.first() == Some(&b'#') {
                continue;
            }
            let line = str::from_utf8(line)
                .ok()
                .filter(|line| !line.chars().any(|char| char.is_control() && char != '\t'))
                .ok_or(PkgInfoError::Text { line: line_number })?;
            let Some((key, value)) = line.split_once(" = ") else {
                continue;
            };
            info.take(key, value).map_err(|key| PkgInfoError::Value {
                line: line_number,
                key,
            })?;
        }
        for (key, value) in [("pkgname", &info.name), ("pkgver", &info.version)] {
            if value.is_empty() {
                return Err(PkgInfoError::Missing(key));
            }
        }
        Ok(info)
    }

    /// Takes one line; the error is the key whose value is wrong.
    fn take(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let text = || value.to_owned();
        match key {
            // Both become part of file names in the database of scripts.
            "pkgname" => self.name = part(value).ok_or("pkgname")?,
            "pkgver" => self.version = part(value).ok_or("pkgver")?,
            "pkgdesc" => self.description = text(),
            "url" => self.url = text(),
            "builddate" => self.build_date = value.parse().map_err(|_| "builddate")?,
            "size" => self.installed_size = value.parse().map_err(|_| "size")?,
            "arch" => self.arch = part(value).ok_or("arch")?,
            "origin" => self.origin = Some(text()),
            "commit" => self.commit = Some(text()),
            "maintainer" => self.maintainer = Some(text()),
            "license" => self.license = text(),
            "depend" => self.depends.extend(words(value)),
            "provides" => self.provides.extend(words(value)),
            "replaces" => self.replaces.extend(words(value)),
            "replaces_priority" => {
                self.replaces_priority = value.parse().map_err(|_| "replaces_priority")?;
            }
            "install_if" => self.install_if.extend(words(value)),
            "provider_priority" => {
                self.provider_priority = value.parse().map_err(|_| "provider_priority")?;
            }
            "triggers" => self.triggers.extend(words(value)),
            "datahash" => self.data_hash = Some(value.parse().map_err(|_| "datahash")?),
            _ => {}
        }
        Ok(())
    }
}

/// A text that can be part of a file's name.
fn part(value: &str) -> Option<String> {
    let fits = !value.is_empty()
        && value != "."
        && value != ".."
        && !value.contains(|char: char| char.is_whitespace() || char == '/');
    fits.then(|| value.to_owned())
}

fn words(value: &str) -> impl Iterator<Item = String> {
    value.split_ascii_whitespace().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fields_are_read() {
        let info = PkgInfo::parse(
            b"# Generated by abuild 3.12\n\
              pkgname = busybox\npkgver = 1.36.1-r29\npkgdesc = Size optimized = good\n\
              url = https://busybox.net/\nbuilddate = 1718000000\nsize = 962560\narch = x86_64\n\
              packager = Somebody\norigin = busybox\ncommit = 1747c01fb96905f101c25609011589d28e01cbb8\n\
              maintainer = S\xc3\xb6ren <soren@example.org>\nlicense = GPL-2.0-only\n\
              depend = so:libc.musl-x86_64.so.1\ndepend = !old<2\nprovides = cmd:ash=1.36.1-r29\n\
              replaces = busybox-initscripts\nreplaces_priority = 3\ninstall_if = a b\n\
              provider_priority = 100\ntriggers = /bin /usr/bin /lib/modules/*\nnewkey = whatever\n\
              datahash = 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n",
        )
        .unwrap();
        assert_eq!(info.name, "busybox");
        assert_eq!(info.description, "Size optimized = good");
        assert_eq!(info.depends, ["so:libc.musl-x86_64.so.1", "!old<2"]);
        assert_eq!(info.install_if, ["a", "b"]);
        assert_eq!(info.triggers, ["/bin", "/usr/bin", "/lib/modules/*"]);
        assert_eq!((info.replaces_priority, info.provider_priority), (3, 100));
        assert_eq!(
            (info.build_date, info.installed_size),
            (1_718_000_000, 962_560)
        );
        assert_eq!(info.data_hash, Some(Sha256::of(b"hello")));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (text, error) in [
            ("pkgver = 1\n", PkgInfoError::Missing("pkgname")),
            ("pkgname = a\n", PkgInfoError::Missing("pkgver")),
            (
                "pkgname = a\npkgver = 1\nsize = many\n",
                PkgInfoError::Value {
                    line: 3,
                    key: "size",
                },
            ),
            (
                "pkgname = ../a\n",
                PkgInfoError::Value {
                    line: 1,
                    key: "pkgname",
                },
            ),
            (
                "datahash = Q1\n",
                PkgInfoError::Value {
                    line: 1,
                    key: "datahash",
                },
            ),
            ("\npkgdesc = a\0b\n", PkgInfoError::Text { line: 2 }),
        ] {
            assert_eq!(PkgInfo::parse(text.as_bytes()), Err(error), "{text:?}");
        }
    }
}
