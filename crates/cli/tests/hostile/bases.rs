//! Bases: pinned by the recipe, so that what is in them is all that can be wrong.

use prebake_testkit::archive::{Archive, Flavour, gzip};
use prebake_testkit::member::Member;

use crate::larder::Larder;

/// Returns a base of these entries behind a few honest ones.
pub(crate) fn base(members: &[Member]) -> Vec<u8> {
    let mut archive = Archive::of(
        Flavour::Gnu,
        &[
            Member::directory("etc"),
            Member::file("etc/motd", "hello\n"),
            Member::directory("dev"),
            Member::char_device("dev/null", 1, 3),
        ],
    );
    for member in members {
        archive.push(member);
    }
    gzip(&archive.padded())
}

#[test]
fn entries_that_lead_astray_are_refused_by_name() {
    let larder = Larder::new();
    let link = Member::symlink;
    let cases: &[(&[Member], &[&str])] = &[
        (
            &[Member::file("../evil", "x")],
            &["the name `../evil`", "has a `..` part"],
        ),
        (&[Member::file("etc/../../evil", "x")], &["has a `..` part"]),
        (
            &[Member::file("/etc/evil", "x")],
            &["the name `/etc/evil`", "is absolute"],
        ),
        (
            &[Member::file("etc/\u{1b}[2Jevil", "x")],
            &["the name `etc/\\u{1b}[2Jevil`", "control character"],
        ),
        (
            &[Member::file("etc/..\\..\\evil", "x")],
            &["which Windows takes for a `/`"],
        ),
        (
            &[Member::file(b"etc/\xff\xfe", "x")],
            &[
                "base.tar.gz",
                "`etc/\\xff\\xfe` is not UTF-8",
                "unusual = [\"base\"]",
            ],
        ),
        // Through links: round and round, and to what is not there.
        (
            &[link("a", "b"), link("b", "a"), Member::file("a/evil", "x")],
            &["/a/evil leads through more than 40 symbolic links"],
        ),
        (
            &[link("out", "/somewhere"), Member::file("out/evil", "x")],
            &["/somewhere is not there"],
        ),
        (
            &[
                link("out", "../../../../tmp"),
                Member::file("out/evil", "x"),
            ],
            &["/tmp is not there"],
        ),
        (
            &[Member::hardlink("etc/h", "../../etc/shadow")],
            &["has a `..` part"],
        ),
        (&[Member::hardlink("etc/h", "/etc/motd")], &["is absolute"]),
        (
            &[Member::hardlink("etc/h", "etc/none")],
            &["the base has the hard link /etc/h to /etc/none, which is no file before it"],
        ),
        (
            &[Member::hardlink("etc/h", "dev")],
            &["the hard link /etc/h to /dev, which is no file before it"],
        ),
        (
            &[Member::hardlink("etc/h", "dev/null")],
            &["the hard link /etc/h to /dev/null, which is no file before it"],
        ),
        (
            &[Member::file("dev/null/evil", "x")],
            &["/dev/null is not a directory"],
        ),
        (
            &[Member::file("etc", "x")],
            &["/etc", "a directory is in its place"],
        ),
        (
            &[Member::new(b'S', "etc/sparse", 0o644)],
            &["sparse files", "`etc/sparse`"],
        ),
        (
            &[Member::file("etc/huge", "").claimed_size(10 << 30)],
            &["10737418240 bytes, more than 8589934592", "`etc/huge`"],
        ),
    ];
    for (members, words) in cases {
        larder.start_from(&base(members), "");
        larder.refuses(words);
    }
    // What a link leads to inside is inside.
    let inside = [link("out", "../../etc"), Member::file("out/good", "x")];
    larder.start_from(&base(&inside), "");
    larder.kitchen.run(&["build"]).expect(0);
    let listed = larder
        .kitchen
        .run(&["inspect", crate::larder::OUTPUT, "--json"]);
    assert!(
        !listed.expect(0).stdout.contains("out/good"),
        "{}",
        listed.stdout
    );
}

#[test]
fn files_that_are_not_just_one_archive_are_refused() {
    let larder = Larder::new();
    let good = larder.base().build();
    let tar = larder.base().build_tar();
    let two = gzip(&Archive::of(Flavour::Gnu, &[Member::file("evil", "x")]).padded());
    let mut wrong_sum = good.clone();
    let length = wrong_sum.len();
    wrong_sum[length - 6] ^= 1;
    let mut wrong_length = good.clone();
    wrong_length[length - 2] ^= 1;
    let cases: &[(Vec<u8>, &str)] = &[
        ([&b"junk"[..], &good].concat(), "this is not gzip data"),
        ([&good[..], b"junk"].concat(), "this is not gzip data"),
        ([&good[..], &[0; 512]].concat(), "this is not gzip data"),
        (
            [&good[..], &two].concat(),
            "data behind the end of the tar archive",
        ),
        (good[..length - 1].to_vec(), "the gzip data is truncated"),
        (good[..length / 2].to_vec(), "the gzip data is truncated"),
        (gzip(&tar[..tar.len() / 512 / 2 * 512 + 100]), "truncated"),
        (wrong_sum, "the gzip data is damaged"),
        (wrong_length, "the gzip data is damaged"),
        (tar, "this is not gzip data"),
    ];
    for (bytes, words) in cases {
        larder.start_from(bytes, "");
        larder.refuses(&["base.tar.gz", words]);
    }
    // More members are one stream, as parallel compressors write them.
    let tar = larder.base().build_tar();
    let (one, other) = tar.split_at(1000);
    larder.start_from(&[gzip(one), gzip(other)].concat(), "");
    larder.kitchen.run(&["build"]).expect(0);
}
