//! `/hooks/{job}`: other services start jobs that listen to them.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::jobs::{Triggered, accepted};
use crate::base::quantity::show_size;
use crate::base::{ExposeSecret, Fault, JobName, limits};
use crate::jobs::Job;
use crate::model::params::Params;
use crate::model::triggers::WebhookTrigger;
use crate::model::{Trigger, TriggerKind};
use crate::primitives::hook::{self, Delivery, HookError};
use crate::primitives::permit;
use crate::runner::SubmitRequest;
use crate::web::audit::Acted;
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Path, body_problem};
use crate::web::guard::{Caller, refused};
use crate::web::parts::Web;

/// Starts a run of a job that listens to a service, with the request's body as its event.
///
/// The request is signed instead of carrying a token: after Standard Webhooks, or as GitHub does, as the job says. What
/// was sent before starts nothing and is answered with the run of then.
#[utoipa::path(post, path = "/hooks/{job}", tag = "jobs", operation_id = "receive_hook", security(()),
    params(("job" = String, Path, description = "The job's name"),
           ("webhook-id" = Option<String>, Header, description = "Standard Webhooks: of this delivery, the same when it is repeated"),
           ("webhook-timestamp" = Option<String>, Header, description = "Standard Webhooks: seconds of the epoch, at most five minutes from now"),
           ("webhook-signature" = Option<String>, Header, description = "Standard Webhooks: `v1,` and HMAC-SHA256 in Base64"),
           ("X-Hub-Signature-256" = Option<String>, Header, description = "GitHub: `sha256=` and HMAC-SHA256 in hex")),
    request_body(content = String, content_type = "application/json", description = "Text or JSON, at most 256 KiB"),
    responses((status = 202, description = "Accepted; `Location` is the run", body = Triggered,
                   headers(("Location" = String, description = "Address of the run"))),
              (status = 401, description = "Not signed with the job's secret, or not now", body = ErrorEnvelope),
              (status = 404, description = "No such job listens", body = ErrorEnvelope),
              (status = 409, description = "Not accepted, by the job's overlap policy, or because it is disabled", body = ErrorEnvelope),
              (status = 413, description = "The body is too large", body = ErrorEnvelope),
              (status = 429, description = "Too many wrong signatures from this address", body = ErrorEnvelope)))]
pub async fn receive(
    State(web): State<Web>,
    Path(name): Path<String>,
    Caller(peer): Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Response> {
    let body = body.map_err(body_problem)?;
    if body.len() > limits::HOOK_BODY_BYTES_MAX {
        let message = format!("the body is larger than {}", show_size(limits::HOOK_BODY_BYTES_MAX as u64));
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request.too_large", message));
    }
    let (job, hooks) = listener(&web, &name)?;
    let delivery = match checked(&web, &job, &hooks, &headers, &body).await? {
        Ok(delivery) => delivery,
        Err(problem) => {
            let refusal = || ApiError::with(StatusCode::UNAUTHORIZED, problem.into());
            return Err(refused(&web, peer).unwrap_or_else(refusal));
        }
    };
    if !job.is_enabled() {
        return Err(ApiError::conflict("hook.disabled", format!("the job {name:?} is disabled"))
            .hint("\"aegis enable JOB\" lets it run again"));
    }
    let mut trigger = Trigger::new(TriggerKind::Webhook, TriggerKind::Webhook.as_str());
    trigger.payload = payload(&delivery, &headers, &body)?;
    let request = SubmitRequest {
        job: job.spec.name.clone(),
        params: Params::new(),
        trigger,
        idempotency_key: Some(delivery.key),
        dry_run: false,
        parent: None,
        occurrence: None,
    };
    let mut response = accepted(web.parts.runner.submit(request).await?)?;
    let actor = Some(TriggerKind::Webhook.as_str().to_owned());
    response.extensions_mut().insert(Acted { actor, object: Some(name) });
    Ok(response)
}

/// The job, and what it listens to.
fn listener(web: &Web, name: &str) -> ApiResult<(std::sync::Arc<Job>, Vec<WebhookTrigger>)> {
    let job = name.parse::<JobName>().ok().and_then(|name| web.parts.jobs.job(&name));
    let found = job.and_then(|job| {
        let own = job.spec.on.iter().filter(|trigger| trigger.kind == WebhookTrigger::KIND);
        let hooks: Vec<_> = own.filter_map(|own| serde_json::from_value(own.options.clone()).ok()).collect();
        (!hooks.is_empty()).then_some((job, hooks))
    });
    found.ok_or_else(|| {
        ApiError::not_found("hook.not_found", format!("no job {name:?} listens to webhooks"))
            .hint("a job listens with on = { webhook = { secret = \"NAME\" } }")
    })
}

/// Against each of the job's secrets; the last one's problem if none fits.
async fn checked(
    web: &Web,
    job: &Job,
    hooks: &[WebhookTrigger],
    headers: &HeaderMap,
    body: &[u8],
) -> ApiResult<Result<Delivery, HookError>> {
    let grants = web.parts.jobs.snapshot().grants(job);
    let mut outcome = Err(HookError::Signature);
    for hook in hooks {
        // The operator's policy may have taken the secret away, and the secret may be gone: that is no fault of a caller.
        let permit = permit::secret(&grants, &hook.secret).map_err(|denied| unready(&denied.into()))?;
        let secret = web.parts.secrets.get(&permit).await.map_err(|problem| unready(&problem.into()))?;
        let header = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
        outcome = hook::verify((hook.scheme, secret.value.expose_secret()), header, body, web.now());
        match &outcome {
            Ok(_) => break,
            Err(HookError::Secret) => return Err(unready(&HookError::Secret.into())),
            Err(_) => {}
        }
    }
    Ok(outcome)
}

/// Strangers are told no more than that it does not work; the log says why.
fn unready(problem: &Fault) -> ApiError {
    tracing::warn!(%problem, "a webhook cannot be checked");
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "hook.unready", "the webhook cannot be checked at the moment")
}

fn payload(delivery: &Delivery, headers: &HeaderMap, body: &[u8]) -> ApiResult<Value> {
    let text = std::str::from_utf8(body).map_err(|_| {
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request.media_type", "the body must be JSON or text")
    })?;
    let content = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Ok(json!({
        "id": delivery.id, "event": said("x-github-event"), "type": said(header::CONTENT_TYPE.as_str()), "body": content,
    }))
}
