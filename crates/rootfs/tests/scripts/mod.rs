//! Scripts and triggers really run, by the real apk and by ours: what both leave.
//!
//! The base is a real one, for a script needs a shell. Ours runs each script that is due in a
//! chroot on a folder that holds the tree as it is by then, and hands back what changed.

use std::path::Path;

use prebake_testkit::key::SigningKey;
use prebake_testkit::member::Member;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;

use crate::oracle::{self, bench::Bench};

const BASE: &str = "alpine/v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

/// What is installed, what is in the mirror, and what apk is told to do.
struct Case {
    name: &'static str,
    /// Whether there is no base.
    scratch: bool,
    installed: Vec<PackageBuilder>,
    mirror: Vec<PackageBuilder>,
    arguments: Vec<&'static str>,
    /// How many scripts are run.
    count: usize,
    /// What our error says; apk must fail then, and only then.
    refused: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str, count: usize) -> Self {
        Self {
            name,
            scratch: false,
            installed: Vec::new(),
            mirror: Vec::new(),
            arguments: vec!["add"],
            count,
            refused: None,
        }
    }

    fn refused(mut self, why: &'static str) -> Self {
        self.refused = Some(why);
        self
    }

    /// A package in the mirror that is added.
    fn add(mut self, package: PackageBuilder) -> Self {
        let name = package.build_signed(&[]).name().to_owned();
        self.arguments.push(name.leak());
        self.mirror.push(package);
        self
    }

    /// A package in the mirror.
    fn offer(mut self, package: PackageBuilder) -> Self {
        self.mirror.push(package);
        self
    }

    /// There is no base but the packages.
    fn without_base(mut self) -> Self {
        self.scratch = true;
        self
    }

    /// A package that is installed before, its scripts not run.
    fn has(mut self, package: PackageBuilder) -> Self {
        self.installed.push(package);
        self
    }

    fn told(mut self, arguments: &[&'static str]) -> Self {
        self.arguments = arguments.to_vec();
        self
    }

    fn check(self, shared: &Path) {
        println!("case: {}", self.name);
        let key = SigningKey::named("scripts");
        let builder = MirrorBuilder::new("v3.99").key(&key);
        let label = |package: &PackageBuilder| {
            let package = package.build_signed(&[]);
            format!("{}={}", package.name(), package.version())
        };
        let installed: Vec<_> = self.installed.iter().map(label).collect();
        let mirror = self
            .installed
            .into_iter()
            .chain(self.mirror)
            .fold(builder, |mirror, package| mirror.package("main", package))
            .build();
        let base = if self.scratch {
            Path::new("").to_owned()
        } else {
            shared.join(BASE)
        };
        let bench = Bench::with_contents(
            &base,
            "x86_64",
            &mirror.repository("main"),
            Some(&mirror.keys()),
            &installed,
        );
        match (bench.run_scripts(&self.arguments), self.refused) {
            (Ok(ran), None) => assert_eq!(ran.len(), self.count, "{}: {ran:?}", self.name),
            (Err(refusal), Some(why)) => {
                let ours = refusal.ours.map(|error| error.to_string());
                let ours = ours.unwrap_or_else(|| panic!("only apk refuses"));
                assert!(ours.contains(why), "{}: {ours}", self.name);
            }
            (ran, _) => panic!("{}: {ran:?}", self.name),
        }
    }
}

