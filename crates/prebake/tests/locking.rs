//! How a lock comes to be, stays, and moves on, over mirrors that change.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use prebake::arch::Arch;
use prebake::lock::Lock;
use prebake::recipe::Recipe;
use prebake::{
    BuildOptions, Cancel, Context, Error, ErrorKind, HostOptions, LockState, Progress, Reporter,
    Silent, Stage, Upgrade, build, check_lock, update_lock,
};
use prebake_apk::digest::Sha256;
use prebake_apk::gzip;
use prebake_apk::index::Index;
use prebake_apk::tar;
use prebake_apk::version::Dialect;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::http::{Fault, Server};
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;
use tempfile::TempDir;

/// A mirror in a folder that is made over and over, and a recipe beside it.
struct Kitchen {
    folder: TempDir,
}

impl Kitchen {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes the mirror anew with these packages (name, version, dependencies).
    fn mirror(&self, packages: &[(&str, &str, &[&str])]) {
        let _ = fs_err::remove_dir_all(self.path("mirror"));
        let mut mirror = MirrorBuilder::new("v3.99").base(BaseBuilder::new("x86_64", "3.99.0"));
        for (name, version, depends) in packages {
            let package = PackageBuilder::new(name, version)
                .depends(depends.iter().copied())
                .file(&format!("usr/share/{name}"), version);
            mirror = mirror.package_for("main", "x86_64", package);
        }
        mirror.build_in(&self.path("mirror"));
    }

    fn recipe(&self, packages: &[&str]) -> Recipe {
        let url = format!("file://{}", self.path("mirror").display());
        let text = format!(
            "name = \"n\"\narch = \"x86_64\"\npackages = {packages:?}\nmirrors = [\"{url}\"]\n\
             [base]\nrelease = \"3.99.0\"\n\
             [[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = [\"mirror/keys/{}\"]\n",
            fs_err::read_dir(self.path("mirror/keys"))
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .file_name()
                .display()
        );
        fs_err::write(self.path("prebake.toml"), text).unwrap();
        Recipe::read(&self.path("prebake.toml")).unwrap()
    }

    fn context(&self) -> Context {
        self.context_of(Arc::new(Silent))
    }

    fn context_of(&self, reporter: Arc<dyn Reporter>) -> Context {
        Context::open(HostOptions {
            cache: Some(self.path("cache")),
            offline: false,
            threads: NonZeroUsize::MIN,
            reporter,
            cancel: Cancel::default(),
            environment: &|_| None,
        })
        .unwrap()
    }

    fn lock(&self, packages: &[&str], upgrade: &Upgrade) -> (LockState, String) {
        let locked = update_lock(&self.recipe(packages), upgrade, &self.context()).unwrap();
        let changes: Vec<_> = locked.changes.iter().map(ToString::to_string).collect();
        (locked.state, changes.join("; "))
    }
}

const OLD: &[(&str, &str, &[&str])] = &[
    ("a", "1.0-r0", &["lib"]),
    ("b", "1.0-r0", &["lib"]),
    ("lib", "1.0-r0", &[]),
    ("c", "1.0-r0", &[]),
];
const NEW: &[(&str, &str, &[&str])] = &[
    ("a", "2.0-r0", &["lib"]),
    ("b", "2.0-r0", &["lib"]),
    ("lib", "2.0-r0", &[]),
    ("c", "2.0-r0", &[]),
];

#[test]
fn a_lock_stays_until_it_is_asked_to_move() {
    let kitchen = Kitchen::new();
    kitchen.mirror(OLD);
    let first = kitchen.lock(&["a"], &Upgrade::Keep);
    assert_eq!(
        first,
        (LockState::Written, "+ lib 1.0-r0; + a 1.0-r0".to_owned())
    );
    kitchen.mirror(NEW);
    assert_eq!(
        kitchen.lock(&["a"], &Upgrade::Keep),
        (LockState::Current, String::new())
    );
    // The recipe changed, and what it did not change stays. The mirror no longer has the c that
    // the locked index names, so c is the current one.
    let added = kitchen.lock(&["a", "c"], &Upgrade::Keep);
    assert_eq!(added, (LockState::Updated, "+ c 2.0-r0".to_owned()));
    kitchen.mirror(&[("other", "1.0-r0", &[])]);
    let less = kitchen.lock(&["a"], &Upgrade::Keep);
    assert_eq!(less, (LockState::Updated, "- c 2.0-r0".to_owned()));
}

