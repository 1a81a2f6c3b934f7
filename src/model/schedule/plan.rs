//! A schedule made ready for arithmetic.

use std::time::Duration;

use super::cron::{CronRule, zone};
use super::{BadSchedule, Due, Rule, ScheduleSpec};
use crate::base::clock::later;
use crate::base::{JobName, Timestamp, limits};

/// One schedule of one job, parsed. Making one parses the expression; asking it is cheap.
#[derive(Debug, Clone)]
pub struct Plan {
    rule: Parsed,
    jitter: Duration,
    job: JobName,
}

#[derive(Debug, Clone)]
enum Parsed {
    Cron(Box<CronRule>),
    EveryMicros(i64),
    At(Timestamp),
}

impl Plan {
    pub(super) fn new(spec: &ScheduleSpec, job: &JobName) -> Result<Self, BadSchedule> {
        let rule = match &spec.rule {
            Rule::Cron { expression, timezone } => {
                Parsed::Cron(Box::new(CronRule::parse(expression, zone(timezone)?)?))
            }
            Rule::Every { interval } => Parsed::EveryMicros(checked_interval(*interval, spec.jitter)?),
            Rule::At { at } => Parsed::At(*at),
        };
        Ok(Self { rule, jitter: spec.jitter, job: job.clone() })
    }

    /// The first due time whose `scheduled_for` is later than `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Due> {
        let (scheduled_for, dst_shifted) = match &self.rule {
            Parsed::Cron(rule) => rule.next_after(after)?,
            Parsed::EveryMicros(interval) => {
                let periods = after.as_microsecond().div_euclid(*interval).checked_add(1)?;
                (Timestamp::from_microsecond(periods.checked_mul(*interval)?).ok()?, false)
            }
            Parsed::At(at) => (Some(*at).filter(|at| *at > after)?, false),
        };
        Some(Due { scheduled_for, fire_at: later(scheduled_for, self.jitter_of(scheduled_for)), dst_shifted })
    }

    /// Due times after `after`, in order.
    pub fn iter(&self, after: Timestamp) -> impl Iterator<Item = Due> + '_ {
        std::iter::successors(self.next_after(after), |due| self.next_after(due.scheduled_for))
    }

    /// Whole milliseconds between nothing and the schedule's jitter, both included, decided by job and due time.
    fn jitter_of(&self, scheduled_for: Timestamp) -> Duration {
        let Some(choices) = u64::try_from(self.jitter.as_millis()).ok().filter(|millis| *millis > 0) else {
            return Duration::ZERO;
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.job.as_str().as_bytes());
        hasher.update(&scheduled_for.as_microsecond().to_le_bytes());
        let mut word = [0; 8];
        word.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Duration::from_millis(u64::from_le_bytes(word) % choices.saturating_add(1))
    }
}

fn checked_interval(interval: Duration, jitter: Duration) -> Result<i64, BadSchedule> {
    if interval < limits::SCHEDULE_INTERVAL_MIN {
        return Err(BadSchedule::TooOften);
    }
    if jitter >= interval {
        return Err(BadSchedule::JitterTooLong { jitter, interval });
    }
    let micros = i64::try_from(interval.as_micros()).map_err(|_| BadSchedule::TooRare)?;
    if interval > limits::SCHEDULE_INTERVAL_MAX { Err(BadSchedule::TooRare) } else { Ok(micros) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn job() -> JobName {
        "sweep".parse().expect("a name")
    }

    fn every(interval: Duration, jitter: Duration) -> Result<Plan, BadSchedule> {
        ScheduleSpec { jitter, ..ScheduleSpec::new(Rule::Every { interval }) }.plan(&job())
    }

    #[test]
    fn intervals_count_from_the_epoch() {
        let plan = every(Duration::from_secs(7), Duration::ZERO).expect("valid");
        let first = plan.next_after(at("2026-03-01T10:00:00.5Z")).expect("due").scheduled_for;
        assert_eq!(first.as_second() % 7, 0);
        let gaps: Vec<_> =
            plan.iter(first).take(3).map(|due| due.scheduled_for.as_second() - first.as_second()).collect();
        assert_eq!(gaps, [7, 14, 21]);
    }

    #[test]
    fn once_is_once() {
        let moment = at("2027-01-01T00:00:00Z");
        let spec = ScheduleSpec::new(Rule::At { at: moment });
        let before = at("2026-01-01T00:00:00Z");
        assert_eq!(spec.next_after(&job(), before).map(|due| due.scheduled_for), Some(moment));
        assert_eq!(spec.next_after(&job(), moment), None);
    }

    #[test]
    fn jitter_is_bounded_and_always_the_same() {
        let plan = every(Duration::from_secs(60), Duration::from_secs(10)).expect("valid");
        let dues: Vec<_> = plan.iter(Timestamp::UNIX_EPOCH).take(200).collect();
        assert_eq!(dues, plan.iter(Timestamp::UNIX_EPOCH).take(200).collect::<Vec<_>>());
        let delays: Vec<_> = dues.iter().map(|due| due.fire_at.duration_since(due.scheduled_for).as_millis()).collect();
        assert!(delays.iter().all(|delay| (0..=10_000).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < 3_000) && delays.iter().any(|delay| *delay > 7_000));
    }

    #[test]
    fn senseless_intervals_are_refused() {
        assert_eq!(every(Duration::from_millis(999), Duration::ZERO).err(), Some(BadSchedule::TooOften));
        assert_eq!(every(Duration::MAX, Duration::ZERO).err(), Some(BadSchedule::TooRare));
        let jitter = every(Duration::from_secs(5), Duration::from_secs(5)).expect_err("too long");
        assert!(jitter.to_string().contains("jitter 5s"), "{jitter}");
    }
}
