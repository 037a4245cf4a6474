//! The indexes that packages are chosen from: fetched, checked against the trusted keys, read.

use prebake_apk::index::Index;
use prebake_apk::signature::open_signed_index;
use prebake_fetch::{Blob, Kind as FetchKind, Wanted};
use prebake_rootfs::merge::Base;

use crate::context::Context;
use crate::error::Error;
use crate::lock::{LockedIndex, LockedRootfs};
use crate::places::Place;
use crate::recipe::Recipe;
use crate::{keep, keys};

/// The largest compressed index that is taken, in bytes. Alpine's largest has 2 MB.
pub const MAX_INDEX_BYTES: u64 = 64 << 20;

/// An index that was fetched and checked.
pub(crate) struct Opened {
    pub(crate) locked: LockedIndex,
    pub(crate) index: Index,
}

/// Which indexes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment<'a> {
    /// The ones that the lock names.
    Locked,
    /// The current ones; but packages of the lock stay at their versions, those named excepted.
    Held(&'a [String]),
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
    /// Fetches, checks and reads every index. `None` where those of the lock are asked for and
    /// can no longer be had.
    pub(crate) fn open(&self, moment: Moment<'_>) -> Result<Option<Vec<Opened>>, Error> {
        let mut wishes = Vec::new();
        for place in self.places {
            let url = place.index();
            let pin = match (moment, self.locked(&url)) {
                (Moment::Locked, Some(locked)) => Some(locked.sha256),
                (Moment::Locked, None) => return Ok(None),
                (Moment::Held(_) | Moment::Current, _) => None,
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
            opened.push(self.open_one(place, &fetched.blob, moment)?);
        }
        Ok(Some(opened))
    }

    fn locked(&self, url: &str) -> Option<&LockedIndex> {
        let before = self.before?;
        before.indexes.iter().find(|index| index.url == url)
    }

    fn open_one(
        &self,
        place: &Place<'_>,
        blob: &Blob,
        moment: Moment<'_>,
    ) -> Result<Opened, Error> {
        let url = place.index();
        let (description, key, mut text) = self.checked(place, &url, blob)?;
        if let (Moment::Held(moving), Some(before)) = (moment, self.before) {
            let old = self
                .locked(&url)
                .map(|locked| self.locked_text(place, locked));
            text = keep::versions(&text, old.transpose()?.as_deref(), before, moving);
        }
        let index = Index::parse(text).map_err(|source| Error::IndexText {
            url: url.clone(),
            source,
        })?;
        let (size, sha256) = (blob.size(), blob.sha256());
        let locked = LockedIndex {
            url,
            description,
            size,
            sha256,
            key,
        };
        Ok(Opened { locked, index })
    }

    /// Checks an index; returns its description, its key's fingerprint, and its text.
    fn checked(
        &self,
        place: &Place<'_>,
        url: &str,
        blob: &Blob,
    ) -> Result<(String, prebake_apk::digest::Sha256, Vec<u8>), Error> {
        let keys = keys::keyring(&self.base.keys, &self.recipe.base.keys, place.keys)?;
        let bytes = blob.read_verified(MAX_INDEX_BYTES).map_err(Error::Cache)?;
        let signed = open_signed_index(&bytes, &keys).map_err(|source| Error::Index {
            url: url.to_owned(),
            source,
        })?;
        let description = String::from_utf8_lossy(signed.description.trim_ascii()).into_owned();
        Ok((description, signed.fingerprint, signed.index_text))
    }

    /// Returns the text of an index that the lock names, to take held packages from.
    fn locked_text(&self, place: &Place<'_>, locked: &LockedIndex) -> Result<Vec<u8>, Error> {
        let wanted = Wanted::new(short_name(&locked.url), locked.url.clone());
        let fetched = self.context.fetch(&[Wanted {
            urls: self.recipe.everywhere(&locked.url),
            sha256: Some(locked.sha256),
            limit: MAX_INDEX_BYTES,
            ..wanted
        }]);
        let fetched = match fetched {
            Err(Error::Fetch(error)) if is_gone(error.kind()) => {
                let (url, source) = (locked.url.clone(), error);
                return Err(Error::LockedIndexGone { url, source });
            }
            other => other?,
        };
        let blob = fetched.into_iter().next().map(|fetched| fetched.blob);
        let blob = blob.ok_or(Error::Interrupted)?;
        Ok(self.checked(place, &locked.url, &blob)?.2)
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
