//! The real apk takes what the testkit makes, and finds in it what was declared.

use prebake_apk::digest::Sha1;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::judge;
use prebake_testkit::key::{Algorithm, SigningKey};
use prebake_testkit::member::{Checksum, Member};
use prebake_testkit::mirror::{Mirror, MirrorBuilder};
use prebake_testkit::oracle::{Add, Oracle};
use prebake_testkit::package::PackageBuilder;
use prebake_testkit::stanza::{index_archive, index_text};
use prebake_testkit::tree::Dump;

/// A package with a member of every kind and everything that `.PKGINFO` can say.
fn everything() -> PackageBuilder {
    let package = without_devices();
    // A namespace's root may not make devices.
    if !judge::is_root() {
        return package;
    }
    package
        .member(Member::char_device("usr/share/every/null", 1, 3).mode(0o666))
        .member(Member::block_device("usr/share/every/loop", 7, 0))
}

fn without_devices() -> PackageBuilder {
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
        .member(Member::hardlink("usr/bin/each", "usr/bin/every").mode(0o755))
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
        .file(
            &format!("usr/share/every/{long}/{long}/{long}/deep"),
            "deep",
        )
        .file("usr/share/every/empty", "")
}

fn mirror(builder: MirrorBuilder) -> Mirror {
    let library = PackageBuilder::new("library", "1.0-r0").file("usr/lib/lib", "lib");
    let extra = PackageBuilder::new("extra", "1-r0")
        .install_if(["everything", "library=1.0-r0"])
        .file("usr/lib/extra", "extra");
    builder
        .base(BaseBuilder::new("x86_64", "3.99.0"))
        .package("main", everything())
        .package("main", library)
        .package(
            "main",
            PackageBuilder::new("meta", "1-r0").depends(["everything"]),
        )
        .package("community", extra)
        .build()
}

fn oracle(test: &str, mirror: &Mirror) -> Option<Oracle> {
    Oracle::on_base(test, &mirror.base("3.99.0", "x86_64"))
}

fn repositories(mirror: &Mirror) -> Add {
    Add::default()
        .repository(mirror.repository("main").display())
        .repository(mirror.repository("community").display())
}

#[test]
fn a_base_is_sound_to_the_real_apk() {
    let test = "a_base_is_sound_to_the_real_apk";
    let held = PackageBuilder::new("held", "2-r1")
        .origin("origin")
        .depends(["testkit-base", "another"])
        .replaces(["something"])
        .replaces_priority(3)
        .triggers(["/usr/lib", "/usr/share/*"])
        .script("post-install", "#!/bin/sh\n")
        .script("trigger", "#!/bin/sh\n")
        .member(Member::file("usr/lib/b", "b").mode(0o4711).ids(1, 2))
        .member(Member::directory("usr/lib/held").mode(0o2770).ids(0, 42))
        .file("usr/lib/held/x", "x")
        .symlink("usr/lib/a", "b")
        .member(
            Member::hardlink("usr/bin/b", "usr/lib/b")
                .mode(0o4711)
                .ids(1, 2),
        );
    let mirror = MirrorBuilder::new("v3.99")
        .base(
            BaseBuilder::new("x86_64", "3.99.0")
                .package(held)
                .dependency(
                    PackageBuilder::new("another", "1-r0").script("pre-install", "#!/bin/sh\n"),
                ),
        )
        .repository("main", "x86_64")
        .repository("community", "x86_64")
        .build();
    let Some(oracle) = oracle(test, &mirror) else {
        return;
    };
    assert_eq!(oracle.audit().expect_success().stdout, "");
    assert_eq!(
        oracle.info().expect_success().stdout,
        "alpine-baselayout-3.6.5-r0\nanother-1-r0\napk-tools-2.14.4-r1\nheld-2-r1\ntestkit-base-1.0-r0\n"
    );
    let database = || {
        let read = |name: &str| fs_err::read(oracle.root().join(name)).unwrap();
        [read("lib/apk/db/installed"), read("lib/apk/db/triggers")].concat()
    };
    let (before, scripts) = (database(), oracle.root().join("lib/apk/db/scripts.tar"));
    // By content: apk's own tar writer fills the size and the time to their last byte.
    let list = || {
        let path = scripts.to_string_lossy();
        let tar = judge::gnu_tar(test).map(|tar| tar.run(["-tvf", &path]).expect_success().stdout);
        (tar, Dump::of_tarball(test, &scripts))
    };
    let scripts_before = list();
    // A dependency that is there already makes apk write its database anew.
    oracle
        .add(&repositories(&mirror).package("cmd:apk"))
        .expect_success();
    assert_eq!(
        String::from_utf8_lossy(&before),
        String::from_utf8_lossy(&database())
    );
    assert_eq!(scripts_before, list());
    let world = fs_err::read_to_string(oracle.root().join("etc/apk/world")).unwrap();
    assert!(world.contains("cmd:apk\n"), "apk did not commit: {world}");
}

