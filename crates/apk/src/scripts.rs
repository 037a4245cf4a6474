//! The scripts that installed packages keep, `lib/apk/db/scripts.tar`.
//!
//! A tar archive in GNU's old format: `<name>-<version>.<identity>.<kind>`, mode 0755, root's,
//! with the time of the package's build, two zero blocks at the end and no more padding. Packages
//! stand in the order in which apk holds them, a package's scripts in the order of
//! [`ScriptKind`]. All measured on apk 2.14.4, whose names end after 99 bytes.

use std::sync::Arc;

use crate::digest::Sha1;
use crate::package::ScriptKind;
use crate::shown::shown;

/// The scripts of one package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageScripts {
    /// The package's identity.
    pub identity: Sha1,
    /// `name-version`.
    pub label: Vec<u8>,
    /// The package's build time, in seconds since 1970.
    pub mtime: u64,
    /// The scripts' bytes by kind, in any order.
    pub scripts: Vec<(ScriptKind, Arc<[u8]>)>,
}

/// An archive of scripts that cannot be read; offsets are in bytes.
#[derive(Debug, thiserror::Error)]
pub enum ScriptsError {
    /// The archive ends within an entry, or a number in a header is none.
    #[error("the archive of scripts is damaged at byte {0}")]
    Damaged(usize),
    /// An entry's name does not say whose script it is.
    #[error("the archive of scripts has an entry of the strange name `{0}`")]
    Name(String),
}

/// A tar archive's unit, in bytes.
const BLOCK: usize = 512;
/// The longest name apk 2.14 leaves of a longer one: the field has 100 bytes and apk ends it
/// with a NUL.
const NAME_LENGTH: usize = 99;

/// Reads the archive: the scripts of each package, packages in the order of their first entry.
pub fn parse(archive: &[u8]) -> Result<Vec<PackageScripts>, ScriptsError> {
    let mut packages: Vec<PackageScripts> = Vec::new();
    let mut at = 0;
    while let Some(header) = archive.get(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let damaged = || ScriptsError::Damaged(at);
        let name = text_field(header, 0, 100).ok_or_else(damaged)?;
        let size = number_field(header, 124, 12).ok_or_else(damaged)?;
        let mtime = number_field(header, 136, 12).ok_or_else(damaged)?;
        let size = usize::try_from(size).map_err(|_| damaged())?;
        let begin = at + BLOCK;
        let end = begin.checked_add(size).ok_or_else(damaged)?;
        let content = archive.get(begin..end).ok_or_else(damaged)?;
        at = end.next_multiple_of(BLOCK);
        let Some((label, identity, kind)) = split_name(name) else {
            // What apk cut short belongs to nobody any more, for apk as well.
            if name.len() >= NAME_LENGTH {
                continue;
            }
            return Err(ScriptsError::Name(shown(name)));
        };
        let script = (kind, Arc::from(content));
        match packages.iter_mut().find(|p| p.identity == identity) {
            Some(package) => package.scripts.push(script),
            None => packages.push(PackageScripts {
                identity,
                label: label.to_vec(),
                mtime,
                scripts: vec![script],
            }),
        }
    }
    Ok(packages)
}

/// Returns the archive; `identity` writes an identity as this apk does (`Q1…` or `X1…`).
pub fn to_archive(packages: &[PackageScripts], identity: impl Fn(Sha1) -> String) -> Vec<u8> {
    let mut archive = Vec::new();
    for package in packages {
        for kind in ScriptKind::ALL {
            for (_, content) in package.scripts.iter().filter(|(own, _)| *own == kind) {
                let mut name = package.label.clone();
                let rest = format!(".{}.{}", identity(package.identity), kind.name());
                name.extend_from_slice(rest.as_bytes());
                name.truncate(NAME_LENGTH);
                archive.extend_from_slice(&header(&name, content.len(), package.mtime));
                archive.extend_from_slice(content);
                archive.resize(archive.len().next_multiple_of(BLOCK), 0);
            }
        }
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

fn header(name: &[u8], size: usize, mtime: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    put(&mut header, 0, name);
    put(&mut header, 100, b"0000755\0");
    put(&mut header, 108, b"0000000\0");
    put(&mut header, 116, b"0000000\0");
    // Twelve digits and no end: apk 2.14 fills the fields whole.
    put(&mut header, 124, format!("{size:012o}").as_bytes());
    put(&mut header, 136, format!("{mtime:012o}").as_bytes());
    put(&mut header, 148, b"        ");
    put(&mut header, 156, b"0");
    put(&mut header, 257, b"ustar  \0");
    put(&mut header, 265, b"root");
    put(&mut header, 297, b"root");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
    header
}

fn put(header: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (target, byte) in header.iter_mut().skip(at).zip(bytes) {
        *target = *byte;
    }
}

fn text_field(header: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    header.get(at..at + length)?.split(|byte| *byte == 0).next()
}

fn number_field(header: &[u8], at: usize, length: usize) -> Option<u64> {
    let digits = text_field(header, at, length)?;
    let digits = std::str::from_utf8(digits).ok()?.trim();
    u64::from_str_radix(digits, 8).ok()
}

/// Splits `<name>-<version>.<identity>.<kind>` from its end: base64 has no dot.
fn split_name(name: &[u8]) -> Option<(&[u8], Sha1, ScriptKind)> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let (rest, kind) = (name.get(..dot)?, name.get(dot + 1..)?);
    let dot = rest.iter().rposition(|byte| *byte == b'.')?;
    let (label, identity) = (rest.get(..dot)?, rest.get(dot + 1..)?);
    Some((
        label,
        Sha1::from_apk(identity).ok()?,
        ScriptKind::from_name(kind)?,
    ))
}
