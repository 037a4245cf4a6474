//! The real apk beside our solver: the same world, base and repositories put to both.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use prebake_apk::dependency::Dependency;
use prebake_apk::digest::Sha256;
use prebake_apk::index::{Index, Origin, Stanza};
use prebake_apk::version::Dialect;
use prebake_solve::{
    ChangeKind, MAX_STEPS, Repository, Request, Solution, SolveError, Source, solve_within, world,
};
use tempfile::TempDir;

use crate::case::Case;

/// The dialect of the oracle, apk 2.14.4.
pub(crate) const DIALECT: Dialect = Dialect::V2;

/// Returns the folder of shared test data; `None`, having said so, where it is missing.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is missing",
        path.display()
    );
    println!("skipped: {} is missing", path.display());
    None
}

/// Returns the number that an environment variable holds, or the given one.
pub(crate) fn number(variable: &str, otherwise: usize) -> usize {
    match std::env::var(variable) {
        Ok(number) => number
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => otherwise,
    }
}

/// Returns what `apk add` is given.
fn added(words: &[String]) -> Vec<Dependency<'_>> {
    let added = words.iter().map(|word| Dependency::parse(word, DIALECT));
    added.map(|one| one.expect("a dependency")).collect()
}

/// Returns an index as its parsed form has it.
fn parsed(index: &Index) -> Index {
    let origin = Origin {
        sha256: Sha256::of(b"an index"),
        fingerprint: Sha256::of(b"a key"),
        key_name: String::new(),
        signers: Vec::new(),
        description: Vec::new(),
        made: None,
    };
    let bytes = index
        .to_parsed(&origin, DIALECT)
        .expect("an index that was read");
    let parsed = Index::from_parsed(bytes, origin.sha256, DIALECT);
    parsed.expect("its parsed form").0
}

/// What came of a world: apk's lines without their counters, or `unsatisfiable`.
pub(crate) type Outcome = Vec<String>;

/// A base and repositories, unpacked for the oracle and read for us.
pub(crate) struct Stage {
    /// The oracle's files; `None` where there is no oracle.
    root: Option<TempDir>,
    oracle: PathBuf,
    extra: Vec<String>,
    pub(crate) base_world: String,
    pub(crate) installed: Index,
    pub(crate) repositories: Vec<(Index, Option<String>)>,
    /// The same indexes as their parsed forms have them.
    parsed: Vec<Index>,
}

impl Stage {
    /// Unpacks a minirootfs's database and reads the repositories at `lines`, which are lines of
    /// `/etc/apk/repositories` without the mirror's address.
    pub(crate) fn new(shared: &Path, base: &str, arch: &str, lines: &[&str]) -> Self {
        let root = TempDir::new().expect("a temporary folder");
        let unpacked = Command::new("tar")
            .arg("-xzf")
            .arg(shared.join("alpine").join(base))
            .arg("-C")
            .arg(root.path())
            .args(["--no-same-owner", "./lib/apk", "./etc/apk"])
            .status()
            .expect("tar runs");
        assert!(unpacked.success());
        let keys = root.path().join("etc/apk/keys");
        for key in fs_err::read_dir(shared.join("alpine/keys")).expect("the keys") {
            let key = key.expect("a key").path();
            fs_err::copy(&key, keys.join(key.file_name().expect("a name"))).expect("copied");
        }
        let mut text = String::new();
        let mut repositories = Vec::new();
        for line in lines {
            let (tag, path) = match line.split_once(' ') {
                Some((tag, path)) => (Some(tag), path),
                None => (None, *line),
            };
            let folder = shared.join("alpine").join(path);
            if let Some(tag) = tag {
                text.extend([tag, " "]);
            }
            text.extend(["file://", &folder.display().to_string(), "\n"]);
            let index = index_text(&folder.join(arch).join("APKINDEX.tar.gz"));
            let index = Index::parse(index).expect("a real index");
            repositories.push((index, tag.map(|tag| tag.trim_start_matches('@').to_owned())));
        }
        fs_err::write(root.path().join("repositories"), text).expect("written");
        let installed = fs_err::read(root.path().join("lib/apk/db/installed")).expect("a database");
        Self {
            oracle: shared.join("oracle/apk"),
            extra: vec![],
            base_world: fs_err::read_to_string(root.path().join("etc/apk/world")).expect("a world"),
            installed: Index::parse(installed).expect("a real database"),
            parsed: repositories
                .iter()
                .map(|(index, _)| parsed(index))
                .collect(),
            repositories,
            root: Some(root),
        }
    }

