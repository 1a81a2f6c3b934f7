//! The list of jobs, and what is wrong with files.

use std::collections::BTreeMap;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::{Page, Place, hidden};
use super::ui;
use crate::base::Timestamp;
use crate::model::{Role, RunState};
use crate::web::error::ApiResult;
use crate::web::extract::Query;
use crate::web::parts::Web;
use crate::web::read::jobs::{self, DiagnosticView, JobSummary};

#[derive(Debug, Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    q: String,
    /// `failing`, `scheduled`, `disabled`, `rejected`; empty: all.
    #[serde(default)]
    show: String,
}

const SHOWS: [(&str, &str); 5] = [
    ("", "All"),
    ("failing", "Failing"),
    ("scheduled", "Scheduled"),
    ("disabled", "Disabled"),
    ("rejected", "Rejected"),
];

impl Filter {
    fn covers(&self, job: &JobSummary) -> bool {
        let wanted = self.q.trim().to_lowercase();
        let mut texts = [job.name.as_str(), &job.description, &job.file].into_iter();
        let found = wanted.is_empty()
            || texts.any(|text| text.to_lowercase().contains(&wanted))
            || job.tags.iter().any(|tag| tag.to_lowercase() == wanted);
        let last = job.last_run.as_ref().map(|run| run.state);
        found
            && match self.show.as_str() {
                "failing" => matches!(last, Some(RunState::Failed | RunState::TimedOut | RunState::Interrupted)),
                "scheduled" => !job.schedules.is_empty(),
                "disabled" => !job.enabled,
                "rejected" => !job.diagnostics.is_empty(),
                _ => true,
            }
    }

    fn is_open(&self) -> bool {
        self.q.trim().is_empty() && self.show.is_empty()
    }
}

pub async fn page(State(web): State<Web>, cx: Cx, Query(filter): Query<Filter>) -> ApiResult<Markup> {
    let all = jobs::list(&web, &cx.who).await?;
    let diagnostics = jobs::diagnostics(&web);
    let shown: Vec<&JobSummary> =
        all.iter().filter(|job| filter.covers(job) && (!job.hidden || !filter.is_open())).collect();
    let mut groups: BTreeMap<&str, Vec<&JobSummary>> = BTreeMap::new();
    for job in &shown {
        groups.entry(job.group.as_deref().unwrap_or("")).or_default().push(job);
    }
    let body = html! {
        (filters(&filter))
        @if !diagnostics.is_empty() && (filter.is_open() || filter.show == "rejected") {
            (ui::section("diagnostics", "Rejected files and warnings", html! { span.count data-tone="bad" { (diagnostics.len()) } }, html! {
                ul.attention { @for found in &diagnostics { li { (diagnostic(found, cx.now)) } } }
            }))
        }
        @if shown.is_empty() { (nothing_shown(all.is_empty(), &filter)) }
        // Jobs without a group come last.
        @for (group, jobs) in groups.iter().filter(|(group, _)| !group.is_empty()).chain(groups.iter().filter(|(group, _)| group.is_empty())) {
            (table(&cx, group, jobs, groups.len() > 1))
        }
    };
    let head = html! { span.muted.num { (shown.len()) " of " (all.len()) } };
    Ok(Page::new(Place::Jobs, "Jobs", body).head(head).live("").render(&cx))
}

fn filters(filter: &Filter) -> Markup {
    html! {
        form.filters method="get" role="search" {
            label.sr for="q" { "Search jobs" }
            input id="q" name="q" type="search" value=(filter.q) placeholder="Name, description, tag" data-filter;
            label.sr for="show" { "Show" }
            select id="show" name="show" {
                @for (value, text) in SHOWS { option value=(value) selected[filter.show == value] { (text) } }
            }
            button type="submit" { "Filter" }
            @if !filter.is_open() { a.clear href="/jobs" { "Clear" } }
        }
    }
}

fn nothing_shown(none_at_all: bool, filter: &Filter) -> Markup {
    if none_at_all && filter.is_open() {
        return ui::empty(
            Icon::Jobs,
            "No jobs yet",
            html! {
                p { "A job is a Lua file in the scripts folder that returns " code { "aegis.job { … }" } ". It is live as soon as it is saved." }
                p { code { "aegis init" } " writes an example." }
            },
        );
    }
    ui::empty(Icon::Search, "No job fits", html! { p { a href="/jobs" { "Show all jobs" } } })
}

