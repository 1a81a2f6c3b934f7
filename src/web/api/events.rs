//! `/api/v1/events`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::base::{JobName, RunId, Timestamp};
use crate::model::{Event, Identity};
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Query, Viewer};
use crate::web::parts::Web;
use crate::web::stream::{Format, Message, respond, resume_after};

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Only kinds that begin with one of these, separated by commas.
    #[param(example = "run.,job.rejected")]
    kind: Option<String>,
    /// Only this job's.
    job: Option<String>,
    /// Only this run's.
    run: Option<String>,
    /// Begin after this number; 0 replays all that is kept. Only new ones unless told.
    after: Option<i64>,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Grows with every event; give it as `after` or `Last-Event-ID` to go on after it.
    seq: i64,
    at: Timestamp,
    #[schema(example = "run.succeeded")]
    kind: String,
    #[schema(value_type = Option<String>)]
    job: Option<JobName>,
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
    #[schema(value_type = Object)]
    data: Value,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let body = event.body;
        Self { seq: event.seq, at: body.at, kind: body.kind, job: body.job, run: body.run, data: body.data }
    }
}

/// Which events a caller asked for and may see.
struct Wanted {
    who: Identity,
    kinds: Vec<String>,
    job: Option<JobName>,
    run: Option<RunId>,
}

impl Wanted {
    fn new(who: Identity, query: &EventQuery) -> ApiResult<Self> {
        let job = query.job.as_deref().map(str::parse).transpose();
        let run = query.run.as_deref().map(str::parse).transpose();
        let kinds = query.kind.as_deref().unwrap_or_default().split(',').map(str::trim);
        Ok(Self {
            who,
            kinds: kinds.filter(|kind| !kind.is_empty()).map(str::to_owned).collect(),
            job: job.map_err(|bad| ApiError::bad_request(format!("job: {bad}")))?,
            run: run.map_err(|bad| ApiError::bad_request(format!("run: {bad}")))?,
        })
    }

    fn covers(&self, event: &Event) -> bool {
        let body = &event.body;
        let visible = self.who.jobs.is_empty() || body.job.as_ref().is_some_and(|job| self.who.covers(job));
        visible
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| body.kind.starts_with(kind)))
            && (self.job.is_none() || self.job == body.job)
            && (self.run.is_none() || self.run == body.run)
    }
}

/// Follows everything that happens: server-sent events, or NDJSON when `Accept` asks for it.
#[utoipa::path(get, path = "/events", tag = "events", operation_id = "stream_events",
    params(EventQuery, ("Last-Event-ID" = Option<i64>, Header, description = "Go on after this event")),
    responses((status = 200, description = "Events as they are committed", content(
                  (EventView = "text/event-stream"), (EventView = "application/x-ndjson"))),
              (status = 503, description = "Too many streams are open", body = ErrorEnvelope)))]
pub async fn stream(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let wanted = Wanted::new(who, &query)?;
    let after = resume_after(&headers, query.after)?;
    let format = Format::accepted(&headers, Format::ServerSentEvents);
    let messages = web.parts.tail.events(after).filter_map(move |event| {
        let message = match event {
            Ok(event) if !wanted.covers(&event) => None,
            Ok(event) => Some(Message::new("event", &EventView::from(event.clone())).id(event.seq)),
            Err(failure) => {
                Some(Message::new("error", &crate::base::Fault::new("store.unavailable", failure.to_string())))
            }
        };
        std::future::ready(message)
    });
    respond(&web, format, messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NewEvent, Role, TriggerKind};

    #[test]
    fn events_are_filtered_by_kind_job_and_scope() {
        let job: JobName = "backup".parse().expect("a name");
        let event = |kind: &str| Event { seq: 1, body: NewEvent::new(Timestamp::UNIX_EPOCH, kind).job(&job) };
        let wanted = |kinds: &str, job: Option<&str>, scope: &[&str]| {
            let who = Identity::new("token:x", Role::Viewer, TriggerKind::Api);
            let who = who.confined_to(scope.iter().map(ToString::to_string).collect());
            let query = EventQuery { kind: Some(kinds.into()), job: job.map(Into::into), ..EventQuery::default() };
            Wanted::new(who, &query).expect("a filter")
        };
        assert!(wanted("run.,job.", None, &[]).covers(&event("run.queued")));
        assert!(!wanted("job.", None, &[]).covers(&event("run.queued")));
        assert!(!wanted("", Some("other"), &[]).covers(&event("run.queued")));
        assert!(wanted("", None, &["back*"]).covers(&event("run.queued")));
        assert!(!wanted("", None, &["deploy"]).covers(&event("run.queued")));
    }
}
