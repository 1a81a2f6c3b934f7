//! Small pieces that pages are made of.

use std::time::Duration;

use maud::{Markup, html};

use super::icons::{Icon, icon};
use crate::base::Timestamp;
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::model::{LogLevel, OccurrenceState, RunState};

/// `4m ago`, `in 2h`, `now`: one unit, as the page's script goes on counting it.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let (span, ahead) = if at > now { (since(at, now), true) } else { (since(now, at), false) };
    let seconds = span.as_secs();
    let text = match seconds {
        0 => return "now".to_owned(),
        1..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m", seconds / 60),
        3_600..=86_399 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    };
    if ahead { format!("in {text}") } else { format!("{text} ago") }
}

/// `2026-11-22 06:00:00 UTC`.
pub fn absolute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub fn clock_time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// A moment, relative to now, with the absolute time at hand.
pub fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(absolute(at)) data-rel { (relative(at, now)) } }
}

pub fn maybe_time(at: Option<Timestamp>, now: Timestamp) -> Markup {
    html! { @if let Some(at) = at { (time(at, now)) } @else { (none()) } }
}

/// The absence of a value.
pub fn none() -> Markup {
    html! { span.none { "–" span.sr { "none" } } }
}

pub fn millis(ms: u64) -> Markup {
    html! { span.num { (show_duration(Duration::from_millis(ms))) } }
}

/// The word for a state as people read it.
pub fn state_word(state: RunState) -> &'static str {
    match state {
        RunState::TimedOut => "timed out",
        other => other.as_str(),
    }
}

/// How good or bad a state is: decides its colour, always beside an icon and the word.
pub fn tone(state: RunState) -> &'static str {
    match state {
        RunState::Succeeded => "ok",
        RunState::Failed | RunState::TimedOut => "bad",
        RunState::Interrupted => "warn",
        RunState::Running => "live",
        RunState::Queued | RunState::Parked => "wait",
        RunState::Cancelled => "idle",
    }
}

pub fn state(state: RunState) -> Markup {
    let glyph = match state {
        RunState::Succeeded => Icon::Check,
        RunState::Failed => Icon::Cross,
        RunState::TimedOut => Icon::Clock,
        RunState::Interrupted => Icon::Bolt,
        RunState::Running => Icon::Running,
        RunState::Queued => Icon::Queue,
        RunState::Parked => Icon::Pause,
        RunState::Cancelled => Icon::Stop,
    };
    badge(tone(state), glyph, state_word(state))
}

pub fn occurrence(state: OccurrenceState) -> Markup {
    let (tone, glyph, word) = match state {
        OccurrenceState::Fired => ("ok", Icon::Check, "fired"),
        OccurrenceState::Coalesced => ("idle", Icon::Queue, "coalesced"),
        OccurrenceState::SkippedOverlap => ("warn", Icon::Skip, "skipped: overlap"),
        OccurrenceState::Missed => ("bad", Icon::Cross, "missed"),
        OccurrenceState::DstShifted => ("live", Icon::Clock, "shifted: clock change"),
        OccurrenceState::Held => ("idle", Icon::Stop, "held"),
        OccurrenceState::Refused => ("bad", Icon::Cross, "refused"),
    };
    badge(tone, glyph, word)
}

pub fn level(level: LogLevel) -> Markup {
    html! { span.level data-level=(level.as_str()) { (level.as_str()) } }
}

pub fn badge(tone: &str, glyph: Icon, text: &str) -> Markup {
    html! { span.badge data-tone=(tone) { (icon(glyph)) (text) } }
}

/// States of the latest runs as small bars, oldest first.
pub fn recent(states: &[RunState]) -> Markup {
    const WIDTH: usize = 5;
    let good = states.iter().filter(|state| **state == RunState::Succeeded).count();
    html! {
        @if states.is_empty() { (none()) } @else {
            svg.recent viewBox=(format!("0 0 {} 18", states.len() * WIDTH)) width=(states.len() * WIDTH) height="18"
                role="img" aria-label=(format!("{good} of the last {} succeeded", states.len())) {
                @for (index, state) in states.iter().enumerate() {
                    rect class=(tone(*state)) x=(index * WIDTH) y="0" width="3.5" height="18" rx="1" {}
                }
            }
        }
    }
}

/// What a page shows in place of an empty list: what to do next.
pub fn empty(glyph: Icon, title: &str, help: Markup) -> Markup {
    html! { div.empty { (icon(glyph)) p.empty-title { (title) } div.empty-help { (help) } } }
}

/// A titled part of a page.
pub fn section(id: &str, title: &str, aside: Markup, body: Markup) -> Markup {
    html! {
        section.card id=(id) aria-labelledby=(format!("{id}-title")) {
            header.card-head { h2 id=(format!("{id}-title")) { (title) } div.card-aside { (aside) } }
            (body)
        }
    }
}

pub fn nothing() -> Markup {
    html! {}
}

/// The first characters of an id, enough for a person; ids begin with their time, so the end tells them apart.
pub fn short_id(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let now = at(100_000);
        let cases = [(99_999, "1s ago"), (100_000, "now"), (100_090, "in 1m"), (92_800, "2h ago"), (0, "1d ago")];
        for (second, text) in cases {
            assert_eq!(relative(at(second), now), text);
        }
        assert_eq!(absolute(at(0)), "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn every_state_has_a_tone_that_the_style_knows() {
        let style = include_str!("../assets/20-parts.css");
        for state in RunState::ALL {
            assert!(style.contains(&format!("[data-tone=\"{}\"]", tone(state))), "{state}");
        }
    }
}
