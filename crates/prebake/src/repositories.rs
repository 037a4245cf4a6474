//! The indexes that packages are chosen from: fetched, checked against the trusted keys, read.
//!
//! An index that was read before has a parsed form in the cache, which is enough to choose by
//! ([`prebake_apk::index`]). Nothing is taken by its word alone: what was chosen is looked up in
//! the signed index itself ([`Repositories::settle`]), beside the fetching of packages.

use prebake_apk::index::{Index, Origin};
use prebake_apk::key::Keyring;
use prebake_apk::signature::open_signed_index;
use prebake_apk::version::Dialect;
use prebake_fetch::{Blob, Kind as FetchKind, Wanted};
use prebake_rootfs::merge::Base;

use crate::context::Context;
use crate::error::Error;
use crate::keep::{self, Held};
use crate::keys;
use crate::lock::{LockedIndex, LockedRootfs};
use crate::places::Place;
use crate::recipe::Recipe;
use crate::timestamp::Timestamp;
use crate::world;

/// The largest compressed index that is taken, in bytes. Alpine's largest has 2 MB.
pub const MAX_INDEX_BYTES: u64 = 16 << 20;

/// The largest parsed form of an index that is read from the cache, in bytes. Those of Alpine's
/// largest index have 6 MB.
const MAX_PARSED_BYTES: u64 = 64 << 20;

/// An index that was fetched and checked.
pub(crate) struct Opened {
    pub(crate) locked: LockedIndex,
    pub(crate) index: Index,
    blob: Blob,
    /// Whether `index` is the parsed form from the cache, and not the signed index itself.
    is_parsed: bool,
    /// What the signed index says of itself, where no parsed form of it is in the cache.
    to_keep: Option<Origin>,
}

/// Whether the parsed forms of indexes may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Where there is one that is good.
    Parsed,
    /// No: every index is read from the signed file.
    Signed,
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
    /// Whether an index may be older than the lock's.
    pub(crate) may_be_older: bool,
    pub(crate) base: &'a Base,
    pub(crate) context: &'a Context,
}

