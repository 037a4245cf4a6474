//! Audits of odd trees: what configuration files hold is text of anybody's. The same tree has the
//! same findings, each can be denied and allowed by its own words, and an older one that is the same
//! differs in nothing.

use std::io::Write as _;

use prebake::audit::{Allowance, Kind, Policy, audit_file, difference};
use prebake_testkit::archive::{Archive, Flavour};
use prebake_testkit::member::Member;

use crate::feed::Feed;
use crate::gzip::compress;
use crate::tame::tame;

/// The directories of a tree.
const FOLDERS: [&str; 20] = [
    "etc",
    "etc/apk",
    "etc/apk/keys",
    "etc/conf.d",
    "etc/crontabs",
    "etc/doas.d",
    "etc/periodic",
    "etc/periodic/daily",
    "etc/runlevels",
    "etc/runlevels/default",
    "etc/ssh",
    "etc/ssh/sshd_config.d",
    "etc/sudoers.d",
    "bin",
    "lib",
    "lib/apk",
    "lib/apk/db",
    "root",
    "root/.ssh",
    "dev",
];

/// The files that an audit looks into or at.
pub(crate) const FILES: [&str; 24] = [
    "etc/passwd",
    "etc/shadow",
    "etc/group",
    "etc/inittab",
    "etc/inetd.conf",
    "etc/crontab",
    "etc/crontabs/root",
    "etc/sudoers",
    "etc/sudoers.d/a",
    "etc/doas.conf",
    "etc/doas.d/a.conf",
    "etc/ssh/sshd_config",
    "etc/ssh/sshd_config.d/a",
    "etc/ssh/ssh_host_a_key",
    "etc/conf.d/dropbear",
    "etc/runlevels/default/sshd",
    "etc/runlevels/default/dropbear",
    "etc/apk/repositories",
    "etc/apk/keys/a.rsa.pub",
    "etc/machine-id",
    "etc/periodic/daily/a",
    "lib/apk/db/installed",
    "root/.ssh/authorized_keys",
    "bin/a",
];

/// Makes a tree and audits it twice.
pub(crate) fn audit(data: &[u8]) {
    let mut feed = Feed::new(data);
    let mut members: Vec<_> = FOLDERS.map(Member::directory).to_vec();
    while !feed.is_empty() && members.len() < 60 {
        let name = FILES[usize::from(feed.byte()) % FILES.len()];
        let how = feed.byte();
        let content = feed.slice();
        let text = || String::from_utf8_lossy(content).into_owned();
        let member = match how % 8 {
            0 => Member::symlink(name, text()),
            1 => Member::hardlink(name, FILES[usize::from(how / 8) % FILES.len()]),
            2 => Member::file(name, "x").xattr("security.capability", content),
            3 => Member::char_device(name, u32::from(how), 3),
            _ => Member::file(name, content),
        };
        members.push(member.mode(u32::from(how / 8) << 7 | 0o644));
    }
    let archive = compress(&Archive::of(Flavour::Posix, &members).ended(), 0);
    let mut file = tempfile::Builder::new()
        .suffix(".tar.gz")
        .tempfile()
        .expect("a temporary file");
    file.write_all(&archive).expect("it can be written");
    let audited = match audit_file(file.path(), None) {
        Ok(audited) => audited,
        Err(error) => {
            tame(&error);
            return;
        }
    };
    let again = audit_file(file.path(), None).expect("it is the same");
    assert_eq!(again.findings, audited.findings);
    assert!(audited.findings.is_sorted());
    let since = difference(&again, &audited);
    assert!(since.added.is_empty() && since.removed.is_empty() && since.packages.is_empty());
    let mut policy = Policy {
        deny: Kind::ALL.to_vec(),
        allow: Vec::new(),
    };
    for finding in &audited.findings {
        assert!(policy.denies(finding));
    }
    for finding in &audited.findings {
        let words = format!("{}:{}", finding.kind, finding.subject);
        if !finding.subject.is_empty() {
            let allowance: Allowance = words.parse().expect("it can be allowed");
            assert_eq!(allowance.to_string(), words);
            policy.allow.push(allowance);
            assert!(!policy.denies(finding));
        }
    }
    assert!(policy.unused(&[audited]).is_empty());
}
