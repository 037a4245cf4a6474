//! The same done by apk and by us, and what came of it held against each other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prebake_apk::path::GuestPath;
use prebake_apk::world;
use prebake_rootfs::{Content, Merge, MergeError, SourceId, Tree};

use super::ours::{self, EPOCH, Lines, Repository};
use super::root::{Outcome, Root, copy, pack, scratch, unpack};
use super::stage::Stage;

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
    scratch: bool,
    oracle: PathBuf,
    /// More arguments for apk.
    pub(crate) options: Vec<&'static str>,
}

impl Bench {
    /// `repository` holds `<arch>/APKINDEX.tar.gz`; keys are those of the base and in `keys`. If
    /// the base is `""` there is none but the keys, and apk begins with nothing else.
    pub(crate) fn new(base: &Path, arch: &str, repository: &Path, keys: Option<&Path>) -> Self {
        Self::make(base, arch, repository, keys, false)
    }

    /// As [`Bench::new`], for [`Bench::run_scripts`]; with packages of the repository that are
    /// installed already, their scripts not run.
    pub(crate) fn with_contents(
        base: &Path,
        arch: &str,
        repository: &Path,
        keys: Option<&Path>,
        installed: &[String],
    ) -> Self {
        let bench = Self::make(base, arch, repository, keys, true);
        if installed.is_empty() {
            return bench;
        }
        let mut arguments = vec!["add", "--no-scripts"];
        arguments.extend(installed.iter().map(String::as_str));
        let work = tempfile::tempdir_in(bench.temp.path()).unwrap();
        let (root, outcome) = bench.apk(work.path(), &arguments);
        assert!(outcome.success, "{arguments:?}: {}", outcome.output);
        let archive = work.path().join("base.tar");
        pack(&root.path, &archive);
        Self::make(&archive, arch, repository, keys, true)
    }

    fn make(base: &Path, arch: &str, repository: &Path, keys: Option<&Path>, held: bool) -> Self {
        let temp = scratch();
        let root = temp.path().join("base");
        let scratch = base.as_os_str().is_empty();
        let own = root.join("etc/apk/keys");
        if scratch {
            fs_err::create_dir_all(&own).unwrap();
            for key in fs_err::read_dir(keys.unwrap()).unwrap() {
                let key = key.unwrap();
                fs_err::write(own.join(key.file_name()), fs_err::read(key.path()).unwrap())
                    .unwrap();
            }
        } else {
            unpack(base, &root);
        }
        let trusted = temp.path().join("keys");
        fs_err::create_dir(&trusted).unwrap();
        for folder in [Some(own.as_path()), keys].into_iter().flatten() {
            for key in fs_err::read_dir(folder).unwrap() {
                let key = key.unwrap();
                fs_err::copy(key.path(), trusted.join(key.file_name())).unwrap();
            }
        }
        let line = format!("{}\n", repository.display());
        let bench = Self {
            merge: if scratch {
                ours::nothing(arch, keys.unwrap())
            } else {
                ours::base(base, held)
            },
            repository: Repository::open(&repository.join(arch), held),
            arch: arch.to_owned(),
            oracle: super::shared().unwrap().join("oracle/apk"),
            options: if scratch {
                vec!["--initdb"]
            } else {
                Vec::new()
            },
            scratch,
            temp,
        };
        fs_err::write(bench.repositories(), line).unwrap();
        bench
    }

    /// Has the real apk do something to a copy of the base in `work`.
    fn apk(&self, work: &Path, arguments: &[&str]) -> (Root, Outcome) {
        let root = Root {
            path: work.join("root"),
            arch: self.arch.clone(),
            keys: self.temp.path().join("keys"),
            repositories: self.repositories(),
            oracle: self.oracle.clone(),
        };
        copy(&self.temp.path().join("base"), &root.path);
        let mut all = self.options.clone();
        all.extend(arguments);
        let outcome = root.apk(&all);
        (root, outcome)
    }

    /// Has both do the same, scripts and triggers run by both, and compares all but the times of
    /// what was made while this ran. Returns the scripts that were run.
    pub(crate) fn run_scripts(&self, arguments: &[&str]) -> Result<Vec<String>, Refusal> {
        let begun = now();
        let work = tempfile::tempdir_in(self.temp.path()).unwrap();
        let (root, outcome) = self.apk(work.path(), arguments);
        let mut merge = self.merge.clone();
        let folder = work.path().join("ours");
        let mut stage = if self.scratch {
            fs_err::create_dir(&folder).unwrap();
            Stage::new(&folder, Merge::new(EPOCH).tree())
        } else {
            copy(&self.temp.path().join("base"), &folder);
            Stage::new(&folder, merge.tree())
        };
        let applied = ours::apply(
            &mut merge,
            &self.repository,
            &outcome.changes,
            &outcome.triggered(),
            &mut |merge| stage.run_due(merge),
        );
        if !outcome.success {
            return Err(Refusal {
                apk: outcome.output,
                ours: applied.err(),
            });
        }
        applied.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        let wanted = world::parse(&root.read("etc/apk/world"));
        let (tree, report) = merge.finish(&wanted, &self.arch).unwrap();
        assert_order(&tree);
        let ran = report.ran.iter();
        let ran: Vec<_> = ran
            .map(|script| format!("{}.{}", script.package, script.kind))
            .collect();
        assert_eq!(ran, outcome.executed, "{arguments:?}");
        assert!(report.scripts.is_empty() && report.triggers.is_empty());
        let noted = GuestPath::from_relative(b"noted").unwrap();
        let ours = String::from_utf8_lossy(tree.inline(&noted).unwrap_or_default());
        let theirs = root.read("noted");
        let theirs = String::from_utf8_lossy(&theirs);
        assert_same_text(&format!("{arguments:?}: noted"), &ours, &theirs);
        let (mut ours, mut theirs) = (ours::lines(&tree), root.lines());
        untimed(&mut ours, begun);
        untimed(&mut theirs, begun);
        assert_same(&format!("{arguments:?}"), &ours, &theirs);
        Ok(ran)
    }

    /// Returns the file that tells apk of repositories.
    pub(crate) fn repositories(&self) -> PathBuf {
        self.temp.path().join("repositories")
    }

    /// Has both do the same and compares. Returns how many names were compared, or what apk
    /// said and why we refused, if both did.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<usize, Refusal> {
        let begun = now();
        let work = tempfile::tempdir_in(self.temp.path()).unwrap();
        let (root, outcome) = self.apk(work.path(), arguments);
        let mut merge = self.merge.clone();
        let applied = ours::apply(
            &mut merge,
            &self.repository,
            &outcome.changes,
            &[],
            &mut |_| Ok(()),
        );
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
        untimed(&mut ours, begun);
        untimed(&mut theirs, begun);
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

/// Returns the present time, less what the clocks of file systems lag behind.
fn now() -> i64 {
    let now = SystemTime::now() - Duration::from_secs(2);
    let now = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap()
}

/// Takes the time away from what has none to compare: what was made since `begun`, or here.
fn untimed(lines: &mut Lines, begun: i64) {
    for path in STAMPED {
        stamp(lines.get_mut(path), "-");
    }
    for line in lines.values_mut() {
        let time = line.split('\t').nth(3).and_then(|time| time.parse().ok());
        if time.is_some_and(|time: i64| time >= begun || time == EPOCH) {
            stamp(Some(line), "-");
        }
    }
}

fn stamp(line: Option<&mut String>, time: &str) {
    if let Some(line) = line {
        let mut fields: Vec<_> = line.split('\t').collect();
        fields[3] = time;
        *line = fields.join("\t");
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
