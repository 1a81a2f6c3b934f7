//! What to do with due times that passed while nobody was there to fire them. Pure.

use crate::base::clock::{earlier, since};
use crate::base::{Timestamp, limits};
use crate::model::schedule::{CatchUp, Due, ScheduleSpec};

/// A due time that is late and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Fire,
    /// Fires although its moment has passed.
    FireLate,
    /// The job is paused, or a calendar is closed.
    Hold {
        why: String,
    },
    Miss {
        why: &'static str,
    },
}

impl Verdict {
    /// Of two schedules of a job that are due at the same moment, the one that does more has its way.
    pub fn strength(&self) -> u8 {
        match self {
            Self::Fire => 3,
            Self::FireLate => 2,
            Self::Hold { .. } => 1,
            Self::Miss { .. } => 0,
        }
    }

    /// Whether a run is to come of it.
    pub fn fires(&self) -> bool {
        matches!(self, Self::Fire | Self::FireLate)
    }
}

/// Judges the due times of one schedule, oldest first, all with `fire_at <= now`. One that is late by no more than
/// `SCHEDULE_GRACE` fires as if on time; the others are subject to the schedule's `catch_up`. What `held` gives a reason
/// for neither fires nor is missed, and stands for none of the others.
pub fn judge(spec: &ScheduleSpec, dues: &[Due], now: Timestamp, held: impl Fn(&Due) -> Option<String>) -> Vec<Verdict> {
    let held: Vec<Option<String>> = dues.iter().map(held).collect();
    let open: Vec<Due> = dues.iter().zip(&held).filter(|(_, why)| why.is_none()).map(|(due, _)| *due).collect();
    let mut verdicts = judge_open(spec, &open, now).into_iter();
    let verdict = |why: Option<String>| why.map_or_else(|| verdicts.next(), |why| Some(Verdict::Hold { why }));
    held.into_iter().filter_map(verdict).collect()
}

fn judge_open(spec: &ScheduleSpec, dues: &[Due], now: Timestamp) -> Vec<Verdict> {
    let late = |due: &Due| since(now, due.fire_at) > limits::SCHEDULE_GRACE;
    let too_old = |due: &Due| spec.window.is_some_and(|window| since(now, due.fire_at) > window);
    let overdue = dues.iter().filter(|due| late(due)).count();
    let on_time = dues.len() - overdue;
    let caught_up = match spec.catch_up {
        CatchUp::None => 0,
        // What is due right now stands for all that were missed.
        CatchUp::Latest => usize::from(on_time == 0),
        CatchUp::All => limits::SCHEDULE_CATCH_UP_MAX,
    };
    let first_caught_up = overdue.saturating_sub(caught_up);
    let verdict = |(index, due): (usize, &Due)| match () {
        () if !late(due) => Verdict::Fire,
        () if spec.catch_up == CatchUp::None => {
            Verdict::Miss { why: "no daemon fired it in time; catch_up is \"none\"" }
        }
        () if too_old(due) => Verdict::Miss { why: "it is older than the schedule's window" },
        () if index >= first_caught_up => Verdict::FireLate,
        () if spec.catch_up == CatchUp::Latest => Verdict::Miss { why: "a later due time was caught up instead of it" },
        () => Verdict::Miss { why: "more due times were missed than are caught up" },
    };
    dues.iter().enumerate().map(verdict).collect()
}

/// How far back missed due times are looked for, when those up to `last` are settled. A `last` in the future was
/// written while the clock was wrong: it must not silence the schedule until then.
pub fn look_back(now: Timestamp, last: Timestamp) -> Timestamp {
    earlier(now, limits::SCHEDULE_LOOK_BACK_MAX).max(last.min(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::later;
    use crate::model::schedule::Rule;

    const MINUTE: Duration = Duration::from_secs(60);

    fn judged(catch_up: CatchUp, window: Option<Duration>, seconds: &[u64], now: u64) -> Vec<Verdict> {
        let at = |seconds| later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds));
        let due = |moment| Due { scheduled_for: at(moment), fire_at: at(moment), dst_shifted: false };
        let dues: Vec<Due> = seconds.iter().map(|moment| due(*moment)).collect();
        let spec = ScheduleSpec { catch_up, window, ..ScheduleSpec::new(Rule::Every { interval: MINUTE }) };
        judge(&spec, &dues, at(now), |_| None)
    }

    fn fires(verdicts: &[Verdict]) -> Vec<bool> {
        verdicts.iter().map(Verdict::fires).collect()
    }

    #[test]
    fn a_little_late_is_on_time() {
        assert_eq!(judged(CatchUp::None, None, &[60], 62), [Verdict::Fire]);
    }

    #[test]
    fn policies_differ_after_an_absence() {
        let away = [60, 120, 180];
        assert_eq!(fires(&judged(CatchUp::None, None, &away, 900)), [false, false, false]);
        assert_eq!(fires(&judged(CatchUp::Latest, None, &away, 900)), [false, false, true]);
        assert_eq!(fires(&judged(CatchUp::All, None, &away, 900)), [true, true, true]);
        assert_eq!(fires(&judged(CatchUp::All, Some(MINUTE * 13), &away, 900)), [false, true, true]);
    }

    #[test]
    fn what_is_held_stands_for_nothing() {
        let spec = ScheduleSpec { catch_up: CatchUp::Latest, ..ScheduleSpec::new(Rule::Every { interval: MINUTE }) };
        let at = |seconds| later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds));
        let due = |moment| Due { scheduled_for: at(moment), fire_at: at(moment), dst_shifted: false };
        let dues = [60, 120, 900].map(due);
        let judged = judge(&spec, &dues, at(900), |due| (due.scheduled_for == at(900)).then(|| "closed".into()));
        assert!(matches!(judged[0], Verdict::Miss { .. }), "{judged:?}");
        assert_eq!(judged[1..], [Verdict::FireLate, Verdict::Hold { why: "closed".into() }]);
    }

    #[test]
    fn what_is_due_now_stands_for_what_was_missed() {
        assert_eq!(fires(&judged(CatchUp::Latest, None, &[60, 120, 900], 900)), [false, false, true]);
    }

    #[test]
    fn a_mark_in_the_future_does_not_silence_a_schedule() {
        let (now, week) = (later(Timestamp::UNIX_EPOCH, MINUTE * 60 * 24 * 30), MINUTE * 60 * 24 * 7);
        assert_eq!(look_back(now, later(now, MINUTE)), now);
        assert_eq!(look_back(now, earlier(now, MINUTE)), earlier(now, MINUTE));
        assert_eq!(look_back(now, Timestamp::UNIX_EPOCH), earlier(now, week));
    }

    #[test]
    fn catching_up_all_is_bounded() {
        let away: Vec<u64> = (0..limits::SCHEDULE_CATCH_UP_MAX as u64 + 5).map(|n| n * 60).collect();
        let verdicts = fires(&judged(CatchUp::All, None, &away, 10_000_000));
        assert_eq!(verdicts.iter().filter(|fires| **fires).count(), limits::SCHEDULE_CATCH_UP_MAX);
        assert!(!verdicts[0] && verdicts[away.len() - 1]);
    }
}