/// Checks all, and says of all which do not hold.
fn check(cases: Vec<Case>) {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let failed = |case: Case| {
        let name = case.name;
        let checked = std::panic::catch_unwind(|| case.check(&shared));
        checked.is_err().then_some(name)
    };
    let failed: Vec<_> = cases.into_iter().filter_map(failed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

fn p(name: &str) -> PackageBuilder {
    PackageBuilder::new(name, "1-r0")
}

fn newer(name: &str) -> PackageBuilder {
    PackageBuilder::new(name, "2-r0")
}

fn dir(path: &str, mode: u32) -> Member {
    Member::directory(path).mode(mode)
}

/// A script that does `line`.
fn sh(line: &str) -> String {
    format!("#!/bin/sh\n{line}\n")
}

/// A script that notes how it is called and what it sees, in a file that is compared.
fn noting() -> String {
    sh("{
            echo \"== $0 $(echo \"$@\" | tr ' ' '\\n' | sort | tr '\\n' ' ')\"
            env | grep -v -e ^PWD= -e ^SHLVL= | sort
            pwd; umask; id; readlink /proc/self/fd/0
            grep SigIgn /proc/self/status
            ls -lan /lib/apk/exec | sed 's/.* //' 
            ls -ln /opt /opt/* | sed 's/ [A-Z].* / /;s/^total.*//'
            sha1sum /lib/apk/db/* /etc/apk/world /etc/passwd /etc/group
        } >> /noted 2>&1; exit 0")
}

const KINDS: [&str; 7] = [
    "pre-install",
    "post-install",
    "pre-upgrade",
    "post-upgrade",
    "pre-deinstall",
    "post-deinstall",
    "trigger",
];

/// A package with all scripts, which note what they see.
fn noted(package: PackageBuilder) -> PackageBuilder {
    let add = |package: PackageBuilder, kind: &&str| package.script(kind, &noting());
    let package = KINDS.iter().fold(package, add);
    package.triggers(["/opt/*", "/usr/share", "/opt"])
}

#[test]
fn what_scripts_see() {
    let a = || p("a").file("opt/a/f", "A").file("opt/both/a", "A");
    let b = || p("b").file("opt/b/f", "B").file("opt/both/b", "B");
    check(vec![
        Case::new("two that come", 6)
            .add(noted(a()))
            .add(noted(b().depends(["a"]))),
        Case::new("a version that comes, and what was there watches", 4)
            .has(noted(a()))
            .has(noted(b()))
            .offer(noted(newer("a").file("opt/new/f", "A")))
            .told(&["add", "a=2-r0"]),
        Case::new("an older version", 4)
            .has(noted(newer("a").file("opt/new/f", "A")))
            .has(noted(b()))
            .offer(noted(a()))
            .told(&["add", "a=1-r0"]),
        Case::new("one that goes", 3)
            .has(noted(a()))
            .has(noted(b()))
            .told(&["del", "a"]),
        Case::new("one goes, others come", 9)
            .has(noted(a()))
            .has(noted(b()))
            .offer(noted(p("c").file("opt/c/f", "C")))
            .offer(noted(p("d").file("opt/d/f", "D")))
            .told(&["add", "!a", "c", "d"]),
        Case::new("a size of 0 hides them", 0).add(noted(p("a").installed_size(0))),
        Case::new("no files", 3).add(noted(p("a"))),
    ]);
}

#[test]
fn what_triggers_are_told() {
    let watch = |name: &str, patterns: &[&str]| {
        p(name)
            .script("trigger", &noting())
            .triggers(patterns.iter().copied())
    };
    let all = ["/", "/*", "/opt/*", "/opt/*/*", "/a"];
    check(vec![
        Case::new("a new one of all there is", 1).add(watch("a", &all)),
        Case::new("of what came", 1)
            .has(watch("w", &all))
            .add(p("a").file("opt/a/f", "A")),
        Case::new("of a file in the root", 1)
            .has(watch("w", &["/"]))
            .add(p("a").file("top", "A")),
        Case::new("not of a package without files", 0)
            .has(watch("w", &["/"]))
            .add(p("a").script("trigger", &noting())),
        Case::new("of what went away", 1)
            .has(watch("w", &["/opt/*"]))
            .has(p("a").file("opt/a/f", "A"))
            .told(&["del", "a"]),
        Case::new("of a file that left the root", 1)
            .has(watch("w", &["/"]))
            .has(p("a").file("top", "A"))
            .told(&["del", "a"]),
        Case::new("a pattern is absolute and has no slash behind it", 0)
            .add(watch("a", &["/opt/", "opt", "/opt/x", "/opt/a/"]).file("opt/a/f", "A")),
        Case::new("once for two patterns", 1).add(watch("a", &["/opt", "/o*", "/opt"])),
        Case::new("without a script none is run", 0)
            .add(p("a").file("opt/a/f", "A").triggers(["/opt"])),
        Case::new("of a directory without the one above it", 1)
            .has(watch("w", &["/opt", "/opt/*", "/usr", "/usr/*"]))
            .add(
                p("a")
                    .without_parents()
                    .directory("opt/x")
                    .file("opt/x/f", ""),
            ),
        Case::new("not of what scripts make", 2).add(
            watch("a", &["/opt", "/opt/*", "/srv/*"])
                .file("opt/a/f", "A")
                .script("post-install", &sh("mkdir /opt/mine /srv/mine")),
        ),
    ]);
}

#[test]
fn directories_and_scripts() {
    let opt = |name: &str, mode| {
        p(name)
            .member(dir("opt/d", mode))
            .file(&format!("opt/d/{name}"), "")
    };
    check(vec![
        Case::new("before they are settled", 3)
            .add(opt("a", 0o2775).script("post-install", &noting()))
            .add(
                opt("b", 0o2751)
                    .script("post-install", &noting())
                    .depends(["a"]),
            )
            .add(
                p("c")
                    .member(dir("opt/o", 0o1750).ids(5, 6))
                    .file("opt/o/f", "")
                    .script("post-install", &noting()),
            ),
        Case::new("a script's chmod does not last", 2)
            .add(opt("a", 0o750).script("post-install", &sh("chmod 701 /opt/d; chown 5:6 /opt/d")))
            .add(
                opt("b", 0o711)
                    .script("post-install", &noting())
                    .depends(["a"]),
            ),
        Case::new("a trigger's does", 2)
            .add(
                opt("a", 0o750)
                    .script("trigger", &sh("chmod 701 /opt/d; chown 5:6 /opt/d"))
                    .triggers(["/opt/d"]),
            )
            .add(
                opt("b", 0o711)
                    .script("trigger", &noting())
                    .triggers(["/opt/d"]),
            ),
        Case::new("of a package that was there before", 2)
            .has(opt("a", 0o750))
            .add(
                p("b")
                    .file("opt/b", "")
                    .script("post-install", &sh("chmod 701 /opt/d; chown 5:6 /opt/d")),
            )
            .add(
                opt("c", 0o711)
                    .script("post-install", &noting())
                    .depends(["b"]),
            ),
        Case::new("made before its package came", 2)
            .add(opt("a", 0o750).script("pre-install", &sh("mkdir -m 731 /opt/d")))
            .add(
                opt("b", 0o700)
                    .script("post-install", &noting())
                    .depends(["a"]),
            ),
        Case::new("removed and made again", 2)
            .add(opt("a", 0o750).script("post-install", &sh("rm -r /opt/d; mkdir -m 703 /opt/d")))
            .add(
                opt("b", 0o711)
                    .script("post-install", &noting())
                    .depends(["a"]),
            ),
        Case::new("removed", 2)
            .add(opt("a", 0o750).script("post-install", &sh("rm -r /opt/d")))
            .add(
                opt("b", 0o711)
                    .script("post-install", &noting())
                    .depends(["a"]),
            )
            .refused("cannot be used"),
        Case::new("removed before a package comes into it", 1)
            .has(opt("a", 0o700))
            .add(opt("b", 0o750).script("pre-install", &sh("rm -r /opt/d"))),
    ]);
}

#[test]
fn names_and_scripts() {
    let owned = |name: &str| {
        p(name).member(
            Member::file(format!("opt/{name}"), "x")
                .ids(5, 6)
                .owner("new", "newg"),
        )
    };
    let user = sh("addgroup -g 777 -S newg; adduser -u 778 -S -D -H -G newg new; exit 0");
    check(vec![
        Case::new("its own files", 1)
            .add(owned("a").script("pre-install", &user))
            .add(owned("b").depends(["a"])),
        Case::new("a name that was looked up before", 2)
            .add(owned("a").script("post-install", &user))
            .add(owned("b").depends(["a"]))
            .add(owned("c").depends(["b"]).script(
                "pre-install",
                &sh(
                    "sed -i 's/:778:777:/:878:877:/' /etc/passwd; sed -i s/:777:/:877:/ /etc/group",
                ),
            ))
            .add(owned("d").depends(["c"])),
    ]);
}

#[test]
fn files_and_scripts() {
    let conf = |name: &str, text: &str| p(name).file("etc/f", text);
    check(vec![
        Case::new("a file in the way of a protected one", 1)
            .add(conf("a", "A").script("pre-install", &sh("echo mine > /etc/f"))),
        Case::new("the same content in the way", 1).add(
            conf("a", "A\n")
                .script("pre-install", &sh("echo A > /etc/f; chmod 600 /etc/f")),
        ),
        Case::new("a file in the way of another", 1)
            .add(p("a").file("opt/f", "A").script("pre-install", &sh("echo mine > /opt/f"))),
        Case::new("a link in the way of a directory", 1).add(
            p("a")
                .file("opt/d/f", "A")
                .script("pre-install", &sh("mkdir /srv/d; ln -s ../srv/d /opt/d")),
        ),
        Case::new("its protected file, then a package that replaces it", 1)
            .add(conf("a", "A").script("post-install", &sh("echo mine > /etc/f")))
            .add(conf("b", "B").replaces(["a"]).depends(["a"])),
        Case::new("its protected file before the new one comes", 1)
            .has(conf("a", "A"))
            .offer(
                newer("a")
                    .file("etc/f", "B")
                    .script("pre-upgrade", &sh("echo mine > /etc/f")),
            )
            .told(&["add", "a=2-r0"]),
        Case::new("a new rule of what is protected comes too late", 1)
            .add(p("a").script(
                "pre-install",
                &sh("echo +opt > /etc/apk/protected_paths.d/a.list; echo mine > /opt/f"),
            ))
            .add(p("b").file("opt/f", "B").depends(["a"])),
        Case::new("what a later package brings", 1)
            .add(p("a").script("post-install", &sh("echo mine > /opt/f; mkdir /opt/g; echo x > /opt/g/x")))
            .add(p("b").file("opt/f", "B").file("opt/g/f", "B").depends(["a"])),
        Case::new("what an earlier package brought", 1)
            .add(p("a").file("opt/f", "A").hardlink("opt/g", "opt/f").file("opt/h", "H"))
            .add(p("b").depends(["a"]).script(
                "post-install",
                &sh("echo more >> /opt/g; mv /opt/h /opt/i; ln /opt/i /opt/j; ln -s i /opt/k; mkfifo /opt/l"),
            )),
        Case::new("hard links are parted and joined", 1)
            .has(p("a").file("opt/f", "A").hardlink("opt/g", "opt/f").file("opt/h", "A"))
            .add(p("b").script(
                "post-install",
                &sh("cp -p /opt/g /opt/x; mv /opt/x /opt/g; ln -f /opt/f /opt/h"),
            )),
        Case::new("what goes afterwards", 2)
            .has(
                p("a")
                    .file("opt/a/f", "A")
                    .file("etc/a", "A")
                    .file("opt/a/g", "A")
                    .script("pre-deinstall", &sh("echo mine > /etc/a; rm /opt/a/f; echo mine > /opt/a/mine"))
                    .script("post-deinstall", &sh("ls -d /opt/a /opt/a/* > /noted; rm -r /opt/a")),
            )
            .told(&["del", "a"]),
        Case::new("set-id, owners and times", 1).add(p("a").file("opt/f", "A").script(
            "post-install",
            &sh("chown 7:8 /opt/f; chmod 6711 /opt/f; touch -d '2001-02-03 04:05:06' /opt/f"),
        )),
        Case::new("the database", 1).add(p("a").file("opt/f", "A").script(
            "post-install",
            &sh("echo x > /lib/apk/db/installed; echo y > /etc/apk/world; rm /lib/apk/db/triggers"),
        )),
    ]);
}

#[test]
fn scripts_from_nothing() {
    let Some(shared) = oracle::shared() else {
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    oracle::root::unpack(&shared.join(BASE), temp.path());
    let read = |path: &str| fs_err::read(temp.path().join(path)).unwrap();
    // What a script needs, in a package.
    let mut shell = p("shell")
        .program("bin/busybox", read("bin/busybox"))
        .program("lib/ld-musl-x86_64.so.1", read("lib/ld-musl-x86_64.so.1"))
        .symlink("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        .file("etc/group", "root:x:0:root\n");
    for name in [
        "sh", "env", "grep", "sort", "id", "ls", "sed", "sha1sum", "tr", "readlink",
    ] {
        shell = shell.symlink(&format!("bin/{name}"), "busybox");
    }
    check(vec![
        Case::new("a shell and what it runs", 4)
            .without_base()
            .add(noted(p("a").file("opt/a/f", "A").depends(["shell"])))
            .add(shell.script("post-install", &noting())),
    ]);
}