#[test]
fn upgrade_moves_everything_or_what_is_named() {
    let kitchen = Kitchen::new();
    kitchen.mirror(OLD);
    kitchen.lock(&["a", "b"], &Upgrade::Keep);
    kitchen.mirror(NEW);
    let only = kitchen.lock(&["a", "b"], &Upgrade::Only(vec!["a".to_owned()]));
    assert_eq!(
        only,
        (LockState::Updated, "~ a 1.0-r0 -> 2.0-r0".to_owned())
    );
    let all = kitchen.lock(&["a", "b"], &Upgrade::All);
    let rest = "~ lib 1.0-r0 -> 2.0-r0; ~ b 1.0-r0 -> 2.0-r0";
    assert_eq!(all, (LockState::Updated, rest.to_owned()));
    assert_eq!(
        kitchen.lock(&["a", "b"], &Upgrade::All),
        (LockState::Current, String::new())
    );
}

#[test]
fn a_changed_recipe_or_file_is_noticed() {
    let kitchen = Kitchen::new();
    kitchen.mirror(OLD);
    let kind = |result: Result<Lock, Error>| result.map_err(|error| error.kind()).map(|_| ());
    assert_eq!(
        kind(check_lock(&kitchen.recipe(&["a"]))),
        Err(ErrorKind::NotCurrent)
    );
    kitchen.lock(&["a"], &Upgrade::Keep);
    assert_eq!(kind(check_lock(&kitchen.recipe(&["a"]))), Ok(()));
    assert_eq!(
        kind(check_lock(&kitchen.recipe(&["b"]))),
        Err(ErrorKind::NotCurrent)
    );
    let path = kitchen.path("prebake.toml");
    let mut text = fs_err::read_to_string(&path).unwrap();
    text.push_str("[[file]]\npath = \"/etc/motd\"\nsource = \"motd\"\n");
    fs_err::write(kitchen.path("motd"), "one").unwrap();
    fs_err::write(&path, &text).unwrap();
    let recipe = Recipe::read(&path).unwrap();
    update_lock(&recipe, &Upgrade::Keep, &kitchen.context()).unwrap();
    assert_eq!(kind(check_lock(&recipe)), Ok(()));
    fs_err::write(kitchen.path("motd"), "two").unwrap();
    assert_eq!(kind(check_lock(&recipe)), Err(ErrorKind::NotCurrent));
    let options = BuildOptions {
        locked: true,
        arches: recipe.arches.clone(),
    };
    let built = build(&recipe, &options, &kitchen.context()).map(|_| ());
    assert_eq!(
        built.map_err(|error| error.kind()),
        Err(ErrorKind::NotCurrent)
    );
}

#[test]
fn a_lock_survives_the_name_and_the_outputs_changing() {
    let kitchen = Kitchen::new();
    kitchen.mirror(OLD);
    kitchen.lock(&["a"], &Upgrade::Keep);
    let path = kitchen.path("prebake.toml");
    let text = fs_err::read_to_string(&path)
        .unwrap()
        .replace("\"n\"", "\"other\"");
    fs_err::write(
        &path,
        format!("{text}[[output]]\npath = \"x/{{arch}}.tgz\"\n"),
    )
    .unwrap();
    let recipe = Recipe::read(&path).unwrap();
    check_lock(&recipe).unwrap();
    let options = BuildOptions {
        locked: true,
        arches: recipe.arches.clone(),
    };
    let built = build(&recipe, &options, &kitchen.context()).unwrap();
    assert_eq!(built.outputs.len(), 1);
    assert!(Path::new(&kitchen.path("x/x86_64.tgz")).is_file());
}

/// Returns the one file that the cache keeps of what it made of others: a parsed index.
fn parsed_index(kitchen: &Kitchen) -> PathBuf {
    let entries = fs_err::read_dir(kitchen.path("cache/v1/derived")).unwrap();
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 1);
    paths[0].clone()
}

/// Returns the text that is in a compressed index.
fn index_text(index: &[u8]) -> Vec<u8> {
    let mut archive = tar::Reader::new(std::io::BufReader::new(gzip::Reader::new(index)));
    let mut text = Vec::new();
    while let Some(entry) = archive.next().unwrap() {
        if entry.path.as_bytes() == b"APKINDEX" {
            archive.read_to_end(&mut text).unwrap();
        }
    }
    text
}

