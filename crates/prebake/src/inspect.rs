//! What is in a file: a package, an index or a rootfs.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use fs_err::File;
use prebake_apk::digest::Sha1;
use prebake_apk::entry::Entry;
use prebake_apk::gzip::Member;
use prebake_apk::index::Index;
use prebake_apk::package::{Package, ScriptKind};
use prebake_apk::pkginfo::PkgInfo;
use prebake_apk::signature::open_unchecked_index;
use prebake_apk::tar;
use prebake_image::ZSTD_MAGIC;

use crate::blobs::READ_BUFFER;
use crate::error::Error;
use crate::host_file;
use crate::repositories::MAX_INDEX_BYTES;
use crate::rootfs_file::RootfsFile;

/// What a file is and what is in it.
#[derive(Debug)]
pub enum Inspection {
    /// An `.apk`. All of its own digests were checked; its signatures were not.
    Package(Box<InspectedPackage>),
    /// An `APKINDEX.tar.gz`. Its signature was not checked.
    Index {
        /// What the repository calls it.
        description: String,
        /// The file names of the keys that signed it.
        signed_by: Vec<String>,
        /// Its packages.
        index: Index,
    },
    /// A root filesystem.
    Rootfs(Box<RootfsFile>),
}

/// A package, read whole.
#[derive(Debug)]
pub struct InspectedPackage {
    /// What it says of itself.
    pub info: PkgInfo,
    /// What an index knows it by.
    pub identity: Sha1,
    /// The file names of the keys that signed it.
    pub signed_by: Vec<String>,
    /// Its scripts.
    pub scripts: Vec<ScriptKind>,
    /// Its files, in the archive's order.
    pub entries: Vec<Entry>,
}

/// The kinds of files that are told apart by how they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Package,
    Index,
    Rootfs,
}

/// Finds out what the file `path` is and reads it.
pub fn inspect(path: &Path) -> Result<Inspection, Error> {
    let bad = |what: String| Error::NotKnown {
        path: path.to_owned(),
        what,
    };
    match kind(path)? {
        Kind::Package => {
            let reader = open(path)?;
            let fail = |source| Error::Package {
                package: path.display().to_string(),
                url: path.display().to_string(),
                source,
            };
            let package = Package::open(reader).map_err(fail)?;
            let info = package.info().clone();
            let identity = package.identity();
            let signed_by = package
                .signatures()
                .iter()
                .map(|one| one.key_name.clone())
                .collect();
            let scripts = package.scripts().iter().map(|script| script.kind).collect();
            let mut data = package.into_data();
            let mut entries = Vec::new();
            while let Some(entry) = data.next().map_err(fail)? {
                entries.push(entry);
            }
            Ok(Inspection::Package(Box::new(InspectedPackage {
                info,
                identity,
                signed_by,
                scripts,
                entries,
            })))
        }
        Kind::Index => {
            let bytes = host_file::read(path, MAX_INDEX_BYTES)
                .map_err(|source| read_error(path, source))?;
            let read = open_unchecked_index(&bytes).map_err(|source| Error::Index {
                url: path.display().to_string(),
                source,
            })?;
            let index = Index::parse(read.index_text).map_err(|source| Error::IndexText {
                url: path.display().to_string(),
                source,
            })?;
            let description = String::from_utf8_lossy(read.description.trim_ascii()).into_owned();
            let signed_by = read
                .signatures
                .iter()
                .map(|one| one.key_name.clone())
                .collect();
            Ok(Inspection::Index {
                description,
                signed_by,
                index,
            })
        }
        Kind::Rootfs => {
            let rootfs = RootfsFile::read(path)?;
            if rootfs.tree.is_empty() {
                return Err(bad("an empty archive".to_owned()));
            }
            Ok(Inspection::Rootfs(Box::new(rootfs)))
        }
    }
}

/// Refuses a file that is something else than a rootfs.
pub(crate) fn expect_rootfs(path: &Path) -> Result<(), Error> {
    let what = match kind(path) {
        Ok(Kind::Rootfs) => return Ok(()),
        Ok(Kind::Package) => "a package, and no rootfs".to_owned(),
        Ok(Kind::Index) => "an index, and no rootfs".to_owned(),
        Err(Error::NotKnown { what, .. }) => what,
        Err(error) => return Err(error),
    };
    let path = path.to_owned();
    Err(Error::NotRootfs { path, what })
}

fn read_error(path: &Path, source: io::Error) -> Error {
    Error::ReadFile {
        what: "the file",
        path: path.to_owned(),
        source,
    }
}

/// Opens a file with a buffer that suits the readers of archives.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>, Error> {
    let file = File::open(path).map_err(|source| read_error(path, source))?;
    Ok(BufReader::with_capacity(READ_BUFFER, file))
}

/// Tells by a file's beginning what it is.
fn kind(path: &Path) -> Result<Kind, Error> {
    let bad = |what: &str| Error::NotKnown {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let mut reader = open(path)?;
    let start = reader
        .fill_buf()
        .map_err(|source| read_error(path, source))?;
    match start {
        [] => return Err(bad("empty")),
        [b'A', b'D', b'B', ..] => {
            return Err(bad("an apk 3 file, which this prebake does not read"));
        }
        [0x1f, 0x8b, ..] => {}
        start if start.starts_with(&ZSTD_MAGIC) => return Ok(Kind::Rootfs),
        _ => {
            return Err(bad(
                "no .apk, no APKINDEX.tar.gz and no rootfs (.tar.gz, .tar.zst)",
            ));
        }
    }
    // A package's and a signed index's first member holds signatures only; what they are the
    // next one tells.
    let mut signed = false;
    loop {
        let name = first_name(&mut reader).map_err(|source| Error::Base {
            url: path.display().to_string(),
            source,
        })?;
        return Ok(match name.as_deref() {
            Some(name) if name.starts_with(b".SIGN.") && !signed => {
                signed = true;
                continue;
            }
            Some(b".PKGINFO") => Kind::Package,
            Some(b"DESCRIPTION" | b"APKINDEX") => Kind::Index,
            _ if signed => return Err(bad("signed, but neither a package nor an index")),
            _ => Kind::Rootfs,
        });
    }
}

/// Returns the name of the first entry of the gzip member that comes next. A member that holds
/// signatures is read to its end.
fn first_name(reader: &mut BufReader<File>) -> Result<Option<Vec<u8>>, tar::TarError> {
    let mut member = Member::new(reader, ());
    let mut archive = tar::Reader::new(&mut member);
    let Some(entry) = archive.next()? else {
        return Ok(None);
    };
    let name = entry.path.as_bytes().to_vec();
    if name.starts_with(b".SIGN.") {
        // Bounded: signatures take kilobytes.
        let _ = io::copy(&mut (&mut member).take(1 << 20), &mut io::sink());
    }
    Ok(Some(name))
}

/// Undoes the compression of a whole file.
pub(crate) fn decoded(path: &Path) -> Result<Box<dyn io::Read>, Error> {
    prebake_image::decode(open(path)?).map_err(|source| read_error(path, source))
}
