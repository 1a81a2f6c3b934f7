//! The first page: what needs somebody now, what runs, what comes next, how the last day went.

use axum::extract::State;
use maud::{Markup, html};

use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::{Page, Place};
use super::{approvals, jobs::diagnostic, ui, watch};
use crate::base::{Timestamp, limits};
use crate::model::alerts::AlertState;
use crate::model::{Run, RunState, TriggerKind};
use crate::runner::LiveRun;
use crate::store::{Bucket, RunFilter};
use crate::web::error::ApiResult;
use crate::web::health::Dependency;
use crate::web::parts::Web;
use crate::web::read::containers::{self, ContainerView};
use crate::web::read::jobs::{self, DiagnosticView, JobSummary};
use crate::web::read::missed::{self, MissedView};
use crate::web::read::steps;
use crate::web::read::watch::{AlertView, alerts};

const DAY_S: i64 = 86_400;
const BUCKET_S: i64 = 1_800;
const SHOWN: usize = 8;

pub async fn page(State(web): State<Web>, cx: Cx) -> ApiResult<Markup> {
    let since = Timestamp::from_second((cx.now.as_second() - DAY_S) / BUCKET_S * BUCKET_S + BUCKET_S).unwrap_or(cx.now);
    let parked = RunFilter { states: vec![RunState::Parked], limit: SHOWN, ..RunFilter::default() };
    let (jobs, waiting, parked, buckets, dependencies, alerts, containers) = tokio::join!(
        jobs::list(&web, &cx.who),
        steps::approvals(&web, &cx.who),
        web.parts.store.runs(&parked),
        web.parts.store.run_buckets(None, since, BUCKET_S),
        web.health.refresh(),
        read_alerts(&web),
        tokio::time::timeout(limits::HEALTH_PROBE_TIMEOUT, containers::list(&web)),
    );
    let jobs = jobs?;
    let missed = missed::recent(&web, &cx.who, &jobs).await?;
    // Without Docker, or with a slow one, the rest of the page is worth as much.
    let containers = containers.ok().and_then(Result::ok).unwrap_or_default();
    let diagnostics = jobs::diagnostics(&web);
    let live = web.parts.runner.live();
    let body = html! {
        (approvals::waiting(&cx, &waiting?, SHOWN))
        (attention(&cx, (&jobs, &missed), &diagnostics, &containers, &dependencies, &alerts?))
        div.columns {
            (running(&cx, &live, &parked?))
            (next(&cx, &jobs))
        }
        (last_day(&cx, since, &buckets?))
        (system(&cx, &dependencies, &jobs, &containers))
    };
    Ok(Page::new(Place::Overview, "Overview", body).live("containers=1").render(&cx))
}

/// Alerts that fire and that nobody has seen or silenced.
async fn read_alerts(web: &Web) -> ApiResult<Vec<AlertView>> {
    let mut found = alerts(web, None).await?;
    found.retain(|alert| alert.state == AlertState::Firing && alert.quiet.is_none());
    Ok(found)
}

fn is_failing(job: &JobSummary) -> bool {
    job.last_run
        .as_ref()
        .is_some_and(|run| matches!(run.state, RunState::Failed | RunState::TimedOut | RunState::Interrupted))
}

fn is_unwell(container: &ContainerView) -> bool {
    let ended_badly = container.state == "exited" && container.exit_code.is_some_and(|code| !matches!(code, 0 | 143));
    container.health.as_deref() == Some("unhealthy")
        || matches!(container.state.as_str(), "restarting" | "dead")
        || ended_badly
}

fn attention(
    cx: &Cx,
    (jobs, missed): (&[JobSummary], &[MissedView]),
    diagnostics: &[DiagnosticView],
    containers: &[ContainerView],
    dependencies: &[Dependency],
    alerts: &[AlertView],
) -> Markup {
    let failing: Vec<&JobSummary> = jobs.iter().filter(|job| is_failing(job)).collect();
    let unwell: Vec<&ContainerView> = containers.iter().filter(|container| is_unwell(container)).collect();
    let down: Vec<&Dependency> = dependencies.iter().filter(|dependency| !dependency.ok).collect();
    let count = failing.len() + unwell.len() + down.len() + diagnostics.len() + missed.len() + alerts.len();
    let body = html! {
        @if count == 0 {
            @if jobs.is_empty() { (first_steps()) } @else {
                p.calm { (icon(Icon::Check)) "Nothing. Every job's last run ended well, no due time was missed, every file loads, every dependency answers." }
            }
        } @else {
            ul.attention {
                @for dependency in down { li { (down_line(cx, dependency)) } }
                @for alert in alerts.iter().take(SHOWN) { li { (watch::line(cx, alert)) } }
                @for job in failing.iter().take(SHOWN) { li { (failing_line(cx, job)) } }
                @for found in missed.iter().take(SHOWN) { li { (missed_line(cx, found)) } }
                @for container in unwell.iter().take(SHOWN) { li { (unwell_line(container)) } }
                @for found in diagnostics.iter().take(SHOWN) { li { (diagnostic(found, cx.now)) } }
            }
            @if alerts.len() > SHOWN { p.more { a href="/alerts" { "All " (alerts.len()) " firing alerts" } } }
            @if failing.len() > SHOWN { p.more { a href="/jobs?show=failing" { "All " (failing.len()) " failing jobs" } } }
            @if missed.len() > SHOWN { p.more { a href="/schedule?state=missed" { "All " (missed.len()) " jobs that missed due times" } } }
            @if diagnostics.len() > SHOWN { p.more { a href="/jobs?show=rejected" { "All " (diagnostics.len()) " diagnostics" } } }
        }
    };
    let aside = html! { @if count > 0 { span.count data-tone="bad" { (count) } } };
    ui::section("attention", "Needs you now", aside, body)
}

