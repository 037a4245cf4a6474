//! How long to wait between tries.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Options;

/// Returns the wait before the next try of a URL that failed `failed` times.
pub(crate) fn backoff(options: &Options, failed: u32) -> Duration {
    let Some(doublings) = failed.checked_sub(1) else {
        return Duration::ZERO;
    };
    let whole = options
        .backoff
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(options.max_backoff);
    // A hasher's seed is the standard library's only source of chance; it is enough to keep many
    // builds apart.
    let chance = RandomState::new().hash_one(failed) as u8;
    whole.mul_f64(0.75 + f64::from(chance) / 1024.0)
}

/// Reads a `Retry-After` value: seconds, or a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds is a wait beyond every bound, not no wait.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = UNIX_EPOCH.checked_add(Duration::from_secs(http_date(value)?))?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of date that HTTP still sends, as seconds
/// since 1970.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = text.split_once(", ")?;
    let mut words = date.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|&month| month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let plausible = words.next() == Some("GMT")
        && (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !plausible {
        return None;
    }
    // Days from 1970 in a calendar whose years begin in March, so that a leap day comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        // By `date -u -d '…' +%s`.
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Fri, 31 Dec 2100 12:00:00 GMT", 4_133_937_600),
        ] {
            assert_eq!(http_date(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "x, 6",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        let read = |text| retry_after(text, now);
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:07 GMT"),
            Some(Duration::ZERO),
            "a date gone by"
        );
        assert_eq!(
            read("99999999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }

    #[test]
    fn waits_double_and_are_bounded() {
        let options = Options {
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(5),
            ..Options::default()
        };
        assert_eq!(backoff(&options, 0), Duration::ZERO);
        for (failed, whole) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (u32::MAX, 5.0)] {
            let wait = backoff(&options, failed).as_secs_f64();
            assert!((whole * 0.75..=whole).contains(&wait), "{failed}: {wait}");
        }
    }
}
