//! Where what is in it comes from: who signed it, which scripts ran, what differs from the
//! packages, and what apk inside would believe.

use std::collections::{BTreeMap, BTreeSet};

use prebake_apk::digest::Sha256;
use prebake_apk::key::PublicKey;
use prebake_apk::path::GuestPath;
use prebake_rootfs::merge::Script as PackageScript;

use super::accounts::is_said;
use super::guest::{Guest, guest_path, is_file};
use super::modes::at;
use super::{Finding, Kind};
use crate::keys::is_alpine;
use crate::lock::LockedRootfs;
use crate::verify::{self, FileProblem};

/// What apk itself writes, and no package brings.
const OF_APK: [&str; 3] = ["etc/apk/arch", "etc/apk/repositories", "etc/apk/world"];

/// The folders of its database, and what is in them.
const DATABASES: [&str; 2] = ["lib/apk/db", "usr/lib/apk/db"];
const DATABASE: [&str; 5] = [
    "installed",
    "lock",
    "scripts.tar",
    "scripts.tar.gz",
    "triggers",
];

pub(super) fn find(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    changed(guest, findings);
    unowned(guest, findings);
    for (path, fingerprint) in keys(guest) {
        if !is_alpine(&fingerprint) {
            let detail = format!("its fingerprint is {fingerprint}");
            findings.push(at(guest, Kind::ApkKeys, &path, detail));
        }
    }
    let path = guest_path("etc/apk/repositories");
    for line in guest.lines(&path).iter().filter(|line| is_said(line)) {
        let mut words = line.split_whitespace();
        let plain = words.find(|word| word.starts_with("http://") || word.starts_with("ftp://"));
        findings.extend(plain.map(|url| Finding {
            kind: Kind::PlainHttp,
            subject: url.to_owned(),
            detail: format!("in {path}"),
            package: None,
        }));
    }
}

/// Returns the keys that apk inside would believe, with their fingerprints.
fn keys(guest: &Guest<'_>) -> Vec<(GuestPath, Sha256)> {
    let mut keys = Vec::new();
    for path in guest.list("etc/apk/keys") {
        let key = guest
            .bytes(&path)
            .and_then(|pem| PublicKey::from_pem(pem).ok());
        keys.extend(key.map(|key| (path, key.fingerprint())));
    }
    keys
}

fn changed(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    for package in &guest.installed.packages {
        for (path, acl, checksum) in verify::files(package) {
            let Some(problem) = verify::file_problem(guest.tree, &path, acl, checksum) else {
                continue;
            };
            let detail = match problem {
                FileProblem::Missing => "is missing".to_owned(),
                FileProblem::Content => "has another content".to_owned(),
                FileProblem::Kind => "is something else".to_owned(),
                FileProblem::Owner { expected, found } => {
                    format!("has {found}, came with {expected}")
                }
            };
            findings.push(Finding {
                kind: Kind::Changed,
                subject: path.to_string(),
                detail,
                package: Some(package.stanza.label()),
            });
        }
    }
}

fn unowned(guest: &Guest<'_>, findings: &mut Vec<Finding>) {
    let own = DATABASES
        .iter()
        .flat_map(|folder| DATABASE.map(|name| guest_path(&format!("{folder}/{name}"))));
    let own: BTreeSet<_> = own.chain(OF_APK.map(guest_path)).collect();
    for (path, node) in guest.names() {
        if is_file(node) && guest.package(path).is_none() && !own.contains(path) {
            findings.push(at(guest, Kind::Unowned, path, guest.rights(node)));
        }
    }
}

/// Finds what no key of Alpine's stands for. What of the base is still there came with the base.
pub(super) fn find_unsigned(guest: &Guest<'_>, locked: &LockedRootfs, findings: &mut Vec<Finding>) {
    let names: BTreeMap<Sha256, String> = keys(guest)
        .into_iter()
        .map(|(path, fingerprint)| (fingerprint, path.to_string()))
        .collect();
    let mut found = |subject: &str, detail: String, package: Option<String>| {
        findings.push(Finding {
            kind: Kind::Unsigned,
            subject: subject.to_owned(),
            detail,
            package,
        });
    };
    if let Some(base) = &locked.base {
        let release = locked.release.as_deref().unwrap_or_default();
        let official = format!("/alpine-minirootfs-{release}-{}.tar.gz", locked.arch);
        if !base.url.ends_with(&official) {
            let detail = format!(
                "no release of Alpine's; the lock holds {} by its SHA-256",
                base.url
            );
            found("base", detail, None);
        }
    }
    for package in locked.packages() {
        let place = if package.local {
            " beside the recipe"
        } else {
            ""
        };
        let detail = match package.key {
            Some(key) if is_alpine(&key) => continue,
            Some(key) => {
                let name = names.get(&key).cloned();
                let name = name.unwrap_or_else(|| "which the rootfs does not have".to_owned());
                let what = if package.local {
                    "signed"
                } else {
                    "vouched for by an index that was signed"
                };
                format!("{what}{place} by the key {key} ({name})")
            }
            None => format!(
                "nobody signed it: the recipe names the SHA-256 of {}",
                package.url
            ),
        };
        let label = format!("{}-{}", package.name, package.version);
        found(&package.name, detail, Some(label));
    }
}

/// Adds scripts, by the names of their packages without the versions, so that an allowance holds
/// after an upgrade.
pub(super) fn add_scripts(
    guest: &Guest<'_>,
    kind: Kind,
    scripts: &[PackageScript],
    findings: &mut Vec<Finding>,
) {
    for script in scripts {
        let mut packages = guest.installed.packages.iter();
        let package = packages.find(|package| package.stanza.label() == script.package);
        // A script may be of a package that went away.
        let name = package.map_or_else(
            || script.package.clone(),
            |package| String::from_utf8_lossy(&package.stanza.name).into_owned(),
        );
        findings.push(Finding {
            kind,
            subject: format!("{name}.{}", script.kind),
            detail: String::new(),
            package: Some(script.package.clone()),
        });
    }
}
