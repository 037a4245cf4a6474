//! The same done by apk and by us, and what came of it held against each other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use prebake_apk::path::GuestPath;
use prebake_apk::world;
use prebake_rootfs::{Content, Merge, MergeError, SourceId, Tree};

use super::ours::{self, EPOCH, Lines, Repository};
use super::root::{Root, copy, scratch, unpack};

/// The files that apk stamps with the present time and we with the epoch.
const STAMPED: [&str; 5] = [
    "etc/apk/arch",
    "etc/apk/world",
    "lib/apk/db/installed",
    "lib/apk/db/scripts.tar",
    "lib/apk/db/triggers",
];

/// A base and a repository, ready to be used many times.
pub(crate) struct Bench {
    /// Holds the unpacked base, apk's keys and settings; goes away in the end.
    temp: tempfile::TempDir,
    merge: Merge,
    repository: Repository,
    arch: String,
    oracle: PathBuf,
    /// More arguments for apk.
    pub(crate) options: Vec<&'static str>,
}

impl Bench {
    /// `repository` holds `<arch>/APKINDEX.tar.gz`; keys are those of the base and in `keys`.
    pub(crate) fn new(base: &Path, arch: &str, repository: &Path, keys: Option<&Path>) -> Self {
        let temp = scratch();
        let root = temp.path().join("base");
        unpack(base, &root);
        let trusted = temp.path().join("keys");
        fs_err::create_dir(&trusted).unwrap();
        let own = root.join("etc/apk/keys");
        for folder in [Some(own.as_path()), keys].into_iter().flatten() {
            for key in fs_err::read_dir(folder).unwrap() {
                let key = key.unwrap();
                fs_err::copy(key.path(), trusted.join(key.file_name())).unwrap();
            }
        }
        let line = format!("{}\n", repository.display());
        let bench = Self {
            merge: ours::base(base),
            repository: Repository::open(&repository.join(arch)),
            arch: arch.to_owned(),
            oracle: super::shared().unwrap().join("oracle/apk"),
            options: Vec::new(),
            temp,
        };
        fs_err::write(bench.repositories(), line).unwrap();
        bench
    }

    /// Returns the file that tells apk of repositories.
    pub(crate) fn repositories(&self) -> PathBuf {
        self.temp.path().join("repositories")
    }

    /// Has both do the same and compares. Returns how many names were compared, or what apk
    /// said and why we refused, if both did.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<usize, Refusal> {
        let work = tempfile::tempdir_in(self.temp.path()).unwrap();
        let root = Root {
            path: work.path().join("root"),
            arch: self.arch.clone(),
            keys: self.temp.path().join("keys"),
            repositories: self.repositories(),
            oracle: self.oracle.clone(),
        };
        copy(&self.temp.path().join("base"), &root.path);
        let mut all = self.options.clone();
        all.extend(arguments);
        let outcome = root.apk(&all);
        let mut merge = self.merge.clone();
        let applied = ours::apply(&mut merge, &self.repository, &outcome.changes);
        if !outcome.success {
            return Err(Refusal {
                apk: outcome.output,
                ours: applied.err(),
            });
        }
        if let Err(error) = applied {
            panic!(
                "{arguments:?}: apk goes on where we say: {error}\n{}",
                outcome.output
            );
        }
        // Which world is wanted is apk's decision; how it is written is compared.
        let wanted = world::parse(&root.read("etc/apk/world"));
        let (tree, report) = merge.finish(&wanted, &self.arch).unwrap();
        assert_order(&tree);
        if !arguments.contains(&"--no-scripts") {
            // apk ran them, so the trees part; that it ran the same ones is what is compared.
            let scripts = report.scripts.iter();
            let scripts = scripts.map(|script| format!("{}.{}", script.package, script.kind));
            let triggers = report.triggers.iter();
            let triggers = triggers.map(|trigger| format!("{}.trigger", trigger.package));
            let ours: Vec<_> = scripts.chain(triggers).collect();
            assert_eq!(ours, outcome.executed, "{arguments:?}");
            return Ok(ours.len());
        }
        for path in STAMPED {
            let guest = GuestPath::from_relative(path.as_bytes()).unwrap();
            let own = tree.inline(&guest).unwrap_or_default();
            let (own, theirs) = (String::from_utf8_lossy(own), root.read(path));
            let theirs = String::from_utf8_lossy(&theirs);
            assert_same_text(&format!("{arguments:?}: {path}"), &own, &theirs);
            assert_eq!(tree.follow(&guest).unwrap().mtime, EPOCH);
        }
        let (mut ours, mut theirs) = (ours::lines(&tree), root.lines());
        untimed(&mut ours);
        untimed(&mut theirs);
        assert_same(&format!("{arguments:?}"), &ours, &theirs);
        Ok(theirs.len())
    }
}

/// What apk printed when it failed, and why we would not, if we did not.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) apk: String,
    pub(crate) ours: Option<MergeError>,
}

/// Takes the time away from what has none to compare.
fn untimed(lines: &mut Lines) {
    for path in STAMPED {
        if let Some(line) = lines.get_mut(path) {
            let mut fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
            "-".clone_into(&mut fields[3]);
            *line = fields.join("\t");
        }
    }
}

/// Checks that a tree is listed so that it can be written: parents first, sources read forwards.
pub(crate) fn assert_order(tree: &Tree) {
    let mut listed = HashSet::new();
    let mut nodes = HashSet::new();
    let mut read = (SourceId::BASE, 0);
    for (path, node, id) in tree.in_order() {
        if let Some(parent) = path.parent() {
            assert!(
                listed.contains(&parent),
                "{path} comes before its directory"
            );
        }
        assert!(listed.insert(path.clone()), "{path} comes twice");
        let first = nodes.insert(id);
        if let (true, Some(Content::Source { source, offset })) =
            (first, node.file().map(|file| &file.content))
        {
            assert!((*source, *offset) >= read, "{path} is behind what was read");
            read = (*source, *offset);
        }
    }
    assert_eq!(listed.len(), tree.len());
}

/// Says where two texts part.
fn assert_same_text(what: &str, ours: &str, theirs: &str) {
    let mut lines = ours.lines().zip(theirs.lines()).enumerate();
    if let Some((at, (one, other))) = lines.find(|(_, (one, other))| one != other) {
        panic!("{what}, line {}:\nours   {one}\ntheirs {other}", at + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{what}: one goes on");
}

/// Says all that differs.
fn assert_same(what: &str, ours: &Lines, theirs: &Lines) {
    let mut problems = Vec::new();
    for (path, line) in theirs {
        match ours.get(path) {
            Some(own) if own == line => {}
            Some(own) => problems.push(format!("{path}\n  ours   {own}\n  theirs {line}")),
            None => problems.push(format!("{path} is missing\n  theirs {line}")),
        }
    }
    for path in ours.keys().filter(|path| !theirs.contains_key(*path)) {
        problems.push(format!("{path} is too much"));
    }
    assert!(problems.is_empty(), "{what}:\n{}", problems.join("\n"));
}
