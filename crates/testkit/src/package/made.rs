//! Packages that were made: the three gzip members, from what a [`PackageBuilder`] says.

use std::collections::BTreeSet;

use prebake_apk::digest::Sha1;

use crate::archive::{Archive, Flavour, gzip};
use crate::key::{Algorithm, SigningKey};
use crate::member::Member;

use super::PackageBuilder;

/// A package that was made: its three gzip members and what an index says of it.
#[derive(Clone, Debug)]
pub struct Package {
    /// What it was made of, with the parents of its members filled in.
    pub(crate) builder: PackageBuilder,
    /// The signature members, compressed; empty if it is unsigned.
    pub signature: Vec<u8>,
    /// The control member, compressed. Its SHA-1 is the package's identity.
    pub control: Vec<u8>,
    /// The data member, compressed.
    pub data: Vec<u8>,
}

impl PackageBuilder {
    /// Makes the package, signed by `key` as Alpine signs (SHA-1).
    pub fn build(&self, key: &SigningKey) -> Package {
        self.build_signed(&[(key, Algorithm::Rsa)])
    }

    /// Makes the package with these signatures, in this order; none for an unsigned one.
    pub fn build_signed(&self, signatures: &[(&SigningKey, Algorithm)]) -> Package {
        let mut builder = self.clone();
        if builder.parents {
            builder.members = with_parents(&builder.members);
        }
        let data = gzip(&Archive::of(Flavour::Abuild, &builder.members).padded());
        let info = Member::file(".PKGINFO", builder.info(&data)).mtime(builder.build_date);
        let control = std::iter::once(&info).chain(&builder.scripts);
        // Nothing in a control member carries apk's SHA-1, so it is not in abuild's own flavour.
        let control = gzip(&Archive::of(Flavour::Posix, control).cut());
        let signature = sign(&control, signatures);
        Package {
            builder,
            signature,
            control,
            data,
        }
    }
}

impl Package {
    /// Returns the package's name.
    pub fn name(&self) -> &str {
        &self.builder.name
    }

    /// Returns the package's version.
    pub fn version(&self) -> &str {
        &self.builder.version
    }

    /// Returns the package's architecture.
    pub fn arch(&self) -> &str {
        &self.builder.arch
    }

    /// Returns its file name in a repository: `name-version.apk`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.apk", self.name(), self.version())
    }

    /// Returns the `.apk` file.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.signature[..], &self.control, &self.data].concat()
    }

    /// Returns the package's identity: the SHA-1 of the compressed control member.
    pub fn identity(&self) -> Sha1 {
        Sha1::of(&self.control)
    }

    /// Returns the members of its data, in order.
    pub fn members(&self) -> &[Member] {
        &self.builder.members
    }
}

/// Returns the compressed signature members over `message`; empty without signatures.
pub(crate) fn sign(message: &[u8], signatures: &[(&SigningKey, Algorithm)]) -> Vec<u8> {
    if signatures.is_empty() {
        return Vec::new();
    }
    let mut archive = Archive::new(Flavour::Posix);
    for (key, algorithm) in signatures {
        let signature = key.sign(*algorithm, message);
        archive.push(&Member::file(key.member_name(*algorithm), signature));
    }
    gzip(&archive.cut())
}

/// Returns `members` with each missing parent directory before the first that lies in it.
pub(crate) fn with_parents(members: &[Member]) -> Vec<Member> {
    let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut all = Vec::new();
    for member in members {
        let name = member.name.strip_suffix(b"/").unwrap_or(&member.name);
        for (at, _) in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let parent = &name[..at];
            if !parent.is_empty() && seen.insert(parent.to_vec()) {
                all.push(Member::directory(parent));
            }
        }
        if member.flag == b'5' && !seen.insert(name.to_vec()) {
            // A directory that was put there for an earlier member takes this one's facts, unless
            // it was itself said before: then the repetition is meant.
            if let Some(earlier) = all.iter_mut().find(|earlier: &&mut Member| {
                earlier.name == name && **earlier == Member::directory(name)
            }) {
                *earlier = member.clone();
                continue;
            }
        }
        all.push(member.clone());
    }
    all
}
