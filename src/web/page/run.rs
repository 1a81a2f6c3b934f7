//! One run: how it stands, what it was given, what it gave back or why it failed, what it wrote.

use axum::extract::State;
use maud::{Markup, html};
use serde_json::Value;

use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::{Page, Place, hidden};
use super::{approvals, log, steps, ui};
use crate::base::clock::since;
use crate::base::quantity::show_duration;
use crate::base::{Timestamp, limits};
use crate::model::{Entry, EntryState, Event, Role, RunState};
use crate::store::ScriptVersion;
use crate::web::error::ApiResult;
use crate::web::extract::Path;
use crate::web::parts::Web;
use crate::web::read::logs::LogLineView;
use crate::web::read::runs::{FaultView, RunView, find};
use crate::web::read::steps::{artifacts, waits_for};

/// Lines of the script that are shown on either side of the one that failed.
const CONTEXT_LINES: usize = 3;

pub async fn page(State(web): State<Web>, cx: Cx, Path(id): Path<String>) -> ApiResult<Markup> {
    let found = find(&web, &cx.who, &id).await?;
    let version = match (&found.error, found.version) {
        (Some(_), Some(version)) => web.parts.store.version(version).await?,
        _ => None,
    };
    let lines = web.parts.store.logs_tail(found.id, limits::PAGE_LOG_LINES_MAX).await?;
    let lines: Vec<LogLineView> = lines.into_iter().map(LogLineView::from).collect();
    let history = web.parts.store.run_events(found.id, limits::STORE_PAGE_ROWS_DEFAULT).await?;
    let entries = web.parts.store.journal_shown(found.id).await?;
    let kept = artifacts(&web, found.id).await?;
    let is_live = !found.state.is_final();
    let run = RunView::explained(&web, found).await?;
    let body = html! {
        (approvals::boxes(&cx, &run, &entries))
        @if let Some(error) = &run.error { (failure(error, version.as_ref(), run.state)) }
        div.columns.wide-left {
            div {
                (steps::chart(&cx, &run, &entries))
                (approvals::artifacts(&cx, run.id, &kept))
                (log::viewer(run.id, &lines, is_live))
            }
            div {
                (facts(&cx, &run, &entries))
                @if let Some(result) = &run.result { (ui::section("result", "Result", ui::nothing(), json(result))) }
                (params(&run.params))
                (timeline(&run, &history))
            }
        }
    };
    let id = run.id.to_string();
    let title = format!("Run {}", ui::short_id(&id));
    let last = lines.last().map_or(0, |line| line.seq);
    let page = Page::new(Place::Runs, &title, body)
        .crumb("/runs", "Runs")
        .crumb(format!("/jobs/{}", run.job), run.job.to_string());
    // Steps have no events of their own.
    let steps = if entries.is_empty() && run.deadline_at.is_none() { "" } else { "&steps=1" };
    Ok(page.head(head(&cx, &run)).live(format!("run={id}&after={last}{steps}")).render(&cx))
}

fn head(cx: &Cx, run: &RunView) -> Markup {
    html! {
        (ui::state(run.state))
        @if run.dry_run { span.tag { "dry run" } }
        @if cx.may(Role::Operator) {
            @if run.state.is_final() {
                form.inline method="post" action=(format!("/runs/{}/retry", run.id)) { (hidden(cx)) button type="submit" { (icon(Icon::Retry)) "Run again" } }
            } @else {
                form.inline method="post" action=(format!("/runs/{}/cancel", run.id)) { (hidden(cx)) button.danger type="submit" { (icon(Icon::Stop)) "Cancel" } }
            }
        }
    }
}

