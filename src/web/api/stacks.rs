//! `/api/v1/stacks`.

use axum::Json as Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::model::Identity;
use crate::model::grants::Access;
use crate::primitives::option::Texts;
use crate::primitives::stack;
use crate::web::error::{ApiResult, ErrorEnvelope};
use crate::web::extract::{Json, Operator, Path, Query, Viewer};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::rollouts::{self, RolloutView};
use crate::web::read::stacks::{self as read, Act, StackContainerView, StackLine, StackLogQuery, StackView};
use crate::web::stream::{Format, respond};

#[derive(Debug, Serialize, ToSchema)]
pub struct StackList {
    stacks: Vec<StackView>,
}

/// Lists the stacks of the configuration.
#[utoipa::path(get, path = "/stacks", tag = "stacks", operation_id = "list_stacks",
    responses((status = 200, description = "The stacks by name", body = StackList)))]
pub async fn list(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<StackList>> {
    unconfined(&who)?;
    Ok(Body(StackList { stacks: read::list(&web).await }))
}

/// Shows what a stack's files come to, as Compose does. Values of variables are hidden.
#[utoipa::path(get, path = "/stacks/{name}/config", tag = "stacks", operation_id = "get_stack_config",
    params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "The stack, complete", body = Object),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope),
              (status = 422, description = "Its files cannot be used", body = ErrorEnvelope)))]
pub async fn config(State(web): State<Web>, Viewer(who): Viewer, Path(name): Path<String>) -> ApiResult<Body<Value>> {
    unconfined(&who)?;
    Ok(Body(web.parts.stacks.config(&read::permit(&name, Access::Read)?).await?))
}

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// Only this service and those that it waits for.
    service: Option<String>,
    /// As if every container were to be made anew.
    force: bool,
    /// Remove containers of services that the files do not have.
    remove_orphans: bool,
}

/// Tells what bringing a stack up would do, and why.
#[utoipa::path(get, path = "/stacks/{name}/plan", tag = "stacks", operation_id = "plan_stack",
    params(("name" = String, Path, description = "The stack's name"), PlanQuery),
    responses((status = 200, description = "`actions` in order, what is `missing`, and `warnings`", body = Object),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope),
              (status = 422, description = "Its files cannot be used", body = ErrorEnvelope)))]
pub async fn plan(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(name): Path<String>,
    Query(query): Query<PlanQuery>,
) -> ApiResult<Body<stack::plan::Plan>> {
    unconfined(&who)?;
    let options = stack::UpOptions {
        services: Texts(query.service.into_iter().collect()),
        force: query.force,
        remove_orphans: query.remove_orphans,
        ..stack::UpOptions::default()
    };
    Ok(Body(web.parts.stacks.plan(&read::permit(&name, Access::Read)?, &options).await?))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StackContainerList {
    containers: Vec<StackContainerView>,
}

/// Lists a stack's containers, running or not.
#[utoipa::path(get, path = "/stacks/{name}/containers", tag = "stacks", operation_id = "list_stack_containers",
    params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "The containers by name", body = StackContainerList),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope)))]
pub async fn containers(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(name): Path<String>,
) -> ApiResult<Body<StackContainerList>> {
    unconfined(&who)?;
    Ok(Body(StackContainerList { containers: read::containers(&web, &name).await? }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StackLog {
    lines: Vec<StackLine>,
}

/// Reads the end of what a stack's containers printed, by time.
#[utoipa::path(get, path = "/stacks/{name}/logs", tag = "stacks", operation_id = "get_stack_logs",
    params(("name" = String, Path, description = "The stack's name"), StackLogQuery),
    responses((status = 200, description = "Lines in order", body = StackLog),
              (status = 404, description = "There is no such stack or service", body = ErrorEnvelope)))]
pub async fn logs(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(name): Path<String>,
    Query(query): Query<StackLogQuery>,
) -> ApiResult<Body<StackLog>> {
    unconfined(&who)?;
    Ok(Body(StackLog { lines: read::logs(&web, &name, query).await? }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutList {
    rollouts: Vec<RolloutView>,
}

/// Lists what jobs have rolled out to a stack, the newest first.
#[utoipa::path(get, path = "/stacks/{name}/rollouts", tag = "stacks", operation_id = "list_stack_rollouts",
    params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "Its rollouts, as far back as they are kept", body = RolloutList),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope)))]
pub async fn rollouts(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(name): Path<String>,
) -> ApiResult<Body<RolloutList>> {
    unconfined(&who)?;
    Ok(Body(RolloutList { rollouts: rollouts::list(&web, &name).await? }))
}

