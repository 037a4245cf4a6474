//! Runs a merge's scripts on a folder that holds its tree, and finds what they changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use prebake_apk::entry::Device;
use prebake_apk::path::GuestPath;
use prebake_rootfs::{
    Attributes, Change, Difference, Made, Merge, MergeError, Node, NodeKind, Tree,
};
use prebake_testkit::oracle::with_devices;

/// A folder, and the tree that it holds.
pub(crate) struct Stage {
    folder: PathBuf,
    tree: Tree,
}

/// A name in the folder.
struct Seen {
    inode: u64,
    made: Made,
    attributes: Attributes,
}

impl Stage {
    /// `folder` holds `tree`.
    pub(crate) fn new(folder: &Path, tree: &Tree) -> Self {
        Self {
            folder: folder.to_owned(),
            tree: tree.clone(),
        }
    }

    /// Runs all scripts that are due, each on the tree as it is then.
    pub(crate) fn run_due(&mut self, merge: &mut Merge) -> Result<(), MergeError> {
        while let Some(call) = merge.script().cloned() {
            self.update(merge.tree());
            let script = self.host(&call.path);
            let exec = script.parent().unwrap();
            if !exec.is_dir() {
                fs_err::create_dir_all(exec).unwrap();
                let mode = std::fs::Permissions::from_mode(0o700);
                fs_err::set_permissions(exec, mode).unwrap();
            }
            fs_err::write(&script, &call.bytes).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            fs_err::set_permissions(&script, mode).unwrap();
            let mut command = with_devices(Path::new("env"), &self.folder);
            // As apk has it.
            command.args(["--ignore-signal=PIPE", "-i"]);
            for (name, value) in &call.environment {
                command.arg(format!("{name}={value}"));
            }
            command.arg("chroot").arg(&self.folder);
            command.arg(call.path.to_string().trim_start_matches('/'));
            for argument in &call.arguments {
                command.arg(std::ffi::OsStr::from_bytes(argument));
            }
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
            assert!(status.unwrap().success(), "{call:?}");
            fs_err::remove_file(&script).unwrap();
            merge.apply(&self.changes(merge.tree()))?;
            self.tree = merge.tree().clone();
            assert_eq!(self.changes(&self.tree), [], "{call:?}");
        }
        Ok(())
    }

    fn host(&self, path: &GuestPath) -> PathBuf {
        self.folder
            .join(std::ffi::OsStr::from_bytes(path.as_bytes()))
    }

    /// Makes the folder hold `after`.
    fn update(&mut self, after: &Tree) {
        for step in self.tree.changes_to(after) {
            match step {
                Difference::Remove(path) => {
                    let path = self.host(path);
                    if fs_err::symlink_metadata(&path).unwrap().is_dir() {
                        fs_err::remove_dir(path).unwrap();
                    } else {
                        fs_err::remove_file(path).unwrap();
                    }
                }
                Difference::Attributes(path, node) => set(&self.host(path), node),
                Difference::Make(path, node) => make(&self.host(path), node),
                Difference::Link(path, to) => {
                    fs_err::hard_link(self.host(to), self.host(path)).unwrap();
                }
            }
        }
        self.tree = after.clone();
    }

    /// Returns what makes of `tree` what the folder holds. The times of directories and links are
    /// not among it.
    fn changes(&self, tree: &Tree) -> Vec<Change> {
        let mut seen = BTreeMap::new();
        look(&self.folder, &GuestPath::root(), &mut seen);
        let mut here: HashMap<u64, BTreeSet<&GuestPath>> = HashMap::new();
        for (path, name) in &seen {
            here.entry(name.inode).or_default().insert(path);
        }
        let mut there: HashMap<_, BTreeSet<&GuestPath>> = HashMap::new();
        let mut known = BTreeMap::new();
        for (path, node, id) in tree.in_order() {
            there.entry(id).or_default().insert(path);
            known.insert(path, (node, id));
        }
        let directory = |made: &Made| matches!(made, Made::Directory);
        let mut changes = Vec::new();
        for (path, (node, _)) in known.iter().rev() {
            let same = seen.get(*path);
            if same.is_none_or(|name| directory(&name.made) != node.is_directory()) {
                changes.push(Change::Remove {
                    path: (*path).clone(),
                });
            }
        }
        for (path, name) in &seen {
            let old = known.get(path);
            let names = &here[&name.inode];
            let kept = old.filter(|(node, id)| {
                same(&node.kind, &name.made) && (directory(&name.made) || there[id] == *names)
            });
            let first = names.first() == Some(&path);
            let path = path.clone();
            if let Some((node, _)) = kept {
                let mut attributes = name.attributes.clone();
                if !matches!(node.kind, NodeKind::File(_)) {
                    attributes.mtime = node.mtime;
                }
                attributes.xattrs.clone_from(&node.xattrs);
                let old = (node.mode, node.uid, node.gid, node.mtime);
                let new = (
                    attributes.mode,
                    attributes.uid,
                    attributes.gid,
                    attributes.mtime,
                );
                if first && old != new {
                    changes.push(Change::Attributes { path, attributes });
                }
            } else if first || directory(&name.made) {
                changes.push(Change::Make {
                    path,
                    kind: name.made.clone(),
                    attributes: name.attributes.clone(),
                });
            } else {
                let to = (*names.first().unwrap()).clone();
                changes.push(Change::Link { path, to });
            }
        }
        changes
    }
}

