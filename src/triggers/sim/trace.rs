//! What a history tells of itself: its lines, which must be the same each time, and what happened in it how often.

use std::collections::BTreeMap;

use super::world::{Answer, Happening};
use crate::base::Timestamp;
use crate::runner::sim::Effect;

/// What every thorough set of histories contains. One that has none of something proves nothing about it.
pub const KINDS: [&str; 25] = [
    "acknowledged",
    "answered",
    "answers lost",
    "cancelled",
    "cancelled while parked",
    "claimed",
    "clock set back",
    "clock set forward",
    "coalesced",
    "commits failed",
    "commits slow",
    "killed",
    "lease lost",
    "missed",
    "parked",
    "paused",
    "repeated key",
    "replaced",
    "retried",
    "skipped",
    "slept",
    "stopped from elsewhere",
    "strays",
    "taken over",
    "woken",
];

#[derive(Debug, Default)]
pub struct Trace {
    /// Kept when somebody compares them.
    pub text: Option<String>,
    /// Printed as they come, so that they are there when the history fails.
    pub aloud: bool,
    pub events: u64,
    pub counts: BTreeMap<&'static str, u64>,
}

impl Trace {
    pub fn line(&mut self, now: Timestamp, tell: impl FnOnce() -> String) {
        if self.text.is_none() && !self.aloud {
            return;
        }
        let line = format!("{now} {}\n", tell());
        if self.aloud {
            eprint!("{line}");
        }
        if let Some(text) = &mut self.text {
            text.push_str(&line);
        }
    }

    pub fn count(&mut self, kind: &'static str) {
        debug_assert!(KINDS.contains(&kind), "{kind} is not among the kinds");
        *self.counts.entry(kind).or_default() += 1;
    }
}

/// Without what differs from process to process: the log of a run knows addresses in memory.
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Execute(execution) => format!("execute {:?}", execution.run),
        Effect::Settle { change, .. } => format!("settle {change:?}"),
        other => format!("{other:?}"),
    }
}

pub fn happening(happening: &Happening) -> String {
    match happening {
        Happening::Commit(daemon, _, asked) => format!("the store gets from daemon {daemon}: {}", effect(asked)),
        Happening::Answer(daemon, _, answer) => format!("daemon {daemon} hears {}", self::answer(answer)),
        Happening::Lane(daemon, _, script) => format!("a lane of daemon {daemon} goes on with {script:?}"),
        Happening::LookForDue(daemon, _) => format!("daemon {daemon} wakes what is due"),
        Happening::Signal(daemon, run) => format!("daemon {daemon} is told an answer for {run}"),
        Happening::Wake(daemon, _) => format!("daemon {daemon} wakes"),
        Happening::Tick(daemon, _) => format!("daemon {daemon} looks at its timetable"),
        Happening::Restart(daemon) => format!("daemon {daemon} starts"),
        Happening::Resume(daemon) => format!("daemon {daemon} goes on"),
    }
}

fn answer(answer: &Answer) -> String {
    format!("{answer:?}")
}
