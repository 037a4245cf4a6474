//! apk's installed database as the real apk would have written it for a list of packages.
//!
//! It serves bases, whose packages were all installed in order onto nothing and own no file twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prebake_apk::digest::Sha1;

use crate::archive::{Archive, Flavour};
use crate::member::Member;
use crate::package::Package;

/// The files below `lib/apk/db` for packages that are installed.
#[derive(Clone, Debug)]
pub struct Database {
    /// `installed`: a stanza for each package, its directories and files.
    pub installed: String,
    /// `triggers`: a line for each package that watches directories.
    pub triggers: String,
    /// `scripts.tar`: every package's scripts.
    pub scripts: Vec<u8>,
}

impl Database {
    /// Returns the database of `packages`.
    pub fn of(packages: &[Package]) -> Self {
        let mut installed = String::new();
        let mut triggers = String::new();
        let mut scripts = Archive::new(Flavour::Gnu);
        for package in packages {
            installed.push_str(&package.stanza());
            append_files(&mut installed, package);
            installed.push('\n');
            let identity = package.identity().to_apk();
            if !package.builder.triggers.is_empty() {
                let globs = package.builder.triggers.join(" ");
                writeln!(triggers, "{identity} {globs}").expect(TAKES);
            }
            for script in &package.builder.scripts {
                let kind = String::from_utf8_lossy(&script.name);
                let name = format!("{}-{}.{identity}{kind}", package.name(), package.version());
                let mut script = script.clone();
                script.name = name.into_bytes();
                scripts.push(&script);
            }
        }
        Self {
            installed,
            triggers,
            scripts: scripts.ended(),
        }
    }
}

const TAKES: &str = "a String takes whatever is written";

/// Appends what only the installed database says: `r`, `q`, and the directories with their files.
fn append_files(text: &mut String, package: &Package) {
    if !package.builder.replaces.is_empty() {
        writeln!(text, "r:{}", package.builder.replaces.join(" ")).expect(TAKES);
    }
    if let Some(priority) = package.builder.replaces_priority {
        writeln!(text, "q:{priority}").expect(TAKES);
    }
    let mut folders: Vec<(String, String)> = Vec::new();
    for member in package.members() {
        let name = String::from_utf8_lossy(&member.name);
        let name = name.trim_end_matches('/');
        if member.flag == b'5' {
            let mut lines = format!("F:{name}\n");
            if let Some(acl) = acl(member, 0o755) {
                writeln!(lines, "M:{acl}").expect(TAKES);
            }
            folders.push((name.to_owned(), lines));
            continue;
        }
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let mut lines = format!("R:{file}\n");
        if let Some(acl) = acl(member, 0o644) {
            writeln!(lines, "a:{acl}").expect(TAKES);
        }
        let original = package
            .members()
            .iter()
            .find(|other| member.flag == b'1' && other.name == member.link);
        if let Some(sha1) = original.unwrap_or(member).sha1() {
            writeln!(lines, "Z:{}", sha1.to_apk()).expect(TAKES);
        }
        match folders.iter_mut().find(|(name, _)| name == folder) {
            Some((_, text)) => text.push_str(&lines),
            None => folders.push((folder.to_owned(), format!("F:{folder}\n{lines}"))),
        }
    }
    for (_, lines) in folders {
        text.push_str(&lines);
    }
}

/// Returns `uid:gid:mode[:hash of the xattrs]`, or `None` if that is root's with the usual mode.
fn acl(member: &Member, usual: u32) -> Option<String> {
    let plain = (member.uid, member.gid, member.mode) == (0, 0, usual);
    if plain && member.xattrs.is_empty() {
        return None;
    }
    let mut text = format!("{}:{}:{:o}", member.uid, member.gid, member.mode);
    if !member.xattrs.is_empty() {
        write!(text, ":{}", xattr_hash(&member.xattrs).to_apk()).expect(TAKES);
    }
    Some(text)
}

/// Returns the SHA-1 that the database keeps of xattrs: of each, by name, the length of the name
/// (32 bits, big-endian), the name, and the same of the value.
fn xattr_hash(xattrs: &BTreeMap<String, Vec<u8>>) -> Sha1 {
    let mut bytes = Vec::new();
    for (name, value) in xattrs {
        for part in [name.as_bytes(), value] {
            bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    Sha1::of(&bytes)
}
