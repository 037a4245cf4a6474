//! What wants to stay out of an audit's sight.

use std::collections::BTreeSet;

use prebake_testkit::archive::gzip;
use prebake_testkit::base::BaseBuilder;
use prebake_testkit::member::Member;
use serde_json::Value;

use crate::kitchen::Kitchen;

/// Returns the subjects and details of what is found of a kind.
fn found(audit: &Value, kind: &str) -> BTreeSet<(String, String)> {
    let findings = audit["rootfs"][0]["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_kind = findings.iter().filter(|finding| finding["kind"] == kind);
    let told = of_kind.map(|finding| (text(&finding["subject"]), text(&finding["detail"])));
    told.collect()
}

#[test]
fn what_hides_from_an_audit_is_found() {
    // By `id` and `su` of Alpine 3.20, the ids of those with a name in capitals are 0.
    let passwd = "root:x:0:0:root:/root:/bin/sh\nWRAPS:x:4294967296:0::/:/bin/sh\n\
                  EMPTY:x::0::/:/bin/sh\nZEROS:x:000:0::/:/bin/sh\nplus:x:+0:0::/:/bin/sh\n\
                  hex:x:0x0:0::/:/bin/sh\none:x:4294967297:0::/:/bin/sh\n";
    let inittab = "::sysinit:/sbin/openrc sysinit\n::wait:/sbin/openrc default\n\
                   ::sysinit:/bin/evil\n::once:/bin/evil again\n::ctrlaltdel:/sbin/reboot\n\
                   tty1::respawn:/sbin/getty 38400 tty1\n::shutdown:/sbin/openrc shutdown\n";
    let sshd = "PermitRootLogin \"yes\"\nPasswordAuthentication no\nPermitEmptyPasswords YES\n\
                AuthorizedKeysFile /srv/keys/%u\n";
    let base = BaseBuilder::new("x86_64", "3.99.0")
        .member(Member::file("etc/passwd", passwd))
        .member(Member::file("etc/inittab", inittab))
        .member(Member::file("etc/ssh/sshd_config", sshd))
        .member(Member::directory("etc/runlevels"))
        .member(Member::directory("etc/runlevels/default"))
        .member(Member::directory("etc/runlevels/default-not"))
        .member(Member::symlink("etc/runlevels/default-not/other", "/x"))
        .member(Member::symlink("etc/runlevels/default/sshd", "/etc/passwd"))
        .member(Member::directory(b"etc/runlevels/\xe9"))
        .member(Member::symlink(b"etc/runlevels/\xe9/third", "/x"))
        .member(Member::file("lib/apk/db/evil", "x"));
    let kitchen = Kitchen::new("");
    kitchen.write("odd.tar.gz", gzip(&base.build_tar()));
    let output = kitchen.run(&["audit", "odd.tar.gz", "--json"]);
    let audit: Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
    let named = |found: BTreeSet<(String, String)>| -> Vec<String> {
        found.into_iter().map(|(subject, _)| subject).collect()
    };
    assert_eq!(
        named(found(&audit, "root-accounts")),
        ["EMPTY", "WRAPS", "ZEROS"]
    );
    assert_eq!(
        named(found(&audit, "inittab")),
        ["/bin/evil", "/bin/evil again", "/sbin/getty 38400 tty1"]
    );
    let services = found(&audit, "services");
    assert_eq!(
        named(services.clone()),
        ["default-not/other", "default/sshd", "\u{fffd}/third"]
    );
    let unowned = named(found(&audit, "unowned"));
    assert!(
        unowned.contains(&"/lib/apk/db/evil".to_owned()),
        "{unowned:?}"
    );
    assert!(!unowned.contains(&"/lib/apk/db/installed".to_owned()));
    let mut sshd = services.iter();
    let (_, sshd) = sshd.find(|(name, _)| name == "default/sshd").unwrap();
    for line in [
        "PermitRootLogin \"yes\"",
        "PermitEmptyPasswords YES",
        "AuthorizedKeysFile /srv/keys/%u",
    ] {
        assert!(sshd.contains(line), "{sshd}");
    }
    assert!(!sshd.contains("PasswordAuthentication"), "{sshd}");
}
