//! What durable runs have done, wait for and keep: `/api/v1/runs/{id}/steps`, `…/artifacts`, approvals and events.

use axum::Json as Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::base::{RunId, limits};
use crate::model::journal::BadStepKey;
use crate::model::{Decision, Entry, Identity, Signal, StepKey};
use crate::store::Artifact;
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Json, Operator, Path, Query, Viewer};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::runs;
use crate::web::read::steps::{self as read, ApprovalView, ArtifactView, StepList, StepView};

/// Media types that a browser may show instead of saving: they cannot carry a script.
const SHOWN: [&str; 3] = ["image/png", "image/jpeg", "text/plain"];

/// Whatever a job has put into an artifact, it does not act as a page of ours.
const ARTIFACT_POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// Which steps to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StepQuery {
    /// Only the one at this place, with all of its result.
    #[param(example = "4.2.1")]
    key: Option<String>,
}

/// Lists the journal of a durable run, in the order in which its entries were recorded.
#[utoipa::path(get, path = "/runs/{id}/steps", tag = "durable", operation_id = "list_steps",
    params(("id" = String, Path, description = "The run's id, or the beginning of it"), StepQuery),
    responses((status = 200, description = "The entries; none for a run that is not durable", body = StepList),
              (status = 404, description = "There is no such run", body = ErrorEnvelope)))]
