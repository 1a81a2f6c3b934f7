//! Puts what was missed together, so that an absence is told of once. Pure.

use std::collections::BTreeMap;

use super::catch_up::Verdict;
use super::timetable::Firing;
use crate::base::{JobName, Timestamp};
use crate::model::{Absence, Occurrence, OccurrenceState};

/// What is to be done with due times that have come.
#[derive(Debug)]
pub enum Work {
    /// Fires, unless there is a reason why it is held.
    Settle { firing: Box<Firing>, held: Option<String> },
    /// All that a job missed, at once.
    Miss(Absence),
}

/// The missed ones of each job together, then the others one by one in their order.
pub fn sort(due: Vec<Firing>, now: Timestamp) -> Vec<Work> {
    let mut late: BTreeMap<JobName, usize> = BTreeMap::new();
    let (mut missed, mut others) = (BTreeMap::new(), Vec::new());
    for firing in due {
        let held = match &firing.verdict {
            Verdict::Miss { why } => {
                add(&mut missed, &firing, why, now);
                continue;
            }
            Verdict::Hold { why } => Some(why.clone()),
            Verdict::Fire => None,
            Verdict::FireLate => {
                *late.entry(firing.job.spec.name.clone()).or_default() += 1;
                None
            }
        };
        others.push(Work::Settle { firing: Box::new(firing), held });
    }
    let absences = missed.into_iter().map(|(job, mut absence)| {
        absence.missed.sort_by_key(|row| row.scheduled_for);
        absence.caught_up = late.get(&job).copied().unwrap_or_default();
        Work::Miss(absence)
    });
    absences.chain(others).collect()
}

fn add(missed: &mut BTreeMap<JobName, Absence>, firing: &Firing, why: &str, now: Timestamp) {
    let job = firing.job.spec.name.clone();
    let absence = missed.entry(job.clone()).or_insert_with(|| Absence {
        job: job.clone(),
        cause: firing.cause,
        missed: Vec::new(),
        caught_up: 0,
        unlisted_since: None,
    });
    // The one that began first explains the others: a daemon that starts late may stand still as well.
    absence.cause = absence.cause.min(firing.cause);
    absence.unlisted_since = absence.unlisted_since.into_iter().chain(firing.unlisted_since).min();
    absence.missed.push(Occurrence {
        job,
        scheduled_for: firing.due.scheduled_for,
        state: OccurrenceState::Missed,
        reason: Some(why.to_owned()),
        run: None,
        decided_at: now,
    });
}
