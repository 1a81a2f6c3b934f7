//! What a durable run has done, over time: one line for each entry of its journal, which opens to what it gave.

use maud::{Markup, html};
use serde_json::Value;

use super::approvals::shown;
use super::cx::Cx;
use super::icons::{Icon, icon};
use super::run::json;
use super::ui;
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::base::{Timestamp, limits};
use crate::model::{Entry, EntryKind, EntryState};
use crate::web::read::runs::{FaultView, RunView};
use crate::web::read::steps::StepView;

/// How far lines of nested groups are moved to the right at most.
const DEPTH_MAX: usize = 3;

/// The time that the chart spans.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from: Timestamp,
    to: Timestamp,
}

impl Scale {
    fn of(run: &RunView, entries: &[Entry], now: Timestamp) -> Self {
        let from = entries.iter().map(|entry| entry.started_at).chain(run.started_at).min().unwrap_or(now);
        let ends = entries.iter().filter_map(|entry| entry.finished_at).max();
        let to = if run.state.is_final() { run.finished_at.max(ends).unwrap_or(now) } else { now };
        Self { from, to: to.max(from) }
    }

    /// In percent of the whole.
    fn place(&self, at: Timestamp) -> f64 {
        let whole = since(self.to, self.from).as_secs_f64().max(1e-6);
        (since(at, self.from).as_secs_f64() / whole * 100.0).min(100.0)
    }
}

/// A bar of a line.
#[derive(Debug, Clone, Copy)]
struct Bar {
    from: Timestamp,
    to: Timestamp,
    tone: &'static str,
    /// Nothing was done meanwhile.
    waits: bool,
}

fn is_wait(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Sleep | EntryKind::Event | EntryKind::Approval)
}

fn tone(entry: &Entry) -> &'static str {
    match (entry.state, entry.kind) {
        (EntryState::Waiting, _) => "wait",
        (EntryState::Failed, _) | (_, EntryKind::Unwind) => "bad",
        (_, EntryKind::Approval) if entry.result.as_ref().is_some_and(|given| given["approved"] == false) => "warn",
        (_, EntryKind::Undo) => "warn",
        (_, EntryKind::Sleep | EntryKind::Compensation | EntryKind::Value) => "idle",
        (EntryState::Done, _) => "ok",
    }
}

fn glyph(entry: &Entry) -> Icon {
    match (entry.state, entry.kind) {
        (EntryState::Failed, _) => Icon::Cross,
        (_, EntryKind::Sleep) => Icon::Clock,
        (_, EntryKind::Event) => Icon::Bolt,
        (_, EntryKind::Approval) => Icon::Person,
        (_, EntryKind::Compensation | EntryKind::Undo | EntryKind::Unwind) => Icon::Undo,
        (EntryState::Waiting, _) => Icon::Running,
        (EntryState::Done, _) => Icon::Check,
    }
}

/// The chart; nothing for a run without a journal.
pub fn chart(cx: &Cx, run: &RunView, entries: &[Entry]) -> Markup {
    let is_shown = |entry: &&Entry| match entry.kind {
        EntryKind::Value => false,
        // These stand on the line of what they undo.
        EntryKind::Undo => !entries.iter().any(|other| other.key.undo() == entry.key),
        _ => true,
    };
    let shown: Vec<&Entry> = entries.iter().filter(is_shown).collect();
    if shown.is_empty() {
        return ui::nothing();
    }
    let scale = Scale::of(run, entries, cx.now);
    let left_out = shown.len().saturating_sub(limits::PAGE_STEPS_MAX);
    let body = html! {
        // Stripes in the colour of the ground, laid over a bar.
        svg.hatch-source width="0" height="0" aria-hidden="true" focusable="false" {
            pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" { rect width="3" height="6" {} }
        }
        @if left_out > 0 { p.quiet-line { "The first " (left_out) " are left out: " a href=(format!("/api/v1/runs/{}/steps", run.id)) { "all of them" } "." } }
        ol.gantt { @for entry in &shown[left_out..] { (line(cx, run, scale, entry, entries)) } }
        div.gantt-axis {
            div.axis {
                time datetime=(scale.from) title=(ui::absolute(scale.from)) { (scale.from.strftime("%a %H:%M:%S UTC")) }
                span { "+" (show_duration(rounded(since(scale.to, scale.from)))) }
            }
        }
    };
    let aside = html! {
        span.legend { span.key.ok {} "done" }
        @if shown.iter().any(|entry| is_wait(entry.kind)) { span.legend { span.key.wait.hatched {} "waiting" } }
        @if entries.iter().any(|entry| entry.kind == EntryKind::Undo) { span.legend { span.key.warn {} "undone" } }
    };
    ui::section("steps", "Steps", aside, body)
}

