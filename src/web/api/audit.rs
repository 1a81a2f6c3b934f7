//! `/api/v1/audit`.

use axum::Json as Body;
use axum::extract::State;

use crate::web::error::{ApiResult, ErrorEnvelope};
use crate::web::extract::{Admin, Query};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::audit::{self as read, AuditPage, AuditQuery};

/// Reads the audit log: every privileged call of a script and every act of a person, done or refused.
#[utoipa::path(get, path = "/audit", tag = "audit", operation_id = "list_audit", params(AuditQuery),
    responses((status = 200, description = "Records, and the ends of the log", body = AuditPage),
              (status = 400, description = "The query is wrong", body = ErrorEnvelope),
              (status = 403, description = "The caller is no administrator", body = ErrorEnvelope)))]
pub async fn list(
    State(web): State<Web>,
    Admin(who): Admin,
    Query(query): Query<AuditQuery>,
) -> ApiResult<Body<AuditPage>> {
    unconfined(&who)?;
    Ok(Body(read::page(&web, &query).await?))
}
