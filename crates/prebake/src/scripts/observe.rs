//! From what is found in a sandbox after a script to what is recorded of it.
//!
//! What only the clock put there is made the bake's own: the times of files, and the day in
//! `/etc/shadow`. What must be different on every machine, or tells when the record was made, is
//! refused by name.

use std::collections::{BTreeMap, BTreeSet};

use prebake_apk::digest::Sha1;
use prebake_apk::path::GuestPath;
use prebake_launch::sandbox::{Found, Kind};
use prebake_rootfs::Tree;
use prebake_rootfs::tree::{FileContent, Node, NodeId, NodeKind};

use super::error::Unrecordable;
use super::record::{Attributes, Made, Recorded, Time, What, is_readable};

/// The seconds of a day, in which `/etc/shadow` counts.
const DAY: i64 = 86_400;

/// The files that hold the day of a password's last change.
const SHADOW: [&[u8]; 2] = [b"etc/shadow", b"etc/shadow-"];

/// Which field of a line that is, counted from 0.
const SHADOW_DAY: usize = 2;

/// The most bytes that the files made by one script may have together, beside those that other
/// files have as well: a record is committed and read by people.
pub(crate) const MAX_MADE_BYTES: usize = 4 << 20;

/// Files that must be different on every machine, by the beginning of their names.
const OWN_TO_A_MACHINE: [(&[u8], &str); 7] = [
    (b"etc/ssh/ssh_host_", "a host key of SSH"),
    (b"etc/dropbear/dropbear_", "a host key of SSH"),
    (b"etc/machine-id", "the machine's id"),
    (b"var/lib/dbus/machine-id", "the machine's id"),
    (b"var/lib/seedrng/", "a seed of the random generator"),
    (
        b"var/lib/misc/random-seed",
        "a seed of the random generator",
    ),
    (
        b"var/lib/systemd/random-seed",
        "a seed of the random generator",
    ),
];

/// How a private key in PEM begins, but for the kind of key in between.
const PRIVATE_KEY: [&[u8]; 2] = [b"-----BEGIN ", b"PRIVATE KEY-----"];

/// What is known of a run beside what is found after it.
pub(crate) struct Observer<'t> {
    tree: &'t Tree,
    /// The time that everything gets which the bake makes, in seconds since 1970.
    epoch: i64,
    /// When the script was started, by the host's clock.
    started: i64,
    names: BTreeMap<&'t GuestPath, NodeId>,
    /// The first name of each inode, by the order of names.
    firsts: BTreeMap<NodeId, &'t GuestPath>,
    contents: BTreeMap<Sha1, &'t GuestPath>,
}

impl<'t> Observer<'t> {
    /// `tree` is what the script was given; `started` the host's time before it was, in seconds
    /// since 1970.
    pub(crate) fn new(tree: &'t Tree, epoch: i64, started: i64) -> Self {
        let mut names = BTreeMap::new();
        let mut contents = BTreeMap::new();
        for (path, node, id) in tree.in_order() {
            names.insert(path, id);
            if let Some(file) = node.file() {
                contents.entry(file.sha1).or_insert(path);
            }
        }
        let mut firsts = BTreeMap::new();
        for (path, id) in &names {
            firsts.entry(*id).or_insert(*path);
        }
        Self {
            tree,
            epoch,
            started,
            names,
            firsts,
            contents,
        }
    }

    /// Returns what to record, by path.
    pub(crate) fn observe(&self, found: Vec<Found>) -> Result<Vec<Recorded>, Unrecordable> {
        let mut changes = Vec::new();
        let mut made = BTreeSet::new();
        let mut bytes = 0;
        for found in found {
            let path = found.path().clone();
            let Some(what) = self.one(found, &made)? else {
                continue;
            };
            speakable(&path, &what)?;
            if let What::Made(kind, _) = &what {
                made.insert(path.clone());
                if let Made::File(content) | Made::Appended(content) = kind {
                    bytes += content.len();
                    if bytes > MAX_MADE_BYTES {
                        return Err(Unrecordable::TooMuch { path });
                    }
                }
            }
            changes.push(Recorded { path, what });
        }
        Ok(changes)
    }

    fn one(&self, found: Found, made: &BTreeSet<GuestPath>) -> Result<Option<What>, Unrecordable> {
        let (path, there) = match found {
            Found::Gone(_) => return Ok(Some(What::Gone)),
            Found::There(path, there) => (path, there),
        };
        if let Kind::Hardlink(first) = &there.kind {
            let was = self.names.get(&path);
            let is_same = was.is_some() && was == self.names.get(first) && !made.contains(first);
            return Ok((!is_same).then(|| What::Link(first.clone())));
        }
        let mtime = there.mtime.seconds;
        let mut attributes = Attributes {
            mode: there.mode,
            uid: there.uid,
            gid: there.gid,
            time: Time::Kept,
            xattrs: there.xattrs,
        };
        // Of names that were one file and are none any more, the first keeps the inode.
        let id = self.names.get(&path);
        let is_first = id.and_then(|id| self.firsts.get(id)) == Some(&&path);
        let before = self.tree.get(&path);
        let kept = before.filter(|node| is_first && is_kept(node, &there.kind));
        if let Some(node) = kept {
            if !node.is_directory() && !matches!(node.kind, NodeKind::Symlink(_)) {
                attributes.time = self.time(mtime, Some(node));
            }
            let is_same = (attributes.uid, attributes.gid) == (node.uid, node.gid)
                && attributes.mode == node.mode
                && attributes.xattrs == node.xattrs
                && attributes.time == Time::Kept;
            return Ok((!is_same).then_some(What::Attributes(attributes)));
        }
        attributes.time = self.time(mtime, None);
        let made = match there.kind {
            Kind::File(bytes) => self.file(&path, bytes)?,
            Kind::Directory => {
                attributes.time = Time::Now;
                Made::Directory
            }
            Kind::Symlink(target) => {
                attributes.time = Time::Now;
                attributes.mode = 0o777;
                Made::Symlink(target)
            }
            Kind::Fifo => Made::Fifo,
            Kind::CharDevice(device) => Made::CharDevice(device),
            Kind::BlockDevice(device) => Made::BlockDevice(device),
            Kind::Socket | Kind::Hardlink(_) => return Err(Unrecordable::Socket { path }),
        };
        Ok(Some(What::Made(made, attributes)))
    }

