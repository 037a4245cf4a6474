//! The real apk takes what the testkit makes, and finds in it what was declared.

use prebake_testkit::base::BaseBuilder;
use prebake_testkit::key::Algorithm;
use prebake_testkit::member::Member;
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::package::PackageBuilder;

/// A package with a member of every kind and everything that `.PKGINFO` can say.
fn everything() -> PackageBuilder {
    let long = "d".repeat(60);
    PackageBuilder::new("everything", "1.2.3_rc4-r5")
        .description("One of each: ü, \"quotes\"")
        .origin("every")
        .maintainer("A Person <person@example.invalid>")
        .commit("0123456789abcdef0123456789abcdef01234567")
        .build_date(1_600_000_000)
        .depends(["library>=1", "!enemy"])
        .provides(["cmd:everything=1.2.3_rc4-r5", "anything"])
        .replaces(["something<2"])
        .replaces_priority(7)
        .provider_priority(9)
        .triggers(["/usr/share/every/*"])
        .script("pre-install", "#!/bin/sh\nexit 0\n")
        .script("trigger", "#!/bin/sh\nexit 0\n")
        .program("usr/bin/every", "#!/bin/sh\necho every\n")
        .hardlink("usr/bin/each", "usr/bin/every")
        .symlink("usr/bin/all", "every")
        .member(Member::file("usr/bin/capable", "cap").mode(0o755).xattr(
            "security.capability",
            b"\x01\0\0\x02\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ))
        .member(
            Member::file("usr/bin/setuid", "su")
                .mode(0o4755)
                .mtime(1_234_567_890),
        )
        .member(
            Member::file("var/mail/box", "m")
                .mode(0o660)
                .owner("mail", "mail"),
        )
        .member(Member::file("var/numbered", "n").ids(1234, 4321))
        .member(
            Member::directory("var/lib/every")
                .mode(0o2750)
                .owner("nobody", "wheel"),
        )
        .member(Member::char_device("usr/share/every/null", 1, 3).mode(0o666))
        .member(Member::block_device("usr/share/every/loop", 7, 0))
        .member(Member::fifo("usr/share/every/pipe"))
        .file(
            &format!("usr/share/every/{long}/{long}/{long}/deep"),
            "deep",
        )
        .file("usr/share/every/empty", "")
}

fn mirror(builder: MirrorBuilder) -> Mirror {
    builder
        .base(BaseBuilder::new("x86_64", "3.99.0"))
        .package("main", everything())
        .package(
            "main",
            PackageBuilder::new("library", "1.0-r0").file("usr/lib/lib", "lib"),
        )
        .package(
            "main",
            PackageBuilder::new("meta", "1-r0").depends(["everything"]),
        )
        .build()
}

fn oracle(test: &str, mirror: &Mirror) -> Option<Oracle> {
    Oracle::on_base(test, &mirror.base("3.99.0", "x86_64"))
}

#[test]
fn the_real_apk_installs_from_a_mirror() {
    for algorithm in Algorithm::ALL {
        let mirror = mirror(MirrorBuilder::new("v3.99").algorithm(algorithm));
        let Some(oracle) = oracle("the_real_apk_installs_from_a_mirror", &mirror) else {
            return;
        };
        let add = Add::new(["meta"]).repository(mirror.repository("main").display());
        let outcome = oracle.add(&add).expect_success();
        assert_eq!(
            outcome.installed(),
            ["library-1.0-r0", "everything-1.2.3_rc4-r5", "meta-1-r0"],
        );
        assert_eq!(outcome.complaints(), [""; 0]);
        // A FIFO would keep apk's audit waiting.
        fs_err::remove_file(oracle.root().join("usr/share/every/pipe")).unwrap();
        assert_eq!(
            oracle.audit().expect_success().stdout,
            "X usr/share/every/pipe\n"
        );
    }
}
