//! URLs and what servers say about them: a redirect that names no host leads to none, a password is
//! never shown, and header values mean one thing or nothing.

use std::time::{Duration, SystemTime};

use prebake_fetch::fuzzing::{content_range, join, redact, retry_after, scheme, url_record};
use ureq::http::Uri;

/// Reads a URL, and behind a line's end where it is redirected to; then the whole as a header's
/// value and as a note in the cache.
pub(crate) fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (base, location) = text.split_once('\n').unwrap_or((&text, ""));
    joined(base, location);
    for url in [base, location] {
        hidden(url);
    }
    header(&text);
    if let Some(written) = url_record(&text) {
        assert_eq!(url_record(&written).as_deref(), Some(&*written));
    }
}

fn joined(base: &str, location: &str) {
    let Some(joined) = join(base, location) else {
        assert!(!base.contains("://"), "{base:?} has an authority");
        return;
    };
    let (Ok(from), Ok(to)) = (base.parse::<Uri>(), joined.parse::<Uri>()) else {
        return;
    };
    if scheme(location).is_none() {
        assert_eq!(to.scheme(), from.scheme(), "{base:?} {location:?}");
        if !location.starts_with("//") {
            assert_eq!(to.authority(), from.authority(), "{base:?} {location:?}");
        }
    }
    // Whether it is followed is decided by what is read off it here, and it is by `Uri` that it
    // is then gone to.
    let ours = scheme(&joined).map(str::to_ascii_lowercase);
    let theirs = to.scheme_str().map(str::to_ascii_lowercase);
    assert!(
        ours.is_none() || theirs.is_none() || ours == theirs,
        "{ours:?} and {theirs:?}"
    );
}

fn hidden(url: &str) {
    let shown = redact(url);
    assert_eq!(redact(&shown), shown);
    assert!(shown.len() <= url.len());
    let Ok(uri) = url.parse::<Uri>() else { return };
    let Some(authority) = uri.authority() else {
        return;
    };
    if let Some((secret, place)) = authority.as_str().rsplit_once('@')
        && uri.scheme().is_some()
    {
        let again: Uri = shown.parse().expect("what is shown is a URL still");
        let shown = again.authority().expect("its host is still there");
        assert_eq!(shown.as_str(), place, "{secret:?} of {url:?}");
        assert_eq!(again.path(), uri.path());
    }
}

fn header(text: &str) {
    if let Some((first, total, length)) = content_range(text) {
        let last = first + (length - 1);
        assert!(total.is_none_or(|total| last < total));
        let total = total.map_or("*".to_owned(), |total| total.to_string());
        let written = format!("bytes {first}-{last}/{total}");
        assert_eq!(content_range(&written), content_range(text));
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    if let Some(wait) = retry_after(text, now)
        && text.contains(',')
    {
        // A date has four digits of a year.
        assert!(wait < Duration::from_hours(8030 * 366 * 24));
    }
}
