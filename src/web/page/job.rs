//! One job: start it, see when it is due, what it may do, what it did, how it changed.

use axum::extract::State;
use maud::{Markup, html};

use super::cx::Cx;
use super::form::{self, Sent};
use super::icons::{Icon, icon};
use super::layout::{Page, Place, hidden};
use super::{jobs::diagnostic, runs, ui};
use crate::base::quantity::{show_duration, show_size};
use crate::jobs::Job;
use crate::model::Role;
use crate::model::job::Overlap;
use crate::web::error::ApiResult;
use crate::web::extract::Path;
use crate::web::parts::Web;
use crate::web::read::jobs::{self as read, JobDetail, VersionView};
use crate::web::read::rights::{RightsView, WaitingView};
use crate::web::read::runs::{RunQuery, RunView, list as list_runs};
use crate::web::read::schedule::UpcomingView;
use crate::web::read::text;

pub async fn page(State(web): State<Web>, cx: Cx, Path(name): Path<String>) -> ApiResult<Markup> {
    render(&web, &cx, &name, &Sent::default()).await
}

/// The page, with what was sent before in its form.
pub async fn render(web: &Web, cx: &Cx, name: &str, sent: &Sent) -> ApiResult<Markup> {
    let job = read::find(web, &cx.who, name)?;
    let recent = RunQuery { job: Some(name.to_owned()), limit: Some(10), ..RunQuery::default() };
    let (detail, recent) = tokio::try_join!(read::detail(web, &cx.who, name), list_runs(web, &cx.who, &recent))?;
    let summary = &detail.summary;
    let is_rejected = summary.diagnostics.iter().any(|found| found.severity == "error");
    let rejected = if is_rejected { "The file on disk was rejected" } else { "Its file has something to look at" };
    let body = html! {
        @if !summary.description.is_empty() { p.lead { (summary.description) } }
        @if !summary.diagnostics.is_empty() {
            (ui::section("diagnostics", rejected, ui::nothing(), html! {
                ul.attention { @for found in &summary.diagnostics { li { (diagnostic(found, cx.now)) } } }
            }))
        }
        @if let Some(waiting) = &detail.rights.waiting { (waits(cx, name, waiting)) }
        div.columns.wide-left {
            div {
                @if cx.may(Role::Operator) {
                    (ui::section("run", "Start a run", ui::nothing(), form::start(cx, &form::with_secret_names(&job.spec, &web.parts.runner.secret_names()), sent)))
                }
                (recent_runs(cx, name, &recent.runs))
            }
            div {
                (schedule(cx, &detail))
                (facts(cx, &job, &detail))
                (permissions(&job, &detail.rights))
                (versions(cx, name, &detail.versions))
            }
        }
    };
    Ok(Page::new(Place::Jobs, name, body).crumb("/jobs", "Jobs").head(head(cx, &detail)).live("").render(cx))
}

fn head(cx: &Cx, detail: &JobDetail) -> Markup {
    let summary = &detail.summary;
    let has_schedule = !summary.schedules.is_empty();
    html! {
        @if has_schedule {
            @if summary.enabled { (ui::badge("ok", Icon::Check, "enabled")) } @else { (ui::badge("idle", Icon::Stop, "disabled")) }
        }
        @for tag in &summary.tags { span.tag { (tag) } }
        @if has_schedule && cx.may(Role::Operator) {
            form.inline method="post" action=(format!("/jobs/{}/enabled", summary.name)) {
                (hidden(cx))
                @if summary.enabled {
                    button.quiet type="submit" name="enabled" value="no" { "Disable its schedules" }
                } @else {
                    button type="submit" name="enabled" value="yes" { "Enable its schedules" }
                }
                @if summary.enabled_override.is_some() {
                    button.quiet type="submit" name="enabled" value="script" { "As the script says" }
                }
            }
        }
    }
}

fn recent_runs(cx: &Cx, name: &str, recent: &[RunView]) -> Markup {
    let aside = html! { a href=(format!("/runs?job={name}")) { "All runs" } };
    let body = html! {
        @if recent.is_empty() { p.quiet-line { "It has not run yet." } } @else { (runs::table(cx, recent, false)) }
    };
    ui::section("recent", "Recent runs", aside, body)
}

fn schedule(cx: &Cx, detail: &JobDetail) -> Markup {
    let body = html! {
        @if detail.summary.schedules.is_empty() {
            p.quiet-line { "No schedule: it runs when somebody or something starts it." }
        } @else {
            ul.plain-list { @for schedule in &detail.summary.schedules { li { (schedule) } } }
            @if detail.upcoming.is_empty() { p.quiet-line { "Not due any more." } }
            ol.due { @for (index, due) in detail.upcoming.iter().enumerate() { (due_line(cx, due, index == 0)) } }
        }
    };
    let aside = html! { a href=(format!("/schedule?job={}", detail.summary.name)) { "Past due times" } };
    ui::section("schedule", "Schedule", aside, body)
}