    /// Returns what a file's time is to be.
    fn time(&self, mtime: i64, before: Option<&Node>) -> Time {
        match before {
            Some(node) if node.mtime == mtime => Time::Kept,
            _ if mtime >= self.started => Time::Now,
            _ => Time::At(mtime),
        }
    }

    /// Returns a new content without what the clock put there.
    fn file(&self, path: &GuestPath, bytes: Vec<u8>) -> Result<Made, Unrecordable> {
        let name = path.as_bytes();
        let own = OWN_TO_A_MACHINE
            .iter()
            .find(|(beginning, _)| name.starts_with(beginning));
        // An empty `machine-id` is how a distribution ships it.
        if let Some((_, what)) = own
            && !bytes.trim_ascii().is_empty()
            && !name.ends_with(b".pub")
        {
            return Err(Unrecordable::Own {
                path: path.clone(),
                what,
            });
        }
        let sha1 = Sha1::of(&bytes);
        if let Some(same) = self.contents.get(&sha1).filter(|_| !bytes.is_empty()) {
            return Ok(Made::SameAs((*same).clone()));
        }
        if is_private_key(&bytes) {
            return Err(Unrecordable::Own {
                path: path.clone(),
                what: "a private key",
            });
        }
        let bytes = if SHADOW.contains(&name) {
            self.shadow(path, &bytes)
        } else {
            bytes
        };
        // What a script adds to a file is what a person wants to see of it.
        let before = self.tree.get(path).and_then(Node::file);
        let before = before.and_then(FileContent::bytes).unwrap_or_default();
        Ok(match bytes.strip_prefix(before) {
            Some(rest)
                if !before.is_empty() && std::str::from_utf8(rest).is_ok_and(is_readable) =>
            {
                Made::Appended(rest.to_vec())
            }
            _ => Made::File(bytes),
        })
    }

    /// Returns a `shadow` whose new lines have the epoch's day where they have the current one.
    fn shadow(&self, path: &GuestPath, bytes: &[u8]) -> Vec<u8> {
        let before = self.tree.inline(path).unwrap_or_default();
        let old: BTreeSet<&[u8]> = before.split(|byte| *byte == b'\n').collect();
        // A day may end while a script runs.
        let today = self.started.div_euclid(DAY);
        let days = [today, today + 1].map(|day| day.to_string().into_bytes());
        let epoch = self.epoch.div_euclid(DAY).to_string().into_bytes();
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| {
            if old.contains(line) {
                return line.to_vec();
            }
            let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
            if let Some(day) = fields.get_mut(SHADOW_DAY)
                && days.iter().any(|today| today == day)
            {
                *day = &epoch;
            }
            fields.join(&b':')
        });
        lines.collect::<Vec<_>>().join(&b'\n')
    }
}

/// Refuses what a record has no words for: it is UTF-8, but for the contents of files.
fn speakable(path: &GuestPath, what: &What) -> Result<(), Unrecordable> {
    let mut texts = vec![("its name", path.as_bytes())];
    match what {
        What::Link(to) | What::Made(Made::SameAs(to), _) => {
            texts.push(("a name that it is like", to.as_bytes()));
        }
        What::Made(Made::Symlink(target), _) => texts.push(("its target", target)),
        _ => {}
    }
    if let What::Made(_, attributes) | What::Attributes(attributes) = what {
        let names = attributes.xattrs.keys();
        texts.extend(names.map(|name| ("an attribute's name", name.as_slice())));
    }
    for (what, text) in texts {
        if std::str::from_utf8(text).is_err() {
            let path = path.clone();
            return Err(Unrecordable::NotUtf8 { path, what });
        }
    }
    Ok(())
}

/// Says whether what is found is the inode that was there, but for its attributes.
fn is_kept(node: &Node, found: &Kind) -> bool {
    match (&node.kind, found) {
        (NodeKind::File(file), Kind::File(bytes)) => {
            file.size == bytes.len() as u64 && file.sha1 == Sha1::of(bytes)
        }
        (NodeKind::Directory, Kind::Directory) | (NodeKind::Fifo, Kind::Fifo) => true,
        (NodeKind::Symlink(old), Kind::Symlink(new)) => old == new,
        (NodeKind::CharDevice(old), Kind::CharDevice(new))
        | (NodeKind::BlockDevice(old), Kind::BlockDevice(new)) => old == new,
        _ => false,
    }
}

fn is_private_key(bytes: &[u8]) -> bool {
    let [begin, end] = PRIVATE_KEY;
    bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(begin) && line.trim_ascii_end().ends_with(end))
}
