//! Owners by name, through the root filesystem's own `passwd` and `group`.
//!
//! apk looks a name up when it first meets it, in the file as it is then, and remembers what it
//! found or that it found nothing, until it runs a script (measured on 2.14.4: a package's `passwd`
//! counts for the names that first come in the packages after it, a user of its `pre-install`
//! for its own files).

use std::collections::HashMap;

use prebake_apk::entry::Entry;
use prebake_apk::version::Dialect;

use super::base::guest;
use super::{Merge, MergeError};

/// A file of names and numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameFile {
    pub(super) path: &'static str,
    /// How many fields libc wants in a line; it passes over lines with fewer.
    fields: usize,
}

/// Users.
pub(super) const PASSWD: NameFile = NameFile {
    path: "/etc/passwd",
    fields: 7,
};

/// Groups.
pub(super) const GROUP: NameFile = NameFile {
    path: "/etc/group",
    fields: 4,
};

/// What was looked up so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(HashMap<Vec<u8>, Option<u32>>);

impl NameFile {
    /// Returns the number of a name: that of its first line of `name:password:number:…`.
    fn find(self, text: &[u8], name: &[u8]) -> Option<u32> {
        text.split(|byte| *byte == b'\n').find_map(|line| {
            let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
            let [own, _, number, ..] = fields.as_slice() else {
                return None;
            };
            if *own != name || fields.len() < self.fields {
                return None;
            }
            std::str::from_utf8(number).ok()?.parse().ok()
        })
    }
}

impl Merge {
    /// Forgets which names were looked up, so that each is looked up anew, as is needed after a
    /// script ran that may have added users or groups.
    pub(super) fn forget_owners(&mut self) {
        self.users = Names::default();
        self.groups = Names::default();
    }

    /// Returns the owner and group that an entry gets: by name, else by number.
    pub(super) fn owner_of(&mut self, entry: &Entry) -> Result<(u32, u32), MergeError> {
        let uid = if let Some(known) = self.users.0.get(&entry.user) {
            *known
        } else {
            let number = self.look_up(PASSWD, &entry.user)?;
            self.users.0.insert(entry.user.clone(), number);
            number
        };
        let gid = if let Some(known) = self.groups.0.get(&entry.group) {
            *known
        } else {
            let number = self.look_up(GROUP, &entry.group)?;
            self.groups.0.insert(entry.group.clone(), number);
            number
        };
        Ok((uid.unwrap_or(entry.uid), gid.unwrap_or(entry.gid)))
    }

    /// Looks a name up in a file as it is now.
    pub(super) fn look_up(&self, file: NameFile, name: &[u8]) -> Result<Option<u32>, MergeError> {
        if name.is_empty() {
            return Ok(None);
        }
        if self.dialect == Dialect::V3 && name == b"root" {
            return Ok(Some(0));
        }
        let path = guest(file.path.trim_start_matches('/').as_bytes());
        Ok(file.find(&self.read(&path)?, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_libc_reads_them() {
        let text = b"root:x:0:0:root:/root:/bin/ash\nq:x:7:7::\nbad\nq:x:8:8::/:\nq:x:9:9::/:\n";
        assert_eq!(PASSWD.find(text, b"root"), Some(0));
        assert_eq!(PASSWD.find(text, b"q"), Some(8));
        assert_eq!(PASSWD.find(text, b"bad"), None);
        assert_eq!(GROUP.find(b"a:x:1\na:x:2:\n", b"a"), Some(2));
    }
}
