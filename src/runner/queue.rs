//! Which waiting run is next. Runs that the same things hold back stand in one group, in order of priority and age; of
//! each group that may go on only the first is looked at, so that a long queue of one job costs the others nothing.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::base::{JobName, RunId, Timestamp};

/// A run's place among all that wait: what has begun before goes first (false), then priority, then age.
pub type Rank = (bool, Reverse<i32>, u64, RunId);

/// Runs of one job with the same concurrency key: what holds one of them back holds all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    pub job: JobName,
    pub key: Option<String>,
}

#[derive(Debug, Default)]
pub struct Queue {
    groups: HashMap<Group, BTreeSet<Rank>>,
    /// The first of each group that may go on.
    heads: BTreeSet<(Rank, Group)>,
    shown: HashMap<Group, Rank>,
    by_job: HashMap<JobName, BTreeSet<Group>>,
    by_key: HashMap<String, BTreeSet<Group>>,
    /// Those that wait for a moment.
    timed: BTreeSet<(Timestamp, Rank, Group)>,
}

impl Queue {
    pub fn push(&mut self, group: &Group, rank: Rank) {
        self.by_job.entry(group.job.clone()).or_default().insert(group.clone());
        if let Some(key) = &group.key {
            self.by_key.entry(key.clone()).or_default().insert(group.clone());
        }
        self.groups.entry(group.clone()).or_default().insert(rank);
    }

    pub fn push_at(&mut self, moment: Timestamp, group: &Group, rank: Rank) {
        self.timed.insert((moment, rank, group.clone()));
    }

    pub fn remove(&mut self, group: &Group, rank: Rank, moment: Option<Timestamp>) {
        if let Some(moment) = moment {
            self.timed.remove(&(moment, rank, group.clone()));
        }
        let Some(runs) = self.groups.get_mut(group) else { return };
        runs.remove(&rank);
        if runs.is_empty() {
            self.groups.remove(group);
            forget(&mut self.by_job, &group.job, group);
            if let Some(key) = &group.key {
                forget(&mut self.by_key, key, group);
            }
            self.show(group, None);
        }
    }

    /// Those whose moment has come stand in their groups afterwards; the groups are returned.
    pub fn mature(&mut self, now: Timestamp) -> Vec<Group> {
        let mut changed = Vec::new();
        while self.timed.first().is_some_and(|(moment, ..)| *moment <= now) {
            if let Some((_, rank, group)) = self.timed.pop_first() {
                self.push(&group, rank);
                changed.push(group);
            }
        }
        changed
    }

    /// The groups whose runs depend on what this job, and whoever has this key, is doing.
    pub fn concerned(&self, job: &JobName, key: Option<&str>) -> Vec<Group> {
        let of_key = key.and_then(|key| self.by_key.get(key)).into_iter().flatten();
        self.by_job.get(job).into_iter().flatten().chain(of_key).cloned().collect()
    }

    pub fn head(&self, group: &Group) -> Option<Rank> {
        self.groups.get(group).and_then(BTreeSet::first).copied()
    }

    /// Puts the group's head among those that may go on, or takes it out.
    pub fn show(&mut self, group: &Group, head: Option<Rank>) {
        if self.shown.get(group).copied() == head {
            return;
        }
        if let Some(before) = self.shown.remove(group) {
            self.heads.remove(&(before, group.clone()));
        }
        if let Some(rank) = head {
            self.heads.insert((rank, group.clone()));
            self.shown.insert(group.clone(), rank);
        }
    }

    /// The first of all that may go on.
    pub fn next(&self) -> Option<RunId> {
        self.heads.first().map(|((.., run), _)| *run)
    }

    /// The earliest moment that a run waits for.
    pub fn next_moment(&self) -> Option<Timestamp> {
        self.timed.first().map(|(moment, ..)| *moment)
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.heads.is_empty()
            && self.shown.is_empty()
            && self.by_job.is_empty()
            && self.by_key.is_empty()
            && self.timed.is_empty()
    }
}

fn forget<K: std::hash::Hash + Eq>(index: &mut HashMap<K, BTreeSet<Group>>, key: &K, group: &Group) {
    if let Some(groups) = index.get_mut(key) {
        groups.remove(group);
        if groups.is_empty() {
            index.remove(key);
        }
    }
}
