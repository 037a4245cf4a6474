//! Scripts run in real bases: what is said to change nothing changes nothing, what never ends is
//! stopped, and no day is told from another.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prebake_apk::entry::Entry;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_apk::{gzip, tar};
use prebake_fetch::Cancel;
use prebake_fetch::{Cache, Silent};
use prebake_launch::sandbox::{Found, Kind, Limits, Node, SandboxError, Stamp};
use prebake_rootfs::merge::Call;
use prebake_rootfs::{Merge, SourceId, Tree};
use prebake_testkit::judge;
use prebake_testkit::shared::real_mirror;

use super::error::ScriptError;
use super::needless::is_needless;
use super::observe::Observer;
use super::record::{Made, Recorded, What};
use super::recorder::Recorder;
use crate::arch::Arch;
use crate::blobs::Blobs;

const V3_19: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";
const V3_20: &str = "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz";

/// Where busybox's trigger lies among the scripts of the base.
const SCRIPTS: &str = "lib/apk/db/scripts.tar";

/// The directories that busybox's trigger watches and every package has something in.
const WATCHED: [&str; 4] = ["/bin", "/usr/bin", "/sbin", "/usr/sbin"];

/// A real base, read, and where its contents are.
struct Base {
    tree: Tree,
    blobs: Blobs,
    _cache: tempfile::TempDir,
}

fn at(path: &str) -> GuestPath {
    GuestPath::from_relative(path.as_bytes()).unwrap()
}

/// Returns a base of the real mirror where there are namespaces to run scripts in.
fn base_file(test: &str, name: &str) -> Option<PathBuf> {
    judge::any_owner(test).then_some(())?;
    Some(real_mirror(test)?.join(name))
}

impl Base {
    /// Reads a base of which `change` keeps what it says, changed as it does.
    fn read(file: &std::path::Path, change: impl Fn(&mut Entry) -> bool) -> Self {
        let bytes = fs_err::read(file).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let mut blobs = Blobs::new(Arc::new(Silent));
        let blob = Cache::open(cache.path().to_owned()).put(&bytes).unwrap();
        blobs.add(SourceId::BASE, blob, None);
        let mut archive = tar::Reader::new(gzip::Reader::new(bytes.as_slice()));
        let mut merge = Merge::new(0);
        while let Some(mut entry) = archive.next().unwrap() {
            let content = crate::scan::content_alone(&entry, &mut archive).unwrap();
            if change(&mut entry) {
                merge.base_entry(entry, content).unwrap();
            }
        }
        merge.base_done().unwrap();
        Self {
            tree: merge.into_tree(),
            blobs,
            _cache: cache,
        }
    }

