//! What `prebake` bakes against what the real apk leaves when it runs the packages' scripts: for
//! every package of the real 3.19 mirror, and for random sets of them.

mod kitchen;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use kitchen::Kitchen;
use prebake_testkit::judge;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::shared;
use prebake_testkit::tree::Dump;

/// apk's own files and what else has the time of apk's run: see `docs/fidelity.md`.
const TIMELESS: [&str; 5] = [
    "/etc/apk/arch",
    "/etc/apk/world",
    "/lib/apk/db/installed",
    "/lib/apk/db/scripts.tar",
    "/lib/apk/db/triggers",
];

/// The packages of the mirror that real apk can install: the others need one that is not there.
const INSTALLABLE: usize = 139;

/// How many random sets are tried, and every how-many-eth package alone, unless
/// `PREBAKE_DIFFERENTIAL` is set, as `cargo xtask ci` does: then it is these and all.
const SETS: usize = 100;

const QUICK: usize = 12;

/// What is tried in any case: what has scripts that do something, and one that has none.
const ALWAYS: [&str; 5] = [
    "dhcpcd",
    "git",
    "jq",
    "tiny-cloud-alpine",
    "tiny-cloud-nocloud",
];

const BASE: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

const OUTPUT: &str = "rootfs.tar.gz";

/// The real mirror, and a cache that all bakes share.
struct Field<'t> {
    test: &'t str,
    mirror: PathBuf,
    cache: tempfile::TempDir,
}

/// What came of one world on both sides.
enum Came {
    /// The same tree, and so many scripts with an effect in it.
    Same(usize),
    /// Neither could have the packages.
    Refused,
}

impl<'t> Field<'t> {
    fn open(test: &'t str) -> Option<Self> {
        let mirror = shared::real_mirror(test)?;
        judge::any_owner(test).then_some(())?;
        let cache = tempfile::tempdir().expect("a temporary folder");
        Some(Self {
            test,
            mirror,
            cache,
        })
    }

    fn recipe(&self, world: &[&str]) -> String {
        let mirror = self.mirror.display();
        format!(
            "name = \"r\"\narch = [\"x86_64\"]\npackages = {world:?}\n\
             mirrors = [\"file://{mirror}\"]\n[base]\nrelease = \"3.19.4\"\n\
             [[repository]]\nurl = \"file://{mirror}/v3.19/main\"\n\
             [[output]]\npath = {OUTPUT:?}\n"
        )
    }

    /// Has both add packages, scripts and all, and holds the one against the other.
    fn check(&self, world: &[&str]) -> Option<Came> {
        let kitchen = Kitchen::new(&self.recipe(world));
        let cache = self.cache.path().display().to_string();
        let run = |arguments: &[&str]| kitchen.run(&[arguments, &["--cache", &cache]].concat());
        let built = run(&["build", "--json"]);
        let started = now();
        let oracle = Oracle::on_base(self.test, &self.mirror.join(BASE))?;
        let add = Add::new(world.iter().copied())
            .repository(self.mirror.join("v3.19/main").display())
            .with_scripts();
        let added = oracle.add(&add);
        // No choice is right, or what is chosen is not in the mirror.
        if let Some(4 | 5) = built.code {
            assert!(!added.success, "{world:?}: {}", built.stderr);
            return Some(Came::Refused);
        }
        built.expect(0);
        let added = added.expect_success();
        let output = kitchen.path(OUTPUT);
        let mut ours = Dump::of_tarball(self.test, &output)?;
        let mut theirs = Dump::of_directory(self.test, &oracle.root())?;
        // The day of a password's change is the day of the run.
        for file in ["etc/shadow", "etc/shadow-"] {
            let path = format!("/{file}");
            let there = (ours.0.remove(&path), theirs.0.remove(&path));
            if let (Some(mut ours), Some(mut theirs)) = there {
                (ours.mtime, theirs.mtime) = (0, 0);
                (ours.what, theirs.what) = Default::default();
                assert_eq!(ours, theirs, "{world:?}: {path}");
                let text = fs_err::read_to_string(oracle.root().join(file)).expect("it is there");
                let tar = judge::gnu_tar(self.test)?;
                let archive = output.display().to_string();
                let member = format!("./{file}");
                let baked = tar.run(["-xzOf", &archive, &member]).expect_success();
                assert_eq!(dayless(&baked.stdout), dayless(&text), "{world:?}: {path}");
            }
        }
        // What apk or a script made has the time of its run; nothing of ours may have that.
        for (path, theirs) in &mut theirs.0 {
            let made_now = theirs.mtime >= started || TIMELESS.contains(&path.as_str());
            if let Some(ours) = ours.0.get_mut(path)
                && (made_now || matches!(theirs.kind, 'd' | 'l'))
            {
                assert!(ours.mtime < started, "{world:?}: {path}");
                (ours.mtime, theirs.mtime) = (0, 0);
            }
        }
        assert!(
            ours == theirs,
            "{world:?}: {}\n{}",
            added.stdout,
            differences(&ours, &theirs)
        );
        let record = kitchen.path("prebake.scripts");
        let record = fs_err::read_to_string(record).unwrap_or_default();
        self.replays(world, &kitchen, &output, &run);
        Some(Came::Same(record.matches("[[run]]").count()))
    }

