//! Secrets that let callers in: API tokens, browser sessions, one-time login links. Only hashes are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{ApiError, ApiResult};
use super::extract::Session;
use crate::base::clock::{later, since};
use crate::base::{Clock, Timestamp, limits};
use crate::model::{Identity, Role, TriggerKind};
use crate::store::{SessionRow, Store, StoreError, TokenRow};

/// Begins every API token, so that scanners of repositories can tell one.
const TOKEN_PREFIX: &str = "aegis_";
const LOGIN: &str = "login";
const SESSION: &str = "session";

/// What is stored in place of a secret. The secrets have 256 random bits, so that one fast hash is enough.
pub fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn random_secret() -> ApiResult<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|failure| {
        let message = format!("the system gives no random numbers: {failure}");
        ApiError::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "auth.random", message)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    /// Patterns of job names; empty: all jobs.
    pub jobs: Vec<String>,
    pub expires_at: Option<Timestamp>,
}

/// Makes a token and returns it beside what was stored. It cannot be read again.
pub async fn create_token(store: &Store, clock: &Clock, new: NewToken) -> ApiResult<(String, TokenRow)> {
    let now = clock.now();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if new.name.is_empty() || new.name.len() > limits::TOKEN_NAME_BYTES_MAX || !new.name.chars().all(legal) {
        let message = format!("{:?} is not a token name", new.name.chars().take(80).collect::<String>());
        let hint = format!("use 1 to {} of letters, digits, '-', '_' and '.'", limits::TOKEN_NAME_BYTES_MAX);
        return Err(ApiError::bad_request(message).hint(hint));
    }
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::bad_request("expires_at is in the past"));
    }
    if store.tokens().await?.iter().any(|token| token.name == new.name && token.revoked_at.is_none()) {
        let message = format!("there is a token {:?} already", new.name);
        return Err(ApiError::conflict("token.exists", message).hint("revoke it first or choose another name"));
    }
    let secret = format!("{TOKEN_PREFIX}{}", random_secret()?);
    let row = TokenRow {
        name: new.name,
        hash: hash(&secret),
        role: new.role.as_str().to_owned(),
        jobs: new.jobs,
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    store.put_token(row.clone()).await?;
    Ok((secret, row))
}

/// Who a bearer token stands for; None when it is unknown, revoked or expired.
pub async fn by_token(store: &Store, secret: &str, now: Timestamp) -> Result<Option<Identity>, StoreError> {
    if !secret.starts_with(TOKEN_PREFIX) {
        return Ok(None);
    }
    let Some(row) = store.token_by_hash(&hash(secret)).await?.filter(|row| is_live(row, now)) else { return Ok(None) };
    let identity = identity_of(&row);
    if row.last_used_at.is_none_or(|at| since(now, at) >= limits::TOKEN_USE_NOTED_EVERY) {
        // A store that takes no writes must not keep readers out.
        if let Err(failure) = store.put_token(TokenRow { last_used_at: Some(now), ..row }).await {
            tracing::debug!(%failure, "the use of a token was not noted");
        }
    }
    Ok(identity)
}

pub fn is_live(row: &TokenRow, now: Timestamp) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|at| now < at)
}

fn identity_of(row: &TokenRow) -> Option<Identity> {
    let role = Role::parse(&row.role)?;
    Some(Identity::new(format!("token:{}", row.name), role, TriggerKind::Api).confined_to(row.jobs.clone()))
}

/// Stores a one-time login secret and returns the address at which it is used: `{base_url}/login?token=…`. It makes
/// an administrator's session and lasts `LOGIN_LINK_LIFETIME`.
pub async fn issue_login_link(store: &Store, clock: &Clock, base_url: &str) -> ApiResult<String> {
    let now = clock.now();
    let secret = random_secret()?;
    let row = SessionRow {
        hash: hash(&secret),
        kind: LOGIN.to_owned(),
        actor: "session:admin".to_owned(),
        role: Role::Admin.as_str().to_owned(),
        created_at: now,
        expires_at: later(now, limits::LOGIN_LINK_LIFETIME),
    };
    store.put_session(row).await?;
    Ok(format!("{}/login?token={secret}", base_url.trim_end_matches('/')))
}

/// Exchanges a login link's secret, or an API token, for a session. Returns the cookie's value and the actor; None when the secret
/// is not good.
pub async fn open_session(store: &Store, clock: &Clock, secret: &str) -> ApiResult<Option<(String, String)>> {
    let now = clock.now();
    let (actor, role) = if secret.starts_with(TOKEN_PREFIX) {
        let Some(identity) = by_token(store, secret, now).await? else { return Ok(None) };
        if !identity.jobs.is_empty() {
            let message = format!("{} is confined to some jobs and cannot open a session", identity.actor);
            return Err(ApiError::forbidden(message).hint("sign in with a token for all jobs"));
        }
        (identity.actor.0, identity.role.as_str().to_owned())
    } else {
        let taken = store.take_session(&hash(secret)).await?;
        let Some(link) = taken.filter(|row| row.kind == LOGIN && now < row.expires_at) else { return Ok(None) };
        (link.actor, link.role)
    };
    let cookie = random_secret()?;
    let row = SessionRow {
        hash: hash(&cookie),
        kind: SESSION.to_owned(),
        actor: actor.clone(),
        role,
        created_at: now,
        expires_at: later(now, limits::SESSION_LIFETIME),
    };
    store.put_session(row).await?;
    Ok(Some((cookie, actor)))
}

/// Who a session cookie stands for. A session that was opened with a token ends with it.
pub async fn by_cookie(store: &Store, cookie: &str, now: Timestamp) -> Result<Option<(Identity, Session)>, StoreError> {
    let hash = hash(cookie);
    let Some(row) = store.session(&hash).await?.filter(|row| row.kind == SESSION && now < row.expires_at) else {
        return Ok(None);
    };
    let Some(role) = Role::parse(&row.role) else { return Ok(None) };
    if let Some(name) = row.actor.strip_prefix("token:") {
        let tokens = store.tokens().await?;
        if !tokens.iter().any(|token| token.name == name && is_live(token, now) && token.created_at <= row.created_at) {
            return Ok(None);
        }
    }
    let session = Session { csrf: csrf_of(cookie), hash };
    Ok(Some((Identity::new(row.actor, role, TriggerKind::Button), session)))
}

/// Derived from the cookie's secret, so that it needs no storage and cannot be guessed from the stored hash.
fn csrf_of(cookie: &str) -> String {
    let key = blake3::derive_key("aegis dashboard form token v1", cookie.as_bytes());
    URL_SAFE_NO_PAD.encode(&key[..18])
}
