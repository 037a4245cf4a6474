//! A locked package's file, opened: hashed first, and what fails is said with its name.

use std::io::{BufRead, BufReader};

use prebake_apk::digest::Sha256;
use prebake_apk::installed::Stanza;
use prebake_apk::package::{Package, PackageError};
use prebake_fetch::{Blob, VerifiedBlob};

use crate::blobs::READ_BUFFER;
use crate::error::Error;
use crate::lock::LockedPackage;

/// Opens a package's file after holding it against the lock's size and digest.
pub(crate) fn open(
    locked: &LockedPackage,
    blob: &Blob,
) -> Result<Package<BufReader<VerifiedBlob>>, Error> {
    let file = verified(&locked.url, blob, locked.size, &locked.sha256)?;
    Package::open(file).map_err(|source| failed(locked, source))
}

/// Returns the error of a package that does not hold what it must.
pub(crate) fn failed(locked: &LockedPackage, source: PackageError) -> Error {
    Error::Package {
        package: format!("{}-{}", locked.name, locked.version),
        url: locked.url.clone(),
        source,
    }
}

/// Returns what an index says of a package that nobody wrote anything else about.
pub(crate) fn own_stanza<R: BufRead>(locked: &LockedPackage, package: &Package<R>) -> Stanza {
    stanza_of(package, locked.size)
}

/// Returns what an index says of a package whose file has that size in bytes.
pub(crate) fn stanza_of<R: BufRead>(package: &Package<R>, size: u64) -> Stanza {
    Stanza::from_package(package.info(), package.identity(), size)
}

/// Reads a blob of up to `limit` bytes into memory, where it is hashed; `None` if it is not what is
/// pinned, or larger.
pub(crate) fn whole(
    blob: &Blob,
    size: u64,
    sha256: &Sha256,
    limit: u64,
) -> Result<Option<Vec<u8>>, Error> {
    if blob.sha256() != *sha256 || blob.size() > limit {
        return Ok(None);
    }
    let file = blob.read_verified(limit).map_err(Error::Cache)?;
    Ok((file.len() as u64 == size).then_some(file))
}

/// Opens a blob after hashing it, and holds it against what is pinned.
pub(crate) fn verified(
    url: &str,
    blob: &Blob,
    size: u64,
    sha256: &Sha256,
) -> Result<BufReader<VerifiedBlob>, Error> {
    let file = blob.open_verified().map_err(Error::Cache)?;
    let mismatch = |what, found: String, expected: String| Error::Mismatch {
        input: url.to_owned(),
        what,
        found,
        authority: "the lock",
        expected,
    };
    if file.sha256() != *sha256 {
        let (found, expected) = (file.sha256().to_string(), sha256.to_string());
        return Err(mismatch("the SHA-256", found, expected));
    }
    if file.size() != size {
        let (found, expected) = (file.size().to_string(), size.to_string());
        return Err(mismatch("the size", found, expected));
    }
    Ok(BufReader::with_capacity(READ_BUFFER, file))
}
