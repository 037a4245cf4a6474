//! What the search knows of each name and each package so far.

use std::cmp::Reverse;

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

/// What orders the names to decide.
///
/// Every two kinds of names were put to apk both ways round: in the world, asked for by all that a
/// name could be, by what was chosen for another, or triggered; with and without options; two steps
/// above the lowest name or none; given by their own packages or by others. Which was decided first
/// showed in which of two packages with an exclusive name came, or which stood for a shared one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueueKey {
    /// What is asked for, leaves no choice and has no one undecided asking for it: the one found
    /// last goes first, whatever else they are (`singles-of-the-world`).
    Certain(Reverse<u32>),
    /// Everything else.
    Open {
        /// What `apk add` was given goes first (`world-before-higher`); what only the base's world
        /// asks for waits as any other name does (14 probes, and the universes on a base).
        is_beyond_added: bool,
        given_by: GivenBy,
        /// What stands higher goes first (`higher-first`), so that all who have a say in a name have
        /// spoken when it is decided.
        height: Reverse<u32>,
        /// Of equals, what is asked for goes before what is only triggered.
        is_only_triggered: bool,
        /// Of equals, what was found last goes first (`certain-deepest-first`).
        found: Reverse<u32>,
    },
}

/// What is known of every name that was discovered; of few more is than that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NameMark {
    /// How long the longest way down from it is, through what its providers depend on or forbid;
    /// where that leads back to a name that is not done yet, that name counts as the end.
    pub(crate) height: u32,
    /// Whether anything that could be chosen has to do with it.
    pub(crate) discovered: bool,
    /// Whether a provider's `install_if` could still come true.
    pub(crate) may_be_triggered: bool,
    pub(crate) reevaluate_dependencies: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct NameState {
    /// Its number in the order in which names got into the queue of names to decide, from 1; 0
    /// before.
    pub(crate) found: u32,
    /// Whose packages give it, once that was asked.
    pub(crate) given_by: Option<GivenBy>,
    pub(crate) choice: Choice,
    /// How many chosen packages and world entries ask for it.
    pub(crate) requirers: u32,
    /// Whether a chosen package or a world entry asks for it; otherwise all that is known is that
    /// whatever is chosen for some name will.
    pub(crate) is_asked_for: bool,
    /// Whether it is an addition to the world of the base.
    pub(crate) is_added: bool,
    /// Whether no name that is asked for and undecided has a provider that depends on it.
    pub(crate) is_settled: bool,
    /// Whether a provider's `install_if` came true.
    pub(crate) has_triggered: bool,
    /// Whether there is more than one way to provide it.
    pub(crate) has_options: bool,
    pub(crate) reevaluate_triggers: bool,
    pub(crate) is_dirty: bool,
    /// Its key in the queue of names to decide.
    pub(crate) queued: Option<QueueKey>,
    /// In merging: how many of the candidates so far ask for it.
    pub(crate) merge_asked: Count,
    /// In merging: how many of the candidates so far give it.
    pub(crate) merge_given: Count,
    /// The last merging in which a candidate gave it without a version.
    pub(crate) merge_shared: u32,
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
    /// The name by which it was met first; `None` if it was not discovered.
    pub(crate) met_by: Option<NameId>,
    /// Whether all that its names trigger was discovered.
    pub(crate) triggers_followed: bool,
    /// The greatest height of what it depends on or forbids, and one more; 0 where that is nothing.
    pub(crate) height: u32,
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

impl PackageState {
    /// Says whether anything that could be chosen has to do with it.
    pub(crate) fn is_discovered(&self) -> bool {
        self.met_by.is_some()
    }
}

/// What is known of names, most of which nothing is known of: of these there is one state.
#[derive(Debug)]
pub(crate) struct Sparse<T> {
    /// Of each name the place of its state; the first state is that of all others.
    places: Vec<u32>,
    states: Vec<T>,
}

impl<T: Default> Sparse<T> {
    pub(crate) fn new(names: usize) -> Self {
        Self {
            places: vec![0; names],
            states: vec![T::default()],
        }
    }

    /// Returns the states of which anything is known, in no order.
    pub(crate) fn known(&self) -> impl Iterator<Item = &T> {
        self.states.iter().skip(1)
    }
}

impl<T> std::ops::Index<NameId> for Sparse<T> {
    type Output = T;

    fn index(&self, id: NameId) -> &T {
        &self.states[self.places[id.index()] as usize]
    }
}

impl<T: Default> std::ops::IndexMut<NameId> for Sparse<T> {
    fn index_mut(&mut self, id: NameId) -> &mut T {
        let place = &mut self.places[id.index()];
        if *place == 0 {
            *place = self.states.len() as u32;
            self.states.push(T::default());
        }
        &mut self.states[*place as usize]
    }
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
