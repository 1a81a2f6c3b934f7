//! The due times of one schedule that have come, at a cost that does not grow with how long nobody looked. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::catch_up::look_back;
use crate::base::clock::{earlier, later, since};
use crate::base::{Timestamp, limits};
use crate::model::schedule::{Due, Plan};

/// Due times are never closer together than this.
const CLOSEST: Duration = limits::SCHEDULE_INTERVAL_MIN;

/// Due times that have come.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// Oldest first.
    pub dues: Vec<Due>,
    /// There are older ones, which get no rows.
    pub unlisted: bool,
    /// The one that follows.
    pub next: Option<Due>,
}

/// `first` and all after it that are due at `now` (the newest of them, if they are too many), and the one that follows.
pub fn due_until(plan: &Plan, jitter: Duration, first: Due, now: Timestamp) -> Passed {
    let mut dues = VecDeque::from([first]);
    let mut next = plan.next_after(skip_to(plan, first.scheduled_for, earlier(now, jitter)));
    while let Some(due) = next.filter(|due| due.fire_at <= now) {
        if dues.len() >= limits::SCHEDULE_MISSED_ROWS_MAX {
            dues.pop_front();
        }
        dues.push_back(due);
        next = plan.next_after(due.scheduled_for);
    }
    let dues = Vec::from(dues);
    let second = plan.next_after(dues[0].scheduled_for);
    let unlisted = dues[0] != first || dues.get(1).is_some_and(|due| Some(*due) != second);
    Passed { dues, unlisted, next }
}

/// The moment from which on due times are looked at one by one: `first` itself, or a later one if so many are due at
/// `until` that the older ones get no row anyway. A clock that jumps by years must not have them all walked through.
fn skip_to(plan: &Plan, first: Timestamp, until: Timestamp) -> Timestamp {
    if first >= until {
        return first;
    }
    let (mut from, mut to) = (look_back(until, first), until);
    let mut probe = from.max(guess(plan, from, until));
    while since(to, from) > CLOSEST {
        let most = 2 * limits::SCHEDULE_MISSED_ROWS_MAX;
        let count = plan.iter(probe).take_while(|due| due.scheduled_for <= until).take(most + 1).count();
        match count {
            _ if count > most => from = probe,
            _ if count >= limits::SCHEDULE_MISSED_ROWS_MAX || probe == from => return probe,
            _ => to = probe,
        }
        probe = later(from, since(to, from) / 2);
    }
    from
}

/// Where to look first: right at once if the due times are evenly spaced.
fn guess(plan: &Plan, from: Timestamp, until: Timestamp) -> Timestamp {
    let mut dues = plan.iter(from);
    let (Some(one), Some(other)) = (dues.next(), dues.next()) else { return from };
    let rows = u32::try_from(limits::SCHEDULE_MISSED_ROWS_MAX).unwrap_or(u32::MAX);
    let gap = since(other.scheduled_for, one.scheduled_for);
    earlier(until, gap.saturating_mul(rows).saturating_mul(3) / 2)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::schedule::{Rule, ScheduleSpec};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn plan(rule: Rule, jitter: Duration) -> Plan {
        let spec = ScheduleSpec { jitter, ..ScheduleSpec::new(rule) };
        spec.plan(&"tick".parse().expect("a name")).expect("valid")
    }

    fn cron(expression: &str) -> Rule {
        Rule::Cron { expression: expression.into(), timezone: "UTC".into() }
    }

    /// As it would be without a short cut.
    fn walked(plan: &Plan, first: Due, now: Timestamp) -> Passed {
        let mut all: Vec<Due> = vec![first];
        all.extend(plan.iter(first.scheduled_for).take_while(|due| due.fire_at <= now));
        let next = plan.next_after(all[all.len() - 1].scheduled_for);
        let unlisted = all.len() > limits::SCHEDULE_MISSED_ROWS_MAX;
        let dues = all.split_off(all.len().saturating_sub(limits::SCHEDULE_MISSED_ROWS_MAX));
        Passed { dues, unlisted, next }
    }

    #[test]
    fn the_short_cut_leads_to_the_same_due_times() {
        let now = at("2026-03-08T12:00:30Z");
        let jitter = Duration::from_secs(3_000);
        let cases = [
            (cron("* * * * *"), Duration::ZERO, "2026-03-01T12:01:00Z"),
            (cron("* * * * *"), jitter, "2026-03-01T12:01:00Z"),
            (cron("*/7 * * * *"), Duration::ZERO, "2026-03-08T11:00:00Z"),
            // A burst of 3,600 once a day: the newest is hours ago.
            (cron("* * 3 * * *"), Duration::ZERO, "2026-03-02T00:00:00Z"),
            (cron("0 0 1 1 *"), Duration::ZERO, "2026-03-01T12:01:00Z"),
            (Rule::Every { interval: Duration::from_secs(3_600) }, jitter, "2026-03-08T09:00:00Z"),
        ];
        for (rule, jitter, begin) in cases {
            let plan = plan(rule.clone(), jitter);
            let first = plan.next_after(at(begin)).expect("due");
            assert_eq!(due_until(&plan, jitter, first, now), walked(&plan, first, now), "{rule:?}");
        }
    }

    #[test]
    fn a_clock_that_jumps_by_decades_is_worked_off_at_once() {
        let (then, now) = (at("1970-01-01T00:00:00Z"), at("2026-03-01T12:00:00Z"));
        let began = Instant::now();
        for expression in ["* * * * * *", "* * * * *"] {
            let plan = plan(cron(expression), Duration::ZERO);
            let first = plan.next_after(then).expect("due");
            let Passed { dues, unlisted, next } = due_until(&plan, Duration::ZERO, first, now);
            assert!(unlisted);
            assert_eq!(dues.len(), limits::SCHEDULE_MISSED_ROWS_MAX);
            assert_eq!((dues[dues.len() - 1].fire_at, next), (now, plan.next_after(now)));
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
        let yearly = plan(cron("0 0 1 1 *"), Duration::ZERO);
        let first = yearly.next_after(then).expect("due");
        let Passed { dues, next, .. } = due_until(&yearly, Duration::ZERO, first, now);
        assert_eq!(dues, [first], "what lies further back than is looked for gets no row");
        assert_eq!(next, yearly.next_after(now));
    }

    #[test]
    fn what_waits_for_its_jitter_is_not_skipped() {
        let jitter = Duration::from_secs(86_400);
        let plan = plan(cron("* * * * * *"), jitter);
        let first = plan.next_after(at("2026-03-01T00:00:00Z")).expect("due");
        let now = at("2026-03-04T00:00:00Z");
        let Passed { dues, next, .. } = due_until(&plan, jitter, first, now);
        let next = next.expect("one follows");
        assert!(next.fire_at > now && dues[dues.len() - 1].scheduled_for < next.scheduled_for);
        let before = plan.iter(earlier(now, jitter)).take_while(|due| due.scheduled_for < next.scheduled_for);
        assert!(before.into_iter().all(|due| due.fire_at <= now));
    }
}
