//! Packages with a good signature, or vouched for by an index with one, and the same beside the
//! recipe.

use prebake_apk::digest::Sha256;
use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::member::{Checksum, Member};
use prebake_testkit::package::{Package, PackageBuilder};
use prebake_testkit::stanza::index_text;

use crate::larder::{Larder, TOOL, tool, with_control, with_data};

/// Returns the package with that for its data: all of its digests are right.
fn of_data(larder: &Larder, data: Vec<u8>) -> Package {
    let builder = tool().claimed_datahash(&Sha256::of(&data).to_string());
    with_data(builder.build(&larder.key), data)
}

/// Returns the package with these entries behind its honest ones.
fn with(larder: &Larder, members: &[Member]) -> Package {
    let mut archive = Archive::of(
        Flavour::Abuild,
        &[
            Member::directory("usr"),
            Member::directory("usr/bin"),
            Member::file("usr/bin/tool", "#!/bin/sh\n"),
        ],
    );
    for member in members {
        archive.push(member);
    }
    of_data(larder, gzip(&archive.padded()))
}

#[test]
fn entries_that_lead_astray_are_refused_by_name() {
    let larder = Larder::new();
    let sha1 = prebake_apk::digest::Sha1::of(b"other");
    let pax = |key: &str, value: &str| Member::file("usr/bin/f", "x").pax(key, value);
    let cases: &[(&[Member], &[&str])] = &[
        (
            &[Member::file("../evil", "x")],
            &["the name `../evil`", "has a `..` part"],
        ),
        (&[Member::file("usr/../../evil", "x")], &["has a `..` part"]),
        (&[Member::file("/usr/bin/evil", "x")], &["is absolute"]),
        (
            &[Member::file("usr/bin/e\nvil", "x")],
            &["`usr/bin/e\\nvil`", "control character"],
        ),
        (
            &[Member::file(b"usr/bin/\xe9", "x")],
            &[
                "`tool-1.0-r0`",
                "`usr/bin/\\xe9` is not UTF-8",
                "unusual = [\"tool\"]",
            ],
        ),
        (
            &[Member::char_device("usr/bin/mem", 1, 1)],
            &[
                "`tool-1.0-r0` brings /usr/bin/mem",
                "the character device 1:1",
                "unusual = [\"tool\"]",
            ],
        ),
        (
            &[Member::block_device("usr/bin/disk", 8, 0)],
            &["`tool-1.0-r0` brings /usr/bin/disk", "the block device 8:0"],
        ),
        (
            &[Member::hardlink("usr/bin/h", "usr/bin/none")],
            &["tool-1.0-r0 has the hard link /usr/bin/h to /usr/bin/none"],
        ),
        (
            &[Member::hardlink("usr/bin/h", "usr/bin")],
            &["tool-1.0-r0 has the hard link /usr/bin/h to /usr/bin"],
        ),
        (
            &[Member::hardlink("usr/bin/h", "../../etc/shadow")],
            &["has a `..` part"],
        ),
        // A file of the base is none of the package's.
        (
            &[Member::hardlink("usr/bin/h", "etc/shadow")],
            &["the hard link /usr/bin/h to /etc/shadow"],
        ),
        (
            &[
                Member::symlink("usr/out", "/"),
                Member::file("usr/out/evil", "x"),
            ],
            &["tool-1.0-r0 brings /usr/out/evil without the directory"],
        ),
        (
            &[
                Member::symlink("usr/out", "/nowhere"),
                Member::directory("usr/out"),
                Member::file("usr/out/evil", "x"),
            ],
            &["tool-1.0-r0", "/usr/out"],
        ),
        (
            &[Member::file("usr/bin/tool", "other")],
            &["tool-1.0-r0 brings /usr/bin/tool twice"],
        ),
        (
            &[Member::file("usr/bin", "other")],
            &["tool-1.0-r0", "/usr/bin", "directory"],
        ),
        (
            &[Member::file("usr/bin/f", "x").checksum(Checksum::Missing)],
            &["`tool-1.0-r0`", "/usr/bin/f in the package has no checksum"],
        ),
        (
            &[Member::file("usr/bin/f", "x").checksum(Checksum::Claimed(sha1))],
            &["/usr/bin/f", "has the SHA-1"],
        ),
        (
            &[Member::new(b'S', "usr/bin/s", 0o644)],
            &["sparse files", "`usr/bin/s`"],
        ),
        (&[pax("GNU.sparse.major", "1")], &["sparse files"]),
        (
            &[pax("path", "one").pax("path", "two")],
            &["`path` stands there twice"],
        ),
        (
            &[pax("size", "600")],
            &["the header says 1 bytes and its pax record 600"],
        ),
        (
            &[Member::file("usr/bin/huge", "").claimed_size(10 << 30)],
            &["10737418240 bytes, more than 8589934592", "`usr/bin/huge`"],
        ),
    ];
    for (members, words) in cases {
        let package = with(&larder, members);
        larder.serve(std::slice::from_ref(&package));
        larder.start_from(&larder.base().build(), "");
        larder.refuses(words);
        // The very same file beside the recipe, by its digest.
        let path = "dist/tool.apk";
        larder.kitchen.write(path, package.bytes());
        let sha256 = Sha256::of(&package.bytes());
        let recipe = fs_err::read_to_string(larder.kitchen.path("prebake.toml")).unwrap();
        let local = format!("{{ path = \"./{path}\", sha256 = \"{sha256}\" }}");
        larder.kitchen.write(
            "prebake.toml",
            recipe.replace(&format!("\"{TOOL}\""), &local),
        );
        larder.refuses(words);
    }
}