/// Without the fractions that nobody reads in a long time.
fn rounded(duration: std::time::Duration) -> std::time::Duration {
    if duration.as_secs() >= 60 { std::time::Duration::from_secs(duration.as_secs()) } else { duration }
}

fn line(cx: &Cx, run: &RunView, scale: Scale, entry: &Entry, all: &[Entry]) -> Markup {
    let end = if run.state.is_final() { scale.to } else { cx.now };
    let undo = entry.key.undo();
    let undoing = all.iter().find(|other| other.kind == EntryKind::Undo && other.key == undo);
    let mut bars = vec![Bar {
        from: entry.started_at,
        to: entry.finished_at.unwrap_or(end),
        tone: tone(entry),
        waits: is_wait(entry.kind),
    }];
    bars.extend(undoing.map(|undoing| Bar {
        from: undoing.started_at,
        to: undoing.finished_at.unwrap_or(end),
        tone: if undoing.state == EntryState::Failed { "bad" } else { "warn" },
        waits: false,
    }));
    let step = StepView::new(entry, all, cx.now);
    let took = rounded(since(entry.finished_at.unwrap_or(end), entry.started_at));
    let depth = (entry.key.places().len() / 2).min(DEPTH_MAX);
    html! {
        li id=(format!("step-{}", entry.key)) {
            details {
                summary {
                    span.gantt-name data-depth=(depth) {
                        span.gantt-icon data-tone=(tone(entry)) { (icon(glyph(entry))) }
                        span.gantt-words { (title(entry)) span.sr { ", " (word(entry)) } }
                        @match step.undone {
                            Some(true) => (ui::badge("warn", Icon::Undo, "undone")),
                            Some(false) => (ui::badge("bad", Icon::Cross, "not undone")),
                            None => {}
                        }
                    }
                    (drawn(scale, &bars))
                    span.gantt-took.num { @if entry.state == EntryState::Waiting { span.muted { "waits" } } @else if entry.finished_at.is_some() { (show_duration(took)) } }
                }
                div.gantt-more { (details(cx, entry, &step, undoing)) }
            }
        }
    }
}

fn title(entry: &Entry) -> &str {
    match entry.kind {
        EntryKind::Unwind => "undoing what was done",
        EntryKind::Sleep if entry.name.is_empty() => "sleep",
        _ => &entry.name,
    }
}

fn word(entry: &Entry) -> String {
    format!("{}, {}", entry.kind.as_str(), entry.state.as_str())
}

fn drawn(scale: Scale, bars: &[Bar]) -> Markup {
    html! {
        svg.gantt-line height="16" aria-hidden="true" focusable="false" {
            rect.slot x="0" y="7" width="100%" height="2" {}
            @for bar in bars {
                @let x = scale.place(bar.from);
                @let (x, width) = (format!("{x:.3}%"), format!("{:.3}%", (scale.place(bar.to) - x).max(0.0)));
                rect class=(format!("bar {}", bar.tone)) x=(x) y="3" width=(width) height="10" {}
                @if bar.waits { rect.hatch x=(x) y="2" width=(width) height="12" {} }
            }
        }
    }
}

