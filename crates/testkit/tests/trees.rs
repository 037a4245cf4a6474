//! A tarball, what GNU tar unpacks from it and what Python reads in it are the same tree.

use std::io::Read as _;

use prebake_apk::entry::EntryKind;
use prebake_apk::tar::Reader;
use prebake_rootfs::Merge;
use prebake_rootfs::tree::FileContent;
use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::judge;
use prebake_testkit::member::Member;
use prebake_testkit::mirror::MirrorBuilder;
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::shared::real_mirror;
use prebake_testkit::tree::Dump;

fn members() -> Vec<Member> {
    let mut members = plain_members();
    // A namespace's root may not make devices.
    if judge::is_root() {
        members.push(Member::char_device("a/char", 300, 70_000));
    }
    members
}

fn plain_members() -> Vec<Member> {
    let long = format!("a/{}/{}", "b".repeat(90), "c".repeat(120));
    vec![
        Member::directory("a").mode(0o2755).ids(7, 8),
        Member::directory(format!("a/{}", "b".repeat(90))),
        Member::file(&long, "long"),
        Member::symlink("a/link", "x".repeat(150)),
        Member::hardlink("a/hard", &long),
        Member::file("a/sp ace\\\u{fc}", "odd").mtime(-5),
        Member::file("a/late", "late").mtime(1 << 33),
        Member::file("a/big", "big")
            .ids(30_000, 40_000)
            .mode(0o6711),
        Member::fifo("a/fifo"),
    ]
}

#[test]
fn every_reader_sees_the_same_tree() {
    let test = "every_reader_sees_the_same_tree";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive.tar.gz");
    for flavour in [Flavour::Posix, Flavour::Abuild, Flavour::Gnu] {
        let mut members = members();
        if flavour != Flavour::Gnu {
            members.push(Member::file("a/x", "x").xattr("user.two", b"\0\xff=\n"));
        }
        let archive = Archive::of(flavour, &members).padded();
        fs_err::write(&file, gzip(&archive)).unwrap();
        let Some(told) = Dump::of_tarball(test, &file) else {
            return;
        };
        assert_eq!(told.0.len(), members.len());
        if flavour == Flavour::Abuild {
            // GNU tar has a word about each of apk's own records.
            continue;
        }
        let Some(unpacked) = Dump::of_unpacked(test, &file) else {
            return;
        };
        // The root has no member of its own here.
        told.assert_same(&unpacked.only(|path| path != "/"));
    }
}

#[test]
fn a_dump_shows_each_difference() {
    let test = "a_dump_shows_each_difference";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archive.tar");
    let dump = |member: Member| {
        let members = [Member::file("g", ""), member, Member::file("h", "")];
        fs_err::write(&file, Archive::of(Flavour::Posix, &members).padded()).unwrap();
        Dump::of_tarball(test, &file)
    };
    let plain = || Member::file("f", "content");
    let Some(first) = dump(plain()) else {
        return;
    };
    first.assert_same(&dump(plain()).unwrap());
    for other in [
        Member::file("f", "Content"),
        Member::file("f", "content and more"),
        plain().mode(0o600),
        plain().ids(1, 0),
        plain().ids(0, 1),
        plain().mtime(1),
        plain().xattr("user.x", "1"),
        Member::hardlink("f", "g"),
        Member::symlink("f", "content"),
        Member::directory("f"),
        Member::file("other", "content"),
    ] {
        assert!(
            !first.differences(&dump(other.clone()).unwrap()).is_empty(),
            "{other:?}"
        );
    }
}

#[test]
fn a_base_is_for_any_reader() {
    let test = "a_base_is_for_any_reader";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("base.tar.gz");
    for arch in ["x86_64", "aarch64"] {
        let links = PackageBuilder::new("links", "1-r0")
            .program("usr/bin/second", "a program")
            .hardlink("bin/first", "usr/bin/second")
            .hardlink("usr/bin/third", "usr/bin/second");
        let base = BaseBuilder::new(arch, "3.99.0").package(links);
        fs_err::write(&file, base.build()).unwrap();
        let path = file.to_string_lossy();
        if let Some(gzip) = judge::gzip(test) {
            gzip.run(["-t", &path]).expect_success();
        }
        if let Some(bsdtar) = judge::bsdtar(test) {
            bsdtar.run(["-tf", &path]).expect_success();
        }
        if let Some(busybox) = judge::busybox(test) {
            let listed = busybox.run(["tar", "tzf", &path]).expect_success().stdout;
            assert!(listed.contains("./lib/apk/db/installed\n"), "{listed}");
        }
        let (Some(told), Some(unpacked)) = (
            Dump::of_tarball(test, &file),
            Dump::of_unpacked(test, &file),
        ) else {
            return;
        };
        told.assert_same(&unpacked);
        assert_eq!(told.at("/etc/shadow").mode, 0o640);
        for name in ["/bin/first", "/usr/bin/second", "/usr/bin/third"] {
            assert_eq!(told.at(name).same_as, "/bin/first");
        }
    }
}

#[test]
fn the_official_bases_are_read_alike() {
    let test = "the_official_bases_are_read_alike";
    let Some(mirror) = real_mirror(test) else {
        return;
    };
    for base in [
        "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz",
        "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz",
    ] {
        let base = mirror.join(base);
        let (Some(told), Some(unpacked)) = (
            Dump::of_tarball(test, &base),
            Dump::of_unpacked(test, &base),
        ) else {
            return;
        };
        assert!(told.0.len() > 400, "{base:?} holds {} paths", told.0.len());
        told.assert_same(&unpacked);
    }
}

#[test]
fn a_tree_in_memory_is_dumped_as_its_tarball() {
    let test = "a_tree_in_memory_is_dumped_as_its_tarball";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("base.tar");
    let mut base = BaseBuilder::new("x86_64", "3.99.0")
        .member(Member::hardlink("bin/hello2", "bin/hello"))
        .member(Member::symlink("bin/sp ace", "\u{fc} \\"));
    for member in members() {
        base = base.member(member);
    }
    let tar = base.build_tar();
    fs_err::write(&file, &tar).unwrap();
    let Some(told) = Dump::of_tarball(test, &file) else {
        return;
    };
    let mut merge = Merge::new(0);
    let mut reader = Reader::new(&tar[..]);
    while let Some(entry) = reader.next().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let file = (entry.kind == EntryKind::File).then(|| FileContent::inline(content));
        merge.base_entry(entry, file).unwrap();
    }
    Dump::of_tree(merge.tree()).assert_same(&told);
}

#[test]
fn the_first_recipes_mirror_serves_real_apk() {
    let test = "the_first_recipes_mirror_serves_real_apk";
    let address = "https://dl-cdn.alpinelinux.org/alpine";
    let mirror = MirrorBuilder::first_recipe("3.21.3", ["x86_64", "aarch64"], address).build();
    for arch in ["x86_64", "aarch64"] {
        let Some(oracle) = Oracle::on_base(test, &mirror.base("3.21.3", arch)) else {
            return;
        };
        let add = Add::new(["gcompat", "iptables"])
            .repository(mirror.repository("main").display())
            .repository(mirror.repository("community").display())
            .arch(arch);
        let outcome = oracle.add(&add).expect_success();
        assert_eq!(outcome.installed().len(), 6, "{outcome:?}");
        assert_eq!(oracle.audit().stdout, "");
    }
}

#[test]
fn the_same_is_made_on_every_run() {
    let base = BaseBuilder::new("x86_64", "3.99.0");
    assert_eq!(base.build(), base.build());
}