    /// Bakes again from the lock, where no sandbox is to be had: the same bytes.
    fn replays(
        &self,
        world: &[&str],
        kitchen: &Kitchen,
        output: &Path,
        run: &dyn Fn(&[&str]) -> kitchen::Output,
    ) {
        let first = fs_err::read(output).expect("it is there");
        fs_err::remove_file(output).expect("it can go");
        run(&["build", "--locked"]).expect(0);
        let again = fs_err::read(kitchen.path(OUTPUT)).expect("it is there");
        assert!(first == again, "{world:?}: another bake of {}", self.test);
    }

    /// Checks many worlds on all cores; returns what came of each, in their order.
    fn check_all(&self, worlds: &[Vec<&str>]) -> Option<Vec<Came>> {
        let next = AtomicUsize::new(0);
        let came = Mutex::new(Vec::new());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(world) = worlds.get(at) else { break };
                        let one = self.check(world);
                        came.lock().expect("no thread died").push((at, one));
                    }
                });
            }
        });
        let mut came = came.into_inner().expect("no thread died");
        came.sort_by_key(|(at, _)| *at);
        came.into_iter().map(|(_, one)| one).collect()
    }

    /// Returns the name of every package in the mirror, sorted.
    fn packages(&self) -> Vec<String> {
        let folder = self.mirror.join("v3.19/main/x86_64");
        let mut packages = Vec::new();
        for file in fs_err::read_dir(folder).expect("the mirror can be listed") {
            let name = file.expect("the mirror can be listed").file_name();
            let name = name.into_string().expect("Alpine's names are ASCII");
            if let Some(label) = name.strip_suffix(".apk") {
                // The version is what is behind the second dash from the end.
                let (rest, _) = label.rsplit_once('-').expect("a package has a release");
                let (name, _) = rest.rsplit_once('-').expect("a package has a version");
                packages.push(name.to_owned());
            }
        }
        packages.sort();
        packages
    }
}

#[test]
fn every_package_and_random_sets_are_what_apk_leaves_scripts_and_all() {
    let test = "every_package_and_random_sets_are_what_apk_leaves_scripts_and_all";
    let Some(field) = Field::open(test) else {
        return;
    };
    let packages = field.packages();
    let complete = std::env::var_os("PREBAKE_DIFFERENTIAL").is_some();
    let alone: Vec<Vec<&str>> = packages
        .iter()
        .enumerate()
        .filter(|(at, name)| complete || at % QUICK == 0 || ALWAYS.contains(&name.as_str()))
        .map(|(_, name)| vec![name.as_str()])
        .collect();
    let Some(came) = field.check_all(&alone) else {
        return;
    };
    let installable: Vec<&str> = alone
        .iter()
        .zip(&came)
        .filter(|(_, came)| matches!(came, Came::Same(_)))
        .map(|(world, _)| world[0])
        .collect();
    if complete {
        assert_eq!(installable.len(), INSTALLABLE);
    }
    // Those whose scripts do something, and nobody else's.
    let with_effect: BTreeSet<&str> = alone
        .iter()
        .zip(&came)
        .filter(|(_, came)| matches!(came, Came::Same(1..)))
        .map(|(world, _)| world[0])
        .collect();
    assert!(with_effect.contains("dhcpcd"), "{with_effect:?}");
    assert!(with_effect.contains("git"), "{with_effect:?}");
    assert!(!with_effect.contains("jq"), "{with_effect:?}");

    // Any sets will do, if they are the same ones every time.
    let mut state: u64 = 4;
    let mut below = |bound: usize| -> usize {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).expect("it has 31 bits") % bound
    };
    let count = if complete { SETS } else { SETS / QUICK };
    let sets: Vec<Vec<&str>> = (0..count)
        .map(|_| {
            let size = 2 + below(7);
            let mut set: Vec<_> = (0..size)
                .map(|_| installable[below(installable.len())])
                .collect();
            set.sort_unstable();
            set.dedup();
            set
        })
        .collect();
    let Some(came) = field.check_all(&sets) else {
        return;
    };
    let same = came.iter().filter(|came| matches!(came, Came::Same(_)));
    // Some want what others forbid.
    assert!(same.count() > count * 9 / 10);
}

/// Returns a `shadow` without the days of the last change.
fn dayless(text: &str) -> String {
    let line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        if let Some(day) = fields.get_mut(2) {
            *day = "";
        }
        fields.join(":") + "\n"
    };
    text.lines().map(line).collect()
}

/// Returns the paths that differ, with both sides.
fn differences(ours: &Dump, theirs: &Dump) -> String {
    let paths: BTreeSet<&String> = ours.0.keys().chain(theirs.0.keys()).collect();
    let differing = paths
        .into_iter()
        .filter(|path| ours.0.get(*path) != theirs.0.get(*path));
    let lines = differing.map(|path| {
        format!(
            "{path}\n  ours   {:?}\n  theirs {:?}\n",
            ours.0.get(path),
            theirs.0.get(path)
        )
    });
    lines.take(20).collect()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}