pub async fn steps(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(id): Path<String>,
    Query(wanted): Query<StepQuery>,
) -> ApiResult<Body<StepList>> {
    let run = runs::find(&web, &who, &id).await?;
    let store = &web.parts.store;
    let Some(key) = wanted.key else {
        return Ok(Body(StepList { steps: StepView::all(&store.journal_shown(run.id).await?, web.now()) }));
    };
    let key: StepKey = key.parse().map_err(|problem: BadStepKey| ApiError::bad_request(format!("key: {problem}")))?;
    let (entry, undo) = (store.journal_entry(run.id, &key).await?, store.journal_entry(run.id, &key.undo()).await?);
    let undo: Vec<Entry> = undo.into_iter().collect();
    Ok(Body(StepList { steps: entry.iter().map(|entry| StepView::new(entry, &undo, web.now())).collect() }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalList {
    approvals: Vec<ApprovalView>,
}

/// Lists the approvals that wait for somebody, the oldest first.
#[utoipa::path(get, path = "/approvals", tag = "durable", operation_id = "list_approvals",
    responses((status = 200, description = "What waits", body = ApprovalList),
              (status = 401, description = "No token", body = ErrorEnvelope)))]
pub async fn approvals(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<ApprovalList>> {
    Ok(Body(ApprovalList { approvals: read::approvals(&web, &who).await? }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionBody {
    /// The approval's name; the only one that waits unless told.
    #[serde(default)]
    name: Option<String>,
    /// For the record, and for the job.
    #[serde(default)]
    comment: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Decided {
    #[schema(value_type = String)]
    pub run_id: RunId,
    name: String,
    approved: bool,
}

/// Approves what a run waits for. The run goes on; who decided is recorded.
#[utoipa::path(post, path = "/runs/{id}/approve", tag = "durable", operation_id = "approve_run",
    params(("id" = String, Path, description = "The run's id, or the beginning of it")), request_body = DecisionBody,
    responses((status = 200, description = "It is approved", body = Decided),
              (status = 404, description = "There is no such run", body = ErrorEnvelope),
              (status = 409, description = "Nothing of that name waits, or it is decided already", body = ErrorEnvelope)))]
pub async fn approve(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(id): Path<String>,
    Json(body): Json<DecisionBody>,
) -> ApiResult<Body<Decided>> {
    Ok(Body(decide(&web, &who, &id, true, body).await?))
}

/// Rejects what a run waits for. What follows is the job's own decision; who decided is recorded.
#[utoipa::path(post, path = "/runs/{id}/reject", tag = "durable", operation_id = "reject_run",
    params(("id" = String, Path, description = "The run's id, or the beginning of it")), request_body = DecisionBody,
    responses((status = 200, description = "It is rejected", body = Decided),
              (status = 404, description = "There is no such run", body = ErrorEnvelope),
              (status = 409, description = "Nothing of that name waits, or it is decided already", body = ErrorEnvelope)))]
pub async fn reject(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(id): Path<String>,
    Json(body): Json<DecisionBody>,
) -> ApiResult<Body<Decided>> {
    Ok(Body(decide(&web, &who, &id, false, body).await?))
}

impl DecisionBody {
    /// Empty fields of a form count as absent.
    pub fn of_form(name: Option<&str>, comment: Option<&str>) -> Self {
        let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { name: given(name), comment: given(comment) }
    }
}

/// The decision of `who`, as pages and programs make it.
pub async fn decide(
    web: &Web,
    who: &Identity,
    id: &str,
    approved: bool,
    DecisionBody { name, comment }: DecisionBody,
) -> ApiResult<Decided> {
    let run = runs::find(web, who, id).await?.id;
    if let Some(comment) = &comment {
        bounded("comment", comment, limits::DECISION_COMMENT_BYTES_MAX)?;
    }
    let decision = Decision { run, name, approved, comment, actor: who.actor.clone(), at: web.now() };
    Ok(Decided { run_id: run, name: web.parts.runner.decide(decision).await?, approved })
}

fn bounded(what: &str, text: &str, most: usize) -> ApiResult<()> {
    if text.is_empty() || text.len() > most {
        let message = format!("{what} is {} bytes long; 1 to {most} are allowed", text.len());
        return Err(ApiError::bad_request(message));
    }
    if text.chars().any(char::is_control) {
        return Err(ApiError::bad_request(format!("{what} has a line break or another control character")));
    }
    Ok(())
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventBody {
    /// Reaches only waits with the same key, and those without any.
    #[serde(default)]
    key: Option<String>,
    /// Reaches only this run: its id, or the beginning of it.
    #[serde(default)]
    run: Option<String>,
    /// What `ctx:wait_event` returns.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    payload: Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EventSent {
    name: String,
    /// Parked runs that go on because of it.
    woken: usize,
}

/// Sends an event to the runs that wait for its name. Runs accepted before it was sent see it later, too.
#[utoipa::path(post, path = "/events/{name}", tag = "durable", operation_id = "send_event",
    params(("name" = String, Path, description = "The event's name")), request_body = EventBody,
    responses((status = 202, description = "It is kept, and delivered to whom it concerns", body = EventSent),
              (status = 403, description = "A token that is confined to some jobs must name a run", body = ErrorEnvelope),
              (status = 404, description = "There is no such run", body = ErrorEnvelope)))]
pub async fn send(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(name): Path<String>,
    Json(body): Json<EventBody>,
) -> ApiResult<Response> {
    bounded("the event's name", &name, limits::SIGNAL_NAME_BYTES_MAX)?;
    if let Some(key) = &body.key {
        bounded("key", key, limits::SIGNAL_NAME_BYTES_MAX)?;
    }
    let run = match &body.run {
        Some(id) => Some(runs::find(&web, &who, id).await?.id),
        // It could reach runs of any job.
        None => unconfined(&who).map(|()| None)?,
    };
    let EventBody { key, payload, .. } = body;
    let bytes = payload.to_string().len();
    if bytes > limits::STEP_SHOWN_BYTES_MAX {
        let most = limits::STEP_SHOWN_BYTES_MAX;
        let message = format!("payload is {bytes} bytes long as JSON; at most {most} are allowed");
        return Err(ApiError::bad_request(message).hint("send where to find the rest"));
    }
    let signal = Signal { name: name.clone(), key, run, payload, actor: who.actor, at: web.now() };
    let woken = web.parts.runner.signal(signal).await?;
    Ok((StatusCode::ACCEPTED, Body(EventSent { name, woken })).into_response())
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ArtifactList {
    artifacts: Vec<ArtifactView>,
}

/// Lists what a run keeps for people: reports, pictures, exports.
#[utoipa::path(get, path = "/runs/{id}/artifacts", tag = "durable", operation_id = "list_artifacts",
    params(("id" = String, Path, description = "The run's id, or the beginning of it")),
    responses((status = 200, description = "The artifacts by name, without their content", body = ArtifactList),
              (status = 404, description = "There is no such run", body = ErrorEnvelope)))]
