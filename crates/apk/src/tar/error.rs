//! Why bytes are not a tar archive that is read here.

use std::fmt;
use std::io;

use crate::digest::DigestError;
use crate::limits::{
    MAX_CONTENTS, MAX_FILE, MAX_LINK_TARGET, MAX_OWNER_NAME, MAX_TAR_ENTRIES, MAX_TAR_HELD,
    MAX_TAR_METADATA,
};
use crate::path::PathError;
use crate::shown::shown;

/// An archive that cannot be read, and where.
#[derive(Debug)]
pub struct TarError(Box<Inner>);

/// What is known of an error. Boxed, for most results are none.
#[derive(Debug)]
struct Inner {
    offset: u64,
    /// The name of the entry, as far as it is known.
    entry: Option<String>,
    kind: TarErrorKind,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarErrorKind {
    /// The input failed.
    #[error("the tar archive cannot be read")]
    Io(#[source] io::Error),
    /// The input ends inside an entry.
    #[error("the tar archive is truncated")]
    Truncated,
    /// The header's checksum is not the sum of its bytes.
    #[error("the tar header's checksum is wrong")]
    HeaderChecksum,
    /// The header has no `ustar` magic.
    #[error("there is no ustar header")]
    Magic,
    /// A header's type that is not read here.
    #[error("the tar entry's type `{}` is not supported", .0.escape_ascii())]
    Type(u8),
    /// The entry is a sparse file, which no package holds and readers disagree about.
    #[error("sparse files are not supported")]
    Sparse,
    /// A field that should be a number and is none, or is out of its range.
    #[error("the {0} is not a number in its range")]
    Number(&'static str),
    /// A pax header that is not made of records.
    #[error("the pax record at byte {at} of its header is malformed")]
    Record {
        /// Where the record begins, in bytes from the start of the pax header's content.
        at: usize,
    },
    /// A pax record whose value is not what its key calls for.
    #[error("the pax record `{key}` has a value that it cannot have")]
    RecordValue {
        /// The record's key.
        key: String,
    },
    /// A pax record that stands there twice and says two things.
    #[error("the pax record `{key}` stands there twice with different values")]
    ContradictoryRecords {
        /// The record's key.
        key: String,
    },
    /// A global pax header that changes the entries after it.
    #[error("global pax records that change entries are not supported")]
    GlobalRecords,
    /// Pax and GNU headers before one entry.
    #[error("the entry is described by pax and by GNU headers at once")]
    MixedDialects,
    /// A header that may come once before an entry and came twice.
    #[error("the entry has a second {0}")]
    Twice(&'static str),
    /// A header that describes the next entry, without one.
    #[error("a header describes an entry that is not there")]
    NothingDescribed,
    /// A pax header or long name over [`MAX_TAR_METADATA`].
    #[error("the entry's metadata has {size} bytes, more than {MAX_TAR_METADATA}")]
    MetadataTooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// More than [`MAX_TAR_ENTRIES`] entries.
    #[error("the archive has more than {MAX_TAR_ENTRIES} entries")]
    TooManyEntries,
    /// Names, link targets and extended attributes over [`MAX_TAR_HELD`].
    #[error(
        "the names, link targets and extended attributes of the archive have more than \
         {MAX_TAR_HELD} bytes together"
    )]
    TooMuchHeld,
    /// A file over [`MAX_FILE`].
    #[error("the file has {size} bytes, more than {MAX_FILE}")]
    FileTooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// Files over [`MAX_CONTENTS`].
    #[error("the files of the archive have more than {MAX_CONTENTS} bytes together")]
    ContentsTooLarge,
    /// A GNU header with something where a POSIX header has the beginning of the name.
    #[error("the GNU header has bytes in the place of a POSIX header's prefix")]
    GnuPrefix,
    /// A GNU long name or link target that is empty, has no NUL at its end or goes on behind it.
    #[error("the {0} is empty or does not end with its NUL")]
    LongText(&'static str),
    /// The header and its pax record give two sizes.
    #[error("the header says {header} bytes and its pax record {pax}")]
    ContradictorySize {
        /// The header's size in bytes.
        header: u64,
        /// The pax record's size in bytes.
        pax: u64,
    },
    /// Content of what has none.
    #[error("an entry that is no file has {size} bytes of content")]
    SizeOfNoFile {
        /// Its size in bytes.
        size: u64,
    },
    /// A name that does not stay inside the root.
    #[error("the name `{name}` cannot be used")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// Something else than a directory whose name is empty or ends with `/`, which old archives use
    /// for directories.
    #[error("the entry `{name}`, which is no directory, is named like a directory")]
    FileNamedAsDirectory {
        /// The name.
        name: String,
    },
    /// An entry without a name.
    #[error("an entry has no name")]
    NoName,
    /// A link to nothing.
    #[error("a link has no target")]
    NoLinkTarget,
    /// A symbolic link's target that Linux would not take.
    #[error("a link's target holds a NUL or is longer than {MAX_LINK_TARGET} bytes")]
    LinkTarget,
    /// An owner's or a group's name that is too long.
    #[error("an owner's name is longer than {MAX_OWNER_NAME} bytes")]
    OwnerName,
    /// A checksum record that is not a SHA-1.
    #[error("the checksum record cannot be read")]
    Checksum(#[source] DigestError),
    /// Bytes behind the blocks of zeros that end an archive.
    #[error("there is data behind the end of the tar archive")]
    AfterEnd,
}

impl TarError {
    pub(super) fn new(offset: u64, kind: TarErrorKind) -> Self {
        Self(Box::new(Inner {
            offset,
            entry: None,
            kind,
        }))
    }

    /// Says which entry it is.
    pub(super) fn of(mut self, name: &[u8]) -> Self {
        self.0.entry = (!name.is_empty()).then(|| shown(name));
        self
    }

    /// Returns the name of the entry that is wrong, where it is known.
    pub fn entry(&self) -> Option<&str> {
        self.0.entry.as_deref()
    }

    /// Returns where the entry begins that is wrong, in bytes from the start of the archive.
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// Returns what is wrong.
    pub fn kind(&self) -> &TarErrorKind {
        &self.0.kind
    }
}

impl fmt::Display for TarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.0.kind)?;
        let said = matches!(
            self.0.kind,
            TarErrorKind::Name { .. } | TarErrorKind::FileNamedAsDirectory { .. }
        );
        if let Some(entry) = self.0.entry.as_ref().filter(|_| !said) {
            write!(f, "entry `{entry}`, ")?;
        }
        write!(f, "at byte {} of it)", self.0.offset)
    }
}

impl std::error::Error for TarError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.kind.source()
    }
}
