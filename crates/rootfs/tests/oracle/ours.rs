//! Our own merge of the same files.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::Command;

use prebake_apk::entry::{Entry, EntryKind};
use prebake_apk::installed::Stanza;
use prebake_apk::package::Package;
use prebake_apk::tar;
use prebake_apk::version::Dialect;
use prebake_rootfs::merge::NewPackage;
use prebake_rootfs::tree::FileContent;
use prebake_rootfs::{Content, Merge, MergeError, NodeKind, SourceId, Tree};

use super::root::Change;

/// A line a name, without the name.
pub(crate) type Lines = BTreeMap<String, String>;

/// The time that no archive would have.
pub(crate) const EPOCH: i64 = 1_234_567_890;

/// Where packages are, with the index that tells of them.
pub(crate) struct Repository {
    folder: std::path::PathBuf,
    /// Whether contents are held, so that scripts can be run on them.
    held: bool,
    stanzas: HashMap<String, Stanza>,
}

impl Repository {
    /// Opens `folder`, which holds an index and the packages of one architecture.
    pub(crate) fn open(folder: &Path, held: bool) -> Self {
        let output = Command::new("tar")
            .args(["-xzOf"])
            .arg(folder.join("APKINDEX.tar.gz"))
            .arg("APKINDEX")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let stanzas = text.split("\n\n").filter(|block| !block.trim().is_empty());
        let stanzas = stanzas.map(|block| {
            let stanza = Stanza::parse(block.as_bytes()).unwrap();
            (stanza.label(), stanza)
        });
        Self {
            folder: folder.to_owned(),
            held,
            stanzas: stanzas.collect(),
        }
    }
}

/// Returns the merge that begins with nothing but keys.
pub(crate) fn nothing(arch: &str, keys: &Path) -> Merge {
    let keys: Vec<_> = fs_err::read_dir(keys)
        .unwrap()
        .map(|key| {
            let key = key.unwrap();
            let name = key.file_name().into_encoded_bytes();
            (name, fs_err::read(key.path()).unwrap())
        })
        .collect();
    Merge::scratch(EPOCH, Dialect::V2, arch, &keys).unwrap()
}

/// Returns the merge of a base's archive, compressed or not; all its contents are held if `held`.
pub(crate) fn base(archive: &Path, held: bool) -> Merge {
    let bytes = fs_err::read(archive).unwrap();
    let mut plain = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_end(&mut plain)
            .unwrap();
    } else {
        plain = bytes;
    }
    let mut merge = Merge::new(EPOCH);
    let mut reader = tar::Reader::new(&plain[..]);
    while let Some(entry) = reader.next().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let file = (entry.kind == EntryKind::File).then(|| {
            let mut file = FileContent::inline(content);
            if !held && !Merge::wants_inline(&entry.path) {
                file.content = handle(0, &entry);
            }
            file
        });
        merge.base_entry(entry, file).unwrap();
    }
    merge.base_done().unwrap();
    merge
}

fn handle(source: u32, entry: &Entry) -> Content {
    Content::Source {
        source: SourceId(source),
        offset: entry.offset,
    }
}

/// Runs what is due of a merge.
pub(crate) type Run<'r> = &'r mut dyn FnMut(&mut Merge) -> Result<(), MergeError>;

/// Does to `merge` what apk said it did.
pub(crate) fn apply(
    merge: &mut Merge,
    repository: &Repository,
    changes: &[Change],
    order: &[Vec<u8>],
    run: Run<'_>,
) -> Result<(), MergeError> {
    for (source, change) in (1..).zip(changes) {
        match change {
            Change::Remove(name) => {
                merge.begin_removal(name.as_bytes())?;
                run(merge)?;
                merge.end_removal()?;
            }
            Change::Install(label, tag) => {
                install(merge, repository, source, label, tag.as_deref(), run)?;
                merge.end_package()?;
            }
        }
        run(merge)?;
    }
    merge.begin_triggers(order)?;
    run(merge)
}

fn install(
    merge: &mut Merge,
    repository: &Repository,
    source: u32,
    label: &str,
    tag: Option<&str>,
    run: Run<'_>,
) -> Result<(), MergeError> {
    let file = fs_err::File::open(repository.folder.join(format!("{label}.apk"))).unwrap();
    let package = Package::open(BufReader::with_capacity(1 << 16, file)).unwrap();
    let mut stanza = repository.stanzas[label].clone();
    stanza.repository_tag = tag.map(|tag| tag.as_bytes().to_vec());
    merge.begin_package(NewPackage::new(stanza, package.info(), package.scripts()))?;
    run(merge)?;
    let mut data = package.into_data();
    while let Some(entry) = data.next().unwrap() {
        let file = match (&entry.kind, entry.checksum) {
            (EntryKind::File, Some(_)) if repository.held || Merge::wants_inline(&entry.path) => {
                let mut content = Vec::new();
                data.read_to_end(&mut content).unwrap();
                Some(FileContent::inline(content))
            }
            (EntryKind::File, Some(sha1)) => Some(FileContent {
                content: handle(source, &entry),
                size: entry.size,
                sha1,
            }),
            _ => None,
        };
        merge.package_entry(entry, file)?;
    }
    Ok(())
}

/// Returns a tree as [`super::root::Root::lines`] has a folder.
pub(crate) fn lines(tree: &Tree) -> Lines {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (path, _, id) in tree.in_order() {
        names.entry(id).or_default().push(path.clone());
    }
    for paths in names.values_mut() {
        paths.sort();
    }
    let text = |bytes: &[u8]| -> String {
        // As Python's unicode_escape has it.
        bytes
            .iter()
            .map(|byte| match byte {
                b'\\' => "\\\\".to_owned(),
                b'\n' => "\\n".to_owned(),
                b'\t' => "\\t".to_owned(),
                b'\r' => "\\r".to_owned(),
                0x20..=0x7e => char::from(*byte).to_string(),
                other => format!("\\x{other:02x}"),
            })
            .collect()
    };
    tree.in_order()
        .map(|(path, node, id)| {
            let (letter, rest) = match &node.kind {
                NodeKind::File(file) => ('f', format!("{} {}", file.size, file.sha1)),
                NodeKind::Directory => ('d', String::new()),
                NodeKind::Symlink(target) => ('l', text(target)),
                NodeKind::CharDevice(device) => ('c', format!("{},{}", device.major, device.minor)),
                NodeKind::BlockDevice(device) => {
                    ('b', format!("{},{}", device.major, device.minor))
                }
                NodeKind::Fifo => ('p', String::new()),
            };
            let time = match node.kind {
                NodeKind::Directory | NodeKind::Symlink(_) => "-".to_owned(),
                _ => node.mtime.to_string(),
            };
            let group = match names[&id].as_slice() {
                [first, _, ..] => text(first.as_bytes()),
                _ => String::new(),
            };
            let xattrs: Vec<_> = node
                .xattrs
                .iter()
                .map(|(name, value)| format!("{}={}", text(name), text(value)))
                .collect();
            let line = [
                letter.to_string(),
                format!("{:o}", node.mode),
                format!("{}:{}", node.uid, node.gid),
                time,
                rest,
                xattrs.join(" "),
                group,
            ];
            (text(path.as_bytes()), line.join("\t"))
        })
        .collect()
}