impl Repositories<'_> {
    /// Fetches, checks and reads every index, and puts `held` packages into it in place of its own
    /// of their names. `None` where the lock's are asked for and can no longer be had.
    pub(crate) fn open(
        &self,
        moment: Moment,
        held: &[Held],
        reading: Reading,
    ) -> Result<Option<Vec<Opened>>, Error> {
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
        let fetched = match self.context.fetch(self.recipe, &wishes) {
            // The mirrors moved on and the cache was cleared.
            Err(Error::Fetch(error)) if moment == Moment::Locked && is_gone(error.kind()) => {
                return Ok(None);
            }
            other => other?,
        };
        let blobs: Vec<_> = fetched.into_iter().map(|fetched| fetched.blob).collect();
        let opened = self.in_parallel(blobs.iter(), |place, blob| {
            let opened = self.open_one(place, blob, held, reading)?;
            self.refuse_older(&opened)?;
            Ok(opened)
        });
        opened.map(Some)
    }

    /// Refuses an index that was made before the one of the lock: somebody plays back what a
    /// repository once said, to bring back what it has mended since, or a mirror lags behind.
    fn refuse_older(&self, opened: &Opened) -> Result<(), Error> {
        let found = &opened.locked;
        let Some(locked) = self.locked(&found.url).filter(|_| !self.may_be_older) else {
            return Ok(());
        };
        let Some(before) = locked.made else {
            return Ok(());
        };
        // One that no longer says when it was made could be of any age.
        if found.made.is_some_and(|made| made >= before) {
            return Ok(());
        }
        let said = |index: &LockedIndex| match (index.made, index.description.as_str()) {
            (Some(made), "") => made.to_string(),
            (Some(made), description) => format!("{made}, `{description}`"),
            (None, _) => "a time that it does not say".to_owned(),
        };
        Err(Error::OlderIndex {
            url: found.url.clone(),
            found: said(found),
            locked: said(locked),
        })
    }

    /// Does something for each place and what belongs to it, all at once. Of several errors the
    /// first place's is returned, whichever came first.
    fn in_parallel<I: Send, T: Send>(
        &self,
        items: impl Iterator<Item = I>,
        work: impl Fn(&Place<'_>, I) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        std::thread::scope(|scope| {
            let work = &work;
            let threads = self.places.iter().zip(items);
            let threads: Vec<_> = threads
                .map(|(place, item)| scope.spawn(move || work(place, item)))
                .collect();
            let results = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            results.collect()
        })
    }

    fn locked(&self, url: &str) -> Option<&LockedIndex> {
        let before = self.before?;
        before.indexes.iter().find(|index| index.url == url)
    }

    fn open_one(
        &self,
        place: &Place<'_>,
        blob: &Blob,
        held: &[Held],
        reading: Reading,
    ) -> Result<Opened, Error> {
        let keys = keys::keyring(&self.base.keys, &self.recipe.base.keys, place.keys)?;
        // The hash was checked when the blob was fetched, and the bytes are not wanted now.
        if held.is_empty()
            && reading == Reading::Parsed
            && let Some((index, origin)) = self.cached(blob, &keys)
        {
            return Ok(Opened {
                locked: locked(place, blob, &origin),
                index,
                blob: blob.clone(),
                is_parsed: true,
                to_keep: None,
            });
        }
        let bytes = blob.read_verified(MAX_INDEX_BYTES).map_err(Error::Cache)?;
        self.open_signed(place, blob, &bytes, &keys, held)
    }

    fn open_signed(
        &self,
        place: &Place<'_>,
        blob: &Blob,
        bytes: &[u8],
        keys: &Keyring,
        held: &[Held],
    ) -> Result<Opened, Error> {
        let url = place.index();
        let signed = open_signed_index(bytes, keys).map_err(|source| Error::Index {
            url: url.clone(),
            source,
        })?;
        let origin = Origin::of(&signed, blob.sha256());
        let text = if held.is_empty() {
            signed.index_text
        } else {
            keep::versions(&signed.index_text, &place.folder, held)
        };
        let index = Index::parse(text).map_err(|source| Error::IndexText { url, source })?;
        // It is wanted next, and here other indexes are read beside it.
        let _ = index.directory(self.dialect());
        Ok(Opened {
            locked: locked(place, blob, &origin),
            index,
            blob: blob.clone(),
            is_parsed: false,
            to_keep: held.is_empty().then_some(origin),
        })
    }

    fn dialect(&self) -> Dialect {
        world::dialect(self.base)
    }

    /// Returns the parsed form of an index, if it is good and one of the keys vouched for it.
    fn cached(&self, blob: &Blob, keys: &Keyring) -> Option<(Index, Origin)> {
        let cache = self.context.fetcher.cache();
        let name = self.parsed_name(blob);
        let bytes = cache.derived(&name, MAX_PARSED_BYTES)?;
        let Some(found) = Index::from_parsed(bytes, blob.sha256(), self.dialect()) else {
            cache.drop_derived(&name);
            return None;
        };
        // An index that these keys do not vouch for is opened, to say so.
        Some(found).filter(|(_, origin)| origin.is_trusted(keys))
    }

    /// Returns what the parsed form of an index is called in the cache: by all that it depends on.
    fn parsed_name(&self, blob: &Blob) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let dialect = self.dialect();
        format!("parsed index {} {dialect:?} {version}", blob.sha256())
    }

    /// Makes sure that the parsed forms that were chosen by are those of the signed indexes, and
    /// keeps those of the others. Returns the signed index for each that was a parsed form; `None`
    /// if one said anything else than its index, so that nothing that was chosen counts.
    pub(crate) fn settle(&self, opened: &[Opened]) -> Result<Option<Vec<Option<Opened>>>, Error> {
        let cache = self.context.fetcher.cache();
        let settled = self.in_parallel(opened.iter(), |place, opened| {
            let name = self.parsed_name(&opened.blob);
            if !opened.is_parsed {
                if let Some(origin) = &opened.to_keep
                    && let Some(bytes) = opened.index.to_parsed(origin, self.dialect())
                {
                    // A cache that cannot be written to is slower, and no more than that.
                    drop(cache.put_derived(&name, &bytes));
                }
                return Ok(Some(None));
            }
            let signed = self.open_one(place, &opened.blob, &[], Reading::Signed)?;
            if let Some(origin) = &signed.to_keep
                && opened.index.is_parsed_form_of(&signed.index, origin)
            {
                return Ok(Some(Some(signed)));
            }
            cache.drop_derived(&name);
            Ok(None)
        })?;
        Ok(settled.into_iter().collect())
    }
}

fn locked(place: &Place<'_>, blob: &Blob, origin: &Origin) -> LockedIndex {
    LockedIndex {
        made: origin.made.map(Timestamp::from_seconds),
        url: place.index(),
        description: String::from_utf8_lossy(origin.description.trim_ascii()).into_owned(),
        size: blob.size(),
        sha256: blob.sha256(),
        key: origin.fingerprint,
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
