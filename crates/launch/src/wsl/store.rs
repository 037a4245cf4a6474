//! What is known of the instances: a folder each, with a lock, a record and the disk.
//!
//! ```text
//! FOLDER/wsl/lock                     held for moments, by whoever changes what is below
//! FOLDER/wsl/images/IDENTITY.tar.gz   what is imported
//! FOLDER/wsl/instances/NAME/lock      held as long as a process has the instance
//!                           record    identity, whether it is kept, who has it
//!                           disk/     where `wsl.exe` puts `ext4.vhdx`
//! ```
//!
//! A lock of the operating system ends with its process, however that ends. So what is neither
//! locked nor kept is a left-over. A record is written beside its name and renamed, so that there
//! is a whole one or none. On Windows a locked file cannot be read by others, so the lock and the
//! record are two files.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use prebake_apk::digest::Sha256;

use crate::launch_error::LaunchError;
use crate::name::Name;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

/// What is known of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) identity: Sha256,
    pub(super) kept: bool,
    pub(super) holder: u32,
}

/// That this process has an instance, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim(File);

/// A child that another thread begins has a copy of the descriptor until it is another program:
/// closing ours alone would leave the lock to it for that moment.
impl Drop for Claim {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Record {
    pub(super) fn new(identity: Sha256) -> Self {
        Self {
            identity,
            kept: false,
            holder: std::process::id(),
        }
    }

    fn to_text(&self) -> String {
        let kept = if self.kept { "yes" } else { "no" };
        format!(
            "identity {}\nkept {kept}\nholder {}\n",
            self.identity, self.holder
        )
    }

    fn from_text(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            Some(lines.find(|(key, _)| *key == name)?.1)
        };
        Some(Self {
            identity: value("identity")?.parse().ok()?,
            kept: value("kept")? == "yes",
            holder: value("holder")?.parse().ok()?,
        })
    }
}

impl Store {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns where the images are.
    pub(super) fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    fn instance(&self, name: &Name) -> PathBuf {
        self.folder.join("instances").join(name.as_str())
    }

    /// Returns where the disk of an instance is.
    pub(super) fn disk(&self, name: &Name) -> PathBuf {
        self.instance(name).join("disk")
    }

    /// Keeps every other process from changing what is here, for a moment.
    pub(super) fn lock(&self) -> Result<Claim, LaunchError> {
        let path = self.folder.join("lock");
        fs_err::create_dir_all(&self.folder).map_err(|source| LaunchError::HostPath {
            doing: "make the folder".to_owned(),
            path: self.folder.clone(),
            source,
        })?;
        let file = lock_file(&path)?;
        file.lock().map_err(|source| LaunchError::HostPath {
            doing: "lock".to_owned(),
            path,
            source,
        })?;
        Ok(Claim(file))
    }

    /// Begins an instance.
    pub(super) fn begin(&self, name: &Name, identity: Sha256) -> Result<Claim, LaunchError> {
        let _moment = self.lock()?;
        let folder = self.instance(name);
        if folder.join("record").exists() {
            return Err(LaunchError::NameTaken { name: name.clone() });
        }
        fs_err::create_dir_all(&folder).map_err(|source| LaunchError::HostPath {
            doing: "make the folder".to_owned(),
            path: folder.clone(),
            source,
        })?;
        let claim = claim(&folder)?.ok_or_else(|| LaunchError::NameTaken { name: name.clone() })?;
        self.write(name, &Record::new(identity))?;
        Ok(claim)
    }

    /// Writes what is known of an instance.
    pub(super) fn write(&self, name: &Name, record: &Record) -> Result<(), LaunchError> {
        let path = self.instance(name).join("record");
        let beside = path.with_extension("new");
        fs_err::write(&beside, record.to_text())
            .and_then(|()| fs_err::rename(&beside, &path))
            .map_err(|source| LaunchError::HostPath {
                doing: "write".to_owned(),
                path,
                source,
            })
    }

    /// Reads what is known of an instance.
    pub(super) fn read(&self, name: &Name) -> Option<Record> {
        let text = fs_err::read_to_string(self.instance(name).join("record")).ok()?;
        Record::from_text(&text)
    }

    /// Takes up a kept instance.
    pub(super) fn take(&self, name: &Name) -> Result<(Record, Claim), LaunchError> {
        let _moment = self.lock()?;
        let record = self.read(name).filter(|_| self.instance(name).is_dir());
        let record = record.ok_or_else(|| LaunchError::NotThere { name: name.clone() })?;
        let Some(claim) = claim(&self.instance(name))? else {
            return Err(LaunchError::InUse {
                name: name.clone(),
                holder: Some(record.holder),
            });
        };
        if !record.kept {
            return Err(LaunchError::NotThere { name: name.clone() });
        }
        let record = Record {
            holder: std::process::id(),
            ..record
        };
        self.write(name, &record)?;
        Ok((record, claim))
    }

