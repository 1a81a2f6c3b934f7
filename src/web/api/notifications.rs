//! `/api/v1/notifications`: messages on their way to people, and those that were given up.

use axum::Json as Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::base::{Fault, Timestamp};
use crate::model::{Grants, NewEvent};
use crate::primitives::notify::{Delivery, Message, Outcome, Severity};
use crate::primitives::permit;
use crate::store::{OutboxWrite, ParcelChange, ParcelRow};
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Json, Operator, Path, Viewer};
use crate::web::guard::unconfined;
use crate::web::parts::Web;

/// A message to one destination.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
pub struct NotificationView {
    id: String,
    route: String,
    /// The provider, with its host or the name of its secret.
    #[schema(example = "discord (secret:DISCORD_ALERTS)")]
    destination: String,
    /// `gathering` until more of the same can no longer join it, `waiting`, or `dead`: it is tried no more.
    #[schema(example = "waiting")]
    state: &'static str,
    #[schema(value_type = String, example = "critical")]
    severity: Severity,
    title: String,
    /// How many messages it stands for.
    messages: u64,
    attempts: u32,
    created_at: Timestamp,
    /// When it is tried next.
    due_at: Timestamp,
    /// Why the last attempt failed.
    #[schema(value_type = Option<Object>)]
    error: Option<Fault>,
}

impl From<ParcelRow> for NotificationView {
    fn from(row: ParcelRow) -> Self {
        let message: Message = serde_json::from_value(row.body).unwrap_or_default();
        Self {
            id: row.id,
            route: row.route,
            destination: row.destination,
            state: row.state.as_str(),
            severity: message.severity,
            title: message.headline().to_owned(),
            messages: row.count,
            attempts: row.attempts,
            created_at: row.created_at,
            due_at: row.due_at,
            error: row.error,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NotificationList {
    waiting: u64,
    dead: u64,
    notifications: Vec<NotificationView>,
}

/// Lists the notifications that were given up, then those that wait.
#[utoipa::path(get, path = "/notifications", tag = "alerts", operation_id = "list_notifications",
    responses((status = 200, description = "What is dead, the newest first, then what waits", body = NotificationList)))]
pub async fn list(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<NotificationList>> {
    unconfined(&who)?;
    let store = &web.parts.store;
    let (counts, rows) = (store.outbox_counts().await?, store.parcels().await?);
    let notifications = rows.into_iter().map(NotificationView::from).collect();
    Ok(Body(NotificationList { waiting: counts.waiting, dead: counts.dead, notifications }))
}

/// Tries a notification again that was given up.
#[utoipa::path(post, path = "/notifications/{id}/retry", tag = "alerts", operation_id = "retry_notification",
    params(("id" = String, Path, description = "The notification's id")),
    responses((status = 200, description = "It waits again", body = NotificationView),
              (status = 404, description = "There is no such notification", body = ErrorEnvelope),
              (status = 409, description = "It is on its way already", body = ErrorEnvelope)))]
pub async fn retry(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(id): Path<String>,
) -> ApiResult<Body<NotificationView>> {
    unconfined(&who)?;
    let store = &web.parts.store;
    let missing = || {
        let refusal = ApiError::not_found("notification.not_found", format!("there is no notification {id:?}"));
        refusal.hint("`aegis notify queue` lists them; one that was delivered is gone from there")
    };
    store.parcel(&id).await?.ok_or_else(missing)?;
    let at = web.now();
    let data = serde_json::json!({ "id": id, "by": who.actor.to_string() });
    let write = OutboxWrite {
        changes: vec![(id.clone(), ParcelChange::Again { at })],
        events: vec![NewEvent::new(at, "notification.retried").data(data)],
        ..OutboxWrite::default()
    };
    if store.outbox(write).await? == 0 {
        return Err(ApiError::conflict("notification.waiting", format!("the notification {id} is on its way already")));
    }
    Ok(Body(store.parcel(&id).await?.ok_or_else(missing)?.into()))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestBody {
    /// Instead of what a test says by itself.
    text: Option<String>,
}

/// What a destination said.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestedView {
    destination: String,
    /// `delivered` or `failed`.
    outcome: &'static str,
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TestedList {
    destinations: Vec<TestedView>,
}

/// Sends a critical test message to every destination of a route, once, and tells what each said.
#[utoipa::path(post, path = "/notify/{route}/test", tag = "alerts", operation_id = "test_route",
    params(("route" = String, Path, description = "The route's name")), request_body = TestBody,
    responses((status = 200, description = "It was tried; look at each destination", body = TestedList),
              (status = 404, description = "There is no such route", body = ErrorEnvelope)))]
pub async fn test(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(route): Path<String>,
    Json(body): Json<TestBody>,
) -> ApiResult<Body<TestedList>> {
    unconfined(&who)?;
    let grants = Grants { notify: vec![route.clone()], ..Grants::default() };
    let permit = permit::notify(&grants, &route).map_err(Fault::from)?;
    let message = Message {
        title: format!("Test of the route {route}"),
        text: body
            .text
            .unwrap_or_else(|| format!("{} tries whether messages arrive here. Nothing is wrong.", who.actor)),
        severity: Severity::Critical,
        ..Message::default()
    };
    let sent = web.parts.notify.try_once(&permit, &message).await.map_err(Fault::from);
    let sent = sent.map_err(|fault| match fault.code.as_ref() {
        "notify.unknown_route" => {
            ApiError::not_found("notify.unknown_route", fault.message).hint(fault.hint.unwrap_or_default())
        }
        "notify.bad_message" => ApiError::bad_request(fault.message),
        _ => fault.into(),
    })?;
    Ok(Body(TestedList { destinations: sent.into_iter().map(tested).collect() }))
}

fn tested(delivery: Delivery) -> TestedView {
    let error = match &delivery.outcome {
        Outcome::Failed(fault) => Some(serde_json::json!(fault)),
        _ => None,
    };
    TestedView { destination: delivery.destination, outcome: delivery.outcome.as_str(), error }
}
