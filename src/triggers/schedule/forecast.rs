//! What the schedules of a registry will do. Pure.

use crate::base::{JobName, Timestamp};
use crate::jobs::Snapshot;
use crate::model::schedule::{Due, Merge};

/// A due time that is yet to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub job: JobName,
    pub due: Due,
    /// Why it will not fire as things stand.
    pub held: Option<String>,
}

/// Due times in `(after, before)`, soonest first, at most `limit`, of one job or of all.
pub fn forecast(
    snapshot: &Snapshot,
    only: Option<&JobName>,
    after: Timestamp,
    before: Option<Timestamp>,
    limit: usize,
) -> Vec<Forecast> {
    let jobs = snapshot.jobs.values().filter(|job| only.is_none_or(|name| *name == job.spec.name));
    let (mut plans, mut owners) = (Vec::new(), Vec::new());
    for job in jobs {
        for plan in job.spec.schedules.iter().filter_map(|spec| spec.plan(&job.spec.name).ok()) {
            plans.push(plan);
            owners.push(job);
        }
    }
    let in_time = |due: &Due| before.is_none_or(|end| due.scheduled_for < end);
    let dues = Merge::new(&plans, after).take_while(|of| in_time(&of.due)).take(limit);
    dues.map(|of| {
        let job = owners[of.plan];
        let held = (!job.is_enabled()).then(|| "the job is disabled".to_owned());
        Forecast { job: job.spec.name.clone(), due: of.due, held }
    })
    .collect()
}
