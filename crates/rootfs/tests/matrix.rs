//! Made-up packages, a case each: what the real apk does with them and what we do.
//!
//! Where apk prints an error and ends with 1, a bake must refuse.

// The real apk is a program of Linux, and its trees are read by what Unix tells of files.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what is wrong by ending, and why it did nothing"
)]

mod oracle;
mod scripts;

use oracle::bench::Bench;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::key::SigningKey;
use prebake_testkit::member::Member;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::package::PackageBuilder;

/// What is in the base, what is in the mirror, and what apk is told to do.
struct Case {
    name: &'static str,
    base: BaseBuilder,
    mirror: Vec<PackageBuilder>,
    arguments: Vec<&'static str>,
    /// What our error says; apk must fail then, and only then.
    refused: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            base: BaseBuilder::new("x86_64", "3.99.0"),
            mirror: Vec::new(),
            arguments: vec!["add", "--no-scripts"],
            refused: None,
        }
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

    /// An installed package.
    fn has(mut self, package: PackageBuilder) -> Self {
        self.base = self.base.package(package);
        self
    }

    /// Something in the base that belongs to no package, or is not what its package made it.
    fn with(mut self, member: Member) -> Self {
        self.base = self.base.member(member);
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.with(Member::file(path, content))
    }

    fn told(mut self, arguments: &[&'static str]) -> Self {
        self.arguments = arguments.to_vec();
        self
    }

    fn upgraded(self) -> Self {
        self.told(&["upgrade", "--no-scripts"])
    }

    fn refused(mut self, why: &'static str) -> Self {
        self.refused = Some(why);
        self
    }

    fn check(self) {
        let Self {
            name,
            base,
            mirror,
            arguments,
            refused,
        } = self;
        let key = SigningKey::named("matrix");
        let builder = MirrorBuilder::new("v3.99").key(&key);
        // A repository must be there for what the base has, too.
        let mirror = mirror
            .into_iter()
            .fold(builder.repository("main", "x86_64"), |mirror, package| {
                mirror.package("main", package)
            })
            .build();
        let archive = mirror.root().join("base.tar");
        fs_err::write(&archive, base.build_tar()).unwrap();
        let keys = mirror.keys();
        let bench = Bench::new(&archive, "x86_64", &mirror.repository("main"), Some(&keys));
        if arguments.iter().any(|argument| argument.contains('@')) {
            // All that is pinned comes from the one repository under its tag.
            let line = format!("@t {}\n", mirror.repository("main").display());
            fs_err::write(bench.repositories(), line).unwrap();
        }
        println!("case: {name}");
        match (bench.run(&arguments), refused) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => panic!("{name}: apk does it"),
            (Err(refusal), None) => panic!("{name}: apk refuses: {refusal:?}"),
            (Err(refusal), Some(why)) => {
                assert!(refusal.apk.contains("ERROR: "), "{name}: {}", refusal.apk);
                let ours = refusal.ours.map(|error| error.to_string());
                let ours = ours.unwrap_or_else(|| panic!("{name}: only apk refuses"));
                assert!(ours.contains(why), "{name}: {ours}");
            }
        }
    }
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

/// Runs cases on all cores.
fn check(cases: Vec<Case>) {
    if oracle::shared().is_none() {
        return;
    }
    let cases = std::sync::Mutex::new(cases);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = cases.lock().unwrap().pop();
                    let Some(case) = next else { break };
                    case.check();
                }
            });
        }
    });
}

