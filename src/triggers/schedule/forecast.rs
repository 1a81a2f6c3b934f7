//! What will be due: for the command line, the API and the dashboard.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::Serialize;

use crate::base::{JobName, Timestamp, limits};
use crate::jobs::Snapshot;
use crate::model::schedule::{Merge, Plan};

/// One due time of the future.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forecast {
    pub job: JobName,
    pub scheduled_for: Timestamp,
    /// With jitter.
    pub fire_at: Timestamp,
    pub dst_shifted: bool,
    /// The schedule that makes it due, in words.
    pub schedule: String,
    /// The job is disabled: it will be held.
    pub held: bool,
}

/// Every due time in `[from, to)`, of one job or of all, in order; at most `limit`, and never more than
/// [`limits::FORECAST_ROWS_MAX`].
pub fn forecast(
    registry: &Snapshot,
    from: Timestamp,
    to: Timestamp,
    job: Option<&JobName>,
    limit: usize,
) -> Vec<Forecast> {
    let jobs = registry.jobs.iter().filter(|(name, _)| job.is_none_or(|wanted| wanted == *name));
    let mut plans: Vec<Plan> = Vec::new();
    let mut owners = Vec::new();
    for (name, job) in jobs {
        for schedule in &job.spec.schedules {
            if let Ok(plan) = schedule.plan(name) {
                plans.push(plan);
                owners.push((name, schedule, !job.is_enabled()));
            }
        }
    }
    // Few of very many schedules may get into the answer: only theirs are put into words, once each.
    let mut words: BTreeMap<usize, String> = BTreeMap::new();
    let before = from.checked_sub(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MIN);
    // Of two schedules of one job that are due together, one counts.
    let mut same_moment: (Timestamp, BTreeSet<&JobName>) = (Timestamp::MIN, BTreeSet::new());
    Merge::new(&plans, before)
        .take_while(|found| found.due.scheduled_for < to)
        .filter(|found| {
            if same_moment.0 != found.due.scheduled_for {
                same_moment = (found.due.scheduled_for, BTreeSet::new());
            }
            same_moment.1.insert(owners[found.plan].0)
        })
        .take(limit.min(limits::FORECAST_ROWS_MAX))
        .map(|found| {
            let (job, schedule, held) = &owners[found.plan];
            Forecast {
                job: (*job).clone(),
                scheduled_for: found.due.scheduled_for,
                fire_at: found.due.fire_at,
                dst_shifted: found.due.dst_shifted,
                schedule: words.entry(found.plan).or_insert_with(|| schedule.describe()).clone(),
                held: *held,
            }
        })
        .collect()
}
