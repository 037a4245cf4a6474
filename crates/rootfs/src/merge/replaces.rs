//! Which of two packages has a file that both bring.
//!
//! Measured on apk 2.14.4: a package takes the files of its own older version and of packages of
//! its origin. Else one that `replaces` the other wins; if both do, the one with the higher
//! `replaces_priority`, and the newcomer at a tie. If neither does it is an error. apk 3 looks
//! at the origin last (from the format notes).

use prebake_apk::dependency::Dependency;
use prebake_apk::installed::Stanza;
use prebake_apk::version::Dialect;

/// What is to be done with a file that has an owner already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The new package takes it.
    Take,
    /// The new package leaves it to its owner, and does not have it.
    Leave,
    /// Neither may have the other's.
    Conflict,
}

/// Decides between a file's owner and a package that brings it too.
pub(super) fn decide(owner: &Stanza, new: &Stanza, dialect: Dialect) -> Verdict {
    let same_origin = owner.origin.is_some() && owner.origin == new.origin;
    if owner.name == new.name || (same_origin && dialect == Dialect::V2) {
        return Verdict::Take;
    }
    let new_may = replaces(new, owner, dialect).then_some(new.replaces_priority);
    let owner_may = replaces(owner, new, dialect).then_some(owner.replaces_priority);
    match (owner_may, new_may) {
        (None, None) if same_origin => Verdict::Take,
        (None, None) => Verdict::Conflict,
        (owner, new) if owner > new => Verdict::Leave,
        _ => Verdict::Take,
    }
}

/// Says whether `one` may take the files of `other`. Names that the other provides do not count.
fn replaces(one: &Stanza, other: &Stanza, dialect: Dialect) -> bool {
    let (Ok(list), Ok(name), Ok(version)) = (
        std::str::from_utf8(&one.replaces),
        std::str::from_utf8(&other.name),
        std::str::from_utf8(&other.version),
    ) else {
        return false;
    };
    list.split_ascii_whitespace()
        .filter_map(|text| Dependency::parse(text, dialect).ok())
        .any(|dependency| {
            dependency.name == name
                && dependency.is_satisfied_by(Some(version), &other.identity, dialect)
        })
}
