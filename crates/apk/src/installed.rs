//! The database of installed packages, `lib/apk/db/installed`: read, and written as apk writes it.
//!
//! One block of lines a package, an empty line after each. A line is a letter, a `:` and a
//! value: first the fields that an index has too, then what only an installed package has, then
//! its directories (`F:`, with an `M:` where owner and mode are not `0:0:755`) and below each its
//! files (`R:`, with an `a:` where they are not `0:0:644`, and a `Z:` with the checksum).
//!
//! The judge of the tests is the real `apk` 2.14.4: what it wrote into three official root
//! filesystems must come out of a round trip unchanged, byte for byte.

mod acl;
mod order;
mod stanza;

pub use acl::Acl;
pub use order::compare_names;
pub use stanza::Stanza;

use crate::digest::Sha1;
use crate::path::{GuestPath, PathError};
use crate::version::Dialect;

/// All installed packages, in the order in which apk holds them: that of the file, then that of
/// installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The packages.
    pub packages: Vec<InstalledPackage>,
}

/// An installed package: what it says of itself and what it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPackage {
    /// Its fields.
    pub stanza: Stanza,
    /// Its directories in the order of its archive, the files in each.
    pub directories: Vec<InstalledDirectory>,
}

/// A directory that a package has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledDirectory {
    /// Where it is; the root's is the empty path.
    pub path: GuestPath,
    /// The owner and mode that this package gives it; several packages may differ.
    pub acl: Acl,
    /// The files in it that the package owns.
    pub files: Vec<InstalledFile>,
}

/// A file, link, device or pipe that a package owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledFile {
    /// Its name within the directory.
    pub name: Vec<u8>,
    /// The owner and mode that the package gave it.
    pub acl: Acl,
    /// The SHA-1 of its content, or of a symbolic link's target; devices and pipes have none.
    pub checksum: Option<Sha1>,
}

/// A database that is not one; `line` counts from 1.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the database of installed packages {problem}")]
pub struct InstalledError {
    line: usize,
    problem: InstalledProblem,
}

/// What is wrong with a line of the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstalledProblem {
    #[error("has no `letter:` in front")]
    NoLetter,
    #[error("has a value that is not right for `{}:`", .0.escape_ascii())]
    Value(u8),
    #[error("has the unknown field `{}:`, which apk refuses too", .0.escape_ascii())]
    UnknownField(u8),
    #[error("has `{}:` where nothing came before that it belongs to", .0.escape_ascii())]
    OutOfPlace(u8),
    #[error("names a path that {0}")]
    Path(#[from] PathError),
    #[error("ends a package that has no name, version or identity")]
    Incomplete,
}

impl InstalledDirectory {
    /// Returns a directory with no files yet.
    pub fn new(path: GuestPath, acl: Acl) -> Self {
        Self {
            path,
            acl,
            files: Vec::new(),
        }
    }
}

impl Installed {
    /// Reads the database's text.
    ///
    /// Unknown lower-case fields are left out, as apk leaves them out when it next writes; an
    /// unknown upper-case field is an error.
    pub fn parse(text: &[u8]) -> Result<Self, InstalledError> {
        let mut packages = Vec::new();
        let mut block = Block::default();
        let mut count = 0;
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            count = index + 1;
            let at = |problem| InstalledError {
                line: index + 1,
                problem,
            };
            if line.is_empty() {
                packages.extend(std::mem::take(&mut block).end().map_err(at)?);
            } else {
                block.line(line).map_err(at)?;
            }
        }
        let last = block.end().map_err(|problem| InstalledError {
            line: count,
            problem,
        })?;
        packages.extend(last);
        Ok(Self { packages })
    }

    /// Returns the file's text: packages sorted as apk sorts them, whatever their order here.
    ///
    /// apk 2.14 loses its place at a package that has no directory, and so does this for
    /// [`Dialect::V2`]: the lines `r:`, `q:`, `s:` and `f:` of such a package turn up in front of
    /// those of the next package that has one, or nowhere. In Alpine 3.19 `zlib` gets the
    /// `r:udev` of `udev-init-scripts`.
    pub fn to_text(&self, dialect: Dialect) -> Vec<u8> {
        let mut sorted: Vec<_> = self.packages.iter().collect();
        sorted.sort_by(|one, other| {
            compare_names(&one.stanza.name, &other.stanza.name)
                .then_with(|| one.stanza.version.cmp(&other.stanza.version))
        });
        let mut text = Vec::new();
        let mut late = Vec::new();
        for package in sorted {
            package.stanza.write_early(&mut text);
            package.stanza.write_late(&mut late);
            if dialect == Dialect::V3 || !package.directories.is_empty() {
                text.append(&mut late);
            }
            package.write_files(&mut text);
        }
        text
    }
}

impl InstalledPackage {
    fn write_files(&self, text: &mut Vec<u8>) {
        for directory in &self.directories {
            stanza::field(text, b'F', directory.path.as_bytes());
            if directory.acl != Acl::DIRECTORY {
                stanza::field(text, b'M', directory.acl.to_text().as_bytes());
            }
            for file in &directory.files {
                stanza::field(text, b'R', &file.name);
                if file.acl != Acl::FILE {
                    stanza::field(text, b'a', file.acl.to_text().as_bytes());
                }
                if let Some(checksum) = file.checksum {
                    stanza::field(text, b'Z', checksum.to_apk().as_bytes());
                }
            }
        }
        text.push(b'\n');
    }
}

/// A package while its lines come in.
#[derive(Default)]
struct Block {
    begun: bool,
    fields: stanza::Partial,
    directories: Vec<InstalledDirectory>,
}

impl Block {
    fn line(&mut self, line: &[u8]) -> Result<(), InstalledProblem> {
        let [letter, b':', value @ ..] = line else {
            return Err(InstalledProblem::NoLetter);
        };
        self.begun = true;
        let wrong = || InstalledProblem::Value(*letter);
        let out_of_place = || InstalledProblem::OutOfPlace(*letter);
        match letter {
            b'F' => {
                let path = GuestPath::from_relative(value)?;
                self.directories
                    .push(InstalledDirectory::new(path, Acl::DIRECTORY));
            }
            b'M' => {
                let directory = self.directories.last_mut().ok_or_else(out_of_place)?;
                directory.acl = Acl::parse(value).ok_or_else(wrong)?;
            }
            b'R' => {
                let directory = self.directories.last_mut().ok_or_else(out_of_place)?;
                // The name must be one part; `join` knows what that means.
                if value.is_empty() || value.contains(&b'/') {
                    return Err(wrong());
                }
                directory.path.join(value)?;
                directory.files.push(InstalledFile {
                    name: value.to_vec(),
                    acl: Acl::FILE,
                    checksum: None,
                });
            }
            b'a' | b'Z' => {
                let file = self.directories.last_mut().and_then(|d| d.files.last_mut());
                let file = file.ok_or_else(out_of_place)?;
                if *letter == b'a' {
                    file.acl = Acl::parse(value).ok_or_else(wrong)?;
                } else {
                    file.checksum = Some(Sha1::from_apk(value).map_err(|_| wrong())?);
                }
            }
            _ => self.fields.set(*letter, value)?,
        }
        Ok(())
    }

    fn end(self) -> Result<Option<InstalledPackage>, InstalledProblem> {
        if !self.begun {
            return Ok(None);
        }
        let stanza = self.fields.finish().ok_or(InstalledProblem::Incomplete)?;
        Ok(Some(InstalledPackage {
            stanza,
            directories: self.directories,
        }))
    }
}
