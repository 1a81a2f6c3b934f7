//! `/api/v1/alerts`, `/api/v1/silences` and `/api/v1/checks`.

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::model::alerts::AlertState;
use crate::model::metrics::Labels;
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Json, Operator, Path, Query, Viewer, parse_moment};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::watch::{self as read, AlertView, CheckView, SilenceView};

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Only in this state.
    #[param(example = "firing")]
    state: Option<String>,
    /// Also those that were over since then: a time, or an age such as `24h`.
    #[param(example = "24h")]
    since: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AlertList {
    alerts: Vec<AlertView>,
}

/// Lists what is wrong, the worst first.
#[utoipa::path(get, path = "/alerts", tag = "alerts", operation_id = "list_alerts", params(AlertQuery),
    responses((status = 200, description = "Alerts that pend or fire, then those that were over", body = AlertList),
              (status = 400, description = "The query is wrong", body = ErrorEnvelope)))]
pub async fn alerts(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Query(query): Query<AlertQuery>,
) -> ApiResult<Body<AlertList>> {
    unconfined(&who)?;
    let state = match query.state.as_deref() {
        None => None,
        Some(text) => Some(AlertState::parse(text).ok_or_else(|| {
            ApiError::bad_request(format!("state={text:?} is not a state: write pending, firing or resolved"))
        })?),
    };
    let over_since = match query.since.as_deref() {
        None if state == Some(AlertState::Resolved) => Some(parse_moment("since", "24h", web.now())?),
        None => None,
        Some(text) => Some(parse_moment("since", text, web.now())?),
    };
    let mut alerts = read::alerts(&web, over_since).await?;
    alerts.retain(|alert| state.is_none_or(|state| alert.state == state));
    Ok(Body(AlertList { alerts }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcknowledgeBody {
    /// For the record.
    note: String,
}

/// Says that somebody looks after an alert: it is not told again.
#[utoipa::path(post, path = "/alerts/{id}/acknowledge", tag = "alerts", operation_id = "acknowledge_alert",
    params(("id" = String, Path, description = "The alert's id, or the beginning of it")),
    request_body = AcknowledgeBody,
    responses((status = 200, description = "It is noted", body = AlertView),
              (status = 404, description = "There is no such alert", body = ErrorEnvelope),
              (status = 409, description = "It is over", body = ErrorEnvelope)))]
pub async fn acknowledge(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(id): Path<String>,
    Json(body): Json<AcknowledgeBody>,
) -> ApiResult<Body<AlertView>> {
    unconfined(&who)?;
    Ok(Body(read::acknowledge(&web, &who, &id, &body.note).await?))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SilenceList {
    silences: Vec<SilenceView>,
}

/// Lists the silences that have not ended.
#[utoipa::path(get, path = "/silences", tag = "alerts", operation_id = "list_silences",
    responses((status = 200, description = "Silences, the first to end first", body = SilenceList)))]
pub async fn silences(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<SilenceList>> {
    unconfined(&who)?;
    Ok(Body(SilenceList { silences: read::silences(&web).await? }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceBody {
    /// What an alert must have, with patterns; `alert` and `severity` are its own.
    #[schema(value_type = Object)]
    labels: Labels,
    #[schema(example = "2h")]
    duration: String,
    /// Why.
    note: String,
}

/// Keeps alerts quiet for a while. They fire and are over all the same.
#[utoipa::path(post, path = "/silences", tag = "alerts", operation_id = "create_silence", request_body = SilenceBody,
    responses((status = 201, description = "They are quiet", body = SilenceView),
              (status = 400, description = "The body is wrong", body = ErrorEnvelope)))]
pub async fn silence(
    State(web): State<Web>,
    Operator(who): Operator,
    Json(body): Json<SilenceBody>,
) -> ApiResult<(StatusCode, Body<SilenceView>)> {
    unconfined(&who)?;
    let made = read::silence(&web, &who, body.labels, &body.duration, &body.note).await?;
    Ok((StatusCode::CREATED, Body(made)))
}

/// Ends a silence.
#[utoipa::path(delete, path = "/silences/{id}", tag = "alerts", operation_id = "end_silence",
    params(("id" = String, Path, description = "The silence's id, or the beginning of it")),
    responses((status = 200, description = "It is over", body = SilenceView),
              (status = 404, description = "There is no such silence", body = ErrorEnvelope)))]
pub async fn end_silence(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(id): Path<String>,
) -> ApiResult<Body<SilenceView>> {
    unconfined(&who)?;
    Ok(Body(read::end_silence(&web, &id).await?))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CheckList {
    checks: Vec<CheckView>,
}

/// Lists the checks of the configuration and what they say.
#[utoipa::path(get, path = "/checks", tag = "alerts", operation_id = "list_checks",
    responses((status = 200, description = "Checks by name", body = CheckList)))]
pub async fn checks(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<CheckList>> {
    unconfined(&who)?;
    Ok(Body(CheckList { checks: read::checks(&web).await? }))
}
