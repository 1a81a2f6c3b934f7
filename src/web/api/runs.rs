//! `/api/v1/runs`.

use axum::Json as Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::jobs::{Triggered, accepted};
use crate::base::{RunId, Timestamp};
use crate::model::{EntryKind, LogLevel, RunState};
use crate::runner::CancelOutcome;
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Operator, Path, Query, Viewer};
use crate::web::parts::Web;
use crate::web::read::logs::{self, LogLineView, LogPage, LogQuery};
use crate::web::read::names::RunStateName;
use crate::web::read::runs::{self as read, RunPage, RunQuery, RunView};
use crate::web::read::steps::{RunDetail, StepView};
use crate::web::stream::{Format, Message, respond, resume_after};

/// Lists runs, the newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", operation_id = "list_runs", params(RunQuery),
    responses((status = 200, description = "A page of runs", body = RunPage),
              (status = 400, description = "A filter cannot be read", body = ErrorEnvelope)))]
pub async fn list(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Query(query): Query<RunQuery>,
) -> ApiResult<Body<RunPage>> {
    Ok(Body(read::list(&web, &who, &query).await?))
}

/// Shows a run: its state, parameters, result or error, and what a durable one has done.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", operation_id = "get_run",
    params(("id" = String, Path, description = "The run's id, or the beginning of it")),
    responses((status = 200, description = "The run", body = RunDetail),
              (status = 404, description = "There is no such run", body = ErrorEnvelope),
              (status = 409, description = "Several runs begin so", body = ErrorEnvelope)))]
pub async fn show(State(web): State<Web>, Viewer(who): Viewer, Path(id): Path<String>) -> ApiResult<Body<RunDetail>> {
    let run = read::find(&web, &who, &id).await?;
    let (entries, now) = (web.parts.store.journal_shown(run.id).await?, web.now());
    let mut steps = StepView::all(&entries, now);
    steps.retain(|step| step.kind != EntryKind::Value);
    Ok(Body(RunDetail { run: RunView::explained(&web, run).await?, steps }))
}

/// The last message of a followed log.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogEnd {
    #[schema(value_type = RunStateName)]
    state: RunState,
    finished_at: Option<Timestamp>,
}

/// Reads a run's log, a page at a time or live.
///
/// With `follow=true` lines go on until the run has ended: as server-sent events (`event: log`, the line's number as id,
/// `event: end` at the end) when `Accept` asks for `text/event-stream`, as NDJSON otherwise. `Last-Event-ID` resumes.
#[utoipa::path(get, path = "/runs/{id}/logs", tag = "runs", operation_id = "get_run_logs",
    params(("id" = String, Path, description = "The run's id, or the beginning of it"), LogQuery,
           ("Last-Event-ID" = Option<String>, Header, description = "Go on after this line")),
    responses((status = 200, description = "Lines in order", content(
                  (LogPage = "application/json"), (LogLineView = "application/x-ndjson"), (LogLineView = "text/event-stream"))),
              (status = 404, description = "There is no such run", body = ErrorEnvelope)))]
pub async fn logs(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(id): Path<String>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let run = read::find(&web, &who, &id).await?;
    if !query.follow.unwrap_or(false) {
        return Ok(Body(logs::page(&web, run.id, &query).await?).into_response());
    }
    let least = query.least_level()?;
    let asked = query.after.map(|after| i64::try_from(after).unwrap_or(i64::MAX));
    let after = resume_after(&headers, asked)?.and_then(|after| u64::try_from(after).ok()).unwrap_or(0);
    let format = Format::accepted(&headers, Format::Lines);
    respond(&web, format, followed(&web, run.id, after, least, format))
}

fn followed(
    web: &Web,
    run: RunId,
    after: u64,
    least: LogLevel,
    format: Format,
) -> impl futures_util::Stream<Item = Message> + Send + 'static {
    let store = web.parts.store.clone();
    let lines = web.parts.tail.logs(run, after).filter_map(move |line| async move {
        match line {
            Ok(line) if line.level < least => None,
            Ok(line) => Some(Message::new("log", &LogLineView::from(line.clone())).id(line.seq)),
            Err(failure) => {
                Some(Message::new("error", &crate::base::Fault::new("store.unavailable", failure.to_string())))
            }
        }
    });
    // Lines of NDJSON are all of one kind; only events can say that there will be no more.
    let end = stream::once(async move {
        let run = store.run(run).await.ok().flatten().filter(|_| format == Format::ServerSentEvents)?;
        Some(Message::new("end", &LogEnd { state: run.state, finished_at: run.finished_at }))
    });
    lines.chain(end.filter_map(std::future::ready))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Cancelled {
    #[schema(value_type = String)]
    run_id: RunId,
}

/// Cancels a run that is queued, running or parked.
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "runs", operation_id = "cancel_run",
    params(("id" = String, Path, description = "The run's id, or the beginning of it")),
    responses((status = 202, description = "It will be cancelled", body = Cancelled),
              (status = 404, description = "There is no such run", body = ErrorEnvelope),
              (status = 409, description = "It had ended before", body = ErrorEnvelope)))]
pub async fn cancel(State(web): State<Web>, Operator(who): Operator, Path(id): Path<String>) -> ApiResult<Response> {
    let run = read::find(&web, &who, &id).await?;
    cancel_run(&web, run.id, who.actor).await?;
    Ok((StatusCode::ACCEPTED, Body(Cancelled { run_id: run.id })).into_response())
}

pub async fn cancel_run(web: &Web, run: RunId, by: crate::model::Actor) -> ApiResult<()> {
    match web.parts.runner.cancel(run, by).await? {
        CancelOutcome::Cancelled => Ok(()),
        CancelOutcome::AlreadyFinal(state) => {
            Err(ApiError::conflict("run.final", format!("the run {run} had ended before: it is {state}")))
        }
        CancelOutcome::Elsewhere(state) => {
            let message = format!("the run {run} is {state}, but not in this daemon");
            let hint = "ask the daemon that has it; if there is none, a restart of this one settles the run";
            Err(ApiError::conflict("run.elsewhere", message).hint(hint))
        }
        CancelOutcome::NotFound => Err(ApiError::not_found("run.not_found", format!("there is no run {run}"))),
    }
}

/// Starts the same job with the same parameters again, as a new run.
#[utoipa::path(post, path = "/runs/{id}/retry", tag = "runs", operation_id = "retry_run",
    params(("id" = String, Path, description = "The run's id, or the beginning of it")),
    responses((status = 202, description = "Accepted; `Location` is the new run", body = Triggered),
              (status = 404, description = "There is no such run or job", body = ErrorEnvelope),
              (status = 409, description = "Not accepted, by the job's overlap policy", body = ErrorEnvelope)))]
pub async fn retry(State(web): State<Web>, Operator(who): Operator, Path(id): Path<String>) -> ApiResult<Response> {
    let run = read::find(&web, &who, &id).await?;
    accepted(web.parts.runner.retry(run.id, who.trigger()).await?)
}