fn failure(error: &FaultView, version: Option<&ScriptVersion>, state: RunState) -> Markup {
    let source = error.at.as_ref().and_then(|at| {
        let files = &version?.files;
        files.iter().find(|(path, _)| *path == at.file).map(|(_, source)| (at, source.as_str()))
    });
    let title = if state.is_final() { "Why it failed" } else { "Why the last attempt failed" };
    let body = html! {
        p.error-message { (error.message) }
        @if let Some(hint) = &error.hint { p.hint { (icon(Icon::Info)) (hint) } }
        @if let Some(at) = &error.at {
            p.error-at { code { (at.file) ":" (at.line) @if let Some(column) = at.column { ":" (column) } } }
            @match source {
                Some((at, source)) => (excerpt(source, at.line)),
                None => { @if let Some(text) = &at.text { pre.source { code { (text) } } } }
            }
        }
        @if !error.details.is_null() { details { summary { "Details" } (json(&error.details)) } }
        @if error.trace.len() > 1 { details { summary { "Call chain" } ol.trace { @for call in &error.trace { li { code { (call) } } } } } }
    };
    html! { div.failure { (ui::section("error", title, html! { code { (error.code) } }, body)) } }
}

fn excerpt(source: &str, line: u32) -> Markup {
    let line = line as usize;
    let first = line.saturating_sub(CONTEXT_LINES).max(1);
    let shown = source.lines().enumerate().skip(first - 1).take(line + CONTEXT_LINES + 1 - first);
    html! {
        div.table-box tabindex="0" role="region" aria-label="Lines of the script" {
            table.excerpt {
                tbody {
                    @for (index, text) in shown {
                        tr class=[(index + 1 == line).then_some("at")] {
                            td.num { @if index + 1 == line { span.sr { "failed here: line " } } (index + 1) }
                            td { code { (text) } }
                        }
                    }
                }
            }
        }
    }
}

fn facts(cx: &Cx, run: &RunView, entries: &[Entry]) -> Markup {
    let waits: Vec<&Entry> = if run.state.is_final() {
        Vec::new()
    } else {
        entries.iter().filter(|entry| entry.state == EntryState::Waiting).collect()
    };
    let body = html! {
        dl.facts {
            @for entry in &waits {
                div {
                    dt { "Waits for" }
                    dd { (waits_for(entry).unwrap_or_default()) span.muted { " since " (ui::time(entry.started_at, cx.now)) } @if let Some(until) = entry.wake_at { span.muted { ", until " (ui::absolute(until)) } } }
                }
            }
            @if let Some(wake) = run.wake_at.filter(|_| run.state == RunState::Parked) { div { dt { "Goes on" } dd { (ui::time(wake, cx.now)) span.muted { " at the latest" } } } }
            @if let Some(deadline) = run.deadline_at.filter(|_| !run.state.is_final()) { div { dt { "Out of time" } dd { (ui::time(deadline, cx.now)) } } }
            div { dt { "Job" } dd { a href=(format!("/jobs/{}", run.job)) { (run.job) } } }
            div { dt { "Started by" } dd { (run.trigger.actor) @if run.trigger.actor != run.trigger.kind.as_str() { span.muted { " by " (run.trigger.kind.as_str()) } } } }
            @if let Some(due) = run.trigger.scheduled_for { div { dt { "Due" } dd { time.num datetime=(due) { (ui::absolute(due)) } } } }
            div { dt { "Accepted" } dd { (ui::time(run.queued_at, cx.now)) } }
            @if let Some(began) = run.started_at { div { dt { "Began" } dd { (ui::time(began, cx.now)) } } }
            @if let Some(ended) = run.finished_at { div { dt { "Ended" } dd { (ui::time(ended, cx.now)) } } }
            @if let Some(took) = run.duration_ms { div { dt { "Took" } dd { (ui::millis(took)) } } }
            @if run.attempt > 1 || !run.state.is_final() { div { dt { "Attempt" } dd { (run.attempt) } } }
            @if let Some(wait) = run.not_before.filter(|_| run.state == RunState::Queued) { div { dt { "Next attempt" } dd { (ui::time(wait, cx.now)) } } }
            // What a parked run waits for is its reason.
            @if let Some(reason) = run.reason.as_ref().filter(|_| waits.is_empty()) { div { dt { "Reason" } dd { (reason) } } }
            @if let Some(parent) = &run.parent { div { dt { "Set off by" } dd { a.mono href=(format!("/runs/{parent}")) { (ui::short_id(&parent.to_string())) } } } }
            @if let Some(version) = &run.version { div { dt { "Version" } dd { code { (&version[..12.min(version.len())]) } } } }
            div { dt { "Id" } dd { code.id { (run.id) } } }
        }
        @if let Some(progress) = &run.progress {
            @let label = progress.text.as_deref().unwrap_or("Progress");
            div.progress { label for="progress" { (label) } progress id="progress" max=[progress.total] value=[progress.total.map(|_| progress.done)] {} }
        }
    };
    ui::section("facts", "About", ui::nothing(), body)
}

