//! `/api/v1/volumes` and `/api/v1/deleted-volumes`.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as Body};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::limits;
use crate::primitives::nfs::WriteOptions;
use crate::web::audit::Acted;
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Admin, Json, Operator, Path, Query, Viewer, body_problem};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::volumes::{
    DeleteQuery, DeletedView, FileView, PathQuery, SnapshotView, VolumeBody, VolumeChanges, VolumeView, name, permit,
};

type Named = Path<(String, String)>;

#[derive(Debug, Serialize, ToSchema)]
pub struct VolumeList {
    volumes: Vec<VolumeView>,
}

/// Lists the volumes with what they hold.
#[utoipa::path(get, path = "/volumes", tag = "volumes", operation_id = "list_volumes",
    responses((status = 200, description = "The volumes by name", body = VolumeList),
              (status = 503, description = "Volumes are off", body = ErrorEnvelope)))]
pub async fn list(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<VolumeList>> {
    unconfined(&who)?;
    let volumes = web.parts.volumes.list(&permit())?;
    Ok(Body(VolumeList { volumes: volumes.into_iter().map(VolumeView::from).collect() }))
}

/// Makes an empty volume, which is served from then on.
#[utoipa::path(post, path = "/volumes", tag = "volumes", operation_id = "create_volume", request_body = VolumeBody,
    responses((status = 201, description = "The volume", body = VolumeView),
              (status = 409, description = "There is a volume of that name", body = ErrorEnvelope)))]
pub async fn create(
    State(web): State<Web>,
    Operator(who): Operator,
    Json(body): Json<VolumeBody>,
) -> ApiResult<Response> {
    unconfined(&who)?;
    if body.has_snapshot() {
        return Err(ApiError::bad_request("snapshot: a new volume is empty; clone one that has snapshots"));
    }
    let volume = web.parts.volumes.create(&permit(), &body.name.parse()?, body.wanted()?).await?;
    let acted = Acted { object: Some(volume.name.to_string()), actor: None };
    Ok((StatusCode::CREATED, Extension(acted), Body(VolumeView::from(volume))).into_response())
}

/// Shows a volume.
#[utoipa::path(get, path = "/volumes/{tenant}/{volume}", tag = "volumes", operation_id = "get_volume",
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word")),
    responses((status = 200, description = "The volume", body = VolumeView),
              (status = 404, description = "There is no such volume", body = ErrorEnvelope)))]
pub async fn show(
    State(web): State<Web>,
    Viewer(who): Viewer,
    Path((tenant, volume)): Named,
) -> ApiResult<Body<VolumeView>> {
    unconfined(&who)?;
    Ok(Body(web.parts.volumes.get(&permit(), &name(&tenant, &volume)?)?.into()))
}

/// Gives a volume another quota or another end.
#[utoipa::path(patch, path = "/volumes/{tenant}/{volume}", tag = "volumes", operation_id = "change_volume",
    request_body = VolumeChanges,
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word")),
    responses((status = 200, description = "The volume as it is now", body = VolumeView),
              (status = 404, description = "There is no such volume", body = ErrorEnvelope)))]
pub async fn change(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume)): Named,
    Json(body): Json<VolumeChanges>,
) -> ApiResult<Body<VolumeView>> {
    unconfined(&who)?;
    Ok(Body(web.parts.volumes.change(&permit(), &name(&tenant, &volume)?, body.wanted()?).await?.into()))
}

/// Takes a volume away from its clients. It can come back until its grace is over.
#[utoipa::path(delete, path = "/volumes/{tenant}/{volume}", tag = "volumes", operation_id = "delete_volume",
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word"), DeleteQuery),
    responses((status = 200, description = "How it can come back", body = DeletedView),
              (status = 404, description = "There is no such volume", body = ErrorEnvelope)))]
pub async fn delete(
    State(web): State<Web>,
    Admin(who): Admin,
    Path((tenant, volume)): Named,
    Query(query): Query<DeleteQuery>,
) -> ApiResult<Body<DeletedView>> {
    unconfined(&who)?;
    Ok(Body(web.parts.volumes.delete(&permit(), &name(&tenant, &volume)?, query.now).await?.into()))
}

