//! What the search knows of each name and each package so far.

use crate::universe::{NameId, PackageId, Provider};

/// What became of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Choice {
    /// Not decided.
    #[default]
    Open,
    /// Decided: nothing gives it.
    Nobody,
    /// Decided: this gives it.
    Provider(Provider),
}

impl Choice {
    pub(crate) fn is_open(&self) -> bool {
        *self == Self::Open
    }

    pub(crate) fn provider(self) -> Option<Provider> {
        match self {
            Self::Provider(provider) => Some(provider),
            Self::Open | Self::Nobody => None,
        }
    }
}

/// A count that belongs to one merging; what an earlier one left counts for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    merging: u32,
    count: u32,
}

impl Count {
    /// Counts a candidate, given by its number from 1, if every one before it was counted.
    pub(crate) fn add(&mut self, merging: u32, candidate: u32) {
        if candidate == 1 || self.is(merging, candidate - 1) {
            *self = Self {
                merging,
                count: candidate,
            };
        }
    }

    /// Says whether this many candidates were counted.
    pub(crate) fn is(self, merging: u32, count: u32) -> bool {
        self.merging == merging && self.count == count
    }
}

/// Whose packages give a name, be they selectable or not. Of names that are otherwise equal apk
/// decides those given by nobody else first, whoever asks for whom: every pair of these kinds was
/// put to it, both ways round, with two ways of seeing which of the two it decided first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GivenBy {
    /// Every package that gives it has it as its own name.
    #[default]
    OwnPackages,
    /// Some packages have it as their own name, others provide it.
    Both,
    /// All packages provide it.
    Others,
}

/// What orders the names to decide: how little choice there is, whose packages give it, and its
/// place in the order of discovery.
pub(crate) type QueueKey = (u8, GivenBy, std::cmp::Reverse<u32>);

#[derive(Clone, Debug, Default)]
pub(crate) struct NameState {
    /// Whether anything that could be chosen has to do with it.
    pub(crate) discovered: bool,
    /// Its place in the order of discovery: higher ones are nearer to the world and are decided first.
    pub(crate) order: u32,
    /// Whose packages give it.
    pub(crate) given_by: GivenBy,
    pub(crate) choice: Choice,
    /// How many chosen packages and world entries ask for it.
    pub(crate) requirers: u32,
    /// Whether a chosen package or a world entry asks for it; otherwise all that is known is that
    /// whatever is chosen for some name will.
    pub(crate) is_asked_for: bool,
    /// Whether it was asked for by whatever may be chosen for some name before anything that is
    /// chosen asked for it.
    pub(crate) is_first_in_common: bool,
    /// Whether no name that is asked for and undecided has a provider that depends on it.
    pub(crate) is_settled: bool,
    /// Whether a provider's `install_if` could still come true.
    pub(crate) may_be_triggered: bool,
    /// Whether a provider's `install_if` came true.
    pub(crate) has_triggered: bool,
    /// Whether there is more than one way to provide it.
    pub(crate) has_options: bool,
    /// Whether a provider may be taken without being asked for by its own name.
    pub(crate) has_auto_selectable: bool,
    pub(crate) reevaluate_dependencies: bool,
    pub(crate) reevaluate_triggers: bool,
    pub(crate) is_dirty: bool,
    /// Its key in the queue of names to decide.
    pub(crate) queued: Option<QueueKey>,
    /// In merging: how many of the candidates so far ask for it.
    pub(crate) merge_asked: Count,
    /// In merging: how many of the candidates so far give it.
    pub(crate) merge_given: Count,
    /// Whether the install order has reached it.
    pub(crate) in_changes: bool,
}

impl NameState {
    /// Says whether it belongs among the names to reconsider and is not there yet.
    pub(crate) fn may_be_dirty(&self) -> bool {
        let matters = self.requirers > 0 || self.reevaluate_triggers;
        !self.is_dirty && self.choice.is_open() && matters
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct PackageState {
    pub(crate) discovered: bool,
    /// How many constraints speak against it.
    pub(crate) conflicts: u32,
    pub(crate) selectable: bool,
    /// The pins that it may come from, one bit each; bit 0 stands for no pin.
    pub(crate) allowed_pins: u64,
    /// The pins that it should come from.
    pub(crate) preferred_pins: u64,
    pub(crate) pin_allowed: bool,
    pub(crate) pin_preferred: bool,
    /// Whether the last reconsideration took it for a candidate.
    pub(crate) merged: bool,
    pub(crate) triggered: bool,
    /// Whether its `install_if` cannot come true.
    pub(crate) trigger_failed: bool,
    pub(crate) in_changes: bool,
}

/// A list that is looked into by one kind of id only.
#[derive(Debug)]
pub(crate) struct Table<T>(pub(crate) Vec<T>);

impl<T> std::ops::Index<NameId> for Table<T> {
    type Output = T;

    fn index(&self, id: NameId) -> &T {
        &self.0[id.index()]
    }
}

impl<T> std::ops::IndexMut<NameId> for Table<T> {
    fn index_mut(&mut self, id: NameId) -> &mut T {
        &mut self.0[id.index()]
    }
}

impl<T> std::ops::Index<PackageId> for Table<T> {
    type Output = T;

    fn index(&self, id: PackageId) -> &T {
        &self.0[id.index()]
    }
}

impl<T> std::ops::IndexMut<PackageId> for Table<T> {
    fn index_mut(&mut self, id: PackageId) -> &mut T {
        &mut self.0[id.index()]
    }
}
