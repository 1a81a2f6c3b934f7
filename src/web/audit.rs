//! Every request that changes something becomes a record of the audit log: who, what, on which object, with what outcome.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use super::guard::Peer;
use super::parts::Web;
use crate::model::audit::OK;
use crate::model::{Identity, NewAudit};
use crate::store::Store;

/// What a handler knows of its act that the request does not show; it goes along in the answer's extensions.
#[derive(Debug, Clone, Default)]
pub struct Acted {
    /// Who it was, where the request came without a caller.
    pub actor: Option<String>,
    pub object: Option<String>,
}

/// The names of acts by the routes that carry them out, those of the pages beside those of the API.
const ACTS: [(&str, &str); 52] = [
    ("POST /api/v1/jobs/{name}/runs", "job.trigger"),
    ("POST /jobs/{name}/run", "job.trigger"),
    ("POST /api/v1/jobs/{name}/enable", "job.enable"),
    ("POST /api/v1/jobs/{name}/disable", "job.disable"),
    ("POST /jobs/{name}/enabled", "job.enable_or_disable"),
    ("POST /api/v1/jobs/{name}/approve", "rights.approve"),
    ("POST /jobs/{name}/approve", "rights.approve"),
    ("POST /api/v1/runs/{id}/cancel", "run.cancel"),
    ("POST /runs/{id}/cancel", "run.cancel"),
    ("POST /api/v1/runs/{id}/retry", "run.retry"),
    ("POST /runs/{id}/retry", "run.retry"),
    ("POST /api/v1/runs/{id}/approve", "run.approve"),
    ("POST /runs/{id}/approve", "run.approve"),
    ("POST /api/v1/runs/{id}/reject", "run.reject"),
    ("POST /runs/{id}/reject", "run.reject"),
    ("POST /api/v1/events/{name}", "event.send"),
    ("POST /api/v1/containers/{id}/start", "container.start"),
    ("POST /api/v1/containers/{id}/stop", "container.stop"),
    ("POST /api/v1/containers/{id}/restart", "container.restart"),
    ("POST /containers/{id}/{action}", "container.act"),
    ("POST /api/v1/stacks/{name}/up", "stack.up"),
    ("POST /api/v1/stacks/{name}/down", "stack.down"),
    ("POST /api/v1/stacks/{name}/restart", "stack.restart"),
    ("POST /api/v1/stacks/{name}/pull", "stack.pull"),
    ("POST /api/v1/stacks/{name}/build", "stack.build"),
    ("POST /api/v1/volumes", "volume.create"),
    ("PATCH /api/v1/volumes/{tenant}/{volume}", "volume.change"),
    ("DELETE /api/v1/volumes/{tenant}/{volume}", "volume.delete"),
    ("POST /api/v1/volumes/{tenant}/{volume}/clone", "volume.clone"),
    ("POST /api/v1/volumes/{tenant}/{volume}/snapshots", "volume.snapshot"),
    ("DELETE /api/v1/volumes/{tenant}/{volume}/snapshots/{snapshot}", "volume.snapshot.remove"),
    ("POST /api/v1/volumes/{tenant}/{volume}/restore", "volume.restore"),
    ("PUT /api/v1/volumes/{tenant}/{volume}/content", "volume.write"),
    ("DELETE /api/v1/volumes/{tenant}/{volume}/content", "volume.remove"),
    ("POST /api/v1/deleted-volumes/{id}/recover", "volume.recover"),
    ("POST /api/v1/alerts/{id}/acknowledge", "alert.acknowledge"),
    ("POST /alerts/{id}/acknowledge", "alert.acknowledge"),
    ("POST /api/v1/silences", "silence.create"),
    ("POST /silences", "silence.create"),
    ("DELETE /api/v1/silences/{id}", "silence.end"),
    ("POST /silences/{id}/end", "silence.end"),
    ("POST /api/v1/notifications/{id}/retry", "notification.retry"),
    ("POST /api/v1/notify/{route}/test", "notification.test"),
    ("POST /api/v1/tokens", "token.create"),
    ("POST /settings/tokens", "token.create"),
    ("DELETE /api/v1/tokens/{name}", "token.revoke"),
    ("POST /settings/tokens/{name}/revoke", "token.revoke"),
    ("POST /api/v1/backup", "backup"),
    ("POST /hooks/{job}", "hook.receive"),
    ("POST /login", "login"),
    ("POST /logout", "logout"),
    // How the page looks to one browser is nobody's business.
    ("POST /theme", ""),
];

/// Acts whose answer does not wait for the record's commit: what they do is committed and told in other ways as well.
const QUICK: [&str; 3] = ["job.trigger", "event.send", "hook.receive"];
/// An act whose record is written with it, in one transaction, when it goes well.
const TOLD: &str = "rights.approve";