#[test]
fn a_parsed_index_in_the_cache_changes_no_lock() {
    let kitchen = Kitchen::new();
    kitchen.mirror(OLD);
    let lock = || {
        let _ = fs_err::remove_file(kitchen.path("prebake.lock"));
        kitchen.lock(&["a"], &Upgrade::Keep);
        fs_err::read_to_string(kitchen.path("prebake.lock")).unwrap()
    };
    let cold = lock();
    let path = parsed_index(&kitchen);
    let good = fs_err::read(&path).unwrap();
    assert_eq!(lock(), cold);
    assert_eq!(fs_err::read(&path).unwrap(), good);
    // Damaged in the middle, cut short, empty, something else: noticed and made again.
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let others = [
        &flipped[..],
        &good[..good.len() - 1],
        b"",
        b"something else",
    ];
    for other in others {
        fs_err::write(&path, other).unwrap();
        assert_eq!(lock(), cold);
        assert_eq!(fs_err::read(&path).unwrap(), good);
    }
    // Well formed, bound to the very index, and of another content: what it says of packages is
    // held against the signed index.
    let index = fs_err::read(kitchen.path("mirror/v3.99/main/x86_64/APKINDEX.tar.gz")).unwrap();
    let sha256 = Sha256::of(&index);
    let read = |dialect| Some((dialect, Index::from_parsed(good.clone(), sha256, dialect)?));
    let (dialect, (_, origin)) = read(Dialect::V2).or_else(|| read(Dialect::V3)).unwrap();
    let signed = Index::parse(index_text(&index)).unwrap();
    let stanza = |name| signed.iter().find(|one| one.name() == name).unwrap();
    let text = |name| format!("{}\n", stanza(name).text());
    let forged = format!("{}{}", text("a").replace("D:lib", "D:c"), text("c"));
    let forged = Index::parse(forged.into_bytes()).unwrap();
    fs_err::write(&path, forged.to_parsed(&origin, dialect).unwrap()).unwrap();
    assert_eq!(lock(), cold);
    assert_eq!(fs_err::read(&path).unwrap(), good);
    // One without what is asked for cannot make it seem not to be there either.
    let forged = Index::parse(text("c").into_bytes()).unwrap();
    fs_err::write(&path, forged.to_parsed(&origin, dialect).unwrap()).unwrap();
    assert_eq!(lock(), cold);
    assert_eq!(fs_err::read(&path).unwrap(), good);
}

#[test]
fn a_parsed_index_makes_no_key_trusted() {
    let kitchen = Kitchen::new();
    kitchen.mirror(OLD);
    kitchen.lock(&["a"], &Upgrade::Keep);
    parsed_index(&kitchen);
    let path = kitchen.path("prebake.toml");
    let text = fs_err::read_to_string(&path).unwrap();
    let without: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("keys"))
        .collect();
    fs_err::write(&path, without.join("\n")).unwrap();
    let recipe = Recipe::read(&path).unwrap();
    let error = update_lock(&recipe, &Upgrade::All, &kitchen.context()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let warm = format!("{error:?}");
    fs_err::remove_dir_all(kitchen.path("cache/v1/derived")).unwrap();
    let error = update_lock(&recipe, &Upgrade::All, &kitchen.context()).unwrap_err();
    assert_eq!(format!("{error:?}"), warm);
    assert!(warm.contains("UnknownKey"), "{warm}");
}

/// Whose work it was, and what was told of it.
type Told = (Option<Arch>, String);

/// Notes who was told of which files and stages.
#[derive(Clone, Default)]
struct Heard {
    of: Option<Arch>,
    all: Arc<Mutex<Vec<Told>>>,
}

impl Heard {
    fn note(&self, what: &str) {
        self.all.lock().unwrap().push((self.of, what.to_owned()));
    }
}

impl Progress for Heard {
    fn start(&self, item: usize, label: &str, _size: Option<u64>) {
        self.note(&format!("{item} {label}"));
    }
}

impl Reporter for Heard {
    fn beside(&self, arch: Arch) -> Arc<dyn Reporter> {
        let of = Some(arch);
        let all = Arc::clone(&self.all);
        Arc::new(Self { of, all })
    }

    fn stage(&self, stage: &Stage) {
        self.note(&stage.to_string());
    }
}

