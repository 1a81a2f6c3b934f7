//! The schedule's window as one line of time for each job: what became of past due times, and the forecast.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::cx::Cx;
use super::ui;
use crate::base::clock::since;
use crate::base::{JobName, Timestamp, limits};
use crate::model::OccurrenceState;
use crate::web::error::ApiResult;
use crate::web::parts::Upcoming;
use crate::web::read::schedule;

/// Marks that a lane has room for; due times that fall together share one, which shows the worst of them.
const SLOTS: usize = 240;
const SLOT_WIDTH: usize = 4;
const JOBS_SHOWN: usize = 24;
const FORECAST_PER_JOB_MAX: usize = 300;

/// One job's line.
#[derive(Debug, Default, PartialEq)]
struct Lane {
    /// By slot: how bad, and how many.
    past: BTreeMap<usize, (Tone, usize)>,
    next: BTreeMap<usize, usize>,
    /// There are more than were read, on the outer side of the marks.
    more_past: bool,
    more_next: bool,
}

/// Later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tone {
    Ok,
    Idle,
    Warn,
    Bad,
}

impl Tone {
    fn of(state: OccurrenceState) -> Self {
        match state {
            OccurrenceState::Fired | OccurrenceState::DstShifted => Self::Ok,
            OccurrenceState::Coalesced | OccurrenceState::Held => Self::Idle,
            OccurrenceState::SkippedOverlap => Self::Warn,
            OccurrenceState::Missed | OccurrenceState::Refused => Self::Bad,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// The window that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    fn slot(&self, at: Timestamp) -> usize {
        let share = since(at, self.from).as_secs_f64() / since(self.to, self.from).as_secs_f64().max(1.0);
        ((share * SLOTS as f64) as usize).min(SLOTS - 1)
    }
}

impl Lane {
    fn new(window: Window, past: &[(Timestamp, OccurrenceState)], next: &[Upcoming]) -> Self {
        let mut lane = Self {
            more_past: past.len() >= limits::STORE_PAGE_ROWS_MAX,
            more_next: next.len() >= FORECAST_PER_JOB_MAX,
            ..Self::default()
        };
        for (at, state) in past {
            let mark = lane.past.entry(window.slot(*at)).or_insert((Tone::Ok, 0));
            *mark = (mark.0.max(Tone::of(*state)), mark.1 + 1);
        }
        for due in next {
            *lane.next.entry(window.slot(due.fire_at)).or_default() += 1;
        }
        lane
    }

    fn label(&self) -> String {
        let past: usize = self.past.values().map(|(_, count)| count).sum();
        let bad: usize = self.past.values().filter(|(tone, _)| *tone >= Tone::Warn).map(|(_, count)| count).sum();
        let next: usize = self.next.values().sum();
        let more = |more: bool| if more { "more than " } else { "" };
        format!(
            "{}{past} past due times, {bad} of them amiss; {}{next} to come",
            more(self.more_past),
            more(self.more_next)
        )
    }
}

/// The lanes of the first jobs that have a schedule, or of `only`.
pub async fn outline(cx: &Cx, window: Window, only: Option<&JobName>) -> ApiResult<Markup> {
    let snapshot = cx.web.parts.jobs.snapshot();
    let scheduled =
        snapshot.jobs.values().filter(|job| !job.spec.schedules.is_empty() && cx.who.covers(&job.spec.name));
    let names: Vec<JobName> =
        scheduled.map(|job| job.spec.name.clone()).filter(|name| only.is_none_or(|only| only == name)).collect();
    let mut lanes = Vec::new();
    for name in names.iter().take(JOBS_SHOWN) {
        let found =
            cx.web.parts.store.occurrences(Some(name), window.from, cx.now, limits::STORE_PAGE_ROWS_MAX).await?;
        let past: Vec<_> = found.iter().map(|found| (found.scheduled_for, found.state)).collect();
        let next = schedule::forecast(&cx.web, Some(name.clone()), cx.now, window.to, FORECAST_PER_JOB_MAX).await?;
        lanes.push((name, Lane::new(window, &past, &next)));
    }
    if lanes.is_empty() {
        return Ok(ui::nothing());
    }
    let body = html! {
        ul.lanes { @for (name, lane) in &lanes { li { a href=(format!("/jobs/{name}")) { (name) } (line(cx, window, lane)) } } }
        @if names.len() > JOBS_SHOWN { p.quiet-line { (names.len() - JOBS_SHOWN) " more jobs: choose one above." } }
        div.axis.lanes-axis {
            time datetime=(window.from) title=(ui::absolute(window.from)) { (window.from.strftime("%a %H:%M UTC")) }
            span { "now" }
            time datetime=(window.to) title=(ui::absolute(window.to)) { (window.to.strftime("%a %H:%M UTC")) }
        }
    };
    let aside = html! {
        span.legend { span.key.ok {} "fired" }
        span.legend { span.key.warn {} "skipped" }
        span.legend { span.key.bad {} "missed, refused" }
        span.legend { span.key.idle {} "held, coalesced" }
        span.legend { span.key.next {} "to come" }
    };
    Ok(ui::section("outline", "Before and after now", aside, body))
}

fn line(cx: &Cx, window: Window, lane: &Lane) -> Markup {
    let place = |slot: usize| slot * SLOT_WIDTH;
    let width = place(SLOTS);
    let first = lane.past.keys().next().copied().unwrap_or(0);
    let last = lane.next.keys().next_back().copied().unwrap_or(SLOTS);
    html! {
        svg.lane viewBox=(format!("0 0 {width} 16")) preserveAspectRatio="none" role="img" aria-label=(lane.label()) {
            rect.slot x="0" y="7" width=(width) height="2" {}
            @if lane.more_past { rect.unread x="0" y="5" width=(place(first)) height="6" {} }
            @if lane.more_next { rect.unread x=(place(last)) y="5" width=(width - place(last)) height="6" {} }
            @for (slot, (tone, _)) in &lane.past { rect class=(tone.class()) x=(place(*slot)) y="2" width="3" height="12" {} }
            @for slot in lane.next.keys() { rect.next x=(place(*slot)) y="4" width="3" height="8" {} }
            rect.now x=(place(window.slot(cx.now))) y="0" width="2" height="16" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_that_fall_together_show_the_worst() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let window = Window { from: at(0), to: at(24_000) };
        let past =
            [(at(10), OccurrenceState::Fired), (at(20), OccurrenceState::Missed), (at(300), OccurrenceState::Held)];
        let due = |second| Upcoming {
            job: "x".parse().expect("a name"),
            scheduled_for: at(second),
            fire_at: at(second),
            dst_shifted: false,
            held: None,
        };
        let lane = Lane::new(window, &past, &[due(12_000), due(23_999), due(99_999)]);
        assert_eq!(lane.past, BTreeMap::from([(0, (Tone::Bad, 2)), (3, (Tone::Idle, 1))]));
        assert_eq!(lane.next, BTreeMap::from([(120, 1), (239, 2)]));
        assert_eq!(lane.label(), "3 past due times, 2 of them amiss; 3 to come");
    }
}
