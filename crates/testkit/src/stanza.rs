//! What an index and an installed database say of a package, and signed indexes made of that.

use std::fmt::Write as _;

use crate::archive::{Archive, Flavour, gzip};
use crate::key::{Algorithm, SigningKey};
use crate::member::Member;
use crate::package::{Package, sign};

impl Package {
    /// Returns its stanza in an index, in the order that `apk index` writes, with a final newline
    /// but without the empty line that ends it.
    pub fn stanza(&self) -> String {
        let package = &self.builder;
        let mut text = String::new();
        let mut line = |letter: char, value: &str| {
            writeln!(text, "{letter}:{value}").expect("a String takes whatever is written");
        };
        line('C', &self.identity().to_apk());
        line('P', &package.name);
        line('V', &package.version);
        line('A', &package.arch);
        let bytes = self.signature.len() + self.control.len() + self.data.len();
        line('S', &bytes.to_string());
        line('I', &package.size().to_string());
        line('T', &package.description);
        line('U', &package.url);
        line('L', &package.license);
        for (letter, value) in [('o', &package.origin), ('m', &package.maintainer)] {
            if let Some(value) = value {
                line(letter, value);
            }
        }
        line('t', &package.build_date.to_string());
        if let Some(commit) = &package.commit {
            line('c', commit);
        }
        if let Some(priority) = package.provider_priority.filter(|priority| *priority != 0) {
            line('k', &priority.to_string());
        }
        for (letter, values) in [
            ('D', &package.depends),
            ('p', &package.provides),
            ('i', &package.install_if),
        ] {
            if !values.is_empty() {
                line(letter, &values.join(" "));
            }
        }
        text
    }
}

/// Returns the text of an index of `packages`: their stanzas in this order, each ended by an
/// empty line.
pub fn index_text<'a>(packages: impl IntoIterator<Item = &'a Package>) -> String {
    let mut text = String::new();
    for package in packages {
        text.push_str(&package.stanza());
        text.push('\n');
    }
    text
}

/// Returns an `APKINDEX.tar.gz` with this text and these signatures; none for an unsigned one.
pub fn index_archive(
    text: &str,
    description: &str,
    signatures: &[(&SigningKey, Algorithm)],
) -> Vec<u8> {
    index_archive_at(Member::MTIME, text, description, signatures)
}

/// As [`index_archive`], made at that time, in seconds since 1970; 0 as of a tool that writes none.
pub fn index_archive_at(
    time: i64,
    text: &str,
    description: &str,
    signatures: &[(&SigningKey, Algorithm)],
) -> Vec<u8> {
    let members = [
        Member::file("DESCRIPTION", description).mtime(time),
        Member::file("APKINDEX", text).mtime(time),
    ];
    let unsigned = gzip(&Archive::of(Flavour::Posix, &members).ended());
    let mut bytes = sign(&unsigned, signatures);
    bytes.extend_from_slice(&unsigned);
    bytes
}