fn details(cx: &Cx, entry: &Entry, step: &StepView, undoing: Option<&Entry>) -> Markup {
    html! {
        dl.facts {
            div { dt { "What" } dd { (word(entry)) span.muted { " at place " (entry.key) } } }
            div { dt { "Began" } dd { time.num datetime=(entry.started_at) { (ui::absolute(entry.started_at)) } } }
            @if let Some(ended) = entry.finished_at { div { dt { "Ended" } dd { time.num datetime=(ended) { (ui::absolute(ended)) } } } }
            @else if let Some(until) = entry.wake_at { div { dt { "Until" } dd { time.num datetime=(until) { (ui::absolute(until)) } " (" (ui::time(until, cx.now)) ")" } } }
            @if entry.tries > 1 { div { dt { "Tries" } dd { (entry.tries) } } }
            @if entry.attempt > 1 { div { dt { "Attempt" } dd { (entry.attempt) } } }
            @if let Some(key) = &entry.match_key { div { dt { "Key" } dd { code { (key) } } } }
            @if let Some(actor) = &step.actor { div { dt { "By" } dd { (actor) } } }
            @if entry.undo && step.undone.is_none() { div { dt { "Undo" } dd { "when the run fails" } } }
            @if let Some(undone) = undoing.and_then(|undoing| undoing.finished_at) { div { dt { @if step.undone == Some(true) { "Undone" } @else { "Undoing ended" } } dd { time.num datetime=(undone) { (ui::absolute(undone)) } } } }
        }
        @if let Some(error) = &step.error { (failure("Error", error)) }
        @if let Some(error) = undoing.and_then(|undoing| undoing.error.clone()) { (failure("Undoing it failed", &FaultView::from(error))) }
        @if let Some(show) = &step.show { p.gantt-label { "Shown" } div.shown { (shown(show)) } }
        @if let Some(result) = &step.result { (value("Result", result)) }
    }
}

fn failure(what: &str, error: &FaultView) -> Markup {
    html! {
        p.problem { strong { (what) } ": " (error.message) " " code { (error.code) } }
        @if let Some(hint) = &error.hint { p.hint { (icon(Icon::Info)) (hint) } }
        @if let Some(at) = &error.at { p.error-at { code { (at.file) ":" (at.line) } } }
    }
}

fn value(what: &str, value: &Value) -> Markup {
    // What is too long has not been read at all.
    let cut = value["cut"]["bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = cut.unwrap_or(0).max(value.to_string().len());
    html! {
        p.gantt-label { (what) }
        @if bytes > limits::PAGE_STEP_VALUE_BYTES_MAX { p.quiet-line { (crate::base::quantity::show_size(bytes as u64)) ": too much to be shown here; the API has it." } }
        @else { (json(value)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::read::steps::testing::{at, entry};

    #[test]
    fn the_chart_spans_what_happened() {
        let scale = Scale { from: at(100), to: at(300) };
        assert_eq!(
            [at(50), at(100), at(200), at(300), at(400)].map(|at| scale.place(at)),
            [0.0, 0.0, 50.0, 100.0, 100.0]
        );
        let instant = Scale { from: at(1), to: at(1) };
        assert_eq!(instant.place(at(1)), 0.0);
    }

    #[test]
    fn tones_say_how_an_entry_ended() {
        let mut rejected = entry("1", EntryKind::Approval, "switch", 0, Some(1));
        rejected.result = Some(serde_json::json!({ "approved": false }));
        let mut failed = entry("2", EntryKind::Step, "copy", 0, Some(1));
        failed.state = EntryState::Failed;
        let waiting = entry("3", EntryKind::Event, "paid", 0, None);
        let done = entry("4", EntryKind::Step, "copy", 0, Some(1));
        assert_eq!([&rejected, &failed, &waiting, &done].map(tone), ["warn", "bad", "wait", "ok"]);
    }

    #[test]
    fn waits_are_hatched_and_work_is_not() {
        let scale = Scale { from: at(0), to: at(10) };
        let bar = |waits| Bar { from: at(0), to: at(5), tone: "ok", waits };
        assert!(drawn(scale, &[bar(true)]).into_string().contains("class=\"hatch\""));
        let html = drawn(scale, &[bar(false)]).into_string();
        assert!(!html.contains("class=\"hatch\"") && html.contains("class=\"bar ok\" x=\"0.000%\""), "{html}");
        assert!(html.contains("width=\"50.000%\""), "{html}");
    }
}
