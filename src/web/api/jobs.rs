//! `/api/v1/jobs`.

use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::PREFIX;
use crate::base::{RunId, limits};
use crate::model::params::Params;
use crate::runner::{Submission, SubmitRequest};
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Json, Operator, Path, Query, Viewer};
use crate::web::parts::Web;
use crate::web::read::jobs::{self as read, JobDetail, JobSummary};
use crate::web::read::runs::RunView;

#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    jobs: Vec<JobSummary>,
}

/// Lists the jobs that are live.
#[utoipa::path(get, path = "/jobs", tag = "jobs", operation_id = "list_jobs",
    responses((status = 200, description = "The jobs by name", body = JobList),
              (status = 401, description = "No token", body = ErrorEnvelope)))]
pub async fn list(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<JobList>> {
    Ok(Body(JobList { jobs: read::list(&web, &who).await? }))
}

/// Shows a job: what it declares, its parameters, versions and next due times.
#[utoipa::path(get, path = "/jobs/{name}", tag = "jobs", operation_id = "get_job",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, description = "The job", body = JobDetail),
              (status = 404, description = "There is no such job", body = ErrorEnvelope)))]
pub async fn show(State(web): State<Web>, Viewer(who): Viewer, Path(name): Path<String>) -> ApiResult<Body<JobDetail>> {
    Ok(Body(read::detail(&web, &who, &name).await?))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerBody {
    /// Parameters by name; absent ones take their default.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"stack": "web"}))]
    params: Params,
    /// Show what would be done instead of doing it.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Triggered {
    #[schema(value_type = String)]
    pub run_id: RunId,
    /// The idempotency key had been used before: this is the run of then.
    pub existing: bool,
    /// A run that was waiting already stands for this one too.
    pub coalesced: bool,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TriggerQuery {
    /// Seconds, at most 50: answer when the run has ended, if it does so in this time.
    wait: Option<u64>,
}

/// Starts a run. Answers when it is safely recorded or, with `wait`, when it has ended.
#[utoipa::path(post, path = "/jobs/{name}/runs", tag = "jobs", operation_id = "trigger_job",
    params(("name" = String, Path, description = "The job's name"), TriggerQuery,
           ("Idempotency-Key" = Option<String>, Header, description = "A second request with the same key gets the first one's run")),
    request_body(content = TriggerBody, description = "May be absent when the job needs no parameters"),
    responses((status = 200, description = "The run, which has ended within `wait`", body = RunView,
                   headers(("Location" = String, description = "Address of the run"))),
              (status = 202, description = "Accepted; `Location` is the run", body = Triggered,
                   headers(("Location" = String, description = "Address of the run"))),
              (status = 404, description = "There is no such job", body = ErrorEnvelope),
              (status = 409, description = "Not accepted, by the job's overlap policy", body = ErrorEnvelope),
              (status = 422, description = "A parameter does not fit: `details.params` names each", body = ErrorEnvelope),
              (status = 503, description = "Too many runs are waiting", body = ErrorEnvelope)))]
pub async fn trigger(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(name): Path<String>,
    Query(query): Query<TriggerQuery>,
    headers: HeaderMap,
    Json(body): Json<TriggerBody>,
) -> ApiResult<Response> {
    let job = read::find(&web, &who, &name)?;
    let request = SubmitRequest {
        job: job.spec.name.clone(),
        params: body.params,
        trigger: who.trigger(),
        idempotency_key: idempotency_key(&headers)?,
        dry_run: body.dry_run,
        parent: None,
        occurrence: None,
    };
    let submission = web.parts.runner.submit(request).await?;
    if let (Some(seconds), Submission::Accepted { run, .. } | Submission::Coalesced { run }) = (query.wait, &submission)
        && let Some(ended) = ended(&web, *run, seconds).await?
    {
        return Ok(ended);
    }
    accepted(submission)
}

