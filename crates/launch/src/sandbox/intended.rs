//! What a file should be and the kernel does not let it be: owned by somebody who has no id in
//! the namespace, a device, or with an attribute that is not for us to set.

use std::collections::{BTreeMap, HashMap};

use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;

use super::census::{Census, Fact};
use super::error::SandboxError;

/// What each inode should be, where that is another thing than it is.
#[derive(Debug, Default)]
pub(crate) struct Intentions(HashMap<u64, Intended>);

/// What one inode should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Intended {
    pub(super) owner: Option<(u32, u32)>,
    /// A device, and whether it is a block device. An empty file stands for it.
    pub(super) device: Option<(Device, bool)>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Intended {
    fn is_empty(&self) -> bool {
        self.owner.is_none() && self.device.is_none() && self.xattrs.is_empty()
    }
}

impl Intentions {
    /// Writes down what an inode should be, and forgets what it should have been before.
    pub(super) fn set(&mut self, inode: u64, intended: Intended) {
        if intended.is_empty() {
            self.0.remove(&inode);
        } else {
            self.0.insert(inode, intended);
        }
    }

    /// Says how many inodes are another thing than they should be.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn of(&self, fact: &Fact) -> Option<&Intended> {
        self.0.get(&fact.inode)
    }

    /// Refuses to guess: what should be another thing than it is must not have been touched, for
    /// then nobody knows any more what it would be.
    pub(super) fn check(&self, before: &Census, now: &Census) -> Result<(), SandboxError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let by_inode: HashMap<u64, &Fact> = now.values().map(|fact| (fact.inode, fact)).collect();
        for (path, old) in before {
            let Some(intended) = self.of(old) else {
                continue;
            };
            let touched = match by_inode.get(&old.inode) {
                // What happens in a directory is no change of whose it is.
                Some(fact) if fact.is_directory() => (fact.uid, fact.gid) != (old.uid, old.gid),
                Some(fact) => fact.ctime != old.ctime,
                None => now.contains_key(path) && intended.owner.is_some(),
            };
            if touched {
                let path = GuestPath::from_relative(path).unwrap_or_default();
                return Err(SandboxError::OwnerUnknown { path });
            }
        }
        Ok(())
    }

    /// Forgets what is no longer there.
    pub(super) fn keep_only(&mut self, now: &Census) {
        if self.0.is_empty() {
            return;
        }
        let there: std::collections::HashSet<u64> = now.values().map(|fact| fact.inode).collect();
        self.0.retain(|inode, _| there.contains(inode));
    }
}
