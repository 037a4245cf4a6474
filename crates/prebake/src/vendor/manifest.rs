//! The list of the files that `prebake vendor` put into a folder.
//!
//! It is what `sha256sum` writes and `sha256sum -c` reads: a line each, the SHA-256, two spaces, and
//! the path relative to the folder. Nothing is believed of it. It says where to look for a hash,
//! and what is found there is hashed; and which files may be replaced or removed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;

use super::VendorError;
use crate::error::Error;
use crate::host_file;

/// The list's name in the folder.
pub const MANIFEST: &str = "prebake.sha256";

/// The longest list read, in bytes; a file takes about 120.
pub const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// The files of a folder, by their paths: relative, with `/`, and nowhere else than below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest(pub(super) BTreeMap<String, Sha256>);

impl Manifest {
    /// Reads the list of `folder`; `None` where it has none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(MANIFEST);
        match host_file::read_text(&path, MAX_MANIFEST_BYTES) {
            Ok(text) => Ok(Some(Self::parse(&path, &text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::ReadFile {
                what: "the list of a vendored folder",
                path,
                source,
            }),
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, VendorError> {
        let mut files = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let wrong = |what| VendorError::Manifest {
                path: path.to_owned(),
                line: number + 1,
                what,
            };
            let (sha256, name) = line
                .split_once("  ")
                .ok_or_else(|| wrong("no SHA-256, two spaces and a path"))?;
            let sha256 = sha256.parse().map_err(|_| wrong("without a SHA-256"))?;
            if !is_below(name) {
                return Err(wrong("about a path that does not stay in the folder"));
            }
            if files.insert(name.to_owned(), sha256).is_some() {
                return Err(wrong("about a file that stands there twice"));
            }
        }
        Ok(Self(files))
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (path, sha256) in &self.0 {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{sha256}  {path}");
        }
        text
    }
}

/// Says whether a path names a file below a folder, and the same one on every host.
fn is_below(path: &str) -> bool {
    path.split('/').all(is_name) && path != MANIFEST
}

/// Says whether a text is a file's name on every host.
pub(super) fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_control() || "\\:*?\"<>|".contains(c);
    !matches!(name, "" | "." | "..") && !name.contains('/') && !name.contains(odd)
}

/// Returns the host's path of a file of the list.
pub(super) fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = folder.to_owned();
    joined.extend(path.split('/'));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_leads_out() {
        let sha256 = Sha256::of(b"x");
        let files = [
            ("v3.20/main/x86_64/a b+c~1.apk", sha256),
            ("keys/k", sha256),
        ];
        let files = files.map(|(path, sha256)| (path.to_owned(), sha256));
        let manifest = Manifest(files.into());
        let read = |text: &str| Manifest::parse(Path::new("d"), text);
        let text = manifest.to_text();
        assert_eq!(read(&text).unwrap(), manifest);
        // As git writes it on Windows.
        assert_eq!(read(&text.replace('\n', "\r\n")).unwrap(), manifest);
        for path in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a//b",
            "./a",
            "a/",
            "a\\b",
            "C:a",
            "a\u{7}",
            MANIFEST,
        ] {
            let error = read(&format!("{sha256}  x\n{sha256}  {path}\n")).unwrap_err();
            assert!(error.to_string().starts_with("line 2 of `d`"), "{error}");
        }
        for text in ["x", "00  a", &format!("{sha256}  a\n{sha256}  a")] {
            read(text).unwrap_err();
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_stays_below_the_folder(name in "[./\\\\:a ~-]{0,12}") {
            let text = format!("{}  {name}", Sha256::of(b"x"));
            if let Ok(Manifest(files)) = Manifest::parse(Path::new("d"), &text) {
                for path in files.keys() {
                    let joined = join(Path::new("/d"), path);
                    let mut parts = joined.components();
                    assert!(joined.starts_with("/d") && joined != Path::new("/d"));
                    assert!(!parts.any(|part| part == std::path::Component::ParentDir), "{path}");
                }
            }
        }
    }
}
