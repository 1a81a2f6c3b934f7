//! `/api/v1/schedule`, `/api/v1/occurrences`, `/api/v1/scripts/diagnostics` and `/metrics`.

use axum::Json as Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::error::{ApiResult, ErrorEnvelope};
use crate::web::extract::{Query, Viewer};
use crate::web::parts::Web;
use crate::web::read::jobs::{DiagnosticView, diagnostics as read_diagnostics};
use crate::web::read::occurrences::{self as ledger, OccurrencePage, OccurrenceQuery};
use crate::web::read::schedule::{self as read, ScheduleQuery, ScheduleWindow};
use crate::web::read::simulation::{Simulation, SimulationQuery, simulate};

/// Lists due times of a window: what became of the past ones, and what is to come.
#[utoipa::path(get, path = "/schedule", tag = "schedule", operation_id = "get_schedule", params(ScheduleQuery),
    responses((status = 200, description = "Due times", body = ScheduleWindow),
              (status = 400, description = "The window cannot be read", body = ErrorEnvelope)))]
pub async fn schedule(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Query(query): Query<ScheduleQuery>,
) -> ApiResult<Body<ScheduleWindow>> {
    Ok(Body(read::window(&web, &who, &query).await?))
}

/// Lists what became of due times, the newest first, however long ago.
#[utoipa::path(get, path = "/occurrences", tag = "schedule", operation_id = "list_occurrences", params(OccurrenceQuery),
    responses((status = 200, description = "A page of settled due times", body = OccurrencePage),
              (status = 400, description = "A filter cannot be read", body = ErrorEnvelope)))]
pub async fn occurrences(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Query(query): Query<OccurrenceQuery>,
) -> ApiResult<Body<OccurrencePage>> {
    Ok(Body(ledger::list(&web, &who, &query).await?))
}

/// Plays a period to come through: how many due times each job has, and which of them its overlap policy would skip or
/// let wait, if runs take as long as the median of those that succeeded lately.
#[utoipa::path(get, path = "/schedule/simulation", tag = "schedule", operation_id = "simulate_schedule",
    params(SimulationQuery),
    responses((status = 200, description = "Each job that has a schedule", body = Simulation),
              (status = 400, description = "The period cannot be read", body = ErrorEnvelope)))]
pub async fn simulation(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Query(query): Query<SimulationQuery>,
) -> ApiResult<Body<Simulation>> {
    Ok(Body(simulate(&web, &who, &query).await?))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DiagnosticList {
    diagnostics: Vec<DiagnosticView>,
}

/// Lists what is wrong with the files of the scripts folder now.
#[utoipa::path(get, path = "/scripts/diagnostics", tag = "jobs", operation_id = "list_diagnostics",
    responses((status = 200, description = "Diagnostics, errors first", body = DiagnosticList),
              (status = 403, description = "The token is confined to some jobs", body = ErrorEnvelope)))]
pub async fn diagnostics(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<DiagnosticList>> {
    crate::web::guard::unconfined(&who)?;
    Ok(Body(DiagnosticList { diagnostics: read_diagnostics(&web) }))
}

/// Metrics in the Prometheus text format. Needs a viewer's token: numbers tell an outsider what runs here and when.
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
              (status = 401, description = "No token", body = ErrorEnvelope)))]
pub async fn metrics(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Response> {
    crate::web::guard::unconfined(&who)?;
    let text = web.parts.metrics.scrape(&web.parts).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