#[test]
fn one_file_of_two_packages() {
    let a = || p("a").file("d/f", "A");
    let b = || p("b").file("d/f", "B");
    check(vec![
        Case::new("neither replaces")
            .add(a())
            .add(b())
            .refused("belongs to a-1-r0"),
        Case::new("same content")
            .add(a())
            .add(p("b").file("d/f", "A"))
            .refused("belongs to"),
        Case::new("same origin")
            .add(a().origin("o"))
            .add(b().origin("o").file("d/g", "")),
        Case::new("the new one replaces")
            .add(a())
            .add(b().replaces(["a"])),
        Case::new("the old one replaces")
            .add(a().replaces(["b"]))
            .add(b()),
        Case::new("both replace")
            .add(a().replaces(["b"]))
            .add(b().replaces(["a"])),
        Case::new("both, the old one's priority is higher")
            .add(a().replaces(["b"]).replaces_priority(5))
            .add(b().replaces(["a"]).replaces_priority(3)),
        Case::new("both, the new one's priority is higher")
            .add(a().replaces(["b"]).replaces_priority(3))
            .add(b().replaces(["a"]).replaces_priority(5)),
        Case::new("a priority alone does nothing")
            .add(a().replaces(["b"]))
            .add(b().replaces(["z"]).replaces_priority(9)),
        Case::new("the version does not fit")
            .add(a())
            .add(b().replaces(["a>2"]))
            .refused("/d/f"),
        Case::new("the version fits")
            .add(a())
            .add(b().replaces(["a<2"])),
        Case::new("the exact version")
            .add(a())
            .add(b().replaces(["z", "a=1-r0"])),
        Case::new("a fuzzy version")
            .add(a())
            .add(b().replaces(["a~1"])),
        Case::new("a provided name")
            .add(a().provides(["v=1"]))
            .add(b().replaces(["v"]))
            .refused("/d/f"),
        Case::new("origin before priority")
            .add(a().origin("o").replaces(["b"]).replaces_priority(5))
            .add(b().origin("o")),
        Case::new("three in a row")
            .add(a())
            .add(b().replaces(["a"]))
            .add(p("c").file("d/f", "C").replaces(["b"])),
        Case::new("three, the last only of the first")
            .add(a())
            .add(b().replaces(["a"]))
            .add(p("c").file("d/f", "C").replaces(["a"]))
            .refused("belongs to b-1-r0"),
        Case::new("the base's package")
            .has(a())
            .add(b())
            .refused("belongs to a-1-r0"),
        Case::new("the base's package is replaced")
            .has(a().file("d/g", ""))
            .add(b().replaces(["a"])),
        Case::new("the base's package keeps it")
            .has(a().replaces(["b"]))
            .add(b().file("d/g", "")),
        Case::new("a file twice")
            .add(p("a").file("d/f", "1").file("d/f", "2"))
            .refused("twice"),
    ]);
}

#[test]
fn modes_of_directories() {
    let a = |mode| p("a").member(dir("d", mode)).file("d/a", "");
    let b = |mode| p("b").member(dir("d", mode)).file("d/b", "");
    let owned = |name, uid, gid, mode| {
        p(name)
            .member(dir("d", mode).ids(uid, gid))
            .file(&format!("d/{name}"), "")
    };
    check(vec![
        Case::new("both bits").add(a(0o750)).add(b(0o711)),
        Case::new("both bits, the other way")
            .add(a(0o711))
            .add(b(0o750)),
        Case::new("the usual and less").add(a(0o755)).add(b(0o700)),
        Case::new("sticky and set-id").add(a(0o1777)).add(b(0o2755)),
        Case::new("the lowest owner")
            .add(owned("a", 5, 7, 0o750))
            .add(owned("b", 3, 9, 0o711))
            .add(owned("c", 3, 8, 0o777)),
        Case::new("joins a package's").has(a(0o750)).add(b(0o711)),
        Case::new("joins a package's that somebody changed")
            .has(a(0o750))
            .with(dir("d", 0o770))
            .add(b(0o755)),
        Case::new("nobody's directory stays")
            .with(dir("d", 0o700).ids(9, 9))
            .add(a(0o755)),
        Case::new("nobody's directory, twice")
            .with(dir("d", 0o755))
            .add(a(0o755))
            .add(b(0o711)),
        Case::new("twice in a package").add(
            p("a")
                .member(dir("d", 0o750))
                .file("d/a", "")
                .member(dir("d", 0o700)),
        ),
        Case::new("one leaves")
            .has(a(0o750))
            .has(b(0o711))
            .told(&["del", "--no-scripts", "b"]),
        Case::new("an upgrade changes it")
            .has(a(0o750))
            .offer(newer("a").member(dir("d", 0o711)).file("d/a", ""))
            .upgraded(),
        Case::new("an upgrade does not change what somebody changed")
            .has(a(0o750))
            .with(dir("d", 0o770))
            .offer(newer("a").member(dir("d", 0o711)).file("d/a", ""))
            .upgraded(),
        Case::new("extended attributes are noted and not set")
            .add(p("a").member(dir("d", 0o755).xattr("user.z", "1"))),
        Case::new("the root's own").add(p("a").file("top", "t").file("d/x", "")),
    ]);
}