/// Makes a volume with what another one has, or had.
#[utoipa::path(post, path = "/volumes/{tenant}/{volume}/clone", tag = "volumes", operation_id = "clone_volume",
    request_body = VolumeBody,
    params(("tenant" = String, Path, description = "The original's first word"),
           ("volume" = String, Path, description = "The original's second word")),
    responses((status = 201, description = "The new volume", body = VolumeView),
              (status = 404, description = "There is no such volume or snapshot", body = ErrorEnvelope),
              (status = 409, description = "There is a volume of that name", body = ErrorEnvelope)))]
pub async fn clone(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume)): Named,
    Json(body): Json<VolumeBody>,
) -> ApiResult<Response> {
    unconfined(&who)?;
    let from = body.original(name(&tenant, &volume)?);
    let made = web.parts.volumes.clone_volume(&permit(), &from, &body.name.parse()?, body.wanted()?).await?;
    Ok((StatusCode::CREATED, Body(VolumeView::from(made))).into_response())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotBody {
    #[schema(example = "before-upgrade")]
    snapshot: String,
}

/// Keeps a volume as it is at one moment.
#[utoipa::path(post, path = "/volumes/{tenant}/{volume}/snapshots", tag = "volumes", operation_id = "snapshot_volume",
    request_body = SnapshotBody,
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word")),
    responses((status = 201, description = "The snapshot", body = SnapshotView),
              (status = 409, description = "There is a snapshot of that name", body = ErrorEnvelope)))]
pub async fn snapshot(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume)): Named,
    Json(body): Json<SnapshotBody>,
) -> ApiResult<Response> {
    unconfined(&who)?;
    let made = web.parts.volumes.snapshot(&permit(), &name(&tenant, &volume)?, &body.snapshot).await?;
    Ok((StatusCode::CREATED, Body(SnapshotView::from(made))).into_response())
}

/// Removes a snapshot.
#[utoipa::path(delete, path = "/volumes/{tenant}/{volume}/snapshots/{snapshot}", tag = "volumes",
    operation_id = "remove_snapshot",
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word"),
           ("snapshot" = String, Path, description = "The snapshot's name")),
    responses((status = 204, description = "It is gone"),
              (status = 404, description = "There is no such volume or snapshot", body = ErrorEnvelope)))]
pub async fn remove_snapshot(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume, snapshot)): Path<(String, String, String)>,
) -> ApiResult<StatusCode> {
    unconfined(&who)?;
    web.parts.volumes.remove_snapshot(&permit(), &name(&tenant, &volume)?, &snapshot).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Brings a snapshot back in place of what the volume has, which is lost.
#[utoipa::path(post, path = "/volumes/{tenant}/{volume}/restore", tag = "volumes", operation_id = "restore_volume",
    request_body = SnapshotBody,
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word")),
    responses((status = 200, description = "The volume as it is now", body = VolumeView),
              (status = 404, description = "There is no such volume or snapshot", body = ErrorEnvelope)))]
pub async fn restore(
    State(web): State<Web>,
    Admin(who): Admin,
    Path((tenant, volume)): Named,
    Json(body): Json<SnapshotBody>,
) -> ApiResult<Body<VolumeView>> {
    unconfined(&who)?;
    Ok(Body(web.parts.volumes.restore(&permit(), &name(&tenant, &volume)?, &body.snapshot).await?.into()))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VolumeFiles {
    files: Vec<FileView>,
}

/// Lists what lies in a folder of a volume.
#[utoipa::path(get, path = "/volumes/{tenant}/{volume}/files", tag = "volumes", operation_id = "list_volume_files",
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word"), PathQuery),
    responses((status = 200, description = "The entries by path", body = VolumeFiles),
              (status = 404, description = "There is no such volume or folder", body = ErrorEnvelope)))]
