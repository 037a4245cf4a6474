//! A moment as the lock writes it: `2024-06-18T15:36:36Z`.

use std::fmt;
use std::str::FromStr;

/// The last second of the year 9999, the last that has four digits.
const LATEST: u64 = 253_402_300_799;

/// The seconds of a day.
const DAY: u64 = 86_400;

/// A second between the years 1970 and 9999, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// A text is no moment as the lock writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a moment is written as in `2024-06-18T15:36:36Z`")]
pub struct NotATimestamp;

impl Timestamp {
    /// Returns the moment so many seconds after the beginning of 1970; one beyond the year 9999 is
    /// that year's last.
    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.min(LATEST))
    }

    /// Returns how many seconds after the beginning of 1970 it is.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / DAY);
        let (hour, minute, second) = (self.0 / 3600 % 24, self.0 / 60 % 60, self.0 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range).ok_or(NotATimestamp)?;
            digits.parse::<u64>().map_err(|_| NotATimestamp)
        };
        let days = days(number(0..4)?, number(5..7)?, number(8..10)?).ok_or(NotATimestamp)?;
        let time = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
        let read = Self(days * DAY + time);
        // Whatever is not just what would be written, a 30th of February or a `+1`, is none.
        let same = read.0 <= LATEST && read.to_string() == text;
        same.then_some(read).ok_or(NotATimestamp)
    }
}

/// Returns year, month and day of a day that is counted from 1970, by a calendar whose years begin
/// in March, so that a leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    // From the first of March of the year 0, in eras of 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// Returns the day, counted from 1970, of a date; `None` before that year.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, shifted) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (shifted * 153 + 2) / 5 + day;
    days.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        // By `date -u -d @… +%FT%TZ`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_718_724_996, "2024-06-18T15:36:36Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LATEST, "9999-12-31T23:59:59Z"),
        ] {
            let moment = Timestamp::from_seconds(seconds);
            assert_eq!(moment.to_string(), text);
            assert_eq!(text.parse(), Ok(moment));
            assert_eq!(moment.seconds(), seconds);
        }
        assert_eq!(Timestamp::from_seconds(u64::MAX).seconds(), LATEST);
        for text in [
            "",
            "1969-12-31T23:59:59Z",
            "2023-02-29T00:00:00Z",
            "2024-06-18T24:00:00Z",
            "2024-06-18T15:36:60Z",
            "2024-06-18 15:36:36Z",
            "2024-06-18T15:36:36",
            "2024-06-18T15:36:36Z ",
            "2024-00-18T15:36:36Z",
            "+024-06-18T15:36:36Z",
            "0000-00-00T00:00:00Z",
            "2024-06-1é15:36:36Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATimestamp), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_moment_is_read_as_it_is_written(seconds in 0..=LATEST, other in 0..=LATEST) {
            let (one, two) = (Timestamp::from_seconds(seconds), Timestamp::from_seconds(other));
            assert_eq!(one.to_string().parse(), Ok(one));
            assert_eq!(one.cmp(&two), one.to_string().cmp(&two.to_string()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9TZ:+ é-]{15,25}") {
            if let Ok(read) = text.parse::<Timestamp>() {
                assert_eq!(read.to_string(), text);
            }
        }
    }
}
