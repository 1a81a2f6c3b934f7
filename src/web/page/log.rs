//! A run's log: the viewer on its page, and the whole log page by page for those without a script.

use axum::extract::State;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::ansi::{self, Span};
use super::cx::Cx;
use super::icons::Icon;
use super::layout::{Page, Place};
use super::ui;
use crate::base::{RunId, limits};
use crate::model::LogLevel;
use crate::web::error::ApiResult;
use crate::web::extract::{Path, Query};
use crate::web::parts::Web;
use crate::web::read::logs::{self, LogLineView, LogPage, LogQuery};
use crate::web::read::runs;

/// A line as the page's script gets it: colours are class names already.
#[derive(Debug, Serialize)]
pub struct LiveLine {
    seq: u64,
    at: String,
    time: String,
    level: LogLevel,
    attempt: u32,
    spans: Vec<Span>,
    fields: Option<String>,
}

impl From<LogLineView> for LiveLine {
    fn from(line: LogLineView) -> Self {
        Self {
            seq: line.seq,
            at: ui::absolute(line.at),
            time: ui::clock_time(line.at),
            level: line.level,
            attempt: line.attempt,
            spans: ansi::spans(&line.text),
            fields: fields(&line),
        }
    }
}

/// `key=value` pairs after the text.
fn fields(line: &LogLineView) -> Option<String> {
    let pairs = line.fields.as_object()?.iter().map(|(key, value)| match value.as_str() {
        Some(text) => format!("{key}={text}"),
        None => format!("{key}={value}"),
    });
    Some(pairs.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
}

/// The lines as a list; the page's script appends to it.
pub fn lines(lines: &[LogLineView]) -> Markup {
    html! {
        ol.log id="log-lines" {
            @for line in lines {
                li data-seq=(line.seq) data-level=(line.level.as_str()) {
                    time datetime=(line.at) title=(ui::absolute(line.at)) { (ui::clock_time(line.at)) }
                    (ui::level(line.level))
                    span.log-text { (ansi::markup(&line.text)) @if let Some(fields) = fields(line) { span.log-fields { (fields) } } }
                }
            }
        }
    }
}

/// The log on the run's page: its last lines, with search, a filter by level and following.
pub fn viewer(run: RunId, page: &[LogLineView], is_live: bool) -> Markup {
    let first = page.first().map_or(1, |line| line.seq);
    let aside = html! {
        div.log-tools data-script-only hidden {
            label.sr for="log-search" { "Search the log" }
            input id="log-search" type="search" placeholder="Search" autocomplete="off";
            span.muted.num id="log-found" role="status" {}
            label.sr for="log-level" { "Least level" }
            select id="log-level" {
                @for level in LogLevel::ALL { option value=(level.as_str()) { (level.as_str()) } }
            }
            label.check { input id="log-follow" type="checkbox" checked; "Follow" }
        }
        a href=(format!("/runs/{run}/log")) { "Whole log" }
    };
    let body = html! {
        @if first > 1 { p.log-note { (first - 1) " earlier lines are on the " a href=(format!("/runs/{run}/log")) { "whole log's pages" } "." } }
        div.log-box id="log-box" tabindex="0" role="log" aria-label="Log" aria-live="off" data-keep
            data-last=(page.last().map_or(0, |line| line.seq)) {
            (lines(page))
            p.log-empty id="log-empty" hidden[!page.is_empty()] { @if is_live { "Nothing yet." } @else { "The run wrote nothing. In a script, print(…) and ctx:log(…) write here." } }
        }
        button.log-jump type="button" id="log-jump" hidden { "Follow the end" }
    };
    ui::section("log", "Log", aside, body)
}

#[derive(Debug, Default, Deserialize)]
pub struct Whole {
    after: Option<u64>,
    level: Option<String>,
}

pub async fn page(
    State(web): State<Web>,
    cx: Cx,
    Path(id): Path<String>,
    Query(query): Query<Whole>,
) -> ApiResult<Markup> {
    let run = runs::find(&web, &cx.who, &id).await?;
    let asked = LogQuery {
        after: query.after,
        level: query.level.clone(),
        limit: Some(limits::PAGE_LOG_LINES_MAX),
        ..LogQuery::default()
    };
    let LogPage { lines: found, next } = logs::page(&web, run.id, &asked).await?;
    let level = query.level.filter(|level| !level.is_empty()).unwrap_or_else(|| "debug".to_owned());
    let aside = html! {
        form.inline method="get" {
            label { "Least level " select name="level" {
                @for each in LogLevel::ALL { option value=(each.as_str()) selected[each.as_str() == level] { (each.as_str()) } }
            } }
            button type="submit" { "Show" }
        }
    };
    let body = html! {
        @if found.is_empty() {
            (ui::empty(Icon::Runs, "No lines here", html! { p { "The run wrote nothing of this level." } }))
        } @else {
            div.log-box.whole { (lines(&found)) }
        }
        nav.pager aria-label="Pages" {
            @if query.after.is_some_and(|after| after > 0) { a.button href=(format!("/runs/{}/log?level={level}", run.id)) { "From the beginning" } }
            @if let Some(next) = next { a.button href=(format!("/runs/{}/log?level={level}&after={next}", run.id)) { "Later lines" } }
        }
    };
    let id = run.id.to_string();
    let page = Page::new(Place::Runs, "Log", ui::section("log", "Lines", aside, body));
    Ok(page.crumb("/runs", "Runs").crumb(format!("/runs/{id}"), ui::short_id(&id)).render(&cx))
}
