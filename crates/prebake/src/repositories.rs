//! The indexes that packages are chosen from: fetched, checked against the trusted keys, read.

use prebake_apk::index::Index;
use prebake_apk::signature::open_signed_index;
use prebake_fetch::{Blob, Kind as FetchKind, Wanted};
use prebake_rootfs::merge::Base;

use crate::context::Context;
use crate::error::Error;
use crate::keep::{self, Held};
use crate::keys;
use crate::lock::{LockedIndex, LockedRootfs};
use crate::places::Place;
use crate::recipe::Recipe;

/// The largest compressed index that is taken, in bytes. Alpine's largest has 2 MB.
pub const MAX_INDEX_BYTES: u64 = 64 << 20;

/// An index that was fetched and checked.
pub(crate) struct Opened {
    pub(crate) locked: LockedIndex,
    pub(crate) index: Index,
}

/// Which indexes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The ones that the lock names.
    Locked,
    /// The current ones.
    Current,
}

/// A recipe's repositories for one architecture.
pub(crate) struct Repositories<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) places: &'a [Place<'a>],
    pub(crate) before: Option<&'a LockedRootfs>,
    pub(crate) base: &'a Base,
    pub(crate) context: &'a Context,
}

impl Repositories<'_> {
    /// Fetches, checks and reads every index, and puts `held` packages into it in place of its own
    /// of their names. `None` where the lock's are asked for and can no longer be had.
    pub(crate) fn open(&self, moment: Moment, held: &[Held]) -> Result<Option<Vec<Opened>>, Error> {
        let mut wishes = Vec::new();
        for place in self.places {
            let url = place.index();
            let pin = match (moment, self.locked(&url)) {
                (Moment::Locked, Some(locked)) => Some(locked.sha256),
                (Moment::Locked, None) => return Ok(None),
                (Moment::Current, _) => None,
            };
            let wanted = Wanted::new(short_name(&url), url.clone());
            wishes.push(Wanted {
                urls: self.recipe.everywhere(&url),
                sha256: pin,
                limit: MAX_INDEX_BYTES,
                ..wanted
            });
        }
        let fetched = match self.context.fetch(&wishes) {
            // The mirrors moved on and the cache was cleared.
            Err(Error::Fetch(error)) if moment == Moment::Locked && is_gone(error.kind()) => {
                return Ok(None);
            }
            other => other?,
        };
        let mut opened = Vec::new();
        for (place, fetched) in self.places.iter().zip(fetched) {
            opened.push(self.open_one(place, &fetched.blob, held)?);
        }
        Ok(Some(opened))
    }

    fn locked(&self, url: &str) -> Option<&LockedIndex> {
        let before = self.before?;
        before.indexes.iter().find(|index| index.url == url)
    }

    fn open_one(&self, place: &Place<'_>, blob: &Blob, held: &[Held]) -> Result<Opened, Error> {
        let url = place.index();
        let keys = keys::keyring(&self.base.keys, &self.recipe.base.keys, place.keys)?;
        let bytes = blob.read_verified(MAX_INDEX_BYTES).map_err(Error::Cache)?;
        let signed = open_signed_index(&bytes, &keys).map_err(|source| Error::Index {
            url: url.clone(),
            source,
        })?;
        let text = if held.is_empty() {
            signed.index_text
        } else {
            keep::versions(&signed.index_text, &place.folder, held)
        };
        let index = Index::parse(text).map_err(|source| Error::IndexText {
            url: url.clone(),
            source,
        })?;
        let locked = LockedIndex {
            url,
            description: String::from_utf8_lossy(signed.description.trim_ascii()).into_owned(),
            size: blob.size(),
            sha256: blob.sha256(),
            key: signed.fingerprint,
        };
        Ok(Opened { locked, index })
    }
}

/// Says whether a pinned file failed because what is there now is something else, or nothing.
fn is_gone(kind: FetchKind) -> bool {
    matches!(kind, FetchKind::Integrity | FetchKind::NotFound)
}

/// Returns the last parts of an index's URL: every repository's has the same last one.
fn short_name(url: &str) -> String {
    let mut parts: Vec<_> = url.rsplit('/').take(3).collect();
    parts.reverse();
    parts.join("/")
}
