//! Due times that have passed: which of them still fire, and which are missed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::clock::{later, since};
use crate::base::{Timestamp, limits};
use crate::model::schedule::{CatchUp, Due, Plan};

/// A schedule's due times up to now, each on one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overdue {
    pub fire: Vec<Due>,
    pub missed: Vec<Due>,
    /// There were more before these than are recorded one by one.
    pub and_earlier: bool,
}

/// How many due times are gone through one by one before it is taken that only the end matters.
const STEPS_MAX: usize = 10 * limits::SCHEDULE_OVERDUE_MAX;

/// What [`passed`] found.
#[derive(Debug)]
pub struct Passed {
    /// The newest, at most [`limits::SCHEDULE_OVERDUE_MAX`], oldest first.
    pub dues: Vec<Due>,
    /// There were more before them.
    pub and_earlier: bool,
    /// The first that is still to come.
    pub next: Option<Due>,
}

/// The due times from `first` on whose time has come.
pub fn passed(plan: &Plan, first: Due, now: Timestamp) -> Passed {
    let mut newest = VecDeque::new();
    let mut and_earlier = false;
    let mut next = Some(first);
    loop {
        for _ in 0..STEPS_MAX {
            let Some(due) = next.filter(|due| due.fire_at <= now) else {
                return Passed { dues: newest.into(), and_earlier, next };
            };
            if newest.len() == limits::SCHEDULE_OVERDUE_MAX {
                and_earlier = true;
                newest.pop_front();
            }
            newest.push_back(due);
            next = plan.next_after(due.scheduled_for);
        }
        // A schedule of every second may have passed millions of times.
        if let Some(later) = next.and_then(|due| past_half(plan, due, now)) {
            and_earlier = true;
            newest.clear();
            next = Some(later);
        }
    }
}

/// A due time that has come and is at least half of the way from `due` to the last such one.
fn past_half(plan: &Plan, due: Due, now: Timestamp) -> Option<Due> {
    let mut left = since(now, due.scheduled_for);
    while left > limits::SCHEDULE_INTERVAL_MIN {
        left /= 2;
        let found = plan.next_after(later(due.scheduled_for, left));
        if let Some(found) = found.filter(|found| found.fire_at <= now) {
            return Some(found);
        }
    }
    None
}

/// Sorts due times, all of which have passed, oldest first. Those within [`limits::SCHEDULE_LATE_MAX`] always fire.
pub fn sort(dues: Vec<Due>, catch_up: CatchUp, window: Option<Duration>, now: Timestamp) -> Overdue {
    let age = |due: &Due| since(now, due.fire_at);
    let newest_at = dues.len().saturating_sub(1);
    let mut sorted = Overdue::default();
    for (index, due) in dues.into_iter().enumerate() {
        let in_window = window.is_none_or(|window| age(&due) <= window);
        let caught_up = match catch_up {
            CatchUp::None => false,
            CatchUp::Latest => index == newest_at && in_window,
            CatchUp::All => in_window,
        };
        if caught_up || age(&due) <= limits::SCHEDULE_LATE_MAX {
            sorted.fire.push(due);
        } else {
            sorted.missed.push(due);
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schedule::{Rule, ScheduleSpec};

    fn every(seconds: u64) -> Plan {
        let rule = Rule::Every { interval: Duration::from_secs(seconds) };
        ScheduleSpec::new(rule).plan(&"job".parse().expect("a name")).expect("valid")
    }

    fn second(at: i64) -> Timestamp {
        Timestamp::from_second(at).expect("in range")
    }

    fn seconds(dues: &[Due]) -> Vec<i64> {
        dues.iter().map(|due| due.scheduled_for.as_second()).collect()
    }

    #[test]
    fn what_has_passed_is_found_with_what_comes_next() {
        let plan = every(60);
        let first = plan.next_after(second(0)).expect("due");
        let found = passed(&plan, first, second(200));
        assert_eq!((seconds(&found.dues), found.and_earlier), (vec![60, 120, 180], false));
        assert_eq!(found.next.map(|due| due.scheduled_for), Some(second(240)));
        let found = passed(&plan, first, second(59));
        assert_eq!((found.dues.len(), found.next), (0, Some(first)));
    }

    #[test]
    fn of_very_many_the_newest_are_found_quickly() {
        let plan = every(1);
        let first = plan.next_after(second(0)).expect("due");
        let year = 365 * 86_400;
        let found = passed(&plan, first, second(year));
        let times = seconds(&found.dues);
        assert!(found.and_earlier && times.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!((times.len(), times.last()), (limits::SCHEDULE_OVERDUE_MAX, Some(&year)));
        assert_eq!(found.next.map(|due| due.scheduled_for), Some(second(year + 1)));
    }

    #[test]
    fn a_burst_long_ago_is_found_behind_the_silence_after_it() {
        let rule = Rule::Cron { expression: "* * 0 1 1 *".into(), timezone: "UTC".into() };
        let plan = ScheduleSpec::new(rule).plan(&"job".parse().expect("a name")).expect("valid");
        let first = plan.next_after(second(0)).expect("due");
        let now = first.scheduled_for + Duration::from_secs(200 * 86_400);
        let found = passed(&plan, first, now);
        assert_eq!(seconds(&found.dues).last(), Some(&3_599));
    }

    #[test]
    fn catching_up_is_the_schedules_choice() {
        let plan = every(60);
        let dues = || plan.iter(second(0)).take(3).collect::<Vec<_>>();
        let sorted = |catch_up, window, now| {
            let sorted = sort(dues(), catch_up, window, second(now));
            (seconds(&sorted.fire), seconds(&sorted.missed))
        };
        assert_eq!(sorted(CatchUp::None, None, 230), (vec![], vec![60, 120, 180]));
        assert_eq!(sorted(CatchUp::Latest, None, 230), (vec![180], vec![60, 120]));
        assert_eq!(sorted(CatchUp::All, None, 230), (vec![60, 120, 180], vec![]));
        assert_eq!(sorted(CatchUp::All, Some(Duration::from_secs(120)), 230), (vec![120, 180], vec![60]));
        assert_eq!(sorted(CatchUp::Latest, Some(Duration::from_secs(20)), 230), (vec![], vec![60, 120, 180]));
        // A little late is not missed, whatever the choice.
        assert_eq!(sorted(CatchUp::None, None, 185), (vec![180], vec![60, 120]));
    }
}
