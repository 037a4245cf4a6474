//! Makes base tarballs that look like an official minirootfs: `./` before every name, GNU tar's
//! own format, apk's database, keys and repositories inside.

use std::collections::BTreeMap;

use crate::archive::{Archive, Flavour, gzip};
use crate::database::Database;
use crate::elf::{Machine, Program};
use crate::key::SigningKey;
use crate::member::Member;
use crate::package::{Package, PackageBuilder, with_parents};

/// A base to be made.
#[derive(Clone, Debug)]
pub struct BaseBuilder {
    arch: String,
    release: String,
    apk_version: String,
    repositories: Vec<String>,
    keys: Vec<SigningKey>,
    world: Vec<String>,
    packages: Vec<PackageBuilder>,
    members: Vec<Member>,
}

impl BaseBuilder {
    /// The version of apk-tools that a base says it holds, unless told: the oracle's.
    pub const APK_VERSION: &'static str = "2.14.4-r1";

    /// Returns a base for `arch` that says it is Alpine `release` (`3.99.0`).
    ///
    /// Its installed packages are `alpine-baselayout` (directories, `passwd`, `group`),
    /// `apk-tools` (whose version tells apk's dialect; its program only says its name) and
    /// `testkit-base` (the programs of [`Program`] in `/bin`), and these are its world.
    pub fn new(arch: &str, release: &str) -> Self {
        Self {
            arch: arch.to_owned(),
            release: release.to_owned(),
            apk_version: Self::APK_VERSION.to_owned(),
            repositories: Vec::new(),
            keys: Vec::new(),
            world: Vec::new(),
            packages: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Sets the version of the installed `apk-tools`: `2.14.4-r1`, `3.0.6-r0` …
    #[must_use]
    pub fn apk_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.apk_version);
        self
    }

    /// Adds a line to `etc/apk/repositories`.
    #[must_use]
    pub fn repository(mut self, line: &str) -> Self {
        self.repositories.push(line.to_owned());
        self
    }

    /// Adds a public key below `etc/apk/keys`.
    #[must_use]
    pub fn key(mut self, key: &SigningKey) -> Self {
        self.keys.push(key.clone());
        self
    }

    /// Adds an installed package, and a dependency on its name to the world.
    #[must_use]
    pub fn package(mut self, package: PackageBuilder) -> Self {
        self.world.push(package.name.clone());
        self.packages.push(package);
        self
    }

    /// Adds an installed package that the world does not ask for.
    #[must_use]
    pub fn dependency(mut self, package: PackageBuilder) -> Self {
        self.packages.push(package);
        self
    }

