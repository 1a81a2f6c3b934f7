//! `/api/v1/tokens`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as Body};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::clock::later;
use crate::base::{Timestamp, quantity};
use crate::model::Role;
use crate::store::TokenRow;
use crate::web::audit::Acted;
use crate::web::auth::{self, NewToken};
use crate::web::error::{ApiError, ApiResult, ErrorEnvelope};
use crate::web::extract::{Admin, Json, Path};
use crate::web::guard::unconfined;
use crate::web::parts::Web;
use crate::web::read::names::RoleName;

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    pub name: String,
    #[schema(value_type = RoleName)]
    pub role: String,
    /// Patterns of job names that it is confined to; empty: all jobs.
    pub jobs: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl From<TokenRow> for TokenView {
    fn from(row: TokenRow) -> Self {
        let TokenRow { name, role, jobs, created_at, expires_at, last_used_at, revoked_at, .. } = row;
        Self { name, role, jobs, created_at, expires_at, last_used_at, revoked_at }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    tokens: Vec<TokenView>,
}

/// Lists the tokens, revoked ones too, without their secrets.
#[utoipa::path(get, path = "/tokens", tag = "tokens", operation_id = "list_tokens",
    responses((status = 200, description = "The tokens", body = TokenList),
              (status = 403, description = "The caller is no administrator", body = ErrorEnvelope)))]
pub async fn list(State(web): State<Web>, Admin(who): Admin) -> ApiResult<Body<TokenList>> {
    unconfined(&who)?;
    let rows = web.parts.store.tokens().await?;
    Ok(Body(TokenList { tokens: rows.into_iter().map(TokenView::from).collect() }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    #[schema(example = "ci")]
    name: String,
    #[schema(value_type = RoleName)]
    role: Role,
    /// Patterns of job names that it is confined to; empty: all jobs.
    #[serde(default)]
    jobs: Vec<String>,
    /// How long it lasts, such as `90d`; for ever unless told.
    #[serde(default)]
    lifetime: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedToken {
    /// The secret. It is shown this once.
    token: String,
    #[serde(flatten)]
    stored: TokenView,
}

/// Makes a token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/tokens", tag = "tokens", operation_id = "create_token", request_body = TokenBody,
    responses((status = 201, description = "The token", body = CreatedToken),
              (status = 409, description = "There is a token of that name", body = ErrorEnvelope)))]
pub async fn create(State(web): State<Web>, Admin(who): Admin, Json(body): Json<TokenBody>) -> ApiResult<Response> {
    unconfined(&who)?;
    let new = NewToken {
        name: body.name,
        role: body.role,
        jobs: body.jobs,
        expires_at: expiry(body.lifetime.as_deref(), web.now())?,
    };
    let (token, row) = auth::create_token(&web.parts.store, &web.parts.clock, new).await?;
    tracing::info!(by = %who.actor, name = %row.name, role = %row.role, "made a token");
    let acted = Acted { object: Some(row.name.clone()), actor: None };
    Ok((StatusCode::CREATED, Extension(acted), Body(CreatedToken { token, stored: row.into() })).into_response())
}

/// The moment at which a token of that lifetime ends.
pub fn expiry(lifetime: Option<&str>, now: Timestamp) -> ApiResult<Option<Timestamp>> {
    let Some(text) = lifetime.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let lifetime = quantity::parse_duration(text).map_err(|bad| ApiError::bad_request(format!("lifetime: {bad}")))?;
    Ok(Some(later(now, lifetime)))
}

/// Revokes a token. Sessions that were opened with it end too.
#[utoipa::path(delete, path = "/tokens/{name}", tag = "tokens", operation_id = "revoke_token",
    params(("name" = String, Path, description = "The token's name")),
    responses((status = 204, description = "It is revoked"),
              (status = 404, description = "There is no live token of that name", body = ErrorEnvelope)))]
pub async fn revoke(State(web): State<Web>, Admin(who): Admin, Path(name): Path<String>) -> ApiResult<StatusCode> {
    unconfined(&who)?;
    revoke_token(&web, &name).await?;
    tracing::info!(by = %who.actor, %name, "revoked a token");
    Ok(StatusCode::NO_CONTENT)
}

pub async fn revoke_token(web: &Web, name: &str) -> ApiResult<()> {
    if web.parts.store.revoke_token(name, web.now()).await? {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(ApiError::not_found("token.not_found", format!("there is no live token {shown:?}")))
}
