//! What the fuzz targets found, a test each.

use std::error::Error;

use prebake_apk::dependency::Dependency;
use prebake_apk::digest::{Sha1, Sha256};
use prebake_apk::index::Index;
use prebake_apk::installed::Installed;
use prebake_apk::path::GuestPath;
use prebake_apk::signature::SignatureError;
use prebake_apk::version::Dialect;
use prebake_apk::{scripts, tar};
use prebake_testkit::archive::{Archive, Flavour};
use prebake_testkit::member::Member;

/// An error and its causes, as they are shown.
fn said(error: &dyn Error) -> String {
    let cause = error.source().map(said).unwrap_or_default();
    format!("{error}: {cause}")
}

fn refused(archive: &[u8]) -> String {
    let mut reader = tar::Reader::new(archive);
    loop {
        match reader.next() {
            Ok(entry) => assert!(entry.is_some(), "nothing was refused"),
            Err(error) => return said(&error),
        }
    }
}

/// Clears a screen, turns a line round, and fills the rest.
fn wild() -> String {
    format!("\u{1b}[2J\u{9b}2J\u{202e}{}", "x".repeat(5000))
}

#[test]
fn what_an_error_quotes_steers_no_terminal_and_fills_no_screen() {
    let wild = wild();
    let of = |member: &Member| refused(&Archive::of(Flavour::Posix, [member]).ended());
    let text = wild.as_bytes();
    let entry = format!("{wild}.Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=");
    let script = Archive::of(Flavour::Gnu, [&Member::file(&entry[..60], "")]).ended();
    let stanza = format!("C:{wild}\nP:a\n");
    let installed = b"C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=\nP:a\nV:1\nM\x1b:\n\x1b";
    let signed = SignatureError::UnknownKey {
        wanted: vec![wild.clone(); 60],
    };
    for said in [
        of(&Member::file(&wild, "")),
        of(&Member::hardlink("a", &wild)),
        of(&Member::file("a", "").pax("APK-TOOLS.checksum.SHA1", text)),
        of(&Member::file("a", "").pax("size", text)),
        of(&Member::file("a", "")
            .pax(&format!("SCHILY.xattr.{wild}"), "1")
            .pax(&format!("SCHILY.xattr.{wild}"), "2")),
        said(&scripts::parse(&script).unwrap_err()),
        said(&Index::parse(stanza.into_bytes()).unwrap_err()),
        said(&Installed::parse(installed).unwrap_err()),
        said(&Installed::parse(b"\x1b:").unwrap_err()),
        said(&Dependency::parse(&format!("a={wild}"), Dialect::V2).unwrap_err()),
        said(&Sha1::from_apk(text).unwrap_err()),
        said(&wild.parse::<Sha256>().unwrap_err()),
        said(&signed),
    ] {
        assert!(!said.contains(char::is_control), "{said:?}");
        assert!(!said.contains('\u{202e}'), "{said:?}");
        assert!(said.len() < 5000, "{} bytes", said.len());
    }
    let turned = GuestPath::from_relative("a\u{202e}b".as_bytes()).unwrap();
    assert_eq!(turned.to_string(), "/a\\u{202e}b");
}

#[test]
fn a_size_that_no_block_count_holds_is_refused() {
    for size in [u64::MAX, u64::MAX - 511, 1 << 63] {
        let member = Member::file("a", "").pax("size", size.to_string());
        refused(&Archive::of(Flavour::Posix, [&member]).ended());
    }
}