/// What a lock was made of is written as it is: merged once, and the same as what the lock alone
/// leads to.
#[test]
fn a_first_build_merges_once() {
    let kitchen = Kitchen::new();
    kitchen.mirror(OLD);
    kitchen.recipe(&["a", "c"]);
    let path = kitchen.path("prebake.toml");
    let outputs = "[[output]]\npath = \"o.tar.gz\"\n[[output]]\npath = \"o.tar.zst\"\n";
    let text = fs_err::read_to_string(&path).unwrap() + outputs;
    fs_err::write(&path, text).unwrap();
    let recipe = Recipe::read(&path).unwrap();
    let built = |locked| {
        let heard = Heard::default();
        let options = BuildOptions {
            locked,
            arches: recipe.arches.clone(),
        };
        let context = kitchen.context_of(Arc::new(heard.clone()));
        let built = build(&recipe, &options, &context).unwrap();
        assert!(built.outputs.iter().all(|output| output.written));
        let files = built.outputs.iter().map(|output| {
            let file = fs_err::read(&output.path).unwrap();
            fs_err::remove_file(&output.path).unwrap();
            (output.identity, file)
        });
        let files: Vec<_> = files.collect();
        let merging = Stage::Merging(Arch::X86_64).to_string();
        let heard = heard.all.lock().unwrap();
        let merges = heard.iter().filter(|(_, what)| *what == merging).count();
        (files, merges)
    };
    let (first, merges) = built(false);
    assert_eq!((first.len(), merges), (2, 1));
    fs_err::remove_dir_all(kitchen.path("cache")).unwrap();
    assert_eq!(built(true), (first.clone(), 1));
    assert_eq!(built(true), (first, 0), "put together of what is kept");
}

#[test]
fn architectures_are_locked_side_by_side() {
    let kitchen = Kitchen::new();
    let arches = [Arch::Aarch64, Arch::X86_64];
    let mirror = arches
        .iter()
        .fold(MirrorBuilder::new("v3.99"), |mirror, arch| {
            let package = PackageBuilder::new("a", "1.0-r0").file("usr/share/a", arch.name());
            mirror
                .base(BaseBuilder::new(arch.name(), "3.99.0"))
                .package_for("main", arch.name(), package)
        })
        .build_in(&kitchen.path("mirror"));
    let server = Server::start_folder(mirror.root());
    let url = server.url("");
    let recipe = |arches: &[Arch]| {
        let arches: Vec<_> = arches.iter().map(|arch| arch.name()).collect();
        let text = format!(
            "name = \"n\"\narch = {arches:?}\npackages = [\"a\"]\nmirrors = [\"{url}\"]\n\
             [base]\nrelease = \"3.99.0\"\n\
             [[repository]]\nurl = \"{url}/v3.99/main\"\nkeys = [{:?}]\n",
            mirror.key_file().display().to_string()
        );
        fs_err::write(kitchen.path("prebake.toml"), text).unwrap();
        Recipe::read(&kitchen.path("prebake.toml")).unwrap()
    };
    let lock = |arches: &[Arch], context: &Context| {
        let _ = fs_err::remove_file(kitchen.path("prebake.lock"));
        update_lock(&recipe(arches), &Upgrade::Keep, context)
    };
    // One after the other they would wait for each other until the client gives up.
    let index = |arch: Arch| format!("/v3.99/main/{arch}/APKINDEX.tar.gz");
    let [one, other] = arches.map(index);
    server.fault(&one, Fault::After(other.clone()));
    server.fault(&other, Fault::After(one));
    let heard = Heard::default();
    let context = kitchen.context_of(Arc::new(heard.clone()));
    let both = lock(&arches, &context).unwrap().lock;
    server.clear_faults();
    // It is what they have one by one, in the recipe's order.
    let alone = |arch| lock(&[arch], &kitchen.context()).unwrap().lock.rootfs;
    assert_eq!(both.rootfs, arches.map(alone).concat());
    let text = both.to_text();
    assert_eq!(lock(&arches, &context).unwrap().lock.to_text(), text);
    // What is told of one is told to its own listener, and nothing to that of all.
    let heard = heard.all.lock().unwrap().clone();
    for (of, what) in &heard {
        let arch = of.expect("the work on one architecture").name();
        let other = arches.iter().find(|other| other.name() != arch).unwrap();
        assert!(!what.contains(other.name()), "{arch} was told: {what}");
    }
    for arch in arches {
        let whole = (Some(arch), format!("0 main/{arch}/APKINDEX.tar.gz"));
        assert!(heard.contains(&whole), "{heard:?}");
    }
    // Of several errors the first architecture's is told, whichever came first.
    for arch in arches {
        server.put(&index(arch), b"no index");
    }
    for order in [arches, [Arch::X86_64, Arch::Aarch64]] {
        let error = lock(&order, &context).unwrap_err().to_string();
        assert!(error.contains(order[0].name()), "{error}");
    }
}