#[test]
fn kinds_over_kinds() {
    let link = |path, target: &str| Member::symlink(path, target);
    check(vec![
        Case::new("a file over an empty directory")
            .with(dir("d/f", 0o755))
            .add(p("a").file("d/f", ""))
            .refused("where a directory is"),
        Case::new("a file over a package's directory")
            .add(p("a").file("d/f/x", ""))
            .add(p("b").file("d/f", ""))
            .refused("where a directory is"),
        Case::new("a link over a directory")
            .add(p("a").file("q/x", ""))
            .add(p("b").symlink("q", "usr"))
            .refused("where a directory is"),
        Case::new("a directory over a file, with a file in it")
            .file("d/f", "")
            .add(p("a").file("d/f/x", ""))
            .refused("cannot be used"),
        Case::new("an empty directory over a file")
            .file("d/f", "")
            .add(p("a").member(dir("d/f", 0o700))),
        Case::new("an empty directory over a package's file")
            .add(p("a").file("d/f", ""))
            .add(p("b").member(dir("d/f", 0o700))),
        Case::new("over what nobody owns")
            .file("d/f", "base")
            .file("d/l", "base")
            .with(link("d/g", "base"))
            .file("d/c", "base")
            .add(
                p("a")
                    .file("d/f", "A")
                    .symlink("d/l", "A")
                    .file("d/g", "A")
                    .member(Member::char_device("d/c", 1, 3).mode(0o666)),
            ),
        Case::new("through a link")
            .with(dir("usr/lib64", 0o711))
            .with(link("lib64", "usr/lib64"))
            .add(p("a").file("lib64/x", "")),
        Case::new("through two links")
            .with(link("q", "r"))
            .with(link("r", "usr/../usr/lib"))
            .add(p("a").file("q/s/x", "")),
        Case::new("through a link that leads nowhere")
            .with(link("q", "usr/nowhere"))
            .add(p("a").file("q/x", ""))
            .refused("cannot be used"),
        Case::new("through a link to itself")
            .with(link("q", "q"))
            .add(p("a").file("q/x", ""))
            .refused("cannot be used"),
        Case::new("an empty directory over a link that leads nowhere")
            .with(link("q", "usr/nowhere"))
            .add(p("a").directory("q")),
        Case::new("through a package's link")
            .add(p("a").directory("usr/lib").symlink("q", "usr/lib"))
            .add(p("b").file("q/x", "")),
        Case::new("one file by two ways")
            .add(p("a").directory("usr/lib").symlink("q", "usr/lib"))
            .add(p("b").file("usr/lib/x", "B"))
            .add(p("c").file("q/x", "C")),
        Case::new("a link and a directory in one package")
            .add(
                p("a")
                    .directory("usr/lib")
                    .symlink("q", "usr/lib")
                    .file("q/x", ""),
            )
            .refused("where a directory is"),
        Case::new("no directory")
            .add(p("a").without_parents().file("d/f", ""))
            .refused("without the directory"),
        Case::new("no directory, though the base has one")
            .add(p("a").without_parents().file("usr/f", ""))
            .refused("without the directory"),
        Case::new("a directory without the one above, which the base has").add(
            p("a")
                .without_parents()
                .directory("usr/x")
                .file("usr/x/f", ""),
        ),
        Case::new("a directory without the one above")
            .add(p("a").without_parents().directory("x/y").file("x/y/f", ""))
            .refused("cannot be used"),
    ]);
}

