//! One member of a tar archive to be written, honest or not.

use std::collections::BTreeMap;

use prebake_apk::digest::Sha1;

/// A member of a tar archive with its content.
///
/// The constructors make an honest one that root owns, with the usual mode and time; everything
/// can be set to something else afterwards, so that an archive can be as wrong as a test needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name as it is written, in whatever form.
    pub name: Vec<u8>,
    /// The type flag: `0` file, `1` hardlink, `2` symlink, `3` character device, `4` block
    /// device, `5` directory, `6` FIFO, or anything.
    pub flag: u8,
    /// The mode bits.
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// The owner's name.
    pub user: String,
    /// The group's name.
    pub group: String,
    /// The time of the last change, in seconds since 1970.
    pub mtime: i64,
    /// The target of a link.
    pub link: Vec<u8>,
    /// A device's major and minor number.
    pub device: (u32, u32),
    /// Extended attributes by name.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// More pax records, in order, after those that the writer makes itself.
    pub pax: Vec<(String, Vec<u8>)>,
    /// Whether a package's writer adds the record with the SHA-1 that apk asks for.
    pub checksum: Checksum,
    /// The content.
    pub content: Vec<u8>,
    /// The size that the header claims, where it is not the content's.
    pub claimed_size: Option<u64>,
    /// What the header's own checksum field says, where it is not the truth.
    pub claimed_sum: Option<u32>,
}

/// What the record `APK-TOOLS.checksum.SHA1` of a [`Member`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// The SHA-1 of a file's content or of a symlink's target; nothing for other kinds.
    #[default]
    Right,
    /// There is no such record.
    Missing,
    /// This, whatever the content is.
    Claimed(Sha1),
}

impl Member {
    /// The time that a member has unless told: 2024-01-01, midnight.
    pub const MTIME: i64 = 1_704_067_200;

    /// Returns a member of the kind `flag` with `mode` and nothing else.
    pub fn new(flag: u8, name: impl AsRef<[u8]>, mode: u32) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            flag,
            mode,
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime: Self::MTIME,
            link: Vec::new(),
            device: (0, 0),
            xattrs: BTreeMap::new(),
            pax: Vec::new(),
            checksum: Checksum::Right,
            content: Vec::new(),
            claimed_size: None,
            claimed_sum: None,
        }
    }

    /// Returns a regular file, mode 0644.
    pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self {
            content: content.as_ref().to_vec(),
            ..Self::new(b'0', name, 0o644)
        }
    }

    /// Returns a directory, mode 0755. The writer adds the final `/` that GNU tar writes, too.
    pub fn directory(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'5', name, 0o755)
    }

    /// Returns a symbolic link to `target`, mode 0777.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            link: target.as_ref().to_vec(),
            ..Self::new(b'2', name, 0o777)
        }
    }

    /// Returns one more name of the file `target`, which came before it in the archive.
    pub fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            link: target.as_ref().to_vec(),
            ..Self::new(b'1', name, 0o644)
        }
    }

    /// Returns a character device, mode 0600.
    pub fn char_device(name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        Self {
            device: (major, minor),
            ..Self::new(b'3', name, 0o600)
        }
    }

    /// Returns a block device, mode 0600.
    pub fn block_device(name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        Self {
            device: (major, minor),
            ..Self::new(b'4', name, 0o600)
        }
    }

    /// Returns a named pipe, mode 0644.
    pub fn fifo(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'6', name, 0o644)
    }

    /// Sets the mode bits.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// Sets the numeric owner and group, and leaves their names empty, so that the numbers count.
    #[must_use]
    pub fn ids(self, uid: u32, gid: u32) -> Self {
        Self {
            uid,
            gid,
            user: String::new(),
            group: String::new(),
            ..self
        }
    }

    /// Sets the names of owner and group, and leaves the numbers.
    #[must_use]
    pub fn owner(self, user: &str, group: &str) -> Self {
        Self {
            user: user.to_owned(),
            group: group.to_owned(),
            ..self
        }
    }

    /// Sets the time of the last change, in seconds since 1970.
    #[must_use]
    pub fn mtime(self, mtime: i64) -> Self {
        Self { mtime, ..self }
    }

    /// Adds an extended attribute.
    #[must_use]
    pub fn xattr(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.xattrs.insert(name.to_owned(), value.as_ref().to_vec());
        self
    }

    /// Adds a pax record.
    #[must_use]
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets what the record with apk's SHA-1 says.
    #[must_use]
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self { checksum, ..self }
    }

    /// Sets the size that the header claims.
    #[must_use]
    pub fn claimed_size(self, size: u64) -> Self {
        Self {
            claimed_size: Some(size),
            ..self
        }
    }

    /// Returns the SHA-1 that apk expects of it: a file's content's, a symlink's target's.
    pub fn sha1(&self) -> Option<Sha1> {
        match self.flag {
            b'0' => Some(Sha1::of(&self.content)),
            b'2' => Some(Sha1::of(&self.link)),
            _ => None,
        }
    }

    /// Returns the SHA-1 that the archive claims of it, if any.
    pub(crate) fn claimed_sha1(&self) -> Option<Sha1> {
        match self.checksum {
            Checksum::Right => self.sha1(),
            Checksum::Missing => None,
            Checksum::Claimed(sha1) => Some(sha1),
        }
    }
}
