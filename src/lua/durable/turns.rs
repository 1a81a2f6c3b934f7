//! Who of a run's strands goes on, and when.
//!
//! A script whose strands share variables depends on the order in which their steps ended. So that a replay gives the
//! same, a strand goes on after an entry in the order in which the entries were recorded, and only when no other strand
//! computes; and nothing new begins while another strand has still recorded entries to come to.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Timestamp;
use crate::model::StepKey;

/// What a strand does while it does not compute.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// In a call that the journal knows nothing of, in a step's function, or until an entry is on disk.
    Away,
    /// Until the entry with this number is the next to be consumed.
    Turn(usize),
    /// Until it may begin something new.
    Gate,
    /// For time, an event or a decision.
    Waiting(StepKey, Wait),
    /// It has come to the end of what is undone.
    Ended,
}

/// A durable wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// When it is over by itself.
    pub ends: Option<Timestamp>,
    /// For people.
    pub text: String,
}

#[derive(Debug, Default)]
pub struct Turns {
    /// Entries in the order in which they are consumed, and whether they were, or never will be.
    entries: Vec<(StepKey, bool)>,
    next: usize,
    /// Of these, the ones that were recorded before this VM was made.
    recorded: usize,
    /// Waits that had begun before, and that their strands have not come to again.
    begun: BTreeSet<StepKey>,
    live: usize,
    away: usize,
    gated: usize,
    ended: usize,
    turning: BTreeSet<usize>,
    waiting: BTreeMap<StepKey, Wait>,
}

impl Turns {
    /// With the keys of what was recorded, in its order, and of the waits that had begun.
    pub fn new(recorded: Vec<StepKey>, begun: BTreeSet<StepKey>) -> Self {
        let entries: Vec<_> = recorded.into_iter().map(|key| (key, false)).collect();
        Self { recorded: entries.len(), entries, begun, live: 1, ..Self::default() }
    }

    /// The number of an entry that is consumed after all that are known.
    pub fn add(&mut self, key: StepKey) -> usize {
        self.entries.push((key, false));
        self.entries.len() - 1
    }

    /// The entry was consumed, or its strand is gone.
    pub fn pass(&mut self, turn: usize) {
        if let Some((_, passed)) = self.entries.get_mut(turn) {
            *passed = true;
        }
        self.skip();
    }

    /// No strand below `group` will consume anything any more.
    pub fn abandon(&mut self, group: &StepKey) {
        for (key, passed) in self.entries.iter_mut().skip(self.next) {
            *passed |= key.places().starts_with(group.places());
        }
        self.begun.retain(|key| !key.places().starts_with(group.places()));
        self.skip();
    }

    fn skip(&mut self) {
        while self.entries.get(self.next).is_some_and(|(_, passed)| *passed) {
            self.next += 1;
        }
    }

    pub fn begin(&mut self) {
        self.live += 1;
    }

    pub fn end(&mut self) {
        self.live = self.live.saturating_sub(1);
    }

    pub fn enter(&mut self, standing: &Standing) {
        match standing {
            Standing::Away => self.away += 1,
            Standing::Gate => self.gated += 1,
            Standing::Ended => self.ended += 1,
            Standing::Turn(turn) => drop(self.turning.insert(*turn)),
            Standing::Waiting(key, wait) => drop(self.waiting.insert(key.clone(), wait.clone())),
        }
    }

    pub fn leave(&mut self, standing: &Standing) {
        match standing {
            Standing::Away => self.away = self.away.saturating_sub(1),
            Standing::Gate => self.gated = self.gated.saturating_sub(1),
            Standing::Ended => self.ended = self.ended.saturating_sub(1),
            Standing::Turn(turn) => drop(self.turning.remove(turn)),
            Standing::Waiting(key, _) => drop(self.waiting.remove(key)),
        }
    }

    /// Whether no strand computes.
    pub fn idle(&self) -> bool {
        self.live <= self.away + self.gated + self.ended + self.turning.len() + self.waiting.len()
    }

    /// Whether somebody could go on because of a change.
    pub fn awaited(&self) -> bool {
        self.gated + self.ended + self.turning.len() + self.waiting.len() > 0
    }

    /// A strand has come to its wait again.
    pub fn reach(&mut self, wait: &StepKey) {
        self.begun.remove(wait);
    }

    /// Whether the strands have still to come to some of what was recorded.
    pub fn replaying(&self) -> bool {
        self.next < self.recorded || !self.begun.is_empty()
    }

    /// In its order; out of it only when nobody is left who could consume what comes before.
    pub fn may_pass(&self, turn: usize) -> bool {
        let first = self.away == 0 && self.turning.first() == Some(&turn);
        self.idle() && (turn == self.next || first)
    }

    /// Whether what was not recorded may begin.
    pub fn may_begin(&self) -> bool {
        self.idle() && self.turning.is_empty() && (!self.replaying() || self.away == 0)
    }

    /// Whether no strand will come to anything more that was recorded.
    pub fn has_ended(&self) -> bool {
        self.idle() && self.turning.is_empty() && self.away == 0
    }

    /// What all strands wait for, if that is all they do.
    pub fn waits(&self) -> Option<&BTreeMap<StepKey, Wait>> {
        (self.live == self.waiting.len() && self.live > 0).then_some(&self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(place: u32) -> StepKey {
        StepKey::new(vec![place])
    }

    #[test]
    fn a_single_strand_goes_on_at_once() {
        let mut turns = Turns::new(vec![key(1)], BTreeSet::new());
        turns.enter(&Standing::Turn(0));
        assert!(turns.may_pass(0));
        turns.leave(&Standing::Turn(0));
        turns.pass(0);
        turns.enter(&Standing::Gate);
        assert!(turns.may_begin() && !turns.replaying());
    }

    #[test]
    fn entries_are_consumed_in_their_order() {
        let mut turns = Turns::new(vec![key(1), key(2)], BTreeSet::new());
        turns.begin();
        turns.enter(&Standing::Turn(1));
        assert!(!turns.may_pass(1), "the other strand still computes");
        turns.enter(&Standing::Away);
        assert!(!turns.may_pass(1), "the other strand may come to what is before it");
        turns.leave(&Standing::Away);
        turns.enter(&Standing::Turn(0));
        assert!(turns.may_pass(0) && !turns.may_pass(1));
    }

    #[test]
    fn nobody_waits_for_what_will_not_come() {
        let mut turns = Turns::new(vec![key(1), key(2)], BTreeSet::new());
        turns.begin();
        turns.enter(&Standing::Turn(1));
        turns.enter(&Standing::Gate);
        assert!(turns.may_pass(1) && !turns.may_begin());
        turns.leave(&Standing::Turn(1));
        turns.abandon(&key(1));
        turns.pass(1);
        assert!(!turns.replaying());
    }
}
