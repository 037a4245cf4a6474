//! A mirror that the design's first recipe bakes from, where there is no real one: six packages
//! with the names and dependencies of Alpine's, holding stand-ins.

use crate::base::BaseBuilder;
use crate::elf::{Machine, Program};
use crate::mirror::MirrorBuilder;
use crate::package::PackageBuilder;

impl MirrorBuilder {
    /// Returns the mirror of `release` (`3.21.3`) for the architectures `arches` that offers
    /// `gcompat` and `iptables` in `main`, what they depend on, and an empty `community`.
    ///
    /// The base lists both repositories at `address` (`https://dl-cdn.alpinelinux.org/alpine`).
    pub fn first_recipe<'a>(
        release: &str,
        arches: impl IntoIterator<Item = &'a str>,
        address: &str,
    ) -> Self {
        let branch = release
            .rsplit_once('.')
            .map_or(release, |(branch, _)| branch);
        let branch = format!("v{branch}");
        let mut mirror = Self::new(&branch);
        for arch in arches {
            let mut base = BaseBuilder::new(arch, release);
            for repository in ["main", "community"] {
                base = base.repository(&format!("{address}/{branch}/{repository}"));
            }
            mirror = mirror.base(base).repository("community", arch);
            for package in packages(arch) {
                mirror = mirror.package("main", package);
            }
        }
        mirror
    }
}

fn packages(arch: &str) -> [PackageBuilder; 6] {
    let loader = match arch {
        "aarch64" => "ld-linux-aarch64.so.1",
        _ => "ld-linux-x86-64.so.2",
    };
    let hello = Program::Hello.elf(Machine::of(arch).unwrap_or(Machine::X86_64));
    let library = |name: &str, version: &str, soname: &str, number: &str| {
        let path = format!("usr/lib/{soname}.{number}");
        PackageBuilder::new(name, version)
            .provides([&*format!("so:{soname}={number}")])
            .file(&path, format!("Stands for {soname} of {name}.\n"))
            .symlink(&format!("usr/lib/{soname}"), &format!("{soname}.{number}"))
    };
    [
        library("musl-obstack", "1.2.3-r2", "libobstack.so.1", "0.0"),
        library("libucontext", "1.3.2-r0", "libucontext.so.1", "0"),
        library("libmnl", "1.0.5-r2", "libmnl.so.0", "2.0"),
        library("libnftnl", "1.2.8-r0", "libnftnl.so.11", "6.0").depends(["so:libmnl.so.0"]),
        PackageBuilder::new("gcompat", "1.1.0-r4")
            .depends(["so:libobstack.so.1", "so:libucontext.so.1"])
            .provides([&*format!("so:{loader}=0"), "libc6-compat=1.1.0-r4"])
            .replaces(["libc6-compat"])
            .program(&format!("lib/{loader}"), &hello),
        PackageBuilder::new("iptables", "1.8.11-r1")
            .depends(["so:libmnl.so.0", "so:libnftnl.so.11"])
            .provides(["cmd:iptables-legacy=1.8.11-r1", "cmd:iptables=1.8.11-r1"])
            .program("usr/sbin/xtables-legacy-multi", &hello)
            .symlink("usr/sbin/iptables-legacy", "xtables-legacy-multi")
            .symlink("usr/sbin/iptables", "xtables-legacy-multi"),
    ]
    .map(|package| package.arch(arch))
}