#[test]
fn every_kind_of_member_is_installed_as_declared() {
    let test = "every_kind_of_member_is_installed_as_declared";
    let mirror = mirror(MirrorBuilder::new("v3.99"));
    let Some(oracle) = oracle(test, &mirror) else {
        return;
    };
    let outcome = oracle
        .add(&repositories(&mirror).package("meta"))
        .expect_success();
    assert_eq!(
        outcome.installed(),
        [
            "library-1.0-r0",
            "extra-1-r0",
            "everything-1.2.3_rc4-r5",
            "meta-1-r0"
        ],
    );
    assert_eq!(outcome.complaints(), [""; 0]);
    assert_eq!(oracle.audit().expect_success().stdout, "");
    let Some(dump) = Dump::of_directory(test, &oracle.root()) else {
        return;
    };
    let time = Member::MTIME;
    let folder = "d".repeat(60);
    let deep = format!("/usr/share/every/{folder}/{folder}/{folder}/deep");
    let capability = "security.capability=0100000204000000000000000000000000000000";
    let file = |mode: u32, owner: &str, content: &str, mtime: i64, xattrs: &str, same: &str| {
        let (size, sha1) = (content.len(), Sha1::of(content.as_bytes()));
        format!("f {mode:04o} {owner} {size} {mtime} {sha1} {xattrs} {same}")
    };
    for (path, expected) in [
        (
            "/usr/bin/every",
            file(
                0o755,
                "0:0",
                "#!/bin/sh\necho every\n",
                time,
                "-",
                "/usr/bin/each",
            ),
        ),
        (
            "/usr/bin/capable",
            file(0o755, "0:0", "cap", time, capability, "-"),
        ),
        (
            "/usr/bin/setuid",
            file(0o4755, "0:0", "su", 1_234_567_890, "-", "-"),
        ),
        ("/var/mail/box", file(0o660, "8:12", "m", time, "-", "-")),
        (
            "/var/numbered",
            file(0o644, "1234:4321", "n", time, "-", "-"),
        ),
        (
            "/usr/share/every/null",
            format!("c 0666 0:0 0 {time} 1:3 - -"),
        ),
        (
            "/usr/share/every/loop",
            format!("b 0600 0:0 0 {time} 7:0 - -"),
        ),
        (
            "/usr/share/every/empty",
            file(0o644, "0:0", "", time, "-", "-"),
        ),
        (&deep, file(0o644, "0:0", "deep", time, "-", "-")),
    ] {
        if expected.starts_with('f') || judge::is_root() {
            assert_eq!(dump.at(path).to_string(), expected, "{path}");
        }
    }
    assert_eq!(dump.at("/usr/bin/each").same_as, "/usr/bin/each");
    assert_eq!(dump.at("/usr/bin/all").what, "every");
    let folder = dump.at("/var/lib/every");
    assert_eq!((folder.mode, folder.uid, folder.gid), (0o2750, 65534, 10));
}

#[test]
fn every_algorithm_of_signature_is_taken_and_a_wrong_key_is_not() {
    let test = "every_algorithm_of_signature_is_taken_and_a_wrong_key_is_not";
    for algorithm in Algorithm::ALL {
        let mirror = mirror(MirrorBuilder::new("v3.99").algorithm(algorithm));
        let Some(oracle) = oracle(test, &mirror) else {
            return;
        };
        let add = repositories(&mirror).package("library").simulate();
        oracle
            .add(&add.clone().keys(&mirror.keys()))
            .expect_success();
        let stranger = tempfile::tempdir().unwrap();
        let pem = SigningKey::named("stranger").public_pem();
        fs_err::write(stranger.path().join(mirror.key().file_name()), pem).unwrap();
        let outcome = oracle.add(&add.keys(stranger.path()));
        assert!(!outcome.success);
        let said = outcome.complaints().join("\n");
        assert!(
            said.contains("BAD signature") || said.contains("UNTRUSTED"),
            "{said}"
        );
    }
}

#[test]
fn packages_verify_and_index_as_the_builder_says() {
    let test = "packages_verify_and_index_as_the_builder_says";
    let mirror = mirror(MirrorBuilder::new("v3.99"));
    let Some(oracle) = oracle(test, &mirror) else {
        return;
    };
    let keys = mirror.keys().to_string_lossy().into_owned();
    let out = oracle
        .root()
        .join("index.tar.gz")
        .to_string_lossy()
        .into_owned();
    let mut index = ["--keys-dir", &keys, "index", "--no-warnings", "-o", &out]
        .map(str::to_owned)
        .to_vec();
    for name in ["everything", "library", "meta"] {
        let file = mirror.package("main", "x86_64", name);
        let file = file.to_string_lossy().into_owned();
        let verified = oracle.run(&["--keys-dir", &keys, "verify", &file]);
        assert_eq!(
            verified.stdout,
            format!("{file}: 0 - OK\n"),
            "{}",
            verified.stderr
        );
        index.push(file);
    }
    oracle.run(&index).expect_success();
    let Some(tar) = judge::gnu_tar(test) else {
        return;
    };
    let theirs = tar.run(["-xzOf", &out, "APKINDEX"]).expect_success().stdout;
    assert_eq!(theirs, index_text(mirror.packages("main", "x86_64")));
}

