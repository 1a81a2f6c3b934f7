//! Health: what is wrong, what is asked, and what nobody wants to hear of.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};

use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::{Page, Place, hidden};
use super::ui;
use crate::base::clock::earlier;
use crate::base::limits;
use crate::model::Role;
use crate::model::alerts::{AlertState, Severity};
use crate::model::metrics::Labels;
use crate::store::OutboxCounts;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::{Form, Path};
use crate::web::parts::Web;
use crate::web::read::watch::{self as read, AlertView, BAR_HOURS, CheckView, SilenceView};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

pub async fn page(State(web): State<Web>, cx: Cx) -> ApiResult<Markup> {
    let (alerts, checks, silences) =
        tokio::join!(read::alerts(&web, Some(earlier(cx.now, DAY))), read::checks(&web), read::silences(&web));
    let (alerts, checks, silences) = (alerts?, checks?, silences?);
    let (live, over): (Vec<_>, Vec<_>) = alerts.into_iter().partition(|alert| alert.state != AlertState::Resolved);
    let counts = web.parts.store.outbox_counts().await?;
    let body = html! {
        (wrong(&cx, &live))
        (asked(&cx, &checks))
        (quiet(&cx, &silences))
        (untold(counts))
        (ended(&cx, &over))
    };
    Ok(Page::new(Place::Health, "Health", body).live("containers=1").render(&cx))
}

fn tone(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "live",
        Severity::Warning => "warn",
        Severity::Critical | Severity::Emergency => "bad",
    }
}

/// An alert in two lines, for lists.
pub fn line(cx: &Cx, alert: &AlertView) -> Markup {
    let (tone, glyph) = match alert.state {
        AlertState::Firing => (tone(alert.severity), Icon::Warning),
        AlertState::Pending => ("wait", Icon::Clock),
        AlertState::Resolved => ("ok", Icon::Check),
    };
    let word = match alert.state {
        AlertState::Firing => alert.severity.as_str(),
        other => other.as_str(),
    };
    html! {
        span.attention-what {
            (ui::badge(tone, glyph, word))
            strong { (alert.name) }
            @for (label, value) in &alert.labels { span.tag { (label) "=" (value) } }
            span.muted {
                @match alert.resolved_at {
                    Some(end) => { "over " (ui::time(end, cx.now)) },
                    None => { "since " (ui::time(alert.since, cx.now)) },
                }
            }
            @if let Some(quiet) = alert.quiet { span.tag { (quiet) } }
        }
        span.attention-why { (alert.summary) @if let Some(by) = &alert.acknowledged_by { span.muted { " · seen by " (by) } } @if let Some(note) = &alert.note { span.muted { ": " (note) } } }
    }
}

fn wrong(cx: &Cx, live: &[AlertView]) -> Markup {
    let firing = live.iter().filter(|alert| alert.state == AlertState::Firing).count();
    let body = html! {
        @if live.is_empty() { p.calm { (icon(Icon::Check)) "Nothing is wrong that any rule or script knows of." } }
        @else {
            ul.attention {
                @for alert in live {
                    li id=(format!("alert-{}", alert.id)) {
                        (line(cx, alert))
                        @if cx.may(Role::Operator) && alert.acknowledged_by.is_none() && alert.state == AlertState::Firing {
                            form.inline method="post" action=(format!("/alerts/{}/acknowledge", alert.id)) {
                                (hidden(cx))
                                button type="submit" { (icon(Icon::Person)) "Acknowledge" }
                            }
                        }
                    }
                }
            }
        }
    };
    let aside = html! { @if firing > 0 { span.count data-tone="bad" { (firing) span.sr { " firing" } } } };
    ui::section("alerts", "Alerts", aside, body)
}

fn asked(cx: &Cx, checks: &[CheckView]) -> Markup {
    let up = checks.iter().filter(|check| check.state == "up").count();
    let body = html! {
        @if checks.is_empty() {
            (ui::empty(Icon::Search, "No checks", html! {
                p { "Name what must answer in the configuration, and it is asked at intervals:" }
                pre { code { "checks:\n  web: { http: \"https://www.example.com/health\", interval: 30s }" } }
            }))
        } @else {
            div.table-box {
                table.stack {
                    thead { tr { th scope="col" { "Check" } th scope="col" { "State" } th scope="col" { "Last 24 hours" } th scope="col" { "Latency" } th scope="col" { "Asked" } } }
                    tbody { @for check in checks { (row(cx, check)) } }
                }
            }
        }
    };
    let aside = html! { @if !checks.is_empty() { span.muted.num { (up) " of " (checks.len()) " up" } } };
    ui::section("checks", "Checks", aside, body)
}

fn row(cx: &Cx, check: &CheckView) -> Markup {
    let badge = match check.state {
        "up" => ui::badge("ok", Icon::Check, "up"),
        "down" => ui::badge("bad", Icon::Cross, "down"),
        other => ui::badge("idle", Icon::Clock, other),
    };
    html! {
        tr id=(format!("check-{}", check.name)) {
            th scope="row" { span.name { (check.name) } " " span.tag { (check.kind) } span.sub.mono { (check.target) } }
            td data-label="State" {
                (badge) span.sub { "since " (ui::time(check.since, cx.now)) }
                @if let Some(problem) = &check.problem { span.sub { (problem) } }
            }
            td data-label="Last 24 hours" { (bar(check)) }
            td.num data-label="Latency" { @match check.latency_ms { Some(ms) => { (format!("{ms:.1} ms")) }, None => (ui::none()) } }
            td data-label="Asked" { (ui::maybe_time(check.last_at, cx.now)) }
        }
    }
}

