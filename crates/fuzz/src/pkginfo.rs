//! `.PKGINFO`: what is read of it is written and read again, and it gets through the database of
//! installed packages unharmed.

use std::fmt::Write as _;

use prebake_apk::digest::Sha1;
use prebake_apk::index::Index;
use prebake_apk::installed::{Installed, InstalledPackage, Stanza};
use prebake_apk::pkginfo::{PkgInfo, PkgInfoError};
use prebake_apk::version::Dialect;

use crate::tame::{assert_tame, tame};

/// Reads a description.
pub(crate) fn pkginfo(data: &[u8]) {
    match PkgInfo::parse(data) {
        Ok(info) => hold(&info),
        Err(error) => refused(&error, data),
    }
}

/// Holds a refusal to naming a line that is there.
pub(crate) fn refused(error: &PkgInfoError, text: &[u8]) {
    tame(error);
    if let PkgInfoError::Text { line } | PkgInfoError::Value { line, .. } = error {
        let lines = text.split(|byte| *byte == b'\n').count();
        assert!((1..=lines).contains(line), "{error} of {lines}");
    }
}

/// Holds a description to what is promised of one.
pub(crate) fn hold(info: &PkgInfo) {
    let part = |text: &str| {
        assert!(!text.contains(|c: char| c == '/' || c.is_whitespace()));
        assert!(text != "." && text != "..");
    };
    part(&info.name);
    part(&info.version);
    part(&info.arch);
    assert!(!info.name.is_empty() && !info.version.is_empty());
    for text in [&info.description, &info.url, &info.license] {
        assert_tame(&text.replace('\t', " "));
    }
    assert_eq!(PkgInfo::parse(write(info).as_bytes()).as_ref(), Ok(info));

    let stanza = Stanza::from_package(info, Sha1::of(b"control"), 7);
    assert_eq!(Stanza::parse(&stanza.to_text()).as_ref(), Some(&stanza));
    let installed = Installed {
        packages: vec![InstalledPackage {
            stanza: stanza.clone(),
            directories: Vec::new(),
        }],
    };
    let text = installed.to_text(Dialect::V3);
    let again = Installed::parse(&text).expect("what a package says fits the database");
    assert_eq!(again, installed);
    let index = Index::parse(stanza.to_text()).expect("what a package says fits an index");
    let found = index.get(0).expect("the package is there");
    assert_eq!(index.len(), 1);
    assert_eq!(
        (found.name(), found.version()),
        (&*info.name, &*info.version)
    );
    assert_eq!(found.depends(), info.depends.join(" "));
}

fn write(info: &PkgInfo) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key} = {value}").expect("a String takes whatever is written");
    };
    line("pkgname", &info.name);
    line("pkgver", &info.version);
    line("pkgdesc", &info.description);
    line("url", &info.url);
    line("builddate", &info.build_date.to_string());
    line("size", &info.installed_size.to_string());
    if !info.arch.is_empty() {
        line("arch", &info.arch);
    }
    for (key, value) in [
        ("origin", &info.origin),
        ("commit", &info.commit),
        ("maintainer", &info.maintainer),
    ] {
        if let Some(value) = value {
            line(key, value);
        }
    }
    line("license", &info.license);
    for (key, values) in [
        ("depend", &info.depends),
        ("provides", &info.provides),
        ("replaces", &info.replaces),
        ("install_if", &info.install_if),
        ("triggers", &info.triggers),
    ] {
        for value in values {
            line(key, value);
        }
    }
    line("replaces_priority", &info.replaces_priority.to_string());
    line("provider_priority", &info.provider_priority.to_string());
    if let Some(hash) = &info.data_hash {
        line("datahash", &hash.to_string());
    }
    text
}