pub async fn files(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume)): Named,
    Query(query): Query<PathQuery>,
) -> ApiResult<Body<VolumeFiles>> {
    unconfined(&who)?;
    let files = web.parts.volumes.files(&permit(), &name(&tenant, &volume)?, query.path).await?;
    Ok(Body(VolumeFiles { files: files.into_iter().map(FileView::from).collect() }))
}

/// Gives the content of a file of at most 16 MiB.
#[utoipa::path(get, path = "/volumes/{tenant}/{volume}/content", tag = "volumes", operation_id = "read_volume_file",
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word"), PathQuery),
    responses((status = 200, description = "Its content", body = [u8], content_type = "application/octet-stream"),
              (status = 404, description = "There is no such volume or file", body = ErrorEnvelope)))]
pub async fn read(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume)): Named,
    Query(query): Query<PathQuery>,
) -> ApiResult<Response> {
    unconfined(&who)?;
    let (volumes, max) = (&web.parts.volumes, limits::VOLUME_FILE_BYTES_MAX);
    let content = volumes.read(&permit(), &name(&tenant, &volume)?, query.path, max).await?;
    // Whatever somebody has put there, it does not act as a page of ours.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, content).into_response())
}

/// Writes a file whole; folders above it are made. The body is its content, of at most 1 MiB.
#[utoipa::path(put, path = "/volumes/{tenant}/{volume}/content", tag = "volumes", operation_id = "write_volume_file",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word"), PathQuery),
    responses((status = 204, description = "It is written"),
              (status = 507, description = "The quota or the disk is full", body = ErrorEnvelope)))]
pub async fn write(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume)): Named,
    Query(query): Query<PathQuery>,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<StatusCode> {
    unconfined(&who)?;
    let content = body.map_err(body_problem)?.to_vec();
    let how = WriteOptions { mode: 0o644, overwrite: true, parents: true };
    web.parts.volumes.write(&permit(), &name(&tenant, &volume)?, (query.path, content), how).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a file, a link or an empty folder.
#[utoipa::path(delete, path = "/volumes/{tenant}/{volume}/content", tag = "volumes",
    operation_id = "remove_volume_file",
    params(("tenant" = String, Path, description = "Its name's first word"),
           ("volume" = String, Path, description = "Its name's second word"), PathQuery),
    responses((status = 204, description = "It is gone"),
              (status = 404, description = "There is no such volume or file", body = ErrorEnvelope)))]
pub async fn remove(
    State(web): State<Web>,
    Operator(who): Operator,
    Path((tenant, volume)): Named,
    Query(query): Query<PathQuery>,
) -> ApiResult<StatusCode> {
    unconfined(&who)?;
    web.parts.volumes.remove(&permit(), &name(&tenant, &volume)?, query.path).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedList {
    volumes: Vec<DeletedView>,
}

/// Lists deleted volumes that can come back.
#[utoipa::path(get, path = "/deleted-volumes", tag = "volumes", operation_id = "list_deleted_volumes",
    responses((status = 200, description = "Those that end soonest first", body = DeletedList),
              (status = 503, description = "Volumes are off", body = ErrorEnvelope)))]
pub async fn deleted(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<DeletedList>> {
    unconfined(&who)?;
    let volumes = web.parts.volumes.deleted(&permit())?;
    Ok(Body(DeletedList { volumes: volumes.into_iter().map(DeletedView::from).collect() }))
}

/// Brings a deleted volume back under the name it had.
#[utoipa::path(post, path = "/deleted-volumes/{id}/recover", tag = "volumes", operation_id = "recover_volume",
    params(("id" = String, Path, description = "As the list has it")),
    responses((status = 200, description = "The volume", body = VolumeView),
              (status = 404, description = "There is no such deleted volume", body = ErrorEnvelope),
              (status = 409, description = "There is another volume of that name now", body = ErrorEnvelope)))]
pub async fn recover(
    State(web): State<Web>,
    Operator(who): Operator,
    Path(id): Path<String>,
) -> ApiResult<Body<VolumeView>> {
    unconfined(&who)?;
    Ok(Body(web.parts.volumes.recover(&permit(), &id).await?.into()))
}
