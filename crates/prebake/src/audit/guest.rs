//! A rootfs as the audit looks at it: the tree, whose each file is, and the text of some.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use prebake_apk::digest::Sha1;
use prebake_apk::installed::Installed;
use prebake_apk::path::GuestPath;
use prebake_image::Sources;
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Content, Node, NodeKind, SourceId, Tree};

/// The longest configuration file that is read, in bytes. Real ones take kilobytes; one that is
/// longer is an error, since a part of it would say too little.
pub(super) const MAX_TEXT: u64 = 4 << 20;

/// How much is read of all of them together, in bytes: any folder may have its `.ssh`.
const MAX_TEXTS: u64 = 32 << 20;

/// The files that are read, where they are there.
const FILES: [&str; 13] = [
    "etc/passwd",
    "etc/shadow",
    "etc/group",
    "etc/inittab",
    "etc/inetd.conf",
    "etc/crontab",
    "etc/sudoers",
    "etc/doas.conf",
    "etc/ssh/sshd_config",
    "etc/conf.d/dropbear",
    "etc/apk/repositories",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
];

/// The directories whose files are read.
const FOLDERS: [&str; 7] = [
    "etc/apk/keys",
    "etc/cron.d",
    "etc/crontabs",
    "etc/doas.d",
    "etc/ssh/sshd_config.d",
    "etc/sudoers.d",
    "var/spool/cron/crontabs",
];

/// A rootfs as the audit looks at it.
#[derive(Debug)]
pub(super) struct Guest<'t> {
    pub(super) tree: &'t Tree,
    pub(super) installed: &'t Installed,
    /// Every name, sorted.
    names: BTreeMap<&'t GuestPath, &'t Node>,
    /// The package that each file belongs to, by the file's real name.
    owners: BTreeMap<GuestPath, String>,
    /// The content of what is read, by the name it is read under.
    texts: BTreeMap<GuestPath, Vec<u8>>,
    /// The names that the rootfs itself has for its users and groups.
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

/// Returns the path of a text of this program's own; the root if it were none.
pub(super) fn guest_path(text: &str) -> GuestPath {
    GuestPath::from_relative(text.as_bytes()).unwrap_or_default()
}

impl<'t> Guest<'t> {
    /// Reads what the audit needs of `sources`, each from its start to what is needed last.
    pub(super) fn read(
        tree: &'t Tree,
        installed: &'t Installed,
        sources: &mut dyn Sources,
    ) -> Result<Self, (GuestPath, io::Error)> {
        let names = tree.in_order().map(|(path, node, _)| (path, node));
        let mut guest = Self {
            tree,
            installed,
            names: names.collect(),
            owners: owners(tree, installed),
            texts: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
        };
        guest.texts = texts(&guest.wanted(), sources)?;
        guest.users = guest.ids("etc/passwd");
        guest.groups = guest.ids("etc/group");
        Ok(guest)
    }

    /// Returns the content of what is to be read, by the name it is read under.
    fn wanted(&self) -> Vec<(GuestPath, &'t FileContent)> {
        let mut paths: BTreeSet<GuestPath> = FILES.iter().map(|path| guest_path(path)).collect();
        for folder in FOLDERS {
            paths.extend(self.list(folder));
        }
        paths.extend(
            self.names
                .keys()
                .copied()
                .filter(|path| is_key_list(path))
                .cloned(),
        );
        let file = |path: GuestPath| Some((path.clone(), self.tree.follow(&path)?.file()?));
        paths.into_iter().filter_map(file).collect()
    }

    /// Returns every name with its node, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'t GuestPath, &'t Node)> {
        self.names.iter().map(|(path, node)| (*path, *node))
    }

    /// Returns what is in a folder, by the name that the folder was asked by, sorted.
    pub(super) fn list(&self, folder: &str) -> Vec<GuestPath> {
        self.list_at(&guest_path(folder))
    }

    /// As [`Guest::list`], of a folder by a name that need not be a text.
    pub(super) fn list_at(&self, asked: &GuestPath) -> Vec<GuestPath> {
        let Ok(real) = self.tree.resolve(asked) else {
            return Vec::new();
        };
        // What is below it follows it, with no more between than names that begin as it does: a
        // folder may have any number of folders, each of which is asked for.
        let below = self
            .names
            .range::<GuestPath, _>(&real..)
            .map(|(path, _)| path);
        let below = below.take_while(|path| path.as_bytes().starts_with(real.as_bytes()));
        let children = below.filter(|path| path.parent().as_ref() == Some(&real));
        let named = children.filter_map(|path| asked.join(path.name()?).ok());
        named.collect()
    }

    /// Returns the lines of a file; none if it is not there.
    pub(super) fn lines(&self, path: &GuestPath) -> Vec<String> {
        let bytes = self.texts.get(path).map_or(&[][..], Vec::as_slice);
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    /// Returns the bytes of a file that is read.
    pub(super) fn bytes(&self, path: &GuestPath) -> Option<&[u8]> {
        self.texts.get(path).map(Vec::as_slice)
    }

    /// Returns the package that a file belongs to.
    pub(super) fn package(&self, path: &GuestPath) -> Option<&str> {
        let real = self.tree.real_name(path).ok()?;
        self.owners.get(&real).map(String::as_str)
    }

    /// Returns the owner, group and mode of a node, by the rootfs's own names: `root:shadow 2755`.
    pub(super) fn rights(&self, node: &Node) -> String {
        let name = |names: &BTreeMap<u32, String>, id: u32| {
            names.get(&id).cloned().unwrap_or_else(|| id.to_string())
        };
        let (user, group) = (name(&self.users, node.uid), name(&self.groups, node.gid));
        format!("{user}:{group} {:04o}", node.mode)
    }

    /// Returns the first name of every number in `passwd` or `group`.
    fn ids(&self, path: &str) -> BTreeMap<u32, String> {
        let mut ids = BTreeMap::new();
        for line in self.lines(&guest_path(path)) {
            let mut fields = line.split(':');
            if let (Some(name), Some(id)) = (fields.next(), fields.nth(1))
                && let Ok(id) = id.parse()
            {
                ids.entry(id).or_insert_with(|| name.to_owned());
            }
        }
        ids
    }
}