    /// Adds a member that no package owns; its name gets the `./`.
    #[must_use]
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }

    /// Returns the architecture.
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// Returns the release: `3.99.0`.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Returns the name of its file in a mirror.
    pub fn file_name(&self) -> String {
        format!("alpine-minirootfs-{}-{}.tar.gz", self.release, self.arch)
    }

    /// Returns the tarball, `.tar.gz`.
    pub fn build(&self) -> Vec<u8> {
        gzip(&self.build_tar())
    }

    /// Returns the tarball uncompressed.
    pub fn build_tar(&self) -> Vec<u8> {
        // Alpine signs what it installs; the signature leaves no trace in an installed database.
        let packages: Vec<Package> = self
            .all_packages()
            .iter()
            .map(|package| package.build_signed(&[]))
            .collect();
        let mut members = vec![Member::directory(".")];
        for package in &packages {
            for member in package.members() {
                let known = |other: &Member| member.flag == b'5' && other.name == member.name;
                if !members.iter().any(known) {
                    members.push(member.clone());
                }
            }
        }
        members.extend(self.apk_files(&packages));
        members.extend(self.members.iter().cloned());
        let mut archive = Archive::new(Flavour::Gnu);
        for mut member in by_directory(with_parents(&members)) {
            // The official ones hold numbers only.
            member.user.clear();
            member.group.clear();
            if member.name == b"." {
                member.name = b"./".to_vec();
            } else {
                member.name.splice(0..0, *b"./");
            }
            if member.flag == b'1' {
                member.link.splice(0..0, *b"./");
            }
            archive.push(&member);
        }
        archive.padded()
    }

    fn all_packages(&self) -> Vec<PackageBuilder> {
        let mut packages = vec![
            self.baselayout(),
            PackageBuilder::new("apk-tools", &self.apk_version)
                .description("Says that this base is apk's, and of which version")
                .provides(["cmd:apk=2.14.4-r1"])
                .program("sbin/apk", Program::Hello.elf(self.machine())),
            self.programs(),
        ];
        packages.extend(self.packages.iter().cloned());
        for package in &mut packages {
            package.arch.clone_from(&self.arch);
        }
        // As apk 2.14 writes its database.
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        packages
    }

    fn baselayout(&self) -> PackageBuilder {
        let branch = self
            .release
            .rsplit_once('.')
            .map_or("", |(branch, _)| branch);
        let os_release = format!(
            "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID={}\nPRETTY_NAME=\"Alpine Linux v{branch}\"\n",
            self.release
        );
        let mut package = PackageBuilder::new("alpine-baselayout", "3.6.5-r0")
            .description("The directories of a root filesystem");
        for name in [
            "dev",
            "etc",
            "etc/apk",
            "etc/apk/keys",
            "home",
            "media",
            "mnt",
            "opt",
            "run",
            "srv",
            "sys",
            "usr",
            "usr/bin",
            "usr/lib",
            "usr/sbin",
            "usr/share",
            "var",
            "var/cache",
            "var/cache/apk",
            "var/cache/misc",
            "var/lib",
            "var/log",
        ] {
            package = package.directory(name);
        }
        package
            .member(Member::directory("proc").mode(0o555))
            .member(Member::directory("root").mode(0o700))
            .member(Member::directory("tmp").mode(0o1777))
            .member(Member::directory("var/tmp").mode(0o1777))
            .file("etc/alpine-release", format!("{}\n", self.release))
            .file("etc/os-release", os_release)
            .file("etc/passwd", PASSWD)
            .file("etc/group", GROUP)
            .member(
                Member::file("etc/shadow", "root:*::0:::::\n")
                    .mode(0o640)
                    .ids(0, 42),
            )
            .file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    }

    fn programs(&self) -> PackageBuilder {
        let mut package = PackageBuilder::new("testkit-base", "1.0-r0")
            .description("Small programs made by hand, so that something can be run")
            .depends(["alpine-baselayout"]);
        for program in Program::ALL {
            let path = format!("bin/{}", program.name());
            package = package.program(&path, program.elf(self.machine()));
        }
        package
    }

    fn machine(&self) -> Machine {
        // What is neither runs nowhere that the tests do; x86_64 programs stand in for its own.
        Machine::of(&self.arch).unwrap_or(Machine::X86_64)
    }

    /// Returns what apk itself keeps: its configuration and its database.
    fn apk_files(&self, packages: &[Package]) -> Vec<Member> {
        let mut world: Vec<&str> = vec!["alpine-baselayout", "apk-tools", "testkit-base"];
        world.extend(self.world.iter().map(String::as_str));
        world.sort_unstable();
        let lines = |lines: &[&str]| {
            lines
                .iter()
                .fold(String::new(), |text, line| text + line + "\n")
        };
        let repositories: Vec<&str> = self.repositories.iter().map(String::as_str).collect();
        let database = Database::of(packages);
        let mut members = vec![
            Member::file("etc/apk/arch", lines(&[&self.arch])),
            Member::file("etc/apk/repositories", lines(&repositories)),
            Member::file("etc/apk/world", lines(&world)),
            Member::directory("etc/apk/protected_paths.d"),
        ];
        for key in &self.keys {
            let path = format!("etc/apk/keys/{}", key.file_name());
            members.push(Member::file(path, key.public_pem()));
        }
        members.extend([
            Member::directory("lib/apk/db"),
            Member::file("lib/apk/db/installed", database.installed),
            Member::file("lib/apk/db/scripts.tar", database.scripts),
            Member::file("lib/apk/db/lock", "").mode(0o600),
            Member::file("lib/apk/db/triggers", database.triggers),
            Member::directory("lib/apk/exec"),
        ]);
        members
    }
}

/// Returns `members` as a walk through the finished tree meets them, which is how the official
/// ones are made: what lies in a directory right behind it. A file comes under the first of its
/// names that is met.
fn by_directory(members: Vec<Member>) -> Vec<Member> {
    let mut children: BTreeMap<Vec<u8>, Vec<Member>> = BTreeMap::new();
    for member in members {
        let name = member.name.as_slice();
        let parent = match name.iter().rposition(|byte| *byte == b'/') {
            Some(at) => name[..at].to_vec(),
            None if name == b"." => Vec::new(),
            None => b".".to_vec(),
        };
        children.entry(parent).or_default().push(member);
    }
    let mut pending = children.remove(&b""[..]).unwrap_or_default();
    let mut walked: Vec<Member> = Vec::new();
    while let Some(member) = pending.pop() {
        let inside = children.remove(&member.name).unwrap_or_default();
        pending.extend(inside.into_iter().rev());
        walked.push(member);
    }
    for at in 0..walked.len() {
        let target = walked[at].link.clone();
        let later = |other: &Member| other.name == target;
        if walked[at].flag != b'1' || !walked[at..].iter().any(later) {
            continue;
        }
        let first = walked[at].name.clone();
        for other in &mut walked[at + 1..] {
            if other.flag == b'1' && other.link == target {
                other.link.clone_from(&first);
            }
        }
        if let Some(other) = walked[at + 1..].iter_mut().find(|other| later(other)) {
            let link = Member::hardlink(&target, &first);
            let file = std::mem::replace(other, link);
            walked[at] = Member {
                name: first,
                ..file
            };
        }
    }
    walked
}

/// The users of a base: Alpine's first few, with its numbers.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
mail:x:8:12:mail:/var/mail:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
";

/// The groups of a base: Alpine's first few, with its numbers.
const GROUP: &str = "root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
tty:x:5:
disk:x:6:root
mail:x:12:
wheel:x:10:root
shadow:x:42:
nobody:x:65534:
";
