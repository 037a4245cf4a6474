//! The parts of a version, one after another.

use std::cmp::Ordering;

use super::Dialect;

/// What the next part of a version is, from the most significant kind to the least: where two
/// versions part, the one that goes on with the earlier kind is the newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing that belongs here; the rest counts for nothing.
    Invalid,
    /// The number after a `.`, which may begin with zeros.
    Component,
    /// A number without a `.` before it.
    Number,
    /// A letter after a number.
    Letter,
    /// `_alpha` and its like.
    Suffix,
    /// The number of a suffix.
    SuffixNumber,
    /// apk 3's `~` and hexadecimal digits.
    Hash,
    /// `-r` and a number.
    Revision,
    /// The end of the text.
    End,
}

/// What a part counts for against another of its kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Compared as a number.
    Number(i64),
    /// Compared as digits: apk 3's rule for a component that begins with a zero.
    Digits(&'a [u8]),
    /// Compared byte by byte.
    Text(&'a [u8]),
}

impl Value<'_> {
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.cmp(right),
            (Self::Digits(left), Self::Digits(right)) => {
                if left.first() == Some(&b'0') || right.first() == Some(&b'0') {
                    left.cmp(right)
                } else {
                    // Without leading zeros the longer number is the greater one.
                    (left.len(), *left).cmp(&(right.len(), *right))
                }
            }
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            // Both sides are of one kind and one dialect, so this is never reached.
            _ => Ordering::Equal,
        }
    }
}

/// The suffixes before a release, oldest first.
const BEFORE: [&[u8]; 4] = [b"alpha", b"beta", b"pre", b"rc"];
/// The suffixes after a release, oldest first.
const AFTER: [&[u8]; 5] = [b"cvs", b"svn", b"git", b"hg", b"p"];
/// The longest number that apk reads, in digits, zeros in front included.
const MAX_DIGITS: usize = 17;
/// What apk 2.14 takes an unknown suffix or a longer number for.
const WRONG: i64 = -1;

/// Walks over the parts of a version.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    kind: Kind,
    dialect: Dialect,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8], dialect: Dialect) -> Self {
        let kind = match (text.first(), dialect) {
            (Some(b'0'..=b'9'), _) | (_, Dialect::V2) => Kind::Number,
            (_, Dialect::V3) => Kind::Invalid,
        };
        Self {
            rest: text,
            kind,
            dialect,
        }
    }

    /// What the part is that [`take`](Self::take) would return.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Says whether a suffix comes next that makes this version older than the same without it.
    pub(super) fn is_prerelease(&self) -> bool {
        self.kind == Kind::Suffix
            && matches!(self.clone().take(), Value::Number(value) if value < 0)
    }

    /// Returns the next part and moves on.
    pub(super) fn take(&mut self) -> Value<'a> {
        if self.rest.is_empty() && self.dialect == Dialect::V2 {
            // apk 2.14 lets a version end where a part was announced: `1.`, `1_`, `1-r`.
            self.kind = Kind::End;
            return Value::Number(0);
        }
        match self.kind {
            Kind::Component => match self.dialect {
                Dialect::V2 => self.take_component(),
                Dialect::V3 => {
                    let digits = self.split(span(self.rest, u8::is_ascii_digit));
                    if digits.is_empty() {
                        self.kind = Kind::Invalid;
                    } else {
                        self.step();
                    }
                    Value::Digits(digits)
                }
            },
            Kind::Number | Kind::SuffixNumber | Kind::Revision => self.take_number(),
            Kind::Letter => {
                let letter = self.split(1);
                self.step();
                Value::Number(letter.first().copied().map_or(0, i64::from))
            }
            Kind::Suffix => self.take_suffix(),
            Kind::Hash => {
                let digits = self.split(span(
                    self.rest,
                    |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                ));
                if digits.is_empty() {
                    self.kind = Kind::Invalid;
                } else {
                    self.step();
                }
                Value::Text(digits)
            }
            Kind::Invalid | Kind::End => Value::Number(0),
        }
    }

    /// A component of apk 2.14: a run of zeros before other digits is a part of its own, and the
    /// longer the run, the older the version.
    fn take_component(&mut self) -> Value<'a> {
        if self.rest.first() != Some(&b'0') {
            return self.take_number();
        }
        let zeros = self.split(span(self.rest, |byte| *byte == b'0'));
        // What follows counts as a number, were it an empty one.
        self.kind = Kind::Number;
        Value::Number(1 - zeros.len() as i64)
    }

    fn take_number(&mut self) -> Value<'a> {
        let digits = self.split(span(self.rest, u8::is_ascii_digit));
        if digits.is_empty() && self.dialect == Dialect::V3 {
            self.kind = Kind::Invalid;
            return Value::Number(0);
        }
        if digits.len() > MAX_DIGITS {
            self.kind = Kind::Invalid;
            return Value::Number(WRONG);
        }
        let number = digits.iter().fold(0_i64, |value, digit| {
            value * 10 + i64::from(digit.wrapping_sub(b'0'))
        });
        self.step();
        Value::Number(number)
    }

    fn take_suffix(&mut self) -> Value<'a> {
        let found = match self.dialect {
            // apk 2.14 takes the first that the text begins with; what is left of a longer word
            // then has no place.
            Dialect::V2 => |rest: &[u8], name: &[u8]| rest.starts_with(name),
            Dialect::V3 => |rest: &[u8], name: &[u8]| {
                rest.get(..span(rest, u8::is_ascii_lowercase)) == Some(name)
            },
        };
        let before = BEFORE.iter().zip(-(BEFORE.len() as i64)..);
        let after = AFTER.iter().zip(0..);
        let found = before.chain(after).find(|(name, _)| found(self.rest, name));
        if let Some((name, value)) = found {
            self.split(name.len());
            self.step();
            Value::Number(value)
        } else {
            self.kind = Kind::Invalid;
            Value::Number(WRONG)
        }
    }

    /// Finds what comes after the part just taken.
    fn step(&mut self) {
        let was = self.kind;
        let v3 = self.dialect == Dialect::V3;
        let (kind, skip) = match self.rest {
            [] => (Kind::End, 0),
            [b'a'..=b'z', ..] if matches!(was, Kind::Component | Kind::Number) => (Kind::Letter, 0),
            [b'0'..=b'9', ..] if was == Kind::Letter && !v3 => (Kind::Number, 0),
            [b'0'..=b'9', ..] if was == Kind::Suffix => (Kind::SuffixNumber, 0),
            [b'.', ..] => (Kind::Component, 1),
            [b'_', ..] => (Kind::Suffix, 1),
            [b'~', ..] if v3 => (Kind::Hash, 1),
            [b'-', b'r', ..] => (Kind::Revision, 2),
            _ => (Kind::Invalid, 0),
        };
        // Parts come in their order, but for the repeats that the grammar has.
        let in_order = match was {
            Kind::Component | Kind::Number => true,
            Kind::Letter => kind > Kind::Letter || (kind == Kind::Number && !v3),
            Kind::Suffix | Kind::SuffixNumber => kind >= Kind::Suffix,
            Kind::Revision if !v3 => kind >= Kind::Revision,
            _ => kind > was,
        };
        self.split(skip);
        self.kind = if in_order { kind } else { Kind::Invalid };
    }

    fn split(&mut self, at: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

fn span(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|byte| !belongs(byte))
        .unwrap_or(bytes.len())
}