#[test]
fn openssl_checks_a_signature_with_the_public_key() {
    let test = "openssl_checks_a_signature_with_the_public_key";
    let Some(openssl) = judge::openssl(test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    };
    let key = SigningKey::named("testkit");
    let pem = file("key.pem", key.public_pem().as_bytes());
    let message = file("message", b"a message");
    for (algorithm, digest) in Algorithm::ALL.iter().zip(["-sha1", "-sha256", "-sha512"]) {
        let signature = file("signature", &key.sign(*algorithm, b"a message"));
        let said = openssl.run([
            "dgst",
            digest,
            "-verify",
            &pem,
            "-signature",
            &signature,
            &message,
        ]);
        assert_eq!(said.stdout, "Verified OK\n", "{digest}: {}", said.stderr);
    }
}

#[test]
fn openssl_finds_every_key_sound() {
    let test = "openssl_finds_every_key_sound";
    let Some(openssl) = judge::openssl(test) else {
        return;
    };
    for name in ["testkit", "stranger", "other", "extra", "any other name"] {
        let pem = SigningKey::named(name).private_pem();
        let said = openssl.feed(["pkey", "-check", "-noout", "-text"], pem.as_bytes());
        assert!(said.stdout.contains("Key is valid"), "{name}: {said:?}");
        assert!(
            said.stdout.contains("2048 bit, 2 primes"),
            "{name}: {said:?}"
        );
    }
}

#[test]
fn what_is_made_wrong_is_refused_by_the_real_apk() {
    let test = "what_is_made_wrong_is_refused_by_the_real_apk";
    let mirror = mirror(MirrorBuilder::new("v3.99"));
    let base = mirror.base("3.99.0", "x86_64");
    let content = Member::file("usr/lib/victim", "content");
    let cases = [
        (
            "claimed datahash",
            "BAD signature",
            PackageBuilder::new("victim", "1-r0")
                .member(content.clone())
                .claimed_datahash(&"0".repeat(64)),
        ),
        (
            "no parents",
            "no dirent in archive",
            PackageBuilder::new("victim", "1-r0")
                .member(content.clone())
                .member(Member::file("usr/lib/nowhere/victim", ""))
                .without_parents(),
        ),
        (
            "leaves the root",
            "malicious file",
            PackageBuilder::new("victim", "1-r0")
                .member(Member::file("usr/../../victim", "content")),
        ),
    ];
    for (what, why, package) in cases {
        let Some(oracle) = Oracle::on_base(test, &base) else {
            return;
        };
        let hostile = MirrorBuilder::new("v3.99").package("main", package).build();
        let add = Add::new(["victim"]).repository(hostile.repository("main").display());
        let outcome = oracle.add(&add);
        assert!(!outcome.success, "{what}: {outcome:?}");
        assert!(
            outcome.complaints().join("\n").contains(why),
            "{what}: {outcome:?}"
        );
    }
    // An index without a signature, and one whose text was changed after signing.
    let library = PackageBuilder::new("library", "1-r0").build(mirror.key());
    let unsigned = index_archive(&index_text([&library]), "none", &[]);
    let mut changed = index_archive(
        &index_text([&library]),
        "changed",
        &[(mirror.key(), Algorithm::Rsa)],
    );
    let last = changed.len() - 20;
    changed[last] ^= 1;
    for index in [unsigned, changed] {
        let Some(oracle) = Oracle::on_base(test, &base) else {
            return;
        };
        fs_err::write(mirror.index("main", "x86_64"), index).unwrap();
        let outcome = oracle.add(&repositories(&mirror).package("library"));
        assert!(!outcome.success, "{outcome:?}");
    }
}

#[test]
fn the_real_apk_takes_a_files_checksum_on_trust() {
    // prebake does not: this is where it is stricter than its judge, on purpose.
    let test = "the_real_apk_takes_a_files_checksum_on_trust";
    let wrong = Checksum::Claimed(Sha1::of(b"something else"));
    let liar = Member::file("usr/lib/victim", "content").checksum(wrong);
    let mirror = MirrorBuilder::new("v3.99")
        .base(BaseBuilder::new("x86_64", "3.99.0"))
        .package("main", PackageBuilder::new("victim", "1-r0").member(liar))
        .build();
    let Some(oracle) = oracle(test, &mirror) else {
        return;
    };
    let add = Add::new(["victim"]).repository(mirror.repository("main").display());
    oracle.add(&add).expect_success();
    assert_eq!(oracle.audit().stdout, "U usr/lib/victim\n");
}