fn table(cx: &Cx, group: &str, jobs: &[&JobSummary], titled: bool) -> Markup {
    let title = if group.is_empty() { if titled { "Other" } else { "Jobs" } } else { group };
    let id = format!("group-{}", title.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    let body = html! {
        div.table-box {
            table.stack.jobs {
                thead { tr { th scope="col" { "Job" } th scope="col" { "Last run" } th scope="col" { "Recent" } th scope="col" { "Next due" } th scope="col" { span.sr { "Actions" } } } }
                tbody { @for job in jobs { (row(cx, job)) } }
            }
        }
    };
    ui::section(&id, title, html! { span.muted.num { (jobs.len()) } }, body)
}

fn row(cx: &Cx, job: &JobSummary) -> Markup {
    let href = format!("/jobs/{}", job.name);
    html! {
        tr id=(format!("job-{}", job.name)) {
            th scope="row" {
                a.name href=(href) { (job.name) }
                @if !job.enabled && !job.schedules.is_empty() { " " (ui::badge("idle", Icon::Stop, "disabled")) }
                @if job.diagnostics.iter().any(|found| found.severity == "error") { " " (ui::badge("bad", Icon::Warning, "edit rejected")) }
                @else if !job.diagnostics.is_empty() { " " (ui::badge("warn", Icon::Warning, "warning")) }
                @if !job.description.is_empty() { span.sub { (job.description) } }
            }
            td data-label="Last run" {
                @if let Some(run) = &job.last_run {
                    a.plain href=(format!("/runs/{}", run.id)) { (ui::state(run.state)) }
                    span.sub { (ui::time(run.finished_at.or(run.started_at).unwrap_or(run.queued_at), cx.now)) }
                } @else { span.muted { "never" } }
            }
            td data-label="Recent" { (ui::recent(&job.recent)) }
            td data-label="Next due" { (due(cx, job)) }
            td.actions { (start(cx, job, &href)) }
        }
    }
}

fn due(cx: &Cx, job: &JobSummary) -> Markup {
    html! {
        @match &job.next_due {
            Some(due) => {
                @if let Some(held) = &due.held { span.muted title=(held) { "held" } } @else { (ui::time(due.fire_at, cx.now)) }
                span.sub { (job.schedules.join(" · ")) }
            }
            None => { (ui::none()) @if !job.schedules.is_empty() { span.sub { (job.schedules.join(" · ")) } } }
        }
    }
}

/// The button, or the way to the form when the job has something to ask first.
fn start(cx: &Cx, job: &JobSummary, href: &str) -> Markup {
    let asks = cx.web.parts.jobs.job(&job.name).is_some_and(|live| {
        live.spec.ui.confirm.is_some()
            || live.spec.params.values().any(|param| param.required && param.default.is_none())
    });
    let text = job.button.as_deref().unwrap_or("Run");
    html! {
        @if !cx.may(Role::Operator) { a.button.small href=(href) { "Open" } }
        @else if asks { a.button.small href=(format!("{href}#start")) { (text) "…" } }
        @else {
            form method="post" action=(format!("{href}/run")) {
                (hidden(cx))
                button.small type="submit" title=(format!("Run {}", job.name)) { (icon(Icon::Play)) (text) }
            }
        }
    }
}

/// One thing that is wrong with a file: where, what, what to do.
pub fn diagnostic(found: &DiagnosticView, now: Timestamp) -> Markup {
    let (tone, word) = if found.severity == "error" { ("bad", "rejected") } else { ("warn", "warning") };
    let at = found.fault.at.as_ref();
    html! {
        span.attention-what {
            (ui::badge(tone, Icon::Warning, word))
            strong { (found.file) @if let Some(at) = at { ":" (at.line) } }
            span.muted { (ui::time(found.since, now)) }
        }
        span.attention-why {
            (found.fault.message)
            @if found.last_good_kept { span.muted { " The last good version goes on." } }
        }
        @if let Some(text) = at.and_then(|at| at.text.as_ref()) { pre.source { code { (text.trim()) } } }
        @if let Some(hint) = &found.fault.hint { span.hint { (hint) } }
    }
}