fn params(params: &Value) -> Markup {
    let Some(map) = params.as_object().filter(|map| !map.is_empty()) else { return ui::nothing() };
    let body = html! { dl.facts { @for (name, value) in map { div { dt { (name) } dd { code { @match value.as_str() { Some(text) => (text), None => (value) } } } } } } };
    ui::section("params", "Parameters", ui::nothing(), body)
}

pub fn json(value: &Value) -> Markup {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    html! { pre.json tabindex="0" role="region" aria-label="JSON" { code { (text) } } }
}

/// One moment of a run.
struct Moment {
    at: Timestamp,
    tone: &'static str,
    what: String,
    why: Option<String>,
}

/// What happened, by the event log; by the run itself when its events are too old to be kept.
fn moments(run: &RunView, history: &[Event]) -> Vec<Moment> {
    let numbered =
        |what: &str, attempt: u64| if attempt > 1 { format!("{what}, attempt {attempt}") } else { what.to_owned() };
    let mut moments: Vec<Moment> = history
        .iter()
        .map(|event| {
            let data = &event.body.data;
            let (tone, what) = told(&event.body.kind);
            let why = data["reason"].as_str().or(data["error"]["message"].as_str()).map(str::to_owned);
            Moment { at: event.body.at, tone, what: numbered(&what, data["attempt"].as_u64().unwrap_or(0)), why }
        })
        .collect();
    if moments.is_empty() {
        let attempt = u64::from(run.attempt);
        let known = [
            (Some(run.queued_at), "wait", "accepted".to_owned(), None),
            (run.started_at, "live", numbered("began", attempt), None),
            (run.finished_at, ui::tone(run.state), ui::state_word(run.state).to_owned(), run.reason.clone()),
        ];
        let told = known.into_iter().filter_map(|(at, tone, what, why)| Some(Moment { at: at?, tone, what, why }));
        moments.extend(told);
    }
    if let Some(at) = run.not_before.filter(|_| run.state == RunState::Queued) {
        moments.push(Moment { at, tone: "wait", what: format!("attempt {} is due", run.attempt + 1), why: None });
    }
    moments
}

/// Tone and words of an event's kind.
fn told(kind: &str) -> (&'static str, String) {
    let word = kind.strip_prefix("run.").unwrap_or(kind);
    match word {
        "queued" => ("wait", "accepted".to_owned()),
        "started" => ("live", "began".to_owned()),
        "retrying" => ("warn", "failed, to be tried again".to_owned()),
        other => {
            let tone = RunState::parse(other).map_or("wait", ui::tone);
            (
                tone,
                RunState::parse(other)
                    .map_or_else(|| other.replace('_', " "), |state| ui::state_word(state).to_owned()),
            )
        }
    }
}

fn timeline(run: &RunView, history: &[Event]) -> Markup {
    let moments = moments(run, history);
    let first = moments.first().map_or(run.queued_at, |moment| moment.at);
    let body = html! {
        ol.timeline {
            @for (index, moment) in moments.iter().enumerate() {
                li data-tone=(moment.tone) {
                    span { (moment.what) }
                    time.num.muted datetime=(moment.at) title=(ui::absolute(moment.at)) {
                        @if index == 0 { (ui::absolute(moment.at)) } @else { "+" (show_duration(since(moment.at, first))) }
                    }
                    @if let Some(why) = &moment.why { span.sub { (why) } }
                }
            }
        }
    };
    ui::section("timeline", "What happened", ui::nothing(), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_line_stands_out_among_its_neighbours() {
        let source = (1..=20).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
        let html = excerpt(&source, 10).into_string();
        assert!(html.contains("line 7") && html.contains("line 13"), "{html}");
        assert!(!html.contains("line 6<") && !html.contains("line 14"), "{html}");
        assert_eq!(html.matches("class=\"at\"").count(), 1);
        assert!(excerpt("only", 1).into_string().contains("only"));
    }
}
