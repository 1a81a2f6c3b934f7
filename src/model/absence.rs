//! The due times of a job that nobody fired while there was nobody, and the one event that tells of them.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{NewEvent, Occurrence};
use crate::base::{JobName, Timestamp};

/// Why nobody was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsenceCause {
    /// They passed before the daemon that keeps the schedule had the job.
    NoDaemon,
    /// They passed while it kept the schedule.
    StoodStill,
}

impl AbsenceCause {
    /// In words that follow "missed:".
    pub fn describe(self) -> &'static str {
        match self {
            Self::NoDaemon => "no daemon kept the schedule",
            Self::StoodStill => "the machine slept, the daemon stood still or the clock was set forward",
        }
    }
}

/// What one job missed at one time. A due time that was settled before, by a daemon that did not get to say so, is not
/// part of it: only whoever writes the rows knows which those are.
#[derive(Debug, Clone, PartialEq)]
pub struct Absence {
    pub job: JobName,
    pub cause: AbsenceCause,
    /// All `missed`, oldest first.
    pub missed: Vec<Occurrence>,
    /// Due times of the same absence that fire late.
    pub caught_up: usize,
    /// Where it began, if more due times passed than get a row each.
    pub unlisted_since: Option<Timestamp>,
}

impl Absence {
    /// The kind of the event.
    pub const KIND: &str = "schedule.missed";

    /// The event about `missed`, which are those of the absence that got their rows now; none when there are none.
    pub fn event(&self, missed: &[&Occurrence], at: Timestamp) -> Option<NewEvent> {
        let (first, last) = (missed.first()?.scheduled_for, missed.last()?.scheduled_for);
        let mut reasons: Vec<&str> = Vec::new();
        for reason in missed.iter().filter_map(|missed| missed.reason.as_deref()) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        let data = json!({
            "count": missed.len(),
            "first": first,
            "last": last,
            "cause": self.cause,
            "reason": reasons.join("; "),
            "caught_up": self.caught_up,
            "unlisted_since": self.unlisted_since,
            "text": self.describe(missed.len(), (first, last)),
        });
        Some(NewEvent::new(at, Self::KIND).job(&self.job).data(data))
    }

    /// One sentence for people.
    fn describe(&self, count: usize, (first, last): (Timestamp, Timestamp)) -> String {
        let when = match count {
            1 => format!("1 due time ({first}) was missed"),
            _ => format!("{count} due times ({first} to {last}) were missed"),
        };
        let unlisted = match self.unlisted_since {
            Some(since) => format!(" and older ones, since {since}, that have no rows"),
            None => String::new(),
        };
        let caught_up = match self.caught_up {
            0 => "none was caught up".to_owned(),
            1 => "1 was caught up".to_owned(),
            several => format!("{several} were caught up"),
        };
        format!("{when}{unlisted}: {}; {caught_up}", self.cause.describe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OccurrenceState;

    fn at(hour: u8) -> Timestamp {
        format!("2026-03-01T{hour:02}:00:00Z").parse().expect("a time")
    }

    fn missed(hour: u8, reason: &str) -> Occurrence {
        let job = "backup".parse().expect("a name");
        let (scheduled_for, state) = (at(hour), OccurrenceState::Missed);
        Occurrence { job, scheduled_for, state, reason: Some(reason.into()), run: None, decided_at: at(12) }
    }

    #[test]
    fn one_event_tells_of_those_that_got_rows() {
        let absence = Absence {
            job: "backup".parse().expect("a name"),
            cause: AbsenceCause::NoDaemon,
            missed: vec![missed(1, "too old"), missed(2, "stood for"), missed(3, "stood for")],
            caught_up: 1,
            unlisted_since: None,
        };
        let all: Vec<&Occurrence> = absence.missed.iter().collect();
        let event = absence.event(&all[1..], at(12)).expect("an event");
        assert_eq!((event.kind.as_str(), event.job.as_ref()), (Absence::KIND, Some(&absence.job)));
        assert_eq!((&event.data["count"], &event.data["reason"]), (&json!(2), &json!("stood for")));
        assert_eq!((&event.data["first"], &event.data["last"]), (&json!(at(2)), &json!(at(3))));
        let text = "2 due times (2026-03-01T02:00:00Z to 2026-03-01T03:00:00Z) were missed: no daemon kept the \
                    schedule; 1 was caught up";
        assert_eq!(event.data["text"], text);
        assert_eq!(absence.event(&[], at(12)), None);
    }

    #[test]
    fn what_has_no_rows_is_told_too() {
        let absence = Absence {
            job: "backup".parse().expect("a name"),
            cause: AbsenceCause::StoodStill,
            missed: vec![missed(9, "too many")],
            caught_up: 0,
            unlisted_since: Some(at(1)),
        };
        let event = absence.event(&[&absence.missed[0]], at(12)).expect("an event");
        let text = event.data["text"].as_str().expect("text");
        assert!(text.contains("since 2026-03-01T01:00:00Z, that have no rows"), "{text}");
        assert!(text.ends_with("the clock was set forward; none was caught up"), "{text}");
    }
}
