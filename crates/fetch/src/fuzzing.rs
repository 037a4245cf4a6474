//! Doors to what `prebake-fuzz` gives any bytes to. Nobody else's, and not kept stable.

use std::time::{Duration, SystemTime};

use crate::cache::Record;
use crate::range::ContentRange;
use crate::{retry, url};

/// Returns the first byte, the total and the length that a `Content-Range` says.
pub fn content_range(text: &str) -> Option<(u64, Option<u64>, u64)> {
    ContentRange::parse(text).map(|range| (range.first, range.total, range.length))
}

pub fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    retry::retry_after(text, now)
}

pub fn join(base: &str, location: &str) -> Option<String> {
    url::join(base, location)
}

pub fn scheme(url: &str) -> Option<&str> {
    url::scheme(url)
}

pub fn redact(url: &str) -> String {
    url::redact(url)
}

/// Returns a note on a URL as it is written again.
pub fn url_record(text: &str) -> Option<String> {
    Record::parse(text).map(|record| record.to_string())
}
