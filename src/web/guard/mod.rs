//! What stands between a TCP connection and the router.

mod authenticate;
mod headers;
mod host;
mod throttle;

use std::net::SocketAddr;

use axum::Router;
use axum::middleware::from_fn_with_state;

pub use authenticate::{COOKIE, Caller, cookie, refused};
pub use host::HostRules;
pub use throttle::Throttle;

use super::error::{ApiError, ApiResult};
use super::parts::Web;
use crate::model::Identity;

/// The other end of a request's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Outermost first: headers on every answer, then the host, then the caller.
pub(super) fn protect(web: &Web, router: Router) -> Router {
    router
        .layer(from_fn_with_state(web.clone(), authenticate::authenticate))
        .layer(from_fn_with_state(web.clone(), host::check))
        .layer(axum::middleware::map_response(headers::secure))
}

/// Refuses callers that are confined to some jobs what belongs to no job.
pub(super) fn unconfined(who: &Identity) -> ApiResult<()> {
    if who.jobs.is_empty() {
        return Ok(());
    }
    let message = format!("{} is confined to the jobs {} and may see nothing else", who.actor, who.jobs.join(", "));
    Err(ApiError::forbidden(message))
}