#[test]
fn kinds_and_owners() {
    let hard = |path, target: &str, mode| Member::hardlink(path, target).mode(mode);
    let f = |mode| Member::file("d/f", "x").mode(mode);
    check(vec![
        Case::new("every kind").add(
            p("a")
                .member(Member::char_device("d/c", 1, 3).mode(0o4666))
                .member(Member::block_device("d/b", 7, 300).mode(0o660).ids(0, 6))
                .member(Member::fifo("d/p").mode(0o7777))
                .symlink("d/l", &"x".repeat(300))
                .member(Member::symlink("d/m", "y").mode(0o644))
                .program("d/x", "x")
                .file("d/empty", "")
                .member(Member::file("d/old", "x").mtime(1)),
        ),
        Case::new("set-id and sticky").add(
            p("a")
                .member(Member::file("d/u", "x").mode(0o4755))
                .member(Member::file("d/g", "x").mode(0o2745).ids(1, 2))
                .member(Member::file("d/t", "x").mode(0o1644)),
        ),
        Case::new("extended attributes").add(
            p("a")
                .member(
                    Member::file("d/f", "x")
                        .xattr("user.b", "2")
                        .xattr("user.a", [0, 255]),
                )
                .member(Member::file("d/g", "x").xattr("user.empty", "")),
        ),
        Case::new("owners by name").add(
            p("a")
                .member(dir("d", 0o755).ids(5, 6).owner("root", "nobody"))
                .member(Member::file("d/f", "x").ids(5, 6).owner("nobody", "nobody"))
                .member(Member::file("d/g", "x").ids(5, 6).owner("unknown", "root"))
                .member(
                    Member::symlink("d/l", "x")
                        .ids(5, 6)
                        .owner("nobody", "unknown"),
                )
                .member(Member::fifo("d/p").ids(5, 6).owner("", "")),
        ),
        Case::new("names of a package that came in the same run")
            .has(p("a").file("etc/other", ""))
            .add(
                p("b")
                    .file("etc/passwd", "root:x:0:0::/:/bin/sh\nnew:x:77:78::/:\n")
                    .replaces(["alpine-baselayout"]),
            )
            .add(p("c").member(Member::file("d/f", "x").ids(5, 6).owner("new", "new"))),
        Case::new("two lines of one name")
            .file(
                "etc/passwd",
                "root:x:0:0::/:\nq:x:7:7::\nbad\nq:x:8:8::/:/\nq:x:9:9::/:/\n#q:x:9:\n",
            )
            .add(p("a").member(Member::file("d/f", "x").ids(5, 6).owner("q", "root"))),
        Case::new("hard links").add(
            p("a")
                .member(f(0o644))
                .hardlink("d/g", "d/f")
                .directory("e")
                .hardlink("e/h", "d/g"),
        ),
        Case::new("a hard link sets the owner").add(
            p("a")
                .member(f(0o4755).ids(5, 6).xattr("user.a", "1"))
                .member(hard("d/g", "d/f", 0o600).ids(1, 2).mtime(7)),
        ),
        Case::new("a hard link of the same mode")
            .add(p("a").member(f(0o4755)).member(hard("d/g", "d/f", 0o4755))),
        Case::new("a hard link of another mode").add(
            p("a")
                .member(f(0o4755))
                .member(hard("d/g", "d/f", 0o2711).xattr("user.q", "1")),
        ),
        Case::new("a hard link adds a bit")
            .add(p("a").member(f(0o755)).member(hard("d/g", "d/f", 0o4711))),
        Case::new("the group's bit stays where it locks")
            .add(p("a").member(f(0o2745)).member(hard("d/g", "d/f", 0o711))),
        Case::new("a hard link before its file")
            .add(p("a").hardlink("d/g", "d/f").file("d/f", ""))
            .refused("no file before it"),
        Case::new("a hard link to a symbolic one")
            .add(p("a").symlink("d/f", "x").hardlink("d/g", "d/f"))
            .refused("no file before it"),
        Case::new("a hard link to what another keeps")
            .add(p("a").file("d/f", "A").replaces(["b"]))
            .add(p("b").file("d/f", "B").hardlink("d/g", "d/f"))
            .refused("no file before it"),
        Case::new("a hard link whose first name is taken")
            .add(p("a").file("d/f", "A").hardlink("d/g", "d/f"))
            .add(p("b").file("d/f", "B").replaces(["a"])),
        Case::new("names with dots").add(
            p("a")
                .file(".top", "")
                .file(".d/x", "")
                .file("d/.x", "")
                .file("d/.keep", "")
                .file("d/.keep_y", "")
                .file("d/.keep_d/z", ""),
        ),
        Case::new("strange names").add(
            p("a")
                .file("d/ \\\"'*", "x")
                .file("d/\u{e9}", "x")
                .symlink("d/\u{20ac}", "\u{20ac}"),
        ),
    ]);
}

