//! Checks: whether something that others need answers, decided by several answers in a row.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// Not enough answers yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl CheckState {
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Up, Self::Down];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How many answers in a row change a check's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    pub up_after: u32,
    pub down_after: u32,
}

/// What is known of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    /// `http`, `tcp`, …
    pub kind: String,
    /// What is checked, without secrets.
    pub target: String,
    pub interval_ms: u64,
    pub state: CheckState,
    /// Of the state.
    pub since: Timestamp,
    /// Good answers in a row, or bad ones; one of them is 0.
    pub successes: u32,
    pub failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// Of the last good answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// What was wrong with the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Check {
    pub fn new(name: &str, kind: &str, target: String, interval: Duration, at: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            target,
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            state: CheckState::Unknown,
            since: at,
            successes: 0,
            failures: 0,
            last_at: None,
            latency_ms: None,
            problem: None,
        }
    }

    /// Takes an answer in: how long a good one took, or what was wrong. Whether the state changed.
    pub fn answered(&mut self, answer: Result<Duration, String>, debounce: Debounce, at: Timestamp) -> bool {
        self.last_at = Some(at);
        let state = match answer {
            Ok(took) => {
                (self.successes, self.failures) = (self.successes.saturating_add(1), 0);
                (self.latency_ms, self.problem) = (Some(took.as_secs_f64() * 1_000.0), None);
                (self.successes >= debounce.up_after).then_some(CheckState::Up)
            }
            Err(problem) => {
                (self.successes, self.failures) = (0, self.failures.saturating_add(1));
                (self.latency_ms, self.problem) = (None, Some(problem));
                (self.failures >= debounce.down_after).then_some(CheckState::Down)
            }
        };
        match state {
            Some(state) if state != self.state => {
                (self.state, self.since) = (state, at);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_up_after_two_good_answers_and_down_after_three_bad_ones() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let debounce = Debounce { up_after: 2, down_after: 3 };
        let mut check = Check::new("web", "tcp", "a:1".into(), Duration::from_secs(5), at(0));
        let (good, bad) = (|| Ok(Duration::from_millis(3)), || Err("refused".to_owned()));
        let answers = [good(), good(), bad(), bad(), good(), bad(), bad(), bad(), good(), good()];
        let states: Vec<(&str, bool)> = (1..)
            .zip(answers)
            .map(|(second, answer)| {
                let changed = check.answered(answer, debounce, at(second));
                (check.state.as_str(), changed)
            })
            .collect();
        let expected = ["unknown", "up", "up", "up", "up", "up", "up", "down", "down", "up"];
        assert_eq!(states.iter().map(|(state, _)| *state).collect::<Vec<_>>(), expected);
        let changes: Vec<usize> = (0..10).filter(|index| states[*index].1).collect();
        assert_eq!(changes, [1, 7, 9]);
        assert_eq!((check.since, check.latency_ms, check.problem), (at(10), Some(3.0), None));
    }
}
