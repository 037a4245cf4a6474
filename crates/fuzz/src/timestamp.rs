//! Moments: one text for each, and the same moment that HTTP's dates are read as.

use std::time::{Duration, SystemTime};

use prebake::Timestamp;
use prebake_fetch::fuzzing::retry_after;

/// Reads a text as a moment, and its first bytes as the seconds of one.
pub(crate) fn timestamp(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Ok(read) = text.parse::<Timestamp>()
    {
        assert_eq!(read.to_string(), text);
        http(read);
    }
    let mut bytes = [0; 8];
    let length = data.len().min(8);
    bytes[..length].copy_from_slice(&data[..length]);
    let number = u64::from_le_bytes(bytes);
    // Any, and one that is near.
    for seconds in [number, number % 300_000_000_000] {
        let moment = Timestamp::from_seconds(seconds);
        assert!(moment.seconds() <= seconds);
        let text = moment.to_string();
        assert_eq!(text.parse(), Ok(moment));
        let next = Timestamp::from_seconds(moment.seconds() + 1);
        assert!(next.to_string() >= text && next >= moment);
        http(moment);
    }
}

/// Holds a moment against the reader of a server's dates, which another hand wrote.
fn http(moment: Timestamp) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = moment.to_string();
    let month = text[5..7].parse::<usize>().expect("it is a number");
    let day = DAYS[(moment.seconds() / 86_400 % 7) as usize];
    let date = format!(
        "{day}, {} {} {} {} GMT",
        &text[8..10],
        MONTHS[month - 1],
        &text[..4],
        &text[11..19]
    );
    let wait = retry_after(&date, SystemTime::UNIX_EPOCH);
    assert_eq!(wait, Some(Duration::from_secs(moment.seconds())), "{date}");
}
