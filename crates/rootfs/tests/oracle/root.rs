//! A root filesystem on this host's disk, for apk to work on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use prebake_testkit::oracle::with_devices;

use super::ours::Lines;

/// What tells a file from another, a line a name: `path type mode uid:gid mtime …`, as
/// [`super::ours::lines`] makes them of a tree.
const DUMP: &str = r"
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
first = {}
def text(b): return b.decode('latin-1').encode('unicode_escape').decode()
names = []
for folder, folders, files in os.walk(root):
    for name in folders + files:
        names.append(os.path.join(folder, name))
names.append(root)
for path in sorted(names, key=lambda p: p[len(root) + 1:]):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    letter, rest = {
        stat.S_IFDIR: lambda: ('d', ''),
        stat.S_IFREG: lambda: ('f', '%d %s' % (s.st_size, hashlib.sha1(open(path, 'rb').read()).hexdigest())),
        stat.S_IFLNK: lambda: ('l', text(os.readlink(path))),
        stat.S_IFCHR: lambda: ('c', '%d,%d' % (os.major(s.st_rdev), os.minor(s.st_rdev))),
        stat.S_IFBLK: lambda: ('b', '%d,%d' % (os.major(s.st_rdev), os.minor(s.st_rdev))),
        stat.S_IFIFO: lambda: ('p', ''),
    }[kind]()
    time = '-' if letter in 'dl' else str(int(s.st_mtime))
    group = ''
    if letter != 'd' and s.st_nlink > 1:
        group = text(first.setdefault(s.st_ino, path[len(root) + 1:]))
    xattrs = ' '.join('%s=%s' % (n, text(os.getxattr(path, n, follow_symlinks=False)))
                      for n in sorted(os.listxattr(path, follow_symlinks=False)))
    print('\t'.join([text(path[len(root) + 1:]), letter, '%o' % stat.S_IMODE(s.st_mode),
                     '%d:%d' % (s.st_uid, s.st_gid), time, rest, xattrs, group]))
";

/// A folder that holds a root filesystem, and apk's settings for it.
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) arch: String,
    pub(crate) keys: PathBuf,
    pub(crate) repositories: PathBuf,
    pub(crate) oracle: PathBuf,
}

/// What apk said it did, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// `name-version`, new or in place of another version; the repository's tag.
    Install(String, Option<String>),
    /// `name`.
    Remove(String),
}

/// What came of a run of apk.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) changes: Vec<Change>,
    /// The scripts it ran: `name-version.kind`.
    pub(crate) executed: Vec<String>,
    pub(crate) success: bool,
    pub(crate) output: String,
}

impl Outcome {
    /// Returns the names of the packages whose triggers were run. Which packages apk goes through
    /// in which order is the solver's to know.
    pub(crate) fn triggered(&self) -> Vec<Vec<u8>> {
        let labels = self.executed.iter();
        let labels = labels.filter_map(|script| script.strip_suffix(".trigger"));
        // The version is what is behind the second dash from the end.
        let names = labels.filter_map(|label| label.rsplit_once('-')?.0.rsplit_once('-'));
        names.map(|(name, _)| name.as_bytes().to_vec()).collect()
    }
}

impl Root {
    /// Runs apk with these arguments.
    pub(crate) fn apk(&self, arguments: &[&str]) -> Outcome {
        let mut command = if arguments.contains(&"--no-scripts") {
            Command::new(&self.oracle)
        } else {
            with_devices(&self.oracle, &self.path)
        };
        let output = command
            .arg("--root")
            .arg(&self.path)
            .args(["--arch", &self.arch, "--no-network", "--keys-dir"])
            .arg(&self.keys)
            .arg("--repositories-file")
            .arg(&self.repositories)
            .args(arguments)
            .output()
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Outcome {
            changes: text.lines().filter_map(change).collect(),
            executed: text
                .lines()
                .filter_map(|line| line.strip_prefix("Executing "))
                .map(str::to_owned)
                .collect(),
            success: output.status.success(),
            output: text,
        }
    }

    /// Returns what there is, by name.
    pub(crate) fn lines(&self) -> Lines {
        let output = Command::new("python3")
            .args(["-c", DUMP])
            .arg(&self.path)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let split = |line: &str| -> Option<(String, String)> {
            let (path, rest) = line.split_once('\t')?;
            Some((path.to_owned(), rest.to_owned()))
        };
        text.lines().filter_map(split).collect::<BTreeMap<_, _>>()
    }

    /// Returns a file's bytes.
    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs_err::read(self.path.join(path)).unwrap_or_default()
    }
}

/// Reads one of apk's `(1/2) Installing name (version)`.
fn change(line: &str) -> Option<Change> {
    let rest = line.strip_prefix('(')?.split_once(") ")?.1;
    let (verb, rest) = rest.split_once(' ')?;
    let (name, versions) = rest.split_once(" (")?;
    let versions = versions.strip_suffix(')')?;
    let last = versions.rsplit(" -> ").next()?;
    let (name, tag) = match name.split_once('@') {
        Some((name, tag)) => (name, Some(tag.to_owned())),
        None => (name, None),
    };
    match verb {
        "Installing" | "Upgrading" | "Downgrading" | "Reinstalling" | "Replacing" => {
            Some(Change::Install(format!("{name}-{last}"), tag))
        }
        "Purging" => Some(Change::Remove(name.to_owned())),
        _ => None,
    }
}

/// Returns an empty folder, in memory where the host has such a place: these tests make and
/// remove a hundred thousand files.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Unpacks an archive with the host's tar.
pub(crate) fn unpack(archive: &Path, into: &Path) {
    fs_err::create_dir_all(into).unwrap();
    let status = Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(archive)
        .arg("-C")
        .arg(into)
        .status()
        .unwrap();
    assert!(status.success());
}

/// Archives a folder with the host's tar.
pub(crate) fn pack(folder: &Path, archive: &Path) {
    let status = Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-cpf"])
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .arg(".")
        .status()
        .unwrap();
    assert!(status.success());
}

/// Copies a folder with all that a file can have.
pub(crate) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}
