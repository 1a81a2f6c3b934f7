//! Due times: what became of the past ones, and the forecast.

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::cx::Cx;
use super::lanes::{Window, outline};
use super::layout::{Page, Place};
use super::ui;
use crate::model::OccurrenceState;
use crate::web::error::ApiResult;
use crate::web::extract::Query;
use crate::web::parts::Web;
use crate::web::read::occurrences::{OccurrencePage, OccurrenceQuery, list};
use crate::web::read::schedule::{OccurrenceView, ScheduleQuery, UpcomingView, window};

const SHOWN: usize = 200;
const SPANS: [(&str, &str); 3] = [("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days")];

#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    job: String,
    /// How far back and ahead.
    #[serde(default)]
    span: String,
    /// Only occurrences of this state.
    #[serde(default)]
    state: String,
    /// The cursor of a further page of the past.
    #[serde(default)]
    before: String,
}

pub async fn page(State(web): State<Web>, cx: Cx, Query(asked): Query<Asked>) -> ApiResult<Markup> {
    let span = SPANS.iter().find(|(value, _)| *value == asked.span).map_or("24h", |(value, _)| value);
    let query = ScheduleQuery {
        job: Some(asked.job.trim().to_owned()),
        from: Some(span.to_owned()),
        to: Some(format!("+{span}")),
        limit: Some(SHOWN),
    };
    let ledger = OccurrenceQuery {
        job: Some(asked.job.clone()),
        state: Some(asked.state.clone()),
        before: Some(asked.before.clone()),
        limit: Some(SHOWN),
        ..OccurrenceQuery::default()
    };
    let ledger = list(&web, &cx.who, &ledger).await?;
    // Further pages show history: it does not change under the reader, and what is to come is on the first one.
    if !asked.before.is_empty() {
        let body = html! { (filters(&web, &asked, span)) (past(&ledger, &[], &asked, span)) };
        return Ok(Page::new(Place::Schedule, "Schedule", body).render(&cx));
    }
    let found = window(&web, &cx.who, &query).await?;
    let only = asked.job.trim().parse().ok();
    let lanes = outline(&cx, Window { from: found.from, to: found.to }, only.as_ref()).await?;
    let body = html! {
        (filters(&web, &asked, span))
        (lanes)
        div.columns {
            (upcoming(&cx, &found.upcoming))
            (past(&ledger, &found.past, &asked, span))
        }
    };
    Ok(Page::new(Place::Schedule, "Schedule", body).live("").render(&cx))
}

fn filters(web: &Web, asked: &Asked, span: &str) -> Markup {
    let snapshot = web.parts.jobs.snapshot();
    let scheduled = snapshot.jobs.values().filter(|job| !job.spec.schedules.is_empty());
    html! {
        form.filters method="get" role="search" {
            label.sr for="job" { "Job" }
            select id="job" name="job" {
                option value="" { "Every job" }
                @for job in scheduled { option value=(job.spec.name) selected[asked.job == job.spec.name.as_str()] { (job.spec.name) } }
            }
            label.sr for="span" { "How far back and ahead" }
            select id="span" name="span" {
                @for (value, words) in SPANS { option value=(value) selected[span == value] { "± " (words) } }
            }
            label.sr for="state" { "What became of it" }
            select id="state" name="state" {
                option value="" { "Whatever became of it" }
                @for each in OccurrenceState::ALL { option value=(each.as_str()) selected[asked.state == each.as_str()] { (each.as_str().replace('_', " ")) } }
            }
            button type="submit" { "Show" }
        }
    }
}

fn upcoming(cx: &Cx, upcoming: &[UpcomingView]) -> Markup {
    let body = html! {
        @if upcoming.is_empty() {
            p.quiet-line { "Nothing is due in this window. A job gets due times from " code { "schedule = { every = \"5m\" }" } " or " code { "{ cron = \"0 6 * * *\" }" } "." }
        } @else {
            ul.rows {
                @for due in upcoming {
                    li {
                        time.num.when datetime=(due.fire_at) title=(ui::absolute(due.fire_at)) { (due.fire_at.strftime("%a %H:%M:%S")) }
                        a.grow href=(format!("/jobs/{}", due.job)) { (due.job) }
                        @if due.dst_shifted { span.tag { "clock change" } }
                        @if let Some(held) = &due.held { (ui::occurrence(OccurrenceState::Held)) span.sub { (held) } } @else { span.muted { (ui::time(due.fire_at, cx.now)) } }
                    }
                }
            }
            @if upcoming.len() >= SHOWN { p.quiet-line { "These are the first " (SHOWN) "; choose a job or a shorter time to see others." } }
        }
    };
    ui::section("upcoming", "To come", html! { span.muted { "UTC" } }, body)
}

/// A page of the ledger; `window` is what is counted above it.
fn past(ledger: &OccurrencePage, window: &[OccurrenceView], asked: &Asked, span: &str) -> Markup {
    let body = html! {
        @if ledger.occurrences.is_empty() { p.quiet-line { "No due time of this kind." } } @else {
            ul.rows {
                @for past in &ledger.occurrences {
                    li {
                        time.num.when datetime=(past.scheduled_for) title=(ui::absolute(past.scheduled_for)) { (past.scheduled_for.strftime("%d %b %H:%M:%S")) }
                        a.grow href=(format!("/jobs/{}", past.job)) { (past.job) }
                        (ui::occurrence(past.state))
                        @if let Some(run) = &past.run { a.mono href=(format!("/runs/{run}")) { (ui::short_id(&run.to_string())) } }
                        @if let Some(reason) = &past.reason { span.sub { (reason) } }
                    }
                }
            }
        }
        nav.pager aria-label="Pages of the past" {
            @if !asked.before.is_empty() { a.button href=(address(asked, span, None)) { "Newest" } }
            @if let Some(next) = &ledger.next { a.button href=(address(asked, span, Some(next))) rel="next" { "Older" } }
        }
    };
    let count = |state: OccurrenceState| window.iter().filter(|past| past.state == state).count();
    let aside = html! { @for state in OccurrenceState::ALL { @if count(state) > 0 && state != OccurrenceState::Fired { span.legend { (count(state)) " " (state.as_str().replace('_', " ")) } } } span.muted { "UTC" } };
    ui::section("past", "What became of past ones", aside, body)
}

fn address(asked: &Asked, span: &str, before: Option<&str>) -> String {
    let mut address = url::form_urlencoded::Serializer::new("/schedule?".to_owned());
    let fields = [
        ("job", asked.job.trim()),
        ("span", span),
        ("state", asked.state.as_str()),
        ("before", before.unwrap_or_default()),
    ];
    fields.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        address.append_pair(name, value);
    });
    address.finish()
}