fn first_steps() -> Markup {
    ui::empty(
        Icon::Jobs,
        "No jobs yet",
        html! {
            p { "Put a Lua file into the scripts folder and it is a job at once, without a restart:" }
            pre { code { "return aegis.job {\n  description = \"Says hello\",\n  schedule = { every = \"5m\" },\n  run = function(ctx) print(\"hello\") end,\n}" } }
        },
    )
}

fn down_line(cx: &Cx, dependency: &Dependency) -> Markup {
    html! {
        span.attention-what { (ui::badge("bad", Icon::Cross, "down")) strong { (dependency.name) } " " (ui::time(dependency.since, cx.now)) }
        @if let Some(problem) = &dependency.problem { span.attention-why { (problem) } }
    }
}

fn failing_line(cx: &Cx, job: &JobSummary) -> Markup {
    html! {
        @if let Some(run) = &job.last_run {
            span.attention-what {
                (ui::state(run.state))
                a href=(format!("/jobs/{}", job.name)) { strong { (job.name) } }
                a.muted href=(format!("/runs/{}", run.id)) { (ui::maybe_time(run.finished_at, cx.now)) }
            }
            @if let Some(error) = &run.error { span.attention-why { (error.message) } }
            @else if let Some(reason) = &run.reason { span.attention-why { (reason) } }
        }
    }
}

fn missed_line(cx: &Cx, missed: &MissedView) -> Markup {
    html! {
        span.attention-what {
            (ui::badge("bad", Icon::Clock, "missed"))
            a href=(format!("/jobs/{}", missed.job)) { strong { (missed.job) } }
            a.muted href=(format!("/schedule?job={}&state=missed", missed.job)) { (ui::time(missed.at, cx.now)) }
        }
        span.attention-why { (missed.text) }
    }
}

fn unwell_line(container: &ContainerView) -> Markup {
    let word = container.health.as_deref().filter(|health| *health == "unhealthy").unwrap_or(&container.state);
    html! {
        span.attention-what {
            (ui::badge("bad", Icon::Warning, word))
            a href=(format!("/containers/{}", container.name)) { strong { (container.name) } }
        }
        span.attention-why { (container.status) }
    }
}

fn running(cx: &Cx, live: &[LiveRun], parked: &[Run]) -> Markup {
    let aside = html! { @if live.len() + parked.len() > SHOWN { a href="/runs?state=queued,running,parked" { "All that are alive" } } };
    let body = html! {
        @if live.is_empty() && parked.is_empty() {
            p.quiet-line { "Nothing runs or waits at the moment." }
        } @else {
            ul.rows {
                @for run in live.iter().take(SHOWN) {
                    li {
                        (ui::state(run.state))
                        a.grow href=(format!("/runs/{}", run.run)) { (run.job) }
                        span.muted { (ui::time(run.since, cx.now)) }
                    }
                }
                @for run in parked.iter().take(SHOWN.saturating_sub(live.len())) {
                    li {
                        (ui::state(run.state))
                        a.grow href=(format!("/runs/{}", run.id)) { (run.job) }
                        @if let Some(wake) = run.wake_at { span.muted { "goes on " (ui::time(wake, cx.now)) } }
                        @if let Some(reason) = &run.reason { span.sub { (reason) } }
                    }
                }
            }
        }
    };
    ui::section("running", "Under way", aside, body)
}

