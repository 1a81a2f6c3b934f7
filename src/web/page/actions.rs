//! What forms do: act, then lead to the page that shows the outcome.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::cx::Cx;
use super::form::{self, CONFIRMED, DRY_RUN, Sent};
use super::job;
use crate::model::Role;
use crate::runner::{Submission, SubmitError, SubmitRequest};
use crate::web::api;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::{Form, Path};
use crate::web::parts::Web;
use crate::web::read::{jobs, runs};

/// Starts a run and leads to it; what is wrong is shown on the form again, with what was sent.
pub async fn run_job(State(web): State<Web>, cx: Cx, Path(name): Path<String>, form: Form) -> ApiResult<Response> {
    cx.check(&form, Role::Operator)?;
    let live = jobs::find(&web, &cx.who, &name)?;
    if live.spec.ui.confirm.is_some() && form.get(CONFIRMED).is_none() {
        return again(&web, &cx, &name, Sent::new(&form, Vec::new(), Some("Tick the box to confirm.".to_owned())))
            .await;
    }
    let request = SubmitRequest {
        job: live.spec.name.clone(),
        params: form::read(&live.spec, &form),
        trigger: cx.who.trigger(),
        idempotency_key: None,
        dry_run: form.get(DRY_RUN).is_some(),
        parent: None,
        occurrence: None,
    };
    let sent = match web.parts.runner.submit(request).await {
        Ok(Submission::Accepted { run, .. } | Submission::Coalesced { run }) => {
            return Ok(Redirect::to(&format!("/runs/{run}")).into_response());
        }
        Ok(Submission::Skipped { reason }) => Sent::new(&form, Vec::new(), Some(format!("Not started: {reason}"))),
        Ok(Submission::AlreadySettled) => {
            Sent::new(&form, Vec::new(), Some("This due time was settled before.".to_owned()))
        }
        Err(SubmitError::BadParams(problems)) => Sent::new(&form, problems, None),
        Err(failure) => return Err(failure.into()),
    };
    again(&web, &cx, &name, sent).await
}

async fn again(web: &Web, cx: &Cx, name: &str, sent: Sent) -> ApiResult<Response> {
    let status = if sent.refusal.is_some() { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, job::render(web, cx, name, &sent).await?).into_response())
}

pub async fn set_enabled(State(web): State<Web>, cx: Cx, Path(name): Path<String>, form: Form) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    let live = jobs::find(&web, &cx.who, &name)?;
    let enabled = match form.get("enabled") {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        Some("script") => None,
        _ => return Err(ApiError::bad_request("the form says neither yes, no nor script")),
    };
    web.parts.runner.set_enabled(&live.spec.name, enabled, cx.who.actor.clone()).await?;
    Ok(Redirect::to(&format!("/jobs/{}", live.spec.name)))
}

/// Approves the rights that wait, as they were on the page.
pub async fn approve_rights(
    State(web): State<Web>,
    cx: Cx,
    Path(name): Path<String>,
    form: Form,
) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    let live = jobs::find(&web, &cx.who, &name)?;
    web.parts.loader.approve(&live.spec.name, form.get("hash").unwrap_or_default(), &cx.who.actor).await?;
    Ok(Redirect::to(&format!("/jobs/{}", live.spec.name)))
}

pub async fn cancel_run(State(web): State<Web>, cx: Cx, Path(id): Path<String>, form: Form) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    let run = runs::find(&web, &cx.who, &id).await?;
    api::cancel_run(&web, run.id, cx.who.actor.clone()).await?;
    Ok(Redirect::to(&format!("/runs/{}", run.id)))
}

pub async fn retry_run(State(web): State<Web>, cx: Cx, Path(id): Path<String>, form: Form) -> ApiResult<Redirect> {
    cx.check(&form, Role::Operator)?;
    let run = runs::find(&web, &cx.who, &id).await?;
    let submission = web.parts.runner.retry(run.id, cx.who.trigger()).await?;
    Ok(Redirect::to(&format!("/runs/{}", api::triggered(submission)?.run_id)))
}
