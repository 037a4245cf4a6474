//! Names that macOS and Windows take for one.

use prebake_testkit::base::BaseBuilder;
use prebake_testkit::member::Member;
use prebake_testkit::package::PackageBuilder;

use crate::larder::{Larder, tool};

/// What a case is made of: the base, the package that the recipe asks for, and the words of the
/// refusal.
type Case<'a> = (
    &'a dyn Fn(BaseBuilder) -> BaseBuilder,
    PackageBuilder,
    &'a [&'a str],
);

#[test]
fn names_that_fall_together_elsewhere_are_refused_where_that_is_dangerous() {
    let larder = Larder::new();
    let none = |base: BaseBuilder| base;
    let cases: &[Case<'_>] = &[
        // The file would be written through the link, to wherever it points.
        (
            &none,
            tool()
                .symlink("usr/share/Doc", "/outside")
                .file("usr/share/doc", "x"),
            &[
                "`tool-1.0-r0` brings /usr/share/doc",
                "take it for /usr/share/Doc of tool-1.0-r0",
                "one of them is a symbolic link",
                "unusual = [\"tool\"]",
            ],
        ),
        // So would what is in a directory.
        (
            &none,
            tool().symlink("usr/A", "/outside").file("usr/a/evil", "x"),
            &[
                "`tool-1.0-r0` brings /usr/a",
                "one of them is a symbolic link",
            ],
        ),
        (
            &none,
            tool()
                .symlink("usr/caf\u{e9}", "/outside")
                .file("usr/cafe\u{301}", "x"),
            &[
                "`tool-1.0-r0` brings /usr/caf",
                "one of them is a symbolic link",
            ],
        ),
        // Below directories that fall together themselves.
        (
            &none,
            tool().symlink("usr/E/x", "/outside").file("usr/e/x", "x"),
            &[
                "`tool-1.0-r0` brings /usr/e/x",
                "one of them is a symbolic link",
            ],
        ),
        (
            &none,
            tool().file("usr/N", "x").file("usr/n/x", "x"),
            &["one of them is a directory and the other is none"],
        ),
        // The base's own file would be another's.
        (
            &|base| base.member(Member::file("usr/bin/su", "the base's")),
            tool().program("usr/bin/SU", "evil"),
            &[
                "`tool-1.0-r0` brings /usr/bin/SU",
                "take it for /usr/bin/su of the base",
                "they are not of one package",
            ],
        ),
        (
            &none,
            tool().depends(["sudo"]).program("usr/bin/Sudo", "evil"),
            &["/usr/bin/sudo", "they are not of one package"],
        ),
        (
            &|base| {
                base.member(Member::symlink("srv/A", "/outside"))
                    .member(Member::file("srv/a", "x"))
            },
            tool(),
            &["`the base` brings /srv/a", "unusual = [\"base\"]"],
        ),
    ];
    let sudo = PackageBuilder::new("sudo", "1.9-r0").program("usr/bin/sudo", "good");
    for (base, package, words) in cases {
        larder.serve(&[package.build(&larder.key), sudo.build(&larder.key)]);
        let base = base(larder.base()).build();
        larder.start_from(&base, "");
        larder.refuses(words);
        larder.start_from(&base, "unusual = [\"tool\", \"sudo\", \"base\"]");
        larder.kitchen.run(&["build"]).expect(0);
        for name in ["prebake.lock", crate::larder::OUTPUT] {
            fs_err::remove_file(larder.kitchen.path(name)).unwrap();
        }
    }
}

#[test]
fn two_plain_files_of_one_package_are_told_and_taken() {
    let larder = Larder::new();
    let package = tool()
        .file("usr/lib/xt_MARK.so", "one")
        .file("usr/lib/xt_mark.so", "other")
        .file("usr/share/terminfo/E/x", "x")
        .file("usr/share/terminfo/e/y", "y");
    larder.serve(&[package.build(&larder.key)]);
    larder.start_from(&larder.base().build(), "");
    let output = larder.kitchen.run(&["build"]);
    let said = output
        .expect(0)
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let words = "warning: 2 of the names that tool-1.0-r0 brings differ in case or Unicode form alone, as \
                 /usr/lib/xt_MARK.so and /usr/lib/xt_mark.so";
    assert!(said.contains(words), "{said}");
    assert!(!said.contains("terminfo"), "{said}");
    larder.start_from(&larder.base().build(), "unusual = [\"tool\"]");
    let output = larder.kitchen.run(&["build"]);
    assert!(
        !output.expect(0).stderr.contains("warning"),
        "{}",
        output.stderr
    );
}