pub async fn artifacts(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(id): Path<String>,
) -> ApiResult<Body<ArtifactList>> {
    let run = runs::find(&web, &who, &id).await?;
    Ok(Body(ArtifactList { artifacts: read::artifacts(&web, run.id).await? }))
}

/// Gives the content of an artifact. Browsers show PNG, JPEG and plain text, and save everything else.
#[utoipa::path(get, path = "/runs/{id}/artifacts/{name}", tag = "durable", operation_id = "get_artifact",
    params(("id" = String, Path, description = "The run's id, or the beginning of it"),
           ("name" = String, Path, description = "The artifact's name")),
    responses((status = 200, description = "Its content, as the media type that the job gave it", body = [u8], content_type = "application/octet-stream"),
              (status = 404, description = "There is no such run or artifact", body = ErrorEnvelope)))]
pub async fn artifact(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path((id, name)): Path<(String, String)>,
) -> ApiResult<Response> {
    let run = runs::find(&web, &who, &id).await?;
    let Some((artifact, content)) = web.parts.store.artifact(run.id, &name).await? else {
        let missing = ApiError::not_found("artifact.not_found", format!("run {} has no artifact {name:?}", run.id));
        return Err(missing.hint(format!("GET /api/v1/runs/{}/artifacts lists them", run.id)));
    };
    Ok(served(&artifact, content))
}

fn served(artifact: &Artifact, content: Vec<u8>) -> Response {
    let kind = artifact.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_shown = SHOWN.contains(&kind.as_str());
    let full = if kind == "text/plain" { "text/plain; charset=utf-8" } else { &*artifact.media_type };
    let octets = HeaderValue::from_static("application/octet-stream");
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_str(full).unwrap_or(octets)),
        (header::CONTENT_DISPOSITION, disposition(&artifact.name, is_shown)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(ARTIFACT_POLICY)),
    ];
    (headers, content).into_response()
}

/// With the name for browsers that know RFC 8187, and a plain likeness of it for the others.
fn disposition(name: &str, is_shown: bool) -> HeaderValue {
    let how = if is_shown { "inline" } else { "attachment" };
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let likeness: String = name.chars().map(plain).collect();
    let escaped = url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>();
    let escaped = escaped.replace('+', "%20").replace('*', "%2A");
    let value = format!("{how}; filename=\"{likeness}\"; filename*=UTF-8''{escaped}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn served_as(name: &str, media_type: &str) -> Response {
        let created_at = Timestamp::UNIX_EPOCH;
        served(&Artifact { name: name.into(), media_type: media_type.into(), bytes: 1, created_at }, vec![b'x'])
    }

    #[test]
    fn only_what_cannot_act_is_shown_in_the_browser() {
        for (media_type, how) in [
            ("image/png", "inline"),
            ("IMAGE/JPEG", "inline"),
            ("text/plain; charset=utf-16", "inline"),
            ("image/svg+xml", "attachment"),
            ("text/html", "attachment"),
            ("application/pdf", "attachment"),
        ] {
            let headers = served_as("a", media_type).headers().clone();
            let disposition = headers[header::CONTENT_DISPOSITION].to_str().expect("text").to_owned();
            assert!(disposition.starts_with(how), "{media_type}: {disposition}");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text").contains("sandbox"));
        }
        assert_eq!(served_as("a", "text/plain").headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(served_as("a", "bad\nkind").headers()[header::CONTENT_TYPE], "application/octet-stream");
    }

    #[test]
    fn a_name_cannot_leave_its_header() {
        let value = disposition("a\"; x=\r\n\u{fc}*.csv", false);
        assert_eq!(
            value.to_str().expect("text"),
            "attachment; filename=\"a___x_____.csv\"; filename*=UTF-8''a%22%3B%20x%3D%0D%0A%C3%BC%2A.csv"
        );
    }
}