#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpBody {
    /// Only these and those that they wait for; all if there are none.
    services: Vec<String>,
    /// Make every container anew.
    force: bool,
    /// Remove containers of services that the files do not have.
    remove_orphans: bool,
    /// Answer when every service runs, and is healthy where it says how that is seen.
    wait: bool,
    /// For all of it; `10m` unless told.
    #[schema(example = "10m")]
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    dry_run: bool,
}

/// Brings a stack to what its files say. What is so already stays.
///
/// The answer comes line by line while it is done: `{"step": …}` for what begins, ends or is waited for, and at last
/// `{"outcome": …}` or `{"error": …}`. It stops where it is when the caller goes away.
#[utoipa::path(post, path = "/stacks/{name}/up", tag = "stacks", operation_id = "up_stack", request_body = UpBody,
    params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "Steps, then the outcome", body = String, content_type = "application/x-ndjson"),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope),
              (status = 422, description = "Its files cannot be used", body = ErrorEnvelope)))]
pub async fn up(
    State(web): State<Web>,
    Operator(who): Operator,
    headers: HeaderMap,
    Path(name): Path<String>,
    Json(body): Json<UpBody>,
) -> ApiResult<Response> {
    act(&web, &who, &headers, name, Act::Up, &body).await
}

#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DownBody {
    /// Remove its volumes and their data too.
    volumes: bool,
    /// Remove containers of services that the files do not have.
    remove_orphans: bool,
    /// For all of it; `5m` unless told.
    #[schema(example = "5m")]
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    dry_run: bool,
}

/// Takes a stack away. Answers as `up` does.
#[utoipa::path(post, path = "/stacks/{name}/down", tag = "stacks", operation_id = "down_stack", request_body = DownBody,
    params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "Steps, then the outcome", body = String, content_type = "application/x-ndjson"),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope)))]
pub async fn down(
    State(web): State<Web>,
    Operator(who): Operator,
    headers: HeaderMap,
    Path(name): Path<String>,
    Json(body): Json<DownBody>,
) -> ApiResult<Response> {
    act(&web, &who, &headers, name, Act::Down, &body).await
}

#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesBody {
    /// All if there are none.
    services: Vec<String>,
    dry_run: bool,
}

/// Stops a stack's containers and starts them again. Answers as `up` does.
#[utoipa::path(post, path = "/stacks/{name}/restart", tag = "stacks", operation_id = "restart_stack",
    request_body = ServicesBody, params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "Steps, then the outcome", body = String, content_type = "application/x-ndjson"),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope)))]
pub async fn restart(
    State(web): State<Web>,
    Operator(who): Operator,
    headers: HeaderMap,
    Path(name): Path<String>,
    Json(body): Json<ServicesBody>,
) -> ApiResult<Response> {
    act(&web, &who, &headers, name, Act::Restart, &body).await
}

/// Fetches the images of a stack. Answers as `up` does.
#[utoipa::path(post, path = "/stacks/{name}/pull", tag = "stacks", operation_id = "pull_stack",
    request_body = ServicesBody, params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "Steps, then the outcome", body = String, content_type = "application/x-ndjson"),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope)))]
pub async fn pull(
    State(web): State<Web>,
    Operator(who): Operator,
    headers: HeaderMap,
    Path(name): Path<String>,
    Json(body): Json<ServicesBody>,
) -> ApiResult<Response> {
    act(&web, &who, &headers, name, Act::Pull, &body).await
}

/// Builds the images of a stack. Answers as `up` does.
#[utoipa::path(post, path = "/stacks/{name}/build", tag = "stacks", operation_id = "build_stack",
    request_body = ServicesBody, params(("name" = String, Path, description = "The stack's name")),
    responses((status = 200, description = "Steps, then the outcome", body = String, content_type = "application/x-ndjson"),
              (status = 404, description = "There is no such stack", body = ErrorEnvelope)))]
pub async fn build(
    State(web): State<Web>,
    Operator(who): Operator,
    headers: HeaderMap,
    Path(name): Path<String>,
    Json(body): Json<ServicesBody>,
) -> ApiResult<Response> {
    act(&web, &who, &headers, name, Act::Build, &body).await
}

async fn act(
    web: &Web,
    who: &Identity,
    headers: &HeaderMap,
    name: String,
    act: Act,
    body: &impl Serialize,
) -> ApiResult<Response> {
    unconfined(who)?;
    let options = serde_json::to_value(body).unwrap_or_default();
    let messages = read::act(web, who, name, act, options).await?;
    respond(web, Format::accepted(headers, Format::Lines), messages)
}
