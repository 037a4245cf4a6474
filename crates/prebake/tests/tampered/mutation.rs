//! Changed bytes: single ones anywhere, and parts cut off, doubled, swapped or somebody else's.

use std::io::Read as _;

use prebake_apk::gzip;

/// The seed where nobody sets one.
const SEED: u64 = 0x70_72_65_62_61_6b_65;

/// One change and what it is, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
}

/// A sequence that looks like chance and is the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// Begins the sequence of a test and says how to have it again.
    pub(crate) fn new(test: &str) -> Self {
        let seed = std::env::var("PREBAKE_SEED").ok();
        let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
        println!("{test}: PREBAKE_SEED={seed}");
        let name = test.bytes().fold(seed, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { seed, state: name }
    }

    /// Returns the seed.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // SplitMix64, whose every state is a good one.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }
}

impl Mutation {
    fn new(what: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            what: what.into(),
            bytes: bytes.into(),
        }
    }
}

/// Returns `of` with one byte changed, `count` times: the first, the last, and any others.
pub(crate) fn bytes(of: &[u8], count: usize, chance: &mut Chance) -> Vec<Mutation> {
    let mut all = Vec::with_capacity(count);
    for number in 0..count {
        let at = match number {
            0 => 0,
            1 => of.len() - 1,
            _ => chance.below(of.len()),
        };
        let mut changed = of.to_vec();
        let turned = u8::try_from(chance.below(255) + 1).unwrap();
        changed[at] ^= turned;
        all.push(Mutation::new(
            format!("byte {at} turned by {turned:#04x}"),
            changed,
        ));
    }
    all
}

/// Returns `of` cut, grown, with its gzip members in other orders and numbers, and each of
/// `others` in its place or with one of its members in place of its own.
pub(crate) fn structures(
    of: &[u8],
    others: &[(&str, &[u8])],
    chance: &mut Chance,
) -> Vec<Mutation> {
    let mut all = vec![Mutation::new("empty", [])];
    for cut in [1, 8, of.len() / 2, chance.below(of.len() - 2) + 1] {
        all.push(Mutation::new(
            format!("its last {cut} bytes missing"),
            &of[..of.len() - cut],
        ));
        all.push(Mutation::new(
            format!("its first {cut} bytes missing"),
            &of[cut..],
        ));
    }
    let garbage = b"what does not belong here";
    all.push(Mutation::new("garbage behind it", [of, garbage].concat()));
    all.push(Mutation::new("garbage before it", [garbage, of].concat()));
    let zeros = [0; 512];
    all.push(Mutation::new("zeros behind it", [of, &zeros].concat()));
    all.push(Mutation::new("twice", [of, of].concat()));
    let own = members(of);
    for at in 0..own.len() {
        let mut without = own.clone();
        without.remove(at);
        all.push(Mutation::new(
            format!("without member {at}"),
            without.concat(),
        ));
        let mut doubled = own.clone();
        doubled.insert(at, own[at]);
        all.push(Mutation::new(
            format!("member {at} twice"),
            doubled.concat(),
        ));
        for other in at + 1..own.len() {
            let mut swapped = own.clone();
            swapped.swap(at, other);
            all.push(Mutation::new(
                format!("members {at} and {other} swapped"),
                swapped.concat(),
            ));
        }
    }
    for (name, other) in others {
        all.push(Mutation::new(format!("{name} in its place"), *other));
        all.push(Mutation::new(
            format!("{name} behind it"),
            [of, other].concat(),
        ));
        for (at, theirs) in members(other).into_iter().enumerate() {
            if at < own.len() && own.len() > 1 {
                let mut mixed = own.clone();
                mixed[at] = theirs;
                all.push(Mutation::new(
                    format!("member {at} of {name} in place of its own"),
                    mixed.concat(),
                ));
            }
        }
    }
    all.retain(|mutation| mutation.bytes != of);
    all
}

/// Returns the gzip members of a file; none of anything else.
pub(crate) fn members(of: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    let mut rest = of;
    while !rest.is_empty() {
        let mut member = gzip::Member::new(rest, ());
        if member.read_to_end(&mut Vec::new()).is_err() {
            return Vec::new();
        }
        let length = usize::try_from(member.compressed_length()).unwrap();
        let (one, after) = rest.split_at(length);
        all.push(one);
        rest = after;
    }
    all
}

/// Returns a text with single lines taken out, doubled and swapped with the next but `apart`.
pub(crate) fn lines(text: &str, apart: usize) -> Vec<Mutation> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut all = Vec::new();
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        all.push(Mutation::new(
            format!("without line {}", at + 1),
            without.concat(),
        ));
        all.push(Mutation::new(
            format!("line {} twice", at + 1),
            doubled.concat(),
        ));
        if at + apart < lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, at + apart);
            all.push(Mutation::new(
                format!("lines {} and {} swapped", at + 1, at + apart + 1),
                swapped.concat(),
            ));
        }
    }
    all.retain(|mutation| mutation.bytes != text.as_bytes());
    all
}
