//! Audit: who did what, to what, and with what outcome.

use axum::extract::State;
use maud::{Markup, html};

use super::cx::Cx;
use super::icons::Icon;
use super::layout::{Page, Place};
use super::ui;
use crate::model::Role;
use crate::model::audit::OK;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::Query;
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::audit::{self as read, AuditQuery, AuditView};

const SINCE: [(&str, &str); 5] =
    [("", "Any time"), ("1h", "Last hour"), ("24h", "Last 24 hours"), ("7d", "Last 7 days"), ("30d", "Last 30 days")];

pub async fn page(State(web): State<Web>, cx: Cx, Query(query): Query<AuditQuery>) -> ApiResult<Markup> {
    if !cx.may(Role::Admin) {
        let message = format!("{} has the role {}; the audit log needs admin", cx.who.actor, cx.who.role);
        return Err(ApiError::forbidden(message));
    }
    unconfined(&cx.who)?;
    let page = read::page(&web, &query).await?;
    let fields = [&query.job, &query.actor, &query.action, &query.refused, &query.since];
    let is_open = fields.iter().all(|field| text(field).is_empty()) && query.before.is_none();
    let aside = html! {
        span.muted { "record " span.num { (page.head.seq) } " " code title=(page.head.hash) { (page.head.hash.get(..12).unwrap_or("")) } }
    };
    let body = html! {
        (filters(&web, &query, is_open))
        @if page.records.is_empty() {
            @if is_open {
                (ui::empty(Icon::Shield, "Nothing is recorded yet", html! { p { "Calls of scripts that need a permission, and what people do here, are recorded as they happen." } }))
            } @else {
                (ui::empty(Icon::Search, "No record fits", html! { p { a href="/audit" { "Show all records" } } }))
            }
        } @else {
            (ui::section("records", "Records", aside, table(&cx, &page.records)))
        }
        nav.pager aria-label="Pages" {
            @if query.before.is_some() { a.button href=(address(&query, None)) { "Newest" } }
            @if let Some(next) = page.next { a.button href=(address(&query, Some(next))) rel="next" { "Older" } }
        }
        p.hint { "Each record's hash covers the one before it. " code { "aegis audit verify" } " proves that none was changed, removed or added." }
    };
    Ok(Page::new(Place::Audit, "Audit", body).render(&cx))
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or("").trim()
}

fn address(query: &AuditQuery, before: Option<i64>) -> String {
    let mut address = url::form_urlencoded::Serializer::new("/audit?".to_owned());
    let before = before.map_or_else(String::new, |before| before.to_string());
    let fields = [
        ("job", text(&query.job)),
        ("actor", text(&query.actor)),
        ("action", text(&query.action)),
        ("refused", text(&query.refused)),
        ("since", text(&query.since)),
        ("before", &before),
    ];
    fields.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        address.append_pair(name, value);
    });
    address.finish()
}

fn filters(web: &Web, query: &AuditQuery, is_open: bool) -> Markup {
    let snapshot = web.parts.jobs.snapshot();
    html! {
        form.filters method="get" role="search" {
            label.sr for="job" { "Job" }
            input id="job" name="job" list="jobs" value=(text(&query.job)) placeholder="Any job" autocomplete="off";
            datalist id="jobs" { @for name in snapshot.jobs.keys() { option value=(name) {} } }
            label.sr for="actor" { "Actor" }
            input id="actor" name="actor" value=(text(&query.actor)) placeholder="Anybody" autocomplete="off";
            label.sr for="action" { "Action" }
            input id="action" name="action" value=(text(&query.action)) placeholder="Any action" autocomplete="off";
            label.sr for="refused" { "Outcome" }
            select id="refused" name="refused" {
                option value="" { "Any outcome" }
                option value="true" selected[text(&query.refused) == "true"] { "What did not go well" }
            }
            label.sr for="since" { "Since" }
            select id="since" name="since" {
                @for (value, words) in SINCE { option value=(value) selected[text(&query.since) == value] { (words) } }
            }
            button type="submit" { "Filter" }
            @if !is_open { a.clear href="/audit" { "Clear" } }
        }
    }
}

fn table(cx: &Cx, records: &[AuditView]) -> Markup {
    html! {
        div.table-box {
            table.stack {
                thead { tr {
                    th scope="col" { "Record" } th scope="col" { "Time" } th scope="col" { "Action" }
                    th scope="col" { "Object" } th scope="col" { "Actor" } th scope="col" { "Outcome" }
                } }
                tbody {
                    @for record in records {
                        tr id=(format!("record-{}", record.seq)) {
                            th scope="row" { span.num title=(record.hash) { (record.seq) } }
                            td data-label="Time" { (ui::time(record.at, cx.now)) }
                            td data-label="Action" { code { (record.action) } @if let Some(permission) = &record.permission { span.sub.clip title=(permission) { (permission) } } }
                            td data-label="Object" { @if record.object.is_empty() { (ui::none()) } @else { span.clip title=(record.object) { (record.object) } } }
                            td data-label="Actor" { (record.actor) @if let Some(job) = &record.job { span.sub { (of_job(record, job)) } } }
                            td data-label="Outcome" {
                                @if record.outcome == OK { (ui::badge("ok", Icon::Check, "ok")) } @else { (ui::badge("bad", Icon::Warning, &record.outcome)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn of_job(record: &AuditView, job: &str) -> Markup {
    html! {
        a href=(format!("/jobs/{job}")) { (job) }
        @if let Some(run) = &record.run { " · " a.mono href=(format!("/runs/{run}")) { (ui::short_id(run)) } }
    }
}