fn same(kind: &NodeKind, made: &Made) -> bool {
    match (kind, made) {
        (NodeKind::File(file), Made::File(made)) => file == made,
        (NodeKind::Symlink(one), Made::Symlink(other)) => one == other,
        (NodeKind::Directory, Made::Directory) | (NodeKind::Fifo, Made::Fifo) => true,
        (NodeKind::CharDevice(one), Made::CharDevice(other))
        | (NodeKind::BlockDevice(one), Made::BlockDevice(other)) => one == other,
        _ => false,
    }
}

/// Adds `path` in `root` and all below it.
fn look(root: &Path, path: &GuestPath, seen: &mut BTreeMap<GuestPath, Seen>) {
    let host = root.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
    let metadata = fs_err::symlink_metadata(&host).unwrap();
    let kind = metadata.file_type();
    let made = if kind.is_dir() {
        for entry in fs_err::read_dir(&host).unwrap() {
            let name = entry.unwrap().file_name();
            look(root, &path.join(name.as_bytes()).unwrap(), seen);
        }
        Made::Directory
    } else if kind.is_symlink() {
        let target = fs_err::read_link(&host).unwrap();
        Made::Symlink(target.as_os_str().as_bytes().to_vec())
    } else if kind.is_fifo() {
        Made::Fifo
    } else if kind.is_char_device() {
        // The numbers as Linux packs them, of drivers and devices below 256.
        let [minor, major, ..] = metadata.rdev().to_le_bytes();
        Made::CharDevice(Device {
            major: major.into(),
            minor: minor.into(),
        })
    } else {
        assert!(kind.is_file(), "{path}");
        Made::File(prebake_rootfs::tree::FileContent::inline(
            fs_err::read(&host).unwrap(),
        ))
    };
    let attributes = Attributes {
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: metadata.mtime(),
        xattrs: BTreeMap::new(),
    };
    let inode = metadata.ino();
    let name = Seen {
        inode,
        made,
        attributes,
    };
    seen.insert(path.clone(), name);
}

fn make(path: &Path, node: &Node) {
    match &node.kind {
        NodeKind::File(file) => fs_err::write(path, file.bytes().unwrap()).unwrap(),
        NodeKind::Directory => fs_err::create_dir(path).unwrap(),
        NodeKind::Symlink(target) => {
            let target = std::ffi::OsStr::from_bytes(target);
            fs_err::os::unix::fs::symlink(target, path).unwrap();
        }
        NodeKind::Fifo => {
            let status = Command::new("mkfifo").arg(path).status();
            assert!(status.unwrap().success());
        }
        NodeKind::CharDevice(device) => {
            let mut command = Command::new("mknod");
            command.arg(path).arg("c");
            command.args([device.major.to_string(), device.minor.to_string()]);
            assert!(command.status().unwrap().success());
        }
        NodeKind::BlockDevice(_) => panic!("{}", path.display()),
    }
    set(path, node);
}

fn set(path: &Path, node: &Node) {
    std::os::unix::fs::lchown(path, Some(node.uid), Some(node.gid)).unwrap();
    if matches!(node.kind, NodeKind::Symlink(_)) {
        return;
    }
    let mode = std::fs::Permissions::from_mode(node.mode);
    fs_err::set_permissions(path, mode).unwrap();
    if matches!(node.kind, NodeKind::File(_) | NodeKind::Directory) {
        let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(node.mtime).unwrap());
        fs_err::File::open(path)
            .unwrap()
            .file()
            .set_modified(time)
            .unwrap();
    }
}
