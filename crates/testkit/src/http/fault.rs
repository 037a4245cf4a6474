//! What the server does wrong, and on which request.

use std::collections::{BTreeMap, VecDeque};

/// One way to answer a request wrongly. Byte counts are of the body of that one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status and a short text.
    Status(u16),
    /// Answers with this status and a `Retry-After` header of this value.
    RetryAfter(u16, String),
    /// Sends the right answer at this many bytes a second.
    Slow(u64),
    /// Sends this many bytes of the body and then nothing, with the connection left open.
    Stall(u64),
    /// Sends this many bytes of the body and closes the connection in order.
    Truncate(u64),
    /// Sends this many bytes of the body and resets the connection (a TCP RST; over TLS, where
    /// that cannot be arranged, the connection just ends).
    Reset(u64),
    /// Claims this `Content-Length`, sends the true body, closes.
    ClaimLength(u64),
    /// Redirects with this status to this location.
    Redirect(u16, String),
    /// Answers 200 with this HTML page, as a captive portal does.
    Page(String),
    /// Answers 200 with these bytes in place of the file.
    Body(Vec<u8>),
    /// Ignores `Range` and sends everything with 200.
    IgnoreRange,
    /// Answers a `Range` with 206 and a `Content-Range` that starts somewhere else.
    WrongRange,
    /// Answers a `Range` with 416.
    RefuseRange,
    /// Sends neither `ETag` nor `Last-Modified`.
    NoValidators,
    /// Sends a weak `ETag` only.
    WeakValidator,
    /// Sends the body in chunks, with no length.
    Chunked,
    /// Sends the body with no length and no chunks: it ends where the connection ends.
    NoLength,
    /// Sends the file again and again in chunks, with no end.
    Endless,
    /// Sends the right answer with one more header.
    Header(&'static str, String),
    /// Two at once: the first of them in the body, the second in the head (validators, ranges).
    Both(Box<Fault>, Box<Fault>),
    /// Answers right, but not before this other path was asked for.
    After(String),
    /// Closes the connection without an answer.
    Hang,
    /// Answers with something that is no HTTP at all.
    Gibberish,
}

impl Fault {
    /// Returns this fault of a body together with `other`, one of a head.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::Both(Box::new(self), Box::new(other))
    }
}

/// Which request gets which fault.
#[derive(Debug, Default)]
pub(super) struct Plan {
    always: BTreeMap<String, Fault>,
    next: BTreeMap<String, VecDeque<Option<Fault>>>,
    every: Option<(u64, Fault)>,
    count: u64,
    each: Option<(u64, Vec<Fault>)>,
    counts: BTreeMap<String, u64>,
}

impl Plan {
    pub(super) fn always(&mut self, path: &str, fault: Fault) {
        self.always.insert(path.to_owned(), fault);
    }

    pub(super) fn next(&mut self, path: &str, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.next.entry(path.to_owned()).or_default().extend(faults);
    }

    pub(super) fn every(&mut self, count: u64, fault: Fault) {
        self.every = Some((count, fault));
    }

    pub(super) fn each(&mut self, count: u64, faults: Vec<Fault>) {
        self.each = Some((count, faults));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the fault for one more request of `path`: first what was queued for it, then what
    /// always happens to it, then the one in so many.
    pub(super) fn take(&mut self, path: &str) -> Option<Fault> {
        self.count += 1;
        let nth = self.counts.entry(path.to_owned()).or_default();
        *nth += 1;
        let nth = *nth;
        if let Some(fault) = self.next.get_mut(path).and_then(VecDeque::pop_front) {
            return fault;
        }
        if let Some(fault) = self.always.get(path) {
            return Some(fault.clone());
        }
        if let Some((each, faults)) = &self.each {
            // Each path begins at a place of its own in the round.
            let place = nth + path.bytes().map(u64::from).sum::<u64>();
            let fault = faults.get((place / each) as usize % faults.len().max(1));
            return fault.filter(|_| place.is_multiple_of(*each)).cloned();
        }
        match &self.every {
            Some((every, fault)) if self.count.is_multiple_of(*every) => Some(fault.clone()),
            _ => None,
        }
    }
}