    /// Sets the stage for a made-up case.
    pub(crate) fn of_case(shared: &Path, case: &Case) -> Self {
        let root = shared
            .exists()
            .then(|| TempDir::new().expect("a temporary folder"));
        let write = |path: &str, bytes: &[u8]| {
            let Some(root) = &root else {
                return;
            };
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs_err::write(path, bytes).expect("written");
        };
        let installed = case.installed_text();
        let mut base_world = case.base_world.join("\n");
        base_world.push('\n');
        write("lib/apk/db/installed", installed.as_bytes());
        write("lib/apk/db/triggers", b"");
        write("lib/apk/db/scripts.tar", b"");
        write("etc/apk/world", base_world.as_bytes());
        write("etc/apk/arch", b"x86_64\n");
        let mut lines = String::new();
        let mut repositories = Vec::new();
        for (position, repository) in case.repositories.iter().enumerate() {
            let text = repository.text();
            write(
                &format!("mirror/{position}/x86_64/APKINDEX.tar.gz"),
                &root.as_ref().map(|_| archive(&text)).unwrap_or_default(),
            );
            if let Some(tag) = &repository.tag {
                lines.extend(["@", tag, " "]);
            }
            if let Some(root) = &root {
                let folder = root.path().join(format!("mirror/{position}"));
                lines.extend([&folder.display().to_string(), "\n"]);
            }
            repositories.push((
                Index::parse(text.into_bytes()).expect("an index"),
                repository.tag.clone(),
            ));
        }
        write("repositories", lines.as_bytes());
        Self {
            oracle: shared.join("oracle/apk"),
            extra: vec!["--allow-untrusted".into()],
            base_world,
            installed: Index::parse(installed.into_bytes()).expect("a database"),
            parsed: repositories
                .iter()
                .map(|(index, _)| parsed(index))
                .collect(),
            repositories,
            root,
        }
    }

    /// What the real apk would do.
    pub(crate) fn theirs(&self, words: &[String]) -> Outcome {
        let root = self.root.as_ref().expect("an oracle").path();
        let output = Command::new(&self.oracle)
            .args(&self.extra)
            .arg("--root")
            .arg(root)
            .arg("--no-cache")
            .arg("--repositories-file")
            .arg(root.join("repositories"))
            .args(["add", "--simulate", "--"])
            .args(words)
            .output()
            .expect("the oracle runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let outcome = outcome(&text, &errors);
        assert!(
            output.status.success() || outcome == ["unsatisfiable"] || outcome == ["unknown tag"],
            "{words:?}: {errors}"
        );
        outcome
    }

    /// What we would do: over the indexes as they are read, and over their parsed forms, which have
    /// to make no difference.
    pub(crate) fn ours(&self, words: &[String]) -> Outcome {
        let solved = self.solve(words, MAX_STEPS);
        let parsed = self.solve_over(self.parsed.iter(), words, MAX_STEPS);
        assert_eq!(parsed, solved, "{words:?} over parsed forms");
        match solved {
            Ok(solution) => self.lines(&solution),
            Err(SolveError::Unsatisfiable(_)) => vec!["unsatisfiable".into()],
            Err(SolveError::UnknownTag { .. }) => vec!["unknown tag".into()],
            Err(error) => vec![error.to_string()],
        }
    }

    /// Returns the world that adding `words` makes.
    pub(crate) fn world<'a>(&'a self, words: &'a [String]) -> Vec<Dependency<'a>> {
        let base: Vec<_> = self
            .base_world
            .split_whitespace()
            .map(|word| Dependency::parse(word, DIALECT).expect("a dependency"))
            .collect();
        world(&base, &added(words))
    }

    /// Puts a world to our solver.
    pub(crate) fn solve(&self, words: &[String], max_steps: u64) -> Result<Solution, SolveError> {
        let indexes = self.repositories.iter().map(|(index, _)| index);
        self.solve_over(indexes, words, max_steps)
    }

    fn solve_over<'a>(
        &'a self,
        indexes: impl Iterator<Item = &'a Index>,
        words: &[String],
        max_steps: u64,
    ) -> Result<Solution, SolveError> {
        let tags = self.repositories.iter().map(|(_, tag)| tag.as_deref());
        let repositories: Vec<_> = indexes
            .zip(tags)
            .map(|(index, tag)| Repository { index, tag })
            .collect();
        let request = Request {
            world: &self.world(words),
            added: &added(words),
            repositories: &repositories,
            installed: Some(&self.installed),
            dialect: DIALECT,
            architectures: &[],
            upgrade: false,
        };
        solve_within(&request, max_steps)
    }