/// One bar an hour: good, some bad answers, only bad ones, or nothing asked.
fn bar(check: &CheckView) -> Markup {
    const WIDTH: i64 = 5;
    let label = match check.uptime {
        Some(uptime) => format!("{:.2} % of the answers of the last {BAR_HOURS} hours were good", uptime * 100.0),
        None => format!("not asked in the last {BAR_HOURS} hours"),
    };
    let tone = |share: &Option<f64>| match share {
        None => "idle",
        Some(share) if *share >= 1.0 => "ok",
        Some(share) if *share > 0.5 => "warn",
        Some(_) => "bad",
    };
    html! {
        svg.recent viewBox=(format!("0 0 {} 18", BAR_HOURS * WIDTH)) width=(BAR_HOURS * WIDTH) height="18" role="img" aria-label=(label) {
            title { (label) }
            @for (hour, share) in (0..).zip(&check.hours) {
                rect class=(tone(share)) x=(hour * WIDTH) y=(if share.is_some() { 0 } else { 14 }) width="3.5" height=(if share.is_some() { 18 } else { 4 }) rx="1" {}
            }
        }
        @if let Some(uptime) = check.uptime { span.sub.num { (format!("{:.2} %", uptime * 100.0)) } }
    }
}

fn quiet(cx: &Cx, silences: &[SilenceView]) -> Markup {
    let body = html! {
        @if silences.is_empty() { p.quiet-line { "Nothing is silenced." } } @else {
            ul.rows {
                @for silence in silences {
                    li id=(format!("silence-{}", silence.id)) {
                        span.grow { @for (label, value) in &silence.labels { span.tag { (label) "=" (value) } " " } (silence.note) }
                        span.muted { "ends " (ui::time(silence.ends_at, cx.now)) " · " (silence.by) }
                        @if cx.may(Role::Operator) {
                            form.inline method="post" action=(format!("/silences/{}/end", silence.id)) {
                                (hidden(cx))
                                button type="submit" { (icon(Icon::Undo)) "End" }
                            }
                        }
                    }
                }
            }
        }
        @if cx.may(Role::Operator) {
            form.decide method="post" action="/silences" {
                (hidden(cx))
                label.sr for="silence-labels" { "Labels of the alerts" }
                input type="text" id="silence-labels" name="labels" required placeholder="alert=disk_* mount=/data" autocomplete="off";
                label.sr for="silence-duration" { "For how long" }
                input type="text" id="silence-duration" name="duration" required value="2h" size="6";
                label.sr for="silence-note" { "Why" }
                input type="text" id="silence-note" name="note" placeholder="Why" autocomplete="off";
                button type="submit" { (icon(Icon::Pause)) "Silence" }
            }
        }
    };
    ui::section("silences", "Silences", ui::nothing(), body)
}

/// Messages that no receiver has taken.
fn untold(counts: OutboxCounts) -> Markup {
    let body = html! {
        @if counts == OutboxCounts::default() { p.quiet-line { "Every message has been taken." } } @else {
            p { (counts.waiting) " wait, and " (counts.dead) " were given up: " code { "aegis notify queue" } " lists them." }
        }
    };
    ui::section("notifications", "Notifications", ui::nothing(), body)
}

fn ended(cx: &Cx, over: &[AlertView]) -> Markup {
    let body = html! {
        @if over.is_empty() { p.quiet-line { "No alert was over in the last 24 hours." } } @else {
            ul.attention { @for alert in over { li { (line(cx, alert)) } } }
        }
    };
    ui::section("over", "Over in the last 24 hours", ui::nothing(), body)
}

pub async fn acknowledge(State(web): State<Web>, cx: Cx, Path(id): Path<String>, form: Form) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    read::acknowledge(&web, &cx.who, &id, form.get("note").unwrap_or_default()).await?;
    Ok(Redirect::to("/alerts"))
}

pub async fn silence(State(web): State<Web>, cx: Cx, form: Form) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    let labels = pairs(form.get("labels").unwrap_or_default())?;
    let text = |name| form.get(name).unwrap_or_default();
    read::silence(&web, &cx.who, labels, text("duration"), text("note")).await?;
    Ok(Redirect::to("/alerts"))
}

pub async fn end_silence(State(web): State<Web>, cx: Cx, Path(id): Path<String>, form: Form) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    read::end_silence(&web, &id).await?;
    Ok(Redirect::to("/alerts"))
}

/// `alert=disk_* mount=/data`.
fn pairs(text: &str) -> ApiResult<Labels> {
    let pair = |word: &str| {
        let found = word.split_once('=').filter(|(label, _)| !label.is_empty());
        let (label, value) = found.ok_or_else(|| ApiError::bad_request(format!("{word:?} is not label=value")))?;
        Ok((label.to_owned(), value.to_owned()))
    };
    text.split_whitespace().take(limits::METRIC_LABELS_MAX + 1).map(pair).collect::<ApiResult<BTreeMap<_, _>>>()
}
