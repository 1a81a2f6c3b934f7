//! What the schedules of a registry will do. Pure.

use super::timetable::held;
use crate::base::{JobName, Timestamp};
use crate::jobs::Snapshot;
use crate::model::Calendars;
use crate::model::schedule::{Due, Merge};

/// A due time that is yet to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub job: JobName,
    pub due: Due,
    /// Why it will not fire as things stand.
    pub held: Option<String>,
}

/// Due times in `(after, before)`, soonest first, at most `limit`, of one job or of all. A moment at which several
/// schedules of a job are due is one due time, and held only if all of them hold it.
pub fn forecast(
    (snapshot, calendars): (&Snapshot, &Calendars),
    only: Option<&JobName>,
    after: Timestamp,
    before: Option<Timestamp>,
    limit: usize,
) -> Vec<Forecast> {
    let jobs = snapshot.jobs.values().filter(|job| only.is_none_or(|name| *name == job.spec.name));
    let (mut plans, mut owners) = (Vec::new(), Vec::new());
    for job in jobs {
        for spec in &job.spec.schedules {
            if let Ok(plan) = spec.plan(&job.spec.name) {
                plans.push(plan);
                owners.push((job, spec));
            }
        }
    }
    let mut found: Vec<Forecast> = Vec::new();
    let in_time = |due: &Due| before.is_none_or(|end| due.scheduled_for < end);
    for of in Merge::new(&plans, after).take_while(|of| in_time(&of.due)) {
        let (job, spec) = owners[of.plan];
        let next = Forecast { job: job.spec.name.clone(), due: of.due, held: held(job, spec, &of.due, calendars) };
        let is_full = found.len() >= limit;
        let mut together = found.iter_mut().rev().take_while(|other| other.due.scheduled_for == of.due.scheduled_for);
        match together.find(|other| other.job == next.job) {
            Some(known) if known.held.is_some() => *known = next,
            Some(_) => {}
            None if is_full => break,
            None => found.push(next),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, cron, with_schedules};
    use super::*;
    use crate::model::Calendar;
    use crate::model::schedule::ScheduleSpec;

    fn nights() -> Calendars {
        let hours = std::time::Duration::from_secs(4 * 3_600);
        let nights = Calendar::new("UTC", [], [("0 0 * * *".to_owned(), hours)]).expect("a calendar");
        [("nights".to_owned(), nights)].into_iter().collect()
    }

    fn shown(schedules: Vec<ScheduleSpec>, limit: usize) -> Vec<String> {
        let job = with_schedules("sweep", schedules, true);
        let snapshot = Snapshot { jobs: [(job.spec.name.clone(), job)].into(), ..Snapshot::default() };
        let found = forecast((&snapshot, &nights()), None, at("01:30:00"), None, limit);
        let show = |next: &Forecast| {
            format!("{} {}", &next.due.scheduled_for.to_string()[11..16], next.held.as_deref().unwrap_or("fires"))
        };
        found.iter().map(show).collect()
    }

    #[test]
    fn what_a_calendar_closes_is_held_by_its_name() {
        let spec = ScheduleSpec { skip: vec!["nights".into()], ..cron("0 * * * *") };
        let held = "the calendar \"nights\" is closed";
        assert_eq!(shown(vec![spec], 3), [format!("02:00 {held}"), format!("03:00 {held}"), "04:00 fires".to_owned()]);
    }

    #[test]
    fn schedules_that_are_due_together_are_one_due_time_that_fires_if_one_of_them_does() {
        let skipping = ScheduleSpec { skip: vec!["nights".into()], ..cron("0 * * * *") };
        let both = shown(vec![skipping, cron("0 3 * * *")], 3);
        assert_eq!(both, ["02:00 the calendar \"nights\" is closed", "03:00 fires", "04:00 fires"]);
    }
}
