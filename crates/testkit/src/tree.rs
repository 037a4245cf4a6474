//! Dumps of trees as text, for holding one against another: a directory on the host, or what a
//! tarball says.
//!
//! Both are read by Python (`tree/dump.py`) and by nothing of prebake's, so that a tree which was
//! baked is judged by somebody else. A tree that prebake holds in memory has the same text.

mod baked;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::judge;
use crate::oracle::Outcome;

/// The program that reads directories and tarballs.
const DUMP: &str = include_str!("tree/dump.py");

/// A tree: what is at each path. Paths begin with `/`; a byte that is not printable, a space or
/// a backslash stands as `\xNN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump(pub BTreeMap<String, Node>);

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `f` file, `d` directory, `l` symlink, `c` and `b` devices, `p` FIFO, `s` socket.
    pub kind: char,
    /// The permission bits, at most `0o7777`.
    pub mode: u32,
    /// The numeric owner.
    pub uid: u32,
    /// The numeric group.
    pub gid: u32,
    /// A file's size in bytes; 0 for everything else.
    pub size: u64,
    /// The time of the last change, in whole seconds since 1970.
    pub mtime: i64,
    /// A file's SHA-1, a symlink's target, a device's `major:minor`; `-` for everything else.
    pub what: String,
    /// Extended attributes as `name=hexadecimal`, by name, commas between; `-` for none.
    pub xattrs: String,
    /// The first of all names of the same file; `-` if it has one name only.
    pub same_as: String,
}

impl Dump {
    /// Reads a directory of the host. As root, or in a user namespace.
    ///
    /// # Panics
    ///
    /// If it cannot be read to the last file, or without Python under `CI`.
    pub fn of_directory(test: &str, folder: &Path) -> Option<Self> {
        let python = judge::python(test).filter(|_| judge::any_owner(test))?;
        Some(dump(python.command_as_root(), "directory", folder))
    }

    /// Reads a tarball, compressed or not, without unpacking it.
    ///
    /// # Panics
    ///
    /// If it is not one, or without Python under `CI`.
    pub fn of_tarball(test: &str, archive: &Path) -> Option<Self> {
        Some(dump(judge::python(test)?.command(), "tarball", archive))
    }

    /// Reads what GNU tar makes of a tarball when it unpacks it. As root, or in a user namespace.
    ///
    /// # Panics
    ///
    /// If GNU tar complains, or is missing under `CI`.
    pub fn of_unpacked(test: &str, archive: &Path) -> Option<Self> {
        let tar = judge::gnu_tar(test).filter(|_| judge::any_owner(test))?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("root");
        fs_err::create_dir(&root).expect("the root can be made");
        tar.unpack(archive, &root);
        Self::of_directory(test, &root)
    }

    /// Returns what is at `path`.
    ///
    /// # Panics
    ///
    /// If nothing is.
    pub fn at(&self, path: &str) -> &Node {
        let node = self.0.get(path);
        node.unwrap_or_else(|| panic!("{path} is missing"))
    }

    /// Keeps the paths that `keep` says.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|path, _| keep(path));
        self
    }

    /// Sets the times to 0 of what `which` says: those that no tool keeps.
    #[must_use]
    pub fn without_times(mut self, which: impl Fn(&str, &Node) -> bool) -> Self {
        for (path, node) in &mut self.0 {
            if which(path, node) {
                node.mtime = 0;
            }
        }
        self
    }

    /// Returns a line for each path at which `other` differs: `-` and what this has, `+` and what
    /// the other has. Empty if they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut paths: Vec<&String> = self.0.keys().chain(other.0.keys()).collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            let (ours, theirs) = (self.0.get(path), other.0.get(path));
            if ours != theirs {
                lines.extend(ours.map(|node| format!("- {path} {node}")));
                lines.extend(theirs.map(|node| format!("+ {path} {node}")));
            }
        }
        lines
    }

    /// Checks that `other` is the same tree.
    ///
    /// # Panics
    ///
    /// If it differs, with the first 40 differences.
    #[track_caller]
    pub fn assert_same(&self, other: &Self) {
        let lines = self.differences(other);
        let shown = lines.len().min(40);
        assert!(
            lines.is_empty(),
            "{} lines differ (- this, + the other):\n{}",
            lines.len(),
            lines[..shown].join("\n")
        );
    }

    /// Reads the lines that [`Dump`] displays.
    fn parse(text: &str) -> Option<Self> {
        let line = |line: &str| {
            let columns: Vec<&str> = line.split(' ').collect();
            let [path, kind, mode, owner, size, mtime, what, xattrs, same_as] = columns[..] else {
                return None;
            };
            let (uid, gid) = owner.split_once(':')?;
            let node = Node {
                kind: kind.chars().next()?,
                mode: u32::from_str_radix(mode, 8).ok()?,
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                size: size.parse().ok()?,
                mtime: mtime.parse().ok()?,
                what: what.to_owned(),
                xattrs: xattrs.to_owned(),
                same_as: same_as.to_owned(),
            };
            Some((path.to_owned(), node))
        };
        text.lines().map(line).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:04o} {}:{} {} {} {} {} {}",
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            self.size,
            self.mtime,
            self.what,
            self.xattrs,
            self.same_as
        )
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(path, node)| writeln!(f, "{path} {node}"))
    }
}

fn dump(mut python: Command, form: &str, path: &Path) -> Dump {
    let outcome = Outcome::of(python.args(["-c", DUMP, form]).arg(path));
    assert!(outcome.success, "{}: {}", path.display(), outcome.stderr);
    Dump::parse(&outcome.stdout).expect("the dump has nine columns")
}