    /// Returns the text of busybox's trigger.
    fn trigger(&self) -> Vec<u8> {
        let scripts = self.tree.inline(&at(SCRIPTS)).unwrap();
        let mut archive = tar::Reader::new(scripts);
        while let Some(entry) = archive.next().unwrap() {
            let name = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
            if name.starts_with("busybox-1") && name.ends_with(".trigger") {
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut archive, &mut text).unwrap();
                return text;
            }
        }
        panic!("busybox has no trigger");
    }

    /// Runs a script as a package's.
    fn run(
        &mut self,
        recorder: &mut Recorder,
        text: &[u8],
        arguments: &[Vec<u8>],
    ) -> Result<Vec<Recorded>, ScriptError> {
        let call = Call {
            name: b"app".to_vec(),
            package: "app-1-r0".to_owned(),
            kind: ScriptKind::Trigger,
            bytes: text.into(),
            path: at("tmp/app-1-r0.trigger"),
            arguments: arguments.to_vec(),
            environment: vec![(
                "PATH".to_owned(),
                "/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            )],
        };
        recorder.run(&call, &self.tree, &mut self.blobs, 1_000_000_000)
    }
}

fn arguments(directories: &[&str]) -> Vec<Vec<u8>> {
    let bytes = directories.iter().map(|text| text.as_bytes().to_vec());
    bytes.collect()
}

#[test]
fn what_is_called_needless_changes_nothing() {
    let test = "what_is_called_needless_changes_nothing";
    for name in [V3_19, V3_20] {
        let Some(file) = base_file(test, name) else {
            return;
        };
        let mut base = Base::read(&file, |_| true);
        let trigger = base.trigger();
        let watched = arguments(&WATCHED);
        assert!(is_needless(&trigger, &watched, &base.tree), "{name}");
        let mut recorder = Recorder::new(Arch::X86_64, Cancel::default());
        let changes = base.run(&mut recorder, &trigger, &watched).unwrap();
        assert_eq!(changes, [], "{name}");

        // A kernel's modules, and another script.
        let modules = arguments(&["/bin", "/lib/modules/6.6.1-0-lts"]);
        assert!(!is_needless(&trigger, &modules, &base.tree), "{name}");
        let mut longer = trigger.clone();
        longer.extend_from_slice(b"\n");
        assert!(!is_needless(&longer, &watched, &base.tree), "{name}");
    }
}

#[test]
fn what_might_change_something_is_not_called_needless() {
    let test = "what_might_change_something_is_not_called_needless";
    let Some(file) = base_file(test, V3_19) else {
        return;
    };
    let watched = arguments(&WATCHED);
    // One link of an applet is missing, and the trigger makes it.
    for applet in ["bin/cat", "usr/bin/wc", "usr/sbin/chroot", "sbin/lsmod"] {
        let mut base = Base::read(&file, |entry| entry.path != at(applet));
        let trigger = base.trigger();
        assert!(!is_needless(&trigger, &watched, &base.tree), "{applet}");
        let mut recorder = Recorder::new(Arch::X86_64, Cancel::default());
        let changes = base.run(&mut recorder, &trigger, &watched).unwrap();
        let [change] = &changes[..] else {
            panic!("{applet}: {changes:?}")
        };
        assert_eq!(change.path, at(applet));
        assert!(
            matches!(&change.what, What::Made(Made::Symlink(to), _) if to == b"/bin/busybox"),
            "{change:?}"
        );
    }
    // Programs that the trigger calls for links of their own, and a base without the list.
    for (from, to) in [
        ("etc/motd", "bin/bbsuid"),
        ("etc/motd", "bin/busybox-extras"),
        ("etc/busybox-paths.d/busybox", "etc/busybox-paths.d/other"),
    ] {
        let base = Base::read(&file, |entry| {
            if entry.path == at(from) {
                entry.path = at(to);
            }
            true
        });
        assert!(base.tree.get(&at(to)).is_some());
        let trigger = base.trigger();
        assert!(!is_needless(&trigger, &watched, &base.tree), "{to}");
    }
}

#[test]
fn what_never_ends_is_stopped_and_says_what_it_wrote() {
    let test = "what_never_ends_is_stopped_and_says_what_it_wrote";
    let Some(file) = base_file(test, V3_19) else {
        return;
    };
    let mut base = Base::read(&file, |_| true);
    let mut recorder = Recorder::within(
        Arch::X86_64,
        Limits {
            time: Duration::from_secs(1),
            ..Limits::default()
        },
        Cancel::default(),
    );
    let script = b"#!/bin/sh\necho working; sleep 98764\n";
    let error = base.run(&mut recorder, script, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it did not run to its end; it wrote:\n  working"
    );
    let ScriptError::Stopped(source @ SandboxError::TimedOut { .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(source.to_string(), "still running after 1 seconds");
    // The next one finds nothing of it.
    let script = b"#!/bin/sh\necho next > /srv/next\n";
    let changes = base.run(&mut recorder, script, &[]).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
}

#[test]
fn no_day_is_told_from_another() {
    let test = "no_day_is_told_from_another";
    let Some(file) = base_file(test, V3_19) else {
        return;
    };
    let base = Base::read(&file, |_| true);
    let before = base.tree.inline(&at("etc/shadow")).unwrap();
    let seen = |started: i64| {
        let today = started / 86_400;
        let mut text = before.to_vec();
        text.extend_from_slice(format!("app:!:{today}:0:99999:7:::\nold:!:7:0:::::\n").as_bytes());
        let found = |path: &str, kind: Kind| {
            let mtime = Stamp {
                seconds: started + 3,
                nanoseconds: 5,
            };
            let node = Node {
                kind,
                mode: 0o640,
                uid: 0,
                gid: 42,
                mtime,
                xattrs: std::collections::BTreeMap::new(),
            };
            Found::There(at(path), node)
        };
        let all = vec![
            found("etc/shadow", Kind::File(text)),
            found("srv/directory", Kind::Directory),
            found("srv/fifo", Kind::Fifo),
            found("srv/file", Kind::File(b"new".to_vec())),
            found("srv/link", Kind::Symlink(b"nowhere".to_vec())),
        ];
        let observer = Observer::new(&base.tree, 1_000_000_000, started);
        observer.observe(all).unwrap()
    };
    let first = seen(1_700_000_000);
    // Another second, the next day, and years later.
    for later in [1, 86_400, 300_000_000] {
        assert_eq!(seen(1_700_000_000 + later), first);
    }
    let What::Made(Made::Appended(text), _) = &first[0].what else {
        panic!("{:?}", first[0])
    };
    // The epoch's day, and the one that was not today.
    assert_eq!(
        String::from_utf8_lossy(text),
        "app:!:11574:0:99999:7:::\nold:!:7:0:::::\n"
    );
}