/// 200 with the run once it has ended; None when it does not in time.
async fn ended(web: &Web, run: RunId, seconds: u64) -> ApiResult<Option<Response>> {
    let patience = Duration::from_secs(seconds).min(limits::API_WAIT_MAX);
    let Ok(ended) = tokio::time::timeout(patience, web.parts.runner.wait(run)).await else { return Ok(None) };
    let Some(ended) = ended? else { return Ok(None) };
    let location = [(header::LOCATION, address(run))];
    Ok(Some((StatusCode::OK, location, Body(RunView::new(ended, web.now()))).into_response()))
}

fn address(run: RunId) -> String {
    format!("{PREFIX}/runs/{run}")
}

/// 202 with the run's address, or 409 with the reason.
pub fn accepted(submission: Submission) -> ApiResult<Response> {
    let triggered = triggered(submission)?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, address(triggered.run_id))], Body(triggered)).into_response())
}

pub fn triggered(submission: Submission) -> ApiResult<Triggered> {
    match submission {
        Submission::Accepted { run, existing } => Ok(Triggered { run_id: run, existing, coalesced: false }),
        Submission::Coalesced { run } => Ok(Triggered { run_id: run, existing: false, coalesced: true }),
        Submission::Skipped { reason } => Err(ApiError::conflict("run.skipped", reason)
            .hint("wait for the run that is alive or cancel it; the job's \"overlap\" says what happens")),
        Submission::AlreadySettled => Err(ApiError::conflict("run.settled", "this due time had been settled before")),
    }
}

fn idempotency_key(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(key) if key.len() <= limits::IDEMPOTENCY_KEY_BYTES_MAX => Ok(Some(key.to_owned())),
        _ => {
            let most = limits::IDEMPOTENCY_KEY_BYTES_MAX;
            Err(ApiError::bad_request(format!("Idempotency-Key must be 1 to {most} visible ASCII characters")))
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EnabledState {
    job: String,
    /// Whether its schedules fire now.
    enabled: bool,
}

/// Lets a job's schedules fire, whatever the script says.
#[utoipa::path(post, path = "/jobs/{name}/enable", tag = "jobs", operation_id = "enable_job",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, description = "Enabled", body = EnabledState),
              (status = 404, description = "There is no such job", body = ErrorEnvelope)))]
pub async fn enable(state: State<Web>, who: Operator, name: Path<String>) -> ApiResult<Body<EnabledState>> {
    set_enabled(state, who, name, true).await
}

/// Holds a job's schedules until it is enabled again. It can still be started by hand.
#[utoipa::path(post, path = "/jobs/{name}/disable", tag = "jobs", operation_id = "disable_job",
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, description = "Disabled", body = EnabledState),
              (status = 404, description = "There is no such job", body = ErrorEnvelope)))]
pub async fn disable(state: State<Web>, who: Operator, name: Path<String>) -> ApiResult<Body<EnabledState>> {
    set_enabled(state, who, name, false).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// `rights.waiting.hash` of the job, as it was looked at: other rights than these are not approved.
    hash: String,
}

/// Approves the rights of a job that wait for a person.
#[utoipa::path(post, path = "/jobs/{name}/approve", tag = "jobs", operation_id = "approve_job", request_body = ApproveBody,
    params(("name" = String, Path, description = "The job's name")),
    responses((status = 200, description = "They have effect", body = JobDetail),
              (status = 404, description = "There is no such job", body = ErrorEnvelope),
              (status = 409, description = "Nothing waits, or something else", body = ErrorEnvelope)))]
pub async fn approve(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(name): Path<String>,
    Json(body): Json<ApproveBody>,
) -> ApiResult<Body<JobDetail>> {
    let job = read::find(&web, &who, &name)?;
    web.parts.loader.approve(&job.spec.name, &body.hash, &who.actor).await?;
    Ok(Body(read::detail(&web, &who, &name).await?))
}

async fn set_enabled(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(name): Path<String>,
    enabled: bool,
) -> ApiResult<Body<EnabledState>> {
    let job = read::find(&web, &who, &name)?;
    web.parts.runner.set_enabled(&job.spec.name, Some(enabled), who.actor).await?;
    Ok(Body(EnabledState { job: name, enabled }))
}
