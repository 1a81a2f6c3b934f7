//! The due times of many schedules in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Due, Plan};
use crate::base::Timestamp;

/// A due time and whose it is: an index into the plans that were merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueOf {
    pub due: Due,
    pub plan: usize,
}

/// Merges plans by `scheduled_for`; holds one due time of each, so that a long window costs no memory.
#[derive(Debug)]
pub struct Merge<'a> {
    plans: &'a [Plan],
    heap: BinaryHeap<Reverse<DueOf>>,
}

impl<'a> Merge<'a> {
    /// Due times later than `after`.
    pub fn new(plans: &'a [Plan], after: Timestamp) -> Self {
        let first = |(plan, ready): (usize, &Plan)| Some(Reverse(DueOf { due: ready.next_after(after)?, plan }));
        Self { plans, heap: plans.iter().enumerate().filter_map(first).collect() }
    }
}

impl Iterator for Merge<'_> {
    type Item = DueOf;

    fn next(&mut self) -> Option<DueOf> {
        let Reverse(first) = self.heap.pop()?;
        if let Some(due) = self.plans[first.plan].next_after(first.due.scheduled_for) {
            self.heap.push(Reverse(DueOf { due, plan: first.plan }));
        }
        Some(first)
    }
}