/// A request under way. Dropped without an answer, it is recorded as given up.
struct Act {
    store: Store,
    record: Option<NewAudit>,
}

impl Drop for Act {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            keep(&self.store, record.outcome("request.abandoned"));
        }
    }
}

/// Records what is asked once it is answered. Nothing is changed while it could not be recorded.
pub async fn record(State(web): State<Web>, request: Request, next: Next) -> Response {
    let Some(begun) = begin(&web, &request) else { return next.run(request).await };
    if !web.parts.store.has_room() {
        let message = "nothing is changed while it cannot be recorded: the database is behind";
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "audit.no_room", message).into_response();
    }
    let mut act = Act { store: web.parts.store.clone(), record: Some(begun) };
    let mut response = next.run(request).await;
    let acted = response.extensions_mut().remove::<Acted>().unwrap_or_default();
    let Some(mut record) = act.record.take() else { return response };
    record.at = web.now();
    record.outcome = outcome(response.status());
    record.object = acted.object.unwrap_or(record.object);
    record.actor = acted.actor.unwrap_or(record.actor);
    if record.action == TOLD && record.outcome == OK {
        return response;
    }
    // Anybody may try; only sign-ins are counted among what strangers do.
    if record.actor.is_empty() && record.action != "login" {
        return response;
    }
    if QUICK.contains(&record.action.as_str()) {
        keep(&web.parts.store, record);
    } else if let Err(error) = web.parts.store.append_audit(vec![record.clone()]).await {
        tracing::error!(target: "aegis::audit", %error, ?record, "not recorded in the audit log");
    }
    response
}

fn keep(store: &Store, record: NewAudit) {
    if let Err(error) = store.queue_audit(record.clone()) {
        tracing::error!(target: "aegis::audit", %error, ?record, "not recorded in the audit log");
    }
}

/// None for requests that change nothing.
fn begin(web: &Web, request: &Request) -> Option<NewAudit> {
    if request.method().is_safe() {
        return None;
    }
    let template = request.extensions().get::<MatchedPath>()?.as_str();
    let action = action(request.method(), template)?;
    let who = request.extensions().get::<Identity>();
    let actor = who.map_or("", |who| who.actor.0.as_str());
    let object = object(template, request.uri().path());
    let mut record = NewAudit::new(web.now(), actor, action, object.as_str());
    if template.contains("/jobs/{name}") || template == "/hooks/{job}" {
        record.job = object.parse().ok();
    } else if template.contains("/runs/{id}") {
        record.run = object.parse().ok();
    }
    if let Some(peer) = request.extensions().get::<Peer>() {
        record.data = serde_json::json!({ "from": peer.0.ip().to_string() });
    }
    Some(record)
}

/// A route without a name of its own is recorded under its method and template.
fn action(method: &Method, template: &str) -> Option<String> {
    let route = format!("{method} {template}");
    match ACTS.iter().find(|(known, _)| *known == route) {
        Some((_, "")) => None,
        Some((_, action)) => Some((*action).to_owned()),
        None => Some(route),
    }
}

/// What stands in the path where the template has names.
fn object(template: &str, path: &str) -> String {
    let parts = template.split('/').zip(path.split('/')).filter(|(name, _)| name.starts_with('{'));
    let named: Vec<_> = parts.map(|(_, part)| percent_decode_str(part).decode_utf8_lossy()).collect();
    named.join("/")
}

fn outcome(status: StatusCode) -> String {
    if status.is_client_error() || status.is_server_error() {
        return format!("http.{}", status.as_u16());
    }
    OK.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_named_by_their_routes() {
        let named = |method, template| action(&method, template);
        assert_eq!(named(Method::DELETE, "/api/v1/tokens/{name}").as_deref(), Some("token.revoke"));
        assert_eq!(named(Method::POST, "/theme"), None);
        assert_eq!(named(Method::PUT, "/new/{x}").as_deref(), Some("PUT /new/{x}"));
        assert_eq!(object("/containers/{id}/{action}", "/containers/web/stop"), "web/stop");
        assert_eq!(object("/login", "/login"), "");
    }

    /// Whoever adds a route that changes something gives the act a name.
    #[test]
    fn every_act_of_the_api_has_a_name() {
        let (_, document) = crate::web::api::router();
        let text = serde_json::to_value(&*document).expect("the description is JSON");
        for (path, item) in text["paths"].as_object().expect("paths") {
            for method in item.as_object().expect("operations").keys().filter(|method| *method != "get") {
                let route = format!("{} {path}", method.to_uppercase());
                assert!(ACTS.iter().any(|(known, _)| *known == route), "{route} is not named in ACTS");
            }
        }
    }
}
