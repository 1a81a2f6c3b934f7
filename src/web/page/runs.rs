//! The history of runs.

use axum::extract::State;
use maud::{Markup, html};

use super::cx::Cx;
use super::icons::Icon;
use super::layout::{Page, Place};
use super::ui;
use crate::model::RunState;
use crate::web::error::ApiResult;
use crate::web::extract::Query;
use crate::web::parts::Web;
use crate::web::read::runs::{RunQuery, RunView, list};

const SINCE: [(&str, &str); 5] =
    [("", "Any time"), ("1h", "Last hour"), ("24h", "Last 24 hours"), ("7d", "Last 7 days"), ("30d", "Last 30 days")];

pub async fn page(State(web): State<Web>, cx: Cx, Query(query): Query<RunQuery>) -> ApiResult<Markup> {
    let page = list(&web, &cx.who, &query).await?;
    let counts = if text(&query.job).is_empty() { web.parts.store.run_counts().await? } else { Vec::new() };
    let is_open = [&query.job, &query.state, &query.since, &query.before].iter().all(|field| text(field).is_empty());
    let body = html! {
        (filters(&web, &query, is_open))
        @if page.runs.is_empty() {
            @if is_open {
                (ui::empty(Icon::Runs, "No runs yet", html! { p { "Start a job from " a href="/jobs" { "its page" } ", or wait for its schedule." } }))
            } @else {
                (ui::empty(Icon::Search, "No run fits", html! { p { a href="/runs" { "Show all runs" } } }))
            }
        } @else {
            (ui::section("list", "History", counted(&counts), table(&cx, &page.runs, true)))
        }
        nav.pager aria-label="Pages" {
            @if !text(&query.before).is_empty() { a.button href=(address(&query, None)) { "Newest" } }
            @if let Some(next) = page.next { a.button href=(address(&query, Some(&next.to_string()))) rel="next" { "Older" } }
        }
    };
    // Further pages show history: it does not change under the reader.
    let made = Page::new(Place::Runs, "Runs", body);
    let made = if text(&query.before).is_empty() { made.live("") } else { made };
    Ok(made.render(&cx))
}

/// How many runs of each state are kept, as links to them.
fn counted(counts: &[(RunState, u64)]) -> Markup {
    html! {
        @for state in RunState::ALL {
            @let count: u64 = counts.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum();
            @if count > 0 {
                a.legend href=(format!("/runs?state={}", state.as_str())) { span.key.(ui::tone(state)) {} (count) " " (ui::state_word(state)) }
            }
        }
    }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or("").trim()
}

fn address(query: &RunQuery, before: Option<&str>) -> String {
    let mut address = url::form_urlencoded::Serializer::new("/runs?".to_owned());
    let fields = [
        ("job", text(&query.job)),
        ("state", text(&query.state)),
        ("since", text(&query.since)),
        ("before", before.unwrap_or("")),
    ];
    fields.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        address.append_pair(name, value);
    });
    address.finish()
}

fn filters(web: &Web, query: &RunQuery, is_open: bool) -> Markup {
    let snapshot = web.parts.jobs.snapshot();
    let state = text(&query.state);
    let groups =
        [("failed,timed_out,interrupted", "all that went wrong"), ("queued,running,parked", "all that are alive")];
    html! {
        form.filters method="get" role="search" {
            label.sr for="job" { "Job" }
            input id="job" name="job" list="jobs" value=(text(&query.job)) placeholder="Any job" autocomplete="off";
            datalist id="jobs" { @for name in snapshot.jobs.keys() { option value=(name) {} } }
            label.sr for="state" { "State" }
            select id="state" name="state" {
                option value="" { "Any state" }
                @for (value, words) in groups { option value=(value) selected[state == value] { (words) } }
                @for each in RunState::ALL { option value=(each.as_str()) selected[state == each.as_str()] { (ui::state_word(each)) } }
            }
            label.sr for="since" { "Since" }
            select id="since" name="since" {
                @for (value, words) in SINCE { option value=(value) selected[text(&query.since) == value] { (words) } }
            }
            button type="submit" { "Filter" }
            @if !is_open { a.clear href="/runs" { "Clear" } }
        }
    }
}

/// Why it failed, or what it waits for.
fn told(run: &RunView) -> Option<&str> {
    let waits = run.reason.as_deref().filter(|_| run.state == RunState::Parked);
    run.error.as_ref().map(|error| error.message.as_str()).or(waits)
}

/// Runs as a table; `named` when they are not all of one job.
pub fn table(cx: &Cx, runs: &[RunView], named: bool) -> Markup {
    html! {
        div.table-box {
            table.stack.runs data-named[named] {
                thead { tr {
                    th scope="col" { "Run" }
                    @if named { th scope="col" { "Job" } }
                    th scope="col" { "State" } th scope="col" { "Began" } th scope="col" { "Took" } th scope="col" { "Started by" }
                } }
                tbody {
                    @for run in runs {
                        tr id=(format!("run-{}", run.id)) {
                            th scope="row" { a.mono href=(format!("/runs/{}", run.id)) title=(run.id) { (ui::short_id(&run.id.to_string())) } @if run.dry_run { " " span.tag { "dry run" } } }
                            @if named { td data-label="Job" { a href=(format!("/jobs/{}", run.job)) { (run.job) } } }
                            td data-label="State" { (ui::state(run.state)) @if let Some(told) = told(run) { span.sub.clip title=(told) { (told) } } }
                            td data-label="Began" { (ui::time(run.started_at.unwrap_or(run.queued_at), cx.now)) }
                            td data-label="Took" { @if let Some(took) = run.duration_ms { (ui::millis(took)) } @else { (ui::none()) } }
                            td data-label="Started by" { (run.trigger.kind.as_str()) @if run.trigger.actor != run.trigger.kind.as_str() { span.sub { (run.trigger.actor) } } }
                        }
                    }
                }
            }
        }
    }
}
