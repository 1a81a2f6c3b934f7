//! `/api/v1/backup` and `/api/v1/nodes`: the daemon's own state, and who shares it.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::pin::Pin;

use axum::Json as Body;
use axum::body::{self, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

use crate::base::limits;
use crate::model::NewEvent;
use crate::store::Store;
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Admin, Viewer};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::steps::{self as read, NodeView};

#[derive(Debug, Serialize, ToSchema)]
pub struct NodeList {
    nodes: Vec<NodeView>,
}

/// Lists the daemons that share the database.
#[utoipa::path(get, path = "/nodes", tag = "health", operation_id = "list_nodes",
    responses((status = 200, description = "The daemons by name", body = NodeList),
              (status = 403, description = "The token is confined to some jobs", body = ErrorEnvelope)))]
pub async fn nodes(State(web): State<Web>, Viewer(who): Viewer) -> ApiResult<Body<NodeList>> {
    unconfined(&who)?;
    Ok(Body(NodeList { nodes: read::nodes(&web).await? }))
}

/// Gives a consistent copy of the daemon's own state, for `aegis restore`. Work goes on meanwhile.
///
/// The answer breaks off when the copy fails after it has begun; the daemon's log says why.
#[utoipa::path(get, path = "/backup", tag = "health", operation_id = "backup",
    responses((status = 200, description = "The backup", body = [u8], content_type = "application/octet-stream"),
              (status = 403, description = "The token is not an administrator's", body = ErrorEnvelope)))]
pub async fn backup(State(web): State<Web>, Admin(who): Admin) -> ApiResult<Response> {
    unconfined(&who)?;
    let event = NewEvent::new(web.now(), "backup.begun").data(serde_json::json!({ "actor": who.actor }));
    web.parts.store.append_events(vec![event]).await?;
    let mut making: Pin<Box<_>> = Box::pin(copy(web.parts.store.clone()));
    // A copy that takes longer than an answer's head may is sent without knowing how it ends.
    let content = match tokio::time::timeout(limits::API_REQUEST_TIMEOUT / 2, &mut making).await {
        Ok(made) => made?,
        Err(_) => stream::once(making).map(|made| made.map_err(told)).try_flatten().boxed(),
    };
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let name = HeaderValue::from_static("attachment; filename=\"aegis-backup\"");
    let headers = [kind, (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body::Body::from_stream(content)).into_response())
}

fn told(error: ApiError) -> io::Error {
    tracing::warn!(code = %error.fault().code, message = %error.fault().message, "a backup failed");
    io::Error::other(error.fault().message.clone())
}

/// A folder that nobody else can enter and that goes with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let path = std::env::temp_dir().join(format!("aegis-backup-{:016x}", random));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn copy(store: Store) -> ApiResult<BoxStream<'static, io::Result<Bytes>>> {
    let scratch = Scratch::new().map_err(|error| unwritable(&error))?;
    let file = scratch.0.join("backup");
    store.backup(&file).await?;
    let opened = tokio::fs::File::open(&file).await.map_err(|error| unwritable(&error))?;
    let chunks = ReaderStream::new(opened).map(move |chunk| {
        let _kept_while_read = &scratch;
        chunk
    });
    Ok(chunks.boxed())
}

fn unwritable(error: &io::Error) -> ApiError {
    let folder = std::env::temp_dir();
    let message = format!("the backup cannot be kept in {} while it is sent: {error}", folder.display());
    ApiError::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "backup.scratch", message)
        .hint("make room there, or start the daemon with TMPDIR set to a folder that has some")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_private_and_leaves_nothing_behind() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new().expect("a folder");
        let path = scratch.0.clone();
        std::fs::write(path.join("backup"), "x").expect("written");
        assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }
}