#[test]
fn an_allowed_package_may_bring_its_devices_and_names() {
    let larder = Larder::new();
    larder.serve(&[with(
        &larder,
        &[
            Member::char_device("usr/bin/mem", 1, 1),
            Member::file(b"usr/bin/\xe9", "x"),
        ],
    )]);
    larder.refuses(&["usr/bin/mem"]);
    larder.start_from(&larder.base().build(), "unusual = [\"other\"]");
    larder.refuses(&["usr/bin/mem"]);
    larder.start_from(&larder.base().build(), "unusual = [\"tool\"]");
    larder.kitchen.run(&["build"]).expect(0);
    // The lock does not say so: the recipe does, at every build.
    larder.start_from(&larder.base().build(), "");
    larder.kitchen.run(&["build"]).expect(3);
}

#[test]
fn control_data_that_says_two_things_is_refused() {
    let larder = Larder::new();
    let honest = tool().build(&larder.key);
    let inflated = {
        let mut text = Vec::new();
        let mut reader = prebake_apk::gzip::Reader::new(&honest.control[..]);
        std::io::Read::read_to_end(&mut reader, &mut text).unwrap();
        text
    };
    let info = Archive::of(Flavour::Posix, [&Member::file(".PKGINFO", "pkgname = a\n")]).cut();
    let script = Archive::of(Flavour::Posix, [&Member::file(".trigger", "x")]).cut();
    let link = Archive::of(
        Flavour::Posix,
        [&Member::symlink(".PKGINFO", "/etc/passwd")],
    )
    .cut();
    let out = Archive::of(Flavour::Posix, [&Member::file("../evil", "x")]).cut();
    let device = Archive::of(Flavour::Posix, [&Member::char_device(".trigger", 1, 1)]).cut();
    let cases: &[(Vec<u8>, &str)] = &[
        ([&inflated[..], &info].concat(), "holds `/.PKGINFO` twice"),
        (
            [&inflated[..], &script, &script].concat(),
            "holds `/.trigger` twice",
        ),
        (
            [&link[..], &inflated].concat(),
            "`/.PKGINFO` in the package's control data is not a file",
        ),
        (
            [&inflated[..], &device].concat(),
            "`/.trigger` in the package's control data is not a file",
        ),
        ([&inflated[..], &out].concat(), "has a `..` part"),
        (inflated[..700].to_vec(), "truncated"),
        (vec![0; 2048], "holds no .PKGINFO"),
    ];
    for (control, words) in cases {
        let package = with_control(honest.clone(), gzip(control));
        larder.serve(&[package]);
        larder.refuses(&["`tool-1.0-r0`", words]);
    }
    // Another name and version than the index's.
    let other = PackageBuilder::new("other", "1.0-r0").build(&larder.key);
    let package = with_control(honest.clone(), other.control);
    larder.serve(&[package]);
    larder.refuses(&["tool-1.0-r0.apk", "other"]);
    // More members behind the data, and junk.
    for more in [gzip(b""), b"junk".to_vec(), vec![0; 1024]] {
        let package = with_data(honest.clone(), [&honest.data[..], &more].concat());
        larder.serve(&[package]);
        larder.refuses(&["`tool-1.0-r0`", "bytes behind the package's data"]);
    }
    larder.serve(&[honest]);
    larder.kitchen.run(&["build"]).expect(0);
}

#[test]
fn indexes_that_lead_astray_are_refused() {
    let larder = Larder::new();
    let honest = tool().build(&larder.key);
    let text = index_text([&honest]);
    let cases: &[(String, &str)] = &[
        (text.replace("V:", "V"), "is not of the form `X:value`"),
        (text.replace("P:tool\n", ""), "has no `P:` line"),
        (text.replace("C:Q1", "C:Q9"), "which is not an apk checksum"),
        // A name that would lead to another file, on the mirror and in the rootfs.
        (text.replace("P:tool\n", "P:tool\np:../../../evil\n"), ""),
    ];
    for (text, words) in cases {
        larder.serve_index(text);
        if words.is_empty() {
            larder.kitchen.run(&["build"]).expect(0);
        } else {
            larder.refuses(&["APKINDEX.tar.gz", words]);
        }
    }
}