fn due_line(cx: &Cx, due: &UpcomingView, is_first: bool) -> Markup {
    html! {
        li class=[is_first.then_some("first")] {
            time.num datetime=(due.fire_at) { (ui::absolute(due.fire_at)) }
            span.muted {
                @if let Some(held) = &due.held { "held: " (held) } @else { (ui::time(due.fire_at, cx.now)) }
                @if due.dst_shifted { " · shifted by the change of clocks" }
            }
        }
    }
}

fn facts(cx: &Cx, job: &Job, detail: &JobDetail) -> Markup {
    let spec = &job.spec;
    let overlap = match spec.overlap {
        Overlap::Skip => "skip: a new run is not accepted while one is alive",
        Overlap::Queue => "queue: a new run waits its turn",
        Overlap::Replace => "replace: a new run cancels the earlier one",
        Overlap::Parallel => "parallel: runs may be alive together",
    };
    let body = html! {
        dl.facts {
            div { dt { "File" } dd { code { (job.file) } } }
            div { dt { "Version" } dd { code { (job.bundle.hash.short()) } span.muted { " loaded " (ui::time(job.loaded_at, cx.now)) } } }
            div { dt { "Last success" } dd { (ui::maybe_time(detail.summary.last_success, cx.now)) } }
            div { dt { "Limits" } dd { (show_duration(spec.limits.timeout)) " in all, " (show_duration(spec.limits.cpu)) " of Lua, " (show_size(spec.limits.memory_bytes as u64)) } }
            div { dt { "Overlap" } dd { (overlap) } }
            @if spec.retry.attempts > 1 {
                div { dt { "Retries" } dd { (spec.retry.attempts) " attempts, " (show_duration(spec.retry.initial)) " to " (show_duration(spec.retry.max)) " apart" } }
            }
            @if let Some(limit) = &spec.concurrency { div { dt { "Concurrency" } dd { (limit.limit) " at once by " code { (limit.key) } } } }
            @if spec.resume { div { dt { "After a crash" } dd { "resumes at its first unfinished step" } } }
        }
    };
    ui::section("facts", "About", ui::nothing(), body)
}

/// The new rights beside those that stay, and the button that lets them have effect.
fn waits(cx: &Cx, name: &str, waiting: &WaitingView) -> Markup {
    let aside = html! { span.count data-tone="warn" { (waiting.added.len()) span.sr { " new rights" } } };
    let body = html! {
        p {
            @if waiting.held { "It is not scheduled, and does not have these rights, until somebody approves them." }
            @else { "Version " code { (waiting.version.get(..12).unwrap_or("")) } " asks for rights that nobody has approved. The live version goes on until somebody does." }
        }
        div.table-box {
            table.diff {
                tbody {
                    @for right in &waiting.added { (right_row("new", "+", "added", right)) }
                    @for right in &waiting.removed { (right_row("gone", "-", "removed", right)) }
                    @for right in &waiting.kept { (right_row("same", " ", "kept", right)) }
                }
            }
        }
        @if cx.may(Role::Operator) {
            form.inline method="post" action=(format!("/jobs/{name}/approve")) {
                (hidden(cx))
                input type="hidden" name="hash" value=(waiting.hash);
                button.primary type="submit" { (icon(Icon::Check)) "Approve these rights" }
            }
        }
    };
    ui::section("waiting", "New rights wait for approval", aside, body)
}

fn right_row(class: &str, mark: &str, word: &str, right: &str) -> Markup {
    html! { tr.(class) { td.mark { (mark) span.sr { " " (word) } } td { (right) } } }
}

fn permissions(job: &Job, rights: &RightsView) -> Markup {
    let granted = text::grants(&job.spec.permissions);
    let body = html! {
        @if granted.is_empty() { p.quiet-line { "None: it can compute, log and keep values of its own." } } @else {
            dl.facts { @for (resource, what) in granted { div { dt { (resource) } dd { (what) } } } }
        }
        @if !rights.capped.is_empty() {
            p.hint { "The operator's policy does not grant all of that:" }
            ul.plain-list {
                @for capped in &rights.capped {
                    li { (capped.right) span.sub { code { (capped.policy) } " allows " @if capped.allowed.is_empty() { "nothing of it" } @else { (capped.allowed.join(", ")) } } }
                }
            }
        }
        @if let Some(approved) = &rights.approved {
            p.hint { "Approved by " (approved.by) " on " (ui::absolute(approved.at)) ": " (approved.rights.join(", ")) }
        }
    };
    ui::section("permissions", "Permissions", ui::nothing(), body)
}

fn versions(cx: &Cx, name: &str, versions: &[VersionView]) -> Markup {
    let body = html! {
        @if versions.is_empty() { p.quiet-line { "None is recorded yet." } } @else {
            ul.rows {
                @for (index, version) in versions.iter().enumerate() {
                    li {
                        code { (&version.hash[..12.min(version.hash.len())]) }
                        @if version.current { (ui::badge("ok", Icon::Check, "live")) }
                        span.grow.muted { (ui::time(version.created_at, cx.now)) }
                        @if let Some(before) = versions.get(index + 1) {
                            a href=(format!("/jobs/{name}/changes?from={}&to={}", before.hash, version.hash)) { (icon(Icon::Info)) "Changes" }
                        }
                    }
                }
            }
        }
    };
    ui::section("versions", "Versions", ui::nothing(), body)
}