    fn names(&self) -> Result<Vec<Name>, LaunchError> {
        let folder = self.folder.join("instances");
        let entries = match fs_err::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(LaunchError::HostPath {
                    doing: "list".to_owned(),
                    path: folder,
                    source,
                });
            }
        };
        let names = entries.filter_map(Result::ok);
        let names = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        Ok(names)
    }

    /// Lists the instances, by name, and says of each whether a process has it.
    pub(super) fn list(&self) -> Result<Vec<(Name, Record, bool)>, LaunchError> {
        let _moment = self.lock()?;
        let mut list = Vec::new();
        for name in self.names()? {
            if let Some(record) = self.read(&name) {
                let is_free = claim(&self.instance(&name))?.is_some();
                list.push((name, record, !is_free));
            }
        }
        Ok(list)
    }

    /// Takes every instance that dead processes have left.
    pub(super) fn left_overs(&self) -> Result<Vec<(Name, Claim)>, LaunchError> {
        if !self.folder.join("instances").is_dir() {
            return Ok(Vec::new());
        }
        let _moment = self.lock()?;
        let mut taken = Vec::new();
        for name in self.names()? {
            if self.read(&name).is_some_and(|record| record.kept) {
                continue;
            }
            if let Some(claim) = claim(&self.instance(&name))? {
                taken.push((name, claim));
            }
        }
        Ok(taken)
    }

    /// Forgets an instance, whose distribution is gone.
    pub(super) fn forget(&self, name: &Name, claim: Claim) -> Result<(), LaunchError> {
        let _moment = self.lock()?;
        // Windows does not remove a folder while a file in it is open.
        drop(claim);
        let path = self.instance(name);
        match fs_err::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(LaunchError::HostPath {
                    doing: "remove".to_owned(),
                    path,
                    source,
                })
            }
            _ => Ok(()),
        }
    }
}

/// Claims an instance; `None` if another process has it.
fn claim(folder: &Path) -> Result<Option<Claim>, LaunchError> {
    let path = folder.join("lock");
    let file = lock_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Claim(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(LaunchError::HostPath {
            doing: "lock".to_owned(),
            path,
            source,
        }),
    }
}

fn lock_file(path: &Path) -> Result<File, LaunchError> {
    let mut options = fs_err::OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|source| LaunchError::HostPath {
        doing: "open".to_owned(),
        path: path.to_owned(),
        source,
    })?;
    Ok(file.into_file())
}

#[cfg(test)]
mod tests {
    use super::{LaunchError, Name, Record, Sha256, Store};

    #[test]
    fn a_record_is_what_was_written() {
        let record = Record::new(Sha256::of(b"a"));
        assert_eq!(Record::from_text(&record.to_text()), Some(record.clone()));
        let kept = Record {
            kept: true,
            ..record
        };
        assert_eq!(Record::from_text(&kept.to_text()), Some(kept));
        assert_eq!(Record::from_text("identity x\nkept no\nholder 1\n"), None);
        assert_eq!(Record::from_text(""), None);
    }

    #[test]
    fn an_instance_is_held_kept_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("wsl"));
        let name: Name = "a".parse().unwrap();
        assert!(store.list().unwrap().is_empty());
        let held = store.begin(&name, Sha256::of(b"a")).unwrap();
        let again = store.begin(&name, Sha256::of(b"a"));
        assert!(matches!(again, Err(LaunchError::NameTaken { .. })));
        assert!(store.list().unwrap()[0].2);
        assert!(store.left_overs().unwrap().is_empty());
        let taken = store.take(&name);
        assert!(matches!(taken, Err(LaunchError::InUse { holder, .. })
            if holder == Some(std::process::id())));
        // Its process is dead.
        drop(held);
        assert!(!store.list().unwrap()[0].2);
        let taken = store.take(&name);
        assert!(matches!(taken, Err(LaunchError::NotThere { .. })));
        assert_eq!(store.left_overs().unwrap().len(), 1);
        let mut record = store.read(&name).unwrap();
        record.kept = true;
        store.write(&name, &record).unwrap();
        assert!(store.left_overs().unwrap().is_empty());
        let (_, claim) = store.take(&name).unwrap();
        store.forget(&name, claim).unwrap();
        assert!(store.list().unwrap().is_empty());
        let taken = store.take(&name);
        assert!(matches!(taken, Err(LaunchError::NotThere { .. })));
    }
}
