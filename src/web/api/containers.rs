//! `/api/v1/containers`.

use axum::Json as Body;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::error::{ApiResult, ErrorEnvelope};
use crate::web::extract::{Operator, Path, Query, Viewer};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::containers::{self as read, Action, ContainerLog, ContainerLogQuery, ContainerView};

#[derive(Debug, Serialize, ToSchema)]
pub struct ContainerList {
    containers: Vec<ContainerView>,
}

/// Lists the containers of the Docker host with what they use.
#[utoipa::path(get, path = "/containers", tag = "containers", operation_id = "list_containers",
    responses((status = 200, description = "The containers by name", body = ContainerList),
              (status = 503, description = "Docker cannot be reached", body = ErrorEnvelope)))]
pub async fn list(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<ContainerList>> {
    unconfined(&who)?;
    Ok(Body(ContainerList { containers: read::list(&web).await?.to_vec() }))
}

/// Reads the end of a container's log.
#[utoipa::path(get, path = "/containers/{id}/logs", tag = "containers", operation_id = "get_container_logs",
    params(("id" = String, Path, description = "The container's name or id"), ContainerLogQuery),
    responses((status = 200, description = "Lines in order", body = ContainerLog),
              (status = 404, description = "There is no such container", body = ErrorEnvelope)))]
pub async fn logs(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path(id): Path<String>,
    Query(query): Query<ContainerLogQuery>,
) -> ApiResult<Body<ContainerLog>> {
    unconfined(&who)?;
    Ok(Body(read::logs(&web, &id, query.lines()).await?))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ContainerActed {
    id: String,
    #[schema(example = "restart")]
    action: &'static str,
}

/// Starts a container. One that runs already is left alone.
#[utoipa::path(post, path = "/containers/{id}/start", tag = "containers", operation_id = "start_container",
    params(("id" = String, Path, description = "The container's name or id")),
    responses((status = 200, description = "It runs", body = ContainerActed),
              (status = 404, description = "There is no such container", body = ErrorEnvelope)))]
pub async fn start(web: State<Web>, who: Operator, id: Path<String>) -> ApiResult<Body<ContainerActed>> {
    act(web, who, id, Action::Start).await
}

/// Stops a container. One that is stopped already is left alone.
#[utoipa::path(post, path = "/containers/{id}/stop", tag = "containers", operation_id = "stop_container",
    params(("id" = String, Path, description = "The container's name or id")),
    responses((status = 200, description = "It is stopped", body = ContainerActed),
              (status = 404, description = "There is no such container", body = ErrorEnvelope)))]
pub async fn stop(web: State<Web>, who: Operator, id: Path<String>) -> ApiResult<Body<ContainerActed>> {
    act(web, who, id, Action::Stop).await
}

/// Stops a container and starts it again.
#[utoipa::path(post, path = "/containers/{id}/restart", tag = "containers", operation_id = "restart_container",
    params(("id" = String, Path, description = "The container's name or id")),
    responses((status = 200, description = "It runs again", body = ContainerActed),
              (status = 404, description = "There is no such container", body = ErrorEnvelope)))]
pub async fn restart(web: State<Web>, who: Operator, id: Path<String>) -> ApiResult<Body<ContainerActed>> {
    act(web, who, id, Action::Restart).await
}

async fn act(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(id): Path<String>,
    action: Action,
) -> ApiResult<Body<ContainerActed>> {
    unconfined(&who)?;
    read::act(&web, &who, &id, action).await?;
    Ok(Body(ContainerActed { id, action: action.as_str() }))
}
