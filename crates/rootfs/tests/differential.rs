//! Our tree against what the real apk leaves in the same base.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what is wrong by ending, and why it did nothing"
)]

mod oracle;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use oracle::ours::{self, EPOCH, Lines, Repository};
use oracle::root::{Root, copy, unpack};
use prebake_apk::path::GuestPath;
use prebake_apk::world;
use prebake_rootfs::Merge;

/// The files that apk stamps with the present time and we with the epoch.
const STAMPED: [&str; 5] = [
    "etc/apk/arch",
    "etc/apk/world",
    "lib/apk/db/installed",
    "lib/apk/db/scripts.tar",
    "lib/apk/db/triggers",
];

/// A base and a repository, ready to be used many times.
struct Bench {
    /// Holds the unpacked base, apk's keys and settings; goes away in the end.
    temp: tempfile::TempDir,
    merge: Merge,
    repository: Repository,
    arch: String,
    oracle: PathBuf,
    options: Vec<&'static str>,
}

impl Bench {
    /// `repository` holds `<arch>/APKINDEX.tar.gz`; keys are those of the base and in `keys`.
    fn new(base: &Path, arch: &str, repository: &Path, keys: Option<&Path>) -> Self {
        let temp = oracle::root::scratch();
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
        fs_err::write(temp.path().join("repositories"), line).unwrap();
        Self {
            merge: ours::base(base),
            repository: Repository::open(&repository.join(arch)),
            arch: arch.to_owned(),
            oracle: oracle::shared().unwrap().join("oracle/apk"),
            options: Vec::new(),
            temp,
        }
    }

    /// Installs with both and compares. Returns how many names were compared, or what apk said
    /// if it cannot install the packages.
    fn check(&self, packages: &[&str]) -> Result<usize, String> {
        let work = tempfile::tempdir_in(self.temp.path()).unwrap();
        let root = Root {
            path: work.path().join("root"),
            arch: self.arch.clone(),
            keys: self.temp.path().join("keys"),
            repositories: self.temp.path().join("repositories"),
            oracle: self.oracle.clone(),
        };
        copy(&self.temp.path().join("base"), &root.path);
        let mut wanted = world::parse(&root.read("etc/apk/world"));
        wanted.extend(packages.iter().map(|name| name.as_bytes().to_vec()));
        let mut arguments = self.options.clone();
        arguments.extend(["add", "--no-scripts"]);
        arguments.extend(packages);
        let outcome = root.apk(&arguments);
        if !outcome.success {
            return Err(outcome.output);
        }
        let mut merge = self.merge.clone();
        ours::apply(&mut merge, &self.repository, &outcome.changes).unwrap();
        let (tree, report) = merge.finish(&wanted, &self.arch).unwrap();
        assert_eq!(report.new_files, [], "{packages:?}");
        for path in STAMPED {
            let guest = GuestPath::from_relative(path.as_bytes()).unwrap();
            let own = tree.inline(&guest).unwrap_or_default();
            let (own, theirs) = (String::from_utf8_lossy(own), root.read(path));
            let theirs = String::from_utf8_lossy(&theirs);
            assert_same_text(&format!("{packages:?}: {path}"), &own, &theirs);
            assert_eq!(tree.follow(&guest).unwrap().mtime, EPOCH);
        }
        let (mut ours, mut theirs) = (ours::lines(&tree), root.lines());
        untimed(&mut ours);
        untimed(&mut theirs);
        assert_same(&format!("{packages:?}"), &ours, &theirs);
        Ok(theirs.len())
    }
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

#[test]
fn the_recipe_on_3_20() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let bench = Bench::new(
        &alpine.join("v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz"),
        "x86_64",
        &alpine.join("v3.20/main"),
        Some(&alpine.join("keys")),
    );
    let count = bench.check(&["gcompat", "iptables"]).unwrap();
    assert!(count > 500, "{count}");
}

fn on_3_19(shared: &Path, repository: &Path) -> Bench {
    let base = "alpine/v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";
    Bench::new(&shared.join(base), "x86_64", repository, None)
}

#[test]
fn five_packages_on_3_19() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let bench = on_3_19(&shared, &shared.join("alpine/v3.19/main"));
    let world = ["openssh", "git", "jq", "e2fsprogs", "sfdisk"];
    let count = bench.check(&world).unwrap();
    assert!(count > 1000, "{count}");
}

#[test]
fn openssh_on_3_13_for_arm() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let alpine = shared.join("alpine");
    let bench = Bench::new(
        &alpine.join("v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz"),
        "aarch64",
        &alpine.join("v3.13/main"),
        None,
    );
    let count = bench.check(&["openssh"]).unwrap();
    assert!(count > 500, "{count}");
}

/// Returns the names of all packages in the 3.19 mirror, and a mirror of the same packages whose
/// index has no others: the real one has 5,443 and apk reads them all on every run.
fn small_3_19(shared: &Path, into: &Path) -> Vec<String> {
    let folder = into.join("x86_64");
    fs_err::create_dir(&folder).unwrap();
    let mut packages = Vec::new();
    for file in fs_err::read_dir(shared.join("alpine/v3.19/main/x86_64")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if let Some(label) = name.strip_suffix(".apk") {
            fs_err::os::unix::fs::symlink(file.path(), folder.join(&name)).unwrap();
            // The version is what is behind the second dash from the end.
            let (rest, _) = label.rsplit_once('-').unwrap();
            packages.push(rest.rsplit_once('-').unwrap().0.to_owned());
        }
    }
    packages.sort();
    let status = Command::new(shared.join("oracle/apk"))
        .args([
            "index",
            "--quiet",
            "--allow-untrusted",
            // As Alpine's own is made: a mirror has no folder for `noarch`.
            "--rewrite-arch",
            "x86_64",
            "-o",
            "APKINDEX.tar.gz",
        ])
        .args(packages_in(&folder))
        .current_dir(&folder)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    packages
}

fn packages_in(folder: &Path) -> Vec<std::ffi::OsString> {
    let files = fs_err::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().file_name()).collect()
}

/// Checks many worlds on all cores; returns how many apk could install.
fn check_all(bench: &Bench, worlds: &[Vec<&str>]) -> usize {
    let next = AtomicUsize::new(0);
    let installed = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(world) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match bench.check(world) {
                        Ok(_) => _ = installed.fetch_add(1, Ordering::Relaxed),
                        Err(output) => assert!(
                            output.contains("unable to select packages"),
                            "{world:?}: {output}"
                        ),
                    }
                }
            });
        }
    });
    installed.into_inner()
}

#[test]
fn every_package_of_3_19_and_random_sets() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let mirror = tempfile::tempdir().unwrap();
    let packages = small_3_19(&shared, mirror.path());
    let mut bench = on_3_19(&shared, mirror.path());
    bench.options = vec!["--allow-untrusted"];
    let alone: Vec<Vec<&str>> = packages.iter().map(|name| vec![name.as_str()]).collect();
    assert_eq!(check_all(&bench, &alone), 139);

    // Any sets will do, if they are the same ones every time.
    let mut state: u64 = 19;
    let mut below = |bound: usize| -> usize {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let sets: Vec<Vec<&str>> = (0..40)
        .map(|_| {
            let size = 2 + below(7);
            (0..size)
                .map(|_| packages[below(packages.len())].as_str())
                .collect()
        })
        .collect();
    let installed = check_all(&bench, &sets);
    assert!(installed > 20, "{installed}");
}