#[test]
fn protected_paths() {
    let a = || p("a").file("etc/f", "A");
    let link = |path, target: &str| Member::symlink(path, target);
    check(vec![
        Case::new("another content")
            .with(Member::file("etc/f", "base").mode(0o600))
            .add(a()),
        Case::new("the same content")
            .with(Member::file("etc/f", "A").mode(0o600).mtime(5))
            .add(p("a").member(Member::file("etc/f", "A").mode(0o640))),
        Case::new("over a link").with(link("etc/f", "x")).add(a()),
        Case::new("a link over a file")
            .file("etc/f", "base")
            .add(p("a").symlink("etc/f", "A")),
        Case::new("a link over the same")
            .with(link("etc/f", "A").mtime(5))
            .add(p("a").symlink("etc/f", "A")),
        Case::new("a link over another")
            .with(link("etc/f", "B"))
            .add(p("a").symlink("etc/f", "A")),
        Case::new("an older .apk-new")
            .file("etc/f", "base")
            .file("etc/f.apk-new", "old")
            .add(a()),
        Case::new("etc/init.d and etc/apk")
            .file("etc/init.d/f", "base")
            .with(link("etc/init.d/g", "base"))
            .file("etc/apk/f", "base")
            .add(
                p("a")
                    .file("etc/init.d/f", "A")
                    .symlink("etc/init.d/g", "A")
                    .file("etc/apk/f", "A"),
            ),
        Case::new("two packages")
            .file("etc/f", "base")
            .add(a())
            .add(p("b").file("etc/f", "B").replaces(["a"])),
        Case::new("unchanged, and replaced by another")
            .has(a())
            .add(p("b").file("etc/f", "B").replaces(["a"])),
        Case::new("changed, and replaced by another")
            .has(a())
            .file("etc/f", "mine")
            .add(p("b").file("etc/f", "B").replaces(["a"])),
        Case::new("hard links, one put aside")
            .file("etc/f", "base")
            .add(a().hardlink("etc/g", "etc/f")),
        Case::new("hard links, one kept")
            .with(Member::file("etc/f", "A").mtime(5))
            .add(a().hardlink("etc/g", "etc/f")),
        Case::new("upgrade: unchanged")
            .has(a().file("etc/gone", "A").file("etc/same", "S"))
            .offer(
                newer("a")
                    .file("etc/f", "A2")
                    .member(Member::file("etc/same", "S").mtime(9)),
            )
            .upgraded(),
        Case::new("upgrade: changed")
            .has(a().file("etc/gone", "A").file("etc/same", "A"))
            .file("etc/f", "mine")
            .file("etc/gone", "mine")
            .file("etc/same", "A2")
            .offer(newer("a").file("etc/f", "A2").file("etc/same", "A2"))
            .upgraded(),
        Case::new("upgrade: changed, and nothing new")
            .has(a())
            .file("etc/f", "mine")
            .offer(newer("a").file("etc/f", "A"))
            .upgraded(),
        Case::new("a list of the base's")
            .file(
                "etc/apk/protected_paths.d/z.list",
                "# mine\n+d\n-d/e\n-etc/q\n+s/?/[a-c]*\n+d/e/g\n",
            )
            .file("etc/apk/protected_paths.d/z.conf", "-d\n")
            .file("d/f", "base")
            .file("d/e/g", "base")
            .file("d/h/i", "base")
            .file("etc/q/r", "base")
            .file("etc/s", "base")
            .file("s/1/ax/f", "base")
            .file("s/1/dx/f", "base")
            .add(
                p("a")
                    .file("d/f", "A")
                    .file("d/e/g", "A")
                    .file("d/h/i", "A")
                    .file("etc/q/r", "A")
                    .file("etc/s", "A")
                    .file("s/1/ax/f", "A")
                    .file("s/1/dx/f", "A"),
            ),
    ]);
}

