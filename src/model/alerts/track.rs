//! One rule on one series: fine, pending, firing.

use super::rule::{Condition, Rule};
use crate::base::Timestamp;
use crate::base::clock::later;
use crate::base::limits::ALERT_ABSENT_FORGOTTEN;

/// How far it has come. Every moment in it is exact: the moment at which a time was up, not the one at which somebody
/// noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Fine,
    Pending { since: Timestamp },
    Firing { since: Timestamp, fired_at: Timestamp, clear_since: Option<Timestamp> },
}

/// A change of phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub at: Timestamp,
    pub before: Phase,
    pub after: Phase,
    /// Why a firing alert is over.
    pub reason: &'static str,
    /// Nothing more is expected of the series.
    pub forget: bool,
}

pub const CLEARED: &str = "the condition does not hold any more";
pub const SILENT: &str = "there are no samples any more";
pub const BACK: &str = "there are samples again";
pub const FORGOTTEN: &str = "there have been no samples for so long that none are expected";

#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub phase: Phase,
    /// Of the last sample, and what was measured then.
    pub last_at: Timestamp,
    pub value: Option<f64>,
}

impl Track {
    pub fn new(last_at: Timestamp) -> Self {
        Self { phase: Phase::Fine, last_at, value: None }
    }

    /// Takes a sample in. What was up before it comes first; what is up at the same moment is decided by the sample.
    pub fn observe(&mut self, rule: &Rule, at: Timestamp, value: f64, steps: &mut Vec<Step>) {
        let at = at.max(self.last_at);
        while let Some((due, after, reason, forget)) = self.next(rule).filter(|next| next.0 < at) {
            self.enter(due, after, reason, forget, steps);
            if forget {
                break;
            }
        }
        (self.last_at, self.value) = (at, Some(value));
        let (wrong, clear) = (rule.is_wrong(value), rule.is_clear(value));
        match self.phase {
            Phase::Fine if wrong => self.enter(at, Phase::Pending { since: at }, "", false, steps),
            Phase::Pending { .. } if !wrong => self.enter(at, Phase::Fine, CLEARED, false, steps),
            Phase::Firing { .. } if matches!(rule.condition, Condition::Absent { .. }) => {
                self.enter(at, Phase::Fine, BACK, false, steps);
            }
            Phase::Firing { since, fired_at, clear_since } => {
                let clear_since = clear.then(|| clear_since.unwrap_or(at));
                self.phase = Phase::Firing { since, fired_at, clear_since };
            }
            _ => {}
        }
        self.advance(rule, at, steps);
    }

    /// Lets time pass until `now`.
    pub fn advance(&mut self, rule: &Rule, now: Timestamp, steps: &mut Vec<Step>) {
        while let Some((due, after, reason, forget)) = self.next(rule).filter(|next| next.0 <= now) {
            self.enter(due, after, reason, forget, steps);
            if forget {
                return;
            }
        }
    }

    /// Whether nothing is lost when it is dropped: the next sample would begin a new one that is just the same.
    pub fn is_idle(&self, rule: &Rule, now: Timestamp) -> bool {
        let watches_samples = !matches!(rule.condition, Condition::Absent { .. });
        watches_samples && self.phase == Phase::Fine && later(self.last_at, rule.stale) <= now
    }

    /// When the phase changes if no sample comes.
    pub fn deadline(&self, rule: &Rule) -> Option<Timestamp> {
        self.next(rule).map(|next| next.0)
    }

    fn enter(&mut self, at: Timestamp, after: Phase, reason: &'static str, forget: bool, steps: &mut Vec<Step>) {
        let before = std::mem::replace(&mut self.phase, after);
        steps.push(Step { at, before, after, reason, forget });
    }

    fn next(&self, rule: &Rule) -> Option<(Timestamp, Phase, &'static str, bool)> {
        if let Condition::Absent { after } = rule.condition {
            return Some(match self.phase {
                Phase::Firing { fired_at, .. } => {
                    (later(fired_at, ALERT_ABSENT_FORGOTTEN), Phase::Fine, FORGOTTEN, true)
                }
                _ => {
                    let due = later(self.last_at, after);
                    (due, Phase::Firing { since: self.last_at, fired_at: due, clear_since: None }, "", false)
                }
            });
        }
        let silent = (later(self.last_at, rule.stale), Phase::Fine, SILENT, true);
        let next = match self.phase {
            Phase::Fine => return None,
            Phase::Pending { since } => {
                let due = later(since, rule.hold);
                (due, Phase::Firing { since, fired_at: due, clear_since: None }, "", false)
            }
            Phase::Firing { clear_since: Some(clear), .. } => {
                (later(clear, rule.clear_for), Phase::Fine, CLEARED, false)
            }
            Phase::Firing { clear_since: None, .. } => return Some(silent),
        };
        Some(if silent.0 <= next.0 { silent } else { next })
    }
}
