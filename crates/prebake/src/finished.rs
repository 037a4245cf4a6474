//! What is remembered of outputs: how to put one together again, and which file is still current.
//!
//! Three kinds of entries, each sealed (see [`seal`](crate::seal)) and each one that may be lost:
//!
//! | entry | under | holds |
//! |---|---|---|
//! | stream | the digest of all that a tar stream depends on | its SHA-256: the identity |
//! | assembly | all that an output depends on: see [`Finished::wish`] | the segments that it is made of, and what a build says of it |
//! | stamp | an output's path | which assembly was written there, and what the file then looked like |

use std::path::Path;
use std::time::{Duration, SystemTime};

use prebake_apk::digest::Sha256;
use prebake_apk::package::ScriptKind;
use prebake_apk::path::GuestPath;
use prebake_image::Store;
use prebake_image::archive::Assembly;
use prebake_image::encoding::Encoding;
use prebake_rootfs::merge::Script;

use crate::fields::{Fields, list, number, text};
use crate::lock::{Lock, LockedRootfs};
use crate::recipe::Recipe;
use crate::seal::Sealed;

/// What a build says of an output without looking at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    /// The SHA-256 of the file.
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
    pub(crate) uncompressed_size: u64,
    /// Names and versions, by name.
    pub(crate) packages: Vec<(String, String)>,
    pub(crate) scripts_run: Vec<Script>,
    pub(crate) scripts_not_run: Vec<Script>,
    pub(crate) new_files: Vec<GuestPath>,
    pub(crate) warnings: Vec<String>,
    /// The segments that it is made of; `None` where they are not kept.
    pub(crate) segments: Option<Vec<(Sha256, u64)>>,
}

impl Finished {
    /// Returns the digest of all that an output depends on: what the lock says of the rootfs, its
    /// identity with it; what the recipe lets pass that a bake would else refuse; how it is encoded;
    /// and the version of prebake.
    pub(crate) fn wish(recipe: &Recipe, locked: &LockedRootfs, encoding: Encoding) -> Sha256 {
        let lock = Lock {
            // What the recipe says is in the identity where it is in the rootfs.
            recipe: Sha256::new([0; 32]),
            rootfs: vec![locked.clone()],
        };
        let version = env!("CARGO_PKG_VERSION");
        let unusual: Vec<_> = recipe.unusual.iter().map(|name| &name.value).collect();
        let text = format!(
            "prebake {version}\n{}\n{unusual:?}\n{}",
            encoding.name(),
            lock.to_text()
        );
        Sha256::of(text.as_bytes())
    }

    /// Returns what is remembered of the output that `wish` is the digest for.
    pub(crate) fn read(sealed: &Sealed, wish: &Sha256) -> Option<Self> {
        Self::parse(&sealed.get(&format!("assembly {wish}"))?)
    }

    /// Reads it from its bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let finished = Self {
            sha256: fields.digest()?,
            size: fields.number()?,
            uncompressed_size: fields.number()?,
            packages: fields.list(|fields| Some((fields.text()?, fields.text()?)))?,
            scripts_run: fields.list(script)?,
            scripts_not_run: fields.list(script)?,
            new_files: fields.list(|fields| GuestPath::from_relative(fields.bytes()?).ok())?,
            warnings: fields.list(Fields::text)?,
            segments: match fields.number()? {
                0 => None,
                _ => Some(fields.list(|fields| Some((fields.digest()?, fields.number()?)))?),
            },
        };
        fields.is_done().then_some(finished)
    }

    /// Remembers it.
    pub(crate) fn write(&self, sealed: &Sealed, wish: &Sha256) {
        sealed.put(&format!("assembly {wish}"), &self.to_bytes());
    }

    /// Returns its bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(self.sha256.as_bytes());
        number(&mut out, self.size);
        number(&mut out, self.uncompressed_size);
        list(&mut out, &self.packages, |out, (name, version)| {
            text(out, name.as_bytes());
            text(out, version.as_bytes());
        });
        for scripts in [&self.scripts_run, &self.scripts_not_run] {
            list(&mut out, scripts, |out, script| {
                text(out, script.package.as_bytes());
                text(out, script.kind.name().as_bytes());
            });
        }
        list(&mut out, &self.new_files, |out, path| {
            text(out, path.as_bytes());
        });
        list(&mut out, &self.warnings, |out, warning| {
            text(out, warning.as_bytes());
        });
        number(&mut out, u64::from(self.segments.is_some()));
        if let Some(segments) = &self.segments {
            list(&mut out, segments, |out, (key, length)| {
                out.extend_from_slice(key.as_bytes());
                number(out, *length);
            });
        }
        out
    }

    /// Returns how to put the output together from what is kept.
    pub(crate) fn assembly(&self, encoding: Encoding) -> Option<Assembly> {
        Some(Assembly {
            encoding,
            segments: self.segments.clone()?,
        })
    }
}

fn script(fields: &mut Fields<'_>) -> Option<Script> {
    Some(Script {
        package: fields.text()?,
        kind: ScriptKind::from_name(fields.bytes()?)?,
    })
}

/// Remembers that the file at `path` is what `wish` is the digest for.
pub(crate) fn stamp(sealed: &Sealed, path: &Path, wish: &Sha256) {
    if let (Some(name), Some(looks)) = (stamp_name(path), looks(path)) {
        sealed.put(&name, &[&wish.as_bytes()[..], &looks].concat());
    }
}

/// Says whether the file at `path` is what `wish` is the digest for, as far as can be told without
/// reading it.
pub(crate) fn is_current(sealed: &Sealed, path: &Path, wish: &Sha256) -> bool {
    let current = || {
        let looks = looks(path)?;
        let stamped = sealed.get(&stamp_name(path)?)?;
        Some(stamped == [&wish.as_bytes()[..], &looks].concat())
    };
    current().unwrap_or(false)
}

fn stamp_name(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let digest = Sha256::of(path.as_os_str().as_encoded_bytes());
    Some(format!("stamp {digest}"))
}

/// Returns what tells a file from the one that is there after anybody wrote to it or put another
/// one in its place: on Unix also what nobody can set back, the time of its last change of state.
fn looks(path: &Path) -> Option<Vec<u8>> {
    let found = fs_err::symlink_metadata(path).ok()?;
    if !found.is_file() {
        return None;
    }
    let mut out = Vec::new();
    number(&mut out, found.len());
    for time in [found.modified().ok(), found.created().ok()] {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
        let time = time.and_then(since).unwrap_or(Duration::ZERO);
        out.extend_from_slice(&time.as_nanos().to_le_bytes());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        number(&mut out, found.dev());
        number(&mut out, found.ino());
        out.extend_from_slice(&found.ctime().to_le_bytes());
        out.extend_from_slice(&found.ctime_nsec().to_le_bytes());
    }
    Some(out)
}

/// Returns the identity of the stream that depends on what `key` is the digest of, if it was
/// hashed before.
pub(crate) fn identity(sealed: &Sealed, key: &Sha256) -> Option<Sha256> {
    let bytes = sealed.get(&format!("stream {key}"))?;
    Some(Sha256::new(bytes.try_into().ok()?))
}

/// Remembers the identity of a stream that was hashed.
pub(crate) fn set_identity(sealed: &Sealed, key: &Sha256, identity: &Sha256) {
    sealed.put(&format!("stream {key}"), identity.as_bytes());
}