fn next(cx: &Cx, jobs: &[JobSummary]) -> Markup {
    let mut due: Vec<_> =
        jobs.iter().filter_map(|job| job.next_due.as_ref()).filter(|due| due.held.is_none()).collect();
    due.sort_by_key(|due| due.fire_at);
    let body = html! {
        @if due.is_empty() {
            p.quiet-line { "No job has a schedule. Add " code { "schedule = { every = \"5m\" }" } " to one." }
        } @else {
            ul.rows {
                @for due in due.iter().take(SHOWN) {
                    li { a.grow href=(format!("/jobs/{}", due.job)) { (due.job) } span.muted { (ui::time(due.fire_at, cx.now)) } }
                }
            }
        }
    };
    ui::section("next", "Next due", html! { a href="/schedule" { "Schedule" } }, body)
}

fn last_day(cx: &Cx, since: Timestamp, buckets: &[Bucket]) -> Markup {
    let sum = |of: fn(&Bucket) -> u64| buckets.iter().map(of).sum::<u64>();
    let (good, bad, other) = (sum(|b| b.succeeded), sum(|b| b.failed), sum(|b| b.other));
    let aside = html! {
        span.legend { span.key.ok {} (good) " succeeded" }
        span.legend { span.key.bad {} (bad) " failed" }
        span.legend { span.key.idle {} (other) " other" }
    };
    let body = html! {
        @if good + bad + other == 0 {
            p.quiet-line { "No run ended in the last 24 hours." }
        } @else {
            div.bars-box { (bars(since, buckets, &format!("Runs of the last 24 hours: {good} succeeded, {bad} failed, {other} other"))) }
            div.axis { time datetime=(since) title=(ui::absolute(since)) { "24h ago" } time datetime=(cx.now) { "now" } }
        }
    };
    ui::section("day", "Last 24 hours", aside, body)
}

/// One bar for each half hour, as high as its runs are many, failures at the bottom where they are seen.
pub fn bars(since: Timestamp, buckets: &[Bucket], label: &str) -> Markup {
    const HEIGHT: f64 = 64.0;
    let count = DAY_S / BUCKET_S;
    let most = buckets.iter().map(|b| b.succeeded + b.failed + b.other).max().unwrap_or(1).max(1) as f64;
    let scaled = |runs: u64| if runs == 0 { 0.0 } else { (runs as f64 / most * HEIGHT).max(3.0) };
    html! {
        svg.bars viewBox=(format!("0 0 {} {HEIGHT}", count * 10)) preserveAspectRatio="none" role="img" aria-label=(label) {
            @for index in 0..count {
                rect.slot x=(index * 10 + 1) y="0" width="8" height=(HEIGHT) {}
            }
            @for bucket in buckets {
                @let x = (bucket.start.as_second() - since.as_second()) / BUCKET_S * 10 + 1;
                @let parts = [("bad", bucket.failed), ("idle", bucket.other), ("ok", bucket.succeeded)];
                g {
                    title { (bucket.start.strftime("%H:%M UTC")) ": " (bucket.succeeded) " succeeded, " (bucket.failed) " failed, " (bucket.other) " other" }
                    @for (index, (tone, runs)) in parts.iter().enumerate() {
                        @let below: f64 = parts[..index].iter().map(|(_, runs)| scaled(*runs)).sum();
                        @let high = scaled(*runs).min(HEIGHT - below).max(0.0);
                        @if high > 0.0 { rect class=(tone) x=(x) y=(format!("{:.1}", HEIGHT - below - high)) width="8" height=(format!("{high:.1}")) {} }
                    }
                }
            }
        }
    }
}

fn system(cx: &Cx, dependencies: &[Dependency], jobs: &[JobSummary], containers: &[ContainerView]) -> Markup {
    let scheduled = jobs.iter().filter(|job| !job.schedules.is_empty() && job.enabled).count();
    let up = containers.iter().filter(|container| container.state == "running").count();
    let by_hand = jobs
        .iter()
        .filter(|job| job.last_run.as_ref().is_some_and(|run| run.trigger.kind != TriggerKind::Schedule))
        .count();
    let body = html! {
        dl.facts {
            div { dt { "Jobs" } dd { a href="/jobs" { (jobs.len()) } span.muted { " · " (scheduled) " on a schedule · " (by_hand) " last run by hand" } } }
            div { dt { "Containers" } dd { a href="/containers" { (up) " running" } span.muted { " of " (containers.len()) } } }
            @for dependency in dependencies {
                div {
                    dt { (dependency.name) }
                    dd {
                        @if dependency.ok { (ui::badge("ok", Icon::Check, "ready")) } @else { (ui::badge("bad", Icon::Cross, "down")) }
                        span.muted { " since " (ui::time(dependency.since, cx.now)) }
                    }
                }
            }
        }
    };
    ui::section("system", "System", html! { a href="/health/ready" { "Readiness" } }, body)
}
