//! Reads `.apk` packages of version 2, which is what Alpine's repositories hold.
//!
//! A package is three gzip members in a row: signatures, control and data. [`Package::open`]
//! reads the first two, which are small; [`Package::into_data`] streams the third. Every digest
//! that the format has is checked on the way:
//!
//! - [`Package::identity`], the SHA-1 of the compressed control member, is what an index vouches
//!   for; comparing the two is the caller's, who has the index;
//! - the control member holds the SHA-256 of the compressed data member;
//! - each file's header there holds the SHA-1 of its content, each symbolic link's that of its
//!   target.
//!
//! The tests are judged by GNU tar, by Python's `tarfile` and `zlib`, and by Alpine's own index.

mod data;
mod error;
mod script;

use std::io::{BufRead, Read as _};

pub use self::data::Data;
pub use self::error::PackageError;
pub use self::script::{Script, ScriptKind};
use crate::digest::Sha1;
use crate::entry::EntryKind;
use crate::gzip::Member;
use crate::key::Keyring;
use crate::limits::{MAX_SIGNATURE_MEMBERS, MAX_SIGNATURES};
use crate::pkginfo::PkgInfo;
use crate::signature::{self, MemberError, Signature, SignatureError, SmallMember, Vouched};
use crate::tar;

/// A package whose signatures and control member were read.
///
/// ```no_run
/// use prebake_apk::package::Package;
///
/// # let file: &[u8] = &[];
/// let package = Package::open(file)?;
/// println!("{} {}", package.info().name, package.identity().to_apk());
/// let mut data = package.into_data();
/// while let Some(entry) = data.next()? {
///     println!("{}", entry.path);
/// }
/// # Ok::<(), prebake_apk::package::PackageError>(())
/// ```
#[derive(Debug)]
pub struct Package<R> {
    reader: R,
    signatures: Vec<Signature>,
    control: Vec<u8>,
    identity: Sha1,
    info: PkgInfo,
    scripts: Vec<Script>,
}

impl<R: BufRead> Package<R> {
    /// Reads the package that `reader` holds, up to its data.
    ///
    /// `reader` should have a large buffer (64 KiB or more), and must end where the package does.
    pub fn open(mut reader: R) -> Result<Self, PackageError> {
        let mut signatures = Vec::new();
        let mut members = 0;
        let control = loop {
            let member = SmallMember::read(&mut reader).map_err(PackageError::Control)?;
            let Some(more) = member.signatures().map_err(PackageError::Control)? else {
                break member;
            };
            signatures.extend(more);
            members += 1;
            if members > MAX_SIGNATURE_MEMBERS {
                return Err(PackageError::Control(MemberError::TooManyMembers));
            }
            if signatures.len() > MAX_SIGNATURES {
                return Err(PackageError::Control(MemberError::TooManySignatures));
            }
        };
        let (info, scripts) = read_control(&control.archive)?;
        if info.data_hash.is_none() {
            return Err(PackageError::NoDataHash);
        }
        Ok(Self {
            reader,
            signatures,
            identity: Sha1::of(&control.compressed),
            control: control.compressed,
            info,
            scripts,
        })
    }

    /// Returns the package's identity: the SHA-1 of its compressed control member, which an
    /// index has as `C:`.
    pub fn identity(&self) -> Sha1 {
        self.identity
    }

    /// Returns the signatures, in the order of the file; none if the package is not signed.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Returns what the signatures are over: the compressed control member.
    pub fn signed_bytes(&self) -> &[u8] {
        &self.control
    }

    /// Checks the package's own signature. A package that came through a signed index is vouched
    /// for by its identity, and needs none.
    pub fn verify<'a>(&'a self, keys: &'a Keyring) -> Result<Vouched<'a>, SignatureError> {
        signature::verify(&self.signatures, keys, &self.control)
    }

    /// Returns what the package says about itself.
    pub fn info(&self) -> &PkgInfo {
        &self.info
    }

    /// Returns the package's scripts, in the order of the file.
    pub fn scripts(&self) -> &[Script] {
        &self.scripts
    }

    /// Goes on to the data, which is checked as it is read.
    pub fn into_data(self) -> Data<R> {
        // `open` refuses a package without a data hash.
        Data::new(self.reader, self.info.data_hash)
    }

    /// Goes on to the data's uncompressed archive as such, in which an entry's `offset` counts.
    ///
    /// Nothing but gzip's own CRC is checked here. It is for reading the contents of a package
    /// again that [`Package::into_data`] has checked, by somebody who compares each with its
    /// checksum.
    pub fn into_data_archive(self) -> Member<R, ()> {
        Member::new(self.reader, ())
    }
}

/// Reads the control archive.
fn read_control(archive: &[u8]) -> Result<(PkgInfo, Vec<Script>), PackageError> {
    let fail = |source| PackageError::Control(MemberError::Tar(source));
    let mut archive = tar::Reader::new(archive);
    let mut info = None;
    let mut scripts: Vec<Script> = Vec::new();
    while let Some(entry) = archive.next().map_err(fail)? {
        let twice = || PackageError::ControlTwice {
            name: entry.path.to_string(),
        };
        let kind = match entry.path.as_bytes() {
            b".PKGINFO" if info.is_some() => return Err(twice()),
            b".PKGINFO" => None,
            [b'.', name @ ..] => match ScriptKind::from_name(name) {
                Some(kind) if scripts.iter().any(|script| script.kind == kind) => {
                    return Err(twice());
                }
                Some(kind) => Some(kind),
                // apk ignores what it does not know, so that abuild can add to it.
                None => continue,
            },
            _ => continue,
        };
        if entry.kind != EntryKind::File {
            return Err(PackageError::ControlNoFile {
                name: entry.path.to_string(),
            });
        }
        let mut bytes = Vec::new();
        archive
            .read_to_end(&mut bytes)
            .map_err(|source| PackageError::Control(MemberError::Gzip(source)))?;
        match kind {
            None => info = Some(PkgInfo::parse(&bytes).map_err(PackageError::Info)?),
            Some(kind) => scripts.push(Script {
                kind,
                bytes,
                mode: entry.mode,
                mtime: entry.mtime,
            }),
        }
    }
    Ok((info.ok_or(PackageError::NoInfo)?, scripts))
}
