//! What a fetch tells while it runs.

use std::time::Duration;

use crate::Origin;

/// Hears what happens. Items are numbered as in the slice that was given to
/// [`Fetcher::fetch`](crate::Fetcher::fetch); calls come from several threads at once.
pub trait Progress: Send + Sync {
    /// A fetch of `items` files begins; `bytes` is their sum where every size is known.
    fn begin(&self, items: usize, bytes: Option<u64>) {
        let _ = (items, bytes);
    }

    /// Work on an item begins. `size` is in bytes, where the caller knew it.
    fn start(&self, item: usize, label: &str, size: Option<u64>) {
        let _ = (item, label, size);
    }

    /// An item has `bytes` bytes now, of `size` where that is known. The number falls when a
    /// download has to start over.
    fn position(&self, item: usize, bytes: u64, size: Option<u64>) {
        let _ = (item, bytes, size);
    }

    /// A try of `url` failed for this `problem`, and another will follow after `wait` (of the same
    /// URL or of a mirror). Passwords in the URL are left out.
    fn retry(&self, item: usize, url: &str, problem: &str, wait: Duration) {
        let _ = (item, url, problem, wait);
    }

    /// Something went wrong that does not matter for what comes out, in words: a shared cache that
    /// does not do its work.
    fn warning(&self, text: &str) {
        let _ = text;
    }

    /// An item is there.
    fn finish(&self, item: usize, origin: Origin) {
        let _ = (item, origin);
    }
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