/// Says whether a file lists the keys that may log in over SSH.
pub(super) fn is_key_list(path: &GuestPath) -> bool {
    let mut parts = path.parts().rev();
    let name = parts.next().unwrap_or_default();
    matches!(name, b"authorized_keys" | b"authorized_keys2") && parts.next() == Some(b".ssh")
}

fn owners(tree: &Tree, installed: &Installed) -> BTreeMap<GuestPath, String> {
    let mut owners = BTreeMap::new();
    for package in &installed.packages {
        let label = package.stanza.label();
        for directory in &package.directories {
            for file in &directory.files {
                if let Ok(path) = directory.path.join(&file.name)
                    && let Ok(real) = tree.real_name(&path)
                {
                    owners.insert(real, label.clone());
                }
            }
        }
    }
    owners
}

/// Reads contents, each source once and forwards, and holds them against their SHA-1.
fn texts(
    wanted: &[(GuestPath, &FileContent)],
    sources: &mut dyn Sources,
) -> Result<BTreeMap<GuestPath, Vec<u8>>, (GuestPath, io::Error)> {
    let mut texts: BTreeMap<GuestPath, Vec<u8>> = BTreeMap::new();
    let mut total = 0;
    let mut elsewhere: Vec<(SourceId, u64, &FileContent, &GuestPath)> = Vec::new();
    for (path, file) in wanted {
        if file.size > MAX_TEXT {
            let what = format!("it is larger than {MAX_TEXT} bytes");
            return Err((path.clone(), io::Error::other(what)));
        }
        total += file.size;
        if total > MAX_TEXTS {
            let what = format!(
                "with it, the files that an audit reads are larger than {MAX_TEXTS} bytes together"
            );
            return Err((path.clone(), io::Error::other(what)));
        }
        match &file.content {
            Content::Inline(bytes) => drop(texts.insert(path.clone(), bytes.to_vec())),
            Content::Source { source, offset } => elsewhere.push((*source, *offset, file, path)),
        }
    }
    elsewhere.sort_by_key(|(source, offset, ..)| (*source, *offset));
    let mut open: Option<(SourceId, u64, Box<dyn Read>)> = None;
    let mut last: Option<(SourceId, u64, &GuestPath)> = None;
    for (source, offset, file, path) in elsewhere {
        let fail = |error| (path.clone(), error);
        // Another name of the same file, or a link to it: there may be very many.
        if let Some((before, at, name)) = last
            && (before, at) == (source, offset)
            && let Some(same) = texts.get(name).cloned()
        {
            texts.insert(path.clone(), same);
            continue;
        }
        last = Some((source, offset, path));
        let (id, at, mut reader) = match open.take() {
            Some(open) if open.0 == source && open.1 <= offset => open,
            _ => (source, 0, sources.open(source).map_err(fail)?),
        };
        let skip = offset - at;
        let skipped = io::copy(&mut (&mut reader).take(skip), &mut io::sink()).map_err(fail)?;
        let mut bytes = Vec::new();
        let wanted = (&mut reader).take(file.size).read_to_end(&mut bytes);
        wanted.map_err(fail)?;
        if skipped != skip || Sha1::of(&bytes) != file.sha1 {
            return Err(fail(io::Error::other("its content changed meanwhile")));
        }
        open = Some((id, offset + file.size, reader));
        texts.insert(path.clone(), bytes);
    }
    Ok(texts)
}

/// Says whether it is a regular file.
pub(super) fn is_file(node: &Node) -> bool {
    matches!(node.kind, NodeKind::File(_))
}