#[test]
fn packages_that_go() {
    let old = || {
        p("a")
            .file("d/f", "A")
            .file("d/old", "O")
            .file("d/e/x", "")
            .file("d/keep/y", "")
            .script("post-install", "#!/bin/sh\n")
            .script("trigger", "#!/bin/sh\n")
            .triggers(["/d", "/usr/*"])
    };
    check(vec![
        Case::new("upgrade")
            .has(old())
            .file("d/keep/mine", "u")
            .offer(newer("a").file("d/f", "A2").file("d/new", "N"))
            .upgraded(),
        Case::new("upgrade of the middle one, with triggers")
            .has(
                p("a")
                    .directory("d")
                    .script("trigger", "1")
                    .triggers(["/d"]),
            )
            .has(
                p("b")
                    .directory("d")
                    .script("trigger", "1")
                    .triggers(["/d"]),
            )
            .has(
                p("c")
                    .directory("d")
                    .script("trigger", "1")
                    .triggers(["/d"]),
            )
            .offer(
                newer("b")
                    .directory("d")
                    .script("trigger", "2")
                    .triggers(["/d", "/e"]),
            )
            .upgraded(),
        Case::new("upgrade: changed, not protected")
            .has(old())
            .file("d/f", "mine")
            .file("d/old", "mine")
            .offer(newer("a").file("d/f", "A2"))
            .upgraded(),
        Case::new("upgrade: somebody removed it")
            .has(p("a").directory("d"))
            .offer(newer("a").file("d/f", "A2"))
            .upgraded(),
        Case::new("upgrade: a file becomes a directory")
            .has(p("a").file("d/f", ""))
            .offer(newer("a").file("d/f/x", ""))
            .upgraded()
            .refused("cannot be used"),
        Case::new("upgrade: a directory becomes a file")
            .has(p("a").file("d/f/x", ""))
            .offer(newer("a").file("d/f", ""))
            .upgraded()
            .refused("where a directory is"),
        Case::new("upgrade: a directory becomes a link")
            .has(p("a").file("lib0/x", ""))
            .offer(newer("a").file("usr/lib/x", "").symlink("lib0", "usr/lib"))
            .upgraded()
            .refused("where a directory is"),
        Case::new("upgrade: a file moves to another package")
            .has(p("a").file("d/f", "A").file("d/g", "A"))
            .has(p("z").file("e/x", ""))
            .offer(newer("a").file("d/g", "A2"))
            .offer(
                newer("z")
                    .file("e/x", "")
                    .file("d/f", "Z2")
                    .replaces(["a<2"]),
            )
            .upgraded(),
        Case::new("upgrade: hard links go")
            .has(p("a").file("d/f", "A").hardlink("d/g", "d/f"))
            .offer(newer("a").file("d/f", "A2"))
            .upgraded(),
        Case::new("removal")
            .has(
                old()
                    .file("etc/f", "A")
                    .file("etc/m", "A")
                    .symlink("d/l", "f"),
            )
            .has(p("b").file("d/q", ""))
            .file("d/keep/mine", "u")
            .file("etc/m", "mine")
            .told(&["del", "--no-scripts", "a"]),
        Case::new("removal: changed, not protected")
            .has(p("a").file("d/f", "A"))
            .file("d/f", "mine")
            .told(&["del", "--no-scripts", "a"]),
        Case::new("removal: directories of the base's")
            .with(dir("x", 0o755))
            .has(p("a").without_parents().directory("x/y").file("x/y/f", ""))
            .told(&["del", "--no-scripts", "a"]),
        Case::new("one goes, one comes")
            .has(p("a").file("d/f", "A").file("d/e/g", ""))
            .offer(p("b").file("d/f", "B"))
            .told(&["add", "--no-scripts", "!a", "b"]),
    ]);
}

#[test]
fn the_database() {
    check(vec![
        Case::new("every field").add(
            p("a")
                .directory("d")
                .description("")
                .origin("o")
                .maintainer("Me <x@example.invalid>")
                .commit("abc")
                .provider_priority(9)
                .replaces_priority(7)
                .provides(["v=1", "cmd:a=1"])
                .replaces(["q", "r>1"])
                .install_if(["alpine-baselayout", "foo"]),
        ),
        Case::new("every script, in apk's order").add(
            p("a")
                .directory("d")
                .script("trigger", "1")
                .script("post-upgrade", "2")
                .script("pre-upgrade", "3")
                .script("post-deinstall", "4")
                .script("pre-deinstall", "5")
                .script("post-install", "6")
                .script("pre-install", "7")
                .triggers(["/usr/*", "/d"]),
        ),
        Case::new("names that differ in case and sign")
            .add(p("a").directory("d"))
            .add(p("A").directory("d"))
            .add(p("a-b").directory("d"))
            .add(p("a.b").directory("d"))
            .add(p("Ab").directory("d"))
            .add(p("ab").directory("d"))
            .add(p("a1").directory("d"))
            .add(p("aC").directory("d")),
        Case::new("no directory, but replaces")
            .add(
                p("a")
                    .replaces(["x"])
                    .replaces_priority(3)
                    .script("post-install", "1"),
            )
            .add(p("b").replaces(["y"]))
            .add(p("c").directory("d")),
        Case::new("a repository's tag")
            .offer(p("a").directory("d").depends(["b"]))
            .offer(p("b").directory("d"))
            .offer(p("c").replaces(["x"]))
            .offer(p("e").directory("d"))
            .told(&["add", "--no-scripts", "a@t", "c@t", "e@t"]),
        Case::new("a size of 0 hides all").add(
            p("a")
                .file("d/f", "x")
                .replaces(["x"])
                .script("trigger", "1")
                .triggers(["/d"])
                .installed_size(0),
        ),
        Case::new("a long name").add(
            PackageBuilder::new(&"a".repeat(120), "1-r0")
                .directory("d")
                .script("post-install", "1"),
        ),
        Case::new("files of one directory apart").add(
            p("a")
                .file("d/b", "")
                .file("e/x", "")
                .file("d/a", "")
                .file("top", "")
                .file("d/c", ""),
        ),
    ]);
}