    /// Returns what the indexes or the installed database say of a package.
    pub(crate) fn describe(&self, source: Source) -> Stanza<'_> {
        match source {
            Source::Installed(position) => self.installed.get(position),
            Source::Repository {
                repository,
                position,
            } => self.repositories[repository].0.get(position),
        }
        .expect("a package")
    }

    /// Says what a solution does as apk says it.
    fn lines(&self, solution: &Solution) -> Outcome {
        let describe = |source| self.describe(source);
        solution
            .changes
            .iter()
            .map(|change| {
                let new = change.package.map(describe);
                let old = change.installed.map(Source::Installed).map(describe);
                match (change.kind, new, old) {
                    (ChangeKind::Install, Some(new), _) => {
                        let tag = change.tag.map(|tag| format!("@{}", solution.tags[tag]));
                        let tag = tag.unwrap_or_default();
                        format!("Installing {}{tag} ({})", new.name(), new.version())
                    }
                    (kind, Some(new), Some(old)) => {
                        let verb = match kind {
                            ChangeKind::Upgrade => "Upgrading",
                            ChangeKind::Downgrade => "Downgrading",
                            _ => "Replacing",
                        };
                        let tag = change.tag.map(|tag| format!("@{}", solution.tags[tag]));
                        let tag = tag.unwrap_or_default();
                        let (from, to) = (old.version(), new.version());
                        format!("{verb} {}{tag} ({from} -> {to})", new.name())
                    }
                    (ChangeKind::Remove, _, Some(old)) => {
                        format!("Purging {} ({})", old.name(), old.version())
                    }
                    (_, _, Some(old)) => {
                        let tag = change.tag.map(|tag| format!("@{}", solution.tags[tag]));
                        let tag = tag.unwrap_or_default();
                        format!("Updating pinning {}{tag} ({})", old.name(), old.version())
                    }
                    _ => panic!("a change without a package"),
                }
            })
            .collect()
    }
}

/// Reads what apk printed.
pub(crate) fn outcome(text: &str, errors: &str) -> Outcome {
    if errors.contains("unable to select packages") {
        return vec!["unsatisfiable".into()];
    }
    if errors.contains("missing repository tags") {
        return vec!["unknown tag".into()];
    }
    text.lines()
        .filter_map(|line| Some(line.strip_prefix('(')?.split_once(") ")?.1.to_owned()))
        .collect()
}

/// Puts every world to both, on two threads, and fails with what differs.
#[expect(clippy::print_stdout, reason = "the counts are of interest")]
pub(crate) fn check(stage: &Stage, worlds: &[Vec<String>]) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        let mut unsatisfiable = 0;
        while let Some(world) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (theirs, ours) = (stage.theirs(world), stage.ours(world));
            unsatisfiable += usize::from(theirs == ["unsatisfiable"]);
            if theirs != ours {
                found.push(format!(
                    "{}\n{}",
                    world.join(" "),
                    difference(&theirs, &ours)
                ));
            }
        }
        (found, unsatisfiable)
    };
    let (found, unsatisfiable) = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let (mut found, mut unsatisfiable) = work();
        let (more_found, more) = other.join().expect("no panic");
        found.extend(more_found);
        unsatisfiable += more;
        (found, unsatisfiable)
    });
    println!(
        "{} worlds, {unsatisfiable} of them unsatisfiable, {} differences",
        worlds.len(),
        found.len()
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Says where two outcomes part.
pub(crate) fn difference(theirs: &[String], ours: &[String]) -> String {
    let same = theirs
        .iter()
        .zip(ours)
        .take_while(|(their, our)| their == our)
        .count();
    let show = |lines: &[String]| {
        let rest = lines.get(same..).unwrap_or_default();
        rest.iter()
            .take(60)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut sorted = (theirs.to_vec(), ours.to_vec());
    sorted.0.sort();
    sorted.1.sort();
    let kind = if sorted.0 == sorted.1 { "ORDER" } else { "SET" };
    format!(
        "    {kind} after {same} of {}/{}\n    apk:  {}\n    ours: {}",
        theirs.len(),
        ours.len(),
        show(theirs),
        show(ours)
    )
}

/// Takes the `APKINDEX` out of its archive.
pub(crate) fn index_text(path: &Path) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(fs_err::File::open(path).expect("the index is there"))
        .read_to_end(&mut tar)
        .expect("the index inflates");
    let mut rest = &tar[..];
    while let Some((header, after)) = rest.split_at_checked(512) {
        let size = std::str::from_utf8(&header[124..136]).expect("octal digits");
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        if header.starts_with(b"APKINDEX\0") {
            return after[..size].to_vec();
        }
        rest = &after[size.next_multiple_of(512)..];
    }
    panic!("{} holds no APKINDEX", path.display());
}

/// Makes an unsigned index archive of a text.
fn archive(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"APKINDEX");
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", text.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&header).expect("memory");
    encoder.write_all(text.as_bytes()).expect("memory");
    let padding = text.len().next_multiple_of(512) - text.len() + 1024;
    encoder.write_all(&vec![0; padding]).expect("memory");
    encoder.finish().expect("memory")
}

/// A small generator with a seed (xorshift), so that a failure can be run again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
